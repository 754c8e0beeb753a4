"""Operator fusion: fewer dispatches, and intermediates that stay on the chip.

========================  ==========================================================
rule                      what one fused kernel does
========================  ==========================================================
``flash``                 scores, soft cap, bias, ranking, softmax, values: no score traffic;
                          attention to an encoder, too
``qkv``                   the three projections read their input once
``gate_up``               the gate and up projections read their input once
``activation``            the activation runs in the epilogue of the up projection; not where
                          adapters stand between the two
``norm``                  a residual sum is normalized before it leaves the kernel
``layer``                 a whole layer: only its input, output, weights and cache move
========================  ==========================================================

No rule changes operations or weight bytes. What an engine would copy of the cache inside a kernel
stays on the chip, too. FlashAttention reads keys and values once a tile of
queries (``tile``; once, with a tile that holds all of them). Keys and values that are not cached
(an encoder's, expanded latents) are counted as read once: a tile is refused there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import ClassVar, Literal, get_args

from sympy import Add, Expr

from lifesym.checks import checked, checked_fields
from lifesym.errors import SymbolError, one_of
from lifesym.nodes import CeilDiv, Minimum
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    CacheCopy,
    Linear,
    Operator,
    Ranking,
)
from lifesym.operators.fused import (
    Fused,
    SideBySide,
    chain,
    elements_read,
    elements_written,
    prologue,
)
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace

Rule = Literal["flash", "qkv", "gate_up", "activation", "norm", "layer"]
FUSIONS: dict[str, tuple[Rule, ...]] = {
    "none": (),
    "flash": ("flash",),
    "full": ("flash", "qkv", "gate_up", "activation", "norm"),
    "layer": ("layer",),
}
"""Named sets of rules."""

CORE = (
    *("attn_qk", "attn_softcap", "attn_bias", "attn_alibi", "kv_ranking", "attn_softmax"),
    *("attn_softmax_dropout", "attn_v_spread", "attn_av"),
)
"""The core of attention, of which one kernel can be made."""
_CROSS = ("cross_qk", "cross_softmax", "cross_softmax_dropout", "cross_av")
_GATE_UP = ("mlp_gate", "mlp_up")
_ACTIVATION = ("mlp_gate", "mlp_up", "mlp_gate_up_fused", "mlp_act")
_ADD_NORM = (
    {"attn_residual", "mlp_norm"},
    {"attn_residual", "attn_norm"},
    {"mlp_residual", "attn_norm"},
)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Fusion as a rewrite: `fuse` with its rules and tile."""

    rules: str | Iterable[Rule] = "none"
    tile: Size | None = None

    opens: ClassVar[Mapping[str, str]] = {"tile": "tile"}

    def __call__(self, trace: Trace) -> Trace:
        """The fused trace."""
        return fuse(trace, self.rules, self.tile)

    def __post_init__(self) -> None:
        """Check the rules and the tile."""
        object.__setattr__(self, "rules", rules_of(self.rules, self.tile))


def rules_of(rules: str | Iterable[Rule], tile: Size | None = None) -> tuple[Rule, ...]:
    """The rules of a named set, or those given.

    Raises:
        SymbolError: an unknown rule or set, or a tile that is no size or that no rule has.
    """
    if isinstance(rules, str):
        one_of(rules, FUSIONS, "fusion")
        rules = FUSIONS[rules]
    chosen = tuple(rules)
    for rule in chosen:
        one_of(rule, get_args(Rule), "fusion rule")
    if tile is not None:
        size(tile, "tile")
        if "flash" not in chosen:
            raise SymbolError("a tile is that of fused attention: it needs the fusion rule 'flash'")
    return chosen


@checked
def fuse(trace: Trace, rules: str | Iterable[Rule], tile: Size | None = None) -> Trace:
    """Apply fusion rules, or a named set of them (`FUSIONS`), to a trace.

    Raises:
        SymbolError: an unknown rule or set, a tile without a rule that has one or where keys are
            not cached, or whole layers of which some share a cache.
    """
    apply: dict[Rule, Callable[[Trace], Trace]] = {
        "flash": lambda t: _runs(
            _runs(t, CORE, "attn_core", lambda ops: _flash(ops, tile)),
            *(_CROSS, "cross_core", lambda ops: _flash(ops, tile)),
        ),
        "qkv": lambda t: _runs(t, ("attn_q", "attn_k", "attn_v"), "attn_qkv_fused", _side_by_side),
        "gate_up": lambda t: _runs(t, _GATE_UP, "mlp_gate_up_fused", _side_by_side),
        "activation": lambda t: _runs(t, _ACTIVATION, "mlp_up_act", _epilogue, ends="mlp_act"),
        "norm": _add_norms,
        "layer": _layers,
    }
    for rule in rules_of(rules, tile):
        trace = apply[rule](trace)
    return trace


def _fused(entries: Sequence[Entry], name: str, operator: Operator) -> Entry:
    return replace(entries[0], name=name, operator=operator, origin="fusion")


def _runs(
    trace: Trace,
    names: Sequence[str],
    name: str,
    build: Callable[[tuple[Operator, ...]], Operator],
    ends: str = "",
) -> Trace:
    """Replace each run of neighbours with these names, the last one's ``ends``, by one operator.

    Where layers share a cache, some of the run are in fewer layers than the rest: there all of it
    is one kernel, and in the other layers what is in every layer.
    """
    rows: list[Entry] = []
    for (_, inside), run in groupby(trace, key=lambda e: (e.section, e.name in names)):
        entries = list(run)
        if inside and len(entries) > 1 and ends in ("", entries[-1].name):
            for once in _each_time(entries):
                rows += (_kernel(part, name, build) for part in _by_layers(once))
        else:
            rows += entries
    return Trace(tuple(rows))


