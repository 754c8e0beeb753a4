r"""Memories beside the main one: host memory behind a link, flash, on-chip buffers.

A level serves shares of the traffic: of the weights, the experts, the cache, the activations, or of
weights by name. All memories stream at once, so the memory time of an operator is the longest of
their times; what no level serves comes from the device's own memory. An on-chip buffer that holds
all activations is a level with ``activations=1``; offloaded experts are one with ``experts=1``;
adapters in a buffer and the backbone in flash are ``holds={"adapter": 1}`` and ``weights=1``.
`lifesym.traffic` has the formulas of bytes and times.
Sources: FlexGen, arXiv 2303.06865, section 4; "LLM in a flash", 2312.11514, section 2.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sympy import Add, Expr

from lifesym.checks import checked_fields
from lifesym.errors import SpecError, SymbolError, nearest
from lifesym.formats import DATA_TYPES, Format, Matrix
from lifesym.symbols import Number, exact
from lifesym.trace import Entry, Trace

ROLES = ("weights", "experts", "kv", "activations")
"""The kinds of traffic; ``weights`` are those of no routed expert that no level names."""
OWN = "device"
"""What the device's own memory is called beside the levels."""
ATTENTION = "attn"
"""Among what a level computes: attention over the cache, of one new token a sequence."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Level:
    """A second memory, the shares of traffic (0 to 1) that it serves, and what computes beside it.

    Figures are attained ones: the device's efficiencies are its own memory's and units'.

    Attributes:
        name: what it is called.
        bandwidth: bytes a second of the memory; without ``link``, of the memory or of the link
            before it, the smaller.
        weights: share of the weights that are no experts' and that no level names.
        experts: share of the routed experts' weights.
        kv: share of the cache and of recurrent states.
        activations: share of the activations.
        holds: shares of weights by name: a role (``adapter``, ``lm_head``, ``embedding``), an
            operator (``mlp_down``), a rewrite (``lora``) or a section (``embed``, ``layers``). The
            first of these four that any level names decides, for all levels.
        link: bytes a second of the link between the memory and the device.
        through: levels with the same word here share one link, or the memory where there is no
            ``link``: their times add up.
        latency: seconds that every execution of an operator which it serves waits before bytes
            flow; over a link, the link's.
        capacity: bytes that it holds, if known; activations are not counted.
        byte_energy: joules a byte that the memory serves.
        flop_energy: joules an operation done beside it.
        static_power: watts that it draws whatever it does: leakage, refresh.
        computes: what is done beside it, as far as it serves the weights or the cache: operators by
            name, and ``attn``, attention over the cache of one new token a sequence.
        peaks: operations a second of what computes there, by data type or for all of them.
        source: where the figures are from.
    """

    name: str
    bandwidth: Number
    weights: Number = 0
    experts: Number = 0
    kv: Number = 0
    activations: Number = 0
    holds: Mapping[str, Number] = field(default_factory=dict)
    link: Number | None = None
    through: str = ""
    latency: Number = 0
    capacity: Number | None = None
    byte_energy: Number = 0
    flop_energy: Number = 0
    static_power: Number = 0
    computes: tuple[str, ...] = ()
    peaks: Number | Mapping[str, Number] | None = None
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check the numbers, and what goes together."""
        if self.name in ("", OWN):
            raise SymbolError(f"a memory needs a name of its own, not {self.name!r}")
        for word in self.words:
            share = self.share(word)
            if share.is_number and not 0 <= share <= 1:
                raise SymbolError(f"{self.name}: {word} must be between 0 and 1, not {share}")
        for word in ROLES:
            if word in self.holds:
                raise SymbolError(f"{self.name}: {word} is a share of its own, not one of holds")
        rates = {name: getattr(self, name) for name in ("bandwidth", "link", "capacity")}
        rates |= {f"peak of {kind}": peak for kind, peak in self._peaks.items()}
        for name, value in rates.items():
            if value is not None and exact(value, name).is_positive is False:
                raise SymbolError(f"{self.name}: {name} must be above 0, not {value}")
        for name in ("latency", "byte_energy", "flop_energy", "static_power"):
            if exact(getattr(self, name), name).is_negative:
                raise SymbolError(
                    f"{self.name}: {name} must be at least 0, not {getattr(self, name)}"
                )
        unknown = next((k for k in self._peaks if k not in (*DATA_TYPES, "any type")), None)
        if unknown is not None:
            raise SymbolError(
                f"{self.name}: peaks: {unknown!r} is no data type (these are: "
                f"{', '.join(DATA_TYPES)}){nearest(unknown, DATA_TYPES)}"
            )
        if bool(self.computes) != bool(self._peaks):
            raise SymbolError(
                f"{self.name}: what it computes and its peaks go together: give both or neither"
            )

    @property
    def words(self) -> tuple[str, ...]:
        """The kinds of traffic, and the weights that it names."""
        return (*ROLES, *self.holds)

    @property
    def serves(self) -> bool:
        """Whether a share of anything comes from it."""
        return any(not self.share(word).is_zero for word in self.words)

    def share(self, word: str) -> Expr:
        """The share of a kind of traffic, or of weights that levels name."""
        value = getattr(self, word) if word in ROLES else self.holds.get(word, 0)
        return exact(value, word)

    @property
    def _peaks(self) -> Mapping[str, Number]:
        if isinstance(self.peaks, Mapping):
            return self.peaks
        return {} if self.peaks is None else {"any type": self.peaks}

    def peak(self, fmt: Format) -> Expr:
        """Operations a second in a format; 16-bit floats that have none are computed in fp32.

        Raises:
            SpecError: no peak for that data type.
        """
        known = self._peaks
        wide = ("fp32",) if fmt.data_type in ("fp16", "bf16") else ()
        for kind in ("any type", fmt.data_type, *wide):
            if kind in known:
                return exact(known[kind], "peak")
        raise SpecError(
            f"{self.name} has no peak for {fmt.data_type} (it has {', '.join(known)}): give one"
        )


