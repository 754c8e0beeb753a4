r"""A prompt in pieces: how many there are before the last, and what remains for that one.

What remains is a difference of two that grow together, and the number of pieces before it one that
is multiplied out into a difference. As nodes of their own they keep their signs and bounds wherever
they stand: in print, in intervals and in compiled functions.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sympy import Add, Dummy, Expr, Function, S, preorder_traversal
from sympy.core.sorting import default_sort_key

from lifesym.nodes import CeilDiv

Printer = Any


class ChunksBefore(Function):
    r"""The pieces of at most C before the last one, $\lceil S/C \rceil - 1$: all of them whole.

    >>> from sympy import Integer
    >>> from lifesym.symbols import prompt
    >>> [ChunksBefore(Integer(n), Integer(512)) for n in (1, 512, 513)]
    [0, 0, 1]
    >>> 3 * ChunksBefore(prompt, 512)
    3*(CeilDiv(prompt, 512) - 1)
    """

    nargs = 2

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:
        """A number when both are; none before what is one piece."""
        if a == b:
            return S.Zero
        if b is S.One or (a.is_number and b.is_number):
            return CeilDiv(a, b) - 1
        return None

    def closed_form(self) -> Expr:
        """The difference that it is."""
        return CeilDiv(*self.args) - 1

    relax = closed_form

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope of the relaxed quotient."""
        return CeilDiv(*self.args).fdiff(argindex)

    def _eval_is_integer(self) -> bool:
        return True

    def _eval_is_nonnegative(self) -> bool | None:
        return True if all(arg.is_positive for arg in self.args) else None

    def _sympystr(self, printer: Printer) -> str:
        return f"({printer._print(self.closed_form())})"

    _numpycode = _pythoncode = _ccode = _sympystr

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        body = rf"\left({printer._print(self.closed_form())}\right)"
        return f"{body}^{{{exp}}}" if exp else body


