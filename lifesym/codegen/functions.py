"""`compile`: a formula as a fast function, or as source text."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isinf
from typing import Any, Literal, get_args

import numpy as np
from sympy import Expr, Symbol

from lifesym.checks import shown
from lifesym.codegen import blocked, c, inputs, languages, native, python
from lifesym.codegen.gradient import differentiated
from lifesym.codegen.inputs import Ranges
from lifesym.codegen.labels import labels
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import Program
from lifesym.codegen.python import between
from lifesym.codegen.spelling import JAVASCRIPT
from lifesym.codegen.text import write
from lifesym.decided import decided
from lifesym.errors import SymbolError, nearest
from lifesym.identifiers import identifier
from lifesym.symbols import TABLE
from lifesym.version import __version__

Target = Literal[
    "numpy",
    "native",
    "python",
    "c",
    "table",
    "auto",
    "js",
    "cpp",
    "rust",
    "go",
    "kotlin",
    "swift",
]
_NAMING = ("c", *languages.TARGETS)
"""Targets whose texts name what operators take."""


@dataclass(frozen=True)
class Compiled:
    """A formula as a function of its arguments, by position or by name.

    Attributes:
        name: what it is called.
        program: its operations.
        names: the arguments' names, which are the C identifiers of their symbols.
        ranges: where checked, the values an argument may have.
        threads: of the native target; 0 for NumPy.
        single: whether there is one formula alone.
        doc: lines for the source text.
    """

    name: str
    program: Program
    names: tuple[str, ...]
    ranges: Mapping[Symbol, tuple[float, float]] = field(default_factory=dict)
    threads: int = 0
    single: bool = True
    doc: tuple[str, ...] = ()

    def __call__(self, /, *values: Any, **named: Any) -> Any:
        """Evaluate at scalars or arrays that broadcast, in doubles.

        Raises:
            SymbolError: a missing, unknown or doubled argument, or a value outside its range.
        """
        arguments = self._arguments(values, named)
        for symbol, value in zip(self.program.args, arguments, strict=True):
            self._check(symbol, value)
        _broadcast(self.names, arguments)
        if self.threads:
            results = native.evaluate(self.program, arguments, self.threads)
        else:
            results = blocked.evaluate(self.program, arguments)
        return results[0] if self.single else tuple(results)

    def _arguments(self, values: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        if len(values) > len(self.names):
            raise SymbolError(f"{self.name} takes {len(self.names)} arguments, not {len(values)}")
        given = dict(zip(self.names, values, strict=False))
        for name, value in named.items():
            if name not in self.names:
                raise SymbolError(
                    f"{self.name} has no argument {name!r}{nearest(name, self.names)}"
                )
            if name in given:
                raise SymbolError(f"{self.name}: argument {name!r} is given twice")
            given[name] = value
        if missing := [name for name in self.names if name not in given]:
            raise SymbolError(f"{self.name} needs {', '.join(missing)}")
        return [_numbers(name, given[name]) for name in self.names]

    @property
    def source(self) -> str:
        """A stand-alone module for NumPy arrays that broadcast."""
        doc = python.docstring(self.doc)
        return python.numpy_source(self.program, self.name, list(self.names), doc)

    def _check(self, symbol: Symbol, value: Any) -> None:
        if symbol not in self.ranges:
            return
        low, high = self.ranges[symbol]
        array = np.asarray(value)
        if not np.all((array >= low) & (array <= high)):
            raise SymbolError(f"{TABLE[symbol].word} must be {between(low, high)}")

    def __repr__(self) -> str:
        legend = "\n".join(
            f"  {line}" for line in c.describe(self.program.args, list(self.names), self.ranges)
        )
        kind = "compiled" if self.threads else "NumPy"
        return f"<{kind} function {self.name}({', '.join(self.names)})>\n{legend}"


def _broadcast(names: Sequence[str], values: Sequence[Any]) -> None:
    shapes = [np.shape(value) for value in values]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        given = ", ".join(f"{n} {shape}" for n, shape in zip(names, shapes, strict=True))
        raise SymbolError(f"shapes that do not broadcast: {given}") from None


def _numbers(name: str, value: Any) -> Any:
    """A value as NumPy takes it; arrays of exact numbers become doubles."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "fiub" and not isinstance(value, np.ma.MaskedArray):
            return value
        if array.dtype.kind == "O" and all(hasattr(each, "__float__") for each in array.flat):
            return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise SymbolError(f"{name} must be numbers of the size of a double, not {shown}")


