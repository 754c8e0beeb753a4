r"""Who moves and who computes what: an operator's cost, split among the device and its memories.

Of the bytes of weights, cache and activations a level serves its shares, the device's own memory
the rest. Where a level computes (attention on the host's cores over a cache that lives there), a
share s of the operator is done beside it, that of its cache, or else of its weights. With F
operations, peak P, Q bytes a memory serves, of which $Q_{\mathrm{in}}$ stay with what computes
there, A inputs and outputs that cross (queries and outputs of attention), bandwidths BW and W (of
the link), latency $\alpha$:

$$t_{\mathrm{compute}} = \max\Big(\frac{(1 - \sum_l s_l)\,F}{e_c P},\; \frac{s_l F}{P_l}\Big),
\qquad
t_{\mathrm{memory}} = \max\Big(\frac{Q_0}{e_m \mathit{BW}},\; \frac{Q_l}{\mathit{BW}_l},\;
\alpha_l + \frac{Q_l - Q_{\mathrm{in},l} + s_l A}{W_l}\Big)$$

A level without a link of its own has one rate for both: $\alpha + (Q + s A)/\mathit{BW}$. Levels
that share a link add up on it. What stays between the operators done there (scores) is served by
its memory; what crosses is read and written in the device's memory too. An operator that a level
serves nothing of waits for no latency; one that it serves any share of, a symbol's too, does, once.

``attn`` is attention over the cache in steps of one token a sequence: a prompt's attention stays
where keys and values are computed. So do it FlexGen (arXiv 2303.06865, section 4: attention scores
are computed on the CPU, and activations cross in place of the cache), FastDecode (2403.11421) and
MoE-Lens (2504.09345, whose Eq. 5 is a memory that serves both the cache and what crosses the link).
Other operators are named one by one; they are done there in every pass, and a run of them passes
nothing over the link but its first one's inputs and its last one's outputs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from operator import add
from typing import Any, Literal, Self

from sympy import Add, Expr, S

from lifesym.cost import Cost
from lifesym.errors import SymbolError
from lifesym.formats import Format, Precision
from lifesym.hardware import Hardware
from lifesym.levels import ATTENTION, Level, word_for
from lifesym.nodes import Minimum
from lifesym.operators import AttentionScores, AttentionValues, Collective, LMHead, Operator
from lifesym.operators.fused import Fused, leaves_of
from lifesym.symbols import exact
from lifesym.trace import Entry, Trace

Unit = Format | Literal["elementwise", "unpacking"]
"""What does an operation: the matrix engine in a format, or units for the rest."""
_KEYED = ("done", "moved", "launched")
_NUMBERS = ("inside_bytes", "sent_bytes", "waits", "collectives", "sampled", "scored")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one memory serves, and what is computed beside it.

    Operations, bytes and dispatches are kept apart by the part of the work under which the device
    has an efficiency or time of its own for them; it is empty where all of it has one.

    Attributes:
        place: the level's name; empty for the device.
        done: operations by what does them, and by part.
        moved: bytes that the memory serves by role (``weights``, ``activations``, ``cache``), and
            by part.
        launched: dispatches by part.
        inside_bytes: those of its bytes that do not leave it: what computes there reads them.
        sent_bytes: activations that cross to what computes there, and back.
        waits: executions of operators that wait for its latency.
        collectives: collectives that the device takes part in.
        sampled: rows of logits, of each of which a token is sampled.
        scored: scores of attention that have a block of threads each.
    """

    place: str = ""
    done: Mapping[tuple[Unit, str], Expr] = field(default_factory=dict)
    moved: Mapping[tuple[str, str], Expr] = field(default_factory=dict)
    launched: Mapping[str, Expr] = field(default_factory=dict)
    inside_bytes: Expr = S.Zero
    sent_bytes: Expr = S.Zero
    waits: Expr = S.Zero
    collectives: Expr = S.Zero
    sampled: Expr = S.Zero
    scored: Expr = S.Zero

    @property
    def matmul_flops(self) -> Expr:
        """Operations of matrix products in any format."""
        return Add(*(n for (unit, _), n in self.done.items() if isinstance(unit, Format)))

    @property
    def other_flops(self) -> Expr:
        """Elementwise and dequantization operations."""
        return Add(*(n for (unit, _), n in self.done.items() if not isinstance(unit, Format)))

    @property
    def weight_bytes(self) -> Expr:
        """Weights that the memory serves."""
        return self._of("weights")

    @property
    def activation_bytes(self) -> Expr:
        """Activations that it serves."""
        return self._of("activations")

    @property
    def kv_bytes(self) -> Expr:
        """Cache that it serves."""
        return self._of("cache")

    @property
    def bytes(self) -> Expr:
        """All that the memory serves."""
        return Add(*self.moved.values())

    def _of(self, role: str) -> Expr:
        return Add(*(n for (each, _), n in self.moved.items() if each == role))

    def map(self, change: Callable[[Expr], Expr]) -> Self:
        """The same with a change made to every number."""
        made: dict[str, Any] = {name: change(getattr(self, name)) for name in _NUMBERS}
        for name in _KEYED:
            made[name] = {key: change(expr) for key, expr in getattr(self, name).items()}
        return replace(self, **made)

    def times(self, count: Expr) -> Self:
        """So many times as much."""
        return self.map(lambda expr: count * expr)


