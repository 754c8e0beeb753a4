"""Positions that act on queries, keys or scores: rotary embedding and ALiBi."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, S

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction
from lifesym.operators.elementwise import Elementwise
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class Rotary(Elementwise):
    r"""Rotary position embedding of queries and keys: 3 operations a rotated element.

    A pair $(x, y)$ becomes $(x \cos - y \sin,\; x \sin + y \cos)$: four products and two sums for
    two elements. The angles are a table of one cosine and one sine a token and pair, read as
    activations; making the table is not counted. Query heads and key heads are rotated.

    >>> from lifesym import symbols as sym
    >>> op = Rotary(tokens=sym.batch, heads=sym.heads, rotary_dim=sym.rotary_dim)
    >>> op.cost(Precision.of()).vector_flops
    3*batch*heads*rotary_dim
    """

    tokens: Size
    heads: Size
    rotary_dim: Size
    kv_heads: Size = 0

    family: ClassVar[str] = "position"
    counted: ClassVar[str] = "3 a rotated element; the angle table is read, not computed"
    reference: ClassVar[str] = "Su et al., arXiv 2104.09864, Eq. 34"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "heads": "+",
        "kv_heads": "+",
        "rotary_dim": "+",
    }

    def saved(self, precision: Precision) -> Expr:
        """A rotation needs its angles alone, which a table has."""
        return S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes the rotated elements, and reads a cosine and a sine a pair."""
        elements = self.tokens * (self.heads + self.kv_heads) * self.rotary_dim
        table = self.tokens * self.rotary_dim
        return self.priced(precision, flops=3 * elements, reads=elements + table, writes=elements)


@dataclass(frozen=True, kw_only=True)
class Alibi(Elementwise):
    r"""ALiBi: add $m_h \cdot (j - i)$ to every score; one addition an element.

    The slopes' products with the positions are one row a head, which is not counted.

    >>> from lifesym import symbols as sym
    >>> Alibi(elements=sym.batch * sym.heads * sym.past).cost(Precision.of()).vector_flops
    batch*heads*past
    """

    elements: Size

    family: ClassVar[str] = "position"
    counted: ClassVar[str] = "1 addition a score"
    reference: ClassVar[str] = "Press et al., arXiv 2108.12409, section 3"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+"}

    def saved(self, precision: Precision) -> Expr:
        """A sum needs nothing."""
        return S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Reads and writes each score once."""
        return self.priced(
            precision, flops=self.elements, reads=self.elements, writes=self.elements
        )
