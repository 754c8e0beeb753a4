r"""Attained rates by name: $\beta = e_m \mathit{BW}$, $\pi = e_c P$, those of parts of the work."""

from collections.abc import Iterable

from sympy import Add, Expr, Mul, Pow, S, expand, fraction

from lifesym import symbols as sym
from lifesym.named import fold, named
from lifesym.symbols import TABLE, is_own


def is_rate(symbol: Expr) -> bool:
    """Whether a factor is a rate, or the part of one that is attained."""
    return symbol in TABLE and (
        TABLE[symbol].kind == "rate"
        or symbol in (sym.compute_efficiency, sym.memory_efficiency)
        or is_own(symbol.name)
    )


def rates_in(expr: Expr) -> Iterable[Expr]:
    """The products of rates that a formula divides by."""
    for node in (expr, *expr.atoms(Mul, Pow)):
        _, below = fraction(node)
        rates = [arg for arg in Mul.make_args(below) if is_rate(arg)]
        if len(rates) > 1:
            yield Mul(*rates)


def by_rate(expr: Expr) -> dict[Expr, Expr] | None:
    """What is done at each rate, of a sum of works over rates; None where it is not one."""
    found = _done(expr)
    return _done(expand(expr)) if found is None else found


def _done(expr: Expr) -> dict[Expr, Expr] | None:
    found: dict[Expr, Expr] = {}
    for term in Add.make_args(expr):
        if term == 0:
            continue
        above, below = fraction(term)
        rates = [arg for arg in Mul.make_args(below) if is_rate(arg)]
        others = [arg for arg in Mul.make_args(below) if not is_rate(arg)]
        if not rates or any(not arg.is_number for arg in others):
            return None
        rate = Mul(*rates)
        found[rate] = found.get(rate, S.Zero) + above / Mul(*others)
    return found


def rate_name(rate: Expr) -> str:
    """beta, pi or pi_v, with the data type or the part of the work that has a rate of its own."""
    scripts: list[str] = []
    base = "beta" if rate.has(sym.bandwidth) else "pi"
    for symbol in Mul.make_args(rate):
        name = symbol.name
        if symbol == sym.vector_peak:
            scripts.insert(0, "v")
        elif name.startswith("peak_"):
            scripts.insert(0, name.removeprefix("peak_"))
        elif is_own(name):
            scripts.append(name.rpartition("efficiency_")[2])
    return "_".join([base, *scripts])


def with_rates(expr: Expr) -> Expr:
    """A time with its attained rates by name."""
    for rate in dict.fromkeys(rates_in(expr)):
        expr = fold(expr, 1 / rate, 1 / named(rate_name(rate), rate))
    return expr


def launches(dispatch: Expr) -> Expr:
    """A dispatch time as the time of one launch and their number."""
    count = expand(dispatch / sym.dispatch_time)
    return dispatch if count.has(sym.dispatch_time) else Mul(sym.dispatch_time, count)
