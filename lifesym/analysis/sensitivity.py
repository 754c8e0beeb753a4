r"""How a formula moves with its symbols: gradients, elasticities, second order.

The elasticity of T in x is $\varepsilon_x = \partial \ln T / \partial \ln x$: the percentage by
which T changes for one percent of x. It is taken on the active branch of every maximum: the
share-weighted mean of the active terms' own elasticities. Where two branches tie it is one-sided.
A rounded quotient (pages, tiles, chunks) is a whole number that does not move: its slope is 0. At a
step, where a quotient is just whole, the two sides are those of the formulas before and after it,
and the jump between them has no elasticity.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sympy import Dummy, Expr, Sum, Symbol

from lifesym.analysis.branches import STEPPED, branch_at
from lifesym.analysis.questions import (
    Quantity,
    Values,
    formula,
    listed,
    plain,
    point_of,
    symbol_of,
    title,
)
from lifesym.analysis.regions import Branch
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.remainders import spelt_out
from lifesym.symbols import TABLE, ordered

Symbols = Iterable[str | Symbol]


@dataclass(frozen=True, kw_only=True)
class Elasticity:
    """The elasticity in one symbol at a point.

    Attributes:
        symbol: the symbol.
        left: towards smaller values of the symbol.
        right: towards larger ones.
        at_tie: two branches meet there, and ``left`` and ``right`` may differ.
    """

    symbol: Symbol
    left: Expr
    right: Expr
    at_tie: bool = False

    @property
    def word(self) -> str:
        """The symbol's word in the table."""
        return TABLE[self.symbol].word

    @property
    def one_sided(self) -> bool:
        """Whether the two sides differ."""
        return bool(self.left != self.right)

    @property
    def value(self) -> Expr:
        """The elasticity.

        Raises:
            SymbolError: the two sides differ: ask for ``left`` or ``right``.
        """
        if self.one_sided:
            raise SymbolError(
                f"the elasticity in {self.word} is {self.left} to the left of a tie and "
                f"{self.right} to its right: ask for one side"
            )
        return self.right

    @property
    def largest(self) -> Expr:
        """The larger absolute value of the two sides."""
        return max(abs(self.left), abs(self.right))


@dataclass(frozen=True, kw_only=True)
class Elasticities(Mapping[Symbol, Expr]):
    """Elasticities as formulas; `Active` brackets say which branch counts.

    A mapping from symbol to expression, in the table's order.
    """

    quantity: Quantity
    values_: dict[Symbol, Expr] = field(repr=False)

    def __getitem__(self, symbol: Symbol) -> Expr:
        return self.values_[symbol]

    def __iter__(self) -> Iterator[Symbol]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)

    def at(self, values: Values) -> tuple[Elasticity, ...]:
        """Exact numbers at a point that binds every symbol, largest first.

        Raises:
            SymbolError: an unknown name, a value out of range, or one missing.
        """
        return local_elasticities(self.quantity, values, of=self)


@checked
def gradient(quantity: Quantity, of: Symbols | None = None) -> dict[Symbol, Expr]:
    """Partial derivatives on the active branch, in the quantity's unit over the symbol's.

    Raises:
        SymbolError: a symbol that the formula does not have.
    """
    expr = spelt_out(formula(quantity))  # a last chunk grows with its prompt until the next step
    steps = {node: Dummy(integer=True, nonnegative=True) for node in expr.atoms(*STEPPED)}
    still = {mark: node for node, mark in steps.items()}
    held = expr.xreplace(steps)
    return {symbol: held.diff(symbol).xreplace(still) for symbol in _chosen(quantity, of)}


