"""How operators become kernels: gates, activations, tables, tiles, spilled scores, launches."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Literal

from sympy import Add, Expr, S, sympify

from lifesym.checks import checked_fields
from lifesym.formats import Precision
from lifesym.operators import (
    Activation,
    AttentionScores,
    Embedding,
    Experts,
    Gate,
    Linear,
    WeightCopy,
)
from lifesym.operators.activation import POLYNOMIAL, TABLE
from lifesym.operators.fused import Fused
from lifesym.operators.linear import TiledLinear
from lifesym.symbols import Size, size
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import unfused

ENDS = ("embed", "head")
"""Sections that are no layers."""
_ANY = Precision.of()
"""Launches do not depend on formats."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Tiles:
    """Dense products take the time of whole tiles and waves (see `operators.linear.TiledLinear`).

    Operations and bytes stay what they are. The LM head, thin products of adapters and products of
    experts are not rounded.

    Attributes:
        processors: multiprocessors, each of which computes a tile at a time.
        rows: tokens of a tile.
        columns: outputs of a tile.
    """

    processors: Size
    rows: Size = 128
    columns: Size = 128

    def __post_init__(self) -> None:
        """Check the sizes."""
        for name in ("processors", "rows", "columns"):
            size(getattr(self, name), f"tiles: {name}")

    def __call__(self, trace: Trace) -> Trace:
        """The trace with its dense products in tiles.

        Raises:
            SymbolError: a trace that is fused already.
        """
        unfused(trace, "rounding of products")
        return Trace(tuple(map(self._tiled, trace)))

    def _tiled(self, entry: Entry) -> Entry:
        operator = entry.operator
        if type(operator) is not Linear:
            return entry
        given: dict[str, Any] = {f.name: getattr(operator, f.name) for f in fields(operator)}
        given |= {"rows": self.rows, "columns": self.columns, "processors": self.processors}
        return replace(entry, operator=TiledLinear(**given))


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Apart:
    """Gates whose product is a kernel after the activation's: what is activated moves once more.

    Operations stay what they are. Experts are one operator, and stay one.
    """

    def __call__(self, trace: Trace) -> Trace:
        """The trace with two kernels for each gated activation.

        Raises:
            SymbolError: a trace that is fused already.
        """
        unfused(trace, "a gate apart")
        rows: list[Entry] = []
        for entry in trace:
            operator = entry.operator
            if not isinstance(operator, Activation) or not operator.gated:
                rows.append(entry)
                continue
            rows.append(replace(entry, operator=replace(operator, gated=False)))
            gate = Gate(elements=operator.elements)
            rows.append(replace(entry, name=f"{entry.name}_gate", operator=gate, origin="gates"))
        return Trace(tuple(rows))


