r"""Formulas that jump where a piece is full, in terms in which they do not.

Pages, tiles and chunks are $n = \lceil (x + s)/C \rceil$ pieces, of which the last has
$r = x + s - C (n - 1)$, from 1 to C. A formula of x and n jumps at every multiple of C; of n and r,
with $x = C (n - 1) + r - s$, it does not. So a table has these two axes in place of x, and its
function divides: there are as many numbers as the two have bends, not as there are jumps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from sympy import Dummy, Expr, Rational, Symbol

from lifesym.codegen.ranges import Box
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.remainders import spelt_out
from lifesym.symbols import TABLE

Array = Any
_WHOLE = 2**24
"""Below it whole numbers are exact in single precision, and so are their quotients rounded up."""


@dataclass(frozen=True)
class Split:
    """An argument as pieces and what the last of them has.

    Attributes:
        place: of the argument.
        ends: its range.
        shift: what is added to it before it is divided.
        piece: by what: its least and largest value.
        by: the place of the argument that it is, if it is one.
        rests: whether what the last piece has counts, and has an axis.
    """

    place: int
    ends: tuple[float, float]
    shift: int
    piece: tuple[float, float]
    by: int | None = None
    rests: bool = True

    def __call__(self, points: Sequence[Array]) -> list[Array]:
        """The points of the axes; arguments are moved to their ranges where they are outside."""
        piece = self.piece[0] if self.by is None else np.clip(points[self.by], *self.piece)
        top = np.clip(points[self.place], *self.ends) + self.shift
        count = np.ceil(top / piece)
        return self.axes(points, count, top - piece * (count - 1))

    def axes(self, given: Sequence[Any], count: Any, last: Any) -> list[Any]:
        """What belongs to arguments, with that of the axes in place of the one's."""
        both = (count, last) if self.rests else (count,)
        return [*given[: self.place], *both, *given[self.place + 1 :]]

    def steps(
        self,
        inside: Callable[[int, tuple[float, float]], str],
        number: Callable[[int], str],
        up: str,
    ) -> dict[str, str]:
        """The same in the text of a language: names, and what each of them is, in order.

        Args:
            inside: an argument, by its place, moved to a range.
            number: a whole number.
            up: ``whole`` divided by ``piece`` and rounded up.
        """
        whole = inside(self.place, self.ends)
        if self.shift:
            whole += f" {'+' if self.shift > 0 else '-'} {number(abs(self.shift))}"
        piece = number(int(self.piece[0])) if self.by is None else inside(self.by, self.piece)
        # in this order no step is below zero, which unsigned integers cannot be
        last = {"last": "whole + piece - piece * pieces"} if self.rests else {}
        return {"whole": whole, "piece": piece, "pieces": up, **last}


@dataclass(frozen=True)
class Smooth:
    """A formula of pieces and what the last one has, with its symbols and their box."""

    expr: Expr
    symbols: tuple[Symbol, ...]
    box: Box
    split: Split


def smooth(
    expr: Expr, symbols: tuple[Symbol, ...], box: Box, *, held: bool = False
) -> Smooth | None:
    """A formula without its jumps; None where it has none, or others than of one argument.

    All rounded quotients have to be of one argument that is a size, with or without a number added,
    by one number or one other argument that is a size; their numbers may differ by whole pieces.

    Of the fewest and of the most pieces the last cannot have all numbers from 1 to C: with some the
    argument would leave its range, where a formula may be anything. ``held``, it stays at the end.
    """
    plain = spelt_out(expr)
    nodes = plain.atoms(CeilDiv, FloorDiv)
    parts = {node: _parts(node) for node in nodes}
    pairs = {(x, piece) for x, _, piece in parts.values()}
    if len(pairs) != 1:
        return None
    ((x, piece),) = pairs
    shift = min((number for _, number, _ in parts.values()), key=abs)
    if not _usable(x, symbols) or not (piece.is_Integer or _usable(piece, symbols)):
        return None
    more = {node: (number - shift) / piece for node, (_, number, _) in parts.items()}
    low, high = (Rational(end) + shift for end in box[x])
    least, most = map(float, box[piece] if piece in symbols else (piece, piece))
    if not all(each.is_Integer for each in more.values()) or low < 0 or least < 1 or most < 2:
        return None
    if not all(float(end).is_integer() for end in (low, high, least, most)):
        return None
    counts = float(ceil(low / most)), float(ceil(high / least))
    if counts[0] == counts[1] or high + most >= _WHOLE:
        return None
    count = Dummy("pieces", integer=True, nonnegative=True, positive=counts[0] > 0 or None)
    last = Dummy("last", integer=True, positive=True)
    rounded = {
        node: count + more[node] - (1 if isinstance(node, FloorDiv) else 0) for node in nodes
    }
    given = piece * (count - 1) + last - shift
    if held:
        given = Maximum(low - shift, Minimum(high - shift, given))
    made = plain.xreplace(rounded).xreplace({x: given}).expand()
    place = symbols.index(x)
    by = symbols.index(piece) if piece in symbols else None
    split = Split(place, box[x], int(shift), (least, most), by, last in made.free_symbols)
    axes = tuple(split.axes(symbols, count, last))
    ranges = {**box, count: counts, last: (1.0, float(most))}
    return Smooth(made, axes, {each: ranges[each] for each in axes}, split)


def _parts(node: Expr) -> tuple[Expr, Expr, Expr]:
    """Of a quotient, rounded up: what is divided, the number added to it, and by what.

    One of whole numbers that is rounded down is, but for 1, that of one more rounded up.
    """
    top, piece = node.args
    number, x = top.as_coeff_Add()
    return x, number + 1 if isinstance(node, FloorDiv) else number, piece


def _usable(symbol: Expr, symbols: Sequence[Symbol]) -> bool:
    return symbol in symbols and TABLE[symbol].kind == "size"
