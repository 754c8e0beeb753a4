"""Look-up tables: tokens, learned positions, token types."""

from dataclasses import dataclass, replace
from typing import ClassVar

from sympy import Expr, Integer, S, sympify

from lifesym.cost import Cost
from lifesym.formats import Matrix, Precision
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class Embedding(Operator):
    r"""Look up one row a token in a table: no arithmetic, ``tokens * features`` weights read.

    With ``added`` the row is added to an activation (learned positions, token types), one
    addition an element. With ``whole`` all of the table is read, as by a product with one-hot rows.

    >>> from lifesym import symbols as sym
    >>> op = Embedding(tokens=sym.batch, rows=sym.vocab, features=sym.hidden)
    >>> op.cost(Precision.of()).weight_bytes, op.parameters
    (2*batch*hidden, hidden*vocab)
    """

    tokens: Size
    rows: Size
    features: Size
    added: bool = False
    whole: bool = False
    role: str = "embedding"

    family: ClassVar[str] = "embedding"
    counted: ClassVar[str] = "rows read, or the whole table; 1 addition an element where added"
    reference: ClassVar[str] = "Vaswani et al., arXiv 1706.03762, section 3.4"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "rows": "+", "features": "+"}

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The table under its role."""
        return (Matrix(role=self.role, rows=self.rows, columns=self.features),)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """One row a token, or the table."""
        (table,) = self.matrices
        return (table if self.whole else replace(table, rows=sympify(self.tokens)),)

    @property
    def parameters(self) -> Expr:
        """The whole table."""
        return self.rows * self.features

    def saved(self, precision: Precision) -> Expr:
        """A table needs the tokens' numbers alone."""
        return S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Reads rows or table (and the activation they are added to), writes the result."""
        elements = self.tokens * self.features
        moved = precision.activation_bytes(elements)
        return Cost(
            vector_flops=elements if self.added else S.Zero,
            activation_read_bytes=moved if self.added else S.Zero,
            activation_write_bytes=moved,
            dispatches=Integer(1),
        ) + precision.read_weights(self.matrices_read)
