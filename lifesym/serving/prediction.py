"""Multi-token prediction modules: a layer with which a model drafts for itself.

Sources: Gloeckle et al., arXiv 2404.19737, section 2; DeepSeek-V3, 2412.19437, section 2.2.
"""

from dataclasses import replace

from sympy import Expr, S

from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.operators import Linear, LMHead, Norm
from lifesym.trace import Entry, Logits, Trace
from lifesym.transforms import CachePolicy, is_late


def prediction_module(
    forecast: Forecast, new: Expr = S.One, past: Expr = sym.past, logits: Logits = "last"
) -> Trace:
    """One multi-token prediction module: two norms, a projection of both inputs, a layer, the head.

    It is that of a pass over so many new tokens. The layer is one of the model's last kind, with a
    cache of its own; embedding and head are shared with the model.

    Raises:
        SymbolError: the model has no layer before its head.
    """
    late = [rewrite for rewrite in forecast.rewrites if is_late(rewrite)]
    others = tuple(
        replace(rewrite, share=1) if isinstance(rewrite, CachePolicy) else rewrite
        for rewrite in forecast.rewrites
        if not is_late(rewrite)
    )
    trace = replace(forecast, rewrites=others).trace(new, past, logits)
    ends = [entry for entry in trace if entry.section == "head"]
    headed = logits == "none" or any(isinstance(entry.operator, LMHead) for entry in ends)
    attention = [entry.section for entry in trace if entry.name == "attn_qk"]
    if not (headed and attention):
        raise SymbolError(f"{forecast.model.name} has no attention layer before a head to repeat")
    layer = [entry for entry in trace if entry.section == attention[-1]]
    rows = [
        replace(entry, count=S.One, copies=S.One, origin="prediction module") for entry in layer
    ]
    tokens, hidden = forecast.local_batch * new, forecast.stream_width
    front = rows[0]
    joined = Linear(tokens=tokens, in_features=2 * hidden, out_features=hidden, role="mtp_proj")
    inputs: tuple[Entry, ...] = (
        replace(front, name="mtp_norm", operator=Norm(rows=2 * tokens, features=hidden, sets=2)),
        replace(front, name="mtp_proj", operator=joined),
    )
    module = Trace((*inputs, *rows, *ends))
    for rewrite in late:  # as in a forecast: a fused layer has no attention to look for
        module = rewrite(module)
    return module
