"""What every block is, and the norms between them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sympy import Expr, S

from lifesym.formats import Format
from lifesym.operators import Norm, Operator
from lifesym.symbols import Size
from lifesym.trace import MLA, ForwardPass

Emitted = Iterator[tuple[str, Operator]]


class Block:
    """A part of a model: it emits operators and says what it keeps between passes."""

    def operators(self, step: ForwardPass) -> Emitted:
        """The operators of one pass, in order, each with its name."""
        raise NotImplementedError

    def per_token(self, mla: MLA = "absorbed") -> Expr:
        """Elements that one more token of a sequence adds to the cache, below any window."""
        return S.Zero

    def cached(self, tokens: Expr, mla: MLA = "absorbed") -> Expr:
        """Elements of the cache of one sequence of so many tokens."""
        return tokens * self.per_token(mla)

    def fixed_bytes(self, kv: Format) -> Expr:
        """Bytes of state a sequence that do not grow with its length (recurrent layers)."""
        return S.Zero


@dataclass(frozen=True, kw_only=True)
class NormSpec:
    """A normalization over the hidden size (or another, with ``features``)."""

    features: Size
    kind: Literal["rms", "layer"] = "rms"
    affine: bool = True
    bias: bool = True

    def over(self, rows: Expr) -> Norm:
        """The operator over so many vectors."""
        return Norm(
            rows=rows, features=self.features, kind=self.kind, affine=self.affine, bias=self.bias
        )
