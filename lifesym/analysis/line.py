r"""A formula along one symbol: the stretches on which it has no maxima and no steps.

With every other symbol a number, a time is piecewise rational in the one that is left: it bends
where two arguments of a maximum are equal, and a rounded quotient is a whole number between the
points at which the plain quotient is one. The line is cut at every such point (see
`lifesym.analysis.roots`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from sympy import Expr, S, Sum, Symbol, ceiling, floor, oo

from lifesym.analysis.branches import KINKED, STEPPED, unrolled
from lifesym.analysis.roots import Root, between, distinct, roots, turning
from lifesym.analysis.signs import number_at, sign_at
from lifesym.errors import SymbolError
from lifesym.nodes import Maximum, Minimum
from lifesym.remainders import spelt_out
from lifesym.sums import Crossing, Inside, SumMax
from lifesym.symbols import TABLE

_MOST_STEPS = 128


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of the line on which the formula is ``expr``, without maxima.

    ``exact`` is False where ``low`` is the middle of a bracket.
    """

    low: Expr
    high: Expr
    expr: Expr
    exact: bool = True


@dataclass(frozen=True, kw_only=True)
class Flat:
    """A stretch on which no rounded quotient steps.

    Attributes:
        low: where it begins.
        high: where it ends.
        exact: False where ``low`` is the middle of a bracket.
        whole: the whole number that each quotient is.
    """

    low: Expr
    high: Expr
    exact: bool
    whole: dict[Expr, Expr]


def rounded(expr: Expr, symbol: Symbol) -> bool:
    """Whether the formula has steps in the symbol: quotients rounded to whole numbers."""
    return any(node.has(symbol) for node in expr.atoms(*STEPPED, Crossing))


def pieces(expr: Expr, symbol: Symbol, low: Expr, high: Expr) -> tuple[Piece, ...]:
    """The stretches of a formula in one symbol, in order; ``high`` may be infinite.

    >>> from lifesym.symbols import batch
    >>> for piece in pieces(Maximum(batch, 3) + 1, batch, S(1), S(9)):
    ...     print(piece.low, piece.high, piece.expr)
    1 3 4
    3 9 batch + 1

    Raises:
        SymbolError: a sum without a closed form, or more steps than can be cut at.
    """
    expr = spelt_out(expr)
    if quotients([expr], symbol):
        split: list[Piece] = []
        for flat in flats([expr], symbol, low, high):
            first, *rest = pieces(expr.xreplace(flat.whole), symbol, flat.low, flat.high)
            split += [replace(first, exact=flat.exact), *rest]
        return tuple(_joined(split))
    if isinstance(expr, Sum) or expr.has(SumMax, Sum):
        expr = written_out(expr)
    inner = _innermost(expr)
    if not inner:
        return (Piece(low=low, high=high, expr=expr),)
    cuts: list[Root] = []
    for node in inner:
        for difference in _contests(node):
            cuts += roots(difference, symbol, low, high)
    rough = {root.value for root in cuts if not root.exact}
    ends = distinct([low, *(root.value for root in cuts), high])
    found: list[Piece] = []
    for left, right in pairwise(ends):
        middle = between(left, right)
        chosen = {node: _choose(node, symbol, middle) for node in inner}
        first, *rest = pieces(expr.xreplace(chosen), symbol, left, right)
        found += [replace(first, exact=left not in rough), *rest]
    return tuple(_joined(found))


def cut_short(
    exprs: Iterable[Expr], symbol: Symbol, low: Expr, high: Expr, steps: int | None = None
) -> tuple[Expr, Expr]:
    """The range, its end with the many steps moved until there are no more than so many.

    They are as many as can be cut at, unless fewer are asked for.

    >>> from lifesym.nodes import CeilDiv
    >>> from lifesym.symbols import chunk, prompt
    >>> cut_short([CeilDiv(prompt, 512)], prompt, S(1), S(131072))
    (1, 65536)
    >>> cut_short([CeilDiv(4096, chunk)], chunk, S(1), S(65536))
    (32, 65536)
    """
    for node in quotients(exprs, symbol):
        quotient = node.args[0] / node.args[1]
        first, last = (quotient.xreplace({symbol: end}) for end in (low, high))
        if not (first.is_finite and last.is_finite):
            continue
        most = ceiling(min(first, last)) + (steps or _MOST_STEPS) - 1
        beyond = [root.value for root in roots(quotient - most, symbol, low, high)]
        if beyond and first < last:
            high = floor(beyond[0]) if TABLE[symbol].whole else beyond[0]
        elif beyond:
            low = ceiling(beyond[-1]) if TABLE[symbol].whole else beyond[-1]
    return low, high


