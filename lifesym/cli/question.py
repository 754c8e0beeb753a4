"""What the commands that ask a formula share: the formula with its symbols, and the point."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.analysis.regime import Range
from lifesym.analysis.usual import possible, usual_line, usual_range
from lifesym.answers import held_by
from lifesym.cli.output import draw, note
from lifesym.cli.request import RUNNING, Request
from lifesym.cli.rows import NAMED, ROWS
from lifesym.errors import SpecError, one_of
from lifesym.held import Held, all_fit, least, unfit
from lifesym.kinds import in_unit, listed
from lifesym.metrics import METRICS, measure
from lifesym.opened import usual
from lifesym.report.terminal import line
from lifesym.report.units import plain
from lifesym.results import Result
from lifesym.serving.server_step import ARGUMENTS
from lifesym.symbols import TABLE, exact, ordered, resolve
from lifesym.timed import Timed, said_of


@dataclass(frozen=True)
class Question:
    """A formula with every workload and device symbol free, and the point that was given.

    Attributes:
        form: what is served, opened.
        closed: the same in numbers.
        point: the numbers that were given, or are the device's own.
        metric: what is asked.
        request: the options.
    """

    form: Timed
    closed: Timed
    point: dict[Symbol, Expr]
    metric: str
    request: Request

    @cached_property
    def quantity(self) -> Result:
        """The formula."""
        return measure(self.form, self.metric)

    def described(self, changed: Mapping[str, Any]) -> str:
        """The configuration in words, with the options that a comparison changes."""
        own = {"model", "on", "weights"}
        others = [
            f"{name.replace('_', ' ')} {self.request.options[name] or 'not given'}"
            for name in changed
            if name not in own
        ]
        stored = self.form.precision.weights.name
        return ", ".join(
            [f"{self.form.model.name} in {stored} on {self.form.hardware.name}", *others]
        )

    @cached_property
    def _held(self) -> tuple[Held, ...]:
        return held_by(self.form, self.quantity)

    def held(self, *free: Symbol, **values: Expr) -> list[Held]:
        """What memories hold at the point, but for symbols that vary or have other values."""
        o, about = self.request.options, self.request.about
        asked = {resolve(row.symbol) for row in ROWS if row.symbol and o[row.name] is None}
        unknown = {*free, *(asked - {sym.past}).intersection(about)}
        known = {symbol: value for symbol, value in self.point.items() if symbol not in unknown}
        known |= {resolve(name): value for name, value in values.items()}
        return [each.at(known) for each in self._held]

    def room(self, *free: Symbol) -> Expr | None:
        """Bytes of memory that are left, in the symbols that vary; None if that is not known."""
        left = least(self.held(*free))
        return left if left is not None and left.free_symbols <= {*free} else None

    def print_said(self) -> None:
        """What the answer must say, a line each."""
        for text in [*said_of(self.closed), *unfit(self.held())]:
            line(text)

    @property
    def title(self) -> str:
        """What is asked of what, on what."""
        return f"{self.metric} of {self.form.model.name} on {self.form.hardware.name}"

    @property
    def result(self) -> Result:
        """The formula, which knows its form."""
        return replace(self.quantity, form=self.form)

    def draw(self, make: Callable[[Any], Any], *over: Symbol) -> None:
        """The figure that --plot asks for, over symbols."""
        draw(self.request.options, make, self.result, self.point, over)

    def used(self, *free: Symbol) -> dict[Symbol, Expr]:
        """The point without the symbols that vary, in the table's order."""
        known = self.quantity.expr.free_symbols - set(free)
        return {symbol: self.point[symbol] for symbol in ordered(known)}

    def head(self, *free: Symbol) -> dict[str, Any]:
        """The keys that every command's JSON object begins with."""
        at = {symbol.name: plain(value) for symbol, value in self.used(*free).items()}
        return {
            "model": self.form.model.name,
            "hardware": self.form.hardware.name,
            "metric": self.metric,
            "unit": self.quantity.unit,
            "at": at,
            "fits": all_fit(self.held()),
            "engine": self.form.engine.name,
            "efficiencies": self.form.attained,
        }

    def ends(
        self, symbol: Symbol, sides: Iterable[Expr] | None = None, steps: int | None = None
    ) -> Range:
        """The ends of the range that were given, or usual ones (see `lifesym.analysis.usual`)."""
        word, here = TABLE[symbol].word, self.point.get(symbol)
        given = self.request.options["from_"], self.request.options["to"]
        if given[0] is None and symbol == sym.generated:
            given = self.quantity.least(symbol), given[1]
        low, high, most = possible(self.form, self.point, symbol, *given)
        wide = usual_range(symbol, here, low, high)
        ends = wide if sides is None else usual_line(symbol, here, sides, low, high, steps)
        if ends != wide:
            note(f"{word} goes from {ends[0]} to {ends[1]} here, as it takes many steps beyond")
        return ends[0], ends[1] if most is None else min(ends[1], most)


def asked(options: Mapping[str, Any], over: str = "") -> Question:
    """The formula of a command's options with every number a symbol, and those numbers.

    Numbers that are asked about, in ``over`` or ``--lift``, are symbols too.
    """
    metric = options["metric"]
    varies = tuple(resolve(name) for name in listed(over))
    names = (*(resolve(name) for name in listed(options["lift"])), *varies)
    one_of(metric, METRICS, "--metric")
    ends = [name for name in ("from_", "to") if varies and name in options]
    unit = TABLE[varies[0]].unit if varies else ""
    read = {name: in_unit(options[name], unit, f"--{name.rstrip('_')}") for name in ends}
    request = Request({**options, **read}, about=names, generates=METRICS[metric].generation)
    form = request.form()
    point = {sym.new: exact(1), sym.past: exact(0), **form.point, **request.running()}
    further = [name for name in names if name not in RUNNING.values()]
    question = Question(form.open(*usual(form), *further), form, point, metric, request)
    for name in request.supposed:
        del point[resolve(NAMED[name].symbol)]
    lacking(metric, question.quantity.expr.free_symbols - {*point, *varies})
    return question


def lacking(metric: str, symbols: Iterable[Symbol]) -> None:
    """Refuse a formula in symbols that have no number.

    Raises:
        SpecError: the first of them, and the option that gives it one.
    """
    by_symbol = {resolve(row.symbol): row for row in ROWS if row.symbol}
    for symbol in ordered(symbols):
        row = by_symbol.get(symbol)
        how = "give a device that has it, --on" if row is None else f"give {row.spelt}"
        if symbol in ARGUMENTS:
            how = "it is an argument of the pass, for derive, export (--args) and fit-log"
        raise SpecError(f"{metric} depends on {TABLE[symbol].word}: {how}")
