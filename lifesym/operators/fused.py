"""Several operators in one kernel."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import ClassVar

from sympy import Add, Expr, Integer, S

from lifesym.cost import BITS_PER_BYTE, Cost
from lifesym.formats import Format, Matrix, Precision
from lifesym.nodes import CeilDiv, FloorDiv, Maximum
from lifesym.operators.attention import AttentionScores, AttentionValues, KVAppend
from lifesym.operators.base import Direction, Operator
from lifesym.operators.linear import TiledLinear
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class Fused(Operator):
    r"""Operators in one kernel: the same operations, one dispatch, less activation traffic.

    The cost is the sum of the parts' costs, less ``unread`` activation elements that are not read
    again and ``unwritten`` ones that never leave the kernel. What it reads is in the format that
    its first part reads. With ``rereads`` the keys and values
    are read that many times (tiles of queries that each stream the cache); with a ``buffer`` of so
    many bytes, once a tile of the queries that it holds (`lifesym.transforms.buffers`).

    >>> from lifesym import symbols as sym
    >>> from lifesym.operators import Norm, Residual
    >>> add_norm = Fused(
    ...     parts=(Residual(elements=sym.hidden), Norm(rows=1, features=sym.hidden)),
    ...     unread=sym.hidden, unwritten=0,
    ... )
    >>> add_norm.cost(Precision.of()).activation_read_bytes
    4*hidden
    """

    parts: tuple[Operator, ...]
    unread: Size
    unwritten: Size
    rereads: Size = 1
    buffer: Size | None = None

    family: ClassVar[str] = "fused"
    counted: ClassVar[str] = "its parts' operations; intermediates neither written nor read"
    reference: ClassVar[str] = "Dao et al., arXiv 2205.14135, section 3.1 (FlashAttention)"
    averages: ClassVar[tuple[str, ...]] = ("unread", "unwritten")
    monotone: ClassVar[dict[str, Direction]] = {"unread": "-", "unwritten": "-", "rereads": "+"}

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The parts' learned values."""
        return tuple(matrix for part in self.parts for matrix in part.matrices)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """Those that its parts read."""
        return tuple(matrix for part in self.parts for matrix in part.matrices_read)

    @property
    def parameters(self) -> Expr:
        """The parts' learned values."""
        return Add(*self.weight_roles.values())

    @property
    def idle(self) -> Expr:
        """The sum of its parts'."""
        return Add(*(part.idle for part in self.parts))

    def held(self, tokens: Expr) -> Expr:
        """Cached elements of one sequence of so many tokens, of its parts."""
        return Add(*(part.held(tokens) for part in self.parts if isinstance(part, KVAppend)))

    def state_bytes(self, precision: Precision) -> Expr:
        """Bytes of its parts' states of one sequence."""
        return Add(*(part.state_bytes(precision) for part in self.parts))

    def saved(self, precision: Precision) -> Expr:
        """What its parts keep; of an attention kernel the inputs, and a sum a row in fp32.

        Its output is kept by the product or gate that reads it.
        """
        inner = tuple(part for part in self.parts if isinstance(part, AttentionScores))
        if not inner:
            return Add(*(part.saved(precision) for part in self.parts))
        ends = (part for part in self.parts if isinstance(part, AttentionScores | AttentionValues))
        sums = Add(*(4 * part.batch * part.heads * part.new for part in inner))
        return Add(sums, *(part.saved(precision) for part in ends))

    def cost(self, precision: Precision) -> Cost:
        """The parts' sum less the traffic that stays inside the kernel."""
        whole = reduce(add, (part.cost(precision) for part in self.parts))
        saved = Cost(
            activation_read_bytes=-precision.activation_bytes(self.unread)
            - self._narrowed(precision),
            activation_write_bytes=-precision.activation_bytes(self.unwritten),
            kv_read_bytes=(self._tiles(precision) - 1) * whole.kv_read_bytes,
            dispatches=1 - whole.dispatches,
        )
        return whole + saved

    def _tiles(self, precision: Precision) -> Expr:
        """How often keys and values are read: once a tile of queries."""
        if self.buffer is None:
            return self.rereads
        scores = next(part for part in self.parts if isinstance(part, AttentionScores))
        values = next(part for part in self.parts if isinstance(part, AttentionValues))
        width = scores.head_dim + scores.shared
        apart = S.Zero if values.in_keys else values.head_dim
        row = precision.activation_bytes(width + values.head_dim)
        row += precision.kv_bytes(width + apart)
        return CeilDiv(scores.new, Maximum(S.One, FloorDiv(self.buffer, row)))

    def _narrowed(self, precision: Precision) -> Expr:
        """What parts after the first would read more, or less, in formats of their own."""
        if not precision.activation_roles:
            return S.Zero
        plain = replace(precision, activation_roles={})
        each = ((part.cost(precision), part.cost(plain)) for part in self.parts[1:])
        return Add(
            *(own.activation_read_bytes - usual.activation_read_bytes for own, usual in each)
        )


