"""Bytes of weights and cache that the device's own memory and other memories hold."""

from collections.abc import Mapping
from functools import cached_property

from sympy import Add, Expr, S

from lifesym.checks import checked
from lifesym.formats import Matrix
from lifesym.held import Held
from lifesym.levels import OWN, Level, word_for
from lifesym.nodes import CeilDiv, Maximum, Minimum
from lifesym.passes import Passes
from lifesym.results import Part, Result
from lifesym.symbols import Number, exact
from lifesym.trace import Entry, Trace
from lifesym.transforms.buffers import unbuffered


class Footprint(Passes):
    """What a workload holds in memory, by role."""

    @cached_property
    def memory(self) -> Result:
        """Bytes a device's own memory holds at the end: weights and KV cache; not activations.

        The cache has room for past, prompt and all generated tokens: the last one's too, which
        only a further step would fill.
        """
        return self.holding(self._whole_cache)

    @checked
    def holding(self, cache: Expr) -> Result:
        """The same with so many bytes of keys, values and states, in any memory."""
        weights, cached = Add(*self._weights.values()), self.here("kv") * cache
        parts = (Part(name="weights", value=weights), Part(name="KV cache", value=cached))
        return Result(name="memory", unit="byte", expr=weights + cached, parts=parts)

    @cached_property
    def capacity(self) -> Result:
        """Peak bytes by role: every kind of weights, the KV cache, activations in flight."""
        parts = [Part(name=role, value=value) for role, value in self._weights.items()]
        parts.append(Part(name="KV cache", value=self.cache_bytes))
        parts.append(Part(name="activations", value=self.in_flight()))
        expr = Add(*(part.value for part in parts))
        return Result(name="capacity", unit="byte", expr=expr, parts=tuple(parts))

    @checked
    def in_flight(self, batched: Expr | None = None) -> Expr:
        """Bytes of activations in the device's own memory: the largest live set of any pass.

        While an operator runs its inputs and outputs are live, and the residual stream is kept
        beside them; the live set of a pass is that of the operator that has most. The passes are
        the prefill, or its chunk that meets most tokens; the last decode step; and the towers'.
        With ``batched`` a prefill has so many tokens: those of one sequence as far as they go, and
        of as many sequences as that takes, rounded up.

        Not counted: sampling, workspaces of kernels, what an allocator keeps or cannot use, and
        what waits for an operator that has not begun (queries while keys are computed: the one
        that reads both has both).
        """
        new = self.computed if self.chunk is None else Minimum(self.chunk, self.computed)
        batch = self.local_batch
        if batched is not None:
            new = Minimum(new, batched)
            batch = CeilDiv(batched, new)
        prefill = self.trace(new, self.past + self.prompt - new, batch=batch)
        live = [self._live((prefill, *self.tower_traces), batch * new)]
        if self.generate not in (0, 1):
            last = self.trace(S.One, self.past + self.prompt + self.generate - 2)
            live.append(self._live((last,), self.local_batch))
        return self.here("activations") * Maximum(*live)

    def _live(self, passes: tuple[Trace, ...], tokens: Expr) -> Expr:
        """The largest live set of passes beside a residual stream of so many tokens."""
        operators = (unbuffered(entry.operator) for each in passes for entry in each)
        costs = [operator.cost(self.precision) for operator in operators]
        live = [cost.activation_read_bytes + cost.activation_write_bytes for cost in costs]
        tokens = CeilDiv(tokens, self.token_devices)
        return Maximum(*live) + self.precision.activation_bytes(tokens * self.stream_width)

    @cached_property
    def _weights(self) -> dict[str, Expr]:
        return self.held(self.one_token)

    @checked
    def held(self, trace: Trace, level: Level | None = None) -> dict[str, Expr]:
        """Bytes of a trace's weights by role that the device's own memory holds, or another."""
        roles: dict[str, list[Expr]] = {}
        for entry in trace:
            for matrix in entry.operator.matrices:
                held = self.held_bytes(matrix.times(entry.copies), entry, level)
                roles.setdefault(matrix.role, []).append(held)
        return {role: Add(*held) for role, held in roles.items()}

    @checked
    def held_bytes(
        self, matrix: Matrix, entry: Entry | None = None, level: Level | None = None
    ) -> Expr:
        """Bytes of an operator's matrices that the device's own memory holds, or another."""
        word = word_for(matrix, entry, self.levels)
        return self.kept_in(word, level) * self.precision.weight_bytes(matrix)

    @cached_property
    def memories(self) -> Mapping[str, Held]:
        """What each memory holds at the end, by role: the device's own first, then the others.

        Of each it says whether it fits. Activations are not in it.
        """
        own = {**self._weights, "KV cache": self.cache_bytes}
        device = held_of(OWN, own, self.hardware.capacity)
        return {each.name: each for each in (device, *self.held_elsewhere(self._whole_cache))}

    @checked
    def held_elsewhere(self, cache: Expr) -> tuple[Held, ...]:
        """What the other memories hold with so many bytes of cache in all of them."""
        return tuple(
            held_of(
                level.name,
                {
                    **self.held(self.one_token, level),
                    "KV cache": self.kept_in("kv", level) * cache,
                },
                level.capacity,
            )
            for level in self.levels
        )

    def here(self, word: str) -> Expr:
        """The share of a kind of traffic that is the device's own memory's; levels have the rest.

        Weights that levels name are a kind of their own.
        """
        return 1 - Add(*(level.share(word) for level in self.levels))

    @checked
    def kept_in(self, word: str, level: Level | None) -> Expr:
        """The share of a kind of traffic that is another memory's, or the device's own."""
        return self.here(word) if level is None else level.share(word)

    @property
    def cache_bytes(self) -> Expr:
        """Bytes of the KV cache and states at the end that the device's own memory holds."""
        return self.cache_in()

    @checked
    def cache_in(self, level: Level | None = None) -> Expr:
        """Bytes of them that the device's own memory holds, or another one."""
        return self.kept_in("kv", level) * self._whole_cache

    @cached_property
    def _whole_cache(self) -> Expr:
        return self.cached(self.past + self.prompt + self.generate)

    @checked
    def cached(self, tokens: Expr, sequences: Expr | None = None) -> Expr:
        """Bytes of keys, values and states at so many tokens, in any memory.

        They are those of every sequence of the batch, or of so many others. An encoder-decoder also
        keeps keys and values of the encoder's output, which do not grow.
        """
        batch = self.local_batch if sequences is None else sequences
        trace = self.one_token
        growing = self.precision.kv_bytes(batch * trace.cache_elements(tokens))
        return growing + batch * trace.state_bytes(self.precision)


def held_of(name: str, held: Mapping[str, Expr], capacity: Number | None) -> Held:
    """What a memory holds, by role."""
    parts = tuple(Part(name=role, value=value) for role, value in held.items() if value != 0)
    room = None if capacity is None else exact(capacity, "capacity")
    return Held(name=name, unit="byte", expr=Add(*held.values()), parts=parts, capacity=room)
