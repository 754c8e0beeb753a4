"""What is fitted: numbers of a device that no datasheet has, each with its usual value.

A parameter is a symbol of the forecast's formula. Efficiencies lie between 0 and 1 and are fitted
on the scale of log(e / (1 - e)); times and rates are above 0 and fitted on that of their logarithm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lifesym import symbols as sym


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number that is fitted.

    Attributes:
        symbol: the name of its symbol in a forecast.
        table: the table of a device's file that has it.
        key: its key in there.
        scale: the device's own number that it is a fraction of; empty for what is one itself.
        link: ``share`` for fractions below 1, ``log`` for what is above 0.
        usual: what a fit begins with, and what it says where nothing else does.
        spread: how far values of all devices lie from that, on the scale of the link.
        unit: in words.
    """

    symbol: str
    table: str
    key: str
    usual: float
    scale: str = ""
    link: Literal["share", "log"] = "share"
    spread: float = 1.5
    unit: str

    def value(self, x: Any) -> Any:
        """The parameter at a point of the fit's scale."""
        return 1 / (1 + np.exp(-x)) if self.link == "share" else np.exp(x)

    def slope(self, x: Any) -> Any:
        r"""$d \ln v / d x$ of its value v at a point of the fit's scale."""
        return 1 - self.value(x) if self.link == "share" else np.ones_like(x)

    def point(self, value: float) -> float:
        """The point of the fit's scale that has a value."""
        return float(np.log(value / (1 - value)) if self.link == "share" else np.log(value))


PARAMETERS = (
    Parameter(
        symbol=sym.memory_efficiency.name,
        table="efficiency",
        key="memory",
        usual=0.85,
        unit="of the bandwidth",
    ),
    Parameter(
        symbol=sym.own("cache.memory").name,
        table="efficiency.cache",
        key="memory",
        usual=0.6,
        unit="of the bandwidth",
    ),
    Parameter(
        symbol=sym.compute_efficiency.name,
        table="efficiency",
        key="compute",
        usual=0.5,
        unit="of the peak",
    ),
    Parameter(
        symbol=sym.own("attention.compute").name,
        table="efficiency.attention",
        key="compute",
        usual=0.2,
        unit="of the peak",
    ),
    Parameter(
        symbol=sym.dequantization_rate.name,
        table="dequantization",
        key="rate",
        scale=sym.vector_peak.name,
        link="log",
        usual=0.15,
        unit="stored values an operation of the vector peak",
    ),
    Parameter(
        symbol=sym.layer_time.name,
        table="dispatch",
        key="layer",
        link="log",
        usual=1e-4,
        unit="s a layer",
    ),
    Parameter(
        symbol=sym.sampling_time.name,
        table="dispatch",
        key="sampling",
        link="log",
        usual=2e-5,
        unit="s a sampled token",
    ),
    Parameter(
        symbol=sym.score_time.name,
        table="dispatch",
        key="score",
        link="log",
        usual=3e-10,
        spread=0.7,
        unit="s a score of one query",
    ),
    Parameter(
        symbol=sym.link_latency.name,
        table="link",
        key="latency",
        link="log",
        usual=1e-5,
        unit="s a message",
    ),
    Parameter(
        symbol=sym.link_bandwidth.name,
        table="link",
        key="bandwidth",
        scale=sym.link_bandwidth.name,
        usual=0.6,
        unit="of the link's bandwidth",
    ),
)
"""In the order of every vector of them."""
NAMES = tuple(parameter.symbol for parameter in PARAMETERS)
USUAL = np.array([parameter.point(parameter.usual) for parameter in PARAMETERS])
SPREAD = np.array([parameter.spread for parameter in PARAMETERS])
GROWS = np.array([parameter.unit.startswith("s ") for parameter in PARAMETERS])
"""Whether time is proportional to a parameter; else it is to the inverse."""
COMPUTING = sym.compute_efficiency.name
UNPACKING = NAMES.index(sym.dequantization_rate.name)


def values(x: Any) -> Any:
    """The parameters at points of the fit's scale: the last axis is theirs."""
    return np.stack([p.value(x[..., i]) for i, p in enumerate(PARAMETERS)], axis=-1)


def factors(x: Any) -> Any:
    """What times are proportional to: the parameters that are times, the inverse of others."""
    found = values(x)
    return np.where(GROWS, found, 1 / found)


def slopes(x: Any) -> Any:
    r"""$d \ln f / d x$ of every factor f."""
    found = np.stack([p.slope(x[..., i]) for i, p in enumerate(PARAMETERS)], axis=-1)
    return np.where(GROWS, found, -found)


def logs_by(x: Any) -> Any:
    """Derivatives of the logarithms of the symbols' values in the points of the fit's scale."""
    steep = np.diag([p.slope(x[i]) for i, p in enumerate(PARAMETERS)])
    computing = NAMES.index(COMPUTING)
    steep[UNPACKING, computing] -= steep[computing, computing]
    return steep


def numbers(factor: Any, rates: Mapping[str, Any]) -> dict[str, Any]:
    """The symbols' values for such factors on a device with such rates.

    What unpacks stored values is done at the compute efficiency too (`lifesym.roofline`): the rate
    is what is attained over that.
    """
    found = np.array(factor, dtype=float)
    found[..., ~GROWS] = 1 / found[..., ~GROWS]
    given = {
        p.symbol: found[..., i] * (rates[p.scale] if p.scale else 1.0)
        for i, p in enumerate(PARAMETERS)
    }
    given[NAMES[UNPACKING]] = given[NAMES[UNPACKING]] / given[COMPUTING]
    return given
