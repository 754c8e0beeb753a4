"""What a model's files say of number formats: ``quantization_config``, ``torch_dtype`` and kin.

A scheme gives a format to a linear layer by its module's name, as the quantizer's own rules do:
lists of modules that stay as they are, patterns, single layers. A role of weights (``attn_q``,
``experts`` ...) takes the format of its modules; where layers differ, each layer's share.

==================  ==========================================================================
``quant_method``    stored for a matrix of r outputs and c inputs
==================  ==========================================================================
fp8                 8 bits; an fp32 scale a block of ``weight_block_size``, or one a matrix
fbgemm_fp8          8 bits; an fp32 scale an output
compressed-tensors  ``num_bits``; 16-bit scales by ``strategy``; nvfp4: 8-bit scales of 16
modelopt            FP8: two fp32 scales a matrix; NVFP4: 8-bit scales of 16, two fp32 a matrix
mxfp4               4 bits and an 8-bit exponent of 32, in the experts alone
gptq, awq           ``bits``; a 16-bit scale and a zero point of ``bits`` a group
bitsandbytes        4 bits, fp32 (or double quantized) scales of 64; int8: an fp32 scale an output
torchao, hqq, mlx   ``bits``; 16-bit scale and zero point a group; 8 bits: a scale an output
bitnet              2 bits; a 16-bit scale a matrix
==================  ==========================================================================

Sources: the layouts that the quantizers write: transformers, ``integrations`` and
``quantizers``; vLLM, ``model_executor/layers/quantization``; compressed-tensors,
``quantization/quant_args.py``; NVIDIA ModelOpt, unified Hugging Face checkpoints; QLoRA, arXiv
2305.14314, section 3; OCP Microscaling Formats v1.0, section 5.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from sympy import Expr, Integer, Rational, S

from lifesym.errors import SpecError, nearest
from lifesym.formats import Format, Stored, load_format
from lifesym.model import Model

DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "half": "fp16", "float": "fp32"}
"""Our names of PyTorch's types."""

QUANTIZED = "hf_quant_config.json"
"""ModelOpt's file beside a config, and the key under which the config has what it says."""

_UNNAMED = frozenset({"vector", "embedding", "tied_embedding", "positions", "convolution"})
"""Roles that are no linear layers: no scheme touches them, but mlx's the embedding."""
_MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_o": "self_attn.o_proj",
    "attn_qkv_fused": "self_attn.qkv_proj",
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_b": "self_attn.kv_b_proj",
    "attn_gate_proj": "self_attn.g_proj",
    "index_q": "self_attn.indexer.wq_b",
    "index_k": "self_attn.indexer.wk",
    "index_weights": "self_attn.indexer.weights_proj",
    "index_kv": "self_attn.compressor.indexer.kv_proj",
    "index_gate": "self_attn.compressor.indexer.gate_proj",
    "compress_kv": "self_attn.compressor.kv_proj",
    "compress_gate": "self_attn.compressor.gate_proj",
    "attn_o_a": "self_attn.o_a_proj",
    "hyper_proj": "attn_hc.fn",
    "streams_proj": "hc_head.hc_fn",
    "mlp_gate": "mlp.gate_proj",
    "mlp_up": "mlp.up_proj",
    "mlp_down": "mlp.down_proj",
    "mlp_gate_up_fused": "mlp.gate_up_proj",
    "router": "mlp.gate",
    "experts_gate": "mlp.experts.0.gate_proj",
    "experts_up": "mlp.experts.0.up_proj",
    "experts_down": "mlp.experts.0.down_proj",
    "moe_shared_gate": "mlp.shared_experts.gate_proj",
    "moe_shared_up": "mlp.shared_experts.up_proj",
    "moe_shared_down": "mlp.shared_experts.down_proj",
    "moe_shared": "mlp.shared_expert_gate",
}
"""The module of a role in a layer, as most families spell it."""
_SPELLINGS = (
    *(("mlp.gate", "mlp.router"), ("mlp.experts.0", "mlp.experts"), ("mlp.", "feed_forward.")),
    *(("mlp.", "block_sparse_moe."), ("shared_experts", "shared_expert"), ("self_attn.", "attn.")),
    *(("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2"), ("self_attn.", "attention.")),
    *(("gate_proj", "gate_up_proj"), ("up_proj", "gate_up_proj")),
    *(("self_attn.", "mixer."), ("mlp.", "mixer.")),
)
"""Other spellings of parts of those names."""
_MIXERS = {
    "delta_net": ("linear_attn",),
    "mamba2_mixer": ("mixer", "mamba"),
    "kimi_delta": ("self_attn",),
    "lightning": ("self_attn",),
}
"""What families call a block of whose parts a role is one."""
_PREFIXES = (
    *("model.layers", "model.language_model.layers", "language_model.model.layers"),
    *("backbone.layers", "transformer.h"),
)
_LEFT = (
    *("lm_head", "mlp.gate", "mlp.router", "indexer.weights_proj", "attn_hc", "hc_head"),
    *("compressor.kv_proj", "compressor.gate_proj", "indexer.kv_proj", "indexer.gate_proj"),
)
_EMBEDDINGS = ("model.embed_tokens", "language_model.model.embed_tokens")
_NO_LAYER = 10**6
"""A layer that no list names by its number."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a checkpoint is quantized.

    Attributes:
        chosen: the format of a linear layer with these names, None for one that stays as it is.
        kv: the format of the KV cache, if it says so.
        compute: the data type of products with quantized activations, if they are quantized.
        embedded: embeddings are quantized, too.
    """

    chosen: Callable[[tuple[str, ...], str], Format | None]
    kv: Format | None = None
    compute: Format | None = None
    embedded: bool = False


