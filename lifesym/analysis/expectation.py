r"""Means over requests: a formula's expectation over lengths, and of requests of several kinds.

With a distribution of a length G the mean of a time is a finite sum, $E[T(G)] = \sum_g p_g T(g)$,
whatever the formula. With its moments alone it is exact where the time is a polynomial in G:

$$E\Big[\sum_k c_k G^k\Big] = \sum_k c_k E[G^k], \qquad E[G^2] = \mu^2 + \sigma^2.$$

A request's latency is a quadratic in its generated tokens where the same resource bounds each
operator in all of its steps: attention reads a cache that grows with each token. So its mean is
above the latency of the mean length by $c_2 \sigma^2$. A formula with maxima is a polynomial in
each of its regions only: the one of the means is taken, and the answer has its inequalities.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sympy import Add, Expr, Rational, S, Sum, Symbol, cancel

from lifesym.analysis.branches import KINKED, STEPPED, branch_at
from lifesym.analysis.line import pieces
from lifesym.analysis.questions import Quantity, Values, formula, point_of, symbol_of, title
from lifesym.analysis.regions import Condition
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.results import Part, Result
from lifesym.symbols import TABLE, By, Number, bind, constant, exact, inside, resolve

Ends: TypeAlias = tuple[Number, Number]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What is known of a distribution: its mean, its deviation, further moments and its range.

    Attributes:
        mean: its mean; a number, or an expression of symbols.
        deviation: its standard deviation.
        higher: $E[X^3]$, $E[X^4]$ and so on, about zero, as far as a formula needs them.
        between: the least and largest value; with it a formula that changes in between is refused.
    """

    mean: Number
    deviation: Number = 0
    higher: tuple[Number, ...] = ()
    between: Ends | None = None

    def raw(self, power: int) -> Expr:
        r"""$E[X^k]$, exact.

        >>> Moments(mean=3, deviation=2).raw(2)
        13

        Raises:
            SymbolError: a moment that is not given.
        """
        mean, deviation = exact(self.mean, "mean"), exact(self.deviation, "deviation")
        known = (S.One, mean, mean**2 + deviation**2, *(exact(m, "moment") for m in self.higher))
        if power >= len(known):
            raise SymbolError(f"E[X^{power}] is needed: give it in higher=, from E[X^3] on")
        return known[power]


Lengths: TypeAlias = Moments | Mapping[Number, Number] | Sequence[Number]
"""Moments, a probability of each value, or a sample of values that count alike."""


@dataclass(frozen=True, kw_only=True)
class Expected(Result):
    """A mean over requests.

    Attributes:
        conditions: the region of the formula whose mean this is; empty where it holds everywhere.
            The mean is exact where the lengths never leave it.
    """

    conditions: tuple[Condition, ...] = ()


@checked
def expected(quantity: Quantity, over: By[Lengths], at: Values | None = None) -> Expected:
    r"""The mean of a quantity over lengths that differ between requests.

    $E[T] = \sum_g p_g T(g)$ for a distribution or a sample, $\sum_k c_k E[G^k]$ for moments.

    Args:
        quantity: a result or an expression, in its unit.
        over: for each length its moments, a probability of each value, or a sample. Several
            lengths are independent of each other.
        at: values of other symbols; only moments of a formula with maxima need them, to choose its
            region. The answer keeps them as symbols.

    >>> from lifesym.symbols import generated
    >>> time = 3 + 2 * generated + generated**2
    >>> expected(time, {"generated": {10: 0.5, 30: 0.5}}).expr
    543
    >>> expected(time, {"generated": Moments(mean=20, deviation=10)}).expr
    543
    >>> expected(1 / generated, {"generated": [1, 2]}).expr
    3/4

    Raises:
        SymbolError: a symbol that the formula does not have; probabilities that are negative or do
            not add up to 1; a length out of its range; moments of what is no polynomial in the
            length, or changes its formula in the range given.
    """
    if not over:
        raise SymbolError("expected: name a length that differs, such as generated")
    lengths = {symbol_of(quantity, name): each for name, each in over.items()}
    expr = formula(quantity)
    moments = {symbol: each for symbol, each in lengths.items() if isinstance(each, Moments)}
    for symbol, each in lengths.items():
        if not isinstance(each, Moments):
            chances = _distribution(symbol, each)
            if isinstance(quantity, Result):
                for value in chances:
                    quantity.check_steps({symbol: value})
            expr = Add(*(chance * bind(expr, {symbol: v}) for v, chance in chances.items()))
    conditions: tuple[Condition, ...] = ()
    for symbol, each in moments.items():
        _check(symbol, each)
    if any(_bent(expr, symbol) for symbol in moments):
        expr, conditions = _region(title(quantity), expr, moments, at or {})
    for symbol, each in moments.items():
        expr = _mean(title(quantity), expr, symbol, each)
    return Expected(
        name=f"expected {title(quantity)}",
        unit=getattr(quantity, "unit", "1"),
        expr=expr if expr.free_symbols else expr.doit(),
        conditions=conditions,
    )


