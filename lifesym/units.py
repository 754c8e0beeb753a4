"""Figures of data sheets: numbers in SI units, or text with a unit such as ``"24 GiB"``.

What a figure may be is a `Quantity`: the units it is read in and shown in, and the range outside
of which it is most likely a number typed in another unit (a bandwidth of 900 is one of 900 GB/s).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sympy import Expr, Integer, Rational

from lifesym.errors import SpecError, SymbolError
from lifesym.kinds import BINARY, PREFIXES
from lifesym.symbols import exact

_FIGURE = re.compile(r"([+-]?\d[\d,]*\.?\d*(?:[eE][+-]?\d+)?)\s*(.*)")


def _decimal(*ends: str) -> dict[str, Expr]:
    """Every spelling of a unit with its SI prefixes."""
    return {p + end: Integer(10) ** power for end in ends for p, power in PREFIXES.items()}


def _binary(*ends: str) -> dict[str, Expr]:
    """Every spelling of a unit with the prefixes of powers of 1024."""
    return {p + end: Integer(2) ** power for end in ends for p, power in BINARY.items()}


def prefixed(unit: str) -> Expr | None:
    """What one of a unit is worth in the unit without its prefix; None for no unit.

    >>> prefixed("GiB"), prefixed("TFLOP"), prefixed("%"), prefixed("ms"), prefixed("")
    (1073741824, 1000000000000, 1/100, 1/1000, 1)
    """
    found = re.fullmatch(r"(Ki|Mi|Gi|Ti|[kKMGTPEmuµn]?)(B|byte|FLOP|OP|s|param|token|)(/s)?", unit)
    if unit == "%":
        return Rational(1, 100)
    if found is None:
        return None
    small = {"m": 3, "u": 6, "µ": 6, "n": 9}
    if found[1] in BINARY:
        return Integer(2) ** BINARY[found[1]]
    if found[1] in small:
        return Rational(1, 10 ** small[found[1]])
    return Integer(10) ** PREFIXES[found[1]]


_SECONDS = {
    "s": Integer(1),
    "ms": Rational(1, 10**3),
    "us": Rational(1, 10**6),
    "µs": Rational(1, 10**6),
    "μs": Rational(1, 10**6),
    "ns": Rational(1, 10**9),
}
_JOULES = {
    "J": Integer(1),
    "nJ": Rational(1, 10**9),
    "pJ": Rational(1, 10**12),
    "fJ": Rational(1, 10**15),
}
_JOULES_A_BYTE = {
    f"{joules}/{of}": size * factor
    for joules, size in _JOULES.items()
    for of, factor in (("byte", 1), ("B", 1), ("bit", 8))
}
_JOULES_AN_OPERATION = {
    f"{joules}/{of}": size for joules, size in _JOULES.items() for of in ("FLOP", "OP")
}


@dataclass(frozen=True)
class Quantity:
    """What a figure of a spec may be.

    Attributes:
        unit: the SI unit of a bare number.
        units: units that text may have, each with its size in that unit.
        least: a smaller number was typed in another unit.
        most: so was a larger one.
        usual: the range of most devices' figures.
        likely: units such a number may be in; the first that makes it usual is named.
        example: a figure as a data sheet writes it.
    """

    unit: str
    units: Mapping[str, Expr]
    least: Expr
    most: Expr
    usual: tuple[Expr, Expr]
    likely: tuple[str, ...]
    example: str

    def read(self, value: object, where: str) -> Expr:
        """The exact number of a figure in the SI unit.

        Raises:
            SpecError: no number, an unknown unit, not above 0, or most likely in another unit.
        """
        if isinstance(value, str):
            return self._plausible(self._text(value, where), value, where)
        return self._plausible(_number(value, where), value, where)

    def _text(self, text: str, where: str) -> Expr:
        found = _FIGURE.fullmatch(text.strip())
        unit = found[2].strip() if found else ""
        if found is None or unit not in self.units:
            named = f"unit {unit!r} is not one of it" if unit else f"{text!r} has no unit"
            raise SpecError(
                f"{where}: {named}: write a number in {self.unit}, or text such as {self.example!r}"
            )
        number: Expr = exact(Decimal(found[1].replace(",", ""))) * self.units[unit]
        return number

    def _plausible(self, number: Expr, value: object, where: str) -> Expr:
        if number <= 0:
            raise SpecError(f"{where}: must be a number above 0, not {value}")
        if self.least <= number <= self.most:
            return number
        shown = value if isinstance(value, str) else f"{value} {self.unit}"
        size = "small" if number < self.least else "large"
        low, high = self.usual
        meant = next((u for u in self.likely if low <= number * self.units[u] <= high), "")
        hint = f"; did you mean '{value} {meant}'?" if meant and not isinstance(value, str) else ""
        raise SpecError(f"{where}: {shown} is too {size} for a device{hint}")


_BYTES = _decimal("B") | _binary("B")
_BYTES_A_SECOND = _decimal("B/s") | _binary("B/s")
_OPERATIONS = _decimal("FLOPS", "FLOP/s", "OPS", "OP/s", "FLOPs/s", "OPs/s")

CAPACITY = Quantity(
    unit="bytes",
    units=_BYTES,
    least=Integer(10) ** 6,
    most=Integer(10) ** 15,
    usual=(Integer(10) ** 9, Integer(10) ** 13),
    likely=("GiB", "MiB", "kB"),
    example="24 GiB",
)
BUFFER = replace(
    CAPACITY,
    least=Integer(10) ** 3,
    usual=(Integer(10) ** 4, Integer(10) ** 13),
    likely=("KiB", "MiB", "GiB"),
    example="24 MiB",
)
"""Of a memory beside the main one: some are on the chip."""
BANDWIDTH = Quantity(
    unit="B/s",
    units=_BYTES_A_SECOND,
    least=Integer(10) ** 7,
    most=Integer(10) ** 15,
    usual=(5 * Integer(10) ** 9, 5 * Integer(10) ** 13),
    likely=("GB/s", "TB/s", "MB/s"),
    example="936 GB/s",
)
LINK = Quantity(
    unit="B/s",
    units=_BYTES_A_SECOND,
    least=Integer(10) ** 5,
    most=Integer(10) ** 15,
    usual=(Integer(10) ** 8, 5 * Integer(10) ** 13),
    likely=("GB/s", "TB/s", "MB/s"),
    example="450 GB/s",
)
PEAK = Quantity(
    unit="FLOP/s",
    units=_OPERATIONS,
    least=Integer(10) ** 7,
    most=2 * Integer(10) ** 18,
    usual=(Integer(10) ** 11, 15 * Integer(10) ** 15),
    likely=("TFLOPS", "GFLOPS", "MFLOPS"),
    example="165 TFLOPS",
)
POWER = Quantity(
    unit="W",
    units=_decimal("W") | {"mW": Rational(1, 1000)},
    least=Rational(1, 1000),
    most=Integer(10) ** 5,
    usual=(Rational(1, 10), Integer(10) ** 4),
    likely=("mW",),
    example="450 W",
)
LEAKAGE = replace(
    POWER,
    units={**POWER.units, "uW": Rational(1, 10**6)},
    least=Rational(1, 10**9),
    usual=(Rational(1, 10**6), Integer(10) ** 3),
    likely=("mW", "uW"),
    example="5 mW",
)
"""What a memory draws whatever it does: on the chip it may be little."""
BYTE_ENERGY = Quantity(
    unit="J/byte",
    units=_JOULES_A_BYTE,
    least=Rational(1, 10**15),
    most=Rational(1, 10**6),
    usual=(Rational(1, 10**14), Rational(1, 10**8)),
    likely=("pJ/byte", "nJ/byte"),
    example="20 pJ/byte",
)
FLOP_ENERGY = Quantity(
    unit="J/FLOP",
    units=_JOULES_AN_OPERATION,
    least=Rational(1, 10**17),
    most=Rational(1, 10**7),
    usual=(Rational(1, 10**15), Rational(1, 10**9)),
    likely=("pJ/FLOP", "fJ/FLOP", "nJ/FLOP"),
    example="0.5 pJ/FLOP",
)
TIME = Quantity(
    unit="s",
    units=_SECONDS,
    least=Rational(1, 10**12),
    most=Integer(1),
    usual=(Rational(1, 10**9), Rational(1, 10**3)),
    likely=("us", "ns"),
    example="5 us",
)


def fraction(value: object, where: str) -> Expr:
    """An efficiency: above 0 and at most 1, or text such as ``"70 %"``.

    >>> fraction("70 %", "efficiency.compute")
    7/10

    Raises:
        SpecError: anything else, such as 70 for 70 %.
    """
    number = _part(value, where, "above 0 and at most 1")
    if number == 0:
        raise SpecError(f"{where}: must be above 0 and at most 1, not {value}")
    return number


def share(value: object, where: str) -> Expr:
    """A share of something: from 0 to 1, or text such as ``"50 %"``.

    >>> share("50 %", "kv")
    1/2

    Raises:
        SpecError: anything else, such as 50 for 50 %.
    """
    return _part(value, where, "from 0 to 1")


def _part(value: object, where: str, range_of: str) -> Expr:
    """A number from 0 to 1, or text in per cent."""
    if isinstance(value, str):
        found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*%", value.strip())
        if found is None:
            raise SpecError(f"{where}: must be {range_of}, or text such as '70 %'")
        number: Expr = exact(Decimal(found[1])) / 100
    else:
        number = _number(value, where)
    if not 0 <= number <= 1:
        hint = ""
        if not isinstance(value, str) and 1 < number <= 100:
            hint = f"; did you mean '{value} %'?"
        raise SpecError(f"{where}: must be {range_of}, not {value}{hint}")
    return number


def _number(value: object, where: str) -> Expr:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise SpecError(f"{where}: must be a number or text with a unit, not {value!r}")
    try:
        return exact(value, f"{where}:")
    except SymbolError as error:
        raise SpecError(str(error)) from None


def in_gb(number: float) -> str:
    """Bytes in GB with a digit after the point, or two digits where that would be none.

    >>> in_gb(17.2e9), in_gb(1.79e7)
    ('17.2 GB', '0.018 GB')
    """
    return f"{number / 1e9:.1f} GB" if number >= 10**8 else f"{number / 1e9:.2g} GB"


def shown_bytes(number: Expr | int) -> str:
    """Bytes of memory as its maker writes them: whole GiB as such, else in GB.

    >>> shown_bytes(Integer(24 * 2**30)), shown_bytes(Integer(141 * 10**9))
    ('24 GiB', '141 GB')
    """
    gib = exact(number) / 2**30
    if (8 * gib).is_Integer:
        return f"{float(gib):g} GiB"
    return f"{float(number) / 1e9:g} GB"
