"""Leviathan et al., speculative decoding (arXiv 2211.17192), beside lifesym's.

Read: Eq. 1, definitions and theorems 3.7 to 3.11, section 3.4 and tables 1, 2 and 4 as public
reading notes quote them, by page and in agreement with each other; not the paper's own text.
"""

from collections.abc import Callable
from functools import cache

from base import Number, Published, beside
from sympy import Add, Expr, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis.branches import branch_at
from lifesym.roofline import Term
from lifesym.serving import speculate
from lifesym.serving.acceptance import expected_tokens
from lifesym.serving.speculative import Speculation

WORK = "Leviathan et al., Speculative Decoding (2211.17192)"
A, G, T = sym.acceptance, sym.draft, sym.past
TOKENS = (1 - A ** (G + 1)) / (1 - A)
"""What the paper's Eq. 1 says."""
CONTEXTS = {"past": (512, 4096)}
"""Over which a real pass is compared."""
DRAFTED = 4


Count = Callable[[tuple[Term, ...]], Expr]


@cache
def step(device: str | None = None, drafted: Expr = G, batch: int = 1) -> Speculation:
    """Of Llama-2-13B, with TinyLlama as its draft."""
    hardware = device or ls.Hardware.symbolic()
    target, draft = (
        ls.forecast(name, hardware, sym.prompt, 2, batch)
        for name in ("llama-2-13b", "tinyllama-1.1b")
    )
    return speculate(target, draft, drafted, A)


def weights(terms: tuple[Term, ...]) -> Expr:
    """Bytes of matrices that a step reads; of an embedding it reads rows."""
    return Add(*(term.cost.weight_bytes for term in terms if term.family != "embedding"))


def products(terms: tuple[Term, ...]) -> Expr:
    """Operations of a step's products with weights."""
    return Add(*(term.cost.matmul_flops for term in terms if term.family != "fused"))


def cached(terms: tuple[Term, ...]) -> Expr:
    """Bytes of keys and values that a step reads."""
    return Add(*(term.cost.kv_read_bytes for term in terms))


def faster(drafted: Expr = G) -> Expr:
    """Where weights alone take time: one pass of the target costs what a step costs."""
    made = step(drafted=drafted)
    plain, passes = weights(made.target.tpot.terms), weights(made.step.terms)
    return (made.expected * plain / passes).factor()


def ratio(count: Count = weights) -> Expr:
    """The paper's c, or c-hat: a step of the draft over one of the target."""
    made = step()
    assert made.draft is not None
    part: Expr = count(made.draft.tpot.terms) / count(made.target.tpot.terms)
    return part


def on(device: str, batch: int = 1) -> tuple[Expr, Expr]:
    """On a device, lifesym's speed-up and the theorem's with the device's own c."""
    made = step(device, Integer(DRAFTED), batch)
    assert made.draft is not None
    c = made.draft.tpot.expr / made.target.tpot.expr
    return made.speedup.expr, expected_tokens(DRAFTED, A) / (DRAFTED * c + 1)


def without_maxima(expr: Expr) -> Expr:
    """What it is over the contexts: maxima of straight lines that one side has at both ends."""
    ends = ({T: Integer(end), A: Rational(1, 2)} for end in CONTEXTS["past"])
    found = {branch_at(expr, end).expr for end in ends}
    assert len(found) == 1
    return found.pop()


def checked(count: Count) -> Expr:
    """What the target reads for a token that is given, over what it reads without a draft."""
    made = step(drafted=Integer(DRAFTED))
    part: Expr = count(made.checking) / made.expected / count(made.target.tpot.terms)
    return part


FORMULAS = (
    Published(
        work=WORK,
        where="Eq. 1",
        what="expected tokens of a step, (1 - a^(g + 1))/(1 - a)",
        mine=step().expected,
        theirs=TOKENS,
    ),
    Published(
        work=WORK,
        where="Theorem 3.8",
        what="walltime improvement, (1 - a^(g + 1))/((1 - a) (g c + 1)): where reading the "
        "matrices is all that takes time",
        mine=faster(),
        theirs=TOKENS / (G * ratio() + 1),
    ),
    Published(
        work=WORK,
        where="Theorem 3.8",
        what="the same for Llama-2-13B and TinyLlama on an H100, 4 drafted tokens",
        mine=beside(*map(without_maxima, on("h100-sxm-80gb"))),
        theirs=Integer(1),
        over=CONTEXTS,
        within=0.0024,
        reason="a real pass over five tokens reads and writes their activations, and the draft's "
        "contexts grow",
    ),
    Published(
        work=WORK,
        where="Corollary 3.9",
        what="at least (1 + a)/(1 + c)",
        mine=faster(Integer(1)),
        theirs=(1 + A) / (1 + ratio()),
    ),
    Published(
        work=WORK,
        where="Theorem 3.11",
        what="operations, (1 - a) (g c' + g + 1)/(1 - a^(g + 1)): of products with weights",
        mine=products(step().step.terms) / step().expected / products(step().target.tpot.terms),
        theirs=(G * ratio(products) + G + 1) / TOKENS,
    ),
    Published(
        work=WORK,
        where="section 3.4",
        what="the target's weights are read once a step: 1/E of the accesses",
        mine=checked(weights),
        theirs=1 / expected_tokens(DRAFTED, A),
    ),
    Published(
        work=WORK,
        where="section 3.4",
        what="and so is its cache, of 4 drafted tokens",
        mine=beside(checked(cached), 1 / expected_tokens(DRAFTED, A)),
        theirs=Integer(1),
        over=CONTEXTS,
        within=0.008,
        reason="the pass also reads the four keys and values that it has just written",
    ),
)

TABLE_1 = (
    ("0.6", 2, 1.53, 1.96),
    ("0.7", 3, 1.58, 2.53),
    ("0.8", 2, 1.23, 2.44),
    ("0.8", 5, 1.63, 3.69),
    ("0.9", 2, 1.11, 2.71),
    ("0.9", 10, 1.60, 6.86),
)
"""Chances, drafted tokens, factors of operations and of speed, of a draft that costs nothing."""


def operations(chance: str, drafted: int) -> Expr:
    """Of the target alone, over those of decoding plainly."""
    made = step(drafted=Integer(drafted))
    part = products(made.checking) / made.expected / products(made.target.tpot.terms)
    return part.xreplace({A: Rational(chance)})


def speed(chance: str, drafted: int, cost: str = "0") -> Expr:
    """Where a step of the draft costs this share of one of the target."""
    tokens = step(drafted=Integer(drafted)).expected.xreplace({A: Rational(chance)})
    return tokens / (drafted * Rational(cost) + 1)


NUMBERS = (
    *(
        Number(
            work=WORK,
            where="table 1",
            what=f"{name} at a chance of {chance}, {drafted} drafted tokens",
            published=published,
            mine=lambda of=of, chance=chance, drafted=drafted: of(chance, drafted),
            within=0.003,
        )
        for chance, drafted, *pair in TABLE_1
        for (name, of), published in zip(
            (("operations", operations), ("speed", speed)), pair, strict=True
        )
    ),
    Number(
        work=WORK,
        where="table 4",
        what="theory for T5-XXL and T5-small, English to German: c = 0.02, 7 tokens, chance 0.75",
        published=3.2,
        mine=lambda: speed("0.75", 7, "0.02"),
        within=0.014,
        reason="the paper prints two digits: 3.16",
    ),
)
