"""One model on several devices: expert and data parallelism.

**Expert parallel** is a rewrite of the trace: every device holds $E/n$ experts and computes its
share of the tokens' choices; one all-to-all brings k copies of each token there and one brings them
back. Source: Lepikhin et al., GShard, arXiv 2006.16668, section 3.

**Data parallel**: every device computes its share of the batch; nothing is exchanged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import Expr, S

from lifesym.blocks.base import share
from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.operators import Collective, Experts, ShardedExperts
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.tensor import once

ORIGIN = "expert parallelism"


@checked_fields
@dataclass(frozen=True, kw_only=True)
class ExpertParallel:
    """Spread the experts over ``devices``; everything else is repeated, on its own tokens."""

    devices: Size

    opens: ClassVar[Mapping[str, str]] = {"devices": "expert_devices"}

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one device, whose tokens are those of the trace.

        Each device brings its own tokens, so the experts see n times as many in all, and each
        device computes as many choices as its own tokens make, on ``E/n`` experts.

        Raises:
            SymbolError: the experts do not divide, are spread already, or there are none.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        once(trace, ORIGIN)
        if not any(isinstance(entry.operator, Experts) for entry in trace):
            raise SymbolError("expert parallelism: the model has no experts")
        return Trace(tuple(row for entry in trace for row in self._rows(entry, n)))

    def _rows(self, entry: Entry, n: Expr) -> Iterator[Entry]:
        operator = entry.operator
        if not isinstance(operator, Experts):
            yield entry
            return
        share(operator, "experts", n, entry.name)
        copies = operator.tokens * operator.active * operator.hidden
        exchange = Collective(pattern="all_to_all", elements=copies, devices=n)
        mark = replace(entry, origin=ORIGIN)
        yield replace(mark, name="moe_dispatch", operator=exchange)
        yield replace(mark, operator=ShardedExperts(**vars(operator), devices=n))
        yield replace(mark, name="moe_combine", operator=exchange)
