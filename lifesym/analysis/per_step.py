r"""Means over steps in a form that intervals can bound tightly.

A mean over $n$ steps divides sums over them by $n$, and a window splits them at $\min(n, b)$. As
written, intervals take numerator and denominator apart and bound neither: here $n$ cancels, and
what remains are parts of all steps, $\min(1, b/n)$ and $\max(0, 1 - b/n)$, and positive products.
"""

from collections.abc import Iterable, Mapping

from sympy import Add, Dummy, Expr, Mul, Pow, S, Symbol

from lifesym.nodes import Maximum, Minimum
from lifesym.remainders import ChunksBefore
from lifesym.sums import SumMax


def counted_from_zero(terms: Iterable[Expr], symbols: Iterable[Symbol]) -> dict[Symbol, Expr]:
    """Each symbol x that is in a denominator as x - 1, with x + 1: let it count what x - 1 did."""
    below = {power.base for term in terms for power in term.atoms(Pow) if power.exp.is_negative}
    return {symbol: symbol + 1 for symbol in symbols if symbol - 1 in below}


def per_step(expr: Expr) -> Expr:
    """The formula multiplied out, and with the parts of all steps in place of divided sums.

    >>> from lifesym.symbols import generated, past
    >>> per_step(past + 3 * (generated - Minimum(generated, past)) / generated)
    past + 3*max(0, 1 - past/generated)
    """
    names: dict[Expr, Expr] = {}
    expanded = _masked(expr, names).expand()
    nodes = {name: node for node, name in names.items()}
    return Add(*(_divided(term, nodes) for term in Add.make_args(expanded)))


def _masked(expr: Expr, names: dict[Expr, Expr]) -> Expr:
    """Maxima and minima, and what is beyond a minimum, as one symbol each."""
    if isinstance(expr, Maximum | Minimum | SumMax) or _beyond(expr) is not None or _others(expr):
        return names.setdefault(expr, Dummy(positive=True))
    if expr.is_Atom:
        return expr
    content, primitive = expr.primitive()
    if content != 1 and _beyond(primitive) is not None:
        return content * _masked(primitive, names)
    return expr.func(*(_masked(arg, names) for arg in expr.args))


def _others(expr: Expr) -> bool:
    """Whether it is n - 1, of a number n of chunks that is no symbol."""
    number, count = expr.as_coeff_Add()
    return number == -1 and isinstance(count, ChunksBefore)


def _beyond(expr: Expr) -> tuple[Expr, Minimum] | None:
    """The a and the min(a, b) of a - min(a, b)."""
    if isinstance(expr, Add) and len(expr.args) == 2:
        for whole, other in (expr.args, expr.args[::-1]):
            if isinstance(-other, Minimum) and whole in (-other).args:
                return whole, -other
    return None


def _divided(term: Expr, nodes: Mapping[Expr, Expr]) -> Expr:
    """A product with its names written out, each over a factor of the denominator if it can be."""
    powers = term.as_powers_dict()
    parts: Expr = S.One
    for name in [factor for factor in powers if factor in nodes]:
        for whole in [factor for factor, power in powers.items() if power.is_negative]:
            part = _part(nodes[name], whole)
            if part is not None and powers[name] >= 1:
                powers[name] -= 1
                powers[whole] += 1
                parts *= part
                break
    left = Mul(*(factor**power for factor, power in powers.items()))
    return parts * left.xreplace(dict(nodes))


def _part(node: Expr, whole: Expr) -> Expr | None:
    """min(n, b) / n or (n - min(n, b)) / n without its n in both numerator and denominator."""
    beyond = _beyond(node)
    least = beyond[1] if beyond else node
    if not isinstance(least, Minimum) or whole not in least.args:
        return None
    bounds = [arg / whole for arg in least.args]
    if beyond is None:
        return Minimum(*bounds)
    return Maximum(S.Zero, *(1 - bound for bound in bounds if bound != 1))