def compile(
    expr: Any,
    args: Sequence[str | Symbol],
    target: Target = "numpy",
    *,
    name: str = "formula",
    ranges: Ranges | None = None,
    precision: Literal["double", "float"] = "double",
    gradient: bool | Sequence[str | Symbol] = False,
    threads: int = 1,
    doc: str = "",
    **more: Any,
) -> Any:
    """A formula as a callable, or as source text.

    Args:
        expr: an expression, a result of a forecast, or several of them, as a list or by name:
            ``numpy`` and ``native`` give a tuple, ``js`` a list, other text a struct with those
            names, or of results in a list their metrics; ``python`` and ``table`` take one.
        args: the arguments in order: symbols or their names.
        target: ``numpy``, ``native`` and ``python`` give callables; ``c`` (a C99 header), ``cpp``
            (a header of C++14), ``rust``, ``go``, ``kotlin``, ``swift`` and ``js`` (an ES module)
            text; ``table`` a `lifesym.codegen.table.Table`; ``auto`` the text in C of what costs
            least on a core.
        name: of the function.
        ranges: the box of arguments: checked by the callables, needed by ``table`` and for the
            proved error bound in the comment of ``c``. Maxima that are decided in it are left out:
            a function holds within its ranges.
        precision: of the ``c`` target.
        gradient: ``numpy`` and ``native`` also give, formula by formula, the derivative in every
            argument, or in those listed: that of the branch that is active, 0 of a rounded
            quotient (`lifesym.codegen.gradient`).
        threads: of ``native``.
        doc: a line on where the formula is from; the name and unit of a result unless given.
        more: options of `lifesym.codegen.table.build`, and of `lifesym.codegen.auto.cheapest`.

    Raises:
        SymbolError: an unknown target, an argument that is not in the formula or is given twice, a
            symbol of the formula that is no argument, a name that a language reserves, a range
            that is missing, or in which the arithmetic fails, or a derivative in the bounds of a
            sum without a closed form.
    """
    if target not in get_args(Target):
        known = ", ".join(get_args(Target))
        raise SymbolError(
            f"target must be one of {known}, not {shown(target)}{nearest(str(target), known)}"
        )
    several = isinstance(expr, list | tuple | Mapping)
    inputs.options(
        target, more, gradient=gradient, precision=precision, several=several, threads=threads
    )
    named = inputs.results(expr) if several else {"": expr}
    quantities = list(named.values())
    exprs = [inputs.expression(each) for each in quantities]
    if not isinstance(doc, str):
        raise SymbolError(f"doc must be text, not {shown(doc)}")
    doc = doc or inputs.meaning(expr)
    if not exprs:
        raise SymbolError("there is no formula to compile")
    symbols = inputs.arguments(args, exprs)
    names = [identifier(symbol.name, "argument") for symbol in symbols]
    identifier(name, "function name")
    for each in names:
        if re.fullmatch(rf"{name}_(at|mix|in|v|k\d+|shift|checked|power)", each, re.IGNORECASE):
            raise SymbolError(f"the name {name!r} takes {each!r} for itself: give another name")
    box = inputs.box(ranges, symbols)
    checked = inputs.least(quantities, box)
    if target in inputs.OPTIONS:
        return _within(target, expr, symbols, box, name, doc, more)
    slopes = inputs.slopes(gradient, symbols)
    if box:  # within its ranges a function needs no maximum that one argument always is
        exprs = [decided(expr, box) for expr in exprs]
    of_operators, bound = labels(quantities, box) if target in _NAMING else ({}, [])
    program = lower(exprs, symbols, of_operators)
    if slopes is not None:
        program = differentiated(program, slopes)
    lines = [*_origin(doc), *c.describe(symbols, names, checked), *bound]
    if target in ("numpy", "native"):
        return Compiled(
            name=name,
            program=program,
            names=tuple(names),
            ranges=checked,
            threads=threads if target == "native" else 0,
            single=not several and slopes is None,
            doc=tuple(lines),
        )
    if target in languages.TARGETS:
        values = (
            {key: inputs.meaning(each) or "A formula." for key, each in named.items()}
            if several
            else {}
        )
        return languages.module(target, program, name, checked, (*_origin(doc), *bound), values)
    if target == "c":
        single, fields = precision == "float", tuple(named) if several else ()
        return c.header(program, name, names, doc=lines, box=box, single=single, fields=fields)
    if target == "js":
        return _js(program, name, names, lines, checked, single=not several)
    bounds = _bounds(names, program, checked)
    return python.function(program, name, names, python.docstring(lines), bounds)


