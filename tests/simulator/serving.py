"""Served forms, each from its definition: passes timed one by one, stages run as events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from simulator.clock import Machine, time_of
from simulator.options import Group
from simulator.passes import run_module
from simulator.shapes import up
from simulator.workload import Simulation, Where


def at_contexts(s: Simulation, contexts: Sequence[int]) -> Fraction:
    """A decode step of sequences that each have a context of their own."""
    return s.time(*(Group(n, 1, past) for past, n in Counter(contexts).items()))


def with_prefix(s: Simulation, prefix: int) -> Simulation:
    """The first tokens of the prompt are cached already."""
    load = replace(s.load, prompt=s.load.prompt - prefix, past=s.load.past + prefix)
    return replace(s, load=load)


def piggybacked(s: Simulation, decodes: int, context: int) -> list[Fraction]:
    """The passes of the prompt, each with a token of every sequence that generates."""
    times = []
    for i, piece in enumerate(s.pieces()):
        others = [Group(decodes, 1, context + i)] if decodes else []
        times.append(s.time(piece, *others))
    return times


def steady_step(s: Simulation, rounds: int) -> tuple[int, Fraction]:
    """Slots, and the time of a step, where requests are staggered evenly: all steps are alike.

    In each step ``rounds`` requests of every replica are in each of the steps that one takes.
    """
    groups = s.pieces(rounds)
    steps = len(groups) + s.load.generate - 1
    groups += [Group(rounds, 1, s.start + j) for j in range(s.load.generate - 1)]
    return rounds * steps * s.options.replicas, s.time(*groups)


def backlog(s: Simulation, rounds: int) -> tuple[int, int, Fraction]:
    """Slots, requests and the time of all passes where one enters a replica in each of some."""
    steps = s.load.generate
    times = []
    for i in range(rounds + steps - 1):
        newest, oldest = max(0, i - rounds + 1), min(steps - 1, i)  # ages in steps that are done
        groups = s.pieces(1) if newest == 0 else []
        groups += [Group(1, 1, s.start + j - 1) for j in range(max(1, newest), oldest + 1)]
        times.append(s.time(*groups))
    replicas = s.options.replicas
    return steps * replicas, rounds * replicas, sum(times, Fraction(0))


@dataclass(frozen=True)
class Speculation:
    """A target that checks ``tokens`` drafted ones, each accepted at a chance."""

    target: Simulation
    draft: Simulation
    tokens: int
    acceptance: Fraction

    @property
    def expected(self) -> Fraction:
        """Tokens a step: one more than are accepted before the first refusal."""
        chance = self.acceptance
        refused = (chance**n * (1 - chance) * (n + 1) for n in range(self.tokens))
        return sum(refused, chance**self.tokens * (self.tokens + 1))

    def step(self, context: int) -> Fraction:
        drafted = sum((self.draft.step(context + i) for i in range(self.tokens)), Fraction(0))
        checked = Group(self.target.batch, self.tokens + 1, context, "all")
        return drafted + self.target.time(checked)

    def both(self, quantity: str) -> Fraction:
        """A quantity of both models; of the target's alone where nothing is drafted."""
        models = [self.target, *([self.draft] if self.tokens else [])]
        return sum((getattr(model, quantity) for model in models), Fraction(0))


@dataclass(frozen=True)
class SelfSpeculation:
    """A model that drafts with a prediction module of its own."""

    target: Simulation
    tokens: int

    def module(self, *groups: Group) -> Fraction:
        s = self.target
        kernels = run_module(s.shape, s.options, groups).kernels
        return time_of(kernels, s.machine, s.options)

    def step(self, context: int) -> Fraction:
        s, steps = self.target, range(self.tokens)
        drafted = sum((self.module(s.step_group(context + i)) for i in steps), Fraction(0))
        return drafted + s.time(Group(s.batch, self.tokens + 1, context, "all"))

    def ttft(self) -> Fraction:
        """The module's cache is filled by the same chunks."""
        filled = [self.module(piece) for piece in self.target.pieces()] if self.tokens else []
        return sum(filled, self.target.ttft)

    def memory(self) -> Fraction:
        """Of the module everything but the head, and its cache."""
        s = self.target
        if not self.tokens:
            return s.memory
        still = run_module(s.shape, s.options, [Group(1, 1, 0)])
        held = s.memory
        for _, role, n in still.held:
            held += s.weights_here(role) * s.options.precision.weight_bytes(role, n)
        elements = sum((kept(s.end) for _, kept in still.caches), Fraction(0))
        return held + s.here("kv") * s.batch * s.options.precision.cache_bytes(elements)


