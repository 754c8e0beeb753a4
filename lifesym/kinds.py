"""What text from outside stands for: sizes, numbers, words, lists of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from lifesym.errors import SpecError, SymbolError

_LARGEST = 2**48
_MOST = 10**6
"""Values of a list."""
_LONGEST = 40
"""Digits and letters of a whole number."""


@dataclass(frozen=True)
class Kind:
    """What values an option has, and how text becomes one; ``parse`` raises ValueError."""

    parse: Callable[[str], Any]
    metavar: str | None = None
    words: tuple[str, ...] = ()
    switch: bool = False
    many: bool = False
    axis: bool = True


PREFIXES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}
_SMALL = {"m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15}
_TOKENS = {"k": 2**10, "K": 2**10, "M": 2**20}
"""As models' contexts are named: 4k is 4096."""
_UNITS = {
    "B": (("B",), "24GB or 24GiB"),
    "B/S": (("B/s",), "3TB/s"),
    "S": (("s",), "20ms"),
    "W": (("W",), "700W"),
    "J": (("J",), "1.3pJ"),
    "FLOP/S": (("FLOP/s", "FLOPS", "OP/s", "OPS"), "312TFLOP/s"),
}
"""By metavar: the unit that numbers are in, its spellings, and an example."""
_FIGURE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*([A-Za-zµμ/%]*)")


def _whole(text: str, letters: Mapping[str, int]) -> int | None:
    """A whole number of digits, of a decimal such as ``1.5e3``, or with a letter after it."""
    found = _FIGURE.fullmatch(text) if len(text) <= _LONGEST and text[:1].isdecimal() else None
    if found is None or found[2] not in {"": 1, **letters}:
        return None
    number = Decimal(found[1]) * {"": 1, **letters}[found[2]]
    return (
        int(number)
        if number.adjusted() < len(str(_LARGEST)) and number == number.to_integral()
        else None
    )


def _size(least: int, letters: Mapping[str, int] | None = None) -> Kind:
    def parse(text: str) -> int:
        digits = text.strip()
        number = _whole(digits, letters or {})
        if number is None or number < least:
            raise ValueError(f"{digits[:40]!r} is not a whole number of at least {least}")
        if number > _LARGEST:
            raise ValueError(f"{digits} is above {_LARGEST}")
        return number

    return Kind(parse, "N")


