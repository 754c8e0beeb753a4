"""Yuan et al., LLM Inference Unveiled (arXiv 2402.16363): LLM-Viewer's roofline of Llama-2-7B.

Read: the text of section 2.2 as converted by others, in which **table 1 is an image that could not
be read**; and the tool that it is computed with: ``model_analyzer.py`` of hahnyuan/LLM-Viewer
(commit 01b269d), its config of Llama and its figures of an RTX A6000 (154.8 TFLOP/s, 768 GB/s). The
numbers here are what that code gives for the table's case, Llama-2-7B, 2,048 tokens, one sequence,
16 bits: `gallery/data/llm_viewer.csv`. No code of it is here, and none was run.
"""

import csv
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from base import GALLERY, Number, Published, beside
from sympy import Expr, Integer

import lifesym as ls
from lifesym import symbols as sym
from lifesym.formats import Precision
from lifesym.operators import AttentionScores, AttentionValues, Linear, Softmax
from lifesym.roofline import Term

WORK = "LLM Inference Unveiled (2402.16363)"
CODE = "LLM-Viewer, model_analyzer.py"
TOKENS = 2048
LAYERS = 32
PEAK, BANDWIDTH = 1548 * 10**11, 768 * 10**9
S, d, n, kv = sym.new, sym.head_dim, sym.heads, sym.kv_heads
BF16 = Precision.of("bf16", "bf16", "bf16")

NAMES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "out_proj": "attn_o",
    "gate_proj": "mlp_gate",
    "up_proj": "mlp_up",
    "down_proj": "mlp_down",
    "qk_matmul": "attn_qk",
    "softmax": "attn_softmax",
    "sv_matmul": "attn_av",
    "attn_norm": "attn_norm",
    "mlp_norm": "mlp_norm",
    "attn_add": "attn_residual",
    "mlp_add": "mlp_residual",
    "mlp_act": "mlp_act",
    "fused_attention": "attn_core",
}
"""What LLM-Viewer's layers are called in lifesym."""


@dataclass(frozen=True)
class Layer:
    """What LLM-Viewer counts of a layer in a stage."""

    stage: str
    layer: str
    operations: int
    load_weight: int
    load_act: int
    store_act: int
    load_kv_cache: int
    store_kv_cache: int

    @property
    def moved(self) -> int:
        """Bytes in and out of memory."""
        stores = self.store_act + self.store_kv_cache
        return self.load_weight + self.load_act + self.load_kv_cache + stores

    @property
    def seconds(self) -> float:
        """By its roofline."""
        return max(self.operations / PEAK, self.moved / BANDWIDTH)


