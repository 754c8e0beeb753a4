"""The model in a GGUF file: its keys as a config, and the type of every tensor.

The keys of an architecture become the config of a family that is known. Then the tensors of the
file are compared with the model's weights, role by role: a file that holds other matrices than
the formula counts is refused, so that nothing is guessed. Its weight bytes are the file's.

Source of the keys and of the tensors' names: ``gguf-py/gguf/constants.py`` of llama.cpp.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from sympy import Add, Expr

from lifesym.errors import SpecError, misspelt
from lifesym.families import FAMILIES, MODEL_TYPES
from lifesym.formats import Format, Stored, load_format
from lifesym.gguf_header import Header, Tensor, read_header
from lifesym.gguf_mixes import by_elements
from lifesym.model import Model

_Extra = Callable[["_Keys"], dict[str, Any]]


@dataclass(frozen=True)
class _Keys:
    """The keys of a file, without the architecture's prefix, and the shapes of its tensors."""

    header: Header

    def get(self, key: str, default: Any = None) -> Any:
        """A number that is the same in every layer.

        Raises:
            SpecError: a list whose entries differ.
        """
        value = self.header.keys.get(f"{self.header.architecture}.{key}", default)
        if not isinstance(value, list):
            return value
        if len(set(value)) > 1:
            raise SpecError(
                f"{self.header.path}: key {self.header.architecture}.{key!r} differs by layer,"
                " which is not read from GGUF: give the model's config.json"
            )
        return value[0] if value else default

    def need(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            name = f"{self.header.architecture}.{key}"
            raise SpecError(f"{self.header.path}: missing key {name!r}")
        return value

    def shape(self, suffix: str) -> tuple[int, ...] | None:
        """The shape of the first tensor whose name ends so."""
        found = (t.shape for t in self.header.tensors if t.name.endswith(suffix))
        return next(found, None)

    def has(self, suffix: str) -> bool:
        return self.shape(suffix) is not None

    @property
    def layers(self) -> int:
        """Layers of an ordinary pass: those that predict further tokens come after them."""
        return int(self.need("block_count")) - int(self.get("nextn_predict_layers", 0))

    @property
    def head_dim(self) -> int | None:
        """The size of a head."""
        heads, output = self.get("attention.head_count"), self.shape("attn_output.weight")
        said = self.get("attention.key_length")
        if said is not None:
            return int(said)
        return output[0] // int(heads) if output is not None and heads else None

    @property
    def rotated(self) -> float:
        """The share of a head that is rotated."""
        size = self.head_dim or 1
        return float(self.get("rope.dimension_count", size)) / size

    def experts(self) -> dict[str, Any]:
        width = self.get("expert_feed_forward_length")
        found = self.shape("ffn_up_exps.weight")
        return {
            "count": self.need("expert_count"),
            "active": self.need("expert_used_count"),
            "width": width if width is not None else found and found[1],
        }


def _llama(k: _Keys) -> dict[str, Any]:
    if not k.get("expert_count"):
        return {"attention_bias": k.has("attn_output.bias"), "mlp_bias": k.has("ffn_gate.bias")}
    return {
        "model_type": "mixtral",
        "num_local_experts": k.need("expert_count"),
        "num_experts_per_tok": k.need("expert_used_count"),
        "sliding_window": None,
    }


def _routed(count: str, active: str, width: str) -> _Extra:
    """Experts under the keys that a family has for them."""

    def extra(k: _Keys) -> dict[str, Any]:
        found = k.experts()
        return {count: found["count"], active: found["active"], width: found["width"]}

    return extra


def _qwen2_moe(k: _Keys) -> dict[str, Any]:
    shared = k.shape("ffn_up_shexp.weight")
    routed = _routed("num_experts", "num_experts_per_tok", "moe_intermediate_size")(k)
    return routed | {
        "intermediate_size": k.get("feed_forward_length", 1),
        "shared_expert_intermediate_size": shared and shared[1],
    }


def _deepseek(k: _Keys) -> dict[str, Any]:
    rope = int(k.need("rope.dimension_count"))
    key = int(k.get("attention.key_length_mla", k.need("attention.key_length")))
    return {
        "model_type": "deepseek_v3" if k.get("expert_gating_func", 1) == 2 else "deepseek_v2",
        "num_key_value_heads": k.need("attention.head_count"),
        "head_dim": None,
        "q_lora_rank": k.get("attention.q_lora_rank"),
        "kv_lora_rank": k.need("attention.kv_lora_rank"),
        "qk_rope_head_dim": rope,
        "qk_nope_head_dim": key - rope,
        "v_head_dim": k.get("attention.value_length_mla", k.need("attention.value_length")),
        "n_routed_experts": k.need("expert_count"),
        "num_experts_per_tok": k.need("expert_used_count"),
        "moe_intermediate_size": k.experts()["width"],
        "n_shared_experts": k.get("expert_shared_count", 0),
        "first_k_dense_replace": k.get("leading_dense_block_count", 0),
    }


def _falcon(k: _Keys) -> dict[str, Any]:
    return {
        "num_kv_heads": k.get("attention.head_count_kv", 1),
        "new_decoder_architecture": k.has("attn_norm_2.weight"),
        "multi_query": k.get("attention.head_count_kv", 1) == 1,
        "ffn_hidden_size": k.get("feed_forward_length"),
    }


def _gpt2(k: _Keys) -> dict[str, Any]:
    table = k.shape("position_embd.weight")
    return {
        "n_positions": table[1] if table else k.need("context_length"),
        "n_inner": k.get("feed_forward_length"),
    }


def _stablelm(k: _Keys) -> dict[str, Any]:
    return {
        "use_qkv_bias": k.has("attn_q.bias"),
        "qk_layernorm": k.has("attn_q_norm.weight"),
        "use_parallel_residual": not k.has("ffn_norm.weight"),
        "partial_rotary_factor": k.rotated,
    }


def _gpt_oss(k: _Keys) -> dict[str, Any]:
    return _routed("num_local_experts", "num_experts_per_tok", "intermediate_size")(k) | {
        "sliding_window": k.need("attention.sliding_window")
    }


def _glm_moe(k: _Keys) -> dict[str, Any]:
    return _routed("n_routed_experts", "num_experts_per_tok", "moe_intermediate_size")(k) | {
        "n_shared_experts": k.get("expert_shared_count", 0),
        "first_k_dense_replace": k.get("leading_dense_block_count", 0),
        "use_qk_norm": k.has("attn_q_norm.weight"),
        "attention_bias": k.has("attn_q.bias"),
        "partial_rotary_factor": k.rotated,
    }


def _ernie_moe(k: _Keys) -> dict[str, Any]:
    return _routed("moe_num_experts", "moe_k", "moe_intermediate_size")(k) | {
        "moe_num_shared_experts": k.get("expert_shared_count", 0),
        "moe_layer_start_index": k.get("leading_dense_block_count", 0),
    }


def _granite_moe(k: _Keys) -> dict[str, Any]:
    shared = k.shape("ffn_up_shexp.weight")
    return _routed("num_local_experts", "num_experts_per_tok", "intermediate_size")(k) | {
        "shared_intermediate_size": shared[1] if shared else 0
    }


def _mamba(k: _Keys) -> dict[str, Any]:
    return {
        "state_size": k.need("ssm.state_size"),
        "intermediate_size": k.need("ssm.inner_size"),
        "conv_kernel": k.need("ssm.conv_kernel"),
        "time_step_rank": k.need("ssm.time_step_rank"),
    }


def _delta(k: _Keys) -> dict[str, Any]:
    heads = int(k.need("ssm.time_step_rank"))
    return {
        "linear_key_head_dim": k.need("ssm.state_size"),
        "linear_value_head_dim": int(k.need("ssm.inner_size")) // heads,
        "linear_num_key_heads": k.need("ssm.group_count"),
        "linear_num_value_heads": heads,
        "linear_conv_kernel_dim": k.need("ssm.conv_kernel"),
        "partial_rotary_factor": k.rotated,
        "full_attention_interval": k.get("full_attention_interval", 4),
    } | (_qwen2_moe(k) if k.get("expert_count") else {})


def _windowed(k: _Keys) -> dict[str, Any]:
    window = k.get("attention.sliding_window")
    return {"sliding_window": window} if window else {}


def _turned(k: _Keys) -> dict[str, Any]:
    return {"partial_rotary_factor": k.rotated}


def _none(_: _Keys) -> dict[str, Any]:
    return {}


_ARCHITECTURES: dict[str, tuple[str, _Extra]] = {
    "llama": ("llama", _llama),
    "qwen2": ("qwen2", _none),
    "qwen2vl": ("qwen2", _none),
    "qwen3": ("qwen3", _none),
    "qwen3vl": ("qwen3", _none),
    "qwen2moe": ("qwen2_moe", _qwen2_moe),
    "qwen3moe": (
        "qwen3_moe",
        _routed("num_experts", "num_experts_per_tok", "moe_intermediate_size"),
    ),
    "qwen3vlmoe": (
        "qwen3_moe",
        _routed("num_experts", "num_experts_per_tok", "moe_intermediate_size"),
    ),
    "qwen3next": ("qwen3_next", _delta),
    "qwen35": ("qwen3_5_text", _delta),
    "qwen35moe": ("qwen3_5_moe_text", _delta),
    "gemma": ("gemma", _none),
    "gemma2": ("gemma2", _windowed),
    "gemma3": ("gemma3_text", _windowed),
    "phi2": ("phi", _turned),
    "phi3": ("phi3", lambda k: _windowed(k) | _turned(k)),
    "deepseek2": ("deepseek_v2", _deepseek),
    "gpt-oss": ("gpt_oss", _gpt_oss),
    "granite": ("granite", _none),
    "granitemoe": ("granitemoe", _granite_moe),
    "starcoder2": ("starcoder2", lambda k: {"use_bias": k.has("attn_q.bias")}),
    "falcon": ("falcon", _falcon),
    "gpt2": ("gpt2", _gpt2),
    "gptneox": (
        "gpt_neox",
        lambda k: _turned(k) | {"use_parallel_residual": k.get("use_parallel_residual", True)},
    ),
    "bloom": ("bloom", _none),
    "stablelm": ("stablelm", _stablelm),
    "command-r": ("cohere", lambda k: {"use_qk_norm": k.has("attn_q_norm.weight")}),
    "cohere2": ("cohere2", _windowed),
    "olmo": ("olmo", _none),
    "olmo2": ("olmo2", _none),
    "olmoe": ("olmoe", _routed("num_experts", "num_experts_per_tok", "intermediate_size")),
    "nemotron": ("nemotron", _turned),
    "smollm3": ("smollm3", _none),
    "minimax-m2": (
        "minimax_m2",
        lambda k: (
            _routed("num_local_experts", "num_experts_per_tok", "intermediate_size")(k)
            | {"rotary_dim": k.get("rope.dimension_count")}
        ),
    ),
    "glm4moe": ("glm4_moe", _glm_moe),
    "ernie4_5": ("ernie4_5", _none),
    "ernie4_5-moe": ("ernie4_5_moe", _ernie_moe),
    "hunyuan-dense": ("hunyuan_v1_dense", _none),
    "seed_oss": ("seed_oss", lambda k: {"attention_bias": k.has("attn_q.bias")}),
    "exaone4": ("exaone4", lambda k: {"sliding_window": k.get("attention.sliding_window")}),
    "mamba": ("mamba", _mamba),
}
"""llama.cpp's architectures: the family that they are, and what its config says besides sizes."""

_ROLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "token_embd": (("embedding",), ("tied_embedding",)),
    "output": (("lm_head",),),
    "position_embd": (("positions",),),
    "attn_q": (("attn_q",), ("attn_qkv_fused",)),
    "attn_k": (("attn_k",), ("attn_qkv_fused",)),
    "attn_v": (("attn_v",), ("attn_qkv_fused",)),
    "attn_qkv": (
        *(("attn_qkv_fused",), ("delta_net:in_proj_qkv",), ("delta_net:in_proj_qkvz",)),
        ("attn_q", "attn_k", "attn_v"),
    ),
    "attn_gate": (("delta_net:in_proj_z",), ("delta_net:in_proj_qkvz",)),
    "attn_output": (("attn_o",),),
    "attn_q_a": (("attn_q_a",),),
    "attn_q_b": (("attn_q_b",),),
    "attn_kv_a_mqa": (("attn_kv_a",),),
    "attn_kv_b": (("attn_kv_b",),),
    "attn_k_b": (("attn_kv_b",),),
    "attn_v_b": (("attn_kv_b",),),
    "ffn_gate": (("mlp_gate",), ("mlp_gate_up_fused",)),
    "ffn_up": (("mlp_gate_up_fused",), ("mlp_up",)),
    "ffn_down": (("mlp_down",),),
    "ffn_gate_inp": (("router",),),
    "ffn_gate_exps": (("experts_gate",),),
    "ffn_up_exps": (("experts_up",),),
    "ffn_down_exps": (("experts_down",),),
    "ffn_gate_up_exps": (("experts_gate", "experts_up"),),
    "ffn_gate_inp_shexp": (("moe_shared",),),
    "ffn_gate_shexp": (("moe_shared_gate",), ("mlp_gate_up_fused",)),
    "ffn_up_shexp": (("moe_shared_up",), ("mlp_gate_up_fused",)),
    "ffn_down_shexp": (("moe_shared_down",), ("mlp_down",)),
    "ssm_in": (("mamba_mixer:in_proj",), ("delta_net:in_proj_qkvz",)),
    "ssm_x": (("mamba_mixer:x_proj",),),
    "ssm_dt": (("mamba_mixer:dt_proj",),),
    "ssm_out": (("mamba_mixer:out_proj",), ("delta_net:out_proj",)),
    "ssm_ba": (("delta_net:in_proj_ba",),),
    "ssm_alpha": (("delta_net:in_proj_a",),),
    "ssm_beta": (("delta_net:in_proj_b",),),
}
"""The roles of a tensor; several where a family has two matrices in one, or one in several."""
_PLACE = re.compile(r"^blk\.(\d+)\.(\w+?)(?:\.\d+)?\.weight$")
_BUFFERS = ("rope_freqs", "rope_factors_long", "rope_factors_short", "exp_probs_b")
"""Tensors that are no learned weights; they lie in memory with the vectors."""


