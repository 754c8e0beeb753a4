r"""One device's part of a recurrent mixer: channels and heads are split, as attention's heads are.

Every channel, or head, has a state of its own, so that scans, convolutions and gates need nothing
from other devices. Of n devices each has

- Mamba: $1/n$ of the channels. Time steps, B and C are products over all channels: the devices'
  partial sums are added up by an all-reduce, and each device has all of B and C.
- Mamba-2: $1/n$ of the heads, with B and C of at least one group. The norm of the output is over
  a group's channels: where several devices share a group, its sums of squares are added up.
- gated delta net: $1/n$ of the key heads and of the value heads; norms are those of heads.
- short convolution: $1/n$ of the channels; its two gates are elementwise.

The projections in are split by columns, the one out of the mixer by rows and summed up.
Sources: the layers of vLLM (``mamba_mixer``, ``mamba_mixer2``, the gated delta net of Qwen3-Next)
and of Megatron-LM's mixer of Mamba-2 (Waleffe et al., arXiv 2406.07887, section 2.4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.operators import (
    Activation,
    AdapterMerge,
    CausalConv,
    DeltaRule,
    DualScan,
    Linear,
    Norm,
    Operator,
    Residual,
    Scale,
    SelectiveScan,
)
from lifesym.trace import Entry
from lifesym.transforms.split import kept, share

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
    if isinstance(scan, SelectiveScan):
        return replace(scan, inner=share(scan, "inner", n, name))
    heads = share(scan, "heads", n, name)
    if isinstance(scan, DualScan):
        return replace(scan, heads=heads, groups=kept(scan, "groups", n, name))
    return replace(scan, heads=heads, key_heads=share(scan, "key_heads", n, name))