def with_stored(model: Model, config: Mapping[str, Any], where: str) -> Model:
    """The model with the formats that its config says; as it is where it says none.

    ``config`` is the file's whole object, with the text model's own under ``text_config``.

    Raises:
        SpecError: a quantization that is not known; it is never taken for none.
    """
    inner = config.get("text_config")
    configs = [config, inner] if isinstance(inner, Mapping) else [config]
    base = _dtype(configs, where)
    for key in ("quantization_config", "compression_config", "quantization", QUANTIZED):
        said = next((c[key] for c in configs if c.get(key) is not None), None)
        if said is not None:
            at = f"{where}: key {key!r}"
            if not isinstance(said, Mapping):
                raise SpecError(f"{at}: must be an object, not {type(said).__name__}")
            source = "the config"
            if key == QUANTIZED:
                source, at = QUANTIZED, str(Path(where).with_name(QUANTIZED))
            held = _quantized(model, said, base or load_format("bf16"), config, at)
            origin = "default" if base is None else "from the config"
            held = replace(held, source=source, base_source=origin)
            return replace(model, stored=held)
    if base is None:
        return model
    return replace(model, stored=Stored(weights=base, source="the config"))


def _dtype(configs: Iterable[Mapping[str, Any]], where: str) -> Format | None:
    """The format of what is not quantized."""
    for key in ("torch_dtype", "dtype"):
        for config in configs:
            said = config.get(key)
            if said in (None, "auto"):
                continue
            name = str(said).removeprefix("torch.")
            if name in DTYPES:
                return load_format(DTYPES[name])
            if name.startswith("float8"):
                return load_format("fp8")
            raise SpecError(f"{where}: key {key!r}: {said!r} is not known{nearest(name, DTYPES)}")
    return None


def _quantized(
    model: Model, said: Mapping[str, Any], base: Format, config: Mapping[str, Any], at: str
) -> Stored:
    scheme = _scheme(said, base, at)
    layers = _layers(config)
    formats = dict(_formats(model, scheme, base, layers, config)) | _experts(
        model, said, config, at
    )
    counted = Counter(fmt for fmt in formats.values() if fmt != base)
    if not counted:
        raise SpecError(f"{at}: names no module of the model, so what is quantized is not known")
    usual = counted.most_common(1)[0][0]
    formats |= {"adapter": base, "low_rank": base}
    roles = tuple((role, fmt) for role, fmt in formats.items() if fmt != usual)
    return Stored(
        weights=replace(usual, roles=roles), kv=scheme.kv, compute=scheme.compute, base=base
    )


