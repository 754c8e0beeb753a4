r"""Two formulas of one thing: equal, equal under a convention, or how far apart.

`compare(mine, theirs)` sets a formula of lifesym beside one of a paper. If they are not equal, the
conventions that papers differ in are tried, alone and two together: what is counted (keywords of
``mine``, where that is a function), and in which units (factors). What remains is a formula, and
over a box its largest share of theirs, certified.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal, TypeAlias

from sympy import Add, Expr, Rational, S

from lifesym.analysis.bounds import ShareBound, largest_share
from lifesym.analysis.equality import same
from lifesym.analysis.questions import formula
from lifesym.analysis.regime import span
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.model import Model
from lifesym.operators import AttentionScores, AttentionValues, Softmax
from lifesym.results import Result
from lifesym.symbols import By, Number, constant, resolve
from lifesym.trace import Causal, Entry, Logits
from lifesym.units import prefixed

Formula: TypeAlias = Expr | Result | Number | str
Verdict: TypeAlias = Literal["equal", "as printed", "equal under", "differs", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What papers do differently: keywords of a count, or a factor of their numbers."""

    keywords: Mapping[str, Any] = field(default_factory=dict)
    factor: Expr = S.One


CONVENTIONS: Mapping[str, Convention] = {
    "scores under the mask alone": Convention(keywords={"causal": "exact"}),
    "scores of all pairs": Convention(keywords={"causal": "full"}),
    "logits of every token": Convention(keywords={"logits": "all"}),
    "logits of the last token": Convention(keywords={"logits": "last"}),
    "no logits": Convention(keywords={"logits": "none"}),
    "products alone, and their matrices": Convention(keywords={"elementwise": False}),
    "without attention's scores": Convention(keywords={"scores": False}),
    "without the final norm": Convention(keywords={"final_norm": False}),
    "without the embedding": Convention(keywords={"embedding": False}),
    "a multiply-add is one operation": Convention(factor=Rational(1, 2)),
    "GiB are printed as GB": Convention(factor=Rational(10**9, 2**30)),
    "T is 1024 G": Convention(factor=Rational(1000, 1024)),
}
"""Tried in this order; those with keywords where ``mine`` is a function that has them."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What a comparison found.

    Attributes:
        verdict: ``equal`` is proved; ``as printed``: to the digits of a printed number; ``equal
            under``: one of these with the conventions; ``differs`` is proved, at a point;
            ``undecided``: equal at every point that was tried, without a proof.
        conventions: those under which they are equal.
        mine: the first formula, without conventions.
        theirs: the second.
        share: over a box, the largest part of theirs that the difference is, certified.
    """

    verdict: Verdict
    conventions: tuple[str, ...] = ()
    mine: Expr
    theirs: Expr
    share: ShareBound | None = None

    @property
    def difference(self) -> Expr:
        """Theirs less mine, multiplied out."""
        return (self.theirs - self.mine).expand()

    @property
    def ratio(self) -> Expr:
        """Theirs over mine."""
        return self.theirs / self.mine

    def __bool__(self) -> bool:
        """Whether they are equal, perhaps under conventions."""
        return self.verdict in ("equal", "as printed", "equal under")

    def __str__(self) -> str:
        if self.verdict == "equal under":
            return f"equal under: {', '.join(self.conventions)}"
        if self.verdict != "differs" or self.share is None:
            return self.verdict
        return f"differs by at most {self.share.upper:.3g} of theirs"


@checked
def compare(
    mine: Formula | Callable[..., Formula],
    theirs: Formula,
    over: By[tuple[Number, Number]] | None = None,
    conventions: Mapping[str, Convention] = CONVENTIONS,
) -> Agreement:
    """Set a formula beside another one.

    Args:
        mine: an expression, a result or a number; or a function of keywords that gives one.
        theirs: the same, or a printed number such as ``"12.85 GiB"``, which has the digits it has.
        over: the range of each symbol, for the largest share that a difference has.
        conventions: what is tried where they are not equal.

    Raises:
        SymbolError: text that is no number with a unit; or a share of formulas that are not
            positive over the box.

    >>> from lifesym import symbols as sym
    >>> compare(2 * sym.past + 2, 2 * (sym.past + 1)).verdict
    'equal'
    >>> str(compare(2 * sym.past, sym.past))
    'equal under: a multiply-add is one operation'
    >>> str(compare(sym.past + 5, sym.past, over={"past": (100, 1000)}))
    'differs by at most 0.05 of theirs'
    >>> str(compare(13_796_000_000, "12.85 GiB"))
    'as printed'
    """
    if not all(isinstance(each, Convention) for each in conventions.values()):
        raise SymbolError(
            "conventions are named: {'GiB are printed as GB': Convention(factor=...)}"
        )
    read, digit = _number(theirs)
    plain = _plain(mine() if callable(mine) else mine)
    if found := _equal(plain, read, digit):
        return Agreement(verdict=found, mine=plain, theirs=read)
    for names, changed in _tried(mine, conventions):
        if _equal(changed, read, digit) not in (None, "undecided"):
            return Agreement(verdict="equal under", conventions=names, mine=plain, theirs=read)
    share = None if over is None else _share(plain, read, over)
    return Agreement(verdict="differs", mine=plain, theirs=read, share=share)


