r"""What an engine does with the cache beside reading it: it concatenates it, or repeats it.

========================  =================================================================
option                    what every attention layer does in every pass
========================  =================================================================
``concatenated``          past and new tokens are joined in a new tensor: all that was cached
                          is read and written once more
``repeated="heads"``      keys and values are written once for every query head, where groups
                          of them share one, and read so by the products
``repeated="layout"``     keys, and unless the kernel takes the products together values, are
                          written out once for all query heads and not read from there
========================  =================================================================

The first two are transformers' (``DynamicLayer.update`` and ``repeat_kv``), where a layer whose
query heads have keys of their own repeats nothing. The third is the traffic of LIFE's tables 7, 9
and 11 (arXiv 2508.00904): keys as wide as all query heads once more, and where attention is not
fused values, too. Latents are concatenated and never repeated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeGuard

from sympy import S, sympify

from lifesym.checks import checked_fields
from lifesym.nodes import Minimum
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    CacheCopy,
    KVAppend,
    Operator,
    Softmax,
    SourceAppend,
)
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused

Repeated = Literal["none", "heads", "layout"]
ORIGIN = "copies of the cache"


@checked_fields
@dataclass(frozen=True, kw_only=True)
class CacheCopies:
    """Copies of the cache that every pass makes.

    Attributes:
        concatenated: new tokens are appended by a copy of the whole cache.
        repeated: how keys and values are written out for the query heads.
    """

    concatenated: bool = False
    repeated: Repeated = "none"

    def __call__(self, trace: Trace) -> Trace:
        """The trace with the copies.

        Raises:
            SymbolError: a trace that is fused already.
        """
        if self == CacheCopies():
            return trace
        unfused(trace, "a copy of the cache")
        cores = {
            entry.section: entry.operator
            for entry in trace
            if isinstance(entry.operator, AttentionScores) and entry.operator.past is not None
        }
        latent = {e.section for e in trace if getattr(e.operator, "in_keys", False)}
        rows: list[Entry] = []
        for entry in trace:
            operator, core = entry.operator, cores.get(entry.section)
            if isinstance(operator, KVAppend) and core is not None:
                rows += self._appended(entry, operator, core)
            elif _of_heads(operator) and entry.section not in latent:
                rows += self._repeated(entry, operator)
            else:
                rows.append(entry)
        return Trace(tuple(rows))

    def _appended(self, entry: Entry, append: KVAppend, core: AttentionScores) -> Iterator[Entry]:
        yield entry
        if self.concatenated and core.past is not None and not isinstance(append, SourceAppend):
            held = core.batch * append.held(core.past.before - core.past.fresh)
            copy = CacheCopy(read=held, written=held)
            yield replace(entry, name="kv_concat", operator=copy, origin=ORIGIN)

    def _repeated(self, entry: Entry, core: AttentionScores | AttentionValues) -> Iterator[Entry]:
        grouped, whole = (
            n * core.batch * core.keys * core.head_dim for n in (core.kv_heads, core.heads)
        )
        scores = isinstance(core, AttentionScores)
        if self.repeated == "layout":
            name = "attn_k_spread" if scores else "attn_v_spread"
            spread = CacheCopy(read=0, written=whole)
            yield replace(entry, name=name, operator=spread, origin=ORIGIN)
            yield entry
            return
        several = Minimum(S.One, sympify(core.heads) / core.kv_heads - 1)
        if self.repeated == "none" or several == 0:
            yield entry
            return
        if scores:
            copy = CacheCopy(read=grouped, written=whole)
            for name in ("attn_k_repeat", "attn_v_repeat"):
                repeat = replace(entry, name=name, operator=copy, origin=ORIGIN)
                yield replace(repeat, count=several * entry.count)
        yield replace(entry, operator=replace(core, kv_heads=core.heads))


@checked_fields
@dataclass(frozen=True, kw_only=True)
class ScorePasses:
    """Kernels between the products of attention that each read and write all scores.

    Attributes:
        passes: how many: 1 is the softmax alone.
    """

    passes: Size = 1

    def __call__(self, trace: Trace) -> Trace:
        """The trace with so many of them.

        Raises:
            SymbolError: no size, or a trace that is fused already.
        """
        passes = size(self.passes, "score passes")
        if passes == 1:
            return trace
        unfused(trace, "a pass over scores")
        return trace.having(Softmax, passes=passes)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class ScoreBlocks:
    """A kernel of one query that starts a block of threads for each of its scores.

    The cost stays; a device with a `score_time` takes it for each (see `lifesym.roofline`).

    Attributes:
        each: whether it does.
    """

    each: bool = False

    def __call__(self, trace: Trace) -> Trace:
        """The trace with such kernels.

        Raises:
            SymbolError: a trace that is fused already.
        """
        if not self.each:
            return trace
        unfused(trace, "a block of threads a score")
        return trace.having(AttentionScores, blocks=True)


def _of_heads(operator: Operator) -> TypeGuard[AttentionScores | AttentionValues]:
    """Whether it is attention to cached keys and values, and not to those of an encoder."""
    if not isinstance(operator, AttentionScores | AttentionValues):
        return False
    return operator.cached and operator.past is not None