def _within(
    target: str,
    quantity: Any,
    symbols: tuple[Symbol, ...],
    box: dict[Symbol, tuple[float, float]],
    name: str,
    doc: str,
    more: Mapping[str, Any],
) -> Any:
    """What is within a relative error that is asked for: a table, or the cheapest form in C."""
    if target == "table":
        from lifesym.codegen.table import build  # noqa: PLC0415 (only where it is needed)

        expr = decided(inputs.expression(quantity), box)
        return build(expr, symbols, box, name=name, doc=_origin(doc), **more)
    from lifesym.codegen.auto import cheapest  # noqa: PLC0415 (it compiles what it chooses)

    return cheapest(quantity, symbols, box, name=name, doc=doc, **more)


def on_grid(exprs: Sequence[Expr], symbols: Sequence[Symbol]) -> Callable[..., list[Any]]:
    """Formulas at arrays of all their symbols that broadcast, open sums too; each of full shape.

    Raises:
        SymbolError: a symbol that is not among them.
    """
    free = set().union(*(expr.free_symbols for expr in exprs))
    used = [symbol for symbol in symbols if symbol in free]
    made = compile([*exprs], used)

    def call(*arrays: Any) -> list[Any]:
        shape = np.broadcast_shapes(*map(np.shape, arrays))
        given = (a for a, symbol in zip(arrays, symbols, strict=True) if symbol in free)
        return [np.broadcast_to(found, shape) for found in made(*given)]

    return call


def _origin(doc: str) -> tuple[str, ...]:
    made = f"Generated by lifesym {__version__}."
    return (*doc.splitlines(), made)


def _bounds(names: list[str], program: Program, box: Any) -> list[tuple[str, float, float]]:
    """The arguments that have a range, with their ends."""
    pairs = zip(names, program.args, strict=True)
    return [(name, *box[symbol]) for name, symbol in pairs if symbol in box]


def _js(
    program: Program, name: str, names: list[str], doc: list[str], box: Any, *, single: bool
) -> str:
    text = write(program, names, JAVASCRIPT)
    lines = [
        "/**",
        *c.comment(doc)[1:],
        f"export function {name}({', '.join(names)}) {{",
        *(
            f"  if (!({each} >= {low!r}{'' if isinf(high) else f' && {each} <= {high!r}'}))\n"
            f'    throw new RangeError("{each} must be {between(low, high)}");'
            for each, low, high in _bounds(names, program, box)
        ),
        *(f"  {line}" for line in text.statements),
        f"  return {text.results[0] if single else _list(text.results)};",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _list(results: Iterable[str]) -> str:
    return f"[{', '.join(results)}]"


TABLES: Mapping[str, Literal["float", "fixed", "numpy"]]
TABLES = {"table": "float", "fixed": "fixed", "numpy-table": "numpy"}
"""Targets of `source` that are tables, each with the numbers that they hold."""


def source(result: Any, symbols: Sequence[Symbol], to: str, **options: Any) -> str:
    """The text of a function: in C for doubles (``c``) or single (``float``), a table, or another.

    Raises:
        SymbolError: what `compile` raises.
    """
    if to in TABLES:
        return str(compile(result, symbols, target="table", **options).source(TABLES[to]))
    if to in ("c", "float"):
        precision: Any = "double" if to == "c" else "float"
        return str(compile(result, symbols, target="c", precision=precision, **options))
    target: Any = to
    made = compile(result, symbols, target=target, **options)
    return made if isinstance(made, str) else str(made.source)
