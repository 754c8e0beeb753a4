r"""How far a formula of one's own is from another one over a box, certified.

With f the formula and g the other, both positive, the relative error $(f - g)/g$ is bounded from
both sides by branch and bound on shares: $f/g = s/(1 - s)$ of the share $s = f/(f + g)$. Where the
difference has one sign it is itself a share of g, and its bound is as sharp as that of a dropped
term.
"""

from dataclasses import dataclass, replace

from sympy import Add, Expr, Symbol

from lifesym.analysis.bounds import ShareBound, largest_share
from lifesym.analysis.per_step import per_step
from lifesym.analysis.questions import Quantity, Values, formula, plain, point_of, symbol_of
from lifesym.analysis.regime import Range, span
from lifesym.checks import checked
from lifesym.decided import decided
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE, By


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The relative error of a formula over a box: where it is too low, and where too high.

    Attributes:
        below: an error that it is nowhere further below, as a share of the other formula.
        above: one that it is nowhere further above.
        reached: the largest error of either sign that is reached.
        at: where.
        box: where the bounds hold.
        complete: whether the bounds are as close as was asked for.
    """

    below: float
    above: float
    reached: float
    at: dict[Symbol, float]
    box: dict[Symbol, tuple[Expr, Expr]]
    complete: bool

    @property
    def error(self) -> float:
        """The larger of both bounds."""
        return max(self.below, self.above)


@checked
def certify(
    mine: Quantity,
    of: Quantity,
    over: By[Range],
    at: Values | None = None,
    *,
    gap: float = 0.001,
) -> Certificate:
    """Bounds of the relative error of a formula over a box.

    Args:
        mine: the formula, in symbols of the table; positive over the box.
        of: what it stands for; likewise.
        over: the range of each symbol that varies.
        at: the values of the others.
        gap: how far the bounds may be from what is reached.

    Raises:
        SymbolError: an unknown symbol or a value missing, an empty range, a gap that is none, a
            formula that is negative somewhere or has a node without interval bounds, or one that
            is too small next to the other for an error to have a bound.

    >>> from lifesym import symbols as sym
    >>> found = certify(100 * sym.hidden, 100 * sym.hidden + sym.past, {"past": (0, 20)},
    ...                 {"hidden": 1})
    >>> round(found.below, 4), found.above, {s.name: v for s, v in found.at.items()}
    (0.1667, 0.0, {'past': 20.0})
    """
    if not 1e-6 <= gap <= 0.999:
        raise SymbolError(f"gap must be at least 1e-06 and at most 0.999, not {gap}")
    both = formula(mine) + formula(of)
    ranges = {symbol_of(both, name): ends for name, ends in over.items()}
    box = {symbol: span(symbol, ends, of) for symbol, ends in ranges.items()}
    values = point_of(both, at or {}, free=box)
    own, other = (per_step(decided(plain(each).xreplace(values), box)) for each in (mine, of))
    short = Add.make_args((other - own).expand())
    missing = [each for each in short if not each.could_extract_minus_sign()]
    surplus = [-each for each in short if each.could_extract_minus_sign()]
    if not surplus:
        found = largest_share(Add(*missing), own, box, gap=gap)
        return _certificate(box, below=found)
    if not missing:
        found = largest_share(Add(*surplus), other, box, gap=gap)
        return _certificate(box, above=_odds(found, less=0.0))
    high = _odds(largest_share(own, other, box, gap=gap / 2), less=1.0)
    low = largest_share(other, own, box, gap=gap / 2)
    return _certificate(box, above=high, below=_short_of(low))


def _odds(share: ShareBound, less: float) -> ShareBound:
    """s/(1 - s) of a share, less a number."""
    if share.upper >= 1:
        where = ", ".join(f"{TABLE[symbol].word} = {value:g}" for symbol, value in share.at.items())
        raise SymbolError(f"what is certified may be any times as large as the other at {where}")
    lower, upper = (max(0.0, s / (1 - s) - less) for s in (share.lower, share.upper))
    return replace(share, lower=lower, upper=upper)


def _short_of(share: ShareBound) -> ShareBound:
    """1 - f/g of the share of g in f + g."""
    lower, upper = (max(0.0, 1 - (1 - s) / s) for s in (share.lower, share.upper))
    return replace(share, lower=lower, upper=upper)


_NONE = ShareBound(lower=0.0, upper=0.0, at={}, boxes=0)


def _certificate(
    box: dict[Symbol, tuple[Expr, Expr]], below: ShareBound = _NONE, above: ShareBound = _NONE
) -> Certificate:
    worse = max(below, above, key=lambda bound: bound.lower)
    return Certificate(
        below=below.upper,
        above=above.upper,
        reached=worse.lower,
        at=worse.at,
        box=box,
        complete=below.complete and above.complete,
    )
