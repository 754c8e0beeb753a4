"""What a figure is of, in words: from the form behind a quantity, once for all plots."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.analysis.questions import Values
from lifesym.checks import checked
from lifesym.plots.style import figure_number, said
from lifesym.results import Result, StepTime
from lifesym.symbols import resolve
from lifesym.timed import Timed

_FIELDS = {sym.batch: "batch", sym.prompt: "prompt", sym.generated: "generate"}
"""The workload's symbols, each with the field of a forecast that is it where it has been opened."""
_WORKLOAD = (sym.batch, sym.prompt, sym.generated, sym.past)


@checked
def figure_caption(
    of: Timed | Result | Sequence[Timed | Result],
    at: Values | None = None,
    over: Iterable[str | Symbol] = (),
) -> str:
    """Quantity, model, device, formats, workload: a title, or the text beneath a figure.

    Of several forms it says what they have in common, and every model and device.

    >>> import lifesym as ls
    >>> figure_caption(ls.forecast("llama-2-7b", "v100", 512, 128, batch=16).tpot, over=["past"])
    'TPOT of llama-2-7b on NVIDIA V100 SXM2 16GB (fp16; at peaks): batch 16'

    Args:
        of: a form, a result that knows its form (a time), or several forms.
        at: values of the workload beside the form's own, or in their place.
        over: symbols that vary in the figure, which have no value.
    """
    asked = [of] if isinstance(of, Timed | Result) else list(of)
    name = _same(each.name for each in asked if isinstance(each, Result))
    pairs = [(form, each) for each in asked if (form := _form(each)) is not None]
    if not pairs:
        return name
    forms = [form for form, _ in pairs]
    given = {resolve(word): value for word, value in (at or {}).items()}
    varies = {resolve(symbol) for symbol in over}
    points = [_workload(form, each, given, varies) for form, each in pairs]
    common = [
        f"{said(symbol)} {_number(value)}"
        for symbol, value in points[0].items()
        if all(point.get(symbol) == value for point in points)
    ]
    aside = [text for text in (_same(map(_formats, forms)), _same(map(_peaks, forms))) if text]
    brackets = f" ({'; '.join(aside)})" if aside else ""
    models = ", ".join(dict.fromkeys(form.model.name for form in forms))
    devices = ", ".join(dict.fromkeys(_devices(form) for form in forms))
    workload = ": " + ", ".join(common) if common else ""
    return f"{f'{name} of ' if name else ''}{models} on {devices}{brackets}{workload}"


def caption_of(quantity: Any, at: Mapping[Symbol, Any], *over: Symbol) -> str:
    """The caption of a quantity that may be a bare expression: then there is none."""
    return figure_caption(quantity, at, over) if isinstance(quantity, Result) else ""


def _form(of: Timed | Result) -> Timed | None:
    """A form, or that behind a result; None where it does not know it."""
    form = of.form if isinstance(of, Result) else of
    return form if isinstance(form, Timed) else None


def _workload(
    form: Timed, of: Any, given: Mapping[Symbol, Any], varies: set[Symbol]
) -> dict[Symbol, Expr]:
    """The numbers of a workload that an answer depends on, or may."""
    known = {**form.point, **given}
    shown = {s for s, field in _FIELDS.items() if getattr(form.main, field, None) != s} | {*given}
    if isinstance(of, Result):
        shown |= of.expr.free_symbols
        if not isinstance(of, StepTime):
            shown -= {sym.past} - of.expr.free_symbols
        elif of.start is not None:  # a step is that of its context, whatever came before
            shown -= {sym.prompt, sym.generated}
    return {
        symbol: sym.exact(known[symbol])
        for symbol in _WORKLOAD
        if symbol in shown - varies and symbol in known and sym.exact(known[symbol]).is_number
    }


def _number(value: Expr) -> str:
    return figure_number(float(value)).replace(",", "")


def _same(texts: Iterable[str]) -> str:
    """A text that is the same of all, else none."""
    found = set(texts)
    return found.pop() if len(found) == 1 else ""


def _formats(form: Timed) -> str:
    """The formats of weights, activations and cache; one word where all are alike."""
    precision = form.precision
    weights, activations, kv = (
        each.name for each in (precision.weights, precision.activations, precision.kv)
    )
    if weights == activations == kv:
        return weights
    rest = f"{activations} activations and KV"
    return f"{weights} weights, " + (
        rest if activations == kv else f"{activations} activations, {kv} KV"
    )


def _peaks(form: Timed) -> str:
    """That times are at peaks, which looks like a forecast otherwise."""
    return "at peaks" if form.attained.startswith("at peaks") else ""


def _devices(form: Timed) -> str:
    """The devices, with how many of each kind where that is a number above 1."""
    return " and ".join(
        dict.fromkeys(
            f"{place.devices} x {place.hardware.name}"
            if sym.exact(place.devices).is_number and place.devices != 1
            else place.hardware.name
            for place in form.places
        )
    )
