"""Bottleneck adapters: a narrow MLP with a residual after each block of a layer.

Source: Houlsby et al., arXiv 1902.00751, section 2.1 and Figure 2; adapters of each layer's own on
layers that share their weights: adapter-ALBERT, arXiv 2303.16100, and README of kpe/bert-for-tf2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from lifesym.checks import checked_fields
from lifesym.errors import SymbolError
from lifesym.operators import Activation, AdapterLinear, Experts, Linear, Residual
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace

ORIGIN = "adapter"
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
        shared: layers that share their weights share their adapters, too; or each has its own.
        adapters: different ones that are held, such as one a task.
        used: of those, how many a pass reads: the different ones in its batch; all unless given.

    >>> import lifesym as ls
    >>> tasks = Bottleneck(width=64, adapters=3, used=1)
    >>> f = ls.forecast("albert-base-v2", "a100", 64, 0, adapter=tasks)
    >>> next(part.value for part in f.capacity.parts if part.name == "adapter") / 2  # in bf16
    7077888
    """

    width: Size
    after: tuple[str, ...] | None = None
    activation: str = "gelu"
    shared: bool = False
    adapters: Size = 1
    used: Size | None = None

    opens: ClassVar[Mapping[str, str]] = {"width": "adapter_width", "adapters": "adapters"}

    def __post_init__(self) -> None:
        """Check the sizes."""
        size(self.width, "adapter width", minimum=0)
        held = size(self.adapters, "adapters")
        if self.used is not None and (size(self.used, "adapters used") - held).is_positive:
            raise SymbolError(f"a pass uses {self.used} adapters, of which {held} are held")

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
        down = AdapterLinear(
            tokens=base.tokens,
            in_features=width,
            out_features=self.width,
            bias=True,
            role="adapter",
            copies=self.adapters,
            used=self.used,
        )
        up = replace(down, in_features=self.width, out_features=width)
        middle = Activation(elements=base.tokens * self.width, function=self.activation)
        added = Residual(elements=base.tokens * width)
        parts = (("down", down), ("act", middle), ("up", up), ("residual", added))
        row = replace(entry, copies=entry.copies if self.shared else entry.count, origin=ORIGIN)
        for name, operator in parts:
            yield replace(row, name=f"{entry.name}_adapter_{name}", operator=operator)
