"""Where two formulas meet: two terms, two configurations, two devices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from sympy import Expr, Integer, Poly, Symbol, cancel, fraction, sqrt

from lifesym.analysis.branches import KINKED, branch_at
from lifesym.analysis.line import pieces, rounded
from lifesym.analysis.questions import Derived, Quantity, Values, formula, listed, plain, point_of
from lifesym.analysis.regime import Range, operators, span
from lifesym.analysis.roots import Root, distinct, roots
from lifesym.analysis.roots import between as gap
from lifesym.analysis.signs import is_zero, sign_at
from lifesym.analysis.through import through
from lifesym.analysis.whole import scan
from lifesym.checks import checked
from lifesym.display import Tabular
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE, resolve


@dataclass(frozen=True, kw_only=True)
class Meeting(Tabular):
    """A value of a symbol at which the smaller of two formulas changes.

    Attributes:
        symbol: the symbol.
        value: where they are equal; of a bracket the middle, of whole values the upper one.
        low: the lower end of the bracket that the meeting lies in; ``value`` itself if exact.
        high: the upper end.
        formula: the value as a formula in the other symbols, in the regime that is active there.
        smaller: which formula is smaller above: "first", "second", or "neither" if they touch.
    """

    symbol: Symbol
    value: Expr
    low: Expr
    high: Expr
    formula: Expr | None
    smaller: str

    @property
    def exact(self) -> bool:
        """Whether the value is the meeting point itself, and not the middle of a bracket."""
        return bool(self.low == self.high)


@checked
def meeting_points(first: Expr, second: Expr, over: str | Symbol) -> tuple[Expr, ...]:
    r"""The values of a symbol at which two expressions are equal, as formulas.

    The difference must be rational in the symbol, or in one function of it such as a logarithm,
    with a numerator of degree one or two; the roots are returned smaller discriminant sign first,
    real or not. Two expressions that are
    equal everywhere, or never, have no meeting points.

    >>> from lifesym import symbols as sym
    >>> meeting_points(2 * sym.past + sym.hidden, 3 * sym.past, sym.past)
    (hidden,)

    Raises:
        SymbolError: the symbol is in neither expression, or the difference has no such form.
    """
    symbol = resolve(over)
    if symbol not in first.free_symbols | second.free_symbols:
        raise SymbolError(f"neither formula depends on {symbol.name}")
    found = through(first - second, symbol)
    if found is not None:
        return tuple(found.back(point) for point in _points(found.expr, found.name))
    return _points(first - second, symbol)


def _points(difference: Expr, symbol: Symbol) -> tuple[Expr, ...]:
    """The zeros of a difference that is rational in a symbol, as formulas."""
    numerator, _ = fraction(cancel(difference))
    if not numerator.has(symbol):
        return ()
    if not numerator.is_polynomial(symbol) or any(
        node.has(symbol) for node in numerator.atoms(*KINKED)
    ):
        raise SymbolError(f"the difference is not rational in {symbol.name}")
    coefficients = Poly(numerator, symbol).all_coeffs()
    if len(coefficients) == 2:
        slope, constant = coefficients
        return (cancel(-constant / slope),)
    if len(coefficients) == 3:
        a, b, c = coefficients
        root = sqrt(b**2 - 4 * a * c)
        return (-b - root) / (2 * a), (-b + root) / (2 * a)
    raise SymbolError(f"the difference is of degree {len(coefficients) - 1} in {symbol.name}")


@checked
def ridge_points(quantity: Derived, over: str | Symbol) -> dict[str, Expr]:
    """For each operator, where its compute time equals its memory time, as a formula.

    Operators whose two times do not meet at a single formula in the symbol, or only at a negative
    or zero value, are left out: they are bound by one resource whatever the symbol is, or their
    meeting point has no such form.

    Raises:
        SymbolError: the formula does not have the symbol, or it has no operators.
    """
    symbol = resolve(over)
    found = {}
    for name, term in operators(quantity):
        if symbol not in term.compute.free_symbols | term.memory.free_symbols:
            continue
        try:
            points = meeting_points(term.compute, term.memory, symbol)
        except SymbolError:
            continue
        if len(points) == 1 and not points[0].is_nonpositive:
            found[name] = points[0]
    if not found and symbol not in formula(quantity).free_symbols:
        raise SymbolError(f"{quantity.name} does not depend on {TABLE[symbol].word}")
    return found


@checked
def crossover(
    first: Quantity,
    second: Quantity,
    over: str | Symbol,
    between: Range,
    at: Values | None = None,
) -> tuple[Meeting, ...]:
    """Every value of a symbol in a range at which two formulas are equal, in order.

    Roots of polynomials are exact, with the formula of the regime they lie in; others are
    brackets. A formula with rounded quotients (chunks, pages) is compared at whole values: the
    meeting is then a pair of neighbours between which the smaller of the two changes. Where two
    formulas are equal along a whole stretch, its ends are not meeting points.

    Args:
        first: a result or an expression.
        second: another.
        over: the symbol.
        between: the ends of the range, themselves not searched.
        at: the values of every other symbol.

    Raises:
        SymbolError: the symbol is in neither formula, a value is missing or out of range, or the
            range is empty.

    >>> from lifesym import symbols as sym
    >>> found, = crossover(3 * sym.past, sym.past + sym.hidden, "past", (0, 99), {"hidden": 64})
    >>> found.value, found.formula, found.smaller
    (32, hidden/2, 'second')
    """
    symbol = resolve(over)
    one, two = formula(first), formula(second)
    difference = one - two
    known = one.free_symbols | two.free_symbols
    if symbol not in known:
        word = TABLE[symbol].word
        raise SymbolError(f"neither formula depends on {word} (they have {listed(known)})")
    low, high = span(symbol, between, first, second)
    values = point_of(one, at or {}, free=[symbol])
    values |= point_of(two, at or {}, free=[symbol])
    if rounded(difference.xreplace(values), symbol):
        first, second = (plain(each).xreplace(values) for each in (one, two))
        return tuple(_scanned(first, second, symbol, low, high))
    return tuple(
        Meeting(
            symbol=symbol,
            value=root.value,
            low=root.low,
            high=root.high,
            formula=solved(one, two, symbol, root.value, values),
            smaller=smaller,
        )
        for root, smaller in zeros(plain(difference).xreplace(values), symbol, low, high)
    )


def zeros(numeric: Expr, symbol: Symbol, low: Expr, high: Expr) -> Iterator[tuple[Root, str]]:
    """The zeros inside the pieces and at their joints, and who is smaller after each."""
    found: dict[Expr, Root] = {}
    for piece in pieces(numeric, symbol, low, high):
        start = piece.low
        if start != low and piece.exact and is_zero(piece.expr.xreplace({symbol: start})):
            found[start] = Root(value=start, low=start, high=start)
        found |= {root.value: root for root in roots(piece.expr, symbol, start, piece.high)}
    ordered = distinct(list(found))
    marks = [low, *ordered, high]
    signs = [sign_at(numeric, {symbol: gap(left, right)}) for left, right in pairwise(marks)]
    for value, before, after in zip(ordered, signs, signs[1:], strict=False):
        if before and after:
            yield found[value], _smaller(before, after)


def _smaller(before: int, after: int) -> str:
    if before == after:
        return "neither"
    return "first" if after < 0 else "second"


def solved(
    one: Expr, two: Expr, symbol: Symbol, value: Expr, values: Mapping[Symbol, Expr]
) -> Expr | None:
    """The meeting point solved in the regime it lies in, if that has degree one or two."""
    here = {**values, symbol: value}
    try:
        candidates = meeting_points(branch_at(one, here).expr, branch_at(two, here).expr, symbol)
    except SymbolError:
        return None
    for candidate in candidates:
        if is_zero(candidate.xreplace(dict(values)) - value):
            return candidate
    return None


def _scanned(one: Expr, two: Expr, symbol: Symbol, low: Expr, high: Expr) -> Iterator[Meeting]:
    """Neighbouring whole values between which the smaller formula changes, each checked exactly."""
    start, gaps = scan(one, two, symbol, low, high)
    nonzero = [i for i, gap_sign in enumerate(gaps) if gap_sign]
    for left, right in pairwise(nonzero):
        if gaps[left] != gaps[right]:
            ends = [Integer(start + i) for i in (left, right)]
            yield Meeting(
                symbol=symbol,
                value=ends[1],
                low=ends[0],
                high=ends[1],
                formula=None,
                smaller=_smaller(gaps[left], gaps[right]),
            )
