r"""Prefill on one device, decode on another, the KV cache sent between them.

Sources: DistServe, arXiv 2401.09670, section 3; Splitwise, 2311.18677, section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from sympy import Expr, S

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.hardware import Hardware
from lifesym.held import Held
from lifesym.nodes import Maximum
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Place, Term, link_time, total
from lifesym.serving.speculative import Speculation
from lifesym.symbols import Number, exact
from lifesym.timed import Generation, Timed


@dataclass(frozen=True, kw_only=True)
class Disaggregated(Timed):
    """A prefill pool and a decode pool.

    TTFT is that of the prefill pool, TPOT that of the decode pool, and the latency has the transfer
    between them. Energy counts the static power of both pools over the whole latency, as of one
    batch alone on them. The memory is that of the pool whose devices hold more, each as if it
    served the requests alone.

    A draft whose cache the prefill pool does not fill, is filled by the decode pool.

    Attributes:
        prefill: how the prompts are served on the prefill devices.
        decode: how the same workload is served on the decode devices.
        link_bandwidth: of the link between them; that of the prefill device's links unless given.
        link_latency: of a message on it, likewise.
    """

    prefill: Generation
    decode: Generation
    link_bandwidth: Expr | None = None
    link_latency: Expr | None = None

    opens: ClassVar[Mapping[str, str]] = {
        "link_bandwidth": "link_bandwidth",
        "link_latency": "link_latency",
    }

    @property
    def main(self) -> Generation:
        """How the prompts are served."""
        return self.prefill

    @property
    def places(self) -> tuple[Place, ...]:
        """The devices of both pools."""
        return (*self.prefill.places, *self.decode.places)

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of both pools."""
        return tuple(dict.fromkeys((*self.prefill.notes, *self.decode.notes)))

    @property
    def link(self) -> Hardware:
        """A device with the links between the pools."""
        link = self.prefill.hardware
        if self.link_bandwidth is not None:
            link = replace(link, link_bandwidth=self.link_bandwidth, other_links=())
        if self.link_latency is not None:
            link = replace(link, link_latency=self.link_latency, other_links=())
        return link

    @cached_property
    def transfer(self) -> Result:
        """Sending a device's part of the prompts' keys, values and states."""
        sent = self.prefill.cached(self.prefill.past + self.prefill.prompt)
        return Result(name="KV transfer", unit="s", expr=link_time(S.One, sent, self.link))

    @property
    def ttft(self) -> Result:
        """The first token comes from the prefill devices."""
        return self.prefill.ttft

    @property
    def tpot(self) -> StepTime:
        """The others come from the decode devices."""
        return self.decode.tpot

    @property
    def between(self) -> tuple[Part, ...]:
        """The transfer, and the prefill of a draft that only the decode devices have."""
        parts = [Part(name="transfer", value=self.transfer.expr)]
        if self._late:
            parts.append(Part(name="draft prefill", value=total(self._late)))
        return tuple(parts)

    @property
    def prefill_terms(self) -> tuple[Term, ...]:
        """What runs before the decode steps, on either pool."""
        return (*self.prefill.prefill_terms, *self._late)

    @property
    def step_terms(self) -> tuple[Term, ...]:
        """What runs in a decode step."""
        return self.decode.step_terms

    @cached_property
    def memory(self) -> Result:
        """Bytes on a device of the pool that holds more."""
        expr = Maximum(self.prefill.memory.expr, self.decode.memory.expr)
        return Result(name="memory", unit="byte", expr=expr)

    @property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """Bytes held in both pools."""
        return (*self.prefill.residents, *self.decode.residents)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories hold in both."""
        return (*self.prefill.elsewhere, *self.decode.elsewhere)

    @cached_property
    def ratio(self) -> Result:
        """Prefill devices for each decode device when both are always busy."""
        decode = self.latency.expr - self.ttft.expr - self.transfer.expr
        return Result(name="prefill a decode device", unit="1", expr=self.ttft.expr / decode)

    @property
    def _late(self) -> tuple[Term, ...]:
        """The prefill of a draft that the prefill devices do not have."""
        if isinstance(self.decode, Speculation) and not isinstance(self.prefill, Speculation):
            return self.decode.filling
        return ()

    @property
    def end_to_end(self) -> Result:
        """The latency."""
        return self.latency

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """The transfer, and how many devices prefill for one that decodes."""
        return {"transfer": self.transfer, "prefill_per_decode_device": self.ratio}


@checked
def disaggregate(
    prefill: Generation,
    decode: Generation,
    bandwidth: Number | None = None,
    latency: Number | None = None,
) -> Disaggregated:
    """Join a prefill and a decode device; the link is the prefill device's unless given.

    Either side may be a forecast, a pipeline, a speculation or prefix hits. Of several links the
    slowest counts; a given bandwidth or latency is that of a single one.

    Raises:
        SpecError: no link is known.
        SymbolError: forecasts of different workloads, or a generation of one token, which leaves
            nothing to decode.
    """
    if prefill.workload() != decode.workload():
        raise SymbolError("prefill and decode must be forecasts of one model and one workload")
    if decode.generate in (0, 1):
        raise SymbolError("disaggregation: the first token comes from the prefill; generate more")
    made = Disaggregated(
        prefill=prefill,
        decode=decode,
        link_bandwidth=None if bandwidth is None else exact(bandwidth),
        link_latency=None if latency is None else exact(latency),
    )
    link_time(S.One, S.Zero, made.link)
    return made
