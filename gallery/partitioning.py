"""Collectives (Thakur et al.) and layouts of a feed-forward layer made of them (Pope et al.).

Read of Pope et al., arXiv 2211.05102: sections 3.1 and 3.2, appendix A and table 1 as two public
reading notes quote them, in agreement with each other; not the paper's own text. Of Thakur et al.,
IJHPCA 19(1), 2005: the costs of its algorithms in the comments of MPICH, which it is about
(``MPI_Allreduce``, ``MPI_Allgather``, ``MPI_Reduce``, ``MPI_Reduce_scatter``); not the article.
"""

from functools import cache

from base import Number, Published, beside
from sympy import Expr, Integer, Rational, diff, solve, sqrt

from lifesym import symbols as sym
from lifesym.formats import Precision
from lifesym.model import Model
from lifesym.nodes import CeilDiv, CeilLog2
from lifesym.operators import Collective, Linear
from lifesym.operators.collective import Algorithm, Pattern
from lifesym.transforms import SequenceParallel, TensorParallel

WORK = "Pope et al., Scaling Inference (2211.05102)"
THAKUR = "Thakur et al., Collective Communication (IJHPCA 19(1), 2005)"
E, F, BL, n = sym.hidden, sym.intermediate, sym.new, sym.devices
"""The paper's d_model, d_ff, tokens B L, and chips."""
X, N = sym.stages, sym.replicas
"""Devices among which the rows of a matrix are split, and among which its parts are gathered."""
SIDE = sym.tile
"""The root of the number of chips."""
PAPERS_OWN = {F: 4 * E}
ROUNDS = sym.rank
"""Rounds in which a power of two devices is reached: any number."""
A_POWER = {
    CeilLog2(n).xreplace({n: 2**ROUNDS}): ROUNDS,
    CeilLog2(n + 1).xreplace({n: 2**ROUNDS}): ROUNDS + 1,
}


def moved(
    pattern: Pattern, devices: Expr = n, elements: Expr = E, algorithm: Algorithm = "ring"
) -> Expr:
    """Elements that each device sends."""
    made = Collective(pattern=pattern, elements=elements, devices=devices, algorithm=algorithm)
    return made.traffic()[1] * elements


def cost(pattern: Pattern, algorithm: Algorithm = "ring") -> Expr:
    """Seconds among any number of devices; of logarithms among a power of two."""
    made = Collective(pattern=pattern, elements=E, devices=n, algorithm=algorithm)
    messages, share = made.traffic()
    seconds = sym.link_latency * messages + share * E / sym.link_bandwidth
    if not seconds.has(CeilLog2):
        return seconds
    return seconds.xreplace({n: 2**ROUNDS}).xreplace(A_POWER).doit()


def thakur(rounds: Expr, share: Expr) -> Expr:
    """What the article prints: so many times alpha, and so often n beta."""
    return rounds * sym.link_latency + share * E / sym.link_bandwidth


P = 2**ROUNDS


def one_dimension() -> Expr:
    """Elements that each device sends for an MLP, by the collectives of lifesym's own trace."""
    trace = Model.symbolic("gpt2").forward(1, BL, 0)
    for rewrite in (TensorParallel(devices=n), SequenceParallel(devices=n)):
        trace = rewrite(trace)
    sent = [e.operator.cost(Precision.of()) for e in trace if e.name.startswith("mlp_down_")]
    width = Precision.of().activations.bits_per_value / 8
    return sum(each.network_bytes for each in sent) / width


def two_dimensions(rows: Expr = X) -> Expr:
    """The same with both sides of the matrices split: rows among X, columns among n/X."""
    columns = n / rows
    inputs, inner = BL * E / rows, BL * F / columns
    return (
        moved("all_gather", columns, inputs)
        + moved("reduce_scatter", rows, inner)
        + moved("all_gather", rows, inner)
        + moved("reduce_scatter", columns, inputs)
    ).expand()


def gathered(group: Expr = N) -> Expr:
    """The same with both matrices gathered among N, which share the tokens."""
    weights = 2 * moved("all_gather", group, E * F * group / n)
    tokens = BL * E / group
    rest = n / group
    return (
        weights + moved("all_gather", rest, tokens) + moved("reduce_scatter", rest, tokens)
    ).expand()


