r"""What the backward pass needs of the forward: the activations that are kept.

Every operator says what it keeps (`lifesym.operators.base.Operator.saved`); a tensor that several
projections read is kept once. Of a layer of GPT with dropout on one device that is
$s b h\,(34 + 5 a s / h)$ bytes in 16 bits, as in Korthikanti et al., arXiv 2205.05198, Eq. 2, which
`tests/test_training.py` derives.
"""

from collections.abc import Iterator

from sympy import Add, Expr, S

from lifesym.formats import Precision
from lifesym.operators import AttentionScores, AttentionValues, Collective, Fused, Linear, LMHead
from lifesym.operators.base import Operator
from lifesym.serving.flow import place_of
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import CORE
from lifesym.transforms.training import Recompute


def saved(
    trace: Trace, precision: Precision, recompute: Recompute, stream: Expr, split: Expr = S.One
) -> tuple[dict[str, Expr], Expr]:
    """Bytes kept of a forward pass by place, and those of the one layer that is computed again.

    Args:
        trace: the forward pass of a microbatch on one device.
        precision: its formats.
        recompute: with ``full`` a layer's input alone is kept, and everything of the one layer
            whose gradients are computed; with ``selective`` no scores and probabilities.
        stream: bytes of the residual stream of the device.
        split: devices of sequence parallelism: what was gathered from them is kept in parts.
    """
    by_place = dict.fromkeys(("embed", "head", "layers"), S.Zero)
    sections: dict[str, Expr] = {}
    for entry, kept in _kept(trace, precision, split):
        dropped = recompute == "selective" and entry.name in CORE
        if dropped and not isinstance(entry.operator, AttentionScores | AttentionValues | Fused):
            continue
        place = place_of(entry.section)
        if place == "layers" and recompute == "full":
            sections[entry.section] = sections.get(entry.section, S.Zero) + kept
        else:
            by_place[place] += entry.count * kept
    if recompute != "full":
        return by_place, S.Zero
    layers = {name: n for name, n in trace.layers().items() if place_of(name) == "layers"}
    by_place["layers"] = Add(*layers.values()) * stream
    return by_place, max(sections.values(), key=lambda kept: kept.count_ops(), default=S.Zero)


def _kept(trace: Trace, precision: Precision, split: Expr) -> Iterator[tuple[Entry, Expr]]:
    """Every entry with what one execution of it keeps that no entry before it has kept."""
    before, gathered, parted = None, False, False
    for entry in trace:
        operator = entry.operator
        if isinstance(operator, Collective):
            gathered = gathered or operator.pattern == "all_gather"
            before = None
            continue
        kept, product = operator.saved(precision), _product(operator)
        if product is None:
            before = None
            yield entry, kept
            continue
        read = product.saved(precision)
        if before == (entry.section, read):
            yield entry, kept - read
            continue
        before, parted, gathered = (entry.section, read), gathered, False
        yield entry, kept - read + read / split if parted else kept


def _product(operator: Operator) -> Linear | LMHead | None:
    """The projection whose input a kernel reads first, if it is one."""
    while isinstance(operator, Fused):
        operator = operator.parts[0]
    return operator if isinstance(operator, Linear | LMHead) else None
