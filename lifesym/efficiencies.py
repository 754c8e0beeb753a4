"""What a device attains in a part of the work: keys such as ``attention.compute``, and their text.

A part is a family of operators, one operator by its name, or a role of the bytes they move. The
numbers are a compute efficiency, a memory efficiency and a dispatch time; a role has a memory
efficiency alone. `lifesym.roofline` says which of several counts.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sympy import Expr

from lifesym.errors import SpecError, SymbolError, nearest
from lifesym.symbols import ATTAINED, FAMILIES, ROLES, own
from lifesym.units import TIME, fraction

_WORD = re.compile(r"[A-Za-z][\w:]*", re.ASCII)
_TABLES: Mapping[str, Mapping[str, str]] = {
    "efficiency": {"compute": "compute", "memory": "memory"},
    "dispatch": {"time": "dispatch"},
}
"""Tables of a device's file, and what their keys are called here."""


def check_key(key: str) -> None:
    """Refuse what is no number of a part of the work.

    Raises:
        SymbolError: what is wrong with it.
    """
    word, _, number = key.rpartition(".")
    if number not in ATTAINED or not _WORD.fullmatch(word):
        raise SymbolError(
            f"{key!r} is not PART.NUMBER, as in attention.compute (numbers: {', '.join(ATTAINED)};"
            f" parts: {_parts()}, or an operator's name)"
        )
    if word in ROLES and number != "memory":
        raise SymbolError(f"{key}: {word} are bytes: they have a memory efficiency alone")
    if word == "collective":
        raise SymbolError(f"{key}: a collective waits for the link: give it a collective_latency")


def check_words(keys: Iterable[str], names: Collection[str], model: str) -> None:
    """Refuse numbers of operators that a model does not have; of families and roles all may be.

    Args:
        keys: the numbers.
        names: its operators' names.
        model: what it is called.

    Raises:
        SymbolError: a word that is no family, no role and no operator.
    """
    known = dict.fromkeys((*FAMILIES, *ROLES, *names))
    for key in keys:
        word = key.rpartition(".")[0]
        if word not in known:
            raise SymbolError(
                f"{key}: {model} has no operator {word!r}{nearest(word, known)} (families and "
                f"roles: {_parts()}; operators: {', '.join(dict.fromkeys(names))})"
            )


def _parts() -> str:
    return ", ".join((*FAMILIES, *ROLES))


def read_own(text: str) -> dict[str, Expr]:
    """The numbers of an option's text; a key alone stays a symbol.

    >>> read_own("attention.compute=0.3, weights.memory=90 %")
    {'attention.compute': 3/10, 'weights.memory': 9/10}

    Raises:
        SpecError: a value that is none, or a key twice.
        SymbolError: what is no key.
    """
    found: dict[str, Expr] = {}
    for pair in re.split("[,+](?![0-9])", text):  # with plus signs in a set of options to compare
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key in found:
            raise SpecError(f"efficiency: {key!r} is given twice")
        check_key(key)
        where = f"efficiency: {key!r}"
        found[key] = _figure(key, _value(value), where) if equals else own(key)
    return found


def from_tables(name: str, tables: Mapping[str, Any], where: str) -> dict[str, Expr]:
    """The numbers of the tables by part in a table of a device's file.

    Args:
        name: the table's, ``efficiency`` or ``dispatch``.
        tables: figures and ``source`` by part.
        where: the file.

    Raises:
        SpecError: an unknown key, a value that is none, or a table that says nothing.
    """
    found: dict[str, Expr] = {}
    for word, table in tables.items():
        keys = _TABLES[name]
        for key, value in table.items():
            place = f"{where}: key '{name}.{word}.{key}'"
            if key in keys:
                number = f"{word}.{keys[key]}"
                try:
                    check_key(number)
                except SymbolError as error:
                    raise SpecError(f"{place}: {error}") from None
                found[number] = _figure(number, value, place)
            elif key != "source":
                known = (*keys, "source")
                raise SpecError(
                    f"{where}: unknown key '{name}.{word}.{key}'{nearest(key, known)} "
                    f"(there are {', '.join(known)})"
                )
        if not set(table) & set(keys):
            raise SpecError(f"{where}: missing key '{name}.{word}.{next(iter(keys))}'")
    return found


def _figure(key: str, value: object, where: str) -> Expr:
    return TIME.read(value, where) if key.endswith(".dispatch") else fraction(value, where)


def _value(text: str) -> str | Decimal:
    """A number where the text is one; figures with units and per cent stay."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text
