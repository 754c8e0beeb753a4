"""What a caller of `compile` gives, checked: expressions, arguments, ranges, options."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import NoneType
from typing import Any

from sympy import Expr, S, Sum, Symbol

from lifesym.checks import shown
from lifesym.errors import SymbolError, nearest
from lifesym.identifiers import identifier
from lifesym.results import Result
from lifesym.symbols import TABLE, By, exact, inside, resolve

Ranges = By[tuple[float, float]]
OPTIONS = {"table": ("error", "units"), "auto": ("core", "by", "error", "units")}
"""What targets have of their own."""


def expression(quantity: Any) -> Expr:
    """The expression of a result, or an expression itself."""
    expr = getattr(quantity, "expr", quantity)
    if not isinstance(expr, Expr):
        raise SymbolError(f"only expressions and results can be compiled, not {shown(quantity)}")
    return expr


def meaning(quantity: Any) -> str:
    """What a result is, with its unit; nothing of an expression or of several."""
    if not isinstance(quantity, Result):
        return ""
    return f"{quantity.name}, in {quantity.unit}."


def results(quantities: Any) -> dict[str, Any]:
    """Several quantities by name: those of a mapping, of results their metrics, else by number.

    Raises:
        SymbolError: a name that is no identifier.
    """
    if isinstance(quantities, Mapping):
        named = {str(name): each for name, each in quantities.items()}
    else:
        metrics = [getattr(each, "metric", "") for each in quantities]
        named = {}
        for i, (metric, each) in enumerate(zip(metrics, quantities, strict=True)):
            plain = metric and metrics.count(metric) == 1
            named[metric if plain else f"result_{i}"] = each
    for name in named:
        identifier(name, "name of a result")
    return named


def arguments(args: Sequence[str | Symbol], exprs: list[Expr]) -> tuple[Symbol, ...]:
    """The symbols of a function's arguments.

    Raises:
        SymbolError: no name or symbol, one that is given twice, or that no formula depends on.
    """
    if isinstance(args, str | Symbol) or not isinstance(args, Iterable):
        raise SymbolError(f"args is a list of symbols or names, not {shown(args)}")
    symbols = tuple(_symbol(arg) for arg in args)
    if len(set(symbols)) != len(symbols):
        raise SymbolError(f"an argument is given twice: {', '.join(s.name for s in symbols)}")
    free = symbols_of(exprs)
    for symbol in symbols:
        if symbol not in free:
            raise SymbolError(f"the formula does not depend on {TABLE[symbol].word}")
    return symbols


def symbols_of(exprs: Iterable[Expr]) -> set[Symbol]:
    """The free symbols of some expressions; a part that is in them many times is met once."""
    found: set[Symbol] = set()
    left, met = [*exprs], set()
    while left:
        expr = left.pop()
        if expr in met:
            continue
        met.add(expr)
        if isinstance(expr, Symbol):
            found.add(expr)
        elif isinstance(expr, Sum):  # its index is not free
            found |= expr.free_symbols
        else:
            left.extend(expr.args)
    return found


def box(ranges: Ranges | None, symbols: Sequence[Symbol]) -> dict[Symbol, tuple[float, float]]:
    """The ranges by symbol.

    Raises:
        SymbolError: a range of no argument, one that is not two numbers in order, or that holds
            values that the symbol cannot have.
    """
    found = {}
    if not isinstance(ranges, Mapping | NoneType):
        raise SymbolError(f"ranges is a mapping to pairs of numbers, not {shown(ranges)}")
    for key, given in (ranges or {}).items():
        symbol = _argument(key, symbols, "range")
        word = TABLE[symbol].word
        try:
            low, high = (float(end) for end in given)
        except (TypeError, ValueError, OverflowError):
            raise SymbolError(f"{word}: a range is two numbers, not {shown(given)}") from None
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise SymbolError(
                f"{word}: a range is two finite numbers in order, not {low:g}, {high:g}"
            )
        for end in (low, high):
            inside(symbol, end)
        found[symbol] = low, high
    return found


def bounded(symbols: Sequence[Symbol], box: Mapping[Symbol, tuple[float, float]]) -> None:
    """Refuse arguments without a range, or of one value.

    Raises:
        SymbolError: there is one.
    """
    for symbol in symbols:
        low, high = box.get(symbol, (0.0, 0.0))
        if not low < high:
            raise SymbolError(f"{TABLE[symbol].word} needs a range that is not empty")


def tolerance(error: Any) -> None:
    """Refuse what is no relative error of a table.

    Raises:
        SymbolError: it is not between 1e-5 and 1.
    """
    number = math.nan
    if not isinstance(error, str | bool):
        with suppress(TypeError, ValueError, OverflowError):
            number = float(error)
    if not 1e-5 <= number < 1:
        raise SymbolError(f"error must be between 0.00001 and 1, not {shown(error)}")


def least(quantities: Iterable[Any], found: Mapping[Symbol, tuple[float, float]]) -> Ranges:
    """The ranges, and those without an end of what a formula of decode steps needs for one.

    Raises:
        SymbolError: a range that holds values at which there is no decode step.
    """
    lowest = {}
    for each in quantities:
        steps = each.over_steps if isinstance(each, Result) else S.One
        for symbol in steps.free_symbols:
            if symbol in found:
                each.check_steps({symbol: exact(found[symbol][0])})
            elif (low := each.least(symbol)) != TABLE[symbol].minimum:
                lowest[symbol] = float(low), math.inf
    return {**found, **lowest}


def units(given: By[float] | None, symbols: Sequence[Symbol]) -> list[float]:
    """What one of each argument's units is worth; 1 unless given.

    Raises:
        SymbolError: a unit of no argument, or one that is no number above zero.
    """
    if not isinstance(given, Mapping | NoneType):
        raise SymbolError(f"units is a mapping to numbers, not {shown(given)}")
    chosen = dict.fromkeys(symbols, 1.0)
    for key, value in (given or {}).items():
        symbol = _argument(key, symbols, "unit")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise SymbolError(
                f"{TABLE[symbol].word}: a unit is a number above 0, not {shown(value)}"
            )
        chosen[symbol] = number
    return list(chosen.values())


def slopes(given: Any, symbols: Sequence[Symbol]) -> list[int] | None:
    """The places of the arguments to differentiate in; None for no gradient.

    Raises:
        SymbolError: not True, False or a list, or one of no argument or given twice.
    """
    if isinstance(given, bool):
        return list(range(len(symbols))) if given else None
    if isinstance(given, str | Symbol) or not isinstance(given, Sequence):
        raise SymbolError(f"gradient is True, False or a list of arguments, not {shown(given)}")
    chosen = [_argument(key, symbols, "derivative") for key in given]
    if len(set(chosen)) != len(chosen):
        raise SymbolError(f"a derivative is given twice: {', '.join(s.name for s in chosen)}")
    return [symbols.index(symbol) for symbol in chosen]


def options(target: str, table: Mapping[str, Any], **given: Any) -> None:
    """Refuse what a target would ignore."""
    for name in table:
        if name not in (known := OPTIONS.get(target, ())):
            hint = nearest(name, known)
            raise SymbolError(f"unknown option {name!r} of the target {target}{hint}")
    if given["gradient"] is not False and target not in ("numpy", "native"):
        raise SymbolError(f"gradient is of the targets numpy and native, not of {target}")
    if given["precision"] not in ("double", "float"):
        raise SymbolError(f"precision must be double or float, not {shown(given['precision'])}")
    if given["precision"] != "double" and target != "c":
        raise SymbolError(f"precision is of the target c, not of {target}")
    if given["several"] and target in ("python", *OPTIONS):
        raise SymbolError(f"the target {target} compiles one formula at a time")
    threads = given["threads"]
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise SymbolError(f"threads must be a whole number of at least 1, not {shown(threads)}")
    if threads != 1 and target != "native":
        raise SymbolError(f"threads are of the target native, not of {target}")


def _symbol(name: Any) -> Symbol:
    if not isinstance(name, str | Symbol):
        raise SymbolError(f"an argument is a symbol or its name, not {shown(name)}")
    return resolve(name)


def _argument(key: Any, symbols: Sequence[Symbol], what: str) -> Symbol:
    symbol = _symbol(key)
    if symbol not in symbols:
        known = ", ".join(TABLE[s].word for s in symbols)
        raise SymbolError(f"a {what} of {TABLE[symbol].word}, which is no argument ({known})")
    return symbol
