"""Published formulas beside lifesym's own: what is compared, with its source and the verdict.

A row's ``mine`` is derived by lifesym from operators; ``theirs`` is typed from the paper.
"""

from collections.abc import Callable
from typing import Any

import life
import llm_viewer
import partitioning
import speculation
from base import Published, beside
from sympy import Expr, Integer, Rational, cancel

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis.agreement import counted
from lifesym.formats import Precision, shared_exponent
from lifesym.levels import Level
from lifesym.model import Model
from lifesym.nodes import CeilDiv, Maximum
from lifesym.operators import (
    AdapterMerge,
    AttentionScores,
    AttentionValues,
    Experts,
    Linear,
    Routing,
)
from lifesym.operators.fused import chain
from lifesym.roofline import Term
from lifesym.serving import Spoke, around_hub
from lifesym.serving.batching import mean_over_steps
from lifesym.serving.flow import Flow
from lifesym.sums import sum_over
from lifesym.symbols import index
from lifesym.training import TrainingStep
from lifesym.transforms import Bottleneck

B, S, T = sym.batch, sym.prompt, sym.past
h, n, d, kv = sym.hidden, sym.heads, sym.head_dim, sym.kv_heads
L, V, P, f = sym.layers, sym.vocab, sym.positions, sym.intermediate
PAPERS_OWN = {d: h / n, f: 4 * h}
"""What GPT's formulas take for granted: heads share the hidden size, the MLP is four times it."""


GPT = Model.symbolic("gpt2")


def of_gpt(of: str, **sizes: Any) -> Callable[..., Expr]:
    """A count of GPT-2's form with the papers' sizes, as a function of conventions."""
    count = counted(GPT, of, **sizes)

    def made(
        *,
        causal: str = "full",
        logits: str = "last",
        elementwise: bool = True,
        scores: bool = True,
        final_norm: bool = True,
        embedding: bool = True,
    ) -> Expr:
        given = {"causal": causal, "logits": logits, "elementwise": elementwise}
        given |= {"scores": scores, "final_norm": final_norm, "embedding": embedding}
        return count(**given).xreplace(PAPERS_OWN).expand()

    return made


def per_token(count: Callable[..., Expr]) -> Callable[..., Expr]:
    """A count of a prompt for each of its tokens, with logits of them all."""

    def made(*, causal: str = "full") -> Expr:
        return (count(causal=causal, logits="all") / S).expand()

    return made


def layers_alone(count: Callable[..., Expr]) -> Expr:
    """A count without what is done once: no logits are computed."""
    return (count(logits="none") / L).expand()


def cached(family: str, **given: Any) -> Expr:
    """Bytes a token in the cache, at two bytes a value."""
    return Model.symbolic(family).kv_bytes_per_token("bf16", **given)


def in_a_pass(which: str, past: int | None = None) -> tuple[Expr, Expr]:
    """A time of Llama-2-7B by lifesym, and LIFE's, in one set of symbols."""
    of, mine, theirs = life.passed(past)
    each = (made.get(which, Integer(0)) for made in (mine, theirs))
    one, other = (life.in_lifesyms(expr, of) for expr in each)
    return one, other


MIXTRAL = Experts(
    tokens=B,
    experts=sym.experts,
    active=sym.active_experts,
    hidden=h,
    intermediate=f,
    gated=True,
    activation="silu",
)

ADAPTER = sum(
    matrix.rows * matrix.columns
    for matrix in AdapterMerge(in_features=h, out_features=f, rank=sym.rank).matrices
)

TRAINED = {"model": GPT, "hardware": ls.Hardware.symbolic(), "engine": "eager", "causal": "full"}
MEGATRON = "Korthikanti et al., Reducing Activation Recomputation (2205.05198)"
s, t, p, m, v = sym.sequence, sym.devices, sym.stages, sym.microbatches, sym.model_chunks
ON_A_DEVICE = 1 + sym.past
"""Heads on each of t devices, one or more: with fewer heads than devices it is another formula."""
DIVIDED = {n: t * ON_A_DEVICE, h: t * sym.rank, s: t * sym.new}
"""Sizes that devices divide."""


