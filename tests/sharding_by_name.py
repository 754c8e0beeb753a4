"""Tensor parallelism derived a second time: a trace of whole layers shared by operators' names.

The package shares blocks; here every operator of a trace is shared by what its name says it is.
The two agree (`tests/test_tensor_parallel.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, Maximum, Minimum
from lifesym.operators import (
    WKV,
    Activation,
    AdapterMerge,
    Alibi,
    AttentionScores,
    AttentionValues,
    CausalConv,
    ChannelDeltaRule,
    Collective,
    DeltaRule,
    DualScan,
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
    SelectiveScan,
    Softmax,
)
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace


def share(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of a size.

    Raises:
        SymbolError: it does not divide.
    """
    whole: Any = sympify(getattr(operator, field))
    part: Expr = whole / n
    if part.is_Rational and not part.is_Integer:
        raise SymbolError(f"{name}: {field} = {whole} cannot be split over {n} devices")
    return part


def kept(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of what is never split itself: at least one, where there are any.

    Raises:
        SymbolError: neither their number nor that of the devices divides the other.
    """
    whole: Any = sympify(getattr(operator, field))
    if whole.is_Integer and n.is_Integer and whole % n != 0 and n % whole != 0:
        raise SymbolError(f"{name}: {field} = {whole} and {n} devices do not divide")
    return whole if whole in (S.Zero, S.One) else Maximum(S.One, whole / n)


def shared_experts(trace: Trace) -> dict[int, str]:
    """What the operators of shared experts, which share one name, are like in a plain MLP.

    Projections before the activation are split by outputs and the one after it by inputs; a gate
    of the sum, one output a token, is repeated.
    """
    sides: dict[int, str] = {}
    before, activated, last = "", False, ""
    for i, entry in enumerate(trace):
        if not entry.name.startswith("moe_shared"):
            continue
        if entry.section != before:
            before, activated, last = entry.section, False, ""
        suffix = entry.name.removeprefix("moe_shared")
        if suffix:
            sides[i] = last + suffix
        elif isinstance(entry.operator, Linear):
            last = "mlp_up" if not activated else "mlp_down" if last == "mlp_up" else "moe_shared"
            sides[i] = last
        elif isinstance(entry.operator, Activation) and not activated:
            sides[i], activated = "mlp_act", True
    return sides


Scan = SelectiveScan | DualScan | DeltaRule


@dataclass(frozen=True, kw_only=True)
class Mixer:
    """A recurrent mixer of a section, split over n devices.

    Attributes:
        label: what the names of its operators begin with.
        scan: its scan; a short convolution has none.
        mine: one device's part of the scan.
        conv: its convolution.
        n: devices.
    """

    label: str
    scan: Scan | None
    mine: Scan | None
    conv: CausalConv
    n: Expr

    def part(self, entry: Entry, before: Entry | None) -> tuple[Operator, Expr | None]:
        """The part of one of its operators, and the elements that are summed up after it."""
        operator: Any = entry.operator
        if isinstance(operator, Linear | AdapterMerge):
            return self._linear(entry, operator)
        if isinstance(operator, CausalConv):
            return replace(operator, channels=self._channels), None
        if isinstance(operator, Activation):
            after_conv = before is not None and isinstance(before.operator, CausalConv)
            whole = operator.elements
            kept = whole / self.conv.channels * self._channels if after_conv else whole / self.n
            return replace(operator, elements=kept), None
        if isinstance(operator, Norm):
            return self._norm(operator)
        if isinstance(operator, Scale) and before is not None:
            projected: Any = before.operator
            part = self._linear(before, projected)[0].out_features / projected.out_features
            return replace(operator, elements=operator.elements * part), None
        if isinstance(operator, Residual):
            return replace(operator, elements=operator.elements / self.n), None
        if self.mine is None or type(operator) is not type(self.scan):
            raise SymbolError(f"{entry.path}: how devices would share it is not known")
        return self.mine, None

    @property
    def sharing(self) -> Expr:
        """Devices that have one group's heads together, and sum up its norm."""
        groups = sympify(self.scan.groups) if isinstance(self.scan, DualScan) else S.One
        return self.n if groups is S.One else Maximum(S.One, self.n / groups)

    @property
    def _channels(self) -> Expr:
        """Channels of the convolution on a device."""
        scan = self.mine
        if scan is None:
            return share(self.conv, "channels", self.n, self.label.rstrip(":"))
        if isinstance(scan, SelectiveScan):
            return sympify(scan.inner)
        if isinstance(scan, DualScan):
            return scan.heads * scan.head_dim + 2 * scan.groups * scan.state
        return 2 * scan.key_heads * scan.key_dim + scan.heads * scan.value_dim

    def _linear(self, entry: Entry, operator: Any) -> tuple[Any, Expr | None]:
        """A projection's part; a low-rank adapter follows the projection it adapts."""
        base, _, adapter = entry.name.removeprefix(self.label).partition("_lora_")
        rows = base in ("out_proj", "x_proj")
        if rows and adapter != "b":
            summed = None if adapter else operator.tokens * operator.out_features
            whole: Any = sympify(operator.in_features)
            return replace(operator, in_features=whole / self.n), summed
        if rows or adapter == "a":
            return operator, None
        out: Any = sympify(operator.out_features)
        if base == "in_proj" and isinstance(self.scan, DualScan):  # gate, channels with B and C, dt
            out = out - self.conv.channels
            return replace(operator, out_features=out / self.n + self._channels), None
        return replace(operator, out_features=out / self.n), None

    def _norm(self, norm: Norm) -> tuple[Operator, Expr | None]:
        if isinstance(self.scan, DeltaRule):
            return replace(norm, rows=sympify(norm.rows) / self.n), None
        if isinstance(self.scan, DualScan) and isinstance(self.mine, DualScan):
            groups, mine = sympify(self.scan.groups), sympify(self.mine.groups)
            rows, channels = norm.rows / groups * mine, norm.features * groups / self.n
            part = replace(norm, rows=rows, features=channels / mine, sets=mine)
            return part, None if self.sharing is S.One else rows
        return norm, None


def mixers(trace: Iterable[Entry], n: Expr) -> dict[str, Mixer]:
    """The recurrent mixer of every section that has one.

    Raises:
        SymbolError: channels, heads or groups that do not divide.
    """
    scans: dict[str, Scan] = {}
    convs: dict[str, tuple[str, CausalConv]] = {}
    for entry in trace:
        if isinstance(entry.operator, SelectiveScan | DualScan | DeltaRule):
            scans[entry.section] = entry.operator
        elif isinstance(entry.operator, CausalConv):
            convs[entry.section] = entry.name.partition(":")[0], entry.operator
    found = {}
    for section, (name, conv) in convs.items():
        scan = scans.get(section)
        mine = None if scan is None else _split(scan, n, name)
        found[section] = Mixer(label=f"{name}:", scan=scan, mine=mine, conv=conv, n=n)
    return found


def _split(scan: Scan, n: Expr, name: str) -> Scan:
    """One device's part of a scan."""
    if isinstance(scan, ChannelDeltaRule):
        raise SymbolError(f"tensor parallelism: how devices would share {name!r} is not known")
    if isinstance(scan, SelectiveScan):
        return replace(scan, inner=share(scan, "inner", n, name))
    heads = share(scan, "heads", n, name)
    if isinstance(scan, DualScan):
        return replace(scan, heads=heads, groups=kept(scan, "groups", n, name))
    return replace(scan, heads=heads, key_heads=share(scan, "key_heads", n, name))


ORIGIN = "tensor parallelism"

_COLUMNS = frozenset(
    {
        *("attn_q", "attn_q_b", "attn_kv_b", "attn_g", "mlp_gate", "mlp_up", "mlp_gate_up_fused"),
        *("time_mix:key", "time_mix:value", "time_mix:receptance", "channel_mix:key"),
        *("cross_q", "cross_k", "cross_v"),
    }
)
"""Projections split by outputs."""
_KEYS_VALUES = frozenset({"attn_k", "attn_v"})
"""Projections split by outputs as far as there are heads."""
_ROWS = frozenset({"attn_o", "cross_o", "mlp_down", "time_mix:output", "channel_mix:value"})
"""Projections split by inputs, after which the devices' partial sums are added up."""
_ELEMENTS = frozenset(
    {
        *("mlp_act", "mlp_sparse", "mlp_gate_scale", "mlp_up_scale", "attn_g_scale"),
        *("attn_gate", "attn_softcap", "attn_bias", "attn_q_scale"),
        *("time_mix:gate", "channel_mix:act"),
    }
)
"""Elementwise operators of what is split."""

_INNER = frozenset({"attn_out_norm", "mlp_inner_norm"})
"""Norms of what is split, whose squares the devices add up."""
_REPEATED = frozenset(
    {
        *("embedding_norm", "embedding_scale", "positions", "token_types"),
        *("cross_norm", "cross_residual", "final_scale", "audio_conv", "audio_act"),
        *("other_proj", "final_norm", "logits_scale", "logits_softcap", "lm_head"),
        *("cluster_scores", "cluster_choice", "cluster_logits"),
        *("score", "pooler_act", "draft_proj", "draft_act", "draft_residual"),
        *("attn_norm", "attn_post_norm", "attn_residual", "attn_scale"),
        *("attn_q_a", "attn_q_a_norm", "attn_kv_a", "attn_kv_a_norm"),
        *("attn_filter", "attn_filter_residual", "attn_filter_norm"),
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
        *("logits_act", "logits_norm", "loop_norm", "loop_residual", "loop_start"),
        *("attn_change_residual", "mlp_change_residual"),
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


@dataclass(frozen=True, kw_only=True)
class ByName:
    """A rewrite that shares every operator of a trace over ``devices``."""

    devices: Size

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one of the devices.

        Raises:
            SymbolError: heads, channels or the intermediate size do not divide, or an operator that
                it is not known how to share.
        """
        n = size(self.devices, "devices")
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
            reduce = Collective(pattern="all_reduce", elements=elements, devices=n)
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
            n = part.spread(entry)
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
        if name in _INNER and isinstance(operator, Norm):
            return replace(operator, features=self._share(operator, "features", name))
        if name == "attn_k_scale" and isinstance(operator, Scale):
            return replace(operator, elements=self._kept(sympify(operator.elements)))
        if name in _ELEMENTS and isinstance(operator, Activation | Scale | Residual):
            learned = isinstance(operator, Scale) and operator.gains != 0
            fields = ("elements", "gains") if learned else ("elements",)
            return replace(operator, **{each: self._share(operator, each, name) for each in fields})
        if isinstance(operator, LMHead):
            return replace(operator, vocab=CeilDiv(operator.vocab, self.n))
        if isinstance(operator, Embedding) and entry.name == "embedding":
            return replace(operator, rows=CeilDiv(operator.rows, self.n))
        if isinstance(operator, Embedding) and entry.name == "relative_positions":
            return replace(operator, features=self._share(operator, "features", name))
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
        """How many devices have a norm's row together: one where all have the same head."""
        if self.core is None or self.name(entry) in {"attn_q_norm", *_INNER}:
            return self.n
        return 1 + (self.n - 1) * Minimum(S.One, sympify(self.core.kv_heads) - 1)

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
