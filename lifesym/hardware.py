"""Hardware as a performance model sees it: peaks, bandwidth, efficiencies, dispatch time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.checks import checked, checked_fields
from lifesym.display import Tabular
from lifesym.efficiencies import check_key
from lifesym.errors import SpecError, SymbolError, one_of
from lifesym.formats import Format, load_format
from lifesym.levels import Level
from lifesym.nodes import Maximum
from lifesym.symbols import Number

DEFAULT_TYPES = ("bf16", "fp16")
"""Of these the one with the highest peak is computed in when none is asked for."""
FLOATS = ("fp16", "bf16", "fp32")
"""Formats whose values units without 16-bit products compute with in fp32."""
EAGER = "eager"
"""The engine that counts as PyTorch does: a kernel an operator."""
IDEAL = "ideal"
"""The engine of a bound: no more than has to be computed and moved."""


_MORE = (
    *("layer_time", "sampling_time", "score_time", "collective_latency", "dequantization_rate"),
    "serial_peak",
)
"""Numbers that most devices do not have."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well the fitted numbers of a device are known.

    Attributes:
        parameters: names of their symbols.
        covariance: of the logarithms of their values.
        error: standard deviation of the logarithm of a time at known parameters.
        wider: by metric, how much wider measured errors are than these say.
    """

    parameters: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    error: float
    wider: Mapping[str, float]


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Hardware(Tabular):
    """A device; every rate in SI units (FLOP/s, byte/s, s, J, W).

    Attributes:
        name: what it is called.
        kind: cpu, gpu, igpu, npu, soc, asic, fpga, or symbolic.
        matrix: dense peak of the matrix engine by data type; empty where it has none.
        matrix_known: whether that is so; if not, the peak of 16-bit floats, at least, is unknown.
        vector: peak of the vector units by data type.
        bandwidth: memory bandwidth.
        capacity: memory capacity in bytes, if known.
        link_bandwidth: bandwidth to a peer in one direction, if known.
        link_latency: latency of a message to a peer, if known.
        other_links: bandwidth and latency of further links; a collective waits for the slowest.
        compute_efficiency: attained fraction of every peak.
        memory_efficiency: attained fraction of the bandwidth.
        dispatch_time: time to dispatch one operator.
        own: what it attains otherwise in a part of the work, by keys such as
            ``attention.compute``, ``weights.memory`` or ``mlp_down.dispatch``.
        layer_time: time to dispatch one layer, beside its operators'; none unless given.
        sampling_time: time to sample a token and hand it out, for each row of logits of a pass;
            none unless given.
        score_time: time to start a block of threads for a score, in attention of one query by an
            engine that does so; none unless given.
        collective_latency: time of a collective beside its messages'; none unless given.
        dequantization_rate: peak of the operations that unpack stored values; that of the vector
            units unless given.
        serial_peak: peak of bit-serial units, operations a second times the bits that a value of
            the activations has of its own: with m mantissa bits and a sign a shared-exponent format
            is computed in at ``serial_peak / (m + 1)``. None of a device without such units.
        flop_energy: energy of an operation, beyond static power.
        byte_energy: energy of a byte moved, beyond static power.
        static_power: power drawn while running, whatever is computed; of a spec without energies
            of operations and bytes the typical power, or the TDP: all that is drawn.
        multiprocessors: blocks of a matrix product computed at once, if known.
        memories: other memories that the device comes with (see `lifesym.levels`).
        dies: how many of these devices are on one card; a maker's figures are often of all.
        inline_ecc: whether error correction in the same memory, on unless turned off, is taken off
            the bandwidth and the capacity.
        engine: the engine of its forecasts that name none (see `lifesym.engines`): of a device of a
            spec the one that its efficiencies were fitted with, else the ideal one; of a device
            that is written in Python a kernel an operator.
        fit: how well these are known; None where they were not fitted.
        sources: where the figures are from, by key.
        file: the spec's file, which errors name; empty for a device that was built otherwise.
    """

    name: str
    kind: str
    matrix: Mapping[str, Expr]
    vector: Mapping[str, Expr]
    bandwidth: Expr
    capacity: Expr | None = None
    link_bandwidth: Expr | None = None
    link_latency: Expr | None = None
    other_links: tuple[tuple[Expr, Expr], ...] = ()
    compute_efficiency: Expr = S.One
    memory_efficiency: Expr = S.One
    dispatch_time: Expr = S.Zero
    own: Mapping[str, Expr] = field(default_factory=dict)
    layer_time: Expr | None = None
    sampling_time: Expr | None = None
    score_time: Expr | None = None
    collective_latency: Expr | None = None
    dequantization_rate: Expr | None = None
    serial_peak: Expr | None = None
    flop_energy: Expr = S.Zero
    byte_energy: Expr = S.Zero
    static_power: Expr | None = None
    multiprocessors: Expr | None = None
    matrix_known: bool = True
    memories: tuple[Level, ...] = ()
    dies: int = 1
    inline_ecc: bool = False
    engine: str = EAGER
    fit: Fit | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    file: str = field(default="", compare=False, repr=False)

    opens: ClassVar[Mapping[str, str]] = {
        name: name
        for name in (
            *("bandwidth", "compute_efficiency", "memory_efficiency", "dispatch_time"),
            *("link_bandwidth", "link_latency", "flop_energy", "byte_energy", "static_power"),
            *_MORE,
        )
    }
    """The numbers that are symbols of the table, beside the peaks and those of its own parts."""

    def __post_init__(self) -> None:
        """Refuse symbols of another origin, which no value would ever reach."""
        for key in self.own:
            check_key(key)
        numbers = {**vars(self), **self.matrix, **self.vector, **self.own}
        for i, link in enumerate(self.other_links):
            numbers |= {f"bandwidth of link {i + 2}": link[0], f"latency of link {i + 2}": link[1]}
        for name, value in numbers.items():
            if isinstance(value, Expr):
                sym.known(value, f"{self.name}: {name}")

    def __hash__(self) -> int:
        """That of what most devices differ in: much else is in mappings."""
        return hash((self.name, self.bandwidth, self.dispatch_time))

    @classmethod
    @checked
    def symbolic(cls, *more: str) -> Self:
        """A device of which every number is a symbol of the table.

        Args:
            more: numbers that most devices do not have: ``layer_time``, ``sampling_time``,
                ``score_time``, ``collective_latency``, ``dequantization_rate``, ``serial_peak``,
                ``multiprocessors``, and those of parts of the work, as ``attention.compute``.

        >>> Hardware.symbolic().bandwidth
        bandwidth
        >>> Hardware.symbolic("attention.compute").own
        {'attention.compute': compute_efficiency_attention}

        Raises:
            SymbolError: another word.
        """
        counted = "multiprocessors"
        parts = [word for word in more if word not in (*_MORE, counted)]
        for key in parts:
            check_key(key)
        return cls(
            name="symbolic",
            kind="symbolic",
            engine=IDEAL,
            matrix=_Everything(sym.peak),
            vector=_Everything(sym.vector_peak),
            own={key: sym.own(key) for key in parts},
            multiprocessors=sym.multiprocessors if counted in more else None,
            **{
                name: getattr(sym, word)
                for name, word in cls.opens.items()
                if name not in _MORE or name in more
            },
        )

    @checked
    def numbers(self, *computed: Format) -> dict[Symbol, Expr]:
        """What is known of the device by symbol, with the peaks of what is computed in.

        The first format's peak is ``peak``, that of another one is called by its data type, as
        ``peak_bf16``; the last one's elementwise work is done at ``vector_peak``.

        Raises:
            SpecError: no peak for one of the formats.
        """
        known = {getattr(sym, word): getattr(self, name) for name, word in self.opens.items()}
        found = {symbol: value for symbol, value in known.items() if value is not None}
        found |= {sym.own(key): value for key, value in self.own.items()}
        for fmt in self.parallel(computed):
            symbol = self.peak_of(fmt, computed)
            found.setdefault(symbol, self.matrix_peak(fmt))
        if computed:
            found[sym.vector_peak] = self.vector_peak(computed[-1])
        return found

    @checked
    def parallel(self, computed: Sequence[Format]) -> list[Format]:
        """Those of some formats that bit-serial units do not compute in."""
        return [fmt for fmt in computed if not (fmt.serial and self.serial_peak is not None)]

    @staticmethod
    @checked
    def peak_of(fmt: Format, computed: Sequence[Format]) -> Symbol:
        """The symbol of a format's peak among those that are computed in."""
        same = fmt.data_type == computed[0].data_type
        return sym.peak if same else sym.PEAKS[fmt.data_type]

    @checked
    def with_(self, **numbers: Number) -> Self:
        """The same device with other numbers, such as ``compute_efficiency=Fraction(7, 10)``.

        A rate may be an expression, such as the capacity of a radio link in its signal-to-noise
        ratio (`lifesym.symbol`); ``peak`` and ``vector_peak`` are of every data type.

        Raises:
            SymbolError: no number of a device, or a value out of the symbol's range.
        """
        peaks = {"peak": "matrix", "vector_peak": "vector"}
        changes: dict[str, Any] = {}
        for name, value in numbers.items():
            one_of(name, [*self.opens, *peaks], "a number of a device")
            number = sym.bind(getattr(sym, name), {name: value})
            if name in peaks:
                known = getattr(self, peaks[name]) or self.matrix or self.vector
                everything = isinstance(known, _Everything)
                number = _Everything(number) if everything else dict.fromkeys(known, number)
            changes[peaks.get(name, name)] = number
        return replace(self, **changes, sources={**self.sources, **dict.fromkeys(numbers, "given")})

    @checked
    def with_efficiency(
        self,
        part: str,
        *,
        compute: Number | None = None,
        memory: Number | None = None,
        dispatch: Number | None = None,
    ) -> Self:
        """The same device with numbers of its own for a part of the work.

        Args:
            part: a family of operators (``attention``, ``linear``, ``norm`` ...), an operator's
                name (``mlp_down``), or a role of bytes: ``weights``, ``cache``, ``activations``.
            compute: attained fraction of every peak.
            memory: attained fraction of the bandwidth; of a role the only number.
            dispatch: time to dispatch one of these operators.

        Each may be an expression, of symbols of one's own too.

        >>> from lifesym import load_hardware
        >>> load_hardware("v100").with_efficiency("attention", compute=0.3).own
        {'attention.compute': 3/10}

        Raises:
            SymbolError: no number, one that the part does not have, or a value out of range.
        """
        numbers = {"compute": compute, "memory": memory, "dispatch": dispatch}
        given = {f"{part}.{name}": value for name, value in numbers.items() if value is not None}
        if not given:
            raise SymbolError(f"{part}: give it compute, memory or dispatch")
        for key in given:
            check_key(key)
        own = {key: sym.bind(sym.own(key), {sym.own(key): value}) for key, value in given.items()}
        sources = {**self.sources, **dict.fromkeys(given, "given")}
        return replace(self, own={**self.own, **own}, sources=sources)

    @checked
    def with_links(self, *links: tuple[Number, Number]) -> Self:
        """The same device behind several links, each a bandwidth and a latency.

        A collective is over when the slowest of them is: replicas in different places.

        Raises:
            SymbolError: no link, or a value out of range.
        """
        if not links:
            raise SymbolError("links: at least one bandwidth and latency")
        checked = [
            (
                sym.bind(sym.link_bandwidth, {"link_bandwidth": rate}),
                sym.bind(sym.link_latency, {"link_latency": latency}),
            )
            for rate, latency in links
        ]
        (rate, latency), *others = checked
        return replace(self, link_bandwidth=rate, link_latency=latency, other_links=tuple(others))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not known of the device and matters to a forecast, a sentence each."""
        if self.matrix_known:
            return ()
        which = " in 16-bit floats" if self.matrix else ""
        return (
            f"the matrix peak of {self.name}{which} is not known: times are those of its vector "
            "units, and no bound",
        )

    @property
    def attained(self) -> str:
        """The efficiencies that times are with, and who says so."""
        if self.bounded:
            return "at peaks: an upper bound on speed"
        if self._at_peaks:
            return "at peaks, of which not all are known: no bound"
        said = ", ".join(
            f"{word} {float(value):.6g} ({self._origin(name, table)})"
            for word, name, table, value in self._attained
            if not value.free_symbols
        )
        return f"efficiencies: {said or 'symbols'}"

    @property
    def _attained(self) -> Iterator[tuple[str, str, str, Expr]]:
        """What a text calls each efficiency and dispatch time, where it is from, and its value."""
        yield "compute", "compute_efficiency", "efficiency", self.compute_efficiency
        yield "memory", "memory_efficiency", "efficiency", self.memory_efficiency
        yield "dispatch", "dispatch_time", "dispatch", self.dispatch_time
        if self.layer_time is not None:
            yield "layer", "layer_time", "dispatch", self.layer_time
        if self.sampling_time is not None:
            yield "sampling", "sampling_time", "dispatch", self.sampling_time
        if self.score_time is not None:
            yield "score", "score_time", "dispatch", self.score_time
        for key, value in self.own.items():
            part, _, number = key.rpartition(".")
            table = "dispatch" if number == "dispatch" else "efficiency"
            yield key, key, f"{table}.{part}", value

    @property
    def _at_peaks(self) -> bool:
        """Whether nothing is lost: all efficiencies are 1 and all dispatch times 0."""
        return all(
            value == (0 if table.startswith("dispatch") else 1)
            for _, _, table, value in self._attained
        )

    def _origin(self, name: str, table: str) -> str:
        """Who says a number: an option, the device's spec, its class; else it is a default."""
        for key, who in ((name, "option"), (table, "the spec"), ("typical", "usual for its class")):
            if key in self.sources:
                return who
        return "default"

    @property
    def bounded(self) -> bool:
        """Whether no time at its rates can be beaten: its peaks, all of them known."""
        return self.matrix_known and self._at_peaks

    @property
    def default_format(self) -> Format:
        """The format computed in when none is asked for, which is also stored: 16-bit floats.

        bf16 where its peak is not below that of fp16, else fp16; where neither has a peak of its
        own, fp16, whose products the fp32 units do. A CPU whose matrix products are faster in
        fp32 computes in that.

        Raises:
            SpecError: the device has no floating-point peak.
        """
        own = {name: self._rate(name) for name in DEFAULT_TYPES if self._has(name)}
        if not own and not self._has("fp32"):
            raise SpecError(
                f"{self.name} has no floating-point peak (it has {self._types()}): "
                "choose the activations' format"
            )
        faster = (own["fp16"] - own["bf16"]).is_positive if len(own) == 2 else False
        best = "bf16" if "bf16" in own and not faster else "fp16"
        if self.kind == "cpu" and "fp32" in self.matrix:
            faster = (self.matrix["fp32"] - self.matrix.get(best, S.Zero)).is_positive
            best = "fp32" if faster else best
        return load_format(best)

    @checked
    def matrix_peak(self, compute: Format) -> Expr:
        """The peak for matrix products in a format; vector units do them where nothing else can.

        Bit-serial units take a plane of bits at a time: ``serial_peak / (m + 1)`` (Anda, arXiv
        2411.15982, section IV).

        Without a matrix engine for 16-bit floats they are computed with as such or in fp32,
        whichever is faster. Where it is not known what the engine does, the vector units stand in
        for it in every format that it has no peak for.

        Raises:
            SpecError: no peak for that data type.
        """
        if compute.serial and self.serial_peak is not None:
            return self.serial_peak / compute.planes
        rate = self._rate(compute.data_type)
        if rate.is_zero:
            key = f"{self.file}: key 'peak.matrix.{compute.data_type}': " if self.file else ""
            raise SpecError(
                f"{key}{self.name} has no peak for {compute.data_type} (it has {self._types()}): "
                "choose another format for the weights or activations"
            )
        return rate

    def _has(self, name: str) -> bool:
        return name in self.matrix or name in self.vector

    def _rate(self, name: str) -> Expr:
        """The fastest known rate of products of a data type; 0 where nothing does them."""
        if name in self.matrix:
            return self.matrix[name]
        types = {name}
        if not self.matrix_known:
            types |= {"fp32", *DEFAULT_TYPES}
        elif name in FLOATS and not any(each in self.matrix for each in DEFAULT_TYPES):
            types.add("fp32")
        engines = (self.matrix, self.vector)
        known = [engine[each] for each in types for engine in engines if each in engine]
        return Maximum(*known) if known else S.Zero

    @checked
    def vector_peak(self, compute: Format) -> Expr:
        """The peak for elementwise work: fp32 on the vector units where they are specified."""
        for name in ("fp32", compute.data_type, *self.vector):
            if name in self.vector:
                return self.vector[name]
        return self.matrix_peak(compute)

    @checked
    def unpacking_peak(self, compute: Format) -> Expr:
        """The peak for unpacking stored values: that of elementwise work unless it has its own."""
        rate = self.dequantization_rate
        return self.vector_peak(compute) if rate is None else rate

    @checked
    def computes(self, fmt: Format) -> bool:
        """Whether it has a peak for the data type of a format."""
        return self._has(fmt.data_type) or not self.parallel([fmt])

    def _types(self) -> str:
        return ", ".join(dict.fromkeys([*self.matrix, *self.vector]))