def read_gguf(path: Path) -> tuple[dict[str, Any], Header]:
    """The config in a GGUF file, and its header.

    Raises:
        SpecError: an architecture that is not known, or a key that is missing.
    """
    header = read_header(path)
    name = header.architecture
    if name not in _ARCHITECTURES:
        if name == "clip":
            raise SpecError(f"{path}: the vision tower of a model: give the GGUF of the model")
        known = ", ".join(sorted(_ARCHITECTURES))
        raise SpecError(
            f"{path}: GGUF of architecture {name!r} is not read{misspelt(name, _ARCHITECTURES)}"
            f" (known: {known}): give the model's config.json"
        )
    family, extra = _ARCHITECTURES[name]
    keys = _Keys(header)
    table = keys.shape("token_embd.weight")
    if table is None or len(table) != 2:
        raise SpecError(f"{path}: holds no tensor 'token_embd.weight', so no model")
    blocks = {place[1] for t in header.tensors if (place := _PLACE.match(t.name)) is not None}
    if keys.layers > len(blocks):
        raise SpecError(f"{path}: key '{name}.block_count': the file has {len(blocks)} layers")
    config = {
        "model_type": family,
        "hidden_size": keys.need("embedding_length"),
        "num_hidden_layers": keys.layers,
        "vocab_size": table[1],
        "tie_word_embeddings": not any(t.name == "output.weight" for t in header.tensors),
    }
    if not name.startswith("mamba"):
        heads = keys.need("attention.head_count")
        config |= {
            "intermediate_size": keys.get("feed_forward_length"),
            "num_attention_heads": heads,
            "num_key_value_heads": keys.get("attention.head_count_kv", heads),
            "head_dim": keys.head_dim,
        }
    config |= extra(keys)
    read = FAMILIES[MODEL_TYPES[config["model_type"]]]
    named = {field.encode_name for field in msgspec.structs.fields(read.config)} | set(read.aliases)
    return {key: value for key, value in config.items() if key in named}, header