@cache
def best(sent: Expr, split: Expr) -> Expr:
    """The split of which the least is sent."""
    (found,) = solve(diff(sent, split), split)
    return found


def at_best(sent: Expr, split: Expr) -> Expr:
    """The least that is sent."""
    return sent.xreplace({split: best(sent, split)}).expand()


def of_gpt(expr: Expr) -> Expr:
    """Where d_ff is four times d_model, among the square of ``SIDE`` chips."""
    return expr.xreplace(PAPERS_OWN).xreplace({n: SIDE**2}).expand()


def tie() -> Expr:
    """Chips at which both layouts send as much."""
    both = of_gpt((one_dimension() - at_best(two_dimensions(), X)) / (BL * E))
    (side,) = solve(both, SIDE)
    return side**2


def critical_tokens() -> Expr:
    """Tokens at which the products of a matrix take as long as reading it."""
    made = Linear(tokens=BL, in_features=E, out_features=F, role="linear").cost(Precision.of())
    (found,) = solve(made.matmul_flops / sym.peak - made.weight_bytes / sym.bandwidth, BL)
    return found


CHIPS = {"tile": (8, 16)}
"""From 64 to 256 of them."""

FORMULAS = (
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Allgather",
        what="all-gather in a ring, (p - 1) alpha + (p - 1)/p n beta",
        mine=cost("all_gather"),
        theirs=thakur(n - 1, (n - 1) / n),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Allgather",
        what="all-gather by recursive doubling, or Bruck's, lg p alpha + (p - 1)/p n beta",
        mine=cost("all_gather", "halving_doubling"),
        theirs=thakur(ROUNDS, (P - 1) / P),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Reduce_scatter",
        what="reduce-scatter by recursive halving, lg p alpha + (p - 1)/p n beta",
        mine=cost("reduce_scatter", "halving_doubling"),
        theirs=thakur(ROUNDS, (P - 1) / P),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Reduce_scatter",
        what="reduce-scatter in pairs, (p - 1) alpha + (p - 1)/p n beta",
        mine=cost("reduce_scatter"),
        theirs=thakur(n - 1, (n - 1) / n),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Allreduce",
        what="all-reduce by halving and doubling, 2 lg p alpha + 2 (p - 1)/p n beta",
        mine=cost("all_reduce", "halving_doubling"),
        theirs=thakur(2 * ROUNDS, 2 * (P - 1) / P),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Allreduce",
        what="all-reduce by recursive doubling, lg p alpha + n lg p beta",
        mine=cost("all_reduce", "recursive_doubling"),
        theirs=thakur(ROUNDS, ROUNDS),
    ),
    Published(
        work=THAKUR,
        where="section 4; MPICH's MPI_Reduce",
        what="a binomial tree, lg p alpha + n lg p beta: half of an all-reduce up and down it",
        mine=cost("all_reduce", "tree") / 2,
        theirs=thakur(ROUNDS, ROUNDS),
    ),
    Published(
        work=THAKUR,
        where="section 4",
        what="all-reduce in a ring: reduce-scatter and all-gather, 2 (n - 1)/n of the tensor",
        mine=moved("all_reduce") / E,
        theirs=2 * (n - 1) / n,
    ),
    Published(
        work=WORK,
        where="appendix A.1",
        what="all-gather and reduce-scatter of D among K, D (K - 1)/K",
        mine=(moved("all_gather") + moved("reduce_scatter")) / 2,
        theirs=E * (n - 1) / n,
    ),
    Published(
        work=WORK,
        where="section 3.2.1",
        what="1D weight-stationary, 2 B L E: volume of an MLP, of 16 to 256 chips",
        mine=beside(one_dimension(), 2 * BL * E),
        theirs=Integer(1),
        over={"devices": (16, 256)},
        within=0.067,
        reason="the paper leaves out (K - 1)/K",
    ),
    Published(
        work=WORK,
        where="appendix A.2.1",
        what="2D weight-stationary, 2 B L (E/X + F/(Y Z)), less 2 B L (E + F)/n of (K - 1)/K",
        mine=two_dimensions(),
        theirs=2 * BL * (E / X + F * X / n) - 2 * BL * (E + F) / n,
    ),
    Published(
        work=WORK,
        where="appendix A.2.1",
        what="its best split, X = sqrt(n E/F): what is left out does not depend on X",
        mine=best(two_dimensions(), X),
        theirs=sqrt(n * E / F),
    ),
    Published(
        work=WORK,
        where="section 3.2.2",
        what="its volume, 8 B L E/sqrt(n), of 64 to 256 chips",
        mine=beside(of_gpt(at_best(two_dimensions(), X)), 8 * BL * E / SIDE),
        theirs=Integer(1),
        over=CHIPS,
        within=0.157,
        reason="with (K - 1)/K it is 8 B L E/sqrt(n) less 10 B L E/n",
    ),
    Published(
        work=WORK,
        where="section 3.2.2",
        what="chips from which 2D sends less than 1D, sqrt(n) > F/E: 16",
        mine=tie(),
        theirs=Integer(16),
        over=CHIPS,
        within=0.751,
        reason="not with (K - 1)/K: 1D is the 2D layout with X = 1, which is the best at 4 chips; "
        "beyond 4 the difference is 2 B L E (1 - 2/sqrt(n))^2, never negative",
    ),
    Published(
        work=WORK,
        where="appendix A.2.2",
        what="weight-gathered among N, 2 E F N/n + 2 B L E/N, less 2 E (F + B L)/n of (K - 1)/K",
        mine=gathered(),
        theirs=2 * E * F * N / n + 2 * BL * E / N - 2 * E * (F + BL) / n,
    ),
    Published(
        work=WORK,
        where="appendix A.2.2",
        what="its best N, sqrt(B L n/F)",
        mine=best(gathered(), N),
        theirs=sqrt(BL * n / F),
    ),
    Published(
        work=WORK,
        where="appendix A.2.2",
        what="its volume, 4 E sqrt(B L F/n), less 2 E (F + B L)/n of (K - 1)/K",
        mine=at_best(gathered(), N),
        theirs=4 * E * sqrt(BL * F / n) - 2 * E * (F + BL) / n,
    ),
    Published(
        work=WORK,
        where="section 2.1, by its costs",
        what="critical batch: 2 N operations a token take as long as N weights, B = peak/bandwidth",
        mine=critical_tokens(),
        theirs=sym.peak / sym.bandwidth,
    ),
)