def _experts(
    model: Model, said: Mapping[str, Any], config: Mapping[str, Any], at: str
) -> dict[str, Format]:
    """Experts in a format of their own, as DeepSeek V4 says it.

    Its ``fp4`` is that of Microscaling (transformers 5.24, ``finegrained_fp8``; vLLM,
    pull request 53709), or NVIDIA's where ``moe_quant_algo`` says so.
    """
    kind = said.get("expert_dtype", config.get("expert_dtype"))
    if kind in (None, "fp8"):
        return {}
    algorithm = str(said.get("moe_quant_algo") or "mxfp4").lower()
    if kind != "fp4" or algorithm not in ("mxfp4", "nvfp4"):
        raise SpecError(f"{at}: experts in {kind!r} ({algorithm}) are not known")
    parts = {m.part for m in model.whole.matrices() if m.role == "experts"}
    return {f"experts_{part}": load_format(algorithm) for part in parts}


def _layers(config: Mapping[str, Any]) -> int:
    inner = config.get("text_config")
    for source in (config, inner if isinstance(inner, Mapping) else {}):
        for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
            if isinstance(source.get(key), int):
                return int(source[key])
    return 1


def _formats(
    model: Model, scheme: Scheme, base: Format, layers: int, config: Mapping[str, Any]
) -> Iterator[tuple[str, Format]]:
    """The format of every role of the model's weights."""
    found = dict.fromkeys((m.role, m.part) for m in model.whole.matrices())
    dense = config.get("first_k_dense_replace")
    layers_of = _layers_of(model)
    for role, part in found:
        name = f"{role}_{part}" if part else role
        if role in _UNNAMED or role.startswith(("vision_", "audio_")):
            embedded = scheme.embedded and role in ("embedding", "tied_embedding")
            yield name, scheme.chosen(_EMBEDDINGS, "Embedding") or base if embedded else base
        elif role == "lm_head":
            yield name, scheme.chosen(("lm_head", "output"), "Linear") or base
        else:
            where = range(layers)
            if isinstance(dense, int) and 0 < dense < layers:
                where = range(dense) if role.startswith("mlp_") else where
                where = range(dense, layers) if role in ("experts", "router") else where
            each = [scheme.chosen(_names(name, i), "Linear") or base for i in where]
            if (held := layers_of.get(role, S.Zero)).is_Integer and 0 < held < len(each):
                # of layers that are not all alike lists name those that have the module
                usual = scheme.chosen(_names(name, _NO_LAYER), "Linear") or base
                named = [fmt for fmt in each if fmt != usual][: int(held)]
                each = [*named, *[usual] * (int(held) - len(named))]
            yield name, _shared(each)


def _layers_of(model: Model) -> dict[str, Expr]:
    """How many layers have weights of each role."""
    held = {
        (matrix.role, entry.section): entry.copies
        for entry in model.whole
        for matrix in entry.operator.matrices
    }
    counts: dict[str, Expr] = {}
    for (role, _), copies in held.items():
        counts[role] = counts.get(role, S.Zero) + copies
    return counts


@cache
def module_names(role: str) -> tuple[str, ...]:
    """What a role's module may be called inside a layer."""
    block, _, tail = role.rpartition(":")
    names = [f"{mixer}.{tail}" for mixer in _MIXERS.get(block, ())] or [_MODULES.get(role, tail)]
    for old, new in _SPELLINGS:
        names += [name.replace(old, new) for name in names if old in name]
    return tuple(dict.fromkeys(names))


def _names(role: str, layer: int) -> tuple[str, ...]:
    """What a role's module may be called in a layer."""
    return tuple(f"{prefix}.{layer}.{name}" for prefix in _PREFIXES for name in module_names(role))


