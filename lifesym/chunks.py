r"""Chunked prefill: the prompt in pieces of C tokens, in closed form.

$\lfloor S/C \rfloor$ whole chunks attend to $0, C, 2C, \dots$ earlier tokens; a remainder of
$r = S - C \lfloor S/C \rfloor$ tokens follows where C does not divide S. Only the last chunk
computes logits. Every quantity affine in the earlier tokens sums to Faulhaber's polynomials and
every roofline maximum to a `SumMax`: the formula's size does not depend on S/C.
"""

from dataclasses import dataclass

from sympy import Expr

from lifesym.nodes import CeilDiv, FloorDiv
from lifesym.roofline import Term
from lifesym.sums import sum_over


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """How a prompt is cut.

    Attributes:
        prompt: tokens of the prompt.
        chunk: tokens of a chunk.
    """

    prompt: Expr
    chunk: Expr

    @property
    def whole(self) -> Expr:
        """The number of whole chunks."""
        return FloorDiv(self.prompt, self.chunk)

    @property
    def rest(self) -> Expr:
        """The tokens that remain after the whole chunks; fewer than a chunk."""
        return self.prompt - self.chunk * self.whole

    @property
    def has_rest(self) -> Expr:
        """1 where tokens remain, else 0."""
        return CeilDiv(self.rest, self.chunk)


def scaled(term: Term, factor: Expr) -> Term:
    """A term with its cost and times multiplied."""
    return term.map(lambda expr: factor * expr)


def summed(term: Term, count: Expr) -> Term:
    """A term in `symbols.index` summed over so many chunks or steps."""
    return term.map(lambda expr: sum_over(expr, count))
