"""Parts of a formula under a name: they print as the name and count as what it stands for."""

from typing import Any

from sympy import Add, Expr, Function, Mul, Symbol
from sympy.core.symbol import Str

from lifesym.checks import checked
from lifesym.spelling import spelt


class Named(Function):  # type: ignore[misc]  # SymPy is untyped
    """A part of a formula under a name: prints as the name, and counts as what it stands for.

    Its free symbols, derivative and value are those of the part; ``unfold`` gives it back.
    """

    nargs = 2
    is_name = True

    @classmethod
    def eval(cls, part: Expr, label: Expr) -> Expr | None:
        """The part itself once it is a number."""
        return part if part.is_number else None

    @property
    def free_symbols(self) -> set[Symbol]:
        """Those of the part; the label is not a symbol of the formula."""
        free: set[Symbol] = self.args[0].free_symbols
        return free

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        return self.args[0].diff(symbol)

    def _eval_is_nonnegative(self) -> bool | None:
        sign: bool | None = self.args[0].is_nonnegative
        return sign

    def doit(self, **hints: Any) -> Expr:
        """The part."""
        return self.args[0].doit(**hints)

    def _sympystr(self, printer: Any) -> str:
        return str(self.args[1])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        shown = spelt(str(self.args[1]))
        return shown if exp is None else rf"{{{shown}}}^{{{exp}}}"


def named(name: str, part: Expr) -> Expr:
    """A part under a name."""
    return Named(part, Str(name))


@checked
def unfold(expr: Expr) -> Expr:
    """A formula with every named part written out."""
    while expr.atoms(Named):
        expr = expr.replace(lambda node: isinstance(node, Named), lambda node: node.args[0])
    return expr


def fold(expr: Expr, part: Expr, name: Expr) -> Expr:
    """A formula with a name wherever a part stands in it, or some terms or factors are it."""
    if expr == part:
        return name
    if expr.is_Atom or isinstance(expr, Named):
        return expr
    if isinstance(expr, Add) and isinstance(part, Add) and set(part.args) <= set(expr.args):
        rest = [fold(arg, part, name) for arg in expr.args if arg not in part.args]
        return Add(name, *rest)
    if isinstance(expr, Mul) and isinstance(part, Mul):
        for product, named in ((part, name), (1 / part, 1 / name)):  # 1/(a*b) is kept as 1/a * 1/b
            factors = Mul.make_args(product)
            if set(factors) <= set(expr.args):
                rest = [fold(arg, part, name) for arg in expr.args if arg not in factors]
                return Mul(named, *rest)
    return expr.func(*(fold(arg, part, name) for arg in expr.args))