def transfer(s: Simulation) -> Fraction:
    """Sending the caches of the prompts to another device."""
    return s.machine.link_time(Fraction(1), s.cache(s.start))


def elsewhere(s: Simulation, machine: Machine) -> Simulation:
    return replace(s, machine=machine)


@dataclass(frozen=True)
class Pipeline:
    """Layers in equal runs on devices of one kind, the batch in pieces that follow one another."""

    whole: Simulation
    stages: int
    pieces: int

    @property
    def piece(self) -> Simulation:
        """The forecast of one microbatch."""
        load = replace(self.whole.load, batch=self.whole.load.batch // self.pieces)
        return replace(self.whole, load=load)

    def on(self, stage: int) -> Where:
        """Whether a place of the model is on a stage."""
        run = len(self.whole.shape.layers) // self.stages
        ends = {"embed": 0, "head": self.stages - 1}

        def where(place: str) -> bool:
            found = ends[place] if place in ends else int(place.removeprefix("layer ")) // run
            return found == stage

        return where

    def times(self, passes: Sequence[Group], new: int) -> list[Fraction]:
        """Of every stage for a microbatch, sending its output on included."""
        s, found = self.piece, []
        stream = s.options.precision.activation_bytes(Fraction(s.batch * new * s.shape.hidden))
        for stage in range(self.stages):
            time = sum((s.time(g, where=self.on(stage)) for g in passes), Fraction(0))
            sent = s.machine.link_time(Fraction(1), stream)
            found.append(time if stage == self.stages - 1 else time + sent)
        return found

    def prefill(self) -> list[Fraction]:
        return self.times(self.piece.pieces(), self.piece.load.prompt)

    def ttft(self) -> Fraction:
        """All microbatches go through all stages, each stage one at a time."""
        times = self.prefill()
        free = [Fraction(0)] * self.stages
        for _ in range(self.pieces):
            at = Fraction(0)
            for stage, time in enumerate(times):
                at = free[stage] = max(at, free[stage]) + time
        return free[-1]

    def bubble(self) -> Fraction:
        return 1 - self.pieces * sum(self.prefill()) / (self.stages * self.ttft())

    def tpot(self, context: int) -> Fraction:
        """Time between two passes of a microbatch, when all have gone round for a while."""
        times = self.times([self.piece.step_group(context)], 1)
        free, ready = [Fraction(0)] * self.stages, [Fraction(0)] * self.pieces
        ends: list[Fraction] = []
        for _ in range(2 * self.pieces + 8):
            for piece in range(self.pieces):
                at = ready[piece]
                for stage, time in enumerate(times):
                    at = free[stage] = max(at, free[stage]) + time
                ready[piece] = at
            ends.append(ready[0])
        return ends[-1] - ends[-2]

    def memory(self) -> Fraction:
        """Of the stage that holds most; a tied head without the embedding has its matrix, too."""
        s, held = self.piece, []
        for stage in range(self.stages):
            where = self.on(stage)
            cache = s.here("kv") * s.cache(s.end, where) * self.pieces
            held.append(sum(s.weights(where).values(), cache))
        if self.stages > 1 and s.shape.tied:
            rows = up(Fraction(s.shape.vocab, s.options.tensor))
            matrix = Fraction(rows * (s.shape.embedding_width or s.shape.hidden))
            copied = s.options.precision.weight_bytes("tied_embedding", matrix)
            held[-1] += s.weights_here("tied_embedding") * copied
        return max(held)
