"""The form of a formula that costs least on a core: the formula itself, or a table of it.

All forms that are within the error asked for are compared: the formula in double and in single
precision, by the proved bound of its arithmetic's error, and the tables in single precision and in
integers, by their certificates. `lifesym.codegen.cores` says what each of them costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

from sympy import Symbol

from lifesym.codegen import inputs
from lifesym.codegen.c import USEFUL
from lifesym.codegen.cores import Core, Cost, core_named, formula_cost, table_cost
from lifesym.codegen.functions import TABLES, compile, source
from lifesym.codegen.lowering import lower
from lifesym.codegen.program import Program
from lifesym.codegen.ranges import DOUBLE, FLOAT, Box
from lifesym.codegen.scaling import fitted
from lifesym.codegen.table import Table
from lifesym.codegen.table_error import fixed_error
from lifesym.decided import decided
from lifesym.errors import SymbolError, one_of
from lifesym.symbols import By

Least = Literal["speed", "size"]
"""Of what there is to be least: cycles of a call, or bytes of flash."""
_WORDS = {
    "c": "the formula in double precision",
    "float": "the formula in single precision",
    "table": "a table in single precision",
    "fixed": "a table in integers",
}
"""Forms, which are targets of `lifesym.codegen.functions.source`."""


@dataclass(frozen=True)
class Form:
    """One form of a formula: its largest relative error, and what it costs."""

    to: str
    error: float
    cost: Cost

    def __str__(self) -> str:
        return f"{_WORDS[self.to]}, {self.cost}, error {self.error:.2g}"


def cheapest(
    quantity: Any,
    symbols: Sequence[Symbol],
    box: Box,
    *,
    name: str,
    doc: str,
    core: str | None = None,
    by: Least = "speed",
    error: float = 0.01,
    units: By[float] | None = None,
) -> str:
    """The text in C of the form of a formula that costs least on a core; a line of it says why.

    Args:
        quantity: the formula, or a result.
        symbols: its arguments.
        box: the range of each.
        name: of the function.
        doc: lines on where the formula is from.
        core: its name in ``specs/cores.toml``.
        by: ``speed``, cycles of a call, or ``size``, bytes of flash; the other decides a tie.
        error: the largest relative error allowed; of a formula at most a hundredth.
        units: units of a table's arguments; a formula's are those of its symbols.

    Raises:
        SymbolError: no core of that name, another ``by``, a range that is missing or empty, a unit
            that is no number above zero or of no argument, an error that is not between 1e-5 and 1,
            or one that no form is within.
    """
    on = core_named(core)
    one_of(by, get_args(Least), "by")
    inputs.tolerance(error)
    inputs.bounded(symbols, box)
    inputs.units(units, symbols)
    common: dict[str, Any] = {"name": name, "ranges": box}
    of_tables: dict[str, Any] = {"error": error, "units": units}

    @cache
    def program() -> Program:  # `source` makes the same one
        return lower([decided(inputs.expression(quantity), box)], symbols)

    @cache
    def table() -> Table | SymbolError:  # a refusal can take as long as a table
        try:
            made: Table = compile(quantity, symbols, "table", doc=doc, **common, **of_tables)
        except SymbolError as problem:
            return problem
        return made

    makers: dict[str, Callable[[], Form]] = {
        "c": lambda: _formula(program(), box, on, "c"),
        "float": lambda: _formula(program(), box, on, "float"),
        "table": lambda: _table(table(), on, "table"),
        "fixed": lambda: _table(table(), on, "fixed"),
    }
    forms: list[Form] = []
    whys: list[str] = []
    for to, make in makers.items():
        try:
            form = make()
        except SymbolError as problem:
            whys.append(f"not {_WORDS[to]}: {problem}")
            continue
        if form.error <= (error if to in TABLES else min(error, USEFUL)):
            forms.append(form)
        else:
            whys.append(f"not {_WORDS[to]}: its error can be {form.error:.2g}")
    if not forms:
        raise SymbolError(f"no form is within {error:g}: {'; '.join(whys)}")
    best, *others = sorted(forms, key=lambda form: _rank(form, by))
    parts = [f"Chosen for {core} by {by} within {error:g}: {best}", *map(str, others), *whys]
    said = f"{'; '.join(parts)} (estimates)."
    if best.to in TABLES and isinstance(made := table(), Table):
        return replace(made, doc=(*made.doc, said)).source(TABLES[best.to])
    return source(quantity, symbols, best.to, doc="\n".join(filter(None, [doc, said])), **common)


def _rank(form: Form, by: Least) -> tuple[int, int]:
    cycles, flash = form.cost.cycles, form.cost.flash
    return (cycles, flash) if by == "speed" else (flash, cycles)


def _formula(program: Program, box: Box, on: Core, to: str) -> Form:
    """The formula itself."""
    single = to == "float"
    program, (bound,) = fitted(program, box, FLOAT if single else DOUBLE)
    return Form(to, bound.share, formula_cost(program, on, single, box))


def _table(table: Table | SymbolError, on: Core, to: str) -> Form:
    """A table, if there is one of these numbers."""
    if isinstance(table, SymbolError):
        raise table
    kind = TABLES[to]
    table.source(kind)
    error = table.error + (fixed_error(table) if kind == "fixed" else 0.0)
    sizes, split = [axis.size for axis in table.grid.axes], table.split is not None
    return Form(to, error, table_cost(kind, sizes, on, split=split))
