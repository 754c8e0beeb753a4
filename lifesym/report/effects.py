"""What each optimization changes, as formulas of one layer: the table in docs/optimizations.md.

Each row is an optimization applied to one layer of a symbolic Llama (grouped queries, gated MLP)
that computes N new tokens of B sequences after T cached ones; each cell is the new value of a
quantity less the old one. What changes the passes rather than the layer is in `report.passes`.
"""

from collections.abc import Callable

from sympy import Add, Dummy, Expr, Rational, factor, factor_terms

from lifesym import symbols as sym
from lifesym.formats import Format, Precision, symbolic_format
from lifesym.nodes import CeilDiv
from lifesym.printing import latex
from lifesym.remainders import LastChunk
from lifesym.report.passes import COLUMNS, EXPECTED, PASSES, layer, measures, one_pass
from lifesym.serving import expected_tokens
from lifesym.trace import Trace
from lifesym.transforms import (
    Apart,
    Bottleneck,
    CacheCopies,
    CachePolicy,
    Fusion,
    Lora,
    ScorePasses,
    SequenceParallel,
    TensorParallel,
)

Rewrite = Callable[[Trace], Trace]
REWRITES: dict[str, Rewrite] = {
    "LoRA on queries and values": Lora(rank=sym.rank, targets=("attn_q", "attn_v")),
    "two LoRA adapters in a batch": Lora(rank=sym.rank, targets=("attn_q", "attn_v"), adapters=2),
    "merged in every pass": Lora(rank=sym.rank, targets=("attn_q", "attn_v"), merged="inline"),
    "bottleneck adapters": Bottleneck(width=sym.rank),
    "KV budget": CachePolicy(budget=sym.budget),
    "KV budget, tokens ranked": CachePolicy(budget=sym.budget, scored=True),
    "half of the KV cache kept": CachePolicy(keep=Rational(1, 2)),
    "pages of 16 tokens": CachePolicy(page=16),
    "low-rank KV": CachePolicy(rank=sym.rank),
    "flash attention": Fusion(rules=("flash",)),
    "fused QKV": Fusion(rules=("qkv",)),
    "fused gate and up": Fusion(rules=("gate_up",)),
    "fused activation": Fusion(rules=("activation",)),
    "fused norms": Fusion(rules=("norm",)),
    "whole layer in one kernel": Fusion(rules=("layer",)),
    "cache concatenated": CacheCopies(concatenated=True),
    "cache repeated over heads": CacheCopies(repeated="heads"),
    "gates apart": Apart(),
    "five passes over scores": ScorePasses(passes=5),
    "tensor parallel": TensorParallel(devices=sym.devices),
    "and sequence parallel": lambda trace: SequenceParallel(devices=sym.devices)(
        TensorParallel(devices=sym.devices)(trace)
    ),
}
FORMATS: dict[str, dict[str, Format | str]] = {
    "quantized weights": {"weights": Format(name="symbolic", bits=sym.weight_bits)},
    "quantized KV cache": {"kv": symbolic_format("kv")},
}


def effects() -> dict[str, tuple[Expr, ...]]:
    """For every optimization the change of each of `COLUMNS`."""
    plain, bf16 = layer(), Precision.of()
    before = measures(plain, bf16)
    changed = {name: rewrite(one_pass()) for name, rewrite in REWRITES.items()}
    after = {n: measures(trace.filter(section="layers"), bf16) for n, trace in changed.items()}
    after |= {name: measures(plain, Precision.of(**kinds)) for name, kinds in FORMATS.items()}
    changes = {
        name: [new - old for new, old in zip(values, before, strict=True)]
        for name, values in after.items()
    }
    found = {name: tuple(map(_tidy, values)) for name, values in changes.items()}
    return found | {name: tuple(map(_grouped, change())) for name, change in PASSES.items()}


def effects_table() -> str:
    """The table in Markdown, one block an optimization: a line each quantity that changes."""
    lines = ["| optimization | quantity | change |", "|---|---|---|"]
    for name, changes in effects().items():
        shown = name
        for column, change in zip(COLUMNS, changes, strict=True):
            if change != 0:
                lines.append(f"| {shown} | {column} | ${latex(change)}$ |")
                shown = ""
    return "\n".join(lines)


def _tidy(expr: Expr) -> Expr:
    """Factored, with what is split over n devices as one factor of 1/n - 1."""
    split, rest = _parted(expr, 1 / sym.devices)
    return Add(factor_terms(split) * (1 / sym.devices - 1), factor_terms(rest))


def _grouped(expr: Expr) -> Expr:
    """Factored in full; with what is split, or runs as often as tokens are expected, as factors."""
    nodes = {node: Dummy(positive=True) for node in expr.atoms(CeilDiv, LastChunk)}
    plain = expr.xreplace(nodes)
    factors = {}
    for unit in (1 / sym.devices, EXPECTED):
        factors[unit], plain = _parted(plain, unit)
    grouped = Add(*(factor(part) * (unit - 1) for unit, part in factors.items()), factor(plain))
    back = {dummy: node for node, dummy in nodes.items()} | {EXPECTED: expected_tokens()}
    return grouped.xreplace(back)


def _parted(expr: Expr, unit: Expr) -> tuple[Expr, Expr]:
    """What is multiplied by ``unit``, and the rest when that is taken as often as ``unit - 1``."""
    split = expr.expand().coeff(unit)
    return split, (expr - split * (unit - 1)).expand()
