r"""Chunked prefill: the prompt in pieces of C tokens, in closed form.

$n = \lceil S/C \rceil$ chunks attend to $0, C, 2C, \dots$ earlier tokens. All but the last are
whole; the last has $R_{S,C} = S - C (n - 1)$ tokens (`lifesym.remainders`), which is C where C
divides S, and it alone computes logits: it is a pass of its own, the head included, whatever the
overlap rule. Every quantity affine in the earlier tokens sums to Faulhaber's polynomials and every
roofline maximum to a `SumMax`: the formula's size does not depend on S/C.
"""

from dataclasses import dataclass

from sympy import Expr, S, Sum

from lifesym import symbols as sym
from lifesym.errors import SpecError
from lifesym.nodes import CeilDiv
from lifesym.remainders import ChunksBefore, LastChunk
from lifesym.roofline import Term
from lifesym.sums import sum_over
from lifesym.symbols import index, inner


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """How a prompt is cut.

    Attributes:
        prompt: tokens of the prompt.
        chunk: tokens of a chunk.
        whole: whether the chunk divides the prompt, as is then assumed of symbols.
    """

    prompt: Expr
    chunk: Expr
    whole: bool = False

    @property
    def count(self) -> Expr:
        """The number of chunks."""
        if self.whole:
            return self.prompt / self.chunk
        return S.One if self.chunk == self.prompt else CeilDiv(self.prompt, self.chunk)

    def check(self) -> None:
        """Refuse a prompt of numbers that is not cut into whole chunks, where it must be.

        Raises:
            SpecError: the prompt and the chunk.
        """
        if self.count.is_number and not self.count.is_Integer:
            raise SpecError(
                f"whole_chunks: a chunk of {self.chunk} tokens does not divide {self.prompt}"
            )

    @property
    def before(self) -> Expr:
        """The number of chunks before the last: all of them whole."""
        return self.count - 1 if self.whole else ChunksBefore(self.prompt, self.chunk)

    @property
    def offset(self) -> Expr:
        """The prompt's tokens before the last chunk."""
        return self.prompt - self.last

    @property
    def last(self) -> Expr:
        """The tokens of the last chunk: a whole one, or what remains."""
        return self.chunk if self.whole else LastChunk(self.prompt, self.chunk)


def scaled(term: Term, factor: Expr) -> Term:
    """A term with its cost and times multiplied."""
    return term.map(lambda expr: expr if expr is S.Zero else factor * expr)


def summed(term: Term, count: Expr) -> Term:
    """A term in `symbols.index` summed over so many chunks or steps."""
    return term.map(lambda expr: expr if expr is S.Zero else sum_over(expr, count))


def at_context(expr: Expr, context: Expr) -> Expr:
    """An expression at a context, which may depend on `symbols.index`.

    Sums that are in it already, such as those over drafted tokens, get an index of their own.
    """
    if context.has(index) and expr.has(Sum):
        expr = expr.xreplace({node: node.xreplace({index: inner}) for node in expr.atoms(Sum)})
    return expr.xreplace({sym.past: context})
