"""What the commands that ask a formula share: the formula with its symbols, and the point."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.analysis.line import cut_short
from lifesym.cli.output import line, note, said_of
from lifesym.cli.request import Request
from lifesym.metrics import METRICS, measure
from lifesym.opened import usual
from lifesym.report.units import quantity
from lifesym.results import Result
from lifesym.symbols import TABLE, exact, ordered, resolve
from lifesym.timed import Timed

# Where a range begins and ends unless it is given; rates and times go around the device's own.
_LONGEST = {"batch": 4096, "past": 131072, "prompt": 131072, "generated": 131072}
_AROUND = 1000
RUNNING = (sym.past, sym.new, sym.hourly_price)
"""What formulas depend on that is no number of a forecast."""
_PHYSICAL = ("s", "byte", "byte/s", "FLOP/s", "FLOP", "J", "W", "token/s")


@dataclass(frozen=True)
class Question:
    """A formula with every workload and device symbol free, and the point that was given.

    Attributes:
        form: what is served, opened.
        point: the numbers that were given, or are the device's own.
        metric: what is asked.
        request: the options.
    """

    form: Timed
    point: dict[Symbol, Expr]
    metric: str
    request: Request

    @cached_property
    def quantity(self) -> Result:
        """The formula."""
        return measure(self.form, self.metric)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.form.model.name

    @property
    def device(self) -> str:
        """The device's name."""
        return self.form.hardware.name

    def described(self, changed: Mapping[str, Any]) -> str:
        """The configuration in words, with the options that a comparison changes."""
        own = {"model", "on", "weights"}
        others = [
            f"{name.replace('_', ' ')} {self.request.options[name] or 'not given'}"
            for name in changed
            if name not in own
        ]
        stored = self.form.precision.weights.name
        return ", ".join([f"{self.model} in {stored} on {self.device}", *others])

    def print_said(self) -> None:
        """What the answer must say, a line each."""
        for text in said_of(self.form):
            line(text)

    @property
    def title(self) -> str:
        """What is asked of what, on what."""
        return f"{self.metric} of {self.model} on {self.device}"

    def used(self, *free: Symbol) -> dict[Symbol, Expr]:
        """The point without the symbols that vary, in the table's order."""
        known = self.quantity.expr.free_symbols - set(free)
        return {symbol: self.point[symbol] for symbol in ordered(known)}

    def head(self, *free: Symbol) -> dict[str, Any]:
        """The keys that every command's JSON object begins with."""
        at = {symbol.name: plain(value) for symbol, value in self.used(*free).items()}
        return {
            "model": self.model,
            "hardware": self.device,
            "metric": self.metric,
            "unit": self.quantity.unit,
            "at": at,
            "efficiencies": self.form.hardware.attained,
        }

    def range_of(self, symbol: Symbol) -> tuple[Expr | float, Expr | float]:
        """The ends that were given, or ones that are wide enough for the symbol."""
        low, high = self.request.options["from_"], self.request.options["to"]
        row = TABLE[symbol]
        here = self.point.get(symbol)
        least: Any = row.minimum
        most: Any = row.maximum
        if row.kind in {"size", "bits"}:
            most = most or _LONGEST.get(row.word, 65536)
        else:
            around = here or 1
            least = around / _AROUND if least is None or here else least
            most = most if most is not None else around * _AROUND
        return (least if low is None else low), (most if high is None else high)

    def line_of(
        self, symbol: Symbol, sides: Iterable[Expr], steps: int | None = None
    ) -> tuple[Expr | float, Expr | float]:
        """As `range_of`; an end that was not given is moved if rounded quotients step too often.

        Args:
            symbol: the symbol that varies.
            sides: the formulas, in the symbol alone.
            steps: the most steps, where fewer are wanted.
        """
        low, high = self.request.options["from_"], self.request.options["to"]
        ends = self.range_of(symbol)
        word = TABLE[symbol].word
        whole = exact(ends[0], word), exact(ends[1], word)
        cut = cut_short(sides, symbol, *whole, steps) if whole[0] < whole[1] else whole
        first, last = (cut[0] if low is None else ends[0]), (cut[1] if high is None else ends[1])
        if (first, last) != ends:
            note(f"{word} goes from {first} to {last} here, as it takes many steps beyond")
        return first, last


def listed(text: str | None) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def asked(options: Mapping[str, Any], over: str = "") -> Question:
    """The formula of a command's options with every number a symbol, and those numbers.

    Numbers that are asked about, in ``over`` or ``--lift``, are symbols too.
    """
    metric = options["metric"]
    names = [resolve(name) for name in (*listed(options["lift"]), *listed(over))]
    needs = metric not in METRICS or METRICS[metric].generation
    request = Request(options, about=tuple(names), generates=needs)
    form = request.form()
    point = {sym.new: exact(1), sym.past: exact(0), **form.point}
    if options["context"] is not None:
        point[sym.past] = exact(options["context"])
        request.model.check_length(point[sym.past] + 1)
    if options["price"] is not None:
        point[sym.hourly_price] = exact(options["price"])
    further = [name for name in names if name not in RUNNING]
    whole = form.open(*usual(form), *further)
    return Question(form=whole, point=point, metric=metric, request=request)


def plain(value: Expr) -> int | float | None:
    """A JSON number; null for an infinite one."""
    number = value.doit()
    if not number.is_finite:
        return None
    return int(number) if number.is_Integer else float(number)


def shown(value: Expr, unit: str) -> str:
    """A number with its unit, for a table: sizes as plain numbers."""
    if not value.is_finite:
        return "∞"
    return quantity(value, unit) if unit in _PHYSICAL else f"{float(value):.6g}"


def apart(one: Expr, other: Expr, unit: str) -> tuple[str, str]:
    """Two numbers with as many digits, four or more, as it takes to tell them apart."""
    for digits in range(4, 16):
        pair = quantity(one, unit, digits), quantity(other, unit, digits)
        if pair[0] != pair[1]:
            break
    return pair
