"""Ranges and rounding errors of every register over a box of arguments.

Interval arithmetic in doubles, widened outwards by a few units in the last place after every
operation. Errors are running bounds in the target's unit roundoff with the second order bounded
above: a proof, not an estimate. Two are carried, absolute and relative: sums of what is not
negative keep relative errors, differences absolute ones; each bounds the other where it is sharper.
Nothing may overflow. A value too small for the format counts as an absolute error, which is
harmless beside larger addends; where it is not, the arithmetic is refused.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
from sympy import Symbol

from lifesym.codegen import blocked
from lifesym.codegen.program import Op, Program
from lifesym.codegen.rules import RULES, remainder
from lifesym.codegen.running import Arithmetic, Range
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE

_OUT = 1e-15
_PIECES = 64
"""Boxes that a box is cut into, more or less."""

Box = Mapping[Symbol, tuple[float, float]]

DOUBLE = Arithmetic("double", 2.0**-53, 1.7e308, 2.3e-308, 2.0**53)
FLOAT = Arithmetic("float", 2.0**-24, 3.4e38, 1.2e-38, 2.0**24)


def ranges(program: Program, box: Box, kind: Arithmetic = DOUBLE) -> list[Range]:
    """The range and errors of every register.

    Raises:
        SymbolError: an argument without a range, a division by a range that holds zero, or a value
            too large for the format.
    """
    given = [_argument(symbol, box, kind).settled() for symbol in program.args]
    return _walked(program, given, kind)


def _walked(program: Program, given: Sequence[Range], kind: Arithmetic) -> list[Range]:
    found: list[Range] = []
    for op in program.ops:
        found.append(_range(op, found, given, kind))
    return found


@dataclass(frozen=True)
class ErrorBound:
    """How far the first output can be off: relative to it, or in its unit where it can be zero.

    Attributes:
        value: the bound.
        relative: whether it is relative.
        share: the largest part of the result that it is anywhere: proved where it is relative,
            else by results at points all over the box.
    """

    value: float
    relative: bool
    share: float = 0.0

    def __str__(self) -> str:
        kind = "Relative" if self.relative else "Absolute"
        return f"{kind} error of the arithmetic: at most {self.value:.3g}"


def error_bound(program: Program, box: Box, kind: Arithmetic = DOUBLE) -> ErrorBound:
    """A proved bound of the error of the first output over a box.

    Raises:
        SymbolError: as `ranges`, or values too small for the format that spoil the result.
    """
    results: list[Range] = []
    worst = 0.0
    unlimited: list[Range] = []
    lost: list[float] = []
    for piece in _pieces(program, box):
        found = ranges(program, piece, kind)
        results.append(found[program.outputs[0]])
        worst = max(worst, _share(program, piece, results[-1]))
        small = [each.least for each in found if each.least < kind.smallest]
        free = ranges(program, piece, replace(kind, smallest=0.0)) if small else found
        unlimited.append(free[program.outputs[0]])
        lost += small
    bound = _bound(results)
    if lost and bound.value > 2 * _bound(unlimited).value:
        raise SymbolError(f"a value of {max(lost):.3g} is too small for {kind.name}")
    return replace(bound, share=worst)


def _share(program: Program, piece: Box, result: Range) -> float:
    """How much of a piece's smallest result its error is, by the results at the corners.

    Where a result is zero the largest counts.
    """
    if math.isfinite(result.relative):
        return result.relative
    ends = [sorted({*_inner(symbol, piece)}) for symbol in program.args]
    corners = np.array(list(product(*ends))).T
    with np.errstate(all="ignore"):
        (values,) = blocked.evaluate(program, list(corners))[:1]
    sizes = np.abs(values)
    size = float(np.min(sizes)) or float(np.max(sizes))
    return result.error / size if size > 0 else 0.0


def _inner(symbol: Symbol, piece: Box) -> tuple[float, float]:
    """The ends of a side; of a size the whole numbers in it, if there are any."""
    low, high = piece[symbol]
    row = TABLE.get(symbol)
    if row is None or row.kind != "size" or math.ceil(low) > math.floor(high):
        return low, high
    return float(math.ceil(low)), float(math.floor(high))


def _bound(results: list[Range]) -> ErrorBound:
    relative = max(each.relative for each in results)
    if math.isfinite(relative):
        return ErrorBound(relative * 1.001, relative=True)
    return ErrorBound(max(each.error for each in results) * 1.001, relative=False)


def _pieces(program: Program, box: Box) -> Iterator[Box]:
    """Boxes that cover a box: bounds of smaller ones are sharper."""
    sides = []
    count = max(2, round(_PIECES ** (1 / len(program.args)))) if program.args else 1
    for symbol in program.args:
        low, high = _checked(symbol, box)
        if high > 4 * low > 0:
            inner = [low * (high / low) ** (i / count) for i in range(1, count)]
        else:
            inner = [low + (high - low) * i / count for i in range(1, count)]
        edges = [low, *inner, high] if high > low else [low, high]
        sides.append(list(pairwise(edges)))
    for pieces in product(*sides):
        yield dict(zip(program.args, pieces, strict=True))


def _checked(symbol: Symbol, box: Box) -> tuple[float, float]:
    word = TABLE[symbol].word if symbol in TABLE else symbol.name
    if symbol not in box:
        raise SymbolError(f"{word} needs a range")
    low, high = box[symbol]
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SymbolError(f"{word}: a range is two finite numbers in order, not {low}, {high}")
    return float(low), float(high)


def _range(op: Op, found: list[Range], given: Sequence[Range], kind: Arithmetic) -> Range:
    if op.kind == "arg":
        return given[int(op.value or 0)]
    if op.kind == "const":
        return _constant(Fraction(op.value or 0), kind)
    parts = [found[r] for r in op.reads]
    if op.body:
        made = _summed(op.body, parts, kind)
    elif op.kind == "rest":
        made = remainder(parts, int(op.value or 0), kind)
    else:
        made = RULES[op.kind](parts, kind)
    if op.kind == "pick" and not op.value:
        made = _switched(made, parts)
    if not _has_whole_ends(made):
        low, high = made.low - abs(made.low) * _OUT, made.high + abs(made.high) * _OUT
        made = Range(low, high, made.error, made.relative, made.least)
    if made.size > kind.largest:
        raise SymbolError(f"a value of {made.size:.3g} leaves the range of {kind.name}")
    if op.kind in ("add", "mul", "div", "pow", "log") and not _is_whole(op, parts, made, kind):
        made = made.rounded(kind)
    if op.kind in ("mul", "div", "pow", "power"):
        made = made.underflown(kind)
    return made.settled()


def _summed(body: Program, parts: list[Range], kind: Arithmetic) -> Range:
    """A compensated sum: it loses 2 u of the sum of sizes, and a little in the second order.

    Raises:
        SymbolError: more terms than the format counts, or a number of them that is not exact.
    """
    last, *given = parts
    if last.error > 0 or last.high >= kind.whole:
        raise SymbolError(f"{kind.name} cannot count the terms of a sum in this box")
    fewest, most = (max(0, math.floor(end) + 1) for end in (last.low, last.high))
    if most == 0:
        return Range(0.0, 0.0, 0.0, 0.0, 1.0)
    term = _walked(body, [Range(0.0, most - 1.0, 0.0, 0.0, 1.0), *given], kind)[body.outputs[0]]
    unit = 3 * kind.roundoff + 8 * most * kind.roundoff**2
    error = most * (term.error + (term.size + term.error) * unit + kind.smallest)
    relative = math.inf
    if term.signed and term.least > 0:
        relative = term.relative + (1 + term.relative) * unit + most * kind.smallest / term.least
    ends = [count * end for count in (fewest, most) for end in (term.low, term.high)]
    return Range(min(ends), max(ends), error, relative, term.least)


@lru_cache(maxsize=4096)
def _constant(exact: Fraction, kind: Arithmetic) -> Range:
    """A constant; one that is no normal number may be flushed to zero."""
    if abs(exact) > kind.largest:
        raise SymbolError(f"a constant of {float(exact):.3g} leaves the range of {kind.name}")
    value = float(exact)
    if value == exact and abs(value) <= kind.whole and value == int(value):
        return Range(value, value, 0.0, 0.0, abs(value) or 1.0)
    made = Range(value, value, abs(value) * kind.roundoff, kind.roundoff, abs(value))
    return made.underflown(kind).settled()


def _argument(symbol: Symbol, box: Box, kind: Arithmetic) -> Range:
    low, high = _checked(symbol, box)
    size = max(abs(low), abs(high))
    if size > kind.largest:
        raise SymbolError(f"{symbol.name}: {size:.3g} leaves the range of {kind.name}")
    row = TABLE.get(symbol)
    count = row is not None and row.kind == "size"
    least = max(low, -high, 1.0 if count else 0.0)
    if count and size <= kind.whole:
        return Range(low, high, 0.0, 0.0, least)
    return Range(low, high, size * kind.roundoff, kind.roundoff, least).underflown(kind)


def _switched(made: Range, parts: list[Range]) -> Range:
    """A choice whose condition rounding can turn: the other branch may be taken.

    Not so at a crossing (``value`` 1): there both branches give the same sum.
    """
    condition, a, b = parts
    if condition.low > condition.error or condition.high <= -condition.error:
        return made
    if condition.error == 0:
        return made
    apart = max(a.high, b.high) - min(a.low, b.low)
    return replace(made, error=made.error + apart, relative=math.inf)


def _has_whole_ends(made: Range) -> bool:
    """Whether a range of exact numbers ends at whole ones, which doubles compute exactly."""
    whole = made.low == math.floor(made.low) and made.high == math.floor(made.high)
    return made.error == 0 and whole and made.size <= DOUBLE.whole


def _is_whole(op: Op, parts: list[Range], out: Range, kind: Arithmetic) -> bool:
    """Sums and products of exact whole numbers are exact while they are representable."""
    exact = op.kind in ("add", "mul") and all(part.error == 0 for part in parts)
    return exact and out.size <= kind.whole