@checked
def elasticities(quantity: Quantity, of: Symbols | None = None) -> Elasticities:
    r"""$\varepsilon_x = (x / T)\,\partial T / \partial x$ for every symbol, as formulas.

    Args:
        quantity: a result or an expression.
        of: the symbols; all of the formula's unless given.

    Raises:
        SymbolError: a symbol that the formula does not have.

    >>> from lifesym import symbols as sym
    >>> dict(elasticities(sym.batch**2 / sym.bandwidth))
    {batch: 2, bandwidth: -1}
    """
    expr = formula(quantity)
    slopes = gradient(quantity, of)
    values = {symbol: symbol * slope / expr for symbol, slope in slopes.items()}
    return Elasticities(quantity=quantity, values_=values)


@checked
def local_elasticities(
    quantity: Quantity, at: Values, of: Symbols | None = None
) -> tuple[Elasticity, ...]:
    """Exact elasticities at a point, one-sided where branches tie, largest first.

    Symbols in the range of a sum without a closed form have none, and are left out.

    Raises:
        SymbolError: a symbol that the formula does not have, or that has no elasticity, a value
            missing or out of range, or a formula that is zero at the point.
    """
    expr, chosen = plain(quantity), _movable(quantity, of)
    values = point_of(quantity, at)
    branch = branch_at(expr, values)
    level = branch.expr.xreplace(values)
    if level == 0:
        raise SymbolError(f"{title(quantity)} is zero at this point: it has no elasticity")

    def slope(smooth: Branch, symbol: Symbol) -> Expr:
        return (symbol * smooth.expr.diff(symbol)).xreplace(values) / smooth.expr.xreplace(values)

    rows = []
    for symbol in chosen:
        if not branch.tied:
            left = right = slope(branch, symbol)
        else:
            left = slope(branch_at(expr, values, (symbol, -1)), symbol)
            right = slope(branch_at(expr, values, (symbol, 1)), symbol)
        rows.append(Elasticity(symbol=symbol, left=left, right=right, at_tie=bool(branch.tied)))
    return tuple(sorted(rows, key=lambda row: -row.largest))


@checked
def second_order(
    quantity: Quantity, at: Values, of: Symbols | None = None
) -> dict[tuple[Symbol, Symbol], Expr]:
    r"""How elasticities move: $\partial \varepsilon_x / \partial \ln y$ on the active branch.

    Zero for a monomial; symmetric in x and y. It is the curvature of T in log-log coordinates.

    Raises:
        SymbolError: as `local_elasticities`, or a point at a tie, where T has a kink.
    """
    expr, chosen = plain(quantity), _movable(quantity, of)
    values = point_of(quantity, at)
    branch = branch_at(expr, values)
    if any(choice.node.has(*chosen) for choice in branch.tied):
        raise SymbolError(f"{title(quantity)} has a kink at this point: no second order there")
    smooth = branch.expr
    level = smooth.xreplace(values)
    first = {symbol: symbol * smooth.diff(symbol) for symbol in chosen}
    number = {symbol: slope.xreplace(values) / level for symbol, slope in first.items()}
    result: dict[tuple[Symbol, Symbol], Expr] = {}
    for x in chosen:
        for y in chosen:
            if (y, x) in result:
                result[x, y] = result[y, x]
                continue
            mixed = (y * first[x].diff(y)).xreplace(values) / level
            result[x, y] = mixed - number[x] * number[y]
    return result


def _movable(quantity: Quantity, of: Symbols | None) -> list[Symbol]:
    """The chosen symbols, without those that count the steps of a sum without a closed form."""
    ends = [end for node in formula(quantity).atoms(Sum) for end in node.limits[0][1:]]
    counts = set().union(*(end.free_symbols for end in ends))
    chosen = _chosen(quantity, of)
    if of is not None and counts.intersection(chosen):
        words = listed(counts.intersection(chosen))
        raise SymbolError(f"a sum over {words} has no closed form: no elasticity in {words}")
    return [symbol for symbol in chosen if symbol not in counts]


def _chosen(quantity: Quantity, of: Symbols | None) -> list[Symbol]:
    if of is None:
        return ordered(formula(quantity).free_symbols)
    return ordered({symbol_of(quantity, name) for name in of})