def names_of(matrix: Matrix, entry: Entry | None) -> tuple[str, ...]:
    """The names by which a level may hold weights, the most special one first.

    A tied matrix is where the embedding is, whoever reads it.
    """
    if matrix.role == "tied_embedding" or entry is None:
        return (matrix.role, "embedding", "embed")
    return (matrix.role, entry.name, entry.origin, entry.section)


def word_for(matrix: Matrix, entry: Entry | None, levels: Iterable[Level]) -> str:
    """The word that decides where weights are: a name of some level, or their kind."""
    named = {name for level in levels for name in level.holds}
    kind = "experts" if matrix.role == "experts" else "weights"
    return next((name for name in names_of(matrix, entry) if name in named), kind)


def chosen(own: Iterable[Level], given: Iterable[Level]) -> tuple[Level, ...]:
    """The memories of a forecast: those given, and those of the device that serve by default.

    One that is given replaces that of its name.

    Raises:
        SymbolError: two of one name, or shares of something that add up to more than 1.
    """
    placed = tuple(given)
    taken = {level.name for level in placed}
    default = tuple(level for level in own if level.serves and level.name not in taken)
    levels = (*default, *placed)
    check(levels)
    return levels


def check(levels: tuple[Level, ...]) -> None:
    """Refuse levels that together serve more than everything.

    Raises:
        SymbolError: shares of something add up to more than 1, or two levels have one name.
    """
    for word in dict.fromkeys(word for level in levels for word in level.words):
        served = Add(*(level.share(word) for level in levels))
        if (served - 1).is_positive:
            raise SymbolError(f"levels serve {served} of the {word}: at most 1")
    names = [level.name for level in levels]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SymbolError(f"two memories are called {twice!r}: give each a name of its own")


def check_names(levels: tuple[Level, ...], trace: Trace, model: str) -> None:
    """Refuse what a model does not have: experts, and weights by name.

    Args:
        levels: the memories.
        trace: a pass over one token with everything in it.
        model: what the model is called.

    Raises:
        SymbolError: a name that nothing has; the message lists those there are.
    """
    weighs = [(m, entry) for entry in trace for m in entry.operator.matrices_read]
    held = dict.fromkeys(filter(None, (name for pair in weighs for name in names_of(*pair))))
    held.pop("experts", None)
    for level in levels:
        if not level.share("experts").is_zero and all(m.role != "experts" for m, _ in weighs):
            raise SymbolError(f"{level.name}: {model} has no experts to offload")
        for name in level.holds:
            if name not in held:
                raise SymbolError(
                    f"{level.name}: {model} has no weights called {name!r} "
                    f"(it has {', '.join(held)})"
                )
