"""Exported functions as text: of one model on one device, or of several behind an enum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, zip_longest
from pathlib import Path
from typing import Any

from sympy import Symbol

from lifesym.codegen.correction import corrected
from lifesym.codegen.enumerated import enumerated
from lifesym.codegen.functions import TABLES, source
from lifesym.codegen.inputs import Ranges
from lifesym.errors import SpecError, SymbolError
from lifesym.held import unfit
from lifesym.identifiers import function_name
from lifesym.operator_groups import times_by_group
from lifesym.provenance import digest
from lifesym.results import Result
from lifesym.specs import read_text
from lifesym.symbols import ordered
from lifesym.timed import Timed, described

Place = tuple[str, str]
"""A model and a device as they were asked for."""
_ALONE = ("python", "numpy", "numpy-table", "js")
"""Where a file is a space of names by itself; elsewhere functions of several share one."""
_IN_C = {"c": "double", "float": "float"}
"""The targets in C that are formulas, and what they compute in."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Formulas of one model on one device.

    Attributes:
        results: by metric.
        form: what they are of.
    """

    results: Mapping[str, Result]
    form: Timed

    @property
    def free(self) -> set[Symbol]:
        """The symbols that they depend on."""
        return set().union(*(result.expr.free_symbols for result in self.results.values()))

    @property
    def quantity(self) -> Any:
        """What is compiled: the one result, or several by name."""
        return self.results if len(self.results) > 1 else next(iter(self.results.values()))

    @property
    def what(self) -> str:
        """What a function of them is called."""
        return next(iter(self.results)) if len(self.results) == 1 else "forecast"

    def about(self, said: str) -> list[str]:
        """What a function is of, and digests of what goes into it."""
        form = self.form
        units = ", ".join(result.unit for result in self.results.values())
        doc = f"{', '.join(self.results)} of {form.model.name} on {form.hardware.name}, in {units}"
        doc += f"{', with ' if said else ''}{said}. {described(form)}."
        doc += "".join(f" It {text}." for text in unfit(form.stores))
        parts = {
            "model": (form.model.name, getattr(form.model, "values", ())),
            "device": form.hardware,
            "engine": form.engine,
            "formats": form.described,
        }
        inputs = ", ".join(f"{name} {digest(part)}" for name, part in parts.items())
        return [doc, f"Inputs: {inputs}."]


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is written, and how.

    Attributes:
        to: the target of `lifesym.codegen.functions.source`.
        symbols: the arguments; all symbols that are left unless given.
        name: of the function; by metric, and in C by model too, unless given.
        ranges: of arguments.
        units: of a table's arguments.
        error: of a table, or of the form that costs least.
        core: where that is to cost least.
        by: in what: speed, or size.
        correct: whether measured passes correct it (`lifesym.codegen.correction`).
        scales: with which that begins.
        said: the options, for its comment.
        last: the last lines of that.
    """

    to: str = "c"
    symbols: Sequence[Symbol] = ()
    name: str | None = None
    ranges: Ranges | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    error: float = 0.01
    core: str | None = None
    by: str = "speed"
    correct: bool = False
    scales: Mapping[str, float] | None = None
    said: str = ""
    last: Sequence[str] = ()

    def text(self, made: Mapping[Place, Made]) -> str:
        """The text of the function, or of those of several models and devices.

        Raises:
            SpecError, SymbolError: options that the target does not have, and what it refuses.
        """
        if self.units and self.to not in (*TABLES, "auto"):
            raise SymbolError(f"units are of tables, not of {self.to}")
        symbols = [*self.symbols] or ordered(set().union(*(each.free for each in made.values())))
        if len(made) > 1:
            return self._several(made, symbols)
        (one,) = made.values()
        return self._corrected(one, symbols) if self.correct else self._single(one, symbols)

    def _doc(self, one: Made) -> str:
        return "\n".join([*one.about(self.said), *self.last])

    def _single(self, one: Made, symbols: Sequence[Symbol]) -> str:
        usual = one.what if self.to in _ALONE else function_name(one.what, one.form.model.name)
        more: dict[str, Any] = {}
        if self.to in (*TABLES, "auto"):
            more = {"units": self.units, "error": self.error}
        if self.to == "auto":
            more |= {"core": self.core, "by": self.by}
        common = {"name": self.name or usual, "ranges": self.ranges, "doc": self._doc(one)}
        return source(one.quantity, symbols, self.to, **common, **more)

    def _corrected(self, one: Made, symbols: Sequence[Symbol]) -> str:
        if self.to not in _IN_C:
            raise SpecError(f"--correct is of C, not of {self.to}")
        if not getattr(one.quantity, "terms", ()):
            raise SpecError("--correct takes one metric that is a sum of operators' times")
        return corrected(
            times_by_group(one.quantity.terms),
            [symbol.name for symbol in symbols],
            name=self.name or function_name(one.what, one.form.model.name, len("_times")),
            precision=_IN_C[self.to],
            ranges=self.ranges,
            scales=self.scales,
            doc=self._doc(one),
        )

    def _several(self, made: Mapping[Place, Made], symbols: Sequence[Symbol]) -> str:
        if self.to not in _IN_C or self.correct:
            raise SpecError("several models or devices are behind one enum in C (--to c or float)")
        telling = [len({place[i] for place in made}) > 1 for i in (0, 1)]
        names = {place: "_".join(compress(place, telling)) for place in made}
        return enumerated(
            {names[place]: each.quantity for place, each in made.items()},
            [symbol.name for symbol in symbols],
            name=self.name or next(iter(made.values())).what,
            precision=_IN_C[self.to],
            ranges=self.ranges,
            docs={names[place]: "\n".join(each.about(self.said)) for place, each in made.items()},
            doc="\n".join(self.last),
        )


def compare(text: str, path: str) -> None:
    """Refuse a file that is not what its command gives now.

    Raises:
        SpecError: the first line that differs.
    """
    pairs = zip_longest(read_text(Path(path)).splitlines(), text.splitlines(), fillvalue="")
    found = next(((i, a, b) for i, (a, b) in enumerate(pairs, 1) if a != b), None)
    if found is not None:
        line, *sides = found
        old, new = (side.strip() for side in sides)
        raise SpecError(f"{path}:{line}: {old!r} would be {new!r} now: export again")