@checked
def mixture(kinds: Sequence[tuple[Number, Quantity]]) -> Result:
    r"""The mean of requests of several kinds, $\sum_i p_i T_i$, in their unit.

    Args:
        kinds: the share of each kind, which may be a symbol, and its quantity.

    >>> from lifesym.symbols import bandwidth, hit_rate
    >>> mixture([(hit_rate, 1 / bandwidth), (1 - hit_rate, 5 / bandwidth)]).expr
    hit_rate/bandwidth + 5*(1 - hit_rate)/bandwidth

    Raises:
        SymbolError: no kind, shares that are negative or do not add up to 1, or other units.
    """
    if not kinds:
        raise SymbolError("mixture: give a share and a quantity of each kind")
    shares = [exact(share, "share") for share, _ in kinds]
    _whole(shares, "shares")
    _one_unit([quantity for _, quantity in kinds])
    parts = tuple(
        Part(name=title(quantity), value=share * formula(quantity))
        for share, (_, quantity) in zip(shares, kinds, strict=True)
    )
    return Result(
        name="mean of a mixture",
        unit=getattr(kinds[0][1], "unit", "1"),
        expr=Add(*(part.value for part in parts)),
        parts=parts,
    )


@checked
def break_even(fast: Quantity, slow: Quantity, goal: Quantity) -> Expr:
    r"""The share of fast requests at which the mean is a goal: $p = (T_s - T)/(T_s - T_f)$.

    From $p\,T_f + (1 - p)\,T_s = T$; a share, without unit. A larger share is faster.

    >>> from sympy import Integer
    >>> break_even(Integer(1), Integer(5), Integer(4))
    1/4

    Raises:
        SymbolError: equal kinds, a goal that no share of them has, or other units.
    """
    _one_unit([fast, slow, goal])
    quick, long, asked = (formula(each) for each in (fast, slow, goal))
    if (gap := (long - quick).expand()).is_zero:
        raise SymbolError("break_even: both kinds take the same, so no share changes the mean")
    share = (long - asked) / gap
    if share.is_number and not 0 <= share.doit() <= 1:
        ends = " and ".join(f"{float(each):.6g}" for each in (quick, long))
        raise SymbolError(f"break_even: a mean of {ends} is between them, not {float(asked):.6g}")
    return share


def _distribution(
    symbol: Symbol, lengths: Mapping[Number, Number] | Sequence[Number]
) -> dict[Expr, Expr]:
    """The probability of each value."""
    word = TABLE[symbol].word
    if not lengths:
        raise SymbolError(f"{word}: a distribution of no values")
    if isinstance(lengths, Mapping):
        chances = [(value, exact(chance, "probability")) for value, chance in lengths.items()]
    else:
        count = Counter(constant(value, word) for value in lengths)
        chances = [(value, Rational(n, len(lengths))) for value, n in count.items()]
    _whole([chance for _, chance in chances], f"probabilities of {word}")
    found: dict[Expr, Expr] = {}
    for value, chance in chances:
        number = constant(value, word)
        inside(symbol, number)
        found[number] = found.get(number, S.Zero) + chance
    return found


def _whole(shares: Sequence[Expr], what: str) -> None:
    """Refuse shares that are negative or do not add up to 1, as far as they are numbers."""
    if any(share.is_negative for share in shares):
        raise SymbolError(f"{what} must not be negative")
    if (total := Add(*shares).expand()) != 1:
        raise SymbolError(f"{what} must add up to 1, not {total}")