def added(works: Iterable[tuple[Work, ...]]) -> tuple[Work, ...]:
    """The sums, place by place, of what several operators do."""
    places = zip(*works, strict=True)
    return tuple(_sum(same) for same in places)


def _sum(works: tuple[Work, ...]) -> Work:
    made: dict[str, Any] = {name: _sums(getattr(work, name) for work in works) for name in _KEYED}
    made |= {name: Add(*(getattr(work, name) for work in works)) for name in _NUMBERS}
    return Work(place=works[0].place, **made)


def _sums(rows: Iterable[Mapping[Any, Expr]]) -> dict[Any, Expr]:
    """The sums of what has the same key, in order of appearance."""
    listed: dict[Any, list[Expr]] = {}
    for row in rows:
        for key, number in row.items():
            listed.setdefault(key, []).append(number)
    return {key: Add(*numbers) for key, numbers in listed.items()}


@dataclass(frozen=True, kw_only=True)
class Done:
    """The part of an operator that can be done beside a level, and the share that is.

    Attributes:
        share: of the part, what is done there.
        cost: the part's cost; of attention, that of the sequences with one new token.
        crossing: its activations that come from the device or go back.
    """

    share: Expr
    cost: Cost
    crossing: Expr


_CORE = AttentionScores | AttentionValues
MIXED = Fused.family
"""The family of a kernel whose products are of several ones."""
NOTHING = Done(share=S.Zero, cost=Cost(), crossing=S.Zero)
_ANY = Precision.of()
"""Operations do not depend on formats."""


def works(
    trace: Trace,
    costs: Sequence[Cost],
    precision: Precision,
    hardware: Hardware,
    levels: tuple[Level, ...],
) -> list[tuple[Work, ...]]:
    """What the device and every level do for each operator of a trace, executed once.

    ``costs`` are those of the operators.
    """
    pairs = zip(trace, costs, strict=True)
    wholes = [_on_device(entry, cost, precision, hardware) for entry, cost in pairs]
    if not levels:
        return [(whole,) for whole in wholes]
    done = (_done(trace, costs, precision, levels, level) for level in levels)
    rows = zip(trace, wholes, zip(*done, strict=True), strict=True)
    return [_split(entry, whole, precision, levels, at) for entry, whole, at in rows]


def alone(cost: Cost, computed: Format) -> Work:
    """All of a cost on a device that has one efficiency for all of it, its products in a format."""
    return Work(
        done=_operations(cost, computed),
        moved={
            ("weights", ""): cost.weight_bytes,
            ("activations", ""): _activations(cost),
            ("cache", ""): _cached(cost),
        },
        launched={"": cost.dispatches},
    )


def _operations(
    cost: Cost, computed: Format, part: str = "", *, unpacked: bool = False
) -> dict[tuple[Unit, str], Expr]:
    """Operations of a part of the work by what does them; ``unpacked`` has units of its own."""
    others: dict[Unit, Expr] = {"elementwise": cost.vector_flops + cost.dequant_ops}
    if unpacked:
        others = {"elementwise": cost.vector_flops, "unpacking": cost.dequant_ops}
    return {(unit, part): n for unit, n in ({computed: cost.matmul_flops} | others).items()}


