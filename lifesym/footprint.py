"""Bytes of weights and cache that the device's own memory and other memories hold."""

from functools import cached_property

from sympy import Add, Expr

from lifesym.checks import checked
from lifesym.formats import Matrix
from lifesym.levels import Level
from lifesym.nodes import Maximum, Minimum
from lifesym.passes import Passes
from lifesym.results import Part, Result
from lifesym.trace import Trace


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
        """Peak bytes by role: every kind of weights, the KV cache, activations in flight.

        Activations are the inputs and outputs of the operator that has most of them in the
        prefill, or in its chunk that meets most tokens, or in a tower's pass, and the residual
        stream kept beside them.
        """
        parts = [Part(name=role, value=value) for role, value in self._weights.items()]
        parts.append(Part(name="KV cache", value=self.cache_bytes))
        new = self.computed if self.chunk is None else Minimum(self.chunk, self.computed)
        trace = self.trace(new, self.past + self.prompt - new)
        passes = (trace, *self.tower_traces)
        costs = [entry.operator.cost(self.precision) for each in passes for entry in each]
        live = [c.activation_read_bytes + c.activation_write_bytes for c in costs]
        stream = self.precision.activation_bytes(self.local_batch * new * self.stream_width)
        held = self.here("activations") * (Maximum(*live) + stream)
        parts.append(Part(name="activations", value=held))
        expr = Add(*(part.value for part in parts))
        return Result(name="capacity", unit="byte", expr=expr, parts=tuple(parts))

    @cached_property
    def _weights(self) -> dict[str, Expr]:
        return self.held(self.one_token)

    @checked
    def held(self, trace: Trace) -> dict[str, Expr]:
        """Bytes of a trace's weights by role that the device's own memory holds."""
        roles: dict[str, list[Expr]] = {}
        for matrix in trace.matrices():
            roles.setdefault(matrix.role, []).append(self.held_bytes(matrix))
        return {role: Add(*held) for role, held in roles.items()}

    @checked
    def held_bytes(self, matrix: Matrix) -> Expr:
        """Bytes of matrices that the device's own memory holds."""
        return self.here(_served_as(matrix)) * self.precision.weight_bytes(matrix)

    @checked
    def level_bytes(self, level: Level) -> Expr:
        """Bytes of weights and cache that another memory holds at the end."""
        held = level.share("kv") * self._whole_cache
        for matrix in self.one_token.matrices():
            held += level.share(_served_as(matrix)) * self.precision.weight_bytes(matrix)
        return held

    def here(self, role: str) -> Expr:
        """The share of what the device's own memory holds; other levels hold the rest."""
        return 1 - Add(*(level.share(role) for level in self.levels))

    @property
    def cache_bytes(self) -> Expr:
        """Bytes of the KV cache and states at the end that the device's own memory holds."""
        return self.here("kv") * self._whole_cache

    @cached_property
    def _whole_cache(self) -> Expr:
        return self.cached(self.past + self.prompt + self.generate)

    @checked
    def cached(self, tokens: Expr, sequences: Expr | None = None) -> Expr:
        """Bytes of keys, values and states at so many tokens, in any memory.

        They are those of every sequence of the batch, or of so many others. An encoder-decoder also
        keeps keys and values of the encoder's output.
        """
        batch = self.local_batch if sequences is None else sequences
        trace = self.one_token
        growing = self.precision.kv_bytes(batch * trace.cache_elements(tokens))
        if self.model.kind == "encoder-decoder":
            return growing + self.model.kv_bytes(0, self.precision.kv, batch, self.mla)
        return growing + batch * trace.state_bytes(self.precision)


def _served_as(matrix: Matrix) -> str:
    """The role of weights by which memories are shared."""
    return "experts" if matrix.role == "experts" else "weights"