def flats(exprs: Iterable[Expr], symbol: Symbol, low: Expr, high: Expr) -> Iterator[Flat]:
    """The stretches on which none of the formulas' rounded quotients steps, in order.

    Quotients of maxima or of other quotients are left to `pieces`, which meets them further in.

    Raises:
        SymbolError: more steps than can be cut at.
    """
    nodes = quotients(exprs, symbol)
    cuts = [
        root
        for node in nodes
        for difference in _steps(node, symbol, low, high)
        for root in roots(difference, symbol, low, high)
    ]
    rough = {root.value for root in cuts if not root.exact}
    for left, right in pairwise(distinct([low, *(root.value for root in cuts), high])):
        middle = {symbol: between(left, right)}
        yield Flat(
            low=left,
            high=right,
            exact=left not in rough,
            whole={node: node.xreplace(middle) for node in nodes},
        )


def quotients(exprs: Iterable[Expr], symbol: Symbol) -> list[Expr]:
    """The rounded quotients of smooth formulas in one symbol."""
    nodes = dict.fromkeys(node for expr in exprs for node in spelt_out(expr).atoms(*STEPPED))
    return [
        node
        for node in nodes
        if node.free_symbols == {symbol}
        and not any(arg.has(*KINKED, *STEPPED) for arg in node.args)
    ]


def _innermost(expr: Expr) -> list[Expr]:
    nodes = expr.atoms(Maximum, Minimum, Crossing)
    return [node for node in nodes if not any(arg.has(*KINKED, *STEPPED) for arg in node.args)]


def _contests(node: Expr) -> Iterator[Expr]:
    if isinstance(node, Crossing):
        p, q, n = node.args
        yield from (p, p + q * (n - 1))
        return
    for i, first in enumerate(node.args):
        for second in node.args[:i]:
            yield first - second


def _steps(node: Expr, symbol: Symbol, low: Expr, high: Expr) -> Iterator[Expr]:
    """The quotient less each whole number that it reaches in the range."""
    top, bottom = node.args
    quotient = top / bottom
    turns = [root.value for root in turning(quotient, symbol, low, high)]
    inverse = quotient.xreplace({symbol: 1 / symbol})
    reached = [
        inverse.xreplace({symbol: S.Zero}) if end is oo else quotient.xreplace({symbol: end})
        for end in (low, *turns, high)
    ]
    if not all(number.is_finite for number in reached):
        raise SymbolError(f"{node} has no end of steps in {symbol.name}: give a shorter range")
    first, last = ceiling(min(reached)), floor(max(reached))
    if last - first >= _MOST_STEPS:
        raise SymbolError(
            f"{node} has {last - first + 1} steps over this range of {symbol.name}: "
            f"give a shorter one, with at most {_MOST_STEPS}"
        )
    for count in range(int(first), int(last) + 1):
        yield top - count * bottom


def _choose(node: Expr, symbol: Symbol, middle: Expr) -> Expr:
    if isinstance(node, Crossing):
        p, q, n = node.args
        if sign_at(p, {symbol: middle}) >= 0:
            return S.Zero
        return n if sign_at(p + q * (n - 1), {symbol: middle}) < 0 else Inside(p, q)
    best: Callable[..., Expr] = max if isinstance(node, Maximum) else min
    return best(node.args, key=lambda arg: number_at(arg, {symbol: middle}))


def written_out(expr: Expr) -> Expr:
    """A formula without sums: in closed form, or step by step."""
    return expr.replace(
        lambda node: isinstance(node, SumMax | Sum),
        lambda node: node.closed_form() if isinstance(node, SumMax) else unrolled(node, {}),
    )


def _joined(found: list[Piece]) -> Iterator[Piece]:
    """Neighbours with the same formula as one piece."""
    current = found[0]
    for piece in found[1:]:
        if piece.expr == current.expr:
            current = replace(current, high=piece.high)
        else:
            yield current
            current = piece
    yield current