@cache
def layers() -> tuple[Layer, ...]:
    """The rows of ``data/llm_viewer.csv``."""
    counts = [each.name for each in fields(Layer)][2:]
    with (GALLERY / "data" / "llm_viewer.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(Layer(**{**row, **{name: int(row[name]) for name in counts}}) for row in rows)


@cache
def device() -> ls.Hardware:
    """One rate for all operations, one bandwidth, no time to start a kernel."""
    units = {"fp16": Integer(PEAK)}
    return ls.Hardware(
        name="A6000", kind="gpu", matrix=units, vector=units, bandwidth=Integer(BANDWIDTH)
    )


@cache
def terms(stage: str, engine: str = "eager", **more: Any) -> dict[str, Term]:
    """Lifesym's, all layers together; a decode step reads as many keys as LLM-Viewer's does."""
    f = ls.forecast(
        "llama-2-7b", device(), TOKENS, 2, engine=engine, weights="fp16", kv="fp16", **more
    )
    found = f.ttft.terms if stage == "prefill" else f.tpot.terms
    at = {sym.past: Integer(TOKENS - 1)}
    return {term.name: term.map(lambda expr: expr.xreplace(at)) for term in found}


def term(row: Layer) -> Term:
    """Lifesym's of the same layer."""
    fused = row.layer == "fused_attention"
    engine = {"engine": "ideal", "tile": 128, "causal": "full"} if fused else {}
    return terms(row.stage, **engine)[NAMES[row.layer]]


def operations(row: Layer) -> float:
    """Of one layer: products, or where there are none everything else."""
    cost = term(row).cost
    done = cost.matmul_flops if row.layer.endswith("matmul") else cost.flops
    return float(done / LAYERS)


def moved(row: Layer) -> float:
    """Bytes that one layer moves."""
    return float(term(row).cost.bytes / LAYERS)


def seconds(stage: str) -> float:
    """Of all layers without embedding and head."""
    return float(sum(each.busy for each in terms(stage).values() if each.section == "layers"))


SCORES = {"batch": 1, "heads": n, "kv_heads": n, "head_dim": d}
OF_A_PROMPT = SCORES | {"new": S, "keys": S, "pairs": S**2}
GROUPED = {"new_tokens": (1024, 8192), "heads": (32, 128)}
"""Prompts and heads; eight of keys and values, of 128 values each."""


def scores(heads: Expr = n) -> Expr:
    """Bytes of a prompt's scores: queries, keys, and the square."""
    return AttentionScores(**OF_A_PROMPT | {"kv_heads": heads}).cost(BF16).bytes


FORMULAS = (
    Published(
        work=WORK,
        where=CODE,
        what="bytes of a linear layer, 2 (i o + i s + o s); operations 2 i o s, as LIFE's",
        mine=Linear(tokens=S, in_features=sym.hidden, out_features=sym.intermediate, role="linear")
        .cost(BF16)
        .bytes,
        theirs=2 * (sym.hidden * sym.intermediate + sym.hidden * S + sym.intermediate * S),
    ),
    Published(
        work=WORK,
        where=CODE,
        what="operations of a prompt's scores, 2 s^2 d n",
        mine=AttentionScores(**OF_A_PROMPT).cost(BF16).matmul_flops,
        theirs=2 * S**2 * d * n,
    ),
    Published(
        work=WORK,
        where=CODE,
        what="bytes of them, 2 (s^2 n + 2 s d k) for k heads of keys: where k = n",
        mine=scores(),
        theirs=2 * (S**2 * n + 2 * S * d * n),
    ),
    Published(
        work=WORK,
        where=CODE,
        what="the same for grouped queries, k = 8",
        mine=beside(
            scores(Integer(8)).xreplace({d: Integer(128)}),
            2 * (S**2 * n + 2 * S * 128 * 8),
        ),
        theirs=Integer(1),
        over=GROUPED,
        within=0.16,
        reason="a slip: queries are counted as keys, of which there are fewer",
    ),
    Published(
        work=WORK,
        where=CODE,
        what="operations of a prompt's softmax, 5 s^2 n",
        mine=Softmax(elements=n * S**2).cost(BF16).flops,
        theirs=5 * S**2 * n,
    ),
    Published(
        work=WORK,
        where=CODE,
        what="bytes of a prompt's product with values, 2 (s^2 n + s d n + s d k)",
        mine=AttentionValues(**OF_A_PROMPT | {"kv_heads": kv}).cost(BF16).bytes,
        theirs=2 * (S**2 * n + S * d * n + S * d * kv),
    ),
)

ALIKE = ("v_proj", "out_proj", "up_proj", "mlp_norm", "mlp_add")
"""What another layer has already."""
WHY = {
    ("attn_norm", "operations"): (0.43, "LayerNorm's 7 a value; Llama's RMSNorm has 4"),
    ("attn_norm", "moved"): (0.51, "weights of the norm, which are left out"),
    ("attn_add", "moved"): (0.51, "a slip: one of the two operands is read"),
    ("mlp_act", "operations"): (
        5.8,
        "a slip: it has 11,008 values, not 4,096; SiLU and the product are 5 operations, not 2",
    ),
    ("mlp_act", "moved"): (1.7, "a slip: it has 11,008 values, not 4,096"),
    ("fused_attention", "moved"): (
        0.97,
        "a slip: the output has as many values as there are keys, and of keys and values only one "
        "is read",
    ),
}
"""Shares, and why lifesym's are not the same."""
BESIDES = (
    "kernels that turn positions and store keys and values, 5.6 ms, which it leaves out; its slips "
    "are another 4.9 ms"
)


def _number(row: Layer, of: str) -> Number:
    within, reason = WHY.get((row.layer, of), (0.002, ""))
    mine, unit = {"operations": (operations, "operations"), "moved": (moved, "bytes")}[of]
    return Number(
        work=WORK,
        where=f"{CODE}: {row.stage}",
        what=f"{row.layer} ({unit})",
        published=getattr(row, of),
        mine=lambda: mine(row),
        within=within,
        reason=reason,
        refuted="a slip" in reason,
    )


NUMBERS = (
    *(
        _number(row, of)
        for row in layers()
        if row.layer not in ALIKE
        for of in ("operations", "moved")
    ),
    *(
        Number(
            work=WORK,
            where=f"{CODE}: {stage}",
            what="all layers on an A6000 (s)",
            published=LAYERS
            * sum(
                row.seconds
                for row in layers()
                if row.stage == stage and row.layer != "fused_attention"
            ),
            mine=lambda stage=stage: seconds(stage),
            within=0.047 if stage == "prefill" else 0.0004,
            reason=BESIDES if stage == "prefill" else "",
        )
        for stage in ("prefill", "decode")
    ),
)
