"""Sequence parallelism: the devices of tensor parallelism also split what they would repeat.

Between the split projections each device norms and adds its own share of the tokens, and runs
bottleneck adapters on it. An all-reduce becomes a reduce-scatter after the block and an all-gather
before the next one, the halves of its algorithm: the same bytes, n times less elementwise work on
the device that has most of it. Norms of latents and of indexers are shared, too; that each device
then needs all of them again is not counted.
Source: Korthikanti et al., arXiv 2205.05198, section 4.2.2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import Expr, S, sympify

from lifesym.checks import checked_fields
from lifesym.nodes import CeilDiv
from lifesym.operators import Activation, Collective, Linear, Norm, Operator, Residual, Scale
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.adapter import ORIGIN as ADAPTER
from lifesym.transforms.tensor import once

ORIGIN = "sequence parallelism"


@checked_fields
@dataclass(frozen=True, kw_only=True)
class SequenceParallel:
    """Split norms and residual sums over the tokens; after `TensorParallel` of as many devices.

    Attributes:
        devices: how many.
        before: tokens of other sequences that the same pass counts in front of these, for each
            token of the trace: devices share the tokens of the whole pass, and what the busiest
            one has of them is counted where it adds to what is counted already.
    """

    devices: Size
    before: Expr = S.Zero

    opens: ClassVar[Mapping[str, str]] = {"devices": "devices"}

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one of the devices.

        Raises:
            SymbolError: the trace is split so already.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        once(trace, ORIGIN)
        return Trace(tuple(row for entry in trace for row in self._rows(entry, n)))

    def _rows(self, entry: Entry, n: Expr) -> Iterator[Entry]:
        operator = entry.operator
        mark = replace(entry, origin=ORIGIN)
        if isinstance(operator, Collective) and operator.pattern == "all_reduce":
            for pattern in ("reduce_scatter", "all_gather"):
                half = replace(operator, pattern=pattern)
                name = entry.name.replace("all_reduce", pattern)
                yield replace(mark, name=name, operator=half)
        elif entry.by_tokens and isinstance(operator, Norm):
            yield replace(mark, operator=self._share(operator, "rows"))
        elif entry.by_tokens and isinstance(operator, Residual | Scale):
            yield replace(mark, operator=self._share(operator, "elements"))
        elif entry.origin == ADAPTER and isinstance(operator, Linear):
            yield replace(mark, operator=self._share(operator, "tokens"))
        elif entry.origin == ADAPTER and isinstance(operator, Activation | Residual):
            yield replace(mark, operator=self._share(operator, "elements"))
        else:
            yield entry

    def _share(self, operator: Operator, field: str) -> Operator:
        """The part of the device that has most tokens."""
        n, own = sympify(self.devices), getattr(operator, field)
        before = own * self.before
        return replace(operator, **{field: CeilDiv(before + own, n) - CeilDiv(before, n)})