def _shared(formats: list[Format]) -> Format:
    """One format, or each one's share of the layers."""
    counted = Counter(formats)
    if len(counted) == 1:
        return formats[0]
    parts = tuple((Rational(n, len(formats)), fmt) for fmt, n in counted.items())
    (_, usual), *_ = sorted(parts, key=lambda part: -part[0])
    return Format(name=usual.name, bits=usual.bits, native=usual.native, parts=parts)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of a list of modules means a module.

    ``re:`` begins a regular expression; ``*`` stands for anything; else it is a part of the dotted
    name from one dot to another.

    >>> matches("lm_head", "lm_head"), matches("gate", "model.layers.0.mlp.gate_proj")
    (True, False)
    >>> matches("model.layers.*.self_attn", "model.layers.3.self_attn.q_proj")
    True
    """
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    if "*" in pattern:
        return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern.rstrip('.')}.*")
    return f".{pattern.strip('.')}." in f".{name}."


def _kept(patterns: Any, at: str) -> Callable[[tuple[str, ...]], bool]:
    """Whether a list of modules names one of some names."""
    if patterns is None:
        patterns = ()
    if not isinstance(patterns, list | tuple) or not all(isinstance(p, str) for p in patterns):
        raise SpecError(f"{at}: must be a list of modules' names")
    for pattern in patterns:
        if pattern.startswith("re:"):
            _expression(pattern[3:], at)
    # lists can name every expert of every layer, so plain names are looked up, not tried in turn
    plain = {p.strip(".") for p in patterns if "*" not in p and not p.startswith("re:")}
    other = [p for p in patterns if "*" in p or p.startswith("re:")]
    return lambda names: any(
        not plain.isdisjoint(_runs(name)) or any(matches(p, name) for p in other) for name in names
    )


@cache
def _runs(name: str) -> frozenset[str]:
    """The parts of a dotted name, and all that follow each other in it."""
    parts = name.split(".")
    ends = range(len(parts) + 1)
    return frozenset(".".join(parts[i:j]) for i in ends for j in ends[i + 1 :])


def _expression(pattern: str, at: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise SpecError(f"{at}: {pattern!r} is no regular expression ({error})") from None


def _float(bits: int, **more: Any) -> Format:
    return Format(name=f"fp{bits}", bits=Integer(bits), **more)


def _whole(bits: int, **more: Any) -> Format:
    return Format(name=f"int{bits}", bits=Integer(bits), **more)


def _grouped(bits: int, group: int, zero: int, scale: int = 16) -> Format:
    """Whole numbers with a scale and a zero point a group; -1 is a group a row."""
    if group <= 0:
        return _whole(bits, row_bits=scale + zero)
    return replace(
        _whole(bits), name=f"int{bits}-g{group}", group_size=group, scale_bits=scale, zero_bits=zero
    )


def _number(said: Mapping[str, Any], key: str, at: str, default: int | None = None) -> int:
    value = said.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SpecError(f"{at}: {key!r} must be a whole number, not {value!r}")
    if value < 1 and not (key == "group_size" and value == -1):  # that is a group a row
        raise SpecError(f"{at}: {key!r} must be at least 1, not {value}")
    return value


def _everywhere(
    stored: Format, left: Callable[[tuple[str, ...]], bool]
) -> Callable[[tuple[str, ...], str], Format | None]:
    """One format for all that a list does not leave out."""
    return lambda names, kind: None if left(names) else stored


def _scheme(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    """The scheme of a ``quantization_config``.

    Raises:
        SpecError: one that is not known.
    """
    inner = said.get("quantization")  # as hf_quant_config.json nests it
    if isinstance(inner, Mapping):
        said = {"quant_method": "modelopt", **inner}
    method = said.get("quant_method")
    if method is None and {"bits", "group_size"} <= set(said):
        method = "mlx"
    name = str(method).lower().replace("_", "-")
    readers = {
        "fp8": _fp8,
        "fbgemm-fp8": _fp8,
        "compressed-tensors": _compressed,
        "modelopt": _modelopt,
        "modelopt-fp4": _modelopt,
        "mxfp4": _mxfp4,
        "awq": _grouped_scheme,
        "gptq": _grouped_scheme,
        "auto-round": _grouped_scheme,
        "bitsandbytes": _bitsandbytes,
        "torchao": _torchao,
        "hqq": _hqq,
        "mlx": _mlx,
        "bitnet": _bitnet,
    }
    if name not in readers:
        known = ", ".join(sorted(readers))
        raise SpecError(f"{at}: quant_method {method!r} is not known (known: {known})")
    return readers[name](said, base, at)


def _ends(names: tuple[str, ...]) -> bool:
    """The head, routers and the indexer's weights, which most quantizers leave as they are."""
    return any(matches(p, n) for p in _LEFT for n in names)


