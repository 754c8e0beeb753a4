r"""Tensor parallelism: every layer split over n devices, as a rewrite of the trace.

The rewritten trace is what *one* device does, with its collectives. Projections into heads or the
intermediate size are split by columns, the projections out of them by rows, and an all-reduce of
the residual stream follows each of the latter. Attention works on $h/n$ heads. A head of keys and
values is never split: with fewer of them than devices each device has one, with its projections,
its norm and its cache. The vocabulary is split, rounded up: the embedding is summed up by an
all-reduce, the logits are joined by an all-gather. What works on the residual stream is repeated on
every device: norms, residual sums, routers, adapters after a block (``_REPEATED``); an operator
that is named nowhere here is refused. Recurrent mixers are split by
channels or heads (`lifesym.transforms.mixers`); RWKV's time mixing by channels, its channel mixing
as an MLP of which the token shift and the receptance are repeated.
Sources: Shoeybi et al., Megatron-LM, arXiv 1909.08053, section 3; keys and values of grouped
queries: Pope et al., 2211.05102, section 3.3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import Expr, S, sympify

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, Maximum, Minimum
from lifesym.operators import (
    WKV,
    Activation,
    AdapterMerge,
    Alibi,
    AttentionScores,
    AttentionValues,
    Collective,
    Embedding,
    Experts,
    HeadLinear,
    KVAppend,
    Linear,
    LMHead,
    Norm,
    Operator,
    Ranking,
    Residual,
    Rotary,
    Scale,
    Softmax,
)
from lifesym.operators.collective import Algorithm
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused
from lifesym.transforms.mixers import mixers
from lifesym.transforms.split import kept, once, share, shared_experts

ORIGIN = "tensor parallelism"

_COLUMNS = frozenset(
    {
        *("attn_q", "attn_q_b", "attn_kv_b", "mlp_gate", "mlp_up", "mlp_gate_up_fused"),
        "attn_g",
        *("time_mix:key", "time_mix:value", "time_mix:receptance", "channel_mix:key"),
    }
)
"""Projections split by outputs."""
_KEYS_VALUES = frozenset({"attn_k", "attn_v"})
"""Projections split by outputs as far as there are heads."""
_ROWS = frozenset({"attn_o", "mlp_down", "time_mix:output", "channel_mix:value"})
"""Projections split by inputs, after which the devices' partial sums are added up."""
_ELEMENTS = frozenset(
    {
        *("mlp_act", "mlp_sparse", "mlp_gate_scale"),
        *("attn_gate", "attn_softcap", "attn_bias", "attn_q_scale"),
        *("time_mix:gate", "channel_mix:act"),
    }
)
"""Elementwise operators of what is split."""

_REPEATED = frozenset(
    {
        *("embedding_norm", "embedding_scale", "positions", "token_types", "relative_positions"),
        *("other_proj", "final_norm", "logits_scale", "logits_softcap", "lm_head"),
        *("score", "pooler_act", "draft_proj", "draft_act", "draft_residual"),
        *("attn_norm", "attn_post_norm", "attn_residual", "attn_scale"),
        *("attn_q_a", "attn_q_a_norm", "attn_kv_a", "attn_kv_a_norm"),
        *("mlp_norm", "mlp_post_norm", "mlp_residual", "mlp_scale", "mlp_out_scale"),
        *("moe_router", "moe_router_norm", "moe_router_scale", "moe_topk", "moe_shared"),
        *("moe_dispatch", "moe_combine"),
        *("moe_norm", "moe_out_norm", "mlp_out_norm", "moe_sum", "moe_latent_in", "moe_latent_out"),
        *("layer_scale", "mixer_scale", "mixer_sum", "shared_out", "shared_residual"),
        *("layer_embedding", "layer_embedding_scale", "layer_embedding_proj"),
        *("layer_embedding_norm", "layer_embedding_sum", "layer_embed_in", "layer_embed_act"),
        *("layer_embed_out", "layer_embed_norm", "layer_embed_residual"),
        *("altup_norm", "altup_router", "altup_act", "altup_predict", "altup_correct", "altup_mix"),
        *("laurel", "laurel_up", "laurel_norm"),
        *("streams_open", "streams_open_norm", "streams_mean"),
        *("streams_close", "streams_close_norm"),
        *("time_mix:shift", "channel_mix:shift", "channel_mix:receptance", "channel_mix:gate"),
    }
)
"""What every device has whole: it works on the residual stream, on latents or on all logits."""

