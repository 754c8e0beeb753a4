"""What text from outside stands for: sizes, numbers, words, lists of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_LARGEST = 2**48


@dataclass(frozen=True)
class Kind:
    """What values an option has, and how text becomes one; ``parse`` raises ValueError."""

    parse: Callable[[str], Any]
    metavar: str | None = None
    words: tuple[str, ...] = ()
    switch: bool = False
    many: bool = False
    axis: bool = True


def _size(least: int) -> Kind:
    def parse(text: str) -> int:
        digits = text.strip()
        whole = digits.isdecimal() and digits.isascii() and len(digits) <= len(str(_LARGEST))
        if not whole or int(digits) < least:
            raise ValueError(f"{digits[:40]!r} is not a whole number of at least {least}")
        if int(digits) > _LARGEST:
            raise ValueError(f"{digits} is above {_LARGEST}")
        return int(digits)

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


def words(*known: str) -> Kind:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in known:
            listed = ", ".join(map(repr, known))
            raise ValueError(f"{text!r} is not one of {listed}")
        return text

    return Kind(parse, words=known)


SIZE, SIZE_OR_0 = _size(1), _size(0)
RANK = Kind(_rank_or_file, "N|FILE")
SWITCH = Kind(_yes, switch=True)


def number(metavar: str = "X") -> Kind:
    """A number in the SI unit that the help text names."""
    return Kind(real, metavar)


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
    return real(rate), real(latency)


def text(metavar: str, *, many: bool = False, axis: bool = True) -> Kind:
    """Text that the command reads; ``many`` may be given several times."""
    return Kind(str, metavar, many=many, axis=axis and not many)