def symbolic_numbers(hardware: Hardware, symbols: Collection[Symbol]) -> Hardware:
    """The device with some of its numbers as symbols: ``bandwidth``, ``peak`` of every format ...

    >>> from lifesym.symbols import bandwidth
    >>> symbolic_numbers(Hardware.symbolic(), [bandwidth]).bandwidth
    bandwidth
    """
    every = Hardware.symbolic(*_MORE)
    changes: dict[str, Any] = {
        name: getattr(every, name)
        for name, word in Hardware.opens.items()
        if getattr(sym, word) in symbols
    }
    own = {key: sym.own(key) for key in hardware.own if sym.own(key) in symbols}
    if own:
        changes["own"] = {**hardware.own, **own}
    if sym.peak in symbols:
        changes["matrix"] = dict.fromkeys(hardware.matrix or hardware.vector, sym.peak)
    if sym.vector_peak in symbols:
        changes["vector"] = dict.fromkeys(hardware.vector or hardware.matrix, sym.vector_peak)
    return replace(hardware, **changes)


class _Everything(dict[str, Expr]):
    """A mapping that gives the same symbol for every data type."""

    def __init__(self, value: Expr) -> None:
        super().__init__(dict.fromkeys(DEFAULT_TYPES, value))
        self.value = value

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Expr:
        return self.value
