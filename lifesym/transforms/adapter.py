"""Bottleneck adapters: a narrow MLP with a residual after each block of a layer.

Source: Houlsby et al., arXiv 1902.00751, section 2.1 and Figure 2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.operators import Activation, Experts, Linear, Residual
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace

ENDS = frozenset({"attn_o", "mlp_down", "moe_experts"})
"""What ends the blocks of a layer."""
_JOINED = ("lora_a", "lora_b", "lora_merge", "all_reduce")
"""What gives their outputs together with them."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """A projection to ``width`` and back, with biases, after each of some projections.

    Attributes:
        width: size of the bottleneck; 0 for no adapters.
        after: names of the projections, or experts, whose output an adapter reads; those that end
            attention and feed-forward blocks unless given.
        activation: between its projections.
    """

    width: Size
    after: tuple[str, ...] | None = None
    activation: str = "gelu"

    opens: ClassVar[Mapping[str, str]] = {"width": "adapter_width"}

    def __post_init__(self) -> None:
        """Check the width."""
        size(self.width, "adapter width", minimum=0)

    def __call__(self, trace: Trace) -> Trace:
        """The trace with the adapters.

        Raises:
            SymbolError: a name that is not a projection of the trace.
        """
        width = size(self.width, "adapter width", minimum=0)
        blocks = {e.name for e in trace if isinstance(e.operator, Linear | Experts)}
        known = ", ".join(sorted(blocks))
        for name in self.after or ():
            if name not in blocks:
                raise SymbolError(f"{name!r} is not a projection here (known: {known})")
        if width.is_zero:
            return trace
        after = ENDS & blocks if self.after is None else frozenset(self.after)
        if self.after is None and not after:
            raise SymbolError(f"adapters: no block's end is known; name it (known: {known})")
        rows: list[Entry] = []
        waiting: list[Entry] = []
        read = ""
        for entry in trace:
            if entry.name not in [f"{read}_{part}" for part in _JOINED]:
                rows += waiting
                read, waiting = entry.name, list(self._adapters(entry, after))
            rows.append(entry)
        return Trace((*rows, *waiting))

    def _adapters(self, entry: Entry, after: frozenset[str]) -> Iterator[Entry]:
        base = entry.operator
        if entry.name not in after or not isinstance(base, Linear | Experts):
            return
        width = base.out_features if isinstance(base, Linear) else base.hidden
        down = Linear(
            tokens=base.tokens,
            in_features=width,
            out_features=self.width,
            bias=True,
            role="adapter",
        )
        up = replace(down, in_features=self.width, out_features=width)
        middle = Activation(elements=base.tokens * self.width, function=self.activation)
        added = Residual(elements=base.tokens * width)
        parts = (("down", down), ("act", middle), ("up", up), ("residual", added))
        for name, operator in parts:
            yield replace(
                entry, name=f"{entry.name}_adapter_{name}", operator=operator, origin="adapter"
            )
