"""GGUF mixes by the quantizer's own rules: which tensor of a model is stored in which block type.

A mix such as Q4_K_M is no format: the quantizer of llama.cpp chooses a type for every tensor, by
what it is for, by its layer, by the model, and by the length of its rows. So a mix is resolved
for a model: every role has the exact shares of the types that its tensors have.

Rules: ``llama_tensor_get_type`` and ``tensor_type_fallback`` in ``src/llama-quant.cpp`` of
llama.cpp. Where its releases differ those of 2024 and 2025 are meant, with which most published
files were made: a fused QKV has a type of its own (since 2026 it is treated as values are). Mixes
of IQ types are made with an importance matrix, as published ones are; the others without one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.formats import Format, Matrix, Precision, known_formats, load_format
from lifesym.trace import Entry

if TYPE_CHECKING:
    from lifesym.model import Model

_BASE = {
    "gguf-f16": "fp16",
    "gguf-bf16": "bf16",
    "gguf-q4_0": "q4_0",
    "gguf-q4_1": "q4_1",
    "gguf-q5_0": "q5_0",
    "gguf-q5_1": "q5_1",
    "gguf-q8_0": "q8_0",
    "gguf-q2_k": "q2_k",
    "q2_k_s": "q2_k",
    "q3_k_s": "q3_k",
    "q3_k_m": "q3_k",
    "q3_k_l": "q3_k",
    "q4_k_s": "q4_k",
    "q4_k_m": "q4_k",
    "q5_k_s": "q5_k",
    "q5_k_m": "q5_k",
    "gguf-q6_k": "q6_k",
    "gguf-iq1_s": "iq1_s",
    "gguf-iq1_m": "iq1_m",
    "gguf-iq2_xxs": "iq2_xxs",
    "gguf-iq2_xs": "iq2_xs",
    "gguf-iq2_s": "iq2_xs",
    "iq2_m": "iq2_s",
    "gguf-iq3_xxs": "iq3_xxs",
    "iq3_xs": "iq3_s",
    "gguf-iq3_s": "iq3_s",
    "iq3_m": "iq3_s",
    "gguf-iq4_nl": "iq4_nl",
    "gguf-iq4_xs": "iq4_xs",
    "mxfp4_moe": "q8_0",
}
"""Mixes, and the type of tensors that no rule names (``llama_ftype_get_default_type``)."""
_LOWEST = frozenset({"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"})
"""Mixes with rules of their own."""
_FLOATS = frozenset({"fp16", "bf16"})
_FALLBACK = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s"), "iq4_nl"),
    **dict.fromkeys(("iq3_xxs", "iq3_s", "iq4_xs"), "iq4_nl"),
    **dict.fromkeys(("q2_k", "q3_k"), "q4_0"),
    "q4_k": "q5_0",
    "q5_k": "q5_1",
    "q6_k": "q8_0",
}
"""Types with blocks of 256, and what takes their place in rows that are no multiple of it."""
_FP32 = frozenset(
    {
        "router",
        "router_scale",
        "moe_shared",
        "positions",
        "encoder_positions",
        "token_types",
        "altup_correct",
        "altup_predict",
        "altup_router",
        "vector",
    }
)
"""Roles that a conversion writes in fp32; ``moe_shared`` is the gate, a vector."""
_PLAIN = frozenset(
    {"layer_embedding_proj", "laurel", "laurel_up", "streams_open", "streams_close", "convolution"}
)
"""Roles that the quantizer leaves as they are."""
_RANKS = {
    "attn_v": "v",
    "cross_v": "v",
    "attn_k": "k",
    "cross_k": "k",
    "attn_q": "q",
    "cross_q": "q",
    "attn_qkv_fused": "qkv",
    "delta_net:in_proj_qkv": "qkv",
    "attn_kv_b": "kv_b",
    "attn_o": "o",
    "mlp_gate": "wide",
    "mlp_up": "wide",
    "mlp_gate_up_fused": "wide",
    "mlp_down": "down",
    "lm_head": "output",
    "tied_embedding": "output",
    "embedding": "table",
    "layer_embedding": "table",
} | {
    f"{role}_{part}": kind
    for role in ("experts", "moe_shared")
    for part, kind in (("gate", "wide"), ("up", "wide"), ("down", "down"))
}
"""What the quantizer takes a role for; others have the mix's default type."""
_HYBRID = frozenset({"bamba", "granitemoehybrid", "jamba", "lfm2", "nemotron_h"})
"""Families whose files give key-value heads by layer: the first has none, so no group size."""
_LLAMAS = frozenset({"llama", "mistral", "qwen2", "deci", "nemotron-nas"})
"""Families whose models of 80 layers the quantizer calls 70B."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What the quantizer asks about a model."""

    layers: int
    values: int
    experts: int
    group: int
    falcon: bool
    large: bool

    @property
    def shared_keys(self) -> bool:
        """Four or more query heads share a key-value head."""
        return self.group >= 4


