"""LoRA adapters as PEFT writes them: an ``adapter_config.json`` for a model.

Source: the keys of ``LoraConfig`` in PEFT, ``src/peft/tuners/lora/config.py``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifesym.containers import ADAPTER, hub_names, load
from lifesym.errors import SpecError, nearest
from lifesym.model import Model
from lifesym.operators import Linear
from lifesym.specs import read_json
from lifesym.transforms import Lora

MODULES: dict[str, tuple[str, ...]] = {
    "q_proj": ("attn_q",),
    "k_proj": ("attn_k",),
    "v_proj": ("attn_v",),
    "o_proj": ("attn_o",),
    "out_proj": ("attn_o",),
    "query": ("attn_q",),
    "key": ("attn_k",),
    "value": ("attn_v",),
    "qkv_proj": ("attn_qkv_fused",),
    "query_key_value": ("attn_qkv_fused",),
    "Wqkv": ("attn_qkv_fused",),
    "c_attn": ("attn_qkv_fused",),
    "c_proj": ("attn_o", "mlp_down"),
    "c_fc": ("mlp_up",),
    "dense": ("attn_o",),
    "q_a_proj": ("attn_q_a",),
    "q_b_proj": ("attn_q_b",),
    "kv_a_proj_with_mqa": ("attn_kv_a",),
    "gate_proj": ("mlp_gate",),
    "up_proj": ("mlp_up",),
    "down_proj": ("mlp_down",),
    "gate_up_proj": ("mlp_gate_up_fused",),
    "w1": ("mlp_gate",),
    "w3": ("mlp_up",),
    "w2": ("mlp_down",),
    "fc1": ("mlp_up",),
    "fc2": ("mlp_down",),
    "dense_h_to_4h": ("mlp_up",),
    "dense_4h_to_h": ("mlp_down",),
}
"""The operators of a module that adapters are named for."""
_PLAIN: dict[str, tuple[Any, ...]] = {
    "rank_pattern": (None, {}),
    "layers_to_transform": (None, []),
    "modules_to_save": (None, []),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "exclude_modules": (None, []),
    "trainable_token_indices": (None, []),
    "bias": (None, "none"),
    "use_dora": (None, False),
    "lora_bias": (None, False),
}
"""Keys with the values under which an adapter is one rank on whole projections."""


def read_adapter(path: str | Path, model: Model) -> Lora:
    """The adapters of an ``adapter_config.json``, or of the folder that it is in, on a model.

    Raises:
        SpecError: no such file, adapters that are not modelled, or those of another model.
    """
    file = Path(path)
    file = file / ADAPTER if file.is_dir() else file
    if not file.is_file():
        raise SpecError(f"{path}: no such file: give a rank, or the path of an {ADAPTER}")
    data = read_json(file)
    if data.get("peft_type") != "LORA":
        raise SpecError(f"{file}: key 'peft_type': {data.get('peft_type')!r} is not 'LORA'")
    for key, plain in _PLAIN.items():
        if data.get(key) not in plain:
            raise SpecError(f"{file}: key {key!r}: {data[key]!r} is not modelled")
    rank = data.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise SpecError(f"{file}: key 'r': a rank of at least 1, not {rank!r}")
    _check_base(data, model, file)
    linear = {e.name for e in model.whole.entries if isinstance(e.operator, Linear)}
    return Lora(rank=rank, targets=_targets(data.get("target_modules"), linear, file))


def _targets(said: object, linear: set[str], file: Path) -> tuple[str, ...]:
    at = f"{file}: key 'target_modules'"
    if said == "all-linear":
        return tuple(sorted(linear - {"moe_router", "moe_shared"}))
    if not isinstance(said, list) or not all(isinstance(name, str) for name in said) or not said:
        raise SpecError(f"{at}: a list of modules or 'all-linear', not {said!r}")
    found = set()
    for name in said:
        module = name.rpartition(".")[2]
        if module not in MODULES:
            raise SpecError(f"{at}: {name!r} is not modelled{nearest(module, MODULES)}")
        here = [operator for operator in MODULES[module] if operator in linear]
        if not here:
            raise SpecError(f"{at}: {name!r} is no projection of this model")
        found |= set(here)
    return tuple(sorted(found))


def _check_base(data: Mapping[str, Any], model: Model, file: Path) -> None:
    """Refuse the adapters of a model in the database that is another one."""
    base = str(data.get("base_model_name_or_path") or "")
    known = hub_names().get(base.lower())
    if known is not None and load(known).parameters != model.parameters:
        raise SpecError(f"{file}: adapters of {base} ({known}), not of {model.name}")