def trained(**options: Any) -> TrainingStep:
    """A step of GPT, with kernels for every operator."""
    return ls.training_step(sequence=s, batch=B, **TRAINED, **options)


def kept(**options: Any) -> Expr:
    """Bytes that a layer keeps for its gradients, in 16 bits, whose sizes devices divide."""
    layer = trained(dropout=True, **options).held_by_place["layers"] / L
    sizes = DIVIDED if "tensor_parallel" in options else {}
    made = layer.xreplace(PAPERS_OWN).xreplace(sizes).doit()
    return made.replace(CeilDiv, shared).expand()


def shared(whole: Expr, devices: Expr) -> Expr:
    """The part of each device, where it is whole whatever the sizes are."""
    part = cancel(whole / devices)
    return part if part.is_polynomial() else CeilDiv(whole, devices)


def of_a_part(formula: Expr) -> Expr:
    """A formula with sizes that devices divide."""
    return formula.xreplace(DIVIDED).expand()


def operations(**options: Any) -> Expr:
    """Of all devices in a step of one replica."""
    return trained(microbatches=m, **options).flops.expr.xreplace(PAPERS_OWN)


def added() -> Expr:
    """What selective recomputation adds, as a share of the model's operations."""
    return operations(recompute="selective") / operations() - 1


GPT_3 = {h: 12288, L: 96, V: 51200}
"""Sizes of the paper's model of 175 billion parameters."""


def states(sharded: str, replicas: Expr) -> Expr:
    """Bytes a parameter of weights, gradients in 16 bits, and Adam."""
    formats = {"weights": "fp16", "activations": "fp16", "gradients": "fp16"}
    model = ls.load_model("gpt2")
    step = ls.training_step(
        model, ls.Hardware.symbolic(), 128, data_parallel=replicas, sharded=sharded, **formats
    )
    parts = {part.name: part.value for part in step.stages_held[0].parts}
    held = sum(parts[name] for name in ("weights", "gradients", "optimizer"))
    return (held / model.parameters).expand()


def bubble(pieces: Expr) -> Expr:
    """The part of a step of equal stages in which they wait, over that in which they work."""
    even = {"embed": Integer(0), "head": Integer(0), "layers": p}
    flow = Flow.equal(even, p, Integer(0), overlap=False)
    return (flow.added - flow.slowest) / pieces / (m * flow.slowest)


def distinct() -> Expr:
    """Experts that at least one of so many tokens chooses."""
    return Routing().distinct(sym.experts, sym.active_experts, B)


TILE = sym.tile
TILES = sym.chunk
"""How many tiles of queries there are: any number."""


def fetched() -> Expr:
    """Keys and values that one head in one kernel reads, once a tile of M/(4 d) queries."""
    new = TILES * TILE
    sizes = {"batch": 1, "heads": 1, "kv_heads": 1, "head_dim": d}
    sizes |= {"new": new, "keys": new, "pairs": new**2}
    parts = (AttentionScores(**sizes), AttentionValues(**sizes))
    kernel = chain(parts, rereads=TILES)
    return kernel.cost(Precision.of("int8", "int8", "int8")).kv_read_bytes


def around() -> tuple[Term, ...]:
    """What a device around a hub does for a prompt with one of Mixtral's experts."""
    device = ls.Hardware.symbolic()
    f = ls.forecast(Model.symbolic("mixtral"), device, S, 1)
    rate = sym.link_bandwidth
    rest = Spoke(hardware=device, down=rate, up=rate, experts=sym.experts - 1)
    return around_hub(f, [Spoke(hardware=device, down=rate, up=rate), rest]).by_device(S)[0]


STREAMED = Model.symbolic("mixtral")
LENS = "MoE-Lens (2504.09345)"
ADAPTED = sum(
    entry.operator.parameters
    for entry in Bottleneck(width=sym.adapter_width)(Model.symbolic("albert").forward(1, 1, 0))
    if entry.origin == "adapter"
)
"""Learned values of a layer's two adapters."""
PME = {"prompt": (64, 2048), "generated": (16, 512)}
"""Lengths over which its formulas are bounded."""
WIDE = {"expert_intermediate": (1024, 32768)}
"""Experts from narrow to wide, of a model that is otherwise Mixtral-8x7B."""
AS_MIXTRAL = {h: 4096, n: 32, kv: 8, sym.experts: 8, sym.active_experts: 2}