def _on_device(entry: Entry, cost: Cost, precision: Precision, hardware: Hardware) -> Work:
    """All of an operator on the device, by the parts that have numbers of their own there."""
    computed = _computed(entry.operator, precision)
    unpacked = hardware.dequantization_rate is not None
    several = bool(precision.activation_roles) and isinstance(entry.operator, Fused)
    work = alone(cost, computed)
    if several:
        work = replace(work, done=_by_leaf(entry.operator, precision, "", unpacked=unpacked))
    elif unpacked:
        work = replace(work, done=_operations(cost, computed, unpacked=unpacked))
    if hardware.collective_latency is not None:
        work = replace(work, collectives=_collectives(entry.operator))
    if hardware.sampling_time is not None:
        heads = (leaf for leaf in leaves_of(entry.operator) if isinstance(leaf, LMHead))
        work = replace(work, sampled=Add(*(leaf.tokens for leaf in heads)))
    if hardware.score_time is not None and isinstance(entry.operator, AttentionScores):
        work = replace(work, scored=entry.operator.blocked)
    if not hardware.own:
        return work
    family = _family(entry.operator)
    words = (entry.name, family)
    part = _part(hardware, "compute", *words)
    done = _operations(cost, computed, part, unpacked=unpacked)
    if several and (part or family != MIXED):
        done = _by_leaf(entry.operator, precision, part, unpacked=unpacked)
    elif family == MIXED and not part:
        done = _by_leaf(entry.operator, precision, hardware, unpacked=unpacked)
    return replace(
        work,
        done=done,
        moved={(r, _part(hardware, "memory", *words, r)): n for (r, _), n in work.moved.items()},
        launched={_part(hardware, "dispatch", *words): cost.dispatches},
    )


def _by_leaf(
    operator: Operator, precision: Precision, part: str | Hardware, *, unpacked: bool
) -> dict[tuple[Unit, str], Expr]:
    """The operations of a kernel's operators, each by what does it.

    Their part of the work is given, or that of each one's family on a device.
    """
    rows = []
    for leaf in leaves_of(operator):
        own = part if isinstance(part, str) else _part(part, "compute", leaf.family)
        one = leaf if precision.activation_roles else operator
        computed = _computed(one, precision)
        rows.append(_operations(leaf.cost(precision), computed, own, unpacked=unpacked))
    return _sums(rows)


def _computed(operator: Operator, precision: Precision) -> Format:
    """What the products of an operator are computed in; a tied head has formats of its own too."""
    own = bool(precision.activation_roles)
    return precision.computed_in(operator.matrices_read if own else operator.matrices)


def _part(hardware: Hardware, number: str, *words: str) -> str:
    """The first of some words for a part of the work that has such a number of its own, or ""."""
    return next((word for word in words if f"{word}.{number}" in hardware.own), "")


@lru_cache(maxsize=8192)
def _family(operator: Operator) -> str:
    """The family whose numbers an operator has: of a kernel, that of all its products."""
    leaves = list(leaves_of(operator))
    products = [leaf for leaf in leaves if not leaf.cost(_ANY).matmul_flops.is_zero]
    families = {leaf.family for leaf in products or leaves}
    return families.pop() if len(families) == 1 else MIXED


def _collectives(operator: Operator) -> Expr:
    """How many collectives an operator is; one that sends no message is none."""
    found = (leaf for leaf in leaves_of(operator) if isinstance(leaf, Collective))
    return Add(*(Minimum(S.One, leaf.traffic()[0]) for leaf in found))


def _there(whole: Work, each: Done) -> dict[tuple[Unit, str], Expr]:
    """The operations of an operator that are done beside a level, by the same keys.

    Where a kernel's are of several parts, each part is done there in the same share.
    """
    cost, units = each.cost, {unit for unit, _ in whole.done}
    unpacked = {} if "unpacking" in units else {"unpacking": cost.dequant_ops}
    other = Add(cost.vector_flops, *unpacked.values())
    done: dict[tuple[Unit, str], Expr] = {}
    for (unit, part), n in whole.done.items():
        total = Add(*(m for (same, _), m in whole.done.items() if _alike(same, unit)))
        portion = S.One if n == total else n / total
        kind = {"elementwise": other, "unpacking": cost.dequant_ops}
        all_of = cost.matmul_flops if isinstance(unit, Format) else kind[unit]
        done[unit, part] = each.share * all_of * portion
    return done


