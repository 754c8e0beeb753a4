"""One pass over sequences of different shapes: unequal contexts, prefill chunks beside decode.

What works token by token (projections, norms, MLPs, experts) runs once over all the tokens, so that
its weights are read once. Attention works sequence by sequence: its operations and bytes are those
of the groups, added up in one dispatch. The convolutions and scans of recurrent mixers run once for
each shape, prompts apart from single tokens, as vLLM's do. Source: Orca, OSDI 2022, section 3.2
(selective batching); Sarathi-Serve, arXiv 2403.02310, section 4 (decodes in the chunks of a
prefill).
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from sympy import Add, Expr, sympify

from lifesym.checks import checked, checked_fields
from lifesym.errors import SpecError, SymbolError
from lifesym.inference import Forecast
from lifesym.operators import (
    AdapterMerge,
    AttentionScores,
    AttentionValues,
    CausalConv,
    Fused,
    Operator,
    PerShape,
)
from lifesym.operators.recurrent import Recurrent
from lifesym.symbols import Size
from lifesym.trace import Entry, Logits, Trace
from lifesym.transforms import SequenceParallel

_ADDED = (
    ("tokens",),
    ("rows",),
    ("elements",),
    ("batch",),
    ("tokens", "read"),
    ("read", "written"),
)
"""The sizes that grow with a pass, in operators of which nothing else differs between groups."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Group:
    """Sequences of one shape.

    Attributes:
        batch: how many.
        new: new tokens of each.
        past: cached tokens of each.
        logits: positions the LM head is applied to; ``none`` for a chunk but the last.
    """

    batch: Size = 1
    new: Size = 1
    past: Size = 0
    logits: Logits = "last"


_GROUP = re.compile(r"([1-9]\d{0,14})x([1-9]\d{0,14})@(\d{1,15})(?::(last|all|none))?", re.ASCII)


@checked
def read_groups(text: str) -> list[Group]:
    """Groups such as ``31x1@2000,1x512@0:none``: sequences, new tokens, cached ones, logits.

    Raises:
        SpecError: text that is none.
    """
    groups = []
    for part in map(str.strip, text.split(",")):
        match = _GROUP.fullmatch(part)
        if match is None:
            raise SpecError(f"{part!r} is not BxN@T, with :none, :last or :all at most")
        batch, new, past = map(int, match.groups()[:3])
        logits: Any = match[4] or "last"
        groups.append(Group(batch=batch, new=new, past=past, logits=logits))
    return groups


def mixed_trace(forecast: Forecast, groups: Iterable[Group]) -> Trace:
    """The trace of one pass over several groups, under every option of the forecast.

    Raises:
        SymbolError: no group, images in the prompts, or an operator with weights of which the
            groups' cannot be added up.
    """
    if forecast.seen:
        raise SymbolError("images: when a tower runs beside passes of several groups is not known")
    groups = list(groups)
    if not groups:
        raise SymbolError("a mixed pass needs at least one group")
    tokens = [sympify(group.batch) * group.new for group in groups]
    decodes = any(group.new == 1 for group in groups)
    traces = [
        _trace(forecast, group, Add(*tokens[:i]), decodes=decodes) for i, group in enumerate(groups)
    ]
    rows: dict[tuple[str, int], list[Entry]] = {}
    for trace in traces:
        seen: Counter[str] = Counter()
        for entry in trace:
            rows.setdefault((entry.path, seen[entry.path]), []).append(entry)
            seen[entry.path] += 1
    return Trace(
        tuple(
            replace(same[0], operator=_merged([entry.operator for entry in same]))
            for same in rows.values()
        )
    )


def _trace(forecast: Forecast, group: Group, before: Expr, *, decodes: bool) -> Trace:
    """The trace of a group, after so many tokens of others which devices share with its own.

    One convention of latents is all groups': that of decoding, where one of them decodes.
    """
    among = before / (sympify(group.batch) * group.new)
    rewrites = tuple(
        replace(rewrite, before=among) if isinstance(rewrite, SequenceParallel) else rewrite
        for rewrite in forecast.rewrites
    )
    part = replace(forecast, rewrites=rewrites)
    return part.trace(group.new, group.past, group.logits, batch=group.batch, decodes=decodes)


def _merged(parts: list[Operator]) -> Operator:
    """One operator for all the tokens; where it sees sequences, their sum in one dispatch."""
    first, *others = parts
    if not others or (isinstance(first, AdapterMerge) and first == others[0]):
        return first  # an adapter is merged once for all the tokens
    names = {item.name for item in fields(first)}
    for grows in (together for together in _ADDED if names.issuperset(together)):
        if all(_alike(first, other, grows) for other in others):
            added = {name: Add(*(getattr(part, name) for part in parts)) for name in grows}
            return replace(first, **added)
    kernels = [part for part in parts if isinstance(part, Fused) and len(part.parts) > 1]
    if any(kernel.rereads != 1 for kernel in kernels):
        parts = [_reread_inside(part) for part in parts]
        first, *others = parts
    if isinstance(first, Fused) and all(_same_parts(first, other) for other in others):
        return _merged_fused(parts)
    weighs = any(part.parameters != 0 for part in parts)
    if isinstance(first, Recurrent) or (isinstance(first, Fused) and weighs):
        return PerShape(parts=tuple(_by_shape([_plain(part) for part in parts])))
    if weighs:
        raise SymbolError(f"{type(first).__name__} cannot be shared by sequences of two shapes")
    return Fused(parts=tuple(parts), unread=0, unwritten=0)


def _reread_inside(kernel: Any) -> Any:
    """A kernel whose tiles read the cache again, as one in which the parts that read it say so."""
    again = {"unread": 0, "unwritten": 0, "rereads": kernel.rereads}
    inner = (
        Fused(parts=(part,), **again)
        if isinstance(part, AttentionScores | AttentionValues)
        else part
        for part in kernel.parts
    )
    return replace(kernel, parts=tuple(inner), rereads=1)


def _plain(part: Operator) -> Operator:
    """A convolution of single tokens does the same whether a state comes before them or not."""
    if isinstance(part, CausalConv) and part.new == 1:
        return replace(part, started=1)
    return part


def _by_shape(parts: list[Operator]) -> list[Operator]:
    """Those that differ in their batch alone as one; kernels of attention each stay."""
    if isinstance(parts[0], Fused):
        return parts
    shapes: list[list[Any]] = []
    for part in parts:
        like = next((group for group in shapes if _alike(group[0], part, ("batch",))), None)
        if like is None:
            shapes.append([part])
        else:
            like.append(part)
    return [replace(group[0], batch=Add(*(part.batch for part in group))) for group in shapes]


def _alike(first: Operator, other: Operator, grows: tuple[str, ...]) -> bool:
    if type(first) is not type(other):
        return False
    return replace(first, **{name: getattr(other, name) for name in grows}) == other


def _same_parts(first: Fused, other: Operator) -> bool:
    return (
        isinstance(other, Fused)
        and [type(part) for part in first.parts] == [type(part) for part in other.parts]
        and first.rereads == other.rereads == 1
    )


def _merged_fused(parts: list[Any]) -> Fused:
    columns = zip(*(part.parts for part in parts), strict=True)
    merged: Fused = replace(
        parts[0],
        parts=tuple(_merged(list(column)) for column in columns),
        unread=Add(*(part.unread for part in parts)),
        unwritten=Add(*(part.unwritten for part in parts)),
    )
    return merged
