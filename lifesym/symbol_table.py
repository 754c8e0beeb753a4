"""How symbols are made, found by name, and bound: the mechanism of the table in `symbols`.

Symbols carry the assumption positive (nonnegative where zero is valid, real where less is) and
never integer: inverse questions such as "which context meets this target?" have real solutions,
and integrality is carried by ceiling nodes where it matters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalTuple
from fractions import Fraction
from math import isfinite
from operator import index as as_index
from typing import Any, Literal, TypeAlias, TypeVar

from sympy import Dummy, Expr, Float, Integer, Rational, S, Symbol

from lifesym.checks import shown
from lifesym.errors import SymbolError, nearest
from lifesym.powers import replaced

Kind = Literal["size", "bits", "rate", "time", "ratio", "energy"]
Number: TypeAlias = int | float | Fraction | Decimal | Expr
V = TypeVar("V")
By: TypeAlias = Mapping[str, V] | Mapping[Symbol, V] | Mapping[str | Symbol, V]
"""What is said by symbol: by its word, by itself, or both (a mapping's keys are of one type)."""
Size: TypeAlias = int | Expr
End: TypeAlias = int | Rational
"""An end of the range of a symbol's values."""


@dataclass(frozen=True, kw_only=True)
class Notation:
    """One row of the table; ``minimum`` (None: above zero) and ``maximum`` are valid themselves."""

    word: str
    symbol: Symbol
    latex: str
    unit: str
    meaning: str
    kind: Kind
    minimum: End | None
    maximum: End | None

    @property
    def name(self) -> str:
        """The C identifier, which is also the SymPy name."""
        return str(self.symbol.name)

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.kind in ("size", "bits")


def shown_table() -> dict[str, dict[str, str | None]]:
    """Every row as text, by its word: spellings, unit, meaning, and the ends of its values."""
    shown = {}
    for each in TABLE.values():
        shown[each.word] = {
            "latex": each.latex,
            "unit": each.unit,
            "meaning": each.meaning,
            "least": "above 0" if each.minimum is None else str(each.minimum),
            "most": None if each.maximum is None else str(each.maximum),
        }
    return shown


_DIGITS = 400
"""More digits than a float has, before the point or after it: a billion would take hours."""

TABLE: dict[Symbol, Notation] = {}
BY_NAME: dict[str, Symbol] = {}


def row(
    word: str,
    latex: str,
    unit: str,
    meaning: str,
    *,
    kind: Kind = "size",
    minimum: End | None = 1,
    maximum: End | None = None,
    name: str | None = None,
) -> Symbol:
    """A new row of the table, and its symbol, which is made here and nowhere else."""
    symbol = Symbol(name or word, **{_assumption(minimum): True})
    TABLE[symbol] = Notation(
        word=word,
        symbol=symbol,
        latex=latex,
        unit=unit,
        meaning=meaning,
        kind=kind,
        minimum=minimum,
        maximum=maximum,
    )
    BY_NAME[word] = BY_NAME[symbol.name] = symbol
    return symbol


def _assumption(minimum: End | None) -> str:
    """What SymPy is told of a symbol's sign."""
    if minimum is None or minimum > 0:
        return "positive"
    return "nonnegative" if minimum == 0 else "real"


# The bound index of sums, and that of a sum inside another one: never free in an expression that
# leaves the package, so not in the table.
index = Symbol("i", integer=True, nonnegative=True)
inner = Symbol("j", integer=True, nonnegative=True)


def resolve(name: str | Symbol) -> Symbol:
    """The table's symbol for a word, a C identifier or the symbol itself.

    >>> from lifesym.symbols import past
    >>> resolve("past") is past
    True

    Raises:
        SymbolError: the name is not in the table, or a look-alike symbol was made elsewhere.
    """
    if isinstance(name, Symbol):
        if name in TABLE:
            return name
        raise SymbolError(_foreign(name))
    if not isinstance(name, str):
        raise SymbolError(f"a symbol is one of lifesym.symbols or its name, not {shown(name)}")
    if name not in BY_NAME:
        raise SymbolError(f"unknown symbol {name!r}{nearest(name, BY_NAME)}")
    return BY_NAME[name]


def _foreign(symbol: Symbol) -> str:
    return (
        f"symbol {symbol.name!r} is not lifesym's: take it from lifesym.symbols, or make one of "
        f"your own with lifesym.symbol{nearest(symbol.name, BY_NAME)}"
    )


def known(expr: Expr, what: str) -> Expr:
    """An expression whose symbols are all of the table; no value would ever reach another.

    Raises:
        SymbolError: one of another origin.
    """
    foreign = [symbol for symbol in expr.free_symbols if symbol not in TABLE and symbol != index]
    foreign = [symbol for symbol in foreign if not isinstance(symbol, Dummy)]  # for later values
    if foreign:
        raise SymbolError(f"{what}: {_foreign(min(foreign, key=str))}")
    return expr


def exact(value: Number, what: str = "value") -> Expr:
    """An exact SymPy number or expression of a number from outside.

    A float means the shortest decimal that prints it, so 0.1 is 1/10 and not the binary fraction
    next to it, also within a SymPy expression, which is otherwise taken as it is.

    >>> exact(0.1), exact(Decimal("312e12"))
    (1/10, 312000000000000)

    Raises:
        SymbolError: a boolean, a string, a number that is not finite or has too many digits, or
            an expression in a symbol that is not the table's.
    """
    if isinstance(value, Expr):
        return known(_without_floats(value, what), what)
    if isinstance(value, float | Decimal):
        if not (value.is_finite() if isinstance(value, Decimal) else isfinite(value)):
            raise SymbolError(f"{what} must be finite, not {value:.6g}")
        _check_digits(Decimal(str(value)).as_tuple(), what)
        return Rational(str(value))
    number = value if isinstance(value, Fraction) else _whole(value)
    if number is None:
        raise SymbolError(f"{what} must be a number or a SymPy expression, not {shown(value)}")
    if max(abs(number.numerator), number.denominator) >= 10**_DIGITS:
        raise SymbolError(f"{what} has more than {_DIGITS} digits")
    return Rational(number.numerator, number.denominator)


def constant(value: Number, what: str) -> Expr:
    """The same of a value that must be a number: no symbol is left in it.

    Raises:
        SymbolError: as `exact`, or a symbol.
    """
    number = exact(value, what)
    if not number.is_number:
        raise SymbolError(f"{what} must be a number, not {number}")
    return number


def _without_floats(expr: Expr, what: str) -> Expr:
    """An expression with the shortest decimal that prints each binary float in its place."""
    exactly = {}
    for each in expr.atoms(Float):
        double = float(each)
        exactly[each] = exact(Decimal(str(double if Float(double) == each else each)), what)
    return expr.xreplace(exactly) if exactly else expr


def _check_digits(written: DecimalTuple, what: str) -> None:
    """Refuse a decimal that would be a fraction of more digits than any float has."""
    after, before = -int(written.exponent), len(written.digits) + int(written.exponent)
    if max(after, before, len(written.digits)) > _DIGITS:
        raise SymbolError(f"{what} has more than {_DIGITS} digits before or after the point")


def _whole(value: Any) -> int | None:
    """The integer that a value of any type is; None for a boolean and for what is none."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    try:
        return as_index(value)
    except TypeError:
        return None


def size(value: Size, what: str, minimum: int = 1) -> Expr:
    """An expression for a size that was passed in; a number must be an integer >= minimum.

    Integers of any type are taken, NumPy's too.

    Raises:
        SymbolError: a number that is not an integer or is below the minimum, or an expression
            in a symbol that is not the table's.
    """
    number = value if isinstance(value, Expr) else _whole(value)
    if number is None:
        raise SymbolError(f"{what} must be an integer or a SymPy expression, not {shown(value)}")
    expr = number if isinstance(number, Expr) else Integer(number)
    if isinstance(expr, Integer) and expr.p >= minimum:
        return expr
    if expr.is_number and not (expr.is_Integer and expr >= minimum):
        raise SymbolError(f"{what} must be an integer of at least {minimum}, not {value}")
    return known(expr, what)


def inside(symbol: Symbol, number: Any) -> None:
    """Refuse a number that a symbol cannot have, or an expression that surely is none it can.

    Raises:
        SymbolError: it is outside the symbol's range in the table.
    """
    notation = TABLE[symbol]
    if _outside(notation, number):
        lower = "above 0" if notation.minimum is None else f"at least {notation.minimum}"
        upper = f" and at most {notation.maximum}" if notation.maximum is not None else ""
        raise SymbolError(f"{notation.word} must be {lower}{upper}, not {number}")


def _outside(notation: Notation, number: Any) -> bool:
    """Whether a number is outside the range; an expression, as far as signs tell."""
    low, high = notation.minimum, notation.maximum
    if isinstance(number, Expr):
        if number.is_extended_real is False or number is S.NaN:
            return True
        if not number.is_number:
            below = number.is_nonpositive if low is None else (number - low).is_negative
            return bool(below or (high is not None and (number - high).is_positive))
    below = number <= 0 if low is None else number < low
    return bool(below or (high is not None and number > high))


def bind(expr: Expr, values: By[Number]) -> Expr:
    """Replace symbols by numbers or expressions, checking names and ranges.

    Powers of thousands of digits stay closed (see `lifesym.powers`).

    >>> from lifesym.symbols import batch, hidden
    >>> bind(2 * batch * hidden, {"batch": 8})
    16*hidden

    Raises:
        SymbolError: an unknown name, a value outside the symbol's range, or a binary float.
    """
    replacement = {}
    for name, value in values.items():
        symbol = resolve(name)
        number = exact(value, TABLE[symbol].word)
        inside(symbol, number)
        replacement[symbol] = number
    return replaced(expr, replacement)


def ordered(symbols: Iterable[Symbol]) -> list[Symbol]:
    """Symbols in the order of the table (a set's own order changes from run to run)."""
    rank = {symbol: i for i, symbol in enumerate(TABLE)}
    return sorted(symbols, key=lambda s: rank[resolve(s)])