def _tried(
    mine: Formula | Callable[..., Formula], conventions: Mapping[str, Convention]
) -> Iterator[tuple[tuple[str, ...], Expr]]:
    """The formula under each convention, and under two together."""
    known = set(inspect.signature(mine).parameters) if callable(mine) else set()
    possible = {name: each for name, each in conventions.items() if known >= set(each.keywords)}
    for count in (1, 2):
        for names in combinations(possible, count):
            chosen = [possible[name] for name in names]
            keywords = [key for each in chosen for key in each.keywords]
            if len(set(keywords)) < len(keywords):
                continue
            given = {key: value for each in chosen for key, value in each.keywords.items()}
            made = _plain(mine(**given) if callable(mine) else mine)
            for each in chosen:
                made *= each.factor
            yield names, made


def _equal(mine: Expr, theirs: Expr, digit: Fraction | None) -> Verdict | None:
    """How they are equal, if they are."""
    if digit is not None:
        if mine.is_number and abs(mine - theirs) <= Rational(
            digit.numerator, 2 * digit.denominator
        ):
            return "equal" if mine == theirs else "as printed"
        return None
    verdict = same(mine, theirs)
    return None if verdict == "different" else verdict


def _share(mine: Expr, theirs: Expr, over: By[tuple[Number, Number]]) -> ShareBound:
    """The largest part of theirs that the difference is; of one with both signs, at most that."""
    ranges = {resolve(name): ends for name, ends in over.items()}
    box = {symbol: span(symbol, ends) for symbol, ends in ranges.items()}
    terms = Add.make_args((theirs - mine).expand())
    more = Add(*(term for term in terms if not term.could_extract_minus_sign()))
    less = -Add(*(term for term in terms if term.could_extract_minus_sign()))
    if less == 0:
        return largest_share(more, mine, box)
    found = largest_share(more + less, theirs, box)
    lower = _of_theirs(found.lower) if more == 0 else 0.0
    return replace(found, lower=lower, upper=_of_theirs(found.upper))


def _of_theirs(share: float) -> float:
    """A part of theirs, given as a share of both together."""
    return share / (1 - share) if share < 1 else float("inf")


def _plain(given: Formula) -> Expr:
    """The expression of a result, an expression or a number."""
    number = isinstance(given, int | float | Fraction | Decimal)
    return constant(given, "a formula") if number else formula(given)


_PRINTED = re.compile(r"([+-]?[\d,]*\.?\d+)(?:[eE]([+-]?\d+))?\s*(\S*)")


def _number(given: Formula) -> tuple[Expr, Fraction | None]:
    """A formula; of a printed number what its last digit is worth too.

    Raises:
        SymbolError: text that is no number with a unit.
    """
    if not isinstance(given, str):
        return _plain(given), None
    found = _PRINTED.fullmatch(given.strip())
    scale = prefixed(found[3]) if found else None
    if found is None or scale is None:
        raise SymbolError(f"{given!r} is no number with a unit, such as '12.85 GiB'")
    digits = found[1].replace(",", "")
    power = int(found[2] or 0) - len(digits.partition(".")[2])
    digit = Fraction(10) ** power * Fraction(int(scale.p), int(scale.q))
    value = (
        Fraction(digits) * Fraction(10) ** int(found[2] or 0) * Fraction(int(scale.p), int(scale.q))
    )
    return Rational(value.numerator, value.denominator), digit


@checked
def counted(
    model: Model,
    of: Literal["flops", "matmul_flops", "parameters"] = "matmul_flops",
    *,
    batch: Number = 1,
    new: Number = 1,
    past: Number = 0,
) -> Callable[..., Expr]:
    """A count of a model's pass as a function of the conventions of `CONVENTIONS`.

    Args:
        model: the model.
        of: operations, those of products alone, or learned values.
        batch: sequences.
        new: tokens of each.
        past: cached tokens of each.

    >>> from lifesym import symbols as sym
    >>> count = counted(Model.symbolic("gpt2"), "parameters")
    >>> (count() - count(final_norm=False)).expand()
    2*hidden
    """

    def count(
        *,
        causal: Causal = "full",
        logits: Logits = "last",
        elementwise: bool = True,
        scores: bool = True,
        final_norm: bool = True,
        embedding: bool = True,
    ) -> Expr:
        every = "all" if of == "parameters" else logits
        trace = model.forward(batch, new, past, logits=every, causal=causal)

        def kept(entry: Entry) -> bool:
            core = isinstance(entry.operator, AttentionScores | AttentionValues | Softmax)
            front = entry.section == "embed" and not embedding
            return not (
                (core and not scores) or front or (entry.name == "final_norm" and not final_norm)
            )

        here = trace.filter(kept)
        if of == "parameters":
            roles = here.weight_roles()
            return Add(*(n for role, n in roles.items() if elementwise or role != "vector"))
        cost = here.cost()
        return cost.matmul_flops if of == "matmul_flops" or not elementwise else cost.flops

    return count