@dataclass(frozen=True, kw_only=True)
class SideBySide(Fused):
    """Projections of one input as one product with the outputs of all, in whose tiles it is cut.

    >>> tiles = {"tokens": 4, "in_features": 1, "rows": 4, "columns": 4, "processors": 2}
    >>> half = TiledLinear(**tiles, out_features=2)
    >>> half.idle, SideBySide(parts=(half, half), unread=4, unwritten=0).idle  # a tile each
    (16, 0)
    """

    @property
    def idle(self) -> Expr:
        """That of the one product; of products that are not cut into tiles, nothing."""
        tiled = [part for part in self.parts if isinstance(part, TiledLinear)]
        if not tiled:
            return S.Zero
        outputs = Add(*(part.out_features for part in tiled))
        return replace(tiled[0], out_features=outputs).idle

    def saved(self, precision: Precision) -> Expr:
        """The input that all of them read."""
        return self.parts[0].saved(precision)


@dataclass(frozen=True, kw_only=True)
class PerShape(Operator):
    """One operator on sequences of several shapes: a kernel each, which reads the weights again.

    >>> from lifesym import symbols as sym
    >>> from lifesym.operators import TokenShift
    >>> first = TokenShift(batch=1, new=5, features=sym.hidden, mixes=2)
    >>> op = PerShape(parts=(first, TokenShift(batch=3, new=1, features=sym.hidden, mixes=2)))
    >>> op.parameters, op.cost(Precision.of()).weight_bytes
    (2*hidden, 8*hidden)
    """

    parts: tuple[Operator, ...]

    family: ClassVar[str] = "recurrent"
    counted: ClassVar[str] = "all of its kernels; the weights are held once"
    reference: ClassVar[str] = "vLLM, mamba_mixer2: prefill and decode tokens apart"
    monotone: ClassVar[dict[str, Direction]] = {}

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The operator's, once."""
        return self.parts[0].matrices

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """The operator's, once a kernel."""
        return tuple(matrix for part in self.parts for matrix in part.matrices_read)

    @property
    def parameters(self) -> Expr:
        """The operator's, once."""
        return self.parts[0].parameters

    @property
    def idle(self) -> Expr:
        """The sum of its kernels'."""
        return Add(*(part.idle for part in self.parts))

    def cost(self, precision: Precision) -> Cost:
        """The sum of the kernels."""
        return reduce(add, (part.cost(precision) for part in self.parts))


def leaves_of(operator: Operator) -> Iterator[Operator]:
    """The operators of a kernel, at any depth."""
    if not isinstance(operator, Fused):
        yield operator
        return
    for part in operator.parts:
        yield from leaves_of(part)


_BYTE = Format(name="byte", bits=Integer(BITS_PER_BYTE), native=True)
_COUNTING = Precision(weights=_BYTE, activations=_BYTE, kv=_BYTE)


def elements_written(operator: Operator) -> Expr:
    """Activation elements an operator writes: its write traffic at one byte an element."""
    return operator.cost(_COUNTING).activation_write_bytes


def elements_read(operator: Operator) -> Expr:
    """Activation elements an operator reads."""
    return operator.cost(_COUNTING).activation_read_bytes


def chain(parts: tuple[Operator, ...], *, rereads: Size = 1) -> Fused:
    """Fuse a chain in which each operator's whole output is the next one's input."""
    inside = Add(*(elements_written(part) for part in parts[:-1]))
    return Fused(parts=parts, unread=inside, unwritten=inside, rereads=rereads)


def prologue(parts: tuple[Operator, ...]) -> Fused:
    """Fuse so that the next operator does not read the output again, which is still written."""
    read_again = Add(*(elements_written(part) for part in parts[:-1]))
    return Fused(parts=parts, unread=read_again, unwritten=S.Zero)
