"""The functions of a page: exported JavaScript of everything that it shows.

A choice of the page's menus is a variant: its forecast with the sliders' numbers as symbols. There
are functions of every operator's times and work in a prefill and in a decode step, of the parts of
their printed formulas, of the memory, and of the metrics of a whole request. Variants with the same
formulas share their functions, as devices do that differ in numbers alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sympy import Add, Expr, Symbol

from lifesym import symbols as sym
from lifesym.capacity import Fit
from lifesym.codegen import compile as compiled
from lifesym.errors import LifesymError
from lifesym.explore import mathml
from lifesym.explore.sliders import SLIDERS
from lifesym.inference import Forecast
from lifesym.metrics import METRICS
from lifesym.opened import numbers
from lifesym.operator_groups import group_of
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.symbols import ordered, resolve
from lifesym.tau import written
from lifesym.timed import said_of

OPENED = frozenset({sym.devices, *(resolve(slider.word) for slider in SLIDERS)})
"""Numbers of a forecast that are arguments of the page's functions, where it has them.

Devices in parallel are where there are several: the formulas of one are shorter.
"""
OF_OPERATOR = ("time", "compute", "memory", "dispatch", "network", "flops", "bytes")
"""What a function of a phase gives of each operator, in order, after the total."""
WHOLE = ("latency", "tpot_mean", "tps", "memory", "sequences", "energy", "tokens_per_joule", "cost")
"""The metrics of a request."""


@dataclass
class Functions:
    """JavaScript functions that were written so far, each once."""

    texts: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[Any, int] = field(default_factory=dict)

    def number(self, key: Any, make: Callable[[], tuple[Iterable[Expr], dict[str, Any]]]) -> int:
        """By which number the page calls the function of a key; it is made where it is new.

        Args:
            key: what tells functions apart.
            make: gives the formulas, and what else the page must know of them.
        """
        if key not in self._known:
            exprs, about = make()
            exprs = list(exprs)
            symbols = ordered(set().union(*(expr.free_symbols for expr in exprs)))
            number = self._known[key] = len(self.texts)
            text = compiled(exprs, symbols, target="js", name=f"f{number}")
            self.texts.append(text.partition("*/\n")[2])
            self.entries.append({"args": [each.name for each in symbols], **about})
        return self._known[key]


def variant(form: Forecast, functions: Functions) -> dict[str, Any]:
    """The functions of a forecast, and the numbers that its sliders begin with."""
    known = {s: value for s, value in numbers(form).items() if value.is_number}
    if known.get(sym.devices) == 1:
        del known[sym.devices]
    opened = form.open(*(s for s in known if s in OPENED))
    phases = {"prefill": opened.ttft}
    if form.generate != 0:
        phases["step"] = opened.tpot
    metrics, lacking = _whole(opened)
    memory = metrics["memory"].expr
    whole = {name: result.expr for name, result in metrics.items()}
    units = {name: result.unit for name, result in metrics.items()}
    point = {s.name: float(v) for s, v in form.point.items() if s in {*OPENED, sym.past}}
    capacity = form.hardware.capacity
    return {
        "phases": {name: _phase(each, functions) for name, each in phases.items()},
        "formulas": {name: _formula(each, known, functions) for name, each in phases.items()},
        "memory": functions.number(memory, lambda: ([memory], {})),
        "whole": functions.number(
            tuple(whole.items()), lambda: (whole.values(), {"metrics": [*whole], "units": units})
        ),
        "lacking": lacking,
        "point": point,
        "capacity": None if capacity is None else float(capacity),
        "positions": form.model.context_limit,
        "said": said_of(form),
    }


def _whole(form: Forecast) -> tuple[dict[str, Result], dict[str, str]]:
    """The metrics of a request, and why it has no others."""
    found, lacking = {}, {}
    for name in WHOLE:
        try:
            if name == "sequences":
                found[name] = Fit(forecast=form, capacity=sym.device_memory).sequences
            else:
                found[name] = METRICS[name].of(form)
        except LifesymError as problem:
            lacking[name] = str(problem)
    return found, lacking


def _phase(result: Result, functions: Functions) -> int:
    """The function of a phase: its time, and its operators in order."""
    operators: dict[str, list[Term]] = {}
    for term in result.terms:
        operators.setdefault(term.name, []).append(term)
    exprs = [result.expr]
    for terms in operators.values():
        exprs += [Add(*(_of(term, what) for term in terms)) for what in OF_OPERATOR]
    rows = [[name, group_of(terms[0])] for name, terms in operators.items()]
    return functions.number((tuple(exprs), *operators), lambda: (exprs, {"operators": rows}))


def _formula(result: Result, known: Mapping[Symbol, Expr], functions: Functions) -> int:
    """The function of the parts of a printed formula."""
    bound = {s: value for s, value in known.items() if s not in OPENED}

    def made() -> tuple[list[Expr], dict[str, Any]]:
        places: dict[Expr, int] = {result.expr: 0}

        def place(expr: Expr) -> int:
            return places.setdefault(written(expr).xreplace(bound), len(places))

        form = result.paper()
        about = {"formula": mathml.formula(form, place), "names": mathml.names(form)}
        return list(places), about

    # what is printed depends on the operators' names, too
    names = tuple((term.name, term.section) for term in result.terms)
    return functions.number((result.expr, names), made)


def _of(term: Term, what: str) -> Expr:
    found: Expr = getattr(term.cost if what in ("flops", "bytes") else term, what)
    return found