class LastChunk(Function):
    r"""What the last of $\lceil S/C \rceil$ pieces of at most C has: $R_{S,C}$, from 1 to C.

    $R_{S,C} = S - C (\lceil S/C \rceil - 1)$ for whole numbers, C where C divides S. As a node of
    its own it is known to lie between these bounds, which the difference does not show.

    >>> from sympy import Integer
    >>> from lifesym.symbols import prompt, chunk
    >>> [LastChunk(Integer(n), Integer(512)) for n in (1, 512, 513, 1024)]
    [1, 512, 1, 512]
    >>> LastChunk(prompt, chunk).relax(), LastChunk(prompt, chunk).is_positive
    (chunk, True)
    """

    nargs = 2

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:
        """A number when both are; all of what is one piece; pieces of one have one."""
        if a == b or b is S.One:
            return b
        return cls._closed(a, b) if a.is_number and b.is_number else None

    @staticmethod
    def _closed(a: Expr, b: Expr) -> Expr:
        return a - b * (CeilDiv(a, b) - 1)

    def closed_form(self) -> Expr:
        """The difference that it is."""
        return self._closed(*self.args)

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope of a whole piece: the steps themselves have no useful slope."""
        return S(argindex - 1)

    def relax(self) -> Expr:
        """A whole piece, as where pieces are as small as you like."""
        return self.args[1]

    def _eval_is_integer(self) -> bool | None:
        return True if all(arg.is_integer for arg in self.args) else None

    def _eval_is_positive(self) -> bool | None:
        return True if all(arg.is_positive for arg in self.args) else None

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(arg.is_extended_real for arg in self.args) else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        a, b = (printer._print(arg) for arg in self.args)
        power = f"^{{{exp}}}" if exp else ""
        return f"R_{{{a},{b}}}{power}"

    def _numpycode(self, printer: Printer) -> str:
        return f"({printer._print(self.closed_form())})"

    _pythoncode = _ccode = _numpycode


def spelt_out(expr: Expr) -> Expr:
    """An expression with the differences that its chunks are.

    >>> from lifesym.symbols import chunk, prompt
    >>> spelt_out(3 * LastChunk(prompt, chunk))
    -3*chunk*(CeilDiv(prompt, chunk) - 1) + 3*prompt
    """
    while nodes := expr.atoms(LastChunk, ChunksBefore):  # one may be inside another
        expr = expr.xreplace({node: node.closed_form() for node in nodes})
    return expr


def functions_in(expr: Expr, known: dict[Expr, frozenset[Expr]]) -> frozenset[Expr]:
    """The functions within an expression, itself included; ``known`` keeps those of all parts."""
    if expr not in known:
        found = frozenset().union(*(functions_in(arg, known) for arg in expr.args))
        known[expr] = found | {expr} if isinstance(expr, Function) else found
    return known[expr]


@lru_cache(maxsize=512)
def without_differences(expr: Expr) -> Expr:
    r"""An expression in which last chunks are not taken away, where that can be.

    What is before the last chunk is printed as $S - R_{S,C}$. Of the two, which grow together,
    intervals lose all bounds; those of $C (\lceil S/C \rceil - 1)$ are tight. So it is written,
    multiplied out too.

    >>> from lifesym.symbols import batch, chunk, prompt
    >>> last = LastChunk(prompt, chunk)
    >>> without_differences(batch * prompt - batch * last + 3 * last)
    batch*chunk*(CeilDiv(prompt, chunk) - 1) + 3*LastChunk(prompt, chunk)
    """
    (made,) = all_without_differences([expr])
    return made


def all_without_differences(exprs: Sequence[Expr]) -> list[Expr]:
    """Expressions without differences, in one walk: what they have in common is met once."""
    inside: dict[Expr, frozenset[Expr]] = {}
    found = frozenset().union(*(functions_in(expr, inside) for expr in exprs))
    made = [*exprs]
    chunks = (each for each in found if isinstance(each, LastChunk))
    for node in sorted(chunks, key=default_sort_key):
        grown = _Grown(node, inside)
        made = [grown.walk(expr) for expr in made]
    return made


class _Grown:
    """One walk over expressions, for one last chunk."""

    def __init__(self, node: LastChunk, inside: dict[Expr, frozenset[Expr]]) -> None:
        self.node = node
        self.name = Dummy("last", positive=True)
        self.before = Dummy("before", nonnegative=True)
        top, bottom = node.args
        self.whole = top - bottom * self.before
        self.inside = inside
        self.functions = functions_in(node, self.inside) | {ChunksBefore(top, bottom)}
        self.back = {self.name: node, self.before: ChunksBefore(top, bottom)}
        self.seen: dict[Expr, Expr] = {}

    def walk(self, expr: Expr) -> Expr:
        if expr == self.node or self.node not in functions_in(expr, self.inside):
            return expr
        if expr not in self.seen:
            made = expr.func(*(self.walk(arg) for arg in expr.args))
            self.seen[expr] = self._rewritten(made) if isinstance(made, Add) else made
        return self.seen[expr]

    def _rewritten(self, expr: Add) -> Expr:
        """A sum in which the last chunk's negative terms are others, if that leaves fewer."""
        plain = [arg for arg in expr.args if functions_in(arg, self.inside) <= self.functions]
        mine = (arg for arg in plain if self.node in functions_in(arg, self.inside))
        if not any(map(_has_minus, mine)):
            return expr
        terms = Add.make_args(Add(*plain).xreplace({self.node: self.name}).expand())
        away = [t for t in terms if t.has(self.name) and t.could_extract_minus_sign()]
        grown = Add(
            *(term for term in terms if term not in away),
            *((term / self.name * self.whole).expand() for term in away),
        )
        if differences(grown) >= differences(Add(*terms)):
            return expr
        return Add(*(arg for arg in expr.args if arg not in plain), grown.xreplace(self.back))


def _has_minus(expr: Expr) -> bool:
    """Whether a term is taken away, or may be once it is multiplied out."""
    return any(part.could_extract_minus_sign() for part in preorder_traversal(expr))


def differences(expr: Expr) -> int:
    """How many terms of a sum are taken away."""
    return sum(bool(arg.could_extract_minus_sign()) for arg in Add.make_args(expr))
