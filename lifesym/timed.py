r"""What every way of serving answers: times, tokens, energy, price and bounds, defined once.

A form of serving gives a time to first token, a decode step and its memory, and the terms that run
in both; `Timed` makes the rest of them. What runs before the decode steps is the prefill, so

- $\mathit{TPS}$ = sequences that get a token in a step / $\overline{\mathit{TPOT}}$,
- $\mathit{latency} = \mathit{TTFT} + \sum \mathit{TPOT}(T)$ over the generation's decode steps,
- energy = what operations and bytes take where they run, over the prefill and all decode steps, and
  the static power of every device over the latency.

A generation of one token has no decode step. Its mean TPOT is that of the step that would be the
first, and the decode steps are no part of its latency; a formula in a symbolic number of generated
tokens is that of two or more.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Literal, Protocol, Self

from sympy import Add, Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.display import Tabular
from lifesym.engines import Engine
from lifesym.errors import SpecError
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.held import Held, all_fit, least
from lifesym.levels import OWN
from lifesym.nodes import Maximum
from lifesym.opened import changed, numbers, opened, usual
from lifesym.results import Part, Result, StepTime
from lifesym.roofline import Place, Term
from lifesym.symbols import Number, Size, exact
from lifesym.work import Bound, Work, added, bottleneck, by_place, is_operation, joules, work_of

Phase = Literal["prefill", "decode"]


class Named(Protocol):
    """What a forecast says of its model, whatever network that is."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What an answer about it must say, a line each."""

    @property
    def silent(self) -> str:
        """Why it generates no tokens, for errors."""


