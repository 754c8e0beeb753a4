"""Fitted values as a hardware spec: an overlay of a device of the database, with provenance.

A forecast has one memory efficiency, one compute efficiency and a time for each dispatch; a fit's
time a layer is shared out over the dispatches of a layer. Where a fit says nothing of a value, or
says something that is not to be believed, the overlay leaves the device's own.
"""

from collections.abc import Mapping, Sequence

from sympy import Integer

from lifesym.calibration.fit import Fit, fit
from lifesym.calibration.measurements import Observation, Phase
from lifesym.errors import SpecError
from lifesym.huggingface import load_model

PHASES: tuple[Phase, ...] = ("decode", "prefill", "request")


def own_fits(observations: Sequence[Observation]) -> dict[Phase, Fit]:
    """A fit of each phase that some observations have: of one device alone where there are any.

    Raises:
        SpecError: no observation.
    """
    if not observations:
        raise SpecError("no measurement to fit to")
    found: dict[Phase, Fit] = {}
    for phase in PHASES:
        rows = [o for o in observations if o.phase == phase]
        rows = [o for o in rows if o.devices == 1] or rows
        if rows:
            found[phase] = fit(phase, rows)
    return found


def values(fits: Mapping[Phase, Fit], model: str) -> dict[str, tuple[float, str]]:
    """Memory and compute efficiency and dispatch time, each with the fit that says so.

    Memory comes from decode steps, compute from prefills, both from requests where those are
    missing; the dispatches of a layer are counted in the model's unfused forward pass.
    """
    chosen: dict[str, tuple[float, str]] = {}
    for name, phases in (
        ("memory", ("decode", "request")),
        ("compute", ("prefill", "request")),
        ("layer", ("decode", "request", "prefill")),
    ):
        for phase in phases:
            one = fits.get(phase)  # type: ignore[call-overload]
            if name not in chosen and one and name not in one.flags():
                value = one.parameters()[name]
                chosen[name] = (value, f"{phase}, {one.rows} measurements")
    if "layer" in chosen:
        seconds, source = chosen.pop("layer")
        chosen["dispatch"] = (seconds / dispatches(model), source)
    return chosen


def dispatches(model: str) -> float:
    """Dispatches of a layer of a model, unfused."""
    step = load_model(model).forward(1, 1, 0)
    inside = [entry for entry in step if entry.section not in ("embed", "head")]
    costs = step.filter(lambda entry: entry in inside).cost()
    layers = max((entry.count for entry in inside), default=Integer(1))
    return float(costs.dispatches / layers)


def overlay(base: str, fits: Mapping[Phase, Fit], model: str, source: str) -> str:
    """The hardware spec that extends a device by fitted values, in TOML.

    Raises:
        SpecError: no fitted value is to be believed.
    """
    chosen = values(fits, model)
    if not chosen:
        raise SpecError(f"{base}: no fitted value is to be believed; give more measurements")
    lines = [f'extends = "{base}"', ""]
    efficiencies = [name for name in ("compute", "memory") if name in chosen]
    if efficiencies:
        lines.append("[efficiency]")
        lines += [f"{name} = {chosen[name][0]:.4g}" for name in efficiencies]
        of = "; ".join(f"{name}: {chosen[name][1]}" for name in efficiencies)
        lines += [f'source = "fitted to {source} ({of})"', ""]
    if "dispatch" in chosen and chosen["dispatch"][0] > 0:
        seconds, of = chosen["dispatch"]
        lines += ["[dispatch]", f"time = {seconds:.3g}"]
        lines += [f'source = "fitted to {source} ({of}), over the dispatches of a layer"', ""]
    return "\n".join(lines)