def _one_unit(quantities: Sequence[Quantity]) -> None:
    units = {each.unit: None for each in quantities if isinstance(each, Result)}
    if len(units) > 1:
        raise SymbolError(f"quantities of one unit are needed, not of {' and '.join(units)}")


def _check(symbol: Symbol, moments: Moments) -> None:
    """Refuse a mean or deviation that no distribution of the symbol has."""
    mean, deviation = moments.raw(1), exact(moments.deviation, "deviation")
    inside(symbol, mean)
    if deviation.is_negative:
        raise SymbolError(f"the deviation of {TABLE[symbol].word} is negative: {deviation}")
    if moments.between is not None:
        low, high = (constant(end, TABLE[symbol].word) for end in moments.between)
        inside(symbol, low)
        if not low < high or (mean.is_number and not low <= mean <= high):
            raise SymbolError(
                f"{TABLE[symbol].word}: a mean of {mean} is not between {low} and {high}"
            )


def _bent(expr: Expr, symbol: Symbol) -> bool:
    return any(node.has(symbol) for node in expr.atoms(*KINKED, *STEPPED))


def _region(
    name: str, expr: Expr, moments: Mapping[Symbol, Moments], at: Values
) -> tuple[Expr, tuple[Condition, ...]]:
    """The formula of the region that the means are in, and its inequalities."""
    given = {resolve(word): constant(value, str(word)) for word, value in at.items()}
    means = {symbol: each.raw(1).xreplace(given) for symbol, each in moments.items()}
    for symbol, mean in means.items():
        if not mean.is_number:
            raise SymbolError(f"the region of {name} needs the mean of {symbol.name} as a number")
        if any(node.has(symbol) for node in expr.atoms(Sum)):
            raise SymbolError(_no_polynomial(name, symbol, "a sum without a closed form"))
    values = point_of(expr, at, free=means) | means
    for symbol, each in moments.items():
        if each.between is not None:
            _unchanged(name, expr, symbol, values, each.between)
    branch = branch_at(expr, values)
    for choice in branch.choices:
        if isinstance(choice.node, STEPPED):
            for symbol in moments:
                if choice.node.has(symbol):
                    raise SymbolError(_no_polynomial(name, symbol, "rounded to whole numbers"))
    return branch.expr, branch.conditions


def _unchanged(
    name: str, expr: Expr, symbol: Symbol, values: Mapping[Symbol, Expr], ends: Ends
) -> None:
    """Refuse a formula that changes in the range of a length."""
    others = {other: value for other, value in values.items() if other != symbol}
    low, high = (constant(end, symbol.name) for end in ends)
    found = pieces(expr.xreplace(others), symbol, low, high)
    if len(found) > 1:
        cuts = ", ".join(f"{float(piece.low):.6g}" for piece in found[1:])
        raise SymbolError(
            f"{name} changes its formula at {TABLE[symbol].word} = {cuts}: moments do not say how "
            "often; give the distribution"
        )


def _mean(name: str, expr: Expr, symbol: Symbol, moments: Moments) -> Expr:
    """The mean of a polynomial in a symbol, from its moments."""
    powers = _powers(expr, symbol)
    if powers is None and expr.free_symbols == {symbol}:
        powers = _powers(cancel(expr), symbol)
    if powers is None:
        raise SymbolError(_no_polynomial(name, symbol, "no polynomial"))
    return Add(*(coefficient * moments.raw(power) for power, coefficient in powers.items()))


def _powers(expr: Expr, symbol: Symbol) -> dict[int, Expr] | None:
    """The coefficient of each power of a symbol; None where it is no polynomial in it."""
    found: dict[int, list[Expr]] = {}
    for term in Add.make_args(expr.expand()):
        rest, power = term.as_independent(symbol, as_Add=False)
        base, exponent = power.as_base_exp() if power != 1 else (symbol, S.Zero)
        if base != symbol or not (exponent.is_Integer and exponent >= 0):
            return None
        found.setdefault(int(exponent), []).append(rest)
    return {power: Add(*parts) for power, parts in sorted(found.items())}


def _no_polynomial(name: str, symbol: Symbol, why: str) -> str:
    word = TABLE[symbol].word
    return (
        f"{name} in {word} is {why}: its mean is not in the moments; give the distribution of "
        f"{word}, as {{100: 0.5, 200: 0.5}}"
    )
