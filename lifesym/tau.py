r"""The roofline as a function, $\tau(F, V, M) = \max(F/\pi + V/\pi_v,\; M/\beta)$."""

from typing import Any

from sympy import Dummy, Expr, Function

from lifesym import symbols as sym
from lifesym.named import named, unfold
from lifesym.nodes import Maximum

USUAL = {
    "pi": sym.compute_efficiency * sym.peak,
    "pi_v": sym.compute_efficiency * sym.vector_peak,
    "beta": sym.memory_efficiency * sym.bandwidth,
}
"""The rates of the definition of tau, in the order of its arguments."""


class Tau(Function):  # type: ignore[misc]  # SymPy is untyped
    r"""The roofline of an operator, $\tau(F, V, M)$: its operations, elementwise ones and bytes.

    The rates at which they are done are further arguments. Those of the definition are not printed;
    others stand above the function, each in the place of the one of its kind.
    """

    nargs = 6

    @property
    def written(self) -> Expr:
        """The maximum of compute and memory time."""
        matrix, vector, moved, *rates = self.args
        return Maximum(matrix / rates[0] + vector / rates[1], moved / rates[2])

    def doit(self, **hints: Any) -> Expr:
        """The same, of arguments written out."""
        return self.written.doit(**hints)

    def _printed(self, printer: Any) -> list[str]:
        return [printer._print(arg) for arg in self.args[:3]]

    @property
    def others(self) -> list[Expr]:
        """Its rates that are not those of the definition."""
        pairs = zip(self.args[3:], USUAL.values(), strict=True)
        return [rate for rate, usual in pairs if unfold(rate) != usual]

    def _sympystr(self, printer: Any) -> str:
        rates = f"[{', '.join(map(str, self.others))}]" if self.others else ""
        return f"tau{rates}({', '.join(self._printed(printer))})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        rates = f"^{{{', '.join(map(printer._print, self.others))}}}" if self.others else ""
        body = rf"\tau{rates}({', '.join(self._printed(printer))})"
        return body if exp is None else rf"{body}^{{{exp}}}"


def written(expr: Expr) -> Expr:
    """A formula with every name and every roofline written out."""
    plain = unfold(expr)
    return plain.xreplace({node: node.written for node in plain.atoms(Tau)})


def roofline() -> tuple[tuple[str, ...], Expr]:
    """The arguments of tau, and what it is of them."""
    names = ("F", "V", "M")
    work = [named(name, Dummy(name, positive=True)) for name in names]
    return names, Tau(*work, *(named(name, rate) for name, rate in USUAL.items())).written
