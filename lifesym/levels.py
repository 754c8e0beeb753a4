"""Memories beside the main one: host memory behind a link, flash, on-chip buffers.

A level serves a share of some traffic: weights, experts, the KV cache, activations. All levels
stream at once, so the memory time of an operator is the longest of the levels' times; what no
level serves comes from the device's own memory. An on-chip buffer that holds all activations is a
level with ``activations=1``; offloaded experts are one with ``experts=1``.
Sources: FlexGen, arXiv 2303.06865, section 4; "LLM in a flash", 2312.11514, section 2.
"""

from dataclasses import dataclass

from sympy import Add, Expr, S

from lifesym.cost import Cost
from lifesym.errors import SymbolError
from lifesym.symbols import Number, exact


@dataclass(frozen=True, kw_only=True)
class Level:
    """A second memory, and the shares of traffic (0 to 1) that it serves.

    Attributes:
        name: what it is called.
        bandwidth: bytes a second, of the memory or of the link before it, the smaller.
        weights: share of the weights, other than experts.
        experts: share of the routed experts' weights.
        kv: share of the cache.
        activations: share of the activations.
        capacity: bytes that it holds, if known; activations are not counted.
        byte_energy: joules a byte.
    """

    name: str
    bandwidth: Number
    weights: Number = 0
    experts: Number = 0
    kv: Number = 0
    activations: Number = 0
    capacity: Number | None = None
    byte_energy: Number = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("weights", "experts", "kv", "activations"):
            share = exact(getattr(self, name), name)
            if share.is_number and not 0 <= share <= 1:
                raise SymbolError(f"{self.name}: {name} must be between 0 and 1, not {share}")
        rate = exact(self.bandwidth, "bandwidth")
        if rate.is_number and not rate > 0:
            raise SymbolError(f"{self.name}: bandwidth must be above 0, not {rate}")

    def share(self, role: str) -> Expr:
        """The share of a kind of traffic."""
        return exact(getattr(self, role), role)

    def bytes(self, cost: Cost, experts: Expr = S.Zero) -> Expr:
        """The part of a cost's traffic that this level serves, of which experts' weights."""
        activations = cost.activation_read_bytes + cost.activation_write_bytes
        return (
            self.share("weights") * (cost.weight_bytes - experts)
            + self.share("experts") * experts
            + self.share("kv") * (cost.kv_read_bytes + cost.kv_write_bytes)
            + self.share("activations") * activations
        )

    def time(self, cost: Cost, experts: Expr = S.Zero) -> Expr:
        """Seconds that it streams."""
        return self.bytes(cost, experts) / exact(self.bandwidth)


def main_bytes(cost: Cost, levels: tuple[Level, ...], experts: Expr = S.Zero) -> Expr:
    """What the device's own memory serves."""
    return cost.bytes - Add(*(level.bytes(cost, experts) for level in levels))


def check(levels: tuple[Level, ...]) -> None:
    """Refuse levels that together serve more than everything.

    Raises:
        SymbolError: shares of a kind of traffic add up to more than 1.
    """
    for role in ("weights", "experts", "kv", "activations"):
        served = Add(*(level.share(role) for level in levels))
        if served.is_number and served > S.One:
            raise SymbolError(f"levels serve {served} of the {role}: at most 1")