_SPLIT: tuple[tuple[type[Operator] | tuple[type[Operator], ...], tuple[str, ...]], ...] = (
    ((AttentionScores, AttentionValues), ("heads", "kv_heads")),
    (HeadLinear, ("heads",)),
    (KVAppend, ("kv_heads",)),
    (Softmax, ("elements", "sinks")),
    ((Alibi, Ranking), ("elements",)),
    (Rotary, ("heads", "kv_heads")),
    (Experts, ("intermediate",)),
    (WKV, ("channels",)),
)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class TensorParallel:
    """Split every layer over ``devices``, with all-reduces after attention and after the MLP.

    Attributes:
        devices: how many.
        algorithm: of the all-reduce.
    """

    devices: Size
    algorithm: Algorithm = "ring"

    opens: ClassVar[Mapping[str, str]] = {"devices": "devices"}

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one of the devices.

        Raises:
            SymbolError: heads, channels or the intermediate size do not divide, a trace that is
                fused or split already, or an operator that it is not known how to share.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        unfused(trace, "tensor parallelism")
        once(trace, ORIGIN)
        cores = {e.section: e.operator for e in trace if isinstance(e.operator, AttentionScores)}
        for core in cores.values():
            share(core, "heads", n, "attention")
            kept(core, "kv_heads", n, "attention")
        shared, recurrent = shared_experts(trace), mixers(trace, n)
        rows: list[Entry] = []
        before: Entry | None = None
        for i, entry in enumerate(trace):
            mixer = recurrent.get(entry.section)
            if mixer is not None and entry.name.startswith(mixer.label):
                operator, summed = mixer.part(entry, before)
                split = replace(entry, operator=operator, origin=entry.origin or ORIGIN)
                among = mixer.sharing if isinstance(operator, Norm) else n
                rows += [split, *self._summed(split, summed, among)]
            else:
                again = before is not None and before.name == entry.name
                side = shared.get(i, "")
                part = _Part(n=n, core=cores.get(entry.section), side=side, again=again)
                rows.extend(self._rows(entry, part))
            before = entry
        return Trace(tuple(rows))

    def _summed(self, split: Entry, elements: Expr | None, n: Expr) -> Iterator[Entry]:
        """The all-reduce after an operator, if there is one."""
        if elements is not None:
            reduce = Collective(
                pattern="all_reduce", elements=elements, devices=n, algorithm=self.algorithm
            )
            yield replace(split, name=f"{split.name}_all_reduce", operator=reduce)

    def _rows(self, entry: Entry, part: "_Part") -> Iterator[Entry]:
        n, operator = part.n, entry.operator
        split = replace(entry, operator=part.of(entry), origin=entry.origin or ORIGIN)
        yield split
        summed: Expr | None = None
        if part.name(entry) in _ROWS and isinstance(operator, Linear):
            summed = operator.tokens * operator.out_features
        elif isinstance(operator, Experts):
            summed = operator.tokens * operator.hidden
        elif isinstance(operator, Embedding) and entry.name == "embedding":
            summed = operator.tokens * operator.features
        elif isinstance(operator, Norm) and split.operator != operator and part.whole_row(operator):
            summed = sympify(operator.rows)  # the sum of squares of a row that several devices hold
            split = replace(split, count=split.count * part.spread(entry))
        yield from self._summed(split, summed, n)
        if isinstance(operator, LMHead):
            logits = operator.tokens * operator.vocab
            gather = Collective(pattern="all_gather", elements=logits, devices=n)
            yield replace(split, name="lm_head_all_gather", operator=gather)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One device's part of the operators of a section.

    Attributes:
        n: devices.
        core: the section's attention, if it has one.
        side: the projection of a plain MLP that an operator of the shared experts is like.
        again: the operator before has the same name.
    """

    n: Expr
    core: AttentionScores | None
    side: str = ""
    again: bool = False

    def name(self, entry: Entry) -> str:
        """The name by which the tables above know it."""
        return self.side or entry.name

    def of(self, entry: Entry) -> Operator:
        """The operator's part."""
        operator, name = entry.operator, self.name(entry)
        if name.endswith("_adapter"):
            return self._shared_adapter(operator, name)
        if isinstance(operator, Linear | AdapterMerge):
            return self._linear(operator, name)
        if isinstance(operator, Norm) and name in ("attn_q_norm", "attn_k_norm", "attn_v_norm"):
            field = "features" if self.whole_row(operator) else "rows"
            whole = sympify(getattr(operator, field))
            part = whole / self.n if name == "attn_q_norm" else self._kept(whole)
            shared = operator.sets == 1 or field == "features"
            sets = operator.sets if shared else operator.sets * part / whole
            return replace(operator, **{field: part}, sets=sets)
        if name == "attn_k_scale" and isinstance(operator, Scale):
            return replace(operator, elements=self._kept(sympify(operator.elements)))
        if name in _ELEMENTS and isinstance(operator, Activation | Scale | Residual):
            return replace(operator, elements=self._share(operator, "elements", name))
        if isinstance(operator, LMHead):
            return replace(operator, vocab=CeilDiv(operator.vocab, self.n))
        if isinstance(operator, Embedding) and entry.name == "embedding":
            return replace(operator, rows=CeilDiv(operator.rows, self.n))
        for kinds, fields in _SPLIT:
            if isinstance(operator, kinds):
                return replace(operator, **dict(self._fields(operator, fields, name)))
        return self._whole(operator, name)

    def _shared_adapter(self, operator: Operator, name: str) -> Operator:
        """An adapter of a block that layers share: down whole, up and its sum as the projection."""
        field = "out_features" if isinstance(operator, Linear) else "elements"
        if not self.again:
            return operator
        return replace(operator, **{field: self._share(operator, field, name)})

    def _whole(self, operator: Operator, name: str) -> Operator:
        """What every device has whole.

        Raises:
            SymbolError: it is not known to be.
        """
        adapted, _, bottleneck = name.partition("_adapter_")
        base = adapted.partition("_lora_")[0]
        ends = base in _ROWS or base == "moe_experts"
        if base in _REPEATED or (bottleneck and ends):
            return operator
        raise SymbolError(f"tensor parallelism: how devices would share {name!r} is not known")

    def whole_row(self, norm: Norm) -> bool:
        """Whether a norm of queries or keys is over all heads together."""
        return self.core is not None and norm.rows == self.core.batch * self.core.new

    def spread(self, entry: Entry) -> Expr:
        """Whether devices hold different heads of a norm's row: 1, or 0 where all hold the one."""
        if self.core is None or self.name(entry) == "attn_q_norm":
            return S.One
        return Minimum(S.One, sympify(self.core.kv_heads) - 1)

    def _fields(
        self, operator: Operator, fields: tuple[str, ...], name: str
    ) -> Iterator[tuple[str, Expr]]:
        for field in fields:
            if field != "kv_heads":
                yield field, self._share(operator, field, name)
                continue
            known = "heads" if isinstance(operator, KVAppend) else field
            yield known, kept(operator, known, self.n, name)

    def _linear(self, operator: Linear | AdapterMerge, name: str) -> Operator:
        """A projection's part; a low-rank adapter follows the projection it adapts."""
        base, _, adapter = name.partition("_lora_")
        if base in _ROWS and adapter != "b":
            return replace(operator, in_features=self._share(operator, "in_features", name))
        if adapter == "a" or base in _ROWS:
            return operator
        out = sympify(operator.out_features)
        if base in _COLUMNS:
            return replace(operator, out_features=self._share(operator, "out_features", name))
        if base in _KEYS_VALUES:
            return replace(operator, out_features=self._kept(out))
        if base == "attn_qkv_fused" and self.core is not None:
            both = 2 * sympify(self.core.kv_heads) * sympify(self.core.head_dim)
            return replace(operator, out_features=(out - both) / self.n + self._kept(both))
        return self._whole(operator, name)

    def _kept(self, whole: Expr) -> Expr:
        """The part of something that every head of keys or values has an equal part of."""
        if self.core is None:
            return whole * Maximum(S.One, 1 / self.n)
        heads = sympify(self.core.kv_heads)
        return whole * kept(self.core, "kv_heads", self.n, "attention") / heads

    def _share(self, operator: Operator, field: str, name: str) -> Expr:
        return share(operator, field, self.n, name)
