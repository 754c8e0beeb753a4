"""A forecast, and what is served, in numbers: the keys of the command line's JSON."""

from typing import Any

from sympy import Expr

from lifesym.convnet import ConvForecast
from lifesym.errors import LifesymError
from lifesym.held import Held, all_fit
from lifesym.inference import Forecast
from lifesym.metrics import measure
from lifesym.nodes import CeilDiv
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.timed import Timed

_SUFFIXES = {"s": "_s", "byte": "_bytes", "J": "_j"}
_SECTION = {
    "ttft": "ttft",
    "tpot": "tpot_mean",
    "tps": "tps",
    "latency": "latency",
    "memory": "memory",
    "energy": "energy",
}
"""What every form says, and the metric that it is."""


def summary(f: Forecast | ConvForecast) -> dict[str, Any]:
    """The contract's keys, and the terms of both phases; null is what the model does not have."""
    decodes = f.generate != 0
    return {
        "model": f.model.name,
        "hardware": f.hardware.name,
        "weights": f.precision.weights.name,
        "activations": f.precision.activations.name,
        "kv": f.precision.kv.name if isinstance(f, Forecast) else None,
        "origins": dict(f.precision.origins),
        "engine": f.engine.name,
        "efficiencies": f.attained,
        "notes": list(f.notes),
        "ttft_s": float(f.ttft),
        "tpot_s": float(f.tpot.mean) if decodes else None,
        "tpot_first_s": float(f.tpot.first) if decodes else None,
        "tpot_last_s": float(f.tpot.last) if decodes else None,
        "tps": float(f.tps) if decodes else None,
        "latency_s": float(f.latency),
        "memory_bytes": whole(f.memory.expr),
        "memories": _memories(f),
        "fits": f.fits,
        "capacity_bytes": {part.name: whole(part.value) for part in f.capacity.parts},
        "energy_j": None if f.hardware.static_power is None else float(f.energy),
        "bottleneck": {
            "prefill": f.bottleneck("prefill"),
            "decode": f.bottleneck("decode") if decodes else None,
        },
        "terms": {
            "prefill": _terms(f.ttft.terms),
            "decode": _terms(f.tpot.mean.terms) if decodes else [],
        },
    }


def section(form: Timed) -> dict[str, Any]:
    """What a form says of itself in numbers, by names with their units."""
    found: dict[str, Any] = {}
    for name, metric in _SECTION.items():
        if name == "latency":  # every form has one: it says what its options cannot do
            found |= _entry(name, form.latency)
            continue
        try:
            result = measure(form, metric)
        except LifesymError:  # it has no meaning for the form, or the device says too little
            continue
        found |= _entry(name, result)
    for name, more in form.more.items():
        found |= _entry(name, more)
    return found | {"memories": _memories(form), "fits": form.fits}


def _memories(form: Timed) -> dict[str, Any]:
    """What each memory holds, of several stages the fullest of a name, and whether it fits."""
    named: dict[str, list[Held]] = {}
    for held in form.stores:
        named.setdefault(held.name, []).append(held)
    return {
        name: {"bytes": max(whole(held.expr) for held in rows), "fits": all_fit(rows)}
        for name, rows in named.items()
    }


def whole(value: Expr) -> int:
    """An exact integer; part of a byte is rounded up."""
    number = value.doit()
    return int(CeilDiv(number.p, number.q) if number.is_Rational else number)


def _entry(name: str, result: Any) -> dict[str, Any]:
    if not isinstance(result, Result):
        return {name: [float(each) for each in result]}
    key = name + _SUFFIXES.get(result.unit, "")
    exact = result.unit in ("byte", "tokens", "passes")
    return {key: whole(result.expr) if exact else float(result)}


def _terms(terms: tuple[Term, ...]) -> list[dict[str, Any]]:
    rows = []
    total = sum(float(term.time.doit(powers=False)) for term in terms)
    for term in terms:
        seconds = {
            f"{name}_s": float(getattr(term, name).doit(powers=False))
            for name in ("compute", "memory", "dispatch", "network", "time")
        }
        share = seconds["time_s"] / total if total else 0.0
        rows.append({"name": term.name, "section": term.section, **seconds, "share": share})
    return rows