class Timed(Tabular, ABC):
    """A way of serving, with everything that is asked of it.

    Attributes:
        opens: fields whose numbers may be symbols, with the symbols' words.
    """

    opens: ClassVar[Mapping[str, str]] = {}

    @property
    def main(self) -> "Timed":
        """The forecast whose requests are served: itself, unless others say so."""
        return self

    # A data class may have fields of these names instead: they come before cached properties.

    @cached_property
    def model(self) -> Named:
        """The model whose tokens count."""
        return self.main.model

    @cached_property
    def hardware(self) -> Hardware:
        """The device; of several kinds the first one that computes."""
        return self.main.hardware

    @cached_property
    def precision(self) -> Precision:
        """The formats of the model's numbers."""
        return self.main.precision

    @cached_property
    def batch(self) -> Expr:
        """Sequences that are served together."""
        return self.main.batch

    @cached_property
    def generate(self) -> Expr:
        """Tokens that each of them generates."""
        return self.main.generate

    @property
    def described(self) -> str:
        """The formats of its numbers, and who chose them."""
        return self.precision.described

    @property
    def places(self) -> tuple[Place, ...]:
        """All the devices, each kind with its number."""
        return self.main.places

    @property
    @abstractmethod
    def ttft(self) -> Result:
        """Time to first token."""

    @property
    @abstractmethod
    def tpot(self) -> StepTime:
        """Time per output token: a decode step at context `symbols.past`, and its mean."""

    @property
    @abstractmethod
    def memory(self) -> Result:
        """Bytes that the own memory of a device holds at the end, on the one that holds most."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What an answer must say of the model and the devices, a sentence each, none twice."""
        said = [*self.model.notes, *(n for place in self.places for n in place.hardware.notes)]
        scored = any(place.hardware.score_time is not None for place in self.places)
        if scored and not self.engine.score_blocks:
            said.append(
                f"score_time is not used: engine {self.engine.name} starts no block a score"
            )
        return tuple(dict.fromkeys(said))

    @cached_property
    def engine(self) -> Engine:
        """How operators become kernels."""
        return self.main.engine

    @property
    def bounding(self) -> str:
        """What times at peaks are a bound of: the words after "an upper bound on speed"."""
        return " of these kernels" if self.main is self else self.main.bounding

    @cached_property
    def attained(self) -> str:
        """The efficiencies that times are with, and who says so; as before it has been opened."""
        said = {
            place.hardware.name: place.hardware.attained
            + (self.bounding if place.hardware.bounded else "")
            for place in self.places
        }
        if len({*said.values()}) == 1:
            return said[self.hardware.name]
        return "; ".join(f"{name}: {text}" for name, text in said.items())

    @property
    def more(self) -> Mapping[str, Result | tuple[Expr, ...]]:
        """What this form has to say beside what all of them do, by name."""
        return {}

    @cached_property
    def point(self) -> dict[Symbol, Expr]:
        """Its numbers by symbol; the context is that of the first decode step.

        Where it has been opened they are the numbers that it had before.
        """
        begin = None if self.generate == 0 else self.tpot.start
        known = numbers(self)
        if begin is not None:
            known[sym.past] = begin.xreplace(known)
        return known

    @checked
    def open(self, *names: str | Symbol) -> Self:
        """The same with its numbers as symbols: those named, or the workload's and the device's.

        The numbers stay in ``point``.

        >>> import lifesym as ls
        >>> f = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128)
        >>> ls.elasticities(f.open().tpot).at(f.point)["bandwidth"]  # doctest: +SKIP
        -1

        Raises:
            SymbolError: a name that is no number of it, or one of several values.
        """
        made = opened(self, names)
        # what the properties would have found before
        vars(made).update(point=self.point, attained=self.attained)
        return made

    @cached_property
    def in_symbols(self) -> Self:
        """The same with a symbol for every number of the workload, the device and the model.

        Of formats only the weights' bits are, where they are not those that are computed in. What
        has several values stays in numbers.
        """
        known = {symbol: value for symbol, value in numbers(self).items() if value.is_number}
        plain = [symbol for symbol in usual(self) if symbol in known]
        of_model = [s for s in getattr(self.model, "values", ()) if s in known]
        quantized = self.precision.weights != self.precision.activations
        bits = [sym.weight_bits] if quantized and sym.weight_bits in known else []
        names = (*plain, *of_model, *bits)
        return self.open(*names) if names else self

    def generates(self) -> None:
        """Refuse a question about the tokens of a model that gives none.

        Raises:
            SpecError: an encoder, or a model without an LM head.
        """
        if self.generate == 0:
            raise SpecError(self.model.silent)

    @property
    def advancing(self) -> Expr:
        """Sequences that get a token in a decode step: all of them, or on average so many."""
        return self.batch

    @property
    def tokens(self) -> Expr:
        """Tokens that are generated in the latency."""
        return self.batch * self.generate

    @property
    def decode_steps(self) -> Expr:
        """Decode steps of the generation; 1 where it has none, for the mean to have one step."""
        steps = self.generate - 1
        return S.One if steps.is_zero else steps

    @property
    def beginning(self) -> Result:
        """What runs before the decode steps: the prefill."""
        return self.ttft

    @property
    def between(self) -> tuple[Part, ...]:
        """Times that pass between the prefill and the first decode step."""
        return ()

    @property
    def prefill_terms(self) -> tuple[Term, ...]:
        """Everything that runs in the prefill."""
        return self.beginning.terms

    @property
    def step_terms(self) -> tuple[Term, ...]:
        """Everything that runs for a token of every sequence, at context `symbols.past`."""
        return self.tpot.terms

    @property
    def residents(self) -> tuple[tuple[Expr, Hardware], ...]:
        """Bytes held on each kind of device, as `memory` counts them."""
        return ((self.memory.expr, self.hardware),)

    @property
    def elsewhere(self) -> tuple[Held, ...]:
        """What other memories hold at the end, those of every kind of device."""
        return ()

    @checked
    def terms_of(self, phase: Phase) -> tuple[Term, ...]:
        """Everything that runs in the prefill, or in the mean decode step."""
        return self.prefill_terms if phase == "prefill" else self._mean_terms

    @cached_property
    def tps(self) -> Result:
        """Generated tokens a second over all sequences, while they decode."""
        step = self.tpot.mean
        expr = self.advancing / step.expr
        return Result(name="TPS", unit="token/s", expr=expr, over_steps=step.over_steps)

    @cached_property
    def latency(self) -> Result:
        """End to end: the prefill, and the decode steps after it."""
        decode = self._over_generation(self.tpot.expr) if self._decodes else S.Zero
        parts = (
            Part(name="prefill", value=self.beginning.expr),
            *self.between,
            Part(name="decode", value=decode),
        )
        expr = Add(*(part.value for part in parts))
        return Result(name="latency", unit="s", expr=expr, parts=parts, form=self, metric="latency")

    @cached_property
    def energy(self) -> Result:
        """Joules of all devices over the latency: operations, bytes moved, and static power.

        Devices that share the batch are each as busy as the busiest of them; those of expert
        parallelism bring batches of their own, so that theirs is the energy of one batch. Links
        have no energy of their own. Every device, and every other memory, draws its static power
        over the whole latency, at work or not; of a device known by its TDP alone that is all its
        energy.

        Raises:
            SpecError: the power of a device is not known.
        """
        for place in self.places:
            if place.hardware.static_power is None:
                raise SpecError(f"{place.hardware.name} has no power figure: energy is not known")
        spent = added(joules(work, place) for place, work in self._works)
        power = Add(*(place.devices * _idle(place) for place in self.places))
        return _parted("energy", "J", {**spent, "static power": power * self.latency.expr})

    @cached_property
    def flops(self) -> Result:
        """Operations of all devices over the whole generation."""
        work = added(work for _, work in self._works)
        return _parted(
            "operations", "FLOP", {n: each for n, each in work.items() if is_operation(n)}
        )

    @cached_property
    def traffic(self) -> Result:
        """Bytes that all devices move over the whole generation, by role or other memory."""
        work = added(work for _, work in self._works)
        bytes_ = {name: moved for name, moved in work.items() if not is_operation(name)}
        return _parted("bytes moved", "byte", bytes_)

    @cached_property
    def tokens_per_joule(self) -> Result:
        """Generated tokens for a joule.

        Raises:
            SpecError: no tokens are generated, or the power of a device is not known.
        """
        self.generates()
        expr = self.tokens / self.energy.expr
        return Result(name="tokens per joule", unit="token/J", expr=expr)

    @checked
    def cost(self, hourly_price: Number = sym.hourly_price) -> Result:
        """Price of a million generated tokens for devices rented by the hour.

        ``price / 3600 * latency / tokens * 10**6``; the price is that of all the devices together.

        Raises:
            SpecError: no tokens are generated.
        """
        self.generates()
        per_second = exact(hourly_price, "hourly_price") / 3600
        expr = per_second * self.latency.expr / self.tokens * 10**6
        return Result(name="cost of a million tokens", unit="price", expr=expr)

    @checked
    def bottleneck(self, phase: Phase) -> Bound:
        """What most of a phase's time is bound by, when everything is a number.

        Each operator's time goes to the larger of its compute and memory times; dispatch counts
        by itself. Decode is judged by its mean over the generation, devices that work in turn by
        all their times together.

        Raises:
            SymbolError: a symbol is left.
        """
        return bottleneck(self.terms_of(phase))

    @cached_property
    def stores(self) -> tuple[Held, ...]:
        """What every memory holds at the end and has room for: the devices' own, then the others.

        What several stages hold in memories of one name is a row for each.
        """
        one = len({hardware.name for _, hardware in self.residents}) == 1
        own = (
            Held(
                name=OWN if one else hardware.name,
                unit="byte",
                expr=held,
                capacity=None if hardware.capacity is None else exact(hardware.capacity),
            )
            for held, hardware in self.residents
        )
        return (*own, *self.elsewhere)

    @property
    def fits(self) -> bool | None:
        """Whether each memory holds what it must; None where that is not known."""
        return all_fit(self.stores)

    @cached_property
    def spare(self) -> Result:
        """Bytes left in the memory that has fewest to spare; below 0 where it does not fit.

        Memories of unknown capacity are left aside.

        Raises:
            SpecError: no capacity is known.
        """
        left = least(self.stores)
        if left is None:
            raise SpecError(f"the memory's capacity of {self.hardware.name} is not known")
        return Result(name="spare memory", unit="byte", expr=left)

    @property
    def in_step(self) -> Self:
        """The same, generating until the context is `symbols.past` where it would end before.

        It holds what a decode step at that context needs.
        """
        start = None if self.generate == 0 else self.tpot.start
        if start is None:
            return self
        until = sym.past + 1 - start
        return changed(self, sym.generated, lambda given: Maximum(given, until))

    @property
    def _decodes(self) -> bool:
        """Whether there are decode steps."""
        return self.generate not in (0, 1)

    @cached_property
    def _mean_terms(self) -> tuple[Term, ...]:
        return self.tpot.averaged(self.step_terms)

    @cached_property
    def _works(self) -> list[tuple[Place, Work]]:
        """What all the devices of every place do over the whole generation."""
        prefill = by_place(self.prefill_terms)
        steps = by_place(self.step_terms) if self._decodes else []
        places = [place for place, _ in prefill]
        places += [place for place, _ in steps if place not in places]
        return [
            (place, self._done(place, _terms_at(place, prefill), _terms_at(place, steps)))
            for place in places
        ]

    def _done(self, place: Place, prefill: tuple[Term, ...], step: tuple[Term, ...]) -> Work:
        works = [work_of(prefill, place)] if prefill else []
        if step:
            one = work_of(step, place)
            works.append({name: self._over_generation(each) for name, each in one.items()})
        return {name: place.devices * value for name, value in added(works).items()}

    def _over_generation(self, expr: Expr) -> Expr:
        """The sum over the decode steps of an expression in the context."""
        return self.tpot.over(expr)


