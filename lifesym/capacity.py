r"""What fits into the memory of a device: sequences, cached tokens, blocks of the cache, adapters.

Of M bytes a share $\sigma$ is granted. What weights W, activations in flight A, reserves R and
communication buffers C leave is room for caches, and of sequences that keep K bytes each

$$\left\lfloor \frac{\sigma M - W - A - R - C}{K} \right\rfloor$$

fit. Everything is that of one device, and a sequence has all of its past, prompt and generated
tokens. This is vLLM's rule (``request_memory`` in ``vllm/v1/worker/utils.py`` and
``determine_available_memory`` in ``gpu_worker.py``): ``gpu_memory_utilization`` is a share of all
the memory that the driver reports, which is less than what a data sheet says (23.55 of 24 GiB of an
RTX 4090), and what is left of it after the peak of a pass of ``max_num_batched_tokens`` is cut into
blocks. PagedAttention: Kwon et al., arXiv 2309.06180, section 4.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S, expand

from lifesym.checks import checked, checked_fields
from lifesym.display import Tabular
from lifesym.errors import SpecError, SymbolError
from lifesym.hardware import Hardware
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.operators import KVAppend, Operator
from lifesym.operators.attention import SourceAppend
from lifesym.operators.fused import Fused
from lifesym.results import Part, Result
from lifesym.serving import pipeline, steady_state
from lifesym.serving.batching import SteadyState, mean_over_steps
from lifesym.symbols import Number, Size, exact, size
from lifesym.trace import Trace
from lifesym.transforms import CachePolicy, Lora


@checked
def fit(
    forecast: Forecast,
    share: Number = 1,
    block: Size | None = None,
    reserve: Number = 0,
    *,
    communication: Number = 0,
    batched: Size | None = None,
    capacity: Number | None = None,
    cache_memory: Number | None = None,
    stages: int = 1,
) -> "Fit":
    """How many sequences, cached tokens, blocks and adapters of a forecast fit on its device.

    Args:
        forecast: the model, its device and every option. Its ``batch`` are the sequences that are
            computed together, as far as activations go; of those that fit only caches are counted.
        share: share of the device's memory that is granted, above 0 and at most 1.
        block: tokens of a block; a sequence has whole blocks. Those of the cache policy's pages
            unless given, or single tokens.
        reserve: bytes for captured graphs, sampling, workspaces and anything else, a device.
        communication: bytes of the buffers in which devices exchange activations, a device. They
            depend on the library and not on the model, so they are 0 unless given.
        batched: most tokens of a prefill pass; all of the forecast's prompts or chunks unless
            given (see `Forecast.in_flight`).
        capacity: bytes of the device's memory in place of what its data sheet says.
        cache_memory: bytes for caches in place of what is left, a device; the share, the weights
            and the activations then play no part.
        stages: devices of a pipeline of equal stages. Each has its part of every cache; the
            numbers are those of the stage that holds most, with the activations of a whole pass.

    >>> from lifesym import forecast
    >>> f = forecast("llama-2-7b", "rtx-4090", 1000, 24, fusion="flash")
    >>> found = fit(f, share=0.9, block=16)
    >>> found.blocks.expr, found.sequences.expr, found.missing.expr
    (1149, 17, 0)

    Raises:
        SymbolError: a value out of range, or two sizes of a block.
    """
    return Fit(
        forecast=forecast,
        share=share,
        block=block,
        reserve=reserve,
        communication=communication,
        batched=batched,
        capacity=capacity,
        cache_memory=cache_memory,
        stages=stages,
    )


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Fit(Tabular):
    """What fits on one device; `fit` says what the fields are.

    A replica of data parallelism has as much again. Other memories bound it as well, where their
    capacity is known and they hold a part of the caches.
    """

    forecast: Forecast
    share: Number = 1
    block: Size | None = None
    reserve: Number = 0
    communication: Number = 0
    batched: Size | None = None
    capacity: Number | None = None
    cache_memory: Number | None = None
    stages: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_share(self.share)
        for name in ("reserve", "communication", "capacity", "cache_memory"):
            value = getattr(self, name)
            if value is not None and exact(value, name).is_negative:
                raise SymbolError(f"{name} must be at least 0 bytes, not {value}")
        for name in ("block", "batched", "stages"):
            value = getattr(self, name)
            if value is not None:
                size(value, name)
        page = self._page
        if None not in (self.block, page) and self.block != page:
            raise SymbolError(f"the cache has pages of {page} tokens: leave out block={self.block}")
        if self.stages != 1 and self._bounding:
            names = ", ".join(level.name for level in self._bounding)
            raise SymbolError(f"which stage uses {names} is not known: leave out its capacity")

    @property
    def results(self) -> tuple[Result, ...]:
        """Everything below that has a meaning here, in order."""
        found = [self.room, self.sequence, self.sequences]
        if self.forecast.generate != 0:
            found.append(self.slots)
        if any(not each.is_zero for each in self._per_block):
            found.append(self.tokens)
            if self._block is not None:
                found.append(self.blocks)
        if self._lora is not None and self.cache_memory is None:
            found.append(self.adapters)
        return (*found, self.spare, self.missing)

    @cached_property
    def granted(self) -> Result:
        """Bytes of the device's memory that may be used.

        Raises:
            SpecError: its capacity is not known.
        """
        return granted(self.forecast.hardware, self.share, self.capacity)

    @cached_property
    def room(self) -> Result:
        """Bytes for caches in the device's memory; negative if it is too small without any."""
        if self.cache_memory is not None:
            return Result(name="room for caches", unit="byte", expr=exact(self.cache_memory))
        taken = {
            "weights": self._weights(self.forecast),
            "activations": self._in_flight,
            "reserve": exact(self.reserve),
            "communication": exact(self.communication),
        }
        parts = [Part(name="granted", value=self.granted.expr)]
        parts += [Part(name=name, value=-value) for name, value in taken.items()]
        expr = Add(*(part.value for part in parts))
        return Result(name="room for caches", unit="byte", expr=expr, parts=tuple(parts))

    @cached_property
    def sequence(self) -> Result:
        """Bytes that one sequence keeps in the device's memory: keys, values and states."""
        return Result(name="bytes of a sequence", unit="byte", expr=self._per_sequence[0])

    @cached_property
    def sequences(self) -> Result:
        """Sequences whose caches fit together.

        Raises:
            SymbolError: the model keeps nothing of a sequence, or all of it in a memory of unknown
                capacity.
        """
        expr = _most(self._rooms, self._per_sequence)
        if expr is None:
            raise SymbolError(self._unbounded("a sequence"))
        return Result(name="sequences", unit="sequence", expr=expr)

    @cached_property
    def slots(self) -> Result:
        r"""Slots of continuous batching whose caches fit together, of requests spread evenly.

        Each of G steps of a request then has as many sequences, and a slot keeps what a sequence
        has on average: without chunks or windows that of $T + S + (G - 1)/2$ tokens. More requests
        fit than whole ones. Where lengths vary, some are preempted (see `SteadyState`).

        Raises:
            SpecError: a model that generates no tokens.
            SymbolError: as `sequences`.
        """
        self.forecast.generates()
        expr = _most(self._rooms, self._per_slot)
        if expr is None:
            raise SymbolError(self._unbounded("a sequence"))
        return Result(name="slots", unit="sequence", expr=expr * self.forecast.replicas)

    @cached_property
    def tokens(self) -> Result:
        """Tokens of which every layer can hold its keys and values, in whole blocks.

        A layer with a window, or with fewer cached tokens by a cache policy, needs fewer in the
        end, and states are not in it: `sequences` has both.

        Raises:
            SymbolError: as `sequences`, or a model that keeps states alone.
        """
        expr = self._blocks * (1 if self._block is None else self._block)
        return Result(name="cached tokens", unit="token", expr=expr)

    @cached_property
    def blocks(self) -> Result:
        """Blocks of all layers' keys and values of so many tokens.

        Raises:
            SymbolError: as `tokens`, or no size of a block.
        """
        if self._block is None:
            raise SymbolError("how many tokens a block has is not known: give block")
        return Result(name="blocks", unit="block", expr=self._blocks)

    @cached_property
    def adapters(self) -> Result:
        """LoRA adapters, like the forecast's, that fit beside the caches of its batch.

        Raises:
            SymbolError: no adapters to go by, or bytes for caches alone were given.
        """
        lora = self._lora
        if lora is None:
            raise SymbolError("adapters of which rank is not known: give the forecast its lora")
        if self.cache_memory is not None:
            raise SymbolError("cache_memory says nothing of adapters: give a share or a capacity")
        held, one, two = (self._fixed(f) for f in (self.forecast, *map(self._adapted, (1, 2))))
        each = [expand(second - first) for first, second in zip(one, two, strict=True)]
        free = [
            spare + now - first + more
            for spare, now, first, more in zip(self._spare, held, one, each, strict=True)
        ]
        expr = _most(free, each)
        if expr is None:
            raise SymbolError(self._unbounded("an adapter"))
        return Result(name="adapters", unit="adapter", expr=expr)

    @cached_property
    def spare(self) -> Result:
        """Bytes left beside the caches of the forecast's own batch; negative: so many too few.

        It is at least 0 where the workload fits: `lifesym.analysis.design` solves it for a batch,
        a context, a rank, or the share.
        """
        return Result(name="spare memory", unit="byte", expr=Minimum(*self._spare))

    @cached_property
    def missing(self) -> Result:
        """Bytes that are too few for a single sequence; 0 if one fits."""
        short = (each - room for room, each in zip(self._rooms, self._per_sequence, strict=True))
        return Result(name="missing memory", unit="byte", expr=Maximum(S.Zero, *short))

    @property
    def _page(self) -> Size | None:
        """Tokens of a page of the forecast's own cache policy."""
        policies = (r for r in self.forecast.rewrites if isinstance(r, CachePolicy))
        return next((policy.page for policy in policies if policy.page is not None), None)

    @property
    def _block(self) -> Size | None:
        return self._page if self.block is None else self.block

    @property
    def _lora(self) -> Lora | None:
        """The adapters that are in memory by themselves."""
        loras = (r for r in self.forecast.rewrites if isinstance(r, Lora) and not r.merged)
        return next((lora for lora in loras if not exact(lora.rank).is_zero), None)

    @property
    def _bounding(self) -> tuple[Level, ...]:
        """The other memories whose capacity is known."""
        return tuple(level for level in self.forecast.levels if level.capacity is not None)

    @cached_property
    def _in_flight(self) -> Expr:
        batched = None if self.batched is None else size(self.batched, "batched")
        return self.forecast.in_flight(batched)

    # Of each memory in turn: the device's own, then the other ones whose capacity is known.

    @cached_property
    def _rooms(self) -> tuple[Expr, ...]:
        """Bytes for caches."""
        _, *others = self._fixed(self.forecast)
        rooms = zip(self._bounding, others, strict=True)
        return (self.room.expr, *(exact(level.capacity or 0) - held for level, held in rooms))

    @cached_property
    def _per_sequence(self) -> tuple[Expr, ...]:
        """Bytes of a sequence, in whole blocks."""
        return self._cached(self._paged)

    @cached_property
    def _per_slot(self) -> tuple[Expr, ...]:
        """Bytes of a sequence on average over its steps, in whole blocks."""
        alone = replace(self._paged, past=S.Zero, generate=S.Zero, chunk=None)

        def of(memory: int) -> Callable[[Expr], Expr]:
            return lambda tokens: self._cached(replace(alone, prompt=tokens))[memory]

        return tuple(mean_over_steps(self.forecast, of(i)) for i in range(len(self._rooms)))

    @cached_property
    def _paged(self) -> Forecast:
        """The forecast with a cache of whole blocks."""
        block = self._block
        if block is None:
            return self.forecast

        def paged(append: KVAppend) -> KVAppend:
            if isinstance(append, SourceAppend):
                return replace(append, source=block * CeilDiv(append.source, exact(block)))
            return replace(append, page=block)

        return _appending(self.forecast, paged)

    @cached_property
    def _per_block(self) -> tuple[Expr, ...]:
        """Bytes of a block, or else of a token, in all layers."""

        def whole(append: KVAppend) -> KVAppend:
            if isinstance(append, SourceAppend):
                return append
            return replace(append, reach=None, keep=1, budget=None, page=None)

        tokens = S.One if self._block is None else exact(self._block)
        plain = replace(_appending(self.forecast, whole), past=S.Zero, generate=S.Zero)
        some, none = (self._cached(replace(plain, prompt=n)) for n in (tokens, S.Zero))
        return tuple(expand(more - less) for more, less in zip(some, none, strict=True))

    @cached_property
    def _blocks(self) -> Expr:
        expr = _most(self._rooms, self._per_block)
        if expr is None:
            raise SymbolError(self._unbounded("a token"))
        return expr

    @cached_property
    def _spare(self) -> tuple[Expr, ...]:
        """Bytes left beside the batch."""
        held = zip(self._rooms, self._per_sequence, strict=True)
        return tuple(room - self.forecast.local_batch * each for room, each in held)

    def _fixed(self, f: Forecast) -> tuple[Expr, ...]:
        """Bytes of weights, whatever the batch is."""
        return (self._weights(f), *(one - (two - one) for one, two in self._levels(f)))

    def _cached(self, f: Forecast) -> tuple[Expr, ...]:
        """Bytes of the caches of one sequence."""
        own = _of_batch(f, 1).cache_bytes / self.stages
        return (own, *(expand(two - one) for one, two in self._levels(f)))

    def _levels(self, f: Forecast) -> Iterator[tuple[Expr, Expr]]:
        """What other memories hold for one sequence, and for two."""
        for level in self._bounding:
            yield tuple(_of_batch(f, n).memories[level.name].expr for n in (1, 2))

    def _weights(self, f: Forecast) -> Expr:
        """Bytes of a device's weights, or of those of the stage that has most."""
        if self.stages == 1:
            return next(part.value for part in f.memory.parts if part.name == "weights")
        return pipeline(f, self.stages).memory.expr - f.cache_bytes / self.stages

    def _adapted(self, count: int) -> Forecast:
        """The forecast with so many adapters."""
        rewrites = self.forecast.rewrites
        lora = self._lora
        changed = (replace(lora, adapters=count) if r is lora and lora else r for r in rewrites)
        return replace(self.forecast, rewrites=tuple(changed))

    def _unbounded(self, what: str) -> str:
        """Why there is no number of something."""
        elsewhere = [level.name for level in self.forecast.levels if level.capacity is None]
        if elsewhere:
            return f"the capacity of {', '.join(elsewhere)}, which holds {what}, is not known"
        return f"{self.forecast.model.name} keeps nothing of {what}: there is no largest number"


