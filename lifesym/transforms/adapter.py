"""Bottleneck adapters: a narrow MLP with a residual after each block of a layer.

Source: Houlsby et al., arXiv 1902.00751, section 2.1 and Figure 2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lifesym.errors import SymbolError
from lifesym.operators import Activation, Linear, Residual
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """A projection to ``width`` and back, with biases, after each of some projections.

    Attributes:
        width: size of the bottleneck; 0 for no adapters.
        after: names of the projections whose output an adapter reads.
        activation: between its projections.
    """

    width: Size
    after: tuple[str, ...] = ("attn_o", "mlp_down")
    activation: str = "gelu"

    def __call__(self, trace: Trace) -> Trace:
        """The trace with the adapters.

        Raises:
            SymbolError: a name that is not a projection of the trace.
        """
        width = size(self.width, "adapter width", minimum=0)
        linear = {entry.name for entry in trace if isinstance(entry.operator, Linear)}
        for name in self.after:
            if name not in linear:
                known = ", ".join(sorted(linear))
                raise SymbolError(f"{name!r} is not a projection here (known: {known})")
        if width.is_zero:
            return trace
        return Trace(tuple(row for entry in trace for row in self._rows(entry)))

    def _rows(self, entry: Entry) -> Iterator[Entry]:
        yield entry
        base = entry.operator
        if entry.name not in self.after or not isinstance(base, Linear):
            return
        down = Linear(
            tokens=base.tokens,
            in_features=base.out_features,
            out_features=self.width,
            bias=True,
            role="adapter",
        )
        up = replace(down, in_features=self.width, out_features=base.out_features)
        middle = Activation(elements=base.tokens * self.width, function=self.activation)
        added = Residual(elements=base.tokens * base.out_features)
        parts = (("down", down), ("act", middle), ("up", up), ("residual", added))
        for name, operator in parts:
            yield replace(
                entry, name=f"{entry.name}_adapter_{name}", operator=operator, origin="adapter"
            )
