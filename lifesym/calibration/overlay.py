"""Fitted parameters as a hardware spec: an overlay of a device of the database, with provenance.

The overlay names the engine whose formula was fitted and has every parameter as the number of the
device that it is, so that a forecast on it is the formula at the fit.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sympy import Integer

from lifesym import symbols as sym
from lifesym.calibration.formula import FUSED_SINCE, Rows, engine, numbers, together, usable
from lifesym.calibration.measurements import Observation
from lifesym.calibration.parameters import NAMES, PARAMETERS, Parameter, factors, logs_by, values
from lifesym.calibration.parameters import numbers as fitted_numbers
from lifesym.calibration.pooled import SCALE, WIDER, Calibration, Pooled, described, fit
from lifesym.calibration.rates import hardware, named
from lifesym.calibration.shipped import shipped
from lifesym.devices import load_hardware
from lifesym.engines import load_engine
from lifesym.errors import SpecError
from lifesym.hardware import Hardware
from lifesym.huggingface import load_model

_METRICS = {"decode": "tpot", "prefill": "ttft", "request": "latency"}


@dataclass(frozen=True)
class Own:
    """The parameters of a device with one software: fitted to its rows, or those of its kin.

    Attributes:
        of: a row of it, which says what it has in common with others.
        fit: the parameters.
        rows: its own rows; None where there are none.
        left: rows of other software.
    """

    of: Observation
    fit: Pooled
    rows: Rows | None = None
    left: Counter[str] = field(default_factory=Counter)

    @property
    def point(self) -> Any:
        """The parameters of the device, on the fit's scale."""
        return self.fit.point(self.of)

    @property
    def source(self) -> str:
        """What they are fitted to."""
        if self.rows is None:
            return f"fitted to other rows of {self.of.place} ({self.fit.rows} rows)"
        found = ", ".join(sorted({o.source for o in self.rows.observations})).replace('"', "'")
        return f"fitted to {found} ({len(self.rows)} rows of {self.of.place})"

    @property
    def several(self) -> bool:
        """Whether rows of several devices say what their link attains."""
        return self.rows is not None and any(together(o) > 1 for o in self.rows.observations)

    def report(self) -> dict[str, Any]:
        """Values, units, 95 % intervals and remarks, and the mean error by phase."""
        count = 0 if self.rows is None else len(self.rows)
        found = described(self.point, self.fit.covariance(self.of), count)
        errors: dict[str, list[float]] = {}
        if self.rows is not None:
            forecasts = self.rows.seconds(np.tile(self.point, (count, 1)))
            for o, seconds in zip(self.rows.observations, forecasts, strict=True):
                errors.setdefault(o.phase, []).append(abs(float(seconds) / o.seconds - 1))
        mean = {phase: float(np.mean(parts)) for phase, parts in errors.items()}
        return {"engine": engine(self.of), **found, "mape": mean}


def own_fit(base: str, measured: Iterable[Observation] | None, framework: str | None = None) -> Own:
    """The parameters of a device with the software that most of its rows are of.

    Rows on one device count, if there are any, and what few rows say counts beside what the shipped
    calibration says of that software. Without measurements the parameters are those of its class,
    its maker and its software in that calibration, and its own where it is in there.

    Args:
        base: the device's name in the database.
        measured: rows of this device and others; None: there are none.
        framework: the software, or a part of its name; llama.cpp where nothing is measured.

    Raises:
        SpecError: no row that can be forecast; or software of which the calibration has none.
    """
    if measured is None:
        return _of_its_kin(base, framework or "llama.cpp")
    wanted = (framework or "").lower()
    here = [o for o in measured if named(o.device) == base and wanted in o.framework.lower()]
    some, _ = usable([o for o in here if o.devices == 1])
    if not len(some):
        some, _ = usable(here)
    if not len(some):
        raise SpecError(
            f"no usable measurement of {base}" + (f" with {framework!r}" if framework else "")
        )
    engines = Counter(f"{o.place}, {engine(o)}" for o in some.observations)
    most, _ = engines.most_common(1)[0]
    mine = [i for i, o in enumerate(some.observations) if f"{o.place}, {engine(o)}" == most]
    chosen = some.take(mine)
    del engines[most]
    first = chosen.observations[0]
    return Own(first, fit(chosen, prior=shipped().fits.get(first.place)), chosen, engines)


def _of_its_kin(base: str, framework: str) -> Own:
    stub = Observation(
        phase="decode",
        seconds=1.0,
        device=base,
        peak=0.0,
        bandwidth=0.0,
        framework=framework,
        model="llama-2-7b",
        bits=16.0,
        kv_bits=16.0,
        batch=1,
        devices=1,
        prompt=0,
        past=0,
        generate=0,
        context=128.0,
        source="",
        line=0,
        released=FUSED_SINCE,
    )
    if framework.lower() == stub.software:  # no one release, though one may be called so
        stub = replace(stub, framework=f"{framework} of any release")
    fits = shipped().fits
    if stub.place not in fits:
        raise SpecError(f"no measurements of {stub.place}; there are some of {', '.join(fits)}")
    found = fits[stub.place]
    seen = [effect[1] for effect in found.places if effect[0] == "device"]
    name = next((device for device in seen if named(device) == base), base)
    return Own(replace(stub, device=name), found)


