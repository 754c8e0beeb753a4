"""What every question shares: the formula it is asked of, and the point it is asked at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol, TypeAlias, runtime_checkable

from sympy import Add, Expr, Symbol

from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.formats import Format
from lifesym.hardware import Hardware
from lifesym.powers import written
from lifesym.roofline import Term
from lifesym.symbols import Number, ordered, resolve


@runtime_checkable
class Derived(Protocol):
    """A result of a forecast: an expression, and the operators' terms it is the sum of."""

    name: str
    unit: str
    expr: Expr
    terms: tuple[Term, ...]


Quantity: TypeAlias = Derived | Expr
Values: TypeAlias = Mapping[str | Symbol, Number]


def formula(quantity: Quantity) -> Expr:
    """The expression that a question is asked of.

    Raises:
        SymbolError: neither a result nor an expression, or a symbol outside the table.
    """
    expr = getattr(quantity, "expr", quantity)
    if not isinstance(expr, Expr):
        raise SymbolError(f"expected a result or a SymPy expression, not {quantity!r}")
    for symbol in expr.free_symbols:
        resolve(symbol)
    return expr


def plain(quantity: Quantity) -> Expr:
    """The expression with its long powers written out, as solving and ranking need it."""
    return _written(formula(quantity))


_written = lru_cache(maxsize=256)(written)


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
    return values


def part(quantity: Derived, which: str | Sequence[str] | Callable[[Term], bool]) -> Expr:
    """The summed time of some operators of a result.

    Args:
        quantity: a result with terms.
        which: an operator's name, the start of several (``"attn"``), a sequence of them, or a
            rule that is asked of each term.

    Raises:
        SymbolError: no operator matches.
    """
    if callable(which):
        chosen = [term.time for term in quantity.terms if which(term)]
    else:
        starts = (which,) if isinstance(which, str) else tuple(which)
        chosen = [term.time for term in quantity.terms if term.name.startswith(starts)]
    if not chosen:
        names = ", ".join(dict.fromkeys(term.name for term in quantity.terms))
        raise SymbolError(f"{quantity.name} has no operator {which!r} (it has {names})")
    return Add(*chosen)


def device_point(hardware: Hardware, compute: Format) -> dict[Symbol, Expr]:
    """The numbers of a device, as values for the symbols of `Hardware.symbolic`.

    Raises:
        SpecError: the device has no peak for the format.
    """
    numbers = {
        sym.peak: hardware.matrix_peak(compute),
        sym.vector_peak: hardware.vector_peak(compute),
    }
    for name in (
        "bandwidth",
        "compute_efficiency",
        "memory_efficiency",
        "dispatch_time",
        "link_bandwidth",
        "link_latency",
        "flop_energy",
        "byte_energy",
        "static_power",
    ):
        value = getattr(hardware, name)
        if value is not None:
            numbers[getattr(sym, name)] = value
    return numbers