def _alike(one: Unit, other: Unit) -> bool:
    """Whether two units do the same kind of operations: all products are, whatever their format."""
    return one == other or (isinstance(one, Format) and isinstance(other, Format))


def _split(
    entry: Entry,
    whole: Work,
    precision: Precision,
    levels: tuple[Level, ...],
    done: tuple[Done, ...],
) -> tuple[Work, ...]:
    by_word: dict[str, Expr] = {}
    for matrix in entry.operator.matrices_read:
        word = word_for(matrix, entry, levels)
        by_word[word] = by_word.get(word, S.Zero) + precision.weight_bytes(matrix)
    kept = [each.share * (_activations(each.cost) - each.crossing) for each in done]
    moving = whole.activation_bytes - Add(*kept)
    parts = []
    for level, each, own in zip(levels, done, kept, strict=True):
        weights = Add(*(level.share(word) * moved for word, moved in by_word.items()))
        cached = level.share("kv") * _cached(each.cost)
        inside = own + (S.Zero if each.share.is_zero else cached)
        if not (each.share.is_zero or weights.is_zero):
            inside += weights * each.cost.weight_bytes / whole.weight_bytes
        served = {
            "weights": weights,
            "activations": level.share("activations") * moving + own,
            "cache": level.share("kv") * whole.kv_bytes,
        }
        part = Work(
            place=level.name,
            done=_there(whole, each),
            moved={key: served[key[0]] for key in whole.moved},
            inside_bytes=inside,
            sent_bytes=each.share * each.crossing,
        )
        touched = not (part.bytes.is_zero and part.sent_bytes.is_zero)
        parts.append(replace(part, waits=S.One) if touched else part)
    device = replace(
        whole,
        done={key: n - Add(*(part.done[key] for part in parts)) for key, n in whole.done.items()},
        moved={
            key: n - Add(*(part.moved[key] for part in parts)) for key, n in whole.moved.items()
        },
    )
    return (device, *parts)


def _done(
    trace: Trace,
    costs: Sequence[Cost],
    precision: Precision,
    levels: tuple[Level, ...],
    level: Level,
) -> Iterator[Done]:
    """What of each operator of a trace can be done beside a level, and how much is."""
    named = list(_named(trace, costs, levels, level))
    scored: Expr | None = None  # of scores that wait for their values: the share of single tokens
    for i, (entry, cost, share) in enumerate(zip(trace, costs, named, strict=True)):
        if share is not None:
            first, last = i == 0 or named[i - 1] is None, named[i + 1 : i + 2] in ([], [None])
            crossing = cost.activation_read_bytes if first else S.Zero
            crossing += cost.activation_write_bytes if last else S.Zero
            yield Done(share=share, cost=cost, crossing=crossing)
        elif ATTENTION in level.computes and attends(entry.operator):
            leaves = list(leaves_of(entry.operator))
            crossing = Add(*(_crossing(leaf, precision) for leaf in leaves))
            ended = any(isinstance(leaf, AttentionValues) for leaf in leaves)
            scored = None if ended else _share_of_singles(entry.operator)
            part = _singles(entry.operator, precision)
            yield Done(share=level.share("kv"), cost=part, crossing=crossing)
        elif scored is not None:
            yield Done(share=level.share("kv"), cost=_times(scored, cost), crossing=S.Zero)
        else:
            yield NOTHING


def _named(
    trace: Trace, costs: Sequence[Cost], levels: tuple[Level, ...], level: Level
) -> Iterator[Expr | None]:
    """The share of each operator that a level computes by its name; None of one that it does not.

    One without weights or cache goes where the one before it went.
    """
    before: Expr | None = None
    for entry, cost in zip(trace, costs, strict=True):
        read = entry.operator.matrices_read
        if entry.name not in level.computes:
            before = None
        elif not _cached(cost).is_zero:
            before = level.share("kv")
        elif read:
            before = level.share(word_for(read[0], entry, levels))
        yield before


def _core(operator: Operator) -> bool:
    return isinstance(operator, _CORE) and operator.cached


def _single(operator: Operator) -> bool:
    """Whether an operator is attention over the cache of one new token a sequence."""
    return isinstance(operator, _CORE) and operator.cached and operator.new == 1


def attends(operator: Operator) -> bool:
    """Whether a kernel is attention over the cache, and no whole layer."""
    plain = all(matrix.role == "vector" for matrix in operator.matrices)
    return plain and any(map(_core, leaves_of(operator)))


