"""A whole forecast: the passes of a prompt and of a generation, added up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from simulator.clock import Machine, joules, time_of
from simulator.kernels import Cost, Kernel, added
from simulator.options import Group, Options
from simulator.passes import Pass, run
from simulator.shapes import Shape, up

Where = Callable[[str], bool]


@dataclass(frozen=True)
class Load:
    """Sequences, tokens of each prompt and generation, tokens cached before."""

    batch: int
    prompt: int
    generate: int
    past: int


@dataclass(frozen=True)
class Simulation:
    """A model on a device under options and a load."""

    shape: Shape
    machine: Machine
    options: Options
    load: Load

    @property
    def batch(self) -> int:
        """Of the replica that has most sequences."""
        return up(Fraction(self.load.batch, self.options.replicas))

    @property
    def start(self) -> int:
        """Tokens in the cache when the generation starts."""
        return self.load.past + self.load.prompt

    def forward(self, *groups: Group) -> Pass:
        return run(self.shape, self.options, groups)

    def cost(self, group: Group) -> Cost:
        """All of a pass."""
        kernels = self.forward(group).kernels
        return added(kernel.cost(self.options.precision) for kernel in kernels)

    def time(self, *groups: Group, where: Where | None = None) -> Fraction:
        """Of a pass, or of the kernels at some places of the model."""
        kernels: Iterable[Kernel] = self.forward(*groups).kernels
        if where is not None:
            kernels = [k for k in kernels if where(k.place)]
        return time_of(kernels, self.machine, self.options)

    def pieces(self, batch: int | None = None) -> list[Group]:
        """The passes of the prompt: chunks in a row, of which the last has the logits."""
        batch = self.batch if batch is None else batch
        prompt, past = self.load.prompt, self.load.past
        size = self.options.chunk or prompt
        return [
            Group(
                batch,
                min(size, prompt - at),
                past + at,
                "last" if at + size >= prompt else "none",
            )
            for at in range(0, prompt, size)
        ]

    def step_group(self, context: int) -> Group:
        """A token each, at a context."""
        return Group(self.batch, 1, context)

    def step(self, context: int) -> Fraction:
        return self.time(self.step_group(context))

    @cached_property
    def ttft(self) -> Fraction:
        return sum((self.time(piece) for piece in self.pieces()), Fraction(0))

    @cached_property
    def steps(self) -> Sequence[Fraction]:
        """The first token comes from the prefill, the others from a step each."""
        return [self.step(self.start + i) for i in range(self.load.generate - 1)]

    @cached_property
    def still(self) -> Pass:
        """Weights and caches are the same in any pass."""
        return self.forward(Group(1, 1, 0))

    def weights(self, where: Where | None = None) -> dict[str, Fraction]:
        """Bytes by role in the device's own memory."""
        found: dict[str, Fraction] = {}
        for place, role, n in self.still.held:
            if where is None or where(place):
                held = self.weights_here(role) * self.options.precision.weight_bytes(role, n)
                found[role] = found.get(role, Fraction(0)) + held
        return found

    def cache(self, tokens: int, where: Where | None = None) -> Fraction:
        """Bytes of all sequences' caches at so many tokens, in any memory."""
        caches = [held for place, held in self.still.caches if where is None or where(place)]
        elements = sum((held(tokens) for held in caches), Fraction(0))
        return self.batch * self.options.precision.cache_bytes(elements)

    def here(self, kind: str) -> Fraction:
        """The share of something that no other memory has."""
        return 1 - sum((getattr(level, kind) for level in self.options.levels), Fraction(0))

    def weights_here(self, role: str) -> Fraction:
        """The same of a role's weights."""
        levels = self.options.levels
        return 1 - sum((level.of_weights(role, levels) for level in levels), Fraction(0))

    @property
    def end(self) -> int:
        return self.start + self.load.generate

    @property
    def cache_here(self) -> Fraction:
        return self.here("kv") * self.cache(self.end)

    @property
    def memory(self) -> Fraction:
        return sum(self.weights().values(), self.cache_here)

    def in_flight(self, group: Group) -> Fraction:
        """A pass's largest kernel, inputs and outputs, and the stream that waits beside it."""
        precision, o = self.options.precision, self.options
        costs = [kernel.cost(precision) for kernel in self.forward(group).kernels]
        live = max(c["activation_read_bytes"] + c["activation_write_bytes"] for c in costs)
        tokens = up(Fraction(group.tokens, o.tensor)) if o.sequence else group.tokens
        return live + precision.activation_bytes(Fraction(tokens * self.shape.hidden))

    @property
    def capacity(self) -> Fraction:
        """With the activations of the prompt's last piece, or of the last step."""
        load = self.load
        new = min(self.options.chunk or load.prompt, load.prompt)
        passes = [Group(self.batch, new, self.start - new)]
        if load.generate > 1:
            passes.append(self.step_group(self.start + load.generate - 2))
        return self.memory + self.here("activations") * max(map(self.in_flight, passes))

    @property
    def energy(self) -> Fraction:
        """Of all devices, each as busy as the busiest, and of the memories beside each."""
        power = sum((lv.static_power for lv in self.options.levels), self.machine.static_power)
        groups = [*self.pieces(), *(self.step_group(self.start + i) for i in self._indices)]
        spent = sum(
            (joules(self.forward(g).kernels, self.machine, self.options) for g in groups),
            power * self.latency,
        )
        return spent * self.options.tensor * self.options.replicas

    @property
    def _indices(self) -> range:
        return range(self.load.generate - 1)

    @property
    def latency(self) -> Fraction:
        return self.ttft + sum(self.steps)

    def results(self) -> dict[str, Fraction]:
        """Every quantity of a forecast."""
        tokens = self.load.batch * self.load.generate
        found = {
            "ttft": self.ttft,
            "latency": self.latency,
            "memory": self.memory,
            "capacity": self.capacity,
            "energy": self.energy,
            "cost": self.latency / tokens * 10**6,
        }
        if self.steps:
            mean = sum(self.steps) / len(self.steps)
            found |= {"mean": mean, "first": self.steps[0], "last": self.steps[-1]}
            found["tps"] = self.load.batch / mean
        return found
