"""The options of a forecast, as the simulator takes them."""

from dataclasses import dataclass, field
from fractions import Fraction

from simulator.formats import Precision


class RefusedError(Exception):
    """No such device, model or combination: the library must refuse it, too."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Two thin products beside each target."""

    rank: int
    targets: tuple[str, ...] | None = None
    adapters: int = 1
    merged: bool = False


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A narrow MLP after each of some blocks; None: after all that end a block."""

    width: int
    after: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which cached tokens are kept, and in what form."""

    budget: int | None = None
    keep: Fraction = Fraction(1)
    scored: bool = False
    rank: int | None = None
    share: int = 1
    page: int = 1


@dataclass(frozen=True, kw_only=True)
class Level:
    """A second memory and the shares of traffic that it serves; of the embedding if it names it."""

    name: str
    bandwidth: Fraction
    weights: Fraction = Fraction(0)
    experts: Fraction = Fraction(0)
    kv: Fraction = Fraction(0)
    activations: Fraction = Fraction(0)
    embedding: Fraction | None = None
    link: Fraction | None = None
    through: str = ""
    latency: Fraction = Fraction(0)
    byte_energy: Fraction = Fraction(0)
    static_power: Fraction = Fraction(0)

    def of_weights(self, role: str, levels: "tuple[Level, ...]") -> Fraction:
        """The share of a role's weights; a table that some level names is nobody's otherwise."""
        named = any(level.embedding is not None for level in levels)
        if role in ("embedding", "tied_embedding") and named:
            return self.embedding or Fraction(0)
        return self.experts if role == "experts" else self.weights


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything but the model, the device and the load."""

    precision: Precision = field(default_factory=Precision)
    tensor: int = 1
    all_reduce: str = "ring"
    sequence: bool = False
    expert_devices: int = 1
    replicas: int = 1
    lora: Lora | None = None
    adapter: Adapter | None = None
    policy: Policy = field(default_factory=Policy)
    rules: tuple[str, ...] = ()
    tile: int | None = None
    mla: str = "absorbed"
    causal: str = "full"
    routing: str = "uniform"
    probabilities: tuple[Fraction, ...] = ()
    imbalance: Fraction = Fraction(1)
    overlap: str = "operator"
    levels: tuple[Level, ...] = ()
    chunk: int | None = None


@dataclass(frozen=True)
class Group:
    """Sequences of one shape in a pass."""

    batch: int
    new: int
    past: int
    logits: str = "last"

    @property
    def tokens(self) -> int:
        return self.batch * self.new

    @property
    def logit_tokens(self) -> int:
        return {"all": self.tokens, "last": self.batch, "none": 0}[self.logits]
