r"""Finite buffers: what dense products and fused attention read again from memory.

A product of (m, k) by (k, n) whose buffer holds Z bytes keeps a panel of whole rows of its inputs
there (``stationary="inputs"``), as many as fit, past which all weights stream; the next panel reads
them again. Or it keeps a panel of whole columns of its weights (``"weights"``), past which all
inputs stream. Outputs are written once. With A bytes of inputs and W of weights,

- inputs: A once, W $\lceil m / \max(1, \lfloor Z / (A / m) \rfloor) \rceil$ times,
- weights: W once, A $\lceil n / \max(1, \lfloor Z / (W / n) \rfloor) \rceil$ times.

These counts are those of the loops as they are written (a buffer that does not hold one row counts
as if it did, which is then too little); that a machine runs these loops, and nothing cleverer, is
the model. No order of the loops moves less than the order of $m k n / \sqrt{Z}$ elements, Z in
elements (Hong and Kung, STOC 1981), which panels of whole rows reach where k is near $\sqrt{Z}$.

Attention in one kernel keeps a tile of t queries, their outputs, and as many keys and values:
$t = \lfloor Z / (\text{bytes of a row of each}) \rfloor$, and reads the keys and values
$\lceil m / t \rceil$ times. With four rows of d elements that is the block of Z / (4 d) rows of
FlashAttention's Algorithm 1, and its $\Theta(m^2 d^2 / Z)$ (Dao et al., arXiv 2205.14135,
Theorem 2). A tile that is given, the LM head, experts, convolutions and attention in several
kernels stay as they are.
"""

from dataclasses import dataclass, replace
from typing import Any

from lifesym.checks import checked_fields
from lifesym.operators import AttentionScores, Linear, Operator
from lifesym.operators.fused import Fused
from lifesym.operators.linear import Stationary
from lifesym.symbols import Size, size
from lifesym.trace import Trace


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Buffers:
    """Products and fused attention read again what a buffer on the chip does not hold.

    Attributes:
        capacity: bytes of the buffer.
        stationary: of which operand of a product it keeps a panel.
    """

    capacity: Size
    stationary: Stationary = "inputs"

    def __post_init__(self) -> None:
        """Check the size."""
        size(self.capacity, "buffer")

    def __call__(self, trace: Trace) -> Trace:
        """The trace with what is read again."""
        given = {"buffer": self.capacity, "stationary": self.stationary}
        rows = (replace(entry, operator=_buffered(entry.operator, given)) for entry in trace)
        return Trace(tuple(rows))


def unbuffered(operator: Operator) -> Operator:
    """The operator that reads everything once: what is there while it runs."""
    return _buffered(operator, {"buffer": None, "stationary": "inputs"})


def _buffered(operator: Operator, given: dict[str, Any]) -> Operator:
    if isinstance(operator, Linear):
        return replace(operator, **given)
    if not isinstance(operator, Fused):
        return operator
    parts = tuple(_buffered(part, given) for part in operator.parts)
    scores = [part for part in parts if isinstance(part, AttentionScores)]
    tiled = len(scores) == 1 and operator.rereads == 1 and scores[0].cached
    chosen = tiled and scores[0].past is not None and scores[0].past.chosen
    buffer = given["buffer"] if tiled and not chosen else None
    return replace(operator, parts=parts, buffer=buffer)