def in_slots(forecast: Forecast, slots: Size | str, preempted: Number = 0) -> SteadyState:
    """Continuous batching in so many slots; ``"fit"``: in as many as the memories have room for.

    Raises:
        LifesymError: what `Fit.slots` and `steady_state` raise.
        SymbolError: not one slot fits.
    """
    if slots != "fit":
        return steady_state(forecast, slots, preempted=preempted)
    found = Fit(forecast=forecast).slots.expr
    if found.is_zero:
        raise SymbolError(f"slots: not one sequence of {forecast.model.name} fits")
    return steady_state(forecast, found, staggered=True, preempted=preempted)


def granted(hardware: Hardware, share: Number, capacity: Number | None = None) -> Result:
    """Bytes of a device's memory, or of so much of it, that may be used.

    Raises:
        SpecError: its capacity is not known.
    """
    whole = hardware.capacity if capacity is None else capacity
    if whole is None:
        name = hardware.file or hardware.name
        raise SpecError(f"{name}: key 'memory.capacity' is not known: give the capacity")
    return Result(name="granted memory", unit="byte", expr=exact(share) * exact(whole))


def check_share(share: Number) -> None:
    """Refuse what is no share of a memory.

    Raises:
        SymbolError: a number that is not above 0 and at most 1.
    """
    part = exact(share, "share")
    if part.is_number and not 0 < part <= 1:
        raise SymbolError(f"share must be above 0 and at most 1, not {share}")


def _most(rooms: Iterable[Expr], each: Iterable[Expr]) -> Expr | None:
    """How many fit into every memory that holds a part of each; None if none does."""
    held = zip(rooms, each, strict=True)
    bounds = [FloorDiv(room, one) for room, one in held if not one.is_zero]
    return Maximum(S.Zero, Minimum(*bounds)) if bounds else None


def _of_batch(f: Forecast, batch: int) -> Forecast:
    """The forecast for so many sequences on one replica."""
    return replace(f, batch=S(batch), replicas=S.One)


def _appending(f: Forecast, change: Callable[[KVAppend], KVAppend]) -> Forecast:
    """The forecast with a change to what its layers append to the cache."""

    def changed(operator: Operator) -> Operator:
        if isinstance(operator, Fused):
            return replace(operator, parts=tuple(map(changed, operator.parts)))
        return change(operator) if isinstance(operator, KVAppend) else operator

    def rewrite(trace: Trace) -> Trace:
        entries = (replace(entry, operator=changed(entry.operator)) for entry in trace)
        return Trace(tuple(entries))

    return replace(f, rewrites=(*f.rewrites, rewrite))
