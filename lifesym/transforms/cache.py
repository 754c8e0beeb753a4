r"""KV-cache policies: which tokens are kept, in what form, and what keeping them costs.

========================  =================================================================
option                    effect
========================  =================================================================
``budget``                at most so many tokens are kept: sinks and a window, or heavy hitters
``keep``                  a fixed share of the tokens is kept
``scored``                every score is accumulated and compared (heavy hitters, H2O)
``rank``                  keys and values of a head are kept as ``rank`` elements each
``share``                 so many neighbouring layers of a kind use the cache of the first of them
``page``                  tokens are read and held in whole pages
========================  =================================================================

A pass attends to what is kept of the past and to all of its new tokens; so a prompt computed in
one pass is attended in full and evicted afterwards (as SnapKV and H2O do), while a chunked prompt
meets only what earlier chunks left (as StreamingLLM does). In layers with a window the share and
the budget are those of the tokens in the window; where exact causal counts ask which of them a
query still sees, the kept tokens are the most recent ones, of which it sees most. Sources:
StreamingLLM, arXiv 2309.17453, section 3.2; H2O, 2306.14048, section 4; Palu, 2407.21118, section
3; YOCO, 2405.05254; PagedAttention, 2309.06180, section 4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sympy import Expr, sympify

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, Minimum
from lifesym.operators import (
    Alibi,
    AttentionScores,
    AttentionValues,
    HeadLinear,
    KVAppend,
    LatentExpand,
    Operator,
    Ranking,
    Rotary,
    Softmax,
)
from lifesym.operators.attention import share_of
from lifesym.symbols import Number, Size, exact, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused
from lifesym.transforms.tensor import once

TOKENS, FORM = "a choice of cached tokens", "another form of the cache"
"""What a policy decides; policies that decide different things may follow one another."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """What is kept of the past; the defaults keep everything.

    Attributes:
        budget: most tokens kept of a sequence.
        keep: share of the tokens kept, above 0 and at most 1.
        scored: tokens are ranked by accumulated scores: one addition and one comparison a score.
        rank: elements kept of each key head and value head; projections to and from them run.
        share: layers that share one cache.
        page: tokens of a page.
    """

    budget: Size | None = None
    keep: Number = 1
    scored: bool = False
    rank: Size | None = None
    share: Size = 1
    page: Size | None = None

    opens: ClassVar[Mapping[str, str]] = {
        "budget": "budget",
        "keep": "keep",
        "rank": "cache_rank",
        "share": "cache_layers",
        "page": "page",
    }

    def __call__(self, trace: Trace) -> Trace:
        """The trace under the policy.

        Raises:
            SymbolError: a value out of range, a trace that is fused or decided upon already, or
                has no attention to a cache, or a low-rank or shared cache of latents.
        """
        keep = exact(self.keep, "keep")
        if keep.is_number and not 0 < keep <= 1:
            raise SymbolError(f"keep must be above 0 and at most 1, not {self.keep}")
        for name, minimum in (("budget", 1), ("rank", 1), ("share", 1), ("page", 1)):
            value = getattr(self, name)
            if value is not None:
                size(value, name, minimum)
        if self == CachePolicy():
            return trace
        unfused(trace, "a cache policy")
        for aspect in self._aspects():
            once(trace, aspect)
        if not any(isinstance(entry.operator, KVAppend) for entry in trace):
            raise SymbolError("a cache policy: the model keeps no keys and values")
        latent = any(entry.name == "attn_kv_a" for entry in trace)
        if latent and (self.rank is not None or self.share != 1):
            raise SymbolError("latent attention keeps latents: no low-rank or shared cache of them")
        cores = {e.section: e.operator for e in trace if isinstance(e.operator, AttentionScores)}
        return Trace(tuple(row for e in trace for row in self._rows(e, cores.get(e.section))))

    def kept(self, past: Expr) -> Expr:
        """Tokens kept of so many."""
        kept = share_of(past, exact(self.keep))
        return kept if self.budget is None else Minimum(kept, self.budget)

    def _aspects(self) -> list[str]:
        """What it decides."""
        limited = self.budget is not None or self.page is not None
        tokens = limited or self.scored or exact(self.keep) != 1
        form = self.rank is not None or self.share != 1
        return [*([TOKENS] if tokens else []), *([FORM] if form else [])]

    def _rows(self, entry: Entry, core: AttentionScores | None) -> Iterator[Entry]:
        operator = entry.operator
        base, _, adapter = entry.name.partition("_lora_")
        if core is None:
            yield entry
        elif isinstance(operator, AttentionScores | AttentionValues):
            yield from self._attention(entry, operator)
        elif isinstance(operator, LatentExpand):
            yield self._expansion(entry, operator, core)
        elif isinstance(operator, Softmax | Alibi) or entry.name in ("attn_softcap", "attn_bias"):
            yield self._scores(entry, core)
        elif isinstance(operator, KVAppend):
            origin = ", ".join(filter(None, (entry.origin, *self._aspects())))
            yield self._by_owners(replace(entry, operator=self._append(operator), origin=origin))
        elif base in ("attn_k", "attn_v"):
            yield self._projection(entry, core, adapter)
        elif entry.name.removesuffix("_all_reduce") in ("attn_k_norm", "attn_v_norm"):
            yield self._by_owners(entry)
        elif isinstance(operator, Rotary) and self.share != 1:
            yield self._by_owners(entry)
            yield self._by_borrowers(entry, replace(operator, kv_heads=0))
        elif base == "attn_qkv_fused":
            yield from self._joint_projection(entry, core, adapter)
        else:
            yield entry

    def _attended(self, core: AttentionScores | AttentionValues) -> tuple[Expr, Expr]:
        """Keys and pairs that are left."""
        keys, pairs = sympify(core.keys), sympify(core.pairs)
        if core.past is None:
            return keys, pairs
        kept = self.kept(core.past.tokens)
        return keys - core.past.tokens + kept, pairs - core.past.unseen(core.new, kept)

    def _read(self, keys: Expr) -> Expr:
        """Keys that are read: those of whole pages."""
        return keys if self.page is None else self.page * CeilDiv(keys, self.page)

    def _scores(self, entry: Entry, core: AttentionScores) -> Entry:
        elements = core.batch * core.heads * self._attended(core)[1]
        return replace(entry, operator=replace(entry.operator, elements=elements))  # type: ignore[call-arg]

    def _attention(self, entry: Entry, core: AttentionScores | AttentionValues) -> Iterator[Entry]:
        keys, pairs = self._attended(core)
        head_dim = core.head_dim if self.rank is None else self.rank
        read = self._read(keys)
        changed = replace(entry, operator=replace(core, keys=read, pairs=pairs, head_dim=head_dim))
        extra = replace(entry, name="kv_low_rank", origin=FORM)
        square = HeadLinear(
            tokens=core.batch * core.new,
            heads=core.heads,
            in_features=core.head_dim,
            out_features=core.head_dim,
            role="low_rank",
        )
        if isinstance(core, AttentionScores):
            if self.rank is not None:
                down = replace(square, out_features=self.rank)
                yield replace(extra, operator=down)
            yield changed
            if self.scored:
                ranking = Ranking(elements=core.batch * core.heads * pairs)
                yield replace(extra, name="kv_ranking", operator=ranking)
        else:
            yield changed
            if self.rank is not None:
                up = replace(square, in_features=self.rank)
                yield replace(extra, operator=up)

    def _expansion(self, entry: Entry, operator: LatentExpand, core: AttentionScores) -> Entry:
        """Latents that are kept are expanded; they are read in whole pages."""
        keys, _ = self._attended(core)
        tokens, read = core.batch * keys, core.batch * self._read(keys)
        return replace(entry, operator=replace(operator, tokens=tokens, read=read))

    def _append(self, operator: KVAppend) -> KVAppend:
        """What is held: pages of the kept tokens, in the rank."""
        return replace(
            operator,
            elements=operator.elements if self.rank is None else 2 * self.rank,
            keep=exact(self.keep),
            budget=self.budget,
            page=self.page,
        )

    def _projection(self, entry: Entry, core: AttentionScores, adapter: str) -> Entry:
        """A key or value projection: into the rank, and in one of ``share`` layers only."""
        operator: Any = entry.operator
        out = operator.out_features
        if self.rank is not None and adapter != "a":
            out = out * self.rank / core.head_dim
        return self._by_owners(replace(entry, operator=replace(operator, out_features=out)))

    def _by_owners(self, entry: Entry) -> Entry:
        """In the layers that have a cache of their own."""
        if self.share == 1:
            return entry
        owners = CeilDiv(entry.count, sympify(self.share))
        copies = Minimum(entry.copies, owners)
        return replace(entry, count=owners, copies=copies, among="owners")

    def _by_borrowers(self, entry: Entry, operator: Operator) -> Entry:
        """In the others, which use the cache of one of them."""
        owners = self._by_owners(entry)
        count, copies = entry.count - owners.count, entry.copies - owners.copies
        return replace(entry, operator=operator, count=count, copies=copies, among="borrowers")

    def _joint_projection(
        self, entry: Entry, core: AttentionScores, adapter: str
    ) -> Iterator[Entry]:
        """Queries, keys and values at once; queries alone in layers that use another's cache."""
        operator: Any = entry.operator
        if adapter == "a":
            yield entry
            return
        both = 2 * core.kv_heads * core.head_dim
        queries = operator.out_features - both
        kept = both if self.rank is None else 2 * core.kv_heads * self.rank
        joint = replace(operator, out_features=queries + kept)
        yield self._by_owners(replace(entry, operator=joint))
        if self.share != 1:
            alone = replace(operator, out_features=queries)
            name = entry.name.replace("attn_qkv_fused", "attn_q")
            yield replace(self._by_borrowers(entry, alone), name=name)