def real(text: str) -> float:
    """A number in decimals.

    Raises:
        ValueError: what is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _yes(text: str) -> bool:
    known = {"yes": True, "no": False}
    if text not in known:
        raise ValueError(f"{text!r} is not yes or no")
    return known[text]


def _rank_or_file(text: str) -> int | str:
    return SIZE_OR_0.parse(text) if text.lstrip("+-").isdigit() else text


def _slots(text: str) -> int | str:
    try:
        return text if text == "fit" else SIZE.parse(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor 'fit'") from None


def _shares(text: str) -> list[Fraction] | str:
    try:
        return text if text == "balanced" else [Fraction(part.strip()) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text!r} is not a list of numbers, nor 'balanced'") from None


def _pixels(text: str) -> tuple[int, int]:
    rows, by, columns = text.lower().partition("x")
    try:
        return SIZE.parse(rows), SIZE.parse(columns if by else rows)
    except ValueError:
        raise ValueError(f"{text!r} is not HxW or one number of pixels") from None


def words(*known: str) -> Kind:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(f"{text!r} is not one of {listed}")
        return text

    return Kind(parse, words=known)


def _percent(text: str) -> float:
    share = real(text.removesuffix("%"))
    return share / 100 if text.endswith("%") else share


SIZE, SIZE_OR_0 = _size(1), _size(0)
TOKENS, TOKENS_OR_0 = _size(1, _TOKENS), _size(0, _TOKENS)
RANK = Kind(_rank_or_file, "N|FILE")
SLOTS = Kind(_slots, "N|fit")
SHARES = Kind(_shares, "X,...", axis=False)
PIXELS = Kind(_pixels, "HxW")
PERCENT = Kind(_percent, "X%")
SWITCH = Kind(_yes, switch=True, axis=False)


def figure(text: str, unit: str) -> float:
    """A number in the SI unit of a metavar, or with that unit and a prefix: ``24GiB``, ``20ms``.

    Raises:
        ValueError: no number, or one in another unit.
    """
    spellings, example = _UNITS.get(unit, ((), ""))
    found = _FIGURE.fullmatch(text.strip())
    if found is None or not found[2]:
        return real(text)
    for end in spellings:
        prefix = found[2].removesuffix(end)
        if prefix == found[2]:
            continue
        if prefix in {**PREFIXES, **_SMALL} and not (end in ("B", "B/s") and prefix in _SMALL):
            return float(Decimal(found[1]).scaleb((PREFIXES | _SMALL)[prefix]))
        if prefix in BINARY and end in ("B", "B/s"):
            return float(Decimal(found[1]) * 2 ** BINARY[prefix])
    if not spellings:
        raise ValueError(f"{text!r} is not a number")
    raise ValueError(f"{text!r} is not in {spellings[0]}: write a number, or such as {example}")


_METAVARS = {"byte": "B", "byte/s": "B/S", "s": "S", "FLOP/s": "FLOP/S", "W": "W", "J": "J"}


def in_unit(given: str | None, unit: str, where: str) -> float | None:
    """The number that text is in a unit of the notation table; of tokens, ``4k`` is 4096.

    Raises:
        SpecError: no number, or one in another unit.
    """
    if given is None:
        return None
    tokens = _whole(given.strip(), _TOKENS) if unit == "tokens" else None
    try:
        return figure(given, _METAVARS.get(unit, "X")) if tokens is None else tokens
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from None


def number(metavar: str = "X") -> Kind:
    """A number in the SI unit that the help text names, or with its unit."""
    return Kind(lambda text: figure(text, metavar), metavar)


def several(parse: Callable[[str], Any], metavar: str) -> Kind:
    """Values with commas between them."""
    return Kind(lambda text: [parse(part.strip()) for part in text.split(",")], metavar, axis=False)


def link(text: str) -> tuple[float, float]:
    """A bandwidth and a latency, such as ``1e9:0.005``.

    Raises:
        ValueError: what is none.
    """
    rate, colon, latency = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not BANDWIDTH:LATENCY")
    return figure(rate, "B/S"), figure(latency, "S")


def text(metavar: str, *, many: bool = False, axis: bool = True) -> Kind:
    """Text that the command reads; ``many`` may be given several times."""
    return Kind(str, metavar, many=many, axis=axis and not many)


def expanded(text: str) -> list[str]:
    """The values of a list ``A,B,...``, or of ``A:B:N``: N whole numbers from A to B.

    Raises:
        ValueError: neither, or too many.
    """
    if ":" not in text:
        return [part.strip() for part in text.split(",")]
    try:
        low, high, count = map(TOKENS_OR_0.parse, text.split(":"))
    except ValueError:
        raise ValueError(f"{text!r} is not A:B:N or A,B,...") from None
    count = min(count, abs(high - low) + 1, _MOST + 1)  # no more of them differ
    step = (high - low) / max(count - 1, 1)
    numbers = list(dict.fromkeys(round(low + step * i) for i in range(count)))
    if len(numbers) > _MOST:
        raise ValueError(f"more than {_MOST} values")
    return list(map(str, numbers))


def listed(text: str | None) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def one_device(words: Iterable[str], compares: bool) -> list[str]:
    """Words of a command line in which ``--on`` is given once.

    A second one is ``--compare on=`` where the command compares. Of other options the last one
    counts, so that a line may be typed again with more after it.

    Raises:
        SpecError: a second device where nothing is compared.
    """
    made, rest, given = list[str](), iter(words), False
    for word in rest:
        name, equals, value = word.partition("=")
        if name != "--on" or not given:
            given = given or name == "--on"
            made.append(word)
            continue
        value = value if equals else next(rest, "")
        if not compares:
            raise SpecError(
                f"--on is given twice: compare by lifesym forecast --compare on={value}"
            )
        made += ["--compare", f"on={value}"]
    return made


def pair(text: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE.

    Raises:
        SymbolError: what is not of this form.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise SymbolError(f"{text!r} is not NAME=VALUE")
    return name, value


def spans(given: Iterable[str] | None) -> dict[str, tuple[float, float]]:
    """Ranges by name, of several NAME=LOW:HIGH.

    Raises:
        SymbolError: what is not of this form.
    """
    found = {}
    for name, ends in map(pair, given or ()):
        low, colon, high = ends.partition(":")
        try:
            found[name] = float(low), float(high if colon else "")
        except ValueError:
            raise SymbolError(f"a range is LOW:HIGH, not {ends!r}") from None
    return found
