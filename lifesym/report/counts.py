"""The exact cost of one forward pass, and the sizes of its model."""

from dataclasses import replace

from lifesym.convnet import ConvForecast
from lifesym.cost import Cost
from lifesym.inference import Forecast
from lifesym.report.summary import whole
from lifesym.trace import Logits

_FIELDS = (
    *("matmul_flops", "vector_flops", "dequant_ops", "weight_bytes", "activation_read_bytes"),
    *("activation_write_bytes", "kv_read_bytes", "kv_write_bytes", "dispatches"),
)


def counts(
    form: Forecast | ConvForecast, new: int = 1, past: int = 0, logits: Logits = "last"
) -> tuple[dict[str, int], dict[str, Cost]]:
    """The totals of a pass by name, and its costs by operator.

    Of a network of images it is the pass over its images, whatever ``new`` and ``past`` are.
    """
    if isinstance(form, ConvForecast):
        trace, sizes = form.counted, {"parameters": whole(form.model.parameters)}
    else:
        trace, sizes = form.trace(new, past, logits), _sizes(form, logits)
    cost = trace.cost_at(form.precision)
    totals = {name: whole(getattr(cost, name)) for name in _FIELDS} | sizes
    parts = trace.group_by("name").items()
    return totals, {name: part.cost_at(form.precision) for name, part in parts}


def _sizes(form: Forecast, logits: Logits) -> dict[str, int]:
    model = form.model
    bare = "decoder" not in model.kind and logits == "none"
    owned = replace(model, towers=()).matrices("none" if bare else "all")
    sizes = {"parameters": sum(whole(matrix.elements) for matrix in owned)}
    if model.towers:
        sizes["tower_parameters"] = whole(model.tower_parameters)
    return sizes | {
        "kv_bytes_per_token": whole(model.kv_bytes_per_token(form.precision.kv, form.cached_form))
    }
