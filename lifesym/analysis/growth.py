r"""Degree and coefficient of a formula's leading term in one symbol, found structurally.

The degree of a sum is the largest of its terms', a maximum keeps the arguments that grow most,
$c\,q^x$ with $0 < q < 1$ (the experts that no token chose) vanishes, and a sum of maxima of two
lines (`SumMax`) keeps the larger line. A part that is zero from some value on, such as the tokens
beyond a window that has been passed, has the coefficient 0.
"""

from sympy import Add, Dummy, Expr, Mul, Pow, S, Symbol, log

from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import spelt_out
from lifesym.sums import SumMax

Growth = tuple[Expr, Expr]
"""The degree of the leading term, and what the power is multiplied by."""

_FAST = S(-(10**9))  # the degree given to what vanishes faster than any power
_PART = Dummy("part", positive=True)  # of a step, between 0 and 1
_NONE: Growth = (S.Zero, S.Zero)


def growth(expr: Expr, symbol: Symbol) -> Growth:
    """The leading term of a formula.

    Raises:
        SymbolError: leading terms that cancel, or a node whose growth is not known.
    """
    expr = spelt_out(expr)
    steps = {
        one: Dummy(nonnegative=True) + 1
        for node in expr.atoms(Add)
        for number, one in [node.as_coeff_Add()]
        if number == -1 and one.is_Symbol and one != symbol
    }
    degree, coefficient = _lead(_settled(expr.xreplace(steps), symbol), symbol)
    counts = {count - 1: one - 1 for one, count in steps.items()}  # of steps: none is negative
    coefficient = coefficient.xreplace(counts)
    if coefficient.has(_PART):
        raise SymbolError(f"the growth in {symbol.name} is not known: a remainder comes and goes")
    return degree, coefficient


def _settled(expr: Expr, symbol: Symbol) -> Expr:
    """The formula that holds from some value on.

    A maximum that one argument wins is it; a quotient that goes to zero is 1 (rounded up) or 0.
    """
    if expr.is_Atom or not expr.has(symbol, Maximum, Minimum):
        return expr
    node = expr.func(*(_settled(arg, symbol) for arg in expr.args))
    if isinstance(node, CeilDiv | FloorDiv) and node.has(symbol):
        degree, coefficient = _lead(node.relax(), symbol)
        if degree < 0 and coefficient.is_positive:
            return S.One if isinstance(node, CeilDiv) else S.Zero
    if isinstance(node, Maximum | Minimum) and node.has(symbol):
        sign = 1 if isinstance(node, Maximum) else -1
        ranks = [_rank(_lead(arg, symbol), sign) for arg in node.args]
        if ranks.count(max(ranks)) == 1:
            return node.args[ranks.index(max(ranks))]
    return node


def _rank(part: Growth, sign: int) -> tuple[int, Expr]:
    """Formulas in the order in which they end up: falling, zero, rising, each by its degree."""
    degree, coefficient = part[0], sign * part[1]
    if coefficient == 0:
        return 0, S.Zero
    return (-1, -degree) if coefficient.is_negative else (1, degree)


def _lead(expr: Expr, symbol: Symbol) -> Growth:
    if not expr.has(symbol):
        return S.Zero, expr
    if expr == symbol:
        return S.One, S.One
    if isinstance(expr, Mul):
        return _product([_lead(arg, symbol) for arg in expr.args])
    if isinstance(expr, Pow):
        return _power(expr, symbol)
    if isinstance(expr, Add):
        return _sum(expr, symbol)
    if isinstance(expr, Maximum | Minimum):
        parts = [_lead(arg, symbol) for arg in expr.args]
        return _largest(parts) if isinstance(expr, Maximum) else _smallest(parts)
    if isinstance(expr, SumMax):
        return _lines(expr, symbol)
    if isinstance(expr, CeilDiv | FloorDiv):
        degree, coefficient = _lead(expr.relax(), symbol)
        if degree > 0:
            return degree, coefficient
    if isinstance(expr, log):
        raise SymbolError(f"the growth of a logarithm of {symbol.name} is no power of it")
    raise SymbolError(
        f"the growth of {expr.func.__name__} in {symbol.name} is not known: "
        "ask about a step, or bind the length of the generation"
    )