def _left_out(said: Mapping[str, Any], at: str, *keys: str) -> Callable[[tuple[str, ...]], bool]:
    """What lists leave out, beside the head and routers."""
    lists = [_kept(said.get(key), f"{at}: {key!r}") for key in keys]
    return lambda names: _ends(names) or any(one(names) for one in lists)


def _fp8(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    block = said.get("weight_block_size")
    row = str(said.get("quant_method")).lower() == "fbgemm_fp8"
    stored = _float(8, row_bits=32) if row else _float(8, matrix_bits=32)
    if block is not None:
        stored = _float(8, group_size=_area(block, f"{at}: 'weight_block_size'"), scale_bits=32)
    left = _left_out(said, at, "modules_to_not_convert", "ignored_layers")
    chosen = _everywhere(stored, left)
    return Scheme(chosen=chosen, kv=_kv(said, at), compute=load_format("fp8"))


def _area(block: Any, at: str) -> int:
    """The values of a block of so many rows and columns."""
    if not (isinstance(block, list) and [type(n) for n in block] == [int, int]) or min(block) < 1:
        raise SpecError(f"{at}: must be two whole numbers, not {block!r}")
    return int(block[0] * block[1])


def _kv(said: Mapping[str, Any], at: str) -> Format | None:
    """The cache's format, from the keys that there are for it."""
    algorithm = said.get("kv_cache_quant_algo")
    scheme = said.get("kv_cache_scheme")
    if algorithm is not None:
        name = {"FP8": "fp8", "NVFP4": "nvfp4", "INT8": "int8"}.get(str(algorithm).upper())
        if name is None:
            raise SpecError(f"{at}: kv_cache_quant_algo {algorithm!r} is not known")
        return load_format(name)
    if isinstance(scheme, Mapping):
        bits, kind = scheme.get("num_bits"), scheme.get("type")
        known: dict[Any, str] = {(8, "float"): "fp8", (8, "int"): "int8", (4, "float"): "nvfp4"}
        if not isinstance(bits, int) or not isinstance(kind, str) or (bits, kind) not in known:
            raise SpecError(f"{at}: kv_cache_scheme of {bits!r} bits, {kind!r}, is not known")
        return load_format(known[bits, kind])
    if scheme is not None:
        raise SpecError(f"{at}: kv_cache_scheme must be an object, not {scheme!r}")
    return None


def _compressed(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    groups = said.get("config_groups")
    if not isinstance(groups, Mapping) or not groups:
        raise SpecError(f"{at}: 'config_groups' is missing: what is quantized is not known")
    left = _kept(said.get("ignore"), f"{at}: 'ignore'")
    rules: list[tuple[list[str], Callable[[tuple[str, ...]], bool], Format]] = []
    computed: list[Format] = []
    for key, group in groups.items():
        inside = f"{at}: 'config_groups.{key}'"
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if not isinstance(weights, Mapping):
            raise SpecError(f"{inside}: 'weights' is missing")
        quantized = isinstance(group.get("input_activations"), Mapping)
        stored = _argument(weights, base, inside)
        targets = group.get("targets") or ["Linear"]
        named = _kept(targets, f"{inside}: 'targets'")
        rules.append((targets, named, stored))
        if quantized:
            computed.append(load_format(_computed(group["input_activations"], inside)))

    def chosen(names: tuple[str, ...], kind: str) -> Format | None:
        if left(names):
            return None
        for targets, named, stored in rules:
            if kind in targets or named(names):
                return stored
        return None

    return Scheme(chosen=chosen, kv=_kv(said, at), compute=computed[0] if computed else None)


def _computed(activations: Mapping[str, Any], at: str) -> str:
    bits, kind = activations.get("num_bits"), activations.get("type", "int")
    known: dict[Any, str] = {
        (8, "float"): "fp8",
        (8, "int"): "int8",
        (4, "float"): "fp4",
        (4, "int"): "int4",
    }
    if not isinstance(bits, int) or not isinstance(kind, str) or (bits, kind) not in known:
        raise SpecError(f"{at}: input_activations of {bits!r} bits, {kind!r}, are not known")
    return known[bits, kind]


def _argument(said: Mapping[str, Any], base: Format, at: str) -> Format:
    """The format of compressed-tensors' arguments for weights."""
    bits, kind = _number(said, "num_bits", at), said.get("type", "int")
    strategy, group = said.get("strategy"), said.get("group_size")
    if kind == "float" and bits == 4:
        if group == 32:
            return load_format("mxfp4")
        return replace(load_format("nvfp4"), matrix_bits=64)
    if kind == "float" and bits != 8:
        raise SpecError(f"{at}: floats of {bits} bits are not known")
    plain = _float(8) if kind == "float" else _whole(bits)
    zero = 0 if said.get("symmetric", True) else bits
    scale = int(base.bits) if base.bits.is_Integer and base.bits <= 16 else 32
    if strategy in ("group", "tensor_group") or (strategy is None and group):
        size = _number(said, "group_size", at)
        name = plain.name if size <= 0 else f"{plain.name}-g{size}"
        return replace(plain, name=name, group_size=size, scale_bits=scale, zero_bits=zero)
    if strategy == "block":
        shape = said.get("block_structure")
        if isinstance(shape, str) and "x" in shape:
            shape = [int(n) for n in shape.split("x") if n.isdigit()]
        area = _area(shape, f"{at}: 'block_structure'")
        return replace(plain, group_size=Integer(area), scale_bits=scale, zero_bits=zero)
    if strategy == "channel":
        return replace(plain, row_bits=scale + zero)
    if strategy not in ("tensor", None):
        raise SpecError(f"{at}: strategy {strategy!r} is not known")
    return replace(plain, matrix_bits=scale + zero)


def _modelopt(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    layered = said.get("quantized_layers")
    algorithm = str(said.get("quant_algo")).upper()
    mixed = algorithm == "MIXED_PRECISION"
    grouped = isinstance(said.get("config_groups"), Mapping)
    if grouped and (said.get("quant_algo") is None or (mixed and layered is None)):
        return _compressed(said, base, at)
    left = _left_out(said, at, "exclude_modules", "ignore")
    if mixed and isinstance(layered, Mapping):
        stored = {str(n): _algorithm(v, said, f"{at}: {n!r}") for n, v in layered.items()}

        def chosen(names: tuple[str, ...], kind: str) -> Format | None:
            runs = (run for name in names for run in _runs(name))
            return next((stored[run] for run in runs if run in stored), None)

        return Scheme(chosen=chosen, kv=_kv(said, at), compute=load_format("fp8"))
    stored_one = _algorithm(said, said, at)
    compute = {"fp8": "fp8", "nvfp4": "fp4"}.get(stored_one.name)
    return Scheme(
        chosen=_everywhere(stored_one, left),
        kv=_kv(said, at),
        compute=None if compute is None else load_format(compute),
    )


def _algorithm(said: Any, whole: Mapping[str, Any], at: str) -> Format:
    """The format of one of ModelOpt's algorithms."""
    name = str(said.get("quant_algo") if isinstance(said, Mapping) else said).upper()
    group = _number(whole, "group_size", at) if whole.get("group_size") else 128
    fp8, nvfp4 = _float(8, matrix_bits=64), replace(load_format("nvfp4"), matrix_bits=64)
    known: dict[str, Callable[[], Format]] = {
        "FP8": lambda: fp8,
        "FP8_PER_CHANNEL_PER_TOKEN": lambda: _float(8, row_bits=32),
        "FP8_PB_WO": lambda: _float(8, group_size=128 * 128, scale_bits=32),
        "NVFP4": lambda: nvfp4,
        "NVFP4_AWQ": lambda: nvfp4,
        "MXFP4": lambda: load_format("mxfp4"),
        "W4A16_AWQ": lambda: _grouped(4, group, 0),
        "W8A16": lambda: _whole(8, row_bits=16),
        "INT8_SQ": lambda: _whole(8, row_bits=32),
    }
    if name not in known:
        raise SpecError(f"{at}: quant_algo {name!r} is not known (known: {', '.join(known)})")
    return known[name]()


def _mxfp4(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    left = _left_out(said, at, "modules_to_not_convert")
    stored = load_format("mxfp4")

    def chosen(names: tuple[str, ...], kind: str) -> Format | None:
        experts = any(".experts" in name for name in names)
        return stored if experts and not left(names) else None

    return Scheme(chosen=chosen)


def _grouped_scheme(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    """GPTQ, AWQ and what packs as they do: whole numbers with scales and zero points of groups.

    ``modules_in_block_to_quantize`` lists all that is quantized; ``dynamic`` (GPTQModel) and
    ``extra_config`` (AutoRound) other bits of single modules, by pattern or by name.
    """
    bits = _number(said, "bits", at, 4) if "bits" in said else _number(said, "w_bit", at)
    group = _number(said, "group_size", at, 128)
    left = _left_out(said, at, "modules_to_not_convert")
    inside = said.get("modules_in_block_to_quantize")
    if isinstance(inside, list):
        inside = [n for each in inside for n in (each if isinstance(each, list) else [each])]
    only = None if not inside else _kept(inside, f"{at}: 'modules_in_block_to_quantize'")
    usual = {"bits": bits, "group_size": group}
    rules = [
        *_single(said, "dynamic", usual, at, named=False),
        *_single(said, "extra_config", usual, at, named=True),
    ]

    def chosen(names: tuple[str, ...], kind: str) -> Format | None:
        for means, stored in rules:
            if means(names):
                return stored
        if "lm_head" in names and said.get("lm_head") is True:
            return _grouped(bits, group, bits)
        if left(names) or (only is not None and not only(names)):
            return None
        return _grouped(bits, group, bits)

    return Scheme(chosen=chosen)


_Rule = tuple[Callable[[tuple[str, ...]], bool], Format | None]


def _single(
    said: Mapping[str, Any], key: str, usual: Mapping[str, int], at: str, *, named: bool
) -> Iterator[_Rule]:
    """Formats of single modules: ``named`` ones, or those whose name begins with a pattern.

    Before a pattern ``-:`` leaves modules out and ``+:`` says what is said without it.
    """
    listed = said.get(key) or {}
    if not isinstance(listed, Mapping):
        raise SpecError(f"{at}: {key!r} must be an object")
    for written, options in listed.items():
        inside = f"{at}: '{key}.{written}'"
        if not isinstance(options, Mapping):
            raise SpecError(f"{inside}: must be an object")
        pattern = written.removeprefix("+:").removeprefix("-:")
        expression = None if named and "*" not in pattern else _expression(pattern, inside)
        plain = _kept([pattern], inside) if expression is None else None
        wanted = {**usual} | {k: v for k, v in options.items() if k in usual and v is not None}
        bits, group = (_number(wanted, k, inside) for k in ("bits", "group_size"))
        kept = written.startswith("-:") or bits >= 16
        yield plain or _beginning(expression), None if kept else _grouped(bits, group, bits)


def _beginning(expression: re.Pattern[str] | None) -> Callable[[tuple[str, ...]], bool]:
    """Whether a name begins with what an expression means."""
    return lambda names: expression is not None and any(map(expression.match, names))


def _bitsandbytes(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    left = _left_out(said, at, "llm_int8_skip_modules", "modules_to_not_convert")
    if said.get("load_in_8bit") or said.get("_load_in_8bit"):
        return Scheme(chosen=_everywhere(_whole(8, row_bits=32), left))
    if not (said.get("load_in_4bit") or said.get("_load_in_4bit")):
        raise SpecError(f"{at}: neither 'load_in_4bit' nor 'load_in_8bit' is true")
    kind = said.get("bnb_4bit_quant_type", "fp4")
    if kind not in ("nf4", "fp4"):
        raise SpecError(f"{at}: 'bnb_4bit_quant_type' {kind!r} is not known (known: nf4, fp4)")
    double = said.get("bnb_4bit_use_double_quant", False)
    scale = 8 + Rational(32, 256) if double else Integer(32)
    stored = Format(name=kind, bits=Integer(4), group_size=Integer(64), scale_bits=scale)
    return Scheme(chosen=_everywhere(stored, left))


def _torchao(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    kind = said.get("quant_type")
    options: Any = said.get("quant_type_kwargs") or {}
    if isinstance(kind, Mapping):
        kind = kind.get("default", kind)
        options = kind.get("_data", {}) if isinstance(kind, Mapping) else {}
        kind = kind.get("_type") if isinstance(kind, Mapping) else kind
    if not isinstance(options, Mapping):
        raise SpecError(f"{at}: the options of torchao's {kind!r} must be an object")
    name = str(kind).removesuffix("Config").replace("_", "").lower()
    left = _left_out(said, at, "modules_to_not_convert")
    int8, fp8 = _whole(8, row_bits=base.bits), _float(8, row_bits=base.bits)
    known: dict[str, tuple[Format, str | None]] = {
        "int4weightonly": (_grouped(4, _number(options, "group_size", at, 128), 16), None),
        "int8weightonly": (int8, None),
        "int8dynamicactivationint8weight": (int8, "int8"),
        "float8weightonly": (fp8, None),
        "float8dynamicactivationfloat8weight": (fp8, "fp8"),
    }
    if name not in known:
        raise SpecError(f"{at}: torchao's quant_type {kind!r} is not known")
    stored, compute = known[name]
    return Scheme(
        chosen=_everywhere(stored, left),
        compute=None if compute is None else load_format(compute),
    )


def _hqq(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    options = said.get("quant_config") or {}
    weights = options.get("weight_quant_params") if isinstance(options, Mapping) else None
    if not isinstance(weights, Mapping):
        raise SpecError(f"{at}: 'quant_config.weight_quant_params' is missing")
    bits, group = _number(weights, "nbits", at), _number(weights, "group_size", at)
    left = _left_out(said, at, "skip_modules")
    return Scheme(chosen=_everywhere(_grouped(bits, group, 16), left))


def _mlx(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    """Scales and offsets of 16 bits a group; the embedding and the head are quantized, too.

    A module's own key says how it alone is quantized, or false where it is not.
    """
    usual = _mlx_format(said, at)
    own: dict[str, Format | None] = {}
    for name, options in said.items():
        if isinstance(options, Mapping):
            own[name] = _mlx_format({**said, **options}, f"{at}: {name!r}")
        elif options is False and "." in name:
            own[name] = None

    def chosen(names: tuple[str, ...], kind: str) -> Format | None:
        runs = (run for name in names for run in _runs(name))
        return next((own[run] for run in runs if run in own), usual)

    return Scheme(chosen=chosen, embedded=True)


def _mlx_format(said: Mapping[str, Any], at: str) -> Format:
    mode = said.get("mode", "affine")
    bits, group = _number(said, "bits", at), _number(said, "group_size", at)
    if mode == "affine":
        return _grouped(bits, group, 16)
    if mode in ("mxfp4", "mxfp8", "nvfp4"):
        return Format(
            name=mode, bits=Integer(bits), group_size=Integer(group), scale_bits=Integer(8)
        )
    raise SpecError(f"{at}: 'mode' {mode!r} is not known (known: affine, mxfp4, mxfp8, nvfp4)")


def _bitnet(said: Mapping[str, Any], base: Format, at: str) -> Scheme:
    left = _left_out(said, at, "modules_to_not_convert")
    stored = Format(name="bitnet", bits=Integer(2), matrix_bits=Integer(16))
    return Scheme(chosen=_everywhere(stored, left), compute=load_format("int8"))
