"""Names for parts of a formula, which fold it to a few lines and unfold it exactly."""

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr

from lifesym import symbols as sym
from lifesym.analysis.questions import Quantity, formula
from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.named import fold, named, unfold
from lifesym.printing import latex
from lifesym.results import Part, Result
from lifesym.summands import Row


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A formula in which parts go by name.

    Attributes:
        expr: the short formula.
        names: what each name stands for, in the order they were given.
        rows: the summands of a result in its order, with their labels, in the names.
    """

    expr: Expr
    names: dict[str, Expr]
    rows: tuple[Row, ...] = ()

    def unfold(self) -> Expr:
        """The whole formula again, exactly."""
        return unfold(self.expr)

    def lines(self, name: str = "T") -> list[str]:
        """The short formula and each definition, a line each."""
        return [f"{name} = {self.expr}", *(f"{key} = {part}" for key, part in self.names.items())]

    def result(self, name: str, unit: str) -> Result:
        """The short formula as a result, whose equation has the rows and labels of the long one."""
        parts = tuple(Part(name=row.label, value=row.value) for row in self.rows)
        return Result(name=name, unit=unit, expr=self.expr, parts=parts)

    def _repr_latex_(self) -> str:
        rows = [latex(self.expr)]
        rows += [rf"{latex(named(key, part))} &= {latex(part)}" for key, part in self.names.items()]
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
    rows = quantity.rows() if isinstance(quantity, Result) else []
    for name, part in names.items():
        if not name.isidentifier() or name in {row.name for row in sym.TABLE.values()}:
            raise SymbolError(f"{name!r} cannot be a name: it must be new, and an identifier")
        folded = fold(expr, part, named(name, part))
        if folded == expr:
            raise SymbolError(f"{name}: the formula does not contain {part}")
        expr = folded
        rows = [Row(fold(row.value, part, named(name, part)), row.label) for row in rows]
    return Folded(expr=expr, names=dict(names), rows=tuple(rows))