KEPT = ("relu", "relu2", "gaussian_topk")
"""Functions that are exact in a few operations, or of a whole row: nothing approximates them."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Approximated:
    """Activation functions by a table of lines, or by a polynomial, as units without exp have them.

    Those of MLPs, experts and adapters; their operations are `operators.activation.operations`.

    Attributes:
        by: ``table``, or the degree of a polynomial.
    """

    by: Literal["table"] | int

    def __post_init__(self) -> None:
        """Check the degree."""
        if self.by != TABLE:
            size(self.by, "activations: degree of the polynomial")

    def __call__(self, trace: Trace) -> Trace:
        """The trace with approximated functions.

        Raises:
            SymbolError: a trace that is fused already.
        """
        unfused(trace, "an approximation of activations")
        name = TABLE if self.by == TABLE else f"{POLYNOMIAL}{self.by}"
        return Trace(tuple(replace(e, operator=_approximated(e.operator, name)) for e in trace))


def _approximated(operator: Any, name: str) -> Any:
    if isinstance(operator, Activation) and operator.function not in KEPT:
        return replace(operator, function=name)
    if isinstance(operator, Experts) and operator.activation not in KEPT:
        return replace(operator, activation=name)
    return operator


@checked_fields
@dataclass(frozen=True, kw_only=True)
class WholeTables:
    """Tables of which every pass reads all rows, whichever it looks up."""

    def __call__(self, trace: Trace) -> Trace:
        """The trace that reads its tables whole."""
        return trace.having(Embedding, whole=True)


@checked_fields
@dataclass(frozen=True, kw_only=True)
class WeightCopies:
    """Quantized weights are unpacked by kernels of their own for products of many tokens.

    The LM head, thin products of adapters and products of experts unpack their own.

    Attributes:
        least: tokens of a product from which on they are.
    """

    least: Size = 1

    def __post_init__(self) -> None:
        """Check the size."""
        size(self.least, "weight copies: least")

    def __call__(self, trace: Trace) -> Trace:
        """The trace with a kernel before every dense product.

        Raises:
            SymbolError: a trace that is fused already.
        """
        unfused(trace, "unpacking of weights")
        return Trace(tuple(each for entry in trace for each in self._apart(entry)))

    def _apart(self, entry: Entry) -> Iterator[Entry]:
        product = entry.operator
        if not isinstance(product, Linear) or type(product) not in (Linear, TiledLinear):
            yield entry
            return
        names = ("tokens", "in_features", "out_features", "role", "part")
        copy = WeightCopy(least=self.least, **{name: getattr(product, name) for name in names})
        yield replace(entry, name=f"{entry.name}_unpack", operator=copy)
        yield replace(entry, operator=replace(product, unpacked_from=self.least))


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Spills:
    """Scores that a fused attention kernel moves through memory although it could keep them.

    Attributes:
        passes: how often it writes all scores and reads them again.
    """

    passes: Size = 0

    def __call__(self, trace: Trace) -> Trace:
        """The trace whose attention kernels spill.

        Raises:
            SymbolError: no size, or more passes than kernels that are not fused would make.
        """
        passes = size(self.passes, "spilled scores", minimum=0)
        return trace if passes == 0 else Trace(tuple(self._spilling(e, passes) for e in trace))

    def _spilling(self, entry: Entry, passes: Expr) -> Entry:
        kernel = entry.operator
        if not isinstance(kernel, Fused) or kernel.parameters != 0:
            return entry
        cores = [part for part in kernel.parts if isinstance(part, AttentionScores)]
        spilled = passes * Add(*(core.batch * core.heads * core.pairs for core in cores))
        kept = {name: getattr(kernel, name) - spilled for name in ("unread", "unwritten")}
        return replace(entry, operator=replace(kernel, **kept))


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Launches:
    """Another number of launches than one an operator; each keeps its part of them.

    Attributes:
        layer: launches of a layer.
        ends: launches of the embedding and of the head together.
    """

    layer: Size
    ends: Size | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        for name in ("layer", "ends"):
            if getattr(self, name) is not None:
                size(getattr(self, name), f"launches: {name}", minimum=0)

    def __call__(self, trace: Trace) -> Trace:
        """The trace with so many launches."""
        rows: list[Entry] = []
        for section, run in groupby(trace, key=lambda entry: entry.section):
            if section not in ENDS:
                rows += _launched(list(run), sympify(self.layer))
            else:
                rows += run
        if self.ends is None:
            return Trace(tuple(rows))
        ends = [entry for entry in rows if entry.section in ENDS]
        changed = iter(_launched(ends, sympify(self.ends)))
        return Trace(tuple(next(changed) if e.section in ENDS else e for e in rows))


def _launched(entries: list[Entry], launches: Expr) -> list[Entry]:
    """The entries with so many launches, of which each has the part that it has of its own."""
    own = [entry.once(_ANY).dispatches for entry in entries]
    everywhere = next((entry.count for entry in entries if not entry.among), S.One)
    whole = Add(*(entry.count * each for entry, each in zip(entries, own, strict=True)))
    if whole == 0:
        return entries
    factor = launches * everywhere / whole
    rows = zip(entries, own, strict=True)
    return [replace(entry, launches=factor * each) for entry, each in rows]