def _each_time(entries: list[Entry]) -> Iterator[list[Entry]]:
    """A run by what begins anew in it: attention may run twice, one after the other."""
    starts = [i for i, entry in enumerate(entries) if entry.name == entries[0].name]
    for start, end in pairwise((*starts, len(entries))):
        yield entries[start:end]


def _kernel(
    entries: Sequence[Entry], name: str, build: Callable[[tuple[Operator, ...]], Operator]
) -> Entry:
    if len(entries) == 1:
        return entries[0]
    return _fused(entries, name, build(tuple(e.operator for e in entries)))


def _by_layers(entries: list[Entry]) -> Iterator[list[Entry]]:
    """What runs together in one layer; the last of them are in as many layers as any, or fewer."""
    whole, part = entries[0], entries[-1]
    if whole.count == part.count:
        yield entries
        return
    copies = Minimum(whole.copies, part.count)
    yield [replace(e, count=part.count, copies=copies) for e in entries]
    others = {"count": whole.count - part.count, "copies": whole.copies - copies}
    yield [replace(e, **others) for e in entries if e.count == whole.count]


def _flash(parts: tuple[Operator, ...], tile: Size | None) -> Fused:
    scores = next(part for part in parts if isinstance(part, AttentionScores))
    if tile is not None and not scores.cached:
        raise SymbolError(
            "a tile is one of queries that read the KV cache: keys and values of encoders and of "
            "expanded latents (mla='expand') are not cached; leave out tile"
        )
    if tile is not None and scores.past is not None and scores.past.chosen:
        raise SymbolError("a tile is one of queries that read the same keys, not their own choice")
    core = chain(_inside(parts), rereads=1 if tile is None else CeilDiv(scores.new, tile))
    ranked = Add(*(elements_read(part) for part in parts if isinstance(part, Ranking)))
    return replace(core, unread=core.unread + ranked)


def _inside(parts: tuple[Operator, ...]) -> tuple[Operator, ...]:
    """The parts of a kernel that finds values which are in the keys where it read the keys.

    Copies of the cache are none of them.
    """
    kept = (part for part in parts if not isinstance(part, CacheCopy))
    return tuple(p.after_scores() if isinstance(p, AttentionValues) else p for p in kept)


def _side_by_side(parts: tuple[Operator, ...]) -> Operator:
    """One projection with the outputs of several that read the same input."""
    linears = [part for part in parts if isinstance(part, Linear)]
    same = len(linears) == len(parts) and len({replace(p, out_features=1) for p in linears}) == 1
    if same:
        return replace(linears[0], out_features=Add(*(p.out_features for p in linears)))
    shared: Expr = elements_read(parts[0])
    return SideBySide(parts=parts, unread=shared * (len(parts) - 1), unwritten=0)


def _epilogue(parts: tuple[Operator, ...]) -> Fused:
    """Projections and the activation of their outputs; gate and up share their input."""
    *projections, activation = parts
    between = elements_read(activation)
    joint = projections[0] if len(projections) == 1 else _side_by_side(tuple(projections))
    return Fused(parts=(joint, activation), unread=between, unwritten=between)


def _add_norms(trace: Trace) -> Trace:
    rows: list[Entry] = []
    for entry in trace:
        before = rows[-1] if rows else None
        pair = {before.name, entry.name} if before and before.section == entry.section else None
        if before and pair in _ADD_NORM and before.name.endswith("_residual"):
            operator = prologue((before.operator, entry.operator))
            rows[-1] = _fused([before], f"{before.name}_norm", operator)
        else:
            rows.append(entry)
    return Trace(tuple(rows))


def _layers(trace: Trace) -> Trace:
    """One kernel a layer: the residual stream in and out is all the activation traffic left."""
    rows: list[Entry] = []
    for section, run in groupby(trace, key=lambda e: e.section):
        entries = list(run)
        if section in ("embed", "head") or len(entries) == 1:
            rows.extend(entries)
            continue
        rows += (_fused(part, "layer", _layer(part)) for part in _by_kind(entries))
    return Trace(tuple(rows))


def _layer(entries: Sequence[Entry]) -> Fused:
    parts = _inside(tuple(entry.operator for entry in entries))
    stream = elements_written(parts[-1])
    read = Add(*(elements_read(part) for part in parts))
    written = Add(*(elements_written(part) for part in parts))
    return Fused(parts=parts, unread=read - stream, unwritten=written - stream)


def _by_kind(entries: list[Entry]) -> Iterator[list[Entry]]:
    """The layers of a section; those that share a cache are of two kinds, owners and borrowers."""
    entries = [entry for entry in entries if entry.count != 0]
    owned = next((entry.count for entry in entries if entry.among == "owners"), None)
    common = [entry for entry in entries if not entry.among]
    if len({entry.count for entry in common}) != 1:
        raise SymbolError("layers of which some run more often than others are not one kernel")
    if owned is None:
        yield entries
        return
    whole = common[0]
    copies = Minimum(whole.copies, owned)
    for kind, count, held in (
        ("owners", owned, copies),
        ("borrowers", whole.count - owned, whole.copies - copies),
    ):
        rows = (replace(e, count=count, copies=held) for e in entries if e.among in ("", kind))
        if count != 0:
            yield list(rows)


def unfused(trace: Trace, what: str) -> None:
    """Refuse a trace with fused kernels, whose parts a rewrite would not see.

    Raises:
        SymbolError: something is fused.
    """
    for entry in trace:
        if isinstance(entry.operator, Fused):
            raise SymbolError(f"{what} comes before fusion, but {entry.name} is fused already")