def _product(parts: list[Growth]) -> Growth:
    coefficient = Mul(*(c for _, c in parts))
    return _NONE if coefficient == 0 else (Add(*(degree for degree, _ in parts)), coefficient)


def _power(expr: Expr, symbol: Symbol) -> Growth:
    base, exponent = expr.base, expr.exp
    if not exponent.has(symbol):
        degree, coefficient = _lead(base, symbol)
        if degree != 0 and not exponent.is_number:
            raise SymbolError(
                f"the growth of {expr} in {symbol.name} is not known: bind its exponent"
            )
        return degree * exponent, coefficient**exponent
    below_one = 0 < base < 1 if base.is_number else (1 - base).is_positive
    if not base.has(symbol) and below_one and exponent.is_nonnegative:
        return _FAST, S.One
    raise SymbolError(f"the growth of {expr} in {symbol.name} is not known: bind its base")


def _sum(expr: Expr, symbol: Symbol) -> Growth:
    parts = [part for part in (_lead(arg, symbol) for arg in expr.args) if part[1] != 0]
    if not parts:
        return _NONE
    best = max(degree for degree, _ in parts)
    kept = Add(*(c for degree, c in parts if degree == best))
    if kept.expand() != 0:
        return best, kept
    for other in (expr.expand(), _linearised(expr, symbol), _with_remainders(expr)):
        if other != expr:
            return _lead(other, symbol)
    raise SymbolError(f"the leading terms in {symbol.name} cancel")


def _linearised(expr: Expr, symbol: Symbol) -> Expr:
    r"""Powers of bases that go to 1, to first order: $(1 - u)^m \sim 1 - m u$."""
    near = {
        power: 1 + power.exp * (power.base - 1)
        for power in expr.atoms(Pow)
        if power.base.has(symbol)
        and not power.exp.is_number
        and not power.exp.has(symbol)
        and _lead(power.base, symbol) == (S.Zero, S.One)
    }
    return expr.xreplace(near).expand()


def _with_remainders(expr: Expr) -> Expr:
    """Rounded quotients as the plain one and a part of one step, which has no limit of its own."""
    plain = {
        node: node.relax() + (_PART if isinstance(node, CeilDiv) else -_PART)
        for node in expr.atoms(CeilDiv, FloorDiv)
    }
    return expr.xreplace(plain).expand()


def _largest(parts: list[Growth]) -> Growth:
    rising = [part for part in parts if part[1] != 0 and not part[1].is_negative]
    if rising:
        best = max(degree for degree, _ in rising)
        return best, Maximum(*(c for degree, c in rising if degree == best))
    if any(c == 0 for _, c in parts):
        return _NONE
    best = min(degree for degree, _ in parts)
    return best, Maximum(*(c for degree, c in parts if degree == best))


def _smallest(parts: list[Growth]) -> Growth:
    degree, coefficient = _largest([(degree, -c) for degree, c in parts])
    return degree, -coefficient


def _lines(expr: SumMax, symbol: Symbol) -> Growth:
    r"""The larger of two lines summed; as n grows a line adds up to $n a + b\,n^2/2$.

    Raises:
        SymbolError: lines of one degree that cross again and again as the symbol grows.
    """
    length, *ends = expr.args
    count = _lead(length, symbol)
    a, b, c, d = (_lead(end, symbol) for end in ends)
    if count[1] == 0:
        return _NONE
    if count[0] == 0:
        best = max(degree for degree, part in (a, b, c, d) if part != 0)
        kept = (part if degree == best else S.Zero for degree, part in (a, b, c, d))
        return best, SumMax(count[1], *kept)
    triangle = _product([count, count, (S.Zero, S.Half)])
    lines = [
        [_product([count, flat]), _product([triangle, steep])] for flat, steep in ((a, b), (c, d))
    ]
    best = max(degree for line in lines for degree, part in line if part != 0)
    tops = [[part if degree == best else S.Zero for degree, part in line] for line in lines]
    (level, slope), (other_level, other_slope) = tops
    if level == other_level == 0 or slope == other_slope == 0:
        return best, Maximum(level + slope, other_level + other_slope)
    if level == slope == 0 or other_level == other_slope == 0:
        return best, level + slope + other_level + other_slope
    raise SymbolError(f"two lines cross at a part of the sum in {symbol.name}: bind the others")
