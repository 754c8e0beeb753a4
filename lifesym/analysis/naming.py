"""Names for parts of a formula, which fold it to a few lines and unfold it exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Add, Expr, Function, Mul, Symbol
from sympy.core.symbol import Str

from lifesym import symbols as sym
from lifesym.analysis.questions import Quantity, formula
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.printing import latex


class Named(Function):
    """A part of a formula under a name: prints as the name, and counts as what it stands for.

    Its free symbols, derivative and value are those of the part; ``unfold`` gives it back.
    """

    nargs = 2

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
        name = str(self.args[1])
        shown = name if len(name) == 1 else rf"\mathrm{{{name}}}".replace("_", r"\_")
        return shown if exp is None else rf"{{{shown}}}^{{{exp}}}"


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A formula in which parts go by name.

    Attributes:
        expr: the short formula.
        names: what each name stands for, in the order they were given.
    """

    expr: Expr
    names: dict[str, Expr]

    def unfold(self) -> Expr:
        """The whole formula again, exactly."""
        return unfold(self.expr)

    def lines(self, name: str = "T") -> list[str]:
        """The short formula and each definition, a line each."""
        return [f"{name} = {self.expr}", *(f"{key} = {part}" for key, part in self.names.items())]

    def _repr_latex_(self) -> str:
        rows = [latex(self.expr)]
        rows += [
            rf"{latex(_named(key, part))} &= {latex(part)}" for key, part in self.names.items()
        ]
        body = " \\\\\n".join(row if "&" in row else f"&{row}" for row in rows)
        return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"


@checked
def let(quantity: Quantity, names: Mapping[str, Expr]) -> Folded:
    """Fold a formula by naming some of its parts.

    A part is looked for as it stands in the formula, a sum also as some of the terms of a longer
    sum, a product also as some of the factors of a longer product or of a denominator. Later names
    may stand for parts that contain earlier ones.

    Args:
        quantity: a result or an expression.
        names: a name for each part.

    Raises:
        SymbolError: a part that the formula does not contain, or a name that is a symbol's.

    >>> short = let(sym.batch * (sym.hidden + sym.vocab) + 1, {"w": sym.hidden + sym.vocab})
    >>> short.lines()
    ['T = batch*w + 1', 'w = hidden + vocab']
    >>> short.unfold()
    batch*(hidden + vocab) + 1
    """
    expr = formula(quantity)
    for name, part in names.items():
        if not name.isidentifier() or name in {row.name for row in sym.TABLE.values()}:
            raise SymbolError(f"{name!r} cannot be a name: it must be new, and an identifier")
        folded = _fold(expr, part, _named(name, part))
        if folded == expr:
            raise SymbolError(f"{name}: the formula does not contain {part}")
        expr = folded
    return Folded(expr=expr, names=dict(names))


@checked
def unfold(expr: Expr) -> Expr:
    """A formula with every named part written out."""
    while expr.atoms(Named):
        expr = expr.replace(lambda node: isinstance(node, Named), lambda node: node.args[0])
    return expr


def _named(name: str, part: Expr) -> Expr:
    return Named(part, Str(name))


def _fold(expr: Expr, part: Expr, name: Expr) -> Expr:
    if expr == part:
        return name
    if expr.is_Atom or isinstance(expr, Named):
        return expr
    if isinstance(expr, Add) and isinstance(part, Add) and set(part.args) <= set(expr.args):
        rest = [_fold(arg, part, name) for arg in expr.args if arg not in part.args]
        return Add(name, *rest)
    if isinstance(expr, Mul) and isinstance(part, Mul):
        for product, named in ((part, name), (1 / part, 1 / name)):  # 1/(a*b) is kept as 1/a * 1/b
            factors = Mul.make_args(product)
            if set(factors) <= set(expr.args):
                rest = [_fold(arg, part, name) for arg in expr.args if arg not in factors]
                return Mul(named, *rest)
    return expr.func(*(_fold(arg, part, name) for arg in expr.args))