class Generation(Timed):
    """A way of serving a batch of requests from their prompts to their last tokens."""

    @property
    def main(self) -> "Generation":
        """The forecast whose requests are served: itself, unless others say so."""
        return self

    @cached_property
    def prompt(self) -> Expr:
        """Tokens of each prompt."""
        return self.main.prompt

    @cached_property
    def past(self) -> Expr:
        """Tokens cached before it."""
        return self.main.past

    @abstractmethod
    def cached(self, tokens: Expr) -> Expr:
        """Bytes of keys, values and states at so many tokens, on the device that has most."""

    @abstractmethod
    def prefixed(self, prefix: Size) -> Self:
        """The same where the first tokens of every prompt are cached already."""

    def workload(self) -> tuple[object, ...]:
        """What two forms must have in common to serve the same requests."""
        return self.model.name, self.prompt, self.generate, self.batch, self.past


def _terms_at(place: Place, rows: list[tuple[Place, tuple[Term, ...]]]) -> tuple[Term, ...]:
    return next((terms for where, terms in rows if where == place), ())


def _idle(place: Place) -> Expr:
    """Watts that a device and the memories beside it draw whatever they do."""
    of_levels = (exact(level.static_power) for level in place.levels)
    return Add(exact(place.hardware.static_power or 0), *of_levels)


def _parted(name: str, unit: str, values: Work) -> Result:
    parts = tuple(Part(name=part, value=value) for part, value in values.items())
    return Result(name=name, unit=unit, expr=Add(*values.values()), parts=parts)


def said_of(form: Timed) -> list[str]:
    """What an answer must say: formats and who chose them, efficiencies, what is not known."""
    return [form.described, described(form), *form.notes]


def described(form: Timed) -> str:
    """The engine and the efficiencies that times are with."""
    return f"engine {form.engine.name}, {form.attained}"
