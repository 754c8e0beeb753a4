r"""Tensor parallelism: every layer split over n devices.

The trace is what *one* device does, with its collectives: that of a model of smaller blocks
(`lifesym.Model.part`), each of which says what it has of itself. Projections into heads or the
intermediate size are split by columns, the projections out of them by rows, and an all-reduce of
the residual stream follows each of the latter. Attention works on $h/n$ heads. A head of keys and
values is never split: with fewer of them than devices each device has one, with its projections,
its norm and its cache. The vocabulary is split, rounded up: the embedding is summed up by an
all-reduce, the logits are joined by an all-gather. What works on the residual stream is repeated on
every device: norms, residual sums, routers, adapters after a block.

In a recurrent mixer every channel, or head, has a state of its own, so that scans, convolutions and
gates need nothing from other devices. Of n devices each has

- Mamba: $1/n$ of the channels. Time steps, B and C are products over all channels: the devices'
  partial sums are added up by an all-reduce, and each device has all of B and C.
- Mamba-2: $1/n$ of the heads, with B and C of at least one group. The norm of the output is over
  a group's channels: where several devices share a group, its sums of squares are added up.
- gated delta net: $1/n$ of the key heads and of the value heads; norms are those of heads.
- short convolution: $1/n$ of the channels; its two gates are elementwise.
- RWKV: time mixing by channels, channel mixing as an MLP of which the token shift and the
  receptance are repeated.

Sources: Shoeybi et al., Megatron-LM, arXiv 1909.08053, section 3; keys and values of grouped
queries: Pope et al., 2211.05102, section 3.3; the layers of vLLM (``mamba_mixer``,
``mamba_mixer2``, the gated delta net of Qwen3-Next); Mamba-2: Waleffe et al., 2406.07887, section
2.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import S

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.operators import Collective
from lifesym.operators.collective import Algorithm
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused

ORIGIN = "tensor parallelism"


@checked_fields
@dataclass(frozen=True, kw_only=True)
class TensorParallel:
    """Split every layer over ``devices``, with all-reduces after attention and after the MLP.

    Attributes:
        devices: how many.
        algorithm: of the all-reduce.
    """

    devices: Size
    algorithm: Algorithm = "ring"

    opens: ClassVar[Mapping[str, str]] = {"devices": "devices"}

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one of the devices.

        Raises:
            SymbolError: heads, channels or the intermediate size do not divide, a trace that is
                not a model's own, or a block that it is not known how to share.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        unfused(trace, ORIGIN)
        once(trace, ORIGIN)
        if trace.part is None:
            raise SymbolError(f"{ORIGIN} comes before other rewrites: it splits a model's own pass")
        return Trace(tuple(map(self._marked, trace.part(n))))

    def _marked(self, entry: Entry) -> Entry:
        operator = entry.operator
        if isinstance(operator, Collective) and operator.pattern == "all_reduce":
            operator = replace(operator, algorithm=self.algorithm)
        return replace(entry, operator=operator, origin=ORIGIN)


def once(trace: Trace, origin: str) -> None:
    """Refuse a second rewrite of a kind, which does not add up with the first.

    Raises:
        SymbolError: the trace has rows of such an origin.
    """
    if any(origin in entry.origin for entry in trace):
        raise SymbolError(f"the trace has {origin} already, which a second one does not add to")
