"""Memories beside the main one as text: tables of a device's file, and options.

An option is keys and values after one another, such as
``name=host,bandwidth=19.5 GB/s,experts=1,kv=0.5,latency=10 us,computes=attn,peaks=2 TFLOPS``. A key
that is none of `lifesym.levels.Level`'s names weights, as ``holds`` does (``lm_head=1``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from lifesym.checks import checked
from lifesym.errors import LifesymError, SpecError, nearest
from lifesym.levels import ROLES, Level
from lifesym.units import (
    BUFFER,
    BYTE_ENERGY,
    FLOP_ENERGY,
    LEAKAGE,
    LINK,
    PEAK,
    TIME,
    Quantity,
    share,
)

FIGURES: Mapping[str, Quantity] = {
    "bandwidth": LINK,
    "link": LINK,
    "latency": TIME,
    "capacity": BUFFER,
    "byte_energy": BYTE_ENERGY,
    "flop_energy": FLOP_ENERGY,
    "static_power": LEAKAGE,
}
"""What the figures of a memory are."""
_WORDS = ("name", "through", "source")
_KEYS = (*_WORDS, *FIGURES, *ROLES, "computes", "peaks")


def memory_of(facts: Mapping[str, Any], where: str, base: Level | None = None) -> Level:
    """The memory that some facts describe, over those of another one if given.

    ``facts`` are fields of `Level`, its figures as numbers in SI units or text with a unit.

    Raises:
        SpecError: a figure or share that is not one, or facts that do not go together.
    """

    def at(key: str) -> str:
        return f"{where}: key {key!r}"

    made: dict[str, Any] = {key: facts[key] for key in (*_WORDS, "computes") if key in facts}
    for key, quantity in FIGURES.items():
        if key in facts:
            made[key] = quantity.read(facts[key], at(key))
    for key in ROLES:
        if key in facts:
            made[key] = share(facts[key], at(key))
    if "holds" in facts:
        held = {word: share(part, at(f"holds.{word}")) for word, part in facts["holds"].items()}
        made["holds"] = {**(base.holds if base else {}), **held}
    if "peaks" in facts:
        peaks = facts["peaks"]
        made["peaks"] = (
            {kind: PEAK.read(value, at(f"peaks.{kind}")) for kind, value in peaks.items()}
            if isinstance(peaks, Mapping)
            else PEAK.read(peaks, at("peaks"))
        )
    try:
        return Level(**made) if base is None else replace(base, **made)
    except LifesymError as error:
        raise SpecError(f"{where}: {error}") from None


@checked
def parse_level(text: str, known: Iterable[Level] = ()) -> Level:
    """The memory of an option's text; of a name that is known, what the text leaves out is too.

    >>> level = parse_level("name=host,bandwidth=19.5e9,experts=1,kv=0.5,latency=1e-5")
    >>> level.bandwidth, level.kv, level.latency
    (19500000000, 1/2, 1/100000)
    >>> parse_level("name=flash,bandwidth=1.5 GB/s,weights=1,lm_head=0").holds
    {'lm_head': 0}

    Raises:
        SpecError: no keys and values, a key that is misspelt, or one that is missing.
    """
    facts = _facts(text)
    where = f"memory {str(facts.get('name', text))!r}"
    if "name" not in facts:
        raise SpecError(f"{where}: needs a name, such as name=host")
    by_name = {level.name: level for level in known}
    base = by_name.get(facts["name"])
    names = [key for key in facts if key not in _KEYS]
    for key in names:
        close = nearest(key, _KEYS)
        if close and not _is_share(facts[key]):
            raise SpecError(f"{where}: unknown key {key!r}{close}")
    if names:
        facts["holds"] = {key: facts.pop(key) for key in names}
    if base is None and "bandwidth" not in facts:
        there = f" (the device comes with {', '.join(by_name)})" if by_name else ""
        raise SpecError(f"{where}: needs a bandwidth, such as bandwidth=16 GB/s{there}")
    return memory_of(facts, where, base)


def _facts(text: str) -> dict[str, Any]:
    """The keys and values of an option: words, numbers, and peaks by data type together."""
    facts: dict[str, Any] = {}
    for pair in text.split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise SpecError(f"memory {text!r}: {pair.strip()!r} is no key=value")
        into, name = facts, key
        if key.startswith("peaks."):
            into, name = facts.setdefault("peaks", {}), key.removeprefix("peaks.")
        if not isinstance(into, dict) or name in into:
            raise SpecError(f"memory {text!r}: key {key!r} is given twice")
        into[name] = value if key in _WORDS else _value(value)
    if "computes" in facts:
        facts["computes"] = tuple(str(facts["computes"]).split("+"))
    return facts


def _value(text: str) -> str | Decimal:
    """A number where the text is one; figures with units, shares in per cent and words stay."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _is_share(value: str | Decimal) -> bool:
    return isinstance(value, Decimal) and value.is_finite() and 0 <= value <= 1
