"""Where rounded quotients of the index stay as they are: a sum over a few plateaus is closed.

A cache in chunks or pages puts `FloorDiv` and `CeilDiv` of the context into every step's terms.
Between two steps of such a quotient it is a constant, and what holds it is as simple as without.
"""

from itertools import pairwise

from sympy import Expr, Integer, S

from lifesym.nodes import CeilDiv, FloorDiv
from lifesym.symbols import index

MOST = 64
"""Plateaus that may be summed one by one: with more, one `Sum` is the shorter formula."""


def plateaus(expr: Expr, count: Expr) -> list[tuple[Expr, Expr]] | None:
    r"""The summand on each plateau, from its own index 0, with the plateau's length.

    $\lfloor (a + b i) / q \rfloor$ reaches k at $i = \lceil (k q - a) / b \rceil$, and
    $\lceil (a + b i) / q \rceil$ just after $(k - 1) q$. None where a quotient is not of integers
    rising with the index, where the range is not a number, or with more than `MOST` plateaus.
    """
    nodes = [node for node in expr.atoms(FloorDiv, CeilDiv) if node.has(index)]
    if not nodes or not count.is_Integer or count < 1:
        return None
    edges = {0, int(count)}
    for node in nodes:
        steps = _steps(node, int(count))
        if steps is None or len(edges) + len(steps) > MOST:
            return None
        edges.update(steps)
    pieces = []
    for start, end in pairwise(sorted(edges)):
        at = {index: Integer(start)}
        level = {node: node.xreplace(at) for node in nodes}
        piece = expr.xreplace(level).xreplace({index: index + start})
        pieces.append((piece, Integer(end - start)))
    return pieces


def _steps(node: FloorDiv | CeilDiv, count: int) -> list[int] | None:
    """The indices in the range where a quotient becomes larger; None: not one to be followed."""
    line, divisor = node.args
    if not line.is_polynomial(index):  # a quotient of a quotient has no slope
        return None
    start, slope = line.xreplace({index: S.Zero}), line.diff(index)
    if not all(each.is_Integer and each >= 0 for each in (start, slope, divisor)) or slope == 0:
        return None
    a, b, q = int(start), int(slope), int(divisor)
    low, high = (int(node.xreplace({index: Integer(i)})) for i in (0, count - 1))
    if high - low > MOST:
        return None
    levels = range(low + 1, high + 1)
    if isinstance(node, FloorDiv):
        return [-((a - k * q) // b) for k in levels]
    return [((k - 1) * q - a) // b + 1 for k in levels]