_Rule = Callable[[int, _Facts], str | None]


def _more(i: int, n: int) -> bool:
    """Layers with more bits: the first and last eighth, and every third between."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def _grouped(kind: str, other: str | None = None) -> _Rule:
    return lambda _, f: kind if f.shared_keys else other


def _first(kind: str, part: int = 8) -> _Rule:
    return lambda i, f: kind if i < f.layers // part else None


_VALUES: dict[str, _Rule] = {
    "q2_k": _grouped("q4_k", "q3_k"),
    "q2_k_s": _grouped("q4_k"),
    "iq3_xxs": _grouped("q4_k", "iq3_xxs"),
    "iq3_xs": _grouped("q4_k"),
    "iq3_s": _grouped("q4_k"),
    "iq3_m": lambda _, f: "q4_k",
    "q3_k_m": lambda i, f: "q5_k" if i < 2 else "q4_k",
    "q3_k_l": lambda _, f: "q5_k",
    "iq4_nl": _grouped("q5_k"),
    "iq4_xs": _grouped("q5_k"),
    "q4_k_m": lambda i, f: "q6_k" if _more(i, f.values) else None,
    "q5_k_m": lambda i, f: "q6_k" if _more(i, f.values) else None,
    "q4_k_s": lambda i, f: "q5_k" if i < 4 else None,
}
_DOWN: dict[str, _Rule] = {
    "q2_k": lambda _, f: "q3_k",
    "q2_k_s": _first("q4_k"),
    "q3_k_m": lambda i, f: (
        _first("q5_k", 16)(i, f) or ("q4_k" if not f.falcon or _more(i, f.layers) else None)
    ),
    "iq3_m": lambda i, f: (
        "q4_k" if i < f.layers // 8 or (f.experts == 8 and _more(i, f.layers)) else None
    ),
    "q3_k_l": lambda _, f: "q4_k" if f.falcon else "q5_k",
    "q4_k_m": lambda i, f: (
        (_first("q6_k", 16)(i, f) or ("q5_k" if _more(i, f.layers) else None))
        if f.falcon
        else ("q6_k" if _more(i, f.layers) else None)
    ),
    "q5_k_m": lambda i, f: "q6_k" if _more(i, f.layers) else None,
    "q4_k_s": lambda i, f: None if f.falcon else _first("q5_k")(i, f),
}
_OUT = {"q2_k": "q3_k", "iq3_xxs": "iq3_s", "q3_k_m": "q4_k", "q3_k_l": "q5_k", "iq3_m": "q4_k"}
"""Output projections of the attention."""
_OUT_OF_EIGHT = frozenset(
    {
        "q2_k",
        "iq3_xs",
        "iq3_xxs",
        "q3_k_s",
        "q3_k_m",
        "iq4_nl",
        "q4_k_s",
        "q4_k_m",
        "iq3_s",
        "iq3_m",
        "iq4_xs",
    }
)
"""Mixes that store them in q5_k in models of eight experts."""
_FUSED = {"q3_k_m": "q4_k", "q3_k_l": "q4_k", "iq3_m": "q4_k", "q4_k_m": "q5_k", "q5_k_m": "q6_k"}
_QUERIES = {"iq3_xs": "iq3_xxs", "iq3_xxs": "iq2_s"}
"""Queries, and keys."""
_TABLE = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs"), "q2_k"),
    **dict.fromkeys(("iq2_s", "iq2_m", "iq3_xxs"), "iq3_s"),
}
"""Token tables that are not the output matrix, too."""


def _value_kind(mix: str, base: str, i: int, f: _Facts) -> str:
    rule = _VALUES.get(mix)
    kind = (rule and rule(i, f)) or base
    if f.experts == 8:
        return "q8_0"
    return "q5_k" if f.large and kind in ("q3_k", "q4_k") else kind


def _lowest_kind(mix: str, base: str, rank: str, i: int, f: _Facts) -> str:
    """The types of mixes of two bits and less."""
    better = "iq3_s" if mix in ("iq2_s", "iq2_m") else "q2_k"
    if rank == "v":
        return "q4_k" if f.shared_keys or f.experts >= 4 else better
    if rank == "k" and f.experts == 8:
        return "q4_k"
    if rank == "down" and i < f.layers // 8:
        return better
    if rank == "o" and f.experts == 8:
        return "q5_k"
    if rank == "o" and mix not in ("iq2_xxs", "iq2_xs"):
        return "iq3_s" if mix in ("iq2_s", "iq2_m") else "iq2_xxs"
    return base


def _kind(mix: str, base: str, rank: str, i: int, f: _Facts) -> str:
    """The type of a matrix in a layer, or in the ends of the model."""
    if rank == "output":
        if f.falcon or base == "q8_0":
            return "q8_0"
        return "q5_k" if mix in _LOWEST or mix == "iq3_xxs" else "q6_k"
    if mix == "mxfp4_moe":
        return base
    if rank == "table":
        return _TABLE.get(mix, base)
    if mix in _LOWEST:
        return _lowest_kind(mix, base, rank, i, f)
    if rank in ("v", "k", "q", "qkv", "o"):
        return _attention_kind(mix, base, rank, i, f)
    if rank == "down":
        rule = _DOWN.get(mix)
        return (rule and rule(i, f)) or base
    middle = f.layers // 8 <= i < 7 * f.layers // 8
    return "iq3_xxs" if rank == "wide" and mix == "iq3_xs" and middle else base


def _attention_kind(mix: str, base: str, rank: str, i: int, f: _Facts) -> str:
    """The type of a projection of the attention."""
    if rank == "v":
        return _value_kind(mix, base, i, f)
    if rank == "qkv":
        return _FUSED.get(mix, base)
    if rank == "o" and f.falcon:
        return "q4_k" if mix == "q3_k_l" else base
    if rank == "o":
        eight = "q5_k" if mix in _OUT_OF_EIGHT else base
        return eight if f.experts == 8 else _OUT.get(mix, base)
    return "q8_0" if rank == "k" and f.experts == 8 else _QUERIES.get(mix, base)


def _fitted(kind: str, columns: Expr) -> str:
    """The type, or what rows of that length are stored in instead; symbols are multiples."""
    if not columns.is_Integer or kind in _FLOATS:
        return kind
    if columns % 256 and kind in _FALLBACK:
        kind = _FALLBACK[kind]
    return "fp16" if columns % 32 else kind


@dataclass(frozen=True, kw_only=True)
class _Tensor:
    """A matrix as it stands in a file."""

    key: str
    layer: int
    matrix: Matrix


def _places(model: "Model") -> dict[str, list[int]]:
    """The numbers of the layers of every section.

    Dense layers come before those with experts, and numbered sections one after the other; other
    kinds of layers are spread evenly, as hybrid models have them.
    """
    sections = [
        s for s in model.bound if s.label.startswith("layers") or s.label.endswith("layers")
    ]
    stacks = [[s for s in sections if s.encoder], [s for s in sections if not s.encoder]]
    places: dict[str, list[int]] = {}
    for stack in stacks:
        counts = {s.label: int(s.count) for s in stack}
        listed = set(counts) == {"dense_layers", "expert_layers"} or "layers_1" in counts
        spots = [
            (0 if listed else (2 * j + 1) / (2 * count), at, label)
            for at, (label, count) in enumerate(counts.items())
            for j in range(count)
        ]
        for number, (_, _, label) in enumerate(sorted(spots)):
            places.setdefault(label, []).append(number)
    return places


def _tensors(model: "Model", entries: tuple[Entry, ...]) -> list[_Tensor]:
    """Every matrix of the model, in the order of the layers."""
    places = _places(model)
    tensors = []
    for entry in entries:
        copies = int(entry.copies)
        numbers = places.get(entry.section, [0] * copies)[:copies]
        for matrix in entry.operator.matrices:
            key = f"{matrix.role}_{matrix.part}" if matrix.part else matrix.role
            tensors += [_Tensor(key=key, layer=i, matrix=matrix) for i in numbers]
    return sorted(tensors, key=lambda tensor: tensor.layer)


def _facts(model: "Model", tensors: list[_Tensor]) -> _Facts:
    shapes: dict[str, Matrix] = {}
    for tensor in tensors:
        shapes.setdefault(tensor.key, tensor.matrix)
    layers = max(tensor.layer for tensor in tensors) + 1
    group = 1
    if {"attn_v", "attn_o"} <= set(shapes) and model.family not in _HYBRID:
        ratio = shapes["attn_o"].columns / shapes["attn_v"].rows
        group = int(ratio) if ratio.is_number else 1
    experts = model.values.get(sym.experts, 0)
    return _Facts(
        layers=layers,
        values=sum(_RANKS.get(t.key) in ("v", "qkv") for t in tensors),
        experts=int(experts) if S(experts).is_Integer else 0,
        group=group,
        falcon=model.family == "falcon",
        large=layers == 80
        and model.family in _LLAMAS
        and (group > 1 or model.family not in ("llama", "mistral")),
    )


def _chosen(name: str, tensors: list[_Tensor], f: _Facts) -> dict[str, dict[str, list[Expr]]]:
    """Elements of every role by the type that they are stored in."""
    base, mix = _BASE[name], name.removeprefix("gguf-")
    counted = {"v": 0, "down": 0, "wide": 0}
    found: dict[str, dict[str, list[Expr]]] = {}
    for tensor in tensors:
        key, matrix = tensor.key, tensor.matrix
        rank = _RANKS.get(key, "")
        i = tensor.layer
        if rank == "v" or (rank == "down" and (f.experts <= 1 or mix in _LOWEST)):
            i = counted[rank]
            counted[rank] += 1
        if key in _FP32:
            kind = "fp32"
        elif base in _FLOATS or key in _PLAIN:
            kind = base if base in _FLOATS else "fp16"
        elif mix == "mxfp4_moe" and (matrix.role == "experts" or rank == "kv_b"):
            kind = "mxfp4"
        else:
            kind = _fitted(_kind(mix, base, rank, i, f), matrix.columns)
        found.setdefault(key, {}).setdefault(kind, []).append(matrix.elements)
    return found


def _mixed(kinds: Mapping[str, list[Expr]], formats: Mapping[str, Format]) -> Format:
    """One type, or several with their exact shares of the elements."""
    sums = {formats[kind]: Add(*elements) for kind, elements in kinds.items()}
    total = Add(*sums.values())
    if not all((part / total).is_Rational for part in sums.values()):
        sums = {formats[kind]: S(len(elements)) for kind, elements in kinds.items()}
        total = Add(*sums.values())
    return by_elements(sums, total)


def by_elements(kinds: Mapping[Format, Expr], total: Expr) -> Format:
    """The format of so many values, of which some are stored in each of several formats."""
    if len(kinds) == 1 and total in kinds.values():
        return next(iter(kinds))
    parts = tuple((count / total, kind) for kind, count in kinds.items())
    return Format(
        name="+".join(kind.name for kind in kinds),
        bits=Add(*(share * part.bits_per_value for share, part in parts)),
        parts=parts,
    )


def resolve(weights: str | Format, model: "Model") -> Format:
    """The format of a model's weights: a mix by the quantizer's rules, any other as it is.

    A mix keeps its averages where the layers or the hidden size are symbols, and in models whose
    rows are shorter than half a block.

    >>> from lifesym.huggingface import load_model
    >>> dict(resolve("q4_k_m", load_model("qwen2.5-0.5b")).roles)["mlp_gate"].name
    'q5_0'

    Raises:
        SpecError: an unknown format.
    """
    stored = load_format(weights)
    hidden = S(model.values.get(sym.hidden, sym.hidden))
    entries = model.whole.entries
    numbered = all(entry.copies.is_Integer for entry in entries)
    if stored.name not in _BASE or not numbered or not (hidden.is_Integer and hidden >= 128):
        return stored
    formats = known_formats()
    given = dict(formats[stored.name].roles)
    tensors = _tensors(model, entries)
    chosen = _chosen(stored.name, tensors, _facts(model, tensors))
    found = {tensor.key: tensor.matrix.role for tensor in tensors}
    roles = {key: _mixed(chosen[key], formats) for key in found}
    own = {
        role: kind
        for role, kind in stored.roles
        if given.get(role) != kind and roles.get(role) != kind
    }
    kept = {key: kind for key, kind in roles.items() if found[key] not in own}
    return replace(stored, roles=tuple((kept | own).items()))


def fitted(precision: Precision, model: "Model") -> Precision:
    """The same precision with a mix resolved for the model."""
    return replace(precision, weights=resolve(precision.weights, model))