def shown(report: dict[str, Any]) -> list[list[str]]:
    """Rows of a table of a report: parameter, unit, remark, value, and its interval's ends."""
    rows = []
    for name, value in report["values"].items():
        numbers = (f"{number:.3g}" for number in (value, *report["intervals"][name]))
        rows.append([name, report["units"][name], report["flags"].get(name, ""), *numbers])
    return rows


def overlay(base: str, own: Own) -> str:
    """The hardware spec that extends a device by fitted values, in TOML."""
    first = own.of
    known = numbers(first)
    given = fitted_numbers(factors(own.point), known)
    tables: dict[str, list[str]] = {}
    kept = [i for i, parameter in enumerate(PARAMETERS) if _counts(parameter, own)]
    for parameter in (PARAMETERS[i] for i in kept):
        entry = f"{parameter.key} = {_figure(given[parameter.symbol])}"
        tables.setdefault(parameter.table, []).append(entry)
    fitted = own.source
    lines = [f'extends = "{base}"', f'engine = "{engine(first)}"', ""]
    lines += _rates(hardware(first), load_hardware(base))
    for table, entries in tables.items():
        said = [] if "." in table else [f'source = "{fitted}"']
        lines += [f"[{table}]", *entries, *said, ""]
    jacobian = logs_by(own.point)
    spread = jacobian @ own.fit.covariance(first) @ jacobian.T
    lines += ["[fit]", f"parameters = [{', '.join(_quoted(NAMES[i]) for i in kept)}]"]
    rows = (", ".join(f"{spread[i, j]:.4g}" for j in kept) for i in kept)
    lines += ["covariance = [", *(f"    [{row}]," for row in rows), "]"]
    wider = ", ".join(f"{_METRICS[phase]} = {factor}" for phase, factor in WIDER.items())
    lines += [f"error = {SCALE}", f"wider = {{ {wider} }}", f'source = "{fitted}"', ""]
    return "\n".join(lines)


def _counts(parameter: Parameter, own: Own) -> bool:
    """Whether times of a device's software depend on a parameter."""
    if parameter.symbol == sym.score_time.name:
        return load_engine(engine(own.of)).score_blocks
    return parameter.table != "link" or own.several


def _rates(device: Hardware, plain: Hardware) -> list[str]:
    """The peaks and the bandwidth that the table of measurements gives in place of the device's."""
    lines = []
    engines = ("matrix", "vector")
    if any(getattr(device, each) != getattr(plain, each) for each in engines):
        for each in engines:
            if known := getattr(device, each):
                lines.append(f"[peak.{each}]")
                lines += [f"{kind} = {_figure(rate)}" for kind, rate in known.items()]
                lines += [f'source = "{device.sources[f"peak.{each}"]}"', ""]
    if device.bandwidth != plain.bandwidth:
        lines += ["[memory]", f"bandwidth = {_figure(device.bandwidth)}"]
        lines += [f"capacity = {_figure(device.capacity)}"] if device.capacity else []
        lines += [f'source = "{device.sources["memory"]}"', ""]
    return lines


def usual(rows: Rows) -> dict[str, dict[str, float]]:
    """What devices of each class usually attain: medians of the rows' fits, on one device each.

    The time of a layer is shared out over its operators' dispatches, of a kernel each.
    """
    fitted, found = Calibration.of(rows), dict[str, dict[str, float]]()
    alone = [o for o in rows.observations if o.devices == 1]
    for kind_of_device in sorted({o.kind for o in alone}):
        here = [o for o in alone if o.kind == kind_of_device]
        points = np.median(values(np.stack([fitted.point(o) for o in here])), axis=0)
        named = dict(zip(NAMES, map(float, points), strict=True))
        found[kind_of_device] = {
            "memory": named["memory_efficiency"],
            "compute": named["compute_efficiency"],
            "dispatch": named["layer_time"] / dispatches("llama-2-7b"),
        }
    return found


def dispatches(model: str) -> float:
    """Dispatches of a layer of a model, unfused."""
    step = load_model(model).forward(1, 1, 0)
    inside = [entry for entry in step if entry.section not in ("embed", "head")]
    layers = max((entry.count for entry in inside), default=Integer(1))
    return float(step.filter(lambda entry: entry in inside).cost().dispatches / layers)


def _figure(value: Any) -> str:
    return f"{float(value):.6g}".replace("+", "")


def _quoted(name: str) -> str:
    return f'"{name}"'
