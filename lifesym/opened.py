"""A forecast with its numbers as symbols again, and the numbers.

Whatever is served is built of frozen records, and each says in ``opens`` which of its fields are
numbers of the notation table. So one walk finds every number of a forecast, a pipeline or a
speculation, and puts symbols in their place: the same formula, opened.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.errors import SymbolError, nearest
from lifesym.formats import Format, Precision
from lifesym.hardware import Hardware, symbolic_numbers
from lifesym.model import Model
from lifesym.symbols import TABLE, exact, is_own, ordered, resolve

Form = TypeVar("Form")
Put = Callable[[Symbol, Expr], Expr]
"""What takes the place of a number, from its symbol and the number."""

USUAL = frozenset(
    resolve(word)
    for word in (
        *("batch", "prompt", "generated", "acceptance", "hit_rate", "slots", "height", "width"),
        *Hardware.opens.values(),
        *("peak", "vector_peak"),
    )
) | frozenset(sym.PEAKS.values())
"""The numbers of workloads and devices, beside those of parts of the work, which a device may have.

Dimensions and options are opened by name alone.
"""
_BITS = {"weights": "weight", "activations": "activation", "kv": "kv"}


def numbers(form: Any) -> dict[Symbol, Expr]:
    """Every number of a form by its symbol, but for those that have several values in it."""
    return {symbol: values[0] for symbol, values in _found(form).items() if len(values) == 1}


def usual(form: Any) -> list[Symbol]:
    """What is opened unless names are given: the numbers of the workload and the device."""
    return ordered(s for s in numbers(form) if s in USUAL or is_own(s.name))


def opened(form: Form, names: Iterable[str | Symbol] = ()) -> Form:
    """The form with the named numbers as symbols; without names, the workload's and the device's.

    Raises:
        SymbolError: a name that is no number of the form, or one of several values.
    """
    known = _found(form)
    asked = [resolve(name) for name in names]
    for symbol in asked:
        word, values = TABLE[symbol].word, known.get(symbol, [])
        if symbol not in known:
            words = [TABLE[each].word for each in ordered(known)]
            raise SymbolError(
                f"{word!r} is no number here{nearest(word, words)} (there are {', '.join(words)})"
            )
        if len(values) > 1:
            listed = ", ".join(map(str, values))
            raise SymbolError(f"{word} has several values here ({listed}): ask about one of them")
    chosen = set(asked or usual(form))

    def put(symbol: Symbol, value: Expr) -> Expr:
        return symbol if symbol in chosen and _opens(symbol, value) else value

    made: Form = _walked(form, put, ())
    return made


def changed(form: Form, symbol: Symbol, change: Callable[[Expr], Expr]) -> Form:
    """The form with every number of one symbol changed."""
    made: Form = _walked(form, lambda each, old: change(old) if each == symbol else old, ())
    return made


def _found(form: Any) -> dict[Symbol, list[Expr]]:
    """The different values of every number in a form; what is a symbol already has none."""
    found: dict[Symbol, list[Expr]] = {}

    def put(symbol: Symbol, value: Expr) -> Expr:
        if _opens(symbol, value):
            values = found.setdefault(symbol, [])
            if value != symbol and value not in values:
                values.append(value)
        return value

    _walked(form, put, ())
    return found


def _opens(symbol: Symbol, value: Expr) -> bool:
    """Whether a number may be asked about: a generation of a single token may not.

    Formulas in a number of generated tokens are those of two or more (see `lifesym.timed`).
    """
    return not (symbol == sym.generated and value == 1)


def _walked(node: Any, put: Put, formats: tuple[Format, ...]) -> Any:
    """A copy of nested records with other numbers."""
    if isinstance(node, tuple):
        return tuple(_walked(each, put, formats) for each in node)
    if isinstance(node, Hardware):
        return _device(node, put, formats)
    if isinstance(node, Model):
        for symbol in node.dimensions - node.values.keys():
            put(symbol, symbol)
        dimensions = [s for s, value in node.values.items() if put(s, exact(value)) == s]
        return node.lift(*dimensions) if dimensions else node
    if isinstance(node, Precision):
        return _formats(node, put)
    if not hasattr(node, "opens"):
        return node
    if isinstance(precision := getattr(node, "precision", None), Precision):
        formats = precision.computing
    changes = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if field.name not in node.opens:
            changes[field.name] = _walked(value, put, formats)
        elif value is not None:
            symbol = resolve(node.opens[field.name])
            beside = node.beside(field.name) if hasattr(node, "beside") else S.Zero
            number = exact(value) - beside
            if _varies(symbol, number):
                changes[field.name] = put(symbol, number) + beside
    changed = {name: new for name, new in changes.items() if new is not getattr(node, name)}
    return replace(node, **changed) if changed else node


def _device(node: Hardware, put: Put, formats: tuple[Format, ...]) -> Hardware:
    """A device, whose peaks are those of the formats that are computed in."""
    put_in = {symbol: put(symbol, value) for symbol, value in node.numbers(*formats).items()}
    made = symbolic_numbers(node, [symbol for symbol, value in put_in.items() if value == symbol])
    if not formats:
        return made
    parallel = node.parallel(formats)
    matrix = {fmt.data_type: put_in[node.peak_of(fmt, formats)] for fmt in parallel}
    return replace(made, matrix=matrix, vector={"fp32": put_in[sym.vector_peak]})


def _varies(symbol: Symbol, number: Expr) -> bool:
    """Whether a symbol may take the place of a number; of what is no number, it may.

    Not where it cannot have that value: an encoder generates 0 tokens, and will not generate more.
    """
    minimum = TABLE[symbol].minimum
    return not number.is_number or minimum is None or bool(number >= minimum)


def _formats(node: Precision, put: Put) -> Precision:
    """The formats, each with its bits in formulas; those of mixes by layer are no one number."""
    changes: dict[str, Any] = {}
    for name, role in _BITS.items():
        fmt, symbol = getattr(node, name), resolve(f"{role}_bits")
        number = fmt.bits if fmt.asked is None else fmt.asked
        if not fmt.parts and (new := put(symbol, number)) != number:
            changes[name] = replace(fmt, asked=new)
    return replace(node, **changes) if changes else node
