r"""Prefill on one device, decode on another, the KV cache sent between them.

Sources: DistServe, arXiv 2401.09670, section 3; Splitwise, 2311.18677, section 4.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import S

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.hardware import Hardware
from lifesym.inference import Forecast
from lifesym.results import Part, Result
from lifesym.roofline import link_time
from lifesym.symbols import Number, exact


@dataclass(frozen=True, kw_only=True)
class Disaggregated:
    """A prefill pool and a decode pool.

    Attributes:
        prefill: the forecast on the prefill device.
        decode: the forecast of the same workload on the decode device.
        link: a device with the links between them.
    """

    prefill: Forecast
    decode: Forecast
    link: Hardware

    @cached_property
    def transfer(self) -> Result:
        """Sending a device's part of the prompts' keys, values and states."""
        f = self.prefill
        expr = link_time(S.One, f.cached(f.past + f.prompt), self.link)
        return Result(name="KV transfer", unit="s", expr=expr)

    @property
    def ttft(self) -> Result:
        """The first token comes from the prefill device."""
        return self.prefill.ttft

    @cached_property
    def end_to_end(self) -> Result:
        """TTFT, transfer, and the decode steps on the other device."""
        decode = self.decode.latency.expr - self.decode.ttft.expr
        values = {
            "prefill": self.ttft.expr,
            "transfer": self.transfer.expr,
            "decode": decode,
        }
        parts = tuple(Part(name=name, value=value) for name, value in values.items())
        return Result(name="latency", unit="s", expr=sum(values.values(), S.Zero), parts=parts)

    @cached_property
    def ratio(self) -> Result:
        """Prefill devices for each decode device when both are always busy."""
        decode = self.decode.latency.expr - self.decode.ttft.expr
        return Result(name="prefill a decode device", unit="1", expr=self.ttft.expr / decode)


@checked
def disaggregate(
    prefill: Forecast,
    decode: Forecast,
    bandwidth: Number | None = None,
    latency: Number | None = None,
) -> Disaggregated:
    """Join a prefill and a decode device; the link is the prefill device's unless given.

    Of several links the slowest counts; a given bandwidth or latency is that of a single one.

    Raises:
        SpecError: no link is known.
        SymbolError: forecasts of different workloads, or a generation of one token, which leaves
            nothing to decode.
    """
    shapes = {(f.prompt, f.generate, f.batch, f.past) for f in (prefill, decode)}
    if len(shapes) != 1 or prefill.model.name != decode.model.name:
        raise SymbolError("prefill and decode must be forecasts of one model and one workload")
    if decode.generate in (0, 1):
        raise SymbolError("disaggregation: the first token comes from the prefill; generate more")
    link = prefill.hardware
    if bandwidth is not None:
        link = replace(link, link_bandwidth=exact(bandwidth), other_links=())
    if latency is not None:
        link = replace(link, link_latency=exact(latency), other_links=())
    link_time(S.One, S.Zero, link)
    return Disaggregated(prefill=prefill, decode=decode, link=link)
