r"""One model on several devices: tensor, expert and data parallelism as rewrites of the trace.

The rewritten trace is what *one* device does, with its collectives.

**Tensor parallel** (n devices): projections into heads or the intermediate size are split by
columns, the projections out of them by rows, and an all-reduce of the residual stream follows
each of the latter; attention works on $h/n$ heads, the LM head on $V/n$ logits, which an
all-gather joins. With fewer key-value heads than devices each device keeps one. Norms, residuals,
embeddings and routers are repeated on every device.
Source: Shoeybi et al., Megatron-LM, arXiv 1909.08053, section 3.

**Expert parallel**: every device holds $E/n$ experts and computes its share of the tokens' choices;
one all-to-all brings k copies of each token there and one brings them back.
Source: Lepikhin et al., GShard, arXiv 2006.16668, section 3.

**Data parallel**: every device computes its share of the batch; nothing is exchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.operators import (
    Activation,
    Alibi,
    AttentionScores,
    AttentionValues,
    Collective,
    Experts,
    HeadLinear,
    KVAppend,
    Linear,
    LMHead,
    Norm,
    Operator,
    Rotary,
    Scale,
    Softmax,
)
from lifesym.operators.collective import Algorithm
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused

_ROWS = frozenset({"attn_o", "mlp_down"})
"""Projections split by rows, after which the devices' partial sums are added up."""

_REPEATED = frozenset({"moe_router", "attn_q_a", "attn_kv_a", "other_proj"})
"""Projections that every device computes in full."""

_SPLIT: tuple[tuple[type[Operator], tuple[str, ...]], ...] = (
    (AttentionScores, ("heads", "kv_heads")),
    (AttentionValues, ("heads", "kv_heads")),
    (HeadLinear, ("heads",)),
    (KVAppend, ("heads",)),
    (Softmax, ("elements", "sinks")),
    (Alibi, ("elements",)),
    (Rotary, ("heads", "kv_heads")),
    (Activation, ("elements",)),
    (LMHead, ("vocab",)),
    (Experts, ("intermediate",)),
)


@dataclass(frozen=True, kw_only=True)
class TensorParallel:
    """Split every layer over ``devices``, with all-reduces after attention and after the MLP.

    Attributes:
        devices: how many.
        algorithm: of the all-reduce.
    """

    devices: Size
    algorithm: Algorithm = "ring"

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one of the devices.

        Raises:
            SymbolError: heads, intermediate size or vocabulary do not divide, or a trace that is
                fused already.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        unfused(trace, "tensor parallelism")
        return Trace(tuple(row for entry in trace for row in self._rows(entry, n)))

    def _rows(self, entry: Entry, n: Expr) -> Iterator[Entry]:
        split = replace(entry, operator=_split(entry, n), origin="tensor parallel")
        yield split
        operator = entry.operator
        if entry.name in _ROWS and isinstance(operator, Linear):
            outputs = operator.tokens * operator.out_features
            reduce = Collective(
                pattern="all_reduce", elements=outputs, devices=n, algorithm=self.algorithm
            )
            yield replace(split, name=f"{entry.name}_all_reduce", operator=reduce)
        elif isinstance(operator, Experts):
            outputs = operator.tokens * operator.hidden
            reduce = Collective(
                pattern="all_reduce", elements=outputs, devices=n, algorithm=self.algorithm
            )
            yield replace(split, name=f"{entry.name}_all_reduce", operator=reduce)
        elif isinstance(operator, LMHead):
            logits = operator.tokens * operator.vocab
            gather = Collective(pattern="all_gather", elements=logits, devices=n)
            yield replace(split, name="lm_head_all_gather", operator=gather)


def _split(entry: Entry, n: Expr) -> Operator:
    operator = entry.operator
    if isinstance(operator, Linear):
        part = _split_side(entry.name)
        if part is None:
            return operator
        return replace(operator, **{part: _share(operator, part, n, entry.name)})
    if isinstance(operator, Scale) and entry.name == "attn_softcap":
        return replace(operator, elements=_share(operator, "elements", n, entry.name))
    if isinstance(operator, Norm) and entry.name in ("attn_q_norm", "attn_k_norm"):
        return replace(operator, rows=sympify(operator.rows) / n)
    for kind, names in _SPLIT:
        if isinstance(operator, kind):
            return replace(operator, **{f: _share(operator, f, n, entry.name) for f in names})
    return operator


def _split_side(name: str) -> str | None:
    """Which side of a projection is split; an adapter follows the projection it adapts."""
    base, _, adapter = name.partition("_lora_")
    if base in _REPEATED:
        return None
    if base in _ROWS:
        return None if adapter == "b" else "in_features"
    return None if adapter == "a" else "out_features"


def _share(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of a size; a head of keys and values is never split."""
    whole: Any = sympify(getattr(operator, field))
    part: Expr = whole / n
    if field == "kv_heads" or isinstance(operator, KVAppend):
        return whole if whole.is_zero else Maximum(S.One, part)
    if part.is_Rational and not part.is_Integer:
        raise SymbolError(f"{name}: {field} = {whole} cannot be split over {n} devices")
    return part


@dataclass(frozen=True, kw_only=True)
class ExpertParallel:
    """Spread the experts over ``devices``; everything else is repeated, on its own tokens."""

    devices: Size

    def __call__(self, trace: Trace) -> Trace:
        """The trace of one device, whose tokens are those of the trace.

        Each device brings its own tokens, so the experts see n times as many in all, and each
        device computes as many choices as its own tokens make, on ``E/n`` experts.

        Raises:
            SymbolError: the experts do not divide.
        """
        n = size(self.devices, "devices")
        if n is S.One:
            return trace
        return Trace(tuple(row for entry in trace for row in self._rows(entry, n)))

    def _rows(self, entry: Entry, n: Expr) -> Iterator[Entry]:
        operator = entry.operator
        if not isinstance(operator, Experts):
            yield entry
            return
        _share(operator, "experts", n, entry.name)
        copies = operator.tokens * operator.active * operator.hidden
        exchange = Collective(pattern="all_to_all", elements=copies, devices=n)
        mark = replace(entry, origin="expert parallel")
        yield replace(mark, name="moe_dispatch", operator=exchange)
        yield replace(mark, operator=ShardedExperts(**_same(operator), devices=n))
        yield replace(mark, name="moe_combine", operator=exchange)


@dataclass(frozen=True, kw_only=True)
class ShardedExperts(Experts):
    """The experts of one of ``devices``: a share of the distinct experts of all devices' tokens."""

    devices: Size

    @property
    def weight_roles(self) -> dict[str, Expr]:
        """A device's share of the experts."""
        return self._weights(self.experts / self.devices)

    def read(self) -> Expr:
        """The expected distinct experts here that the tokens of all the devices choose."""
        tokens = self.tokens * self.devices
        return self.routing.distinct(self.experts, self.active, tokens) / self.devices


def _same(operator: Operator) -> dict[str, Any]:
    return {item.name: getattr(operator, item.name) for item in fields(operator)}