CONTEXTS = {
    "multihead": (1320, 330),
    "multiquery, split by heads": (660, 165),
    "multiquery, split by batch": (43000, 10700),
}
"""Table 1: of 128 and of 512 sequences of PaLM 540B on 64 chips, of which 30 % keep the cache."""
PALM = {"layers": 118, "heads": 48, "chips": 64, "memory": 32 * 2**30, "part": Rational(3, 10)}


def context(layout: str, batch: int) -> Expr:
    """Tokens that fit, of the chip that has most of a cache in 16 bits."""
    layers, heads, chips = (Integer(PALM[name]) for name in ("layers", "heads", "chips"))
    size, own = (128, CeilDiv(heads, chips)) if layout == "multihead" else (256, Integer(1))
    sequences = CeilDiv(Integer(batch), chips) if layout.endswith("batch") else Integer(batch)
    a_token = (
        Model.symbolic("llama")
        .kv_bytes_per_token("bf16")
        .xreplace({sym.layers: layers, sym.kv_heads: own, sym.head_dim: Integer(size)})
    )
    return PALM["part"] * PALM["memory"] / (sequences * a_token)


NUMBERS = tuple(
    Number(
        work=WORK,
        where="table 1",
        what=f"tokens of context, {layout}, {batch} sequences",
        published=published,
        mine=lambda layout=layout, batch=batch: context(layout, batch),
        within=0.011,
        reason="the paper prints two or three digits and does not say what else 30 % hold",
    )
    for layout, pair in CONTEXTS.items()
    for batch, published in zip((128, 512), pair, strict=True)
)