def intensity(tokens: Expr = sym.new) -> Expr:
    """Operations a byte of a layer's products, whose weights are all read, for n tokens."""
    products = ("attn_q", "attn_k", "attn_v", "attn_o", "moe_experts")
    entries = [e.operator for e in STREAMED.forward(1, tokens, 0) if e.name in products]
    done = sum(each.cost(Precision.of()).matmul_flops for each in entries)
    read = sum(2 * matrix.elements for each in entries for matrix in each.matrices)
    return (done / read).xreplace({d: h / n})


def slots_of(tokens: Callable[[Expr], Expr]) -> Expr:
    """The mean over a request's steps of a function of the tokens that it keeps then."""
    f = ls.forecast("mixtral-8x7b", ls.Hardware.symbolic(), S, sym.generated)
    return mean_over_steps(f, tokens)


def in_host_memory() -> tuple[Expr, Expr]:
    """Bytes of a decode step that a host's memory serves, and those of the cache and the weights.

    The cache stays where the host computes attention; all weights cross a link.
    """
    host = Level(
        name="host",
        bandwidth=150 * 10**9,
        link=195 * 10**8,
        weights=1,
        experts=1,
        kv=1,
        computes=("attn",),
        peaks=10**13,
    )
    model = ls.load_model("mixtral-8x7b")
    given = {"levels": [host], "overlap": "pass", "fusion": "full"}
    f = ls.forecast(model, ls.Hardware.symbolic(), S, 2, B, routing=Routing(kind="all"), **given)
    (term,) = f.tpot.terms
    served = term.work[1].bytes.xreplace({sym.peak: Integer(1)})
    return served, B * T * model.kv_bytes_per_token("bf16") + model.weight_bytes("bf16")


