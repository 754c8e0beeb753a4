r"""Low-rank adapters: $Y = X W^\top + (X A^\top) B^\top$ with $A$ of rank r.

Unmerged adapters add two thin products to each target; merged ones change nothing at inference,
unless they are merged in line: by every pass.
Source: Hu et al., arXiv 2106.09685, section 4.1; batched adapters: S-LoRA, arXiv 2311.03285;
merging in line: LIFE, 2508.00904, Eq. 7.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sympy import Expr

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.operators import AdapterLinear, AdapterMerge, Linear
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace

TARGETS = frozenset(
    {"attn_q", "attn_k", "attn_v", "attn_qkv_fused", "attn_o", "attn_q_a", "attn_q_b", "attn_kv_a"}
)
"""Attention's projections, under the names that they have in any model: the paper's choice."""

_GROUPS = (frozenset({"attn_q", "attn_k", "attn_v"}), frozenset({"mlp_gate", "mlp_up"}))
"""Projections of one input, which may be fused: adapters come after the last of them."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Lora:
    """Which projections have adapters, and how many different ones a batch uses.

    Attributes:
        rank: rank of every adapter; 0 for none.
        targets: names of the adapted operators; attention's projections unless given.
        adapters: distinct adapters in the batch: each one's matrices are read once a pass.
        merged: the adapter is added to the weights beforehand, which costs nothing here; or
            ``"inline"``: by every pass, which costs ``in * out * (2 * rank + 2)`` operations.
    """

    rank: Size
    targets: tuple[str, ...] | None = None
    adapters: Size = 1
    merged: bool | Literal["inline"] = False

    opens: ClassVar[Mapping[str, str]] = {"rank": "rank", "adapters": "adapters"}

    def __post_init__(self) -> None:
        """Check the sizes."""
        size(self.rank, "LoRA rank", minimum=0)
        if size(self.adapters, "LoRA adapters") != 1 and self.merged:
            raise SymbolError(f"{self.adapters} LoRA adapters cannot be merged into one matrix")

    def __call__(self, trace: Trace) -> Trace:
        """The trace with the adapters' products after each target, or with its merge there.

        Raises:
            SymbolError: a target that the trace does not have, or that is not a projection.
        """
        rank = size(self.rank, "LoRA rank", minimum=0)
        linear = {entry.name for entry in trace if isinstance(entry.operator, Linear)}
        known = ", ".join(sorted(linear))
        for target in self.targets or ():
            if target not in linear:
                raise SymbolError(
                    f"LoRA target {target!r} is not a projection here (known: {known})"
                )
        if self.merged is True or rank.is_zero:
            return trace
        targets = TARGETS & linear if self.targets is None else frozenset(self.targets)
        if self.targets is None and not targets:
            raise SymbolError(f"LoRA: no attention projections; name targets (known: {known})")
        rows: list[Entry] = []
        waiting: list[Entry] = []
        for entry in trace:
            if not any({entry.name, last.name} <= group for last in rows[-1:] for group in _GROUPS):
                rows += waiting
                waiting = []
            # of a joint projection, layers that use another's cache have the queries' part alone
            adapted = entry.name in targets or getattr(entry.operator, "role", "") in targets
            rows.append(entry)
            if adapted:
                waiting += _merge(entry, rank) if self.merged else _adapters(entry, self)
        return Trace((*rows, *waiting))


def _merge(entry: Entry, rank: Expr) -> Iterator[Entry]:
    base = entry.operator
    if isinstance(base, Linear):
        shape = {"in_features": base.in_features, "out_features": base.out_features}
        merge = AdapterMerge(**shape, rank=rank)
        yield replace(entry, name=f"{entry.name}_lora_merge", operator=merge, origin="lora")


def _adapters(entry: Entry, lora: Lora) -> Iterator[Entry]:
    base = entry.operator
    if not isinstance(base, Linear):
        return
    thin = AdapterLinear(
        tokens=base.tokens,
        in_features=base.in_features,
        out_features=base.out_features,
        role="adapter",
        copies=lora.adapters,
    )
    down = replace(thin, out_features=lora.rank)
    up = replace(thin, in_features=lora.rank, accumulate=True)
    for name, operator in (("lora_a", down), ("lora_b", up)):
        yield replace(entry, name=f"{entry.name}_{name}", operator=operator, origin="lora")
