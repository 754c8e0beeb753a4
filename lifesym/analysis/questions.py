"""What every question shares: the formula it is asked of, and the point it is asked at."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from sympy import Add, Expr, Symbol

from lifesym import symbols as sym
from lifesym.checks import checked, shown
from lifesym.errors import SymbolError
from lifesym.powers import written
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.symbols import By, Number, ordered, resolve

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Derived(Protocol):
    """A result of a forecast: an expression, and the operators' terms it is the sum of."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def unit(self) -> str:
        """Its SI unit."""

    @property
    def expr(self) -> Expr:
        """The expression."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The operators' parts of it."""


Quantity: TypeAlias = Derived | Expr
Values: TypeAlias = By[Number]


def formula(quantity: Quantity) -> Expr:
    """The expression that a question is asked of.

    Raises:
        SymbolError: neither a result nor an expression, or a symbol outside the table.
    """
    expr = getattr(quantity, "expr", quantity)
    if not isinstance(expr, Expr):
        raise SymbolError(f"expected a result or a SymPy expression, not {shown(quantity)}")
    for symbol in expr.free_symbols:
        resolve(symbol)
    return expr


def plain(quantity: Quantity) -> Expr:
    """The expression with its long powers written out, as solving and ranking need it."""
    return _written(formula(quantity))


_written = lru_cache(maxsize=256)(written)


def terms_of(quantity: Derived) -> tuple[Term, ...]:
    """The operators' terms of a time.

    Raises:
        SymbolError: no terms: a bare expression, or a result that is not a time.
    """
    terms: tuple[Term, ...] = getattr(quantity, "terms", ())
    if not terms:
        name = getattr(quantity, "name", "a formula")
        raise SymbolError(
            f"{name} has no table of operators: it must be the sum of their times, as a plain "
            "forecast's TTFT and TPOT are"
        )
    return terms


def title(quantity: Quantity) -> str:
    """What to call it in a message."""
    return str(getattr(quantity, "name", "the formula"))


def listed(symbols: Iterable[Symbol]) -> str:
    """Their words in the table's order, for a message."""
    return ", ".join(sym.TABLE[symbol].word for symbol in ordered(symbols)) or "no symbol"


def symbol_of(quantity: Quantity, name: str | Symbol) -> Symbol:
    """A symbol that the formula depends on.

    Raises:
        SymbolError: the table, or the formula, does not have it.
    """
    symbol, known = resolve(name), formula(quantity).free_symbols
    if symbol not in known:
        raise SymbolError(
            f"{title(quantity)} does not depend on {sym.TABLE[symbol].word} "
            f"(it has {listed(known)})"
        )
    return symbol


def point_of(quantity: Quantity, at: Values, free: Iterable[Symbol] = ()) -> dict[Symbol, Expr]:
    """The exact value of every symbol of the formula; those in ``free`` need none.

    Values of symbols that the formula does not have are left aside, so one point can be used for
    several formulas.

    Raises:
        SymbolError: an unknown name, a value out of range or not a number, or one missing.
    """
    needed = formula(quantity).free_symbols - set(free)
    values = {}
    for name, value in at.items():
        symbol = resolve(name)
        number = sym.bind(symbol, {symbol: value})
        if not number.is_number:
            raise SymbolError(f"{sym.TABLE[symbol].word} must be a number here, not {value}")
        if symbol in needed:
            values[symbol] = number
    if missing := needed - set(values):
        raise SymbolError(f"{title(quantity)} also depends on {listed(missing)}: give numbers")
    if isinstance(quantity, Result):
        quantity.check_steps(values)
    return values


def floats(symbol: Symbol, values: "Sequence[float] | np.ndarray[Any, Any]") -> Any:
    """The values of an axis as an array.

    Raises:
        SymbolError: not a list of finite numbers, or an empty one.
    """
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise SymbolError(
            f"the values of {sym.TABLE[symbol].word} must be a list of finite numbers,"
            f" not {shown(values)}"
        )
    return array


@checked
def part(quantity: Derived, which: str | Sequence[str] | Callable[[Term], bool]) -> Expr:
    """The summed time of some operators of a result.

    Args:
        quantity: a result with terms.
        which: an operator's name, the start of several (``"attn"``), a sequence of them, or a
            rule that is asked of each term.

    Raises:
        SymbolError: no table of operators, or none of them matches.
    """
    terms = terms_of(quantity)
    if callable(which):
        chosen = [term.time for term in terms if which(term)]
    else:
        starts = (which,) if isinstance(which, str) else tuple(which)
        chosen = [term.time for term in terms if term.name.startswith(starts)]
    if not chosen:
        names = ", ".join(dict.fromkeys(term.name for term in terms))
        raise SymbolError(f"{quantity.name} has no operator {which!r} (it has {names})")
    return Add(*chosen)