def with_tensors(model: Model, header: Header) -> Model:
    """The model with every role in the types that its tensors have in the file.

    Raises:
        SpecError: matrices of other sizes than the model has.
    """
    held = model.whole.matrices()
    sizes: dict[str, list[Expr]] = {}
    for matrix in held:
        key = f"{matrix.role}_{matrix.part}" if matrix.part else matrix.role
        sizes.setdefault(key, []).append(matrix.elements)
    wanted = {key: Add(*elements) for key, elements in sizes.items()}
    layers = _Keys(header).layers
    found: dict[str, Counter[Format]] = {key: Counter() for key in wanted}
    for tensor in header.tensors:
        for key, elements in _shared(tensor, wanted, layers, header.path):
            found.setdefault(key, Counter())[tensor.format] += elements
    for key, count in wanted.items():
        has = Add(*found[key].values())
        if key != "vector" and has != count:
            raise SpecError(
                f"{header.path}: its tensors of role {key!r} hold {has} values, where"
                f" {model.family} has {count}: not modelled"
            )
    roles = {key: by_elements(kinds, wanted[key]) for key, kinds in found.items() if kinds}
    usual: Counter[Format] = Counter()
    for kinds in found.values():
        usual.update(kinds)
    base = usual.most_common(1)[0][0]
    whole = replace(base, roles=tuple(roles.items()))
    if base.native:
        return replace(model, stored=Stored(weights=whole, source=header.path.name))
    whole = replace(whole, name=f"{base.name} mix")
    # the caches of llama.cpp are fp16 unless told otherwise, and what it computes with is no wider
    stored = Stored(weights=whole, base=load_format("fp16"), source=header.path.name)
    return replace(model, stored=stored)


def _shared(
    tensor: Tensor, wanted: dict[str, Expr], layers: int, path: Path
) -> Iterable[tuple[str, Expr]]:
    """The roles of a tensor with their part of its values; none of layers that are not run."""
    placed = _PLACE.match(tensor.name)
    if placed is not None and int(placed[1]) >= layers:
        return []
    name = placed[2] if placed is not None else tensor.name.removesuffix(".weight")
    flat = len([size for size in tensor.shape if size > 1]) < 2
    for roles in _ROLES.get(name, ()):
        if tensor.name.endswith(".weight") and all(role in wanted for role in roles):
            total = Add(*(wanted[role] for role in roles))
            return [(role, tensor.elements * wanted[role] / total) for role in roles]
    vector = flat or not tensor.name.endswith(".weight") or name.startswith(_BUFFERS)
    if vector or name in ("ssm_conv1d", "attn_q_norm", "attn_k_norm"):
        return [("vector", tensor.elements)]
    raise SpecError(f"{path}: tensor {tensor.name!r} {tensor.shape} is not modelled")