FORMULAS: tuple[Published, ...] = (
    Published(
        work="Kaplan et al., Scaling Laws (2001.08361)",
        where="Eq. 2.1",
        what="non-embedding parameters, N = 12 L h^2",
        mine=of_gpt("parameters"),
        theirs=12 * L * h**2,
        conventions=("products alone, and their matrices", "without the embedding"),
    ),
    Published(
        work="Kaplan et al., Scaling Laws (2001.08361)",
        where="Eq. 2.2",
        what="operations of a token forward, 2 N + 2 L n_ctx h, and its logits",
        mine=per_token(of_gpt("matmul_flops", new=S))(causal="exact"),
        theirs=24 * L * h**2 + 2 * L * S * h + 2 * h * V,
        over={
            "prompt": (1024, 8192),
            "hidden": (768, 12288),
            "layers": (12, 96),
            "vocab": (50257, 204800),
        },
        within=1.1e-4,
        reason="the mask leaves (S + 1)/2 scores a token, not S/2: 2 L h more",
    ),
    Published(
        work="Narayanan et al., Megatron-LM (2104.04473)",
        where="Eq. 2",
        what="parameters, 12 L h^2 (1 + 13/(12 h) + (V + s)/(12 L h))",
        mine=of_gpt("parameters"),
        theirs=12 * L * h**2 * (1 + Rational(13, 12) / h + (V + P) / (12 * L * h)),
        conventions=("without the final norm",),
    ),
    Published(
        work="Narayanan et al., Megatron-LM (2104.04473)",
        where="appendix, forward pass",
        what="24 B s L h^2 + 4 B s^2 L h, and 2 B s h V of the logits",
        mine=of_gpt("matmul_flops", batch=B, new=S),
        theirs=24 * B * S * L * h**2 * (1 + S / (6 * h)) + 2 * B * S * h * V,
        conventions=("logits of every token",),
    ),
    Published(
        work="Korthikanti et al., Reducing Activation Recomputation (2205.05198)",
        where="appendix A",
        what="forward pass of a layer, 24 b s h^2 + 4 b s^2 h",
        mine=layers_alone(of_gpt("matmul_flops", batch=B, new=S)),
        theirs=24 * B * S * h**2 + 4 * B * S**2 * h,
    ),
    Published(
        work="Chowdhery et al., PaLM (2204.02311)",
        where="appendix B",
        what="a third of 6 N + 12 L H Q T: operations of a token forward",
        mine=per_token(of_gpt("matmul_flops", new=S)),
        theirs=2 * (12 * L * h**2 + h * V) + 4 * L * h * S,
    ),
    Published(
        work="Chowdhery et al., PaLM (2204.02311)",
        where="appendix B",
        what="model FLOPs utilization, tokens a second times (6 N + 12 L H Q T) over the peak",
        mine=trained(microbatches=m).mfu.expr.xreplace(PAPERS_OWN),
        theirs=(
            (m * B * s / trained(microbatches=m).time.expr)
            * (6 * (12 * L * h**2 + h * V) + 12 * L * h * s)
            / sym.peak
        ).xreplace(PAPERS_OWN),
    ),
    Published(
        work="DeepSeek-AI, DeepSeek-V2 (2405.04434)",
        where="table 1",
        what="cached values of multi-head attention, 2 n_h d_h L",
        mine=cached("llama").xreplace({kv: n}) / 2,
        theirs=2 * n * d * L,
    ),
    Published(
        work="DeepSeek-AI, DeepSeek-V2 (2405.04434)",
        where="table 1",
        what="cached values of multi-query attention, 2 d_h L",
        mine=cached("llama").xreplace({kv: Integer(1)}) / 2,
        theirs=2 * d * L,
    ),
    Published(
        work="DeepSeek-AI, DeepSeek-V2 (2405.04434)",
        where="table 1",
        what="cached values of grouped queries, 2 n_g d_h L",
        mine=cached("llama") / 2,
        theirs=2 * kv * d * L,
    ),
    Published(
        work="DeepSeek-AI, DeepSeek-V2 (2405.04434)",
        where="table 1",
        what="cached values of latent attention, (d_c + d_h^R) L",
        mine=cached("deepseek_v2") / 2,
        theirs=(sym.kv_rank + sym.rope_dim) * L,
    ),
    Published(
        work="Shazeer, Fast Transformer Decoding (1911.02150)",
        where="section 3",
        what="keys and values of multi-query attention: 1/h of those of h heads",
        mine=cached("llama").xreplace({kv: Integer(1)}) / cached("llama").xreplace({kv: n}),
        theirs=1 / n,
    ),
    Published(
        work="WDMoE (2411.06681)",
        where="abstract, in words",
        what="bytes of a layer to and from the device of one of E experts, 4 k s h/E",
        mine=sum(term.cost.network_bytes for term in around()) / L,
        theirs=4 * sym.active_experts * S * h / sym.experts,
    ),
    Published(
        work="WDMoE (2411.06681)",
        where="abstract, in words",
        what="transmission plus inference of it, (k s/E) (4 h/R + 6 h f/C)",
        mine=sum(term.network + term.cost.matmul_flops / sym.peak for term in around()) / L,
        theirs=sym.active_experts
        * S
        / sym.experts
        * (4 * h / sym.link_bandwidth + 6 * h * sym.expert_intermediate / sym.peak),
    ),
    Published(
        work="LIFE (2508.00904)",
        where="table 1",
        what="operations of a linear operator, 2 m k n",
        mine=Linear(tokens=B, in_features=h, out_features=f, role="linear")
        .cost(Precision.of())
        .matmul_flops,
        theirs=2 * B * h * f,
    ),
    Published(
        work="LIFE (2508.00904)",
        where="table 1",
        what="elements moved by it, m k + k n + m n; LIFE adds n of the bias",
        mine=Linear(tokens=B, in_features=h, out_features=f, role="linear", bias=True)
        .cost(Precision.of("bf16", "bf16", "bf16"))
        .bytes
        / 2,
        theirs=B * h + h * f + f + B * f,
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 1",
        what="t_c: sum of operations over ec TOPS, by operator, and dispatches",
        mine=in_a_pass("t_c")[0],
        theirs=in_a_pass("t_c")[1],
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 2",
        what="t_m: sum of bytes over em BW, by operator, and dispatches",
        mine=in_a_pass("t_m")[0],
        theirs=in_a_pass("t_m")[1],
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 3",
        what='TTFT, the larger of both: `overlap="pass"`',
        mine=in_a_pass("time")[0],
        theirs=Maximum(in_a_pass("t_c")[1], in_a_pass("t_m")[1]),
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 4 and 5",
        what="TPOT of memory and dispatches alone: where computing takes no longer",
        mine=in_a_pass("t_m", 2048)[0],
        theirs=in_a_pass("TPOT", 2048)[1],
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 6",
        what="TPS, 1/TPOT: of the mean step",
        mine=life.passed(2048)[0].tps.expr,
        theirs=1 / life.passed(2048)[0].tpot.mean.expr,
    ),
    Published(
        work="Anda (2411.15982)",
        where="section III",
        what="bits a value, M + 1 + 5/64",
        mine=shared_exponent(sym.mantissa_bits, 5, 64).bits_per_value,
        theirs=sym.mantissa_bits + 1 + Rational(5, 64),
    ),
    Published(
        work="LIFE (2508.00904)",
        where="Eq. 7, table 12",
        what="merging an adapter in line, k n (2 r + 2)",
        mine=AdapterMerge(in_features=h, out_features=f, rank=sym.rank).cost(Precision.of()).flops,
        theirs=h * f * (2 * sym.rank + 2),
    ),
    Published(
        work="Hu et al., LoRA (2106.09685)",
        where="section 4.1",
        what="parameters of an adapter, r (k + n)",
        mine=ADAPTER,
        theirs=sym.rank * (h + f),
    ),
    Published(
        work="Jiang et al., Mixtral (2401.04088)",
        where="section 2.1",
        what="operations of k experts of a token, 6 k h f",
        mine=MIXTRAL.cost(Precision.of()).matmul_flops / B,
        theirs=6 * sym.active_experts * h * f,
    ),
    Published(
        work="Kaplan et al., Scaling Laws (2001.08361)",
        where="section 2.1",
        what="operations of training, 6 N a token beside those of the context",
        mine=(operations() / (m * B * s)).expand().coeff(s, 0),
        theirs=6 * (12 * L * h**2 + h * V),
    ),
    Published(
        work="Narayanan et al., Megatron-LM (2104.04473)",
        where="Eq. 3",
        what="operations of a step with recomputation, 96 B s L h^2 (1 + s/(6 h) + V/(16 L h))",
        mine=operations(recompute="full"),
        theirs=96 * m * B * s * L * h**2 * (1 + s / (6 * h) + V / (16 * L * h)),
    ),
    Published(
        work="Narayanan et al., Megatron-LM (2104.04473)",
        where="section 2.2.1",
        what="bubble of GPipe and 1F1B over the ideal time, (p - 1)/m",
        mine=bubble(Integer(1)),
        theirs=(p - 1) / m,
    ),
    Published(
        work="Narayanan et al., Megatron-LM (2104.04473)",
        where="section 2.2.2",
        what="bubble of an interleaved schedule, (p - 1)/(v m)",
        mine=bubble(v),
        theirs=(p - 1) / (v * m),
    ),
    Published(
        work=MEGATRON,
        where="Eq. 1",
        what="activations of a layer, s b h (34 + 5 a s/h)",
        mine=kept(),
        theirs=s * B * h * (34 + 5 * n * s / h),
    ),
    Published(
        work=MEGATRON,
        where="Eq. 2",
        what="with tensor parallelism, s b h (10 + 24/t + 5 a s/(h t))",
        mine=kept(tensor_parallel=t),
        theirs=of_a_part(s * B * h * (10 + 24 / t + 5 * n * s / (h * t))),
    ),
    Published(
        work=MEGATRON,
        where="Eq. 4",
        what="with tensor and sequence parallelism, (s b h/t) (34 + 5 a s/h)",
        mine=kept(tensor_parallel=t, sequence_parallel=True),
        theirs=of_a_part(s * B * h / t * (34 + 5 * n * s / h)),
    ),
    Published(
        work=MEGATRON,
        where="table 2",
        what="with tensor parallelism and selective recomputation, s b h (10 + 24/t)",
        mine=kept(tensor_parallel=t, recompute="selective"),
        theirs=of_a_part(s * B * h * (10 + 24 / t)),
    ),
    Published(
        work=MEGATRON,
        where="Eq. 6",
        what="a layer with both parallelisms and selective recomputation, 34 s b h/t",
        mine=kept(tensor_parallel=t, sequence_parallel=True, recompute="selective"),
        theirs=of_a_part(34 * s * B * h / t),
    ),
    Published(
        work=MEGATRON,
        where="Eq. 7",
        what="operations of the model in a step, 72 B L s h^2 (1 + s/(6 h) + v/(12 h L))",
        mine=operations() / m,
        theirs=72 * B * L * s * h**2 * (1 + s / (6 * h) + V / (12 * h * L)),
    ),
    Published(
        work=MEGATRON,
        where="appendix A, in words",
        what="selective recomputation adds 2 B s^2 h of scores and 2 B s^2 h of values a layer",
        mine=(operations(recompute="selective") - operations()) / m,
        theirs=4 * B * s**2 * h * L,
    ),
    Published(
        work=MEGATRON,
        where="Eq. 8",
        what="operations of the hardware, 72 B L s h^2 (1 + s/(3 h) + v/(12 h L))",
        mine=beside(
            (operations(recompute="selective") / m).xreplace(GPT_3),
            (72 * B * L * s * h**2 * (1 + s / (3 * h) + V / (12 * h * L))).xreplace(GPT_3),
        ),
        theirs=Integer(1),
        over={"sequence": (1024, 4096)},
        within=0.035,
        reason="a slip: the words before it give 2 s/(9 h), not s/(3 h)",
    ),
    Published(
        work=MEGATRON,
        where="Eq. 9",
        what="operations that it adds, s/(6 h) of the model's: 2.7 % of GPT-3's",
        mine=beside((added() / (s / (6 * h))).xreplace(GPT_3), Integer(1)),
        theirs=Integer(1),
        over={"sequence": (1024, 4096)},
        within=0.71,
        reason="a slip, by Eq. 8: it is s/(18 h) before what is left out, 0.9 % of GPT-3's",
    ),
    Published(
        work=MEGATRON,
        where="section 5",
        what="with selective recomputation, 34 s b h",
        mine=kept(recompute="selective"),
        theirs=34 * s * B * h,
    ),
    Published(
        work=MEGATRON,
        where="table 2",
        what="with full recomputation, 2 s b h",
        mine=kept(recompute="full"),
        theirs=2 * s * B * h,
    ),
    Published(
        work=MEGATRON,
        where="section 4.3",
        what="activations of the head, 4 s b h (1 + V/h)",
        mine=trained().held_by_place["head"],
        theirs=4 * s * B * h * (1 + V / h),
    ),
    Published(
        work="Rajbhandari et al., ZeRO (1910.02054)",
        where="section 5",
        what="bytes a parameter with the optimizer split, 4 + 12/N",
        mine=states("optimizer", sym.replicas),
        theirs=4 + 12 / sym.replicas,
    ),
    Published(
        work="Rajbhandari et al., ZeRO (1910.02054)",
        where="section 5",
        what="with the gradients split too, 2 + 14/N",
        mine=states("gradients", sym.replicas),
        theirs=2 + 14 / sym.replicas,
    ),
    Published(
        work="Rajbhandari et al., ZeRO (1910.02054)",
        where="section 5",
        what="with all split, 16/N",
        mine=states("weights", sym.replicas),
        theirs=16 / sym.replicas,
    ),
    Published(
        work="Jiang et al., Mixtral (2401.04088)",
        where="section 2.1, by counting",
        what="experts that m tokens choose, E (1 - (1 - k/E)^m)",
        mine=distinct(),
        theirs=sym.experts * (1 - (1 - sym.active_experts / sym.experts) ** B),
    ),
    Published(
        work="Dao et al., FlashAttention (2205.14135)",
        where="Theorem 2",
        what="accesses, of the order N^2 d^2/M: of keys and values 8 N^2 d^2/M in whole tiles",
        mine=fetched(),
        theirs=8 * (TILES * TILE) ** 2 * d**2 / (4 * d * TILE),
    ),
    Published(
        work=LENS,
        where="Eq. 1, first form",
        what="operations a byte, n (6 Nk h hi + 4 h^2 + 4 h^2/s)/(6 Ne h hi + 4 h^2 + 4 h^2/s)",
        mine=intensity(),
        theirs=sym.new
        * (6 * sym.active_experts * h * sym.expert_intermediate + 4 * h**2 + 4 * h**2 * kv / n)
        / (6 * sym.experts * h * sym.expert_intermediate + 4 * h**2 + 4 * h**2 * kv / n),
    ),
    Published(
        work=LENS,
        where="Eq. 1, second form",
        what="the same, n (6 m Nk + 2 + 2/s)/(6 m Ne + 2 + 2/s) with hi = m h",
        mine=beside(
            intensity(Integer(1)).xreplace(AS_MIXTRAL),
            (12 * sym.expert_intermediate / 4096 + Rational(5, 2))
            / (48 * sym.expert_intermediate / 4096 + Rational(5, 2)),
        ),
        theirs=Integer(1),
        over=WIDE,
        within=0.25,
        reason="a slip: the first form divided by 2 h^2 has 3 m, not 6 m",
    ),
    Published(
        work=LENS,
        where="Eq. 1, as its first form gives it",
        what="n (3 m Nk + 2 + 2/s)/(3 m Ne + 2 + 2/s)",
        mine=intensity(),
        theirs=sym.new
        * (3 * sym.expert_intermediate / h * sym.active_experts + 2 + 2 * kv / n)
        / (3 * sym.expert_intermediate / h * sym.experts + 2 + 2 * kv / n),
    ),
    Published(
        work=LENS,
        where="Eq. 1 and 2, approximation",
        what="n Nk/Ne: attention's weights left out",
        mine=beside(intensity(Integer(1)).xreplace(AS_MIXTRAL), Rational(2, 8)),
        theirs=Integer(1),
        over={"expert_intermediate": (8192, 32768)},
        within=0.15,
        reason="attention's products are done for every token: more operations a byte",
    ),
    Published(
        work=LENS,
        where="Eq. 3",
        what="tokens computed over tokens kept, PME = 2 (p + g)/((2 p + g) g)",
        mine=beside(
            (S + sym.generated - 1) / sym.generated / slots_of(lambda tokens: tokens),
            2 * (S + sym.generated) / ((2 * S + sym.generated) * sym.generated),
        ),
        theirs=Integer(1),
        over=PME,
        within=0.007,
        reason="a request computes p + g - 1 tokens, its last one is no input, and keeps p + (g - "
        "1)/2 on average",
    ),
    Published(
        work=LENS,
        where="Eq. 3, its sum",
        what="sum of p + j for j from 0 to g, which is printed as (2 p + g) g/2",
        mine=beside(
            sum_over(S + index, sym.generated + 1), (2 * S + sym.generated) * sym.generated / 2
        ),
        theirs=Integer(1),
        over=PME,
        within=0.07,
        reason="it has g + 1 terms: (2 p + g) (g + 1)/2; over g steps it is (2 p + g - 1) g/2",
    ),
    Published(
        work=LENS,
        where="Eq. 5",
        what="bytes of the host's memory, B_KV + B_IO: those of the cache and of streaming",
        mine=in_host_memory()[0],
        theirs=in_host_memory()[1],
        over={"batch": (256, 8192), "past": (64, 2048)},
        within=0.016,
        reason="new keys and values are written, queries and outputs cross, and of the embedding "
        "only rows are read",
    ),
    Published(
        work=LENS,
        where="Eq. 7",
        what="cache gained by prefill and decode in one pass, (p + g)/(p + g/2)",
        mine=beside(
            (S + sym.generated) / slots_of(lambda tokens: tokens),
            (S + sym.generated) / (S + sym.generated / 2),
        ),
        theirs=Integer(1),
        over=PME,
        within=0.007,
        reason="a request keeps p + (g - 1)/2 on average",
    ),
    Published(
        work="Houlsby et al., Adapters (1902.00751)",
        where="section 2.1",
        what="parameters of an adapter, 2 m d + d + m",
        mine=ADAPTED / 2,
        theirs=2 * sym.adapter_width * h + h + sym.adapter_width,
    ),
    *speculation.FORMULAS,
    *partitioning.FORMULAS,
    *llm_viewer.FORMULAS,
)
