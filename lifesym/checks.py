"""Arguments against annotations: what a public function cannot use is refused in one line.

The signature says what kinds of values a function takes; `checked` asks it of every call, so that
no function checks kinds for itself. Ranges, and what values mean together, are checked where they
are used.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, wraps
from inspect import Parameter, isclass, signature
from numbers import Real
from reprlib import Repr
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

from lifesym.errors import SymbolError, nearest, one_of

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_WORDS = {
    "NoneType": "",
    "str": "a string",
    "Path": "a path",
    "bool": "True or False",
    "int": "an integer",
    "float": "a number",
    "Fraction": "a number",
    "Decimal": "a number",
    "Expr": "a SymPy expression",
    "Symbol": "a symbol",
}
"""What a message calls the kinds that have a plain name; others are called by their class."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, refusing values of kinds that its signature does not name.

    >>> @checked
    ... def doubled(count: int) -> int:
    ...     return 2 * count
    >>> doubled("5")
    Traceback (most recent call last):
    lifesym.errors.SymbolError: doubled: count must be an integer, not '5'

    Raises:
        SymbolError: such a value; the message names the argument and what it must be.
    """
    shape = signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in shape.bind(*args, **kwargs).arguments.items():
            parameter = shape.parameters[name]
            if isinstance(value, _surely(parameter.kind, parameter.annotation)):
                continue
            if get_origin(parameter.annotation) is Unpack:
                for word, kind in _unpacked(function.__qualname__, parameter, value):
                    _check(function.__qualname__, kind, value[word])
            else:
                _check(function.__qualname__, parameter, value)
        return function(*args, **kwargs)

    return call


def checked_fields(made: C) -> C:
    """The data class, refusing values of kinds that its fields do not name.

    Raises:
        SymbolError: as `checked`, when one is made.
    """
    made.__init__ = checked(made.__init__)  # type: ignore[misc]
    return made


def _unpacked(
    where: str, parameter: Parameter, given: Collection[str]
) -> Iterator[tuple[str, Parameter]]:
    """The keywords of a typed dictionary that are given, as parameters.

    Raises:
        SymbolError: one that it does not have.
    """
    known = _keywords(get_args(parameter.annotation)[0])
    for word in given:
        if word not in known:
            raise SymbolError(f"{where}: unknown option {word!r}{nearest(word, known)}")
        yield word, known[word]


@cache
def _keywords(kinds: type) -> Mapping[str, Parameter]:
    """The keys of a typed dictionary as parameters."""
    return {
        word: Parameter(word, Parameter.KEYWORD_ONLY, annotation=kind)
        for word, kind in get_type_hints(kinds).items()
    }


def _check(where: str, parameter: Parameter, value: Any) -> None:
    kind, name = parameter.annotation, parameter.name
    values = [value]
    if parameter.kind is Parameter.VAR_POSITIONAL:
        values = list(value)
    elif parameter.kind is Parameter.VAR_KEYWORD:
        values = list(value.values())
    for given in values:
        if get_origin(kind) is Literal and isinstance(given, str):
            one_of(given, get_args(kind), name)
        if _fits(given, kind):
            continue
        place = where.removesuffix(".__init__")
        raise SymbolError(f"{place}: {name} must be {_said(kind)}, not {shown(given)}")


@cache
def _surely(place: Any, kind: Any) -> tuple[type, ...]:
    """Classes of which every value is of an annotated kind: most arguments are of one."""
    if place in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return ()
    kind = _bound(kind)
    if kind is Any or kind is Parameter.empty:
        return (object,)
    if get_origin(kind) in (Union, UnionType):
        return tuple(one for each in get_args(kind) for one in _surely(place, each))
    plain = isclass(kind) and get_origin(kind) is None and not getattr(kind, "_is_protocol", False)
    return (kind,) if plain and kind not in (int, float) else ()


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated kind; of what cannot be told, it is."""
    kind = _bound(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or kind is Parameter.empty:
        return True
    if kind is None:
        return value is None
    if isinstance(kind, str):  # in quotes, as its module is slow to import: known by its name
        return not kind.isidentifier() or kind in (one.__name__ for one in type(value).__mro__)
    if getattr(kind, "_is_protocol", False):  # `formula` and `operators` ask what is there
        return True
    if isclass(kind) and origin is None:
        return _is_a(value, kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:  # which words of a list, or beside other kinds, its user asks
        return isinstance(value, tuple(map(type, inner)))
    if origin is Callable:
        return callable(value)
    if isclass(origin) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items()
        )
    if origin is tuple and inner[-1] is not Ellipsis:
        same = _is_listed(value, Sequence) and len(value) == len(inner)
        return same and all(map(_fits, value, inner))
    if isclass(origin) and issubclass(origin, Iterable):
        return _is_listed(value, origin) and (
            inner[0] is Any
            or not isinstance(value, Collection)  # looking at an iterator would use it up
            or all(_fits(each, inner[0]) for each in value)
        )
    return True


def _bound(kind: Any) -> Any:
    """The class that a type variable stands for, or anything; other kinds are themselves."""
    return (kind.__bound__ or Any) if isinstance(kind, TypeVar) else kind


def _is_a(value: Any, kind: type) -> bool:
    """Whether a value is of a class; a truth value is no number, and a float may be an integer."""
    if kind is int:
        return hasattr(value, "__index__") and not isinstance(value, bool | type)
    if kind is float:
        return isinstance(value, Real | Decimal) and not isinstance(value, bool)
    return isinstance(value, kind)


def _is_listed(value: Any, kind: type) -> bool:
    """Whether values stand one after another; text does not, and an array does."""
    if isinstance(value, str | bytes) or isclass(value):
        return False
    if kind is Iterable:
        return hasattr(value, "__iter__")
    ordered = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    return ordered and not isinstance(value, Mapping)


@cache
def _said(kind: Any) -> str:
    """What a message says that a value must be."""
    kind = _bound(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        words = dict.fromkeys(filter(None, map(_said, inner)))
        if "a number" in words:
            words.pop("an integer", None)
        return " or ".join(words)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin is Callable:
        return "a function"
    if isclass(origin) and issubclass(origin, Mapping):
        return f"a mapping{_each(inner[1])}"
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"{len(inner)} values{_each(inner[0])}"
    if isclass(origin) and issubclass(origin, Iterable):
        return f"a list{_each(inner[0])}"
    name = str(getattr(kind, "__name__", kind))
    return _WORDS.get(name, f"{_article(name)} {name}")


def _each(kind: Any) -> str:
    """What a message adds of the elements of a list."""
    return "" if kind is Any else f", each {_said(kind)}"


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOUaeiou" else "a"


def shown(value: Any) -> str:
    """A value in a message: itself where that is short, else its kind."""
    plain = (NoneType, bool, int, float, str, bytes, list, tuple, dict, set, Decimal)
    if isinstance(value, plain):
        return _SHORT.repr(value)
    if isclass(value):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{_article(name)} {name}"