def _crossing(operator: Operator, precision: Precision) -> Expr:
    """Queries that scores read, outputs that values give; of single tokens."""
    if not _single(operator):
        return S.Zero
    cost = operator.cost(precision)
    scores = isinstance(operator, AttentionScores)
    return cost.activation_read_bytes if scores else cost.activation_write_bytes


def _share_of_singles(operator: Operator) -> Expr:
    """Of the scores of a kernel, or else of its products with values, those of single tokens."""
    leaves = [leaf for leaf in leaves_of(operator) if _core(leaf)]
    scores = [leaf for leaf in leaves if isinstance(leaf, AttentionScores)]
    counted = [(_single(leaf), leaf.cost(_ANY).matmul_flops) for leaf in scores or leaves]
    return Add(*(n for single, n in counted if single)) / Add(*(n for _, n in counted))


def _singles(operator: Operator, precision: Precision) -> Cost:
    """The cost of the single tokens in a kernel of attention.

    What is no product with keys or values (softmax), and what a kernel saves, is shared by scores.
    """
    whole = operator.cost(precision)
    share = _share_of_singles(operator)
    if share in (0, 1) or not isinstance(operator, Fused):
        return _times(share, whole)
    parts = [part.cost(precision) for part in operator.parts]
    mine = [
        _singles(part, precision) if any(map(_core, leaves_of(part))) else _times(share, cost)
        for part, cost in zip(operator.parts, parts, strict=True)
    ]
    saved = reduce(add, (_times(S.NegativeOne, cost) for cost in parts), whole)
    return reduce(add, mine, _times(share, saved))


def _times(factor: Expr, cost: Cost) -> Cost:
    product: Cost = factor * cost
    return product


def computing(level: Level, part: Work, precision: Precision) -> Expr:
    """Seconds that what is beside a level computes."""
    if not level.computes:
        return S.Zero
    return Add(
        *(
            flops / level.peak(unit if isinstance(unit, Format) else precision.activations)
            for (unit, _), flops in part.done.items()
        )
    )


def check_computed(
    levels: tuple[Level, ...], trace: Trace, precision: Precision, model: str
) -> None:
    """Refuse operators that a level is to compute and a model does not have.

    Args:
        levels: the memories.
        trace: a pass over one token with everything in it.
        precision: its formats.
        model: what the model is called.

    Raises:
        SymbolError: a name that no operator has, or one without weights and cache.
    """
    known = dict.fromkeys(entry.name for entry in trace)
    costs = [entry.operator.cost(precision) for entry in trace]
    for level in levels:
        done = dict.fromkeys(
            entry.name
            for entry, share in zip(trace, _named(trace, costs, levels, level), strict=True)
            if share is not None
        )
        if ATTENTION in level.computes and any(attends(entry.operator) for entry in trace):
            done[ATTENTION] = None
        for name in level.computes:
            if name in done:
                continue
            why = f"has no operator {name!r} (it has {', '.join(known)})"
            if name == ATTENTION:
                why = "has no kernel of attention over a cache"
            elif name in known:
                why = f"has neither weights nor a cache in {name!r}: compute what is before it too"
            raise SymbolError(f"{level.name}: {model} {why}")


def _activations(cost: Cost) -> Expr:
    return cost.activation_read_bytes + cost.activation_write_bytes


def _cached(cost: Cost) -> Expr:
    return cost.kv_read_bytes + cost.kv_write_bytes


def channels(levels: tuple[Level, ...], parts: Iterable[Work]) -> list[Expr]:
    """Seconds that each memory of a level and each link is busy."""
    busy: dict[tuple[str, str], Expr] = {}
    for level, part in zip(levels, parts, strict=True):
        waiting = exact(level.latency) * part.waits
        rate = exact(level.bandwidth)
        memory, link = ("memory", level.name), ("link", level.through or level.name)
        if level.link is None:
            seconds = {link: waiting + (part.bytes + part.sent_bytes) / rate}
        else:
            crossing = part.bytes - part.inside_bytes + part.sent_bytes
            seconds = {memory: part.bytes / rate, link: waiting + crossing / exact(level.link)}
        for place, time in seconds.items():
            busy[place] = busy.get(place, S.Zero) + time
    return list(busy.values())
