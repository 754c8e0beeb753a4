r"""Prefill on one device, decode on another, the KV cache sent between them.

Sources: DistServe, arXiv 2401.09670, section 3; Splitwise, 2311.18677, section 4.
"""

from dataclasses import dataclass
from functools import cached_property

from sympy import Expr, S

from lifesym.errors import SpecError, SymbolError
from lifesym.inference import Forecast
from lifesym.results import Part, Result
from lifesym.symbols import Number, exact


@dataclass(frozen=True, kw_only=True)
class Disaggregated:
    """A prefill pool and a decode pool.

    Attributes:
        prefill: the forecast on the prefill device.
        decode: the forecast of the same workload on the decode device.
        bandwidth: bytes a second between them.
        latency: seconds before the first byte.
    """

    prefill: Forecast
    decode: Forecast
    bandwidth: Expr
    latency: Expr

    @cached_property
    def transfer(self) -> Result:
        """Sending the prompt's keys, values and states."""
        f = self.prefill
        held = f.trace(S.One, S.Zero).cache_elements(f.past + f.prompt)
        moved = f.precision.kv_bytes(f.batch * held)
        moved += f.model.kv_bytes(0, f.precision.kv, f.batch, f.mla)
        expr = self.latency + moved / self.bandwidth
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


def disaggregate(
    prefill: Forecast,
    decode: Forecast,
    bandwidth: Number | None = None,
    latency: Number | None = None,
) -> Disaggregated:
    """Join a prefill and a decode device; the link is the prefill device's unless given.

    Raises:
        SpecError: no link is known.
        SymbolError: forecasts of different workloads.
    """
    shapes = {(f.prompt, f.generate, f.batch, f.past) for f in (prefill, decode)}
    if len(shapes) != 1 or prefill.model.name != decode.model.name:
        raise SymbolError("prefill and decode must be forecasts of one model and one workload")
    rate = prefill.hardware.link_bandwidth if bandwidth is None else exact(bandwidth)
    if rate is None:
        raise SpecError(f"{prefill.hardware.name} has no link bandwidth: give one")
    alpha = prefill.hardware.link_latency if latency is None else exact(latency)
    return Disaggregated(prefill=prefill, decode=decode, bandwidth=rate, latency=alpha or S.Zero)
