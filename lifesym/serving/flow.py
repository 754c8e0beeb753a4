"""What a stage of a pipeline has of a model, and how a microbatch passes the stages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sympy import Add, Expr, S

from lifesym.chunks import scaled
from lifesym.cost import Cost
from lifesym.formats import Matrix
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.nodes import Maximum, Minimum
from lifesym.operators import LMHead
from lifesym.roofline import Place, Term, link_time
from lifesym.tower import is_tower
from lifesym.traffic import Work


@dataclass(frozen=True, kw_only=True)
class Flow:
    """The way of a microbatch through the stages.

    Attributes:
        busy: the time that stages are at work on it.
        added: the time from the first stage to the end of the last.
        slowest: the longest time that one stage, or one link, is at work on it.
    """

    busy: Expr
    added: Expr
    slowest: Expr

    @classmethod
    def of(cls, computing: Sequence[Expr], sends: Sequence[Expr], *, overlap: bool) -> Self:
        """Through stages in order, of which all but the last send to the next one."""
        sent, last = Add(*sends), computing[-1]
        apart = [*computing, *sends]
        joined = [*(c + s for c, s in zip(computing[:-1], sends, strict=True)), last]
        added = Add(*computing) + sent
        return cls(
            busy=added - sent if overlap else added,
            added=added,
            slowest=Maximum(*(apart if overlap else joined)),
        )

    @classmethod
    def equal(cls, ends: Mapping[str, Expr], stages: Expr, sent: Expr, *, overlap: bool) -> Self:
        """Through equal stages, of which the first has the embedding and the last the head.

        Args:
            ends: seconds of ``embed``, ``head`` and all ``layers`` together.
            stages: how many, or a symbol.
            sent: seconds of a send between two of them.
            overlap: a stage computes a microbatch while it sends the one before.
        """
        embed, head, layers = (ends[name] for name in ("embed", "head", "layers"))
        several = Minimum(stages - 1, 1)
        computing, before = layers + embed + head, S.Zero if overlap else sent
        apart = several * Maximum(embed + before, head) + (1 - several) * (embed + head)
        slowest, added = layers / stages + apart, computing + (stages - 1) * sent
        if overlap:
            return cls(busy=computing, added=added, slowest=Maximum(slowest, several * sent))
        return cls(busy=added, added=added, slowest=slowest)

    def makespan(self, microbatches: Expr) -> Expr:
        """The time of identical microbatches one after the other.

        >>> from sympy import Integer
        >>> times = [Integer(3), Integer(5), Integer(2)]
        >>> Flow.of(times, [S.Zero, S.Zero], overlap=False).makespan(Integer(4))
        25
        """
        return self.added + (microbatches - 1) * self.slowest

    def cycle(self, microbatches: Expr) -> Expr:
        """The time between two passes of a microbatch when all of them keep going round."""
        return Maximum(self.added, microbatches * self.slowest)


def on_stage(terms: Iterable[Term], share: Expr, ends: dict[str, bool]) -> Iterator[Term]:
    """What a stage does of the terms of the whole model."""
    for term in terms:
        part = part_of(term.section, share, ends)
        if not part.is_zero:
            yield term if part is S.One else scaled(term, part)


def part_of(section: str, share: Expr, ends: dict[str, bool]) -> Expr:
    """The part of a section on a stage: its share of the layers; an end is there or not."""
    place = place_of(section)
    return S(int(ends[place])) if place in ends else share


def place_of(section: str) -> str:
    """Whether a section is at an end or among the layers; towers are where the embedding is."""
    if is_tower(section):
        return "embed"
    return section if section in ("embed", "head") else "layers"


def by_place(rows: Iterable[tuple[str, Expr]]) -> dict[str, Expr]:
    """Values of sections, added up for the embedding, the head and all layers."""
    found = dict.fromkeys(("embed", "head", "layers"), S.Zero)
    for section, value in rows:
        found[place_of(section)] += value
    return found


def placed(terms: Iterable[Term]) -> dict[str, Expr]:
    """Seconds of some terms for the embedding, the head and all layers."""
    return by_place((term.section, term.time) for term in terms)


def tied_copy(f: Forecast, level: Level | None = None) -> Expr:
    """Bytes of the embedding's matrix where a tied head is without it, in the own memory or one."""
    heads = (e.operator for e in f.one_token if isinstance(e.operator, LMHead))
    tables = (
        Matrix(role="tied_embedding", rows=head.vocab, columns=head.hidden)
        for head in heads
        if head.tied
    )
    return Add(*(f.held_bytes(table, level=level) for table in tables))


def send(f: Forecast, new: Expr) -> Term:
    """Sending the residual stream of a microbatch to the next stage."""
    moved = f.precision.activation_bytes(f.local_batch * new * f.stream_width)
    cost = Cost(network_bytes=moved, messages=S.One)
    return on_link(f.place, "send", "pipeline", cost, link_time(S.One, moved, f.hardware))


def on_link(place: Place, name: str, section: str, cost: Cost, time: Expr) -> Term:
    """A term of what a link alone takes time for."""
    return Term(
        place=place,
        name=name,
        section=section,
        family="collective",
        cost=cost,
        compute=S.Zero,
        memory=S.Zero,
        dispatch=S.Zero,
        network=time,
        busy=S.Zero,
        work=(Work(),) * (1 + len(place.levels)) if place.levels else (),
    )
