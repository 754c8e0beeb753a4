"""What each optimization changes, as formulas of one layer: the table in docs/optimizations.md.

Each row is an optimization applied to one layer of a symbolic Llama (grouped queries, gated MLP)
that computes N new tokens of B sequences after T cached ones; each cell is the new value of a
quantity less the old one.
"""

from collections.abc import Callable
from dataclasses import replace

from sympy import Add, Expr, Rational, factor_terms

from lifesym import symbols as sym
from lifesym.cost import Cost
from lifesym.formats import Format, Precision, symbolic_format
from lifesym.huggingface import example
from lifesym.printing import latex
from lifesym.trace import Trace
from lifesym.transforms import (
    Bottleneck,
    CachePolicy,
    Fusion,
    Lora,
    SequenceParallel,
    TensorParallel,
)

Rewrite = Callable[[Trace], Trace]
COLUMNS = (
    "FLOPs",
    "weight bytes",
    "activation bytes",
    "KV bytes",
    "dispatches",
    "link bytes",
    "memory",
)

REWRITES: dict[str, Rewrite] = {
    "LoRA on queries and values": Lora(rank=sym.rank, targets=("attn_q", "attn_v")),
    "two LoRA adapters in a batch": Lora(rank=sym.rank, targets=("attn_q", "attn_v"), adapters=2),
    "bottleneck adapters": Bottleneck(width=sym.rank),
    "KV budget": CachePolicy(budget=sym.budget),
    "KV budget, tokens ranked": CachePolicy(budget=sym.budget, scored=True),
    "half of the KV cache kept": CachePolicy(keep=Rational(1, 2)),
    "pages of 16 tokens": CachePolicy(page=16),
    "low-rank KV": CachePolicy(rank=sym.rank),
    "KV shared by two layers": CachePolicy(share=2),
    "flash attention": Fusion(rules=("flash",)),
    "fused QKV": Fusion(rules=("qkv",)),
    "fused gate and up": Fusion(rules=("gate_up",)),
    "fused activation": Fusion(rules=("activation",)),
    "fused norms": Fusion(rules=("norm",)),
    "whole layer in one kernel": Fusion(rules=("layer",)),
    "tensor parallel": TensorParallel(devices=sym.devices),
    "and sequence parallel": lambda trace: SequenceParallel(devices=sym.devices)(
        TensorParallel(devices=sym.devices)(trace)
    ),
}
FORMATS: dict[str, dict[str, Format | str]] = {
    "quantized weights": {"weights": Format(name="symbolic", bits=sym.weight_bits)},
    "quantized KV cache": {"kv": symbolic_format("kv")},
}


def layer() -> Trace:
    """One layer of a symbolic Llama."""
    model = replace(example("llama"), values={sym.layers: 1}, context_limit=None)
    return model.forward(sym.batch, sym.new, sym.past).filter(section="layers")


def effects() -> dict[str, tuple[Expr, ...]]:
    """For every optimization the change of each of `COLUMNS`."""
    plain, bf16 = layer(), Precision.of()
    before = _measures(plain, bf16)
    after = {name: _measures(rewrite(plain), bf16) for name, rewrite in REWRITES.items()}
    after |= {name: _measures(plain, Precision.of(**kinds)) for name, kinds in FORMATS.items()}
    return {
        name: tuple(_tidy(new - old) for new, old in zip(values, before, strict=True))
        for name, values in after.items()
    }


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


def _measures(trace: Trace, precision: Precision) -> tuple[Expr, ...]:
    cost: Cost = trace.cost_at(precision)
    roles = trace.weight_roles().items()
    weights = Add(*(precision.weight_bytes(count, role) for role, count in roles))
    cache = precision.kv_bytes(sym.batch * trace.cache_elements(sym.past + sym.new))
    return (
        cost.flops,
        cost.weight_bytes,
        cost.activation_read_bytes + cost.activation_write_bytes,
        cost.kv_read_bytes + cost.kv_write_bytes,
        cost.dispatches,
        cost.network_bytes,
        weights + cache,
    )


def _tidy(expr: Expr) -> Expr:
    """Factored, with what is split over n devices as one factor of 1/n - 1."""
    share = 1 / sym.devices
    split = expr.expand().coeff(share)
    rest = (expr - split * (share - 1)).expand()
    return Add(factor_terms(split) * (share - 1), factor_terms(rest))
