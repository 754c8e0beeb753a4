r"""Low-rank adapters: $Y = X W^\top + (X A^\top) B^\top$ with $A$ of rank r.

Unmerged adapters add two thin products to each target; merged ones change nothing at inference.
Source: Hu et al., arXiv 2106.09685, section 4.1; batched adapters: S-LoRA, arXiv 2311.03285.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lifesym.cost import Cost
from lifesym.errors import SymbolError
from lifesym.formats import Precision
from lifesym.operators import Linear
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace

TARGETS = ("attn_q", "attn_k", "attn_v", "attn_o")
"""The paper's choice; any names of linear operators can be given."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Which projections have adapters, and how many different ones a batch uses.

    Attributes:
        rank: rank of every adapter; 0 for none.
        targets: names of the adapted operators.
        adapters: distinct adapters in the batch: each one's matrices are read once a pass.
        merged: the adapter is added to the weights beforehand, which costs nothing here.
    """

    rank: Size
    targets: tuple[str, ...] = TARGETS
    adapters: Size = 1
    merged: bool = False

    def __call__(self, trace: Trace) -> Trace:
        """The trace with the adapters' products after each target.

        Raises:
            SymbolError: a target that the trace does not have, or that is not a projection.
        """
        rank = size(self.rank, "LoRA rank", minimum=0)
        linear = {entry.name for entry in trace if isinstance(entry.operator, Linear)}
        for target in self.targets:
            if target not in linear:
                known = ", ".join(sorted(linear))
                raise SymbolError(
                    f"LoRA target {target!r} is not a projection here (known: {known})"
                )
        if self.merged or rank.is_zero:
            return trace
        return Trace(tuple(row for entry in trace for row in _adapted(entry, self)))


@dataclass(frozen=True, kw_only=True)
class AdapterLinear(Linear):
    """A thin product of which a batch reads ``copies`` different matrices.

    ``accumulate``: the result is added to an output that is already there, which is read once
    more, one addition an element.
    """

    copies: Size = 1
    accumulate: bool = False

    def cost(self, precision: Precision) -> Cost:
        """The product; every copy's matrix is read once."""
        plain = super().cost(precision)
        out = self.tokens * self.out_features
        extra = Cost(
            dequant_ops=(self.copies - 1) * plain.dequant_ops,
            weight_bytes=(self.copies - 1) * plain.weight_bytes,
        )
        if self.accumulate:
            read = precision.activation_bytes(out)
            extra += Cost(vector_flops=out, activation_read_bytes=read)
        return plain + extra


def _adapted(entry: Entry, lora: Lora) -> Iterator[Entry]:
    yield entry
    base = entry.operator
    if entry.name not in lora.targets or not isinstance(base, Linear):
        return
    thin = AdapterLinear(
        tokens=base.tokens,
        in_features=base.in_features,
        out_features=base.out_features,
        role="adapter",
        copies=lora.adapters,
    )
    down = replace(thin, out_features=lora.rank)
    up = replace(thin, in_features=lora.rank, accumulate=True)
    for name, operator in (("lora_a", down), ("lora_b", up)):
        yield replace(entry, name=f"{entry.name}_{name}", operator=operator, origin="lora")
