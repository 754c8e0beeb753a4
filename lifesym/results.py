"""Derived quantities: an expression, its unit, and what it is the sum of."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

from sympy import Expr, Rational, S, Sum, Symbol, lambdify

from lifesym import symbols as sym
from lifesym.checks import checked, checked_fields
from lifesym.chunks import at_context, scaled, summed
from lifesym.display import Equational
from lifesym.errors import SpecError, SymbolError
from lifesym.intervals import interval
from lifesym.nodes import Minimum
from lifesym.paper import Paper, paper
from lifesym.powers import doubles
from lifesym.printing import latex, legend
from lifesym.quantities import amount, product, ratio
from lifesym.roofline import Term, total
from lifesym.summands import Row, polynomial_rows, summands, term_rows
from lifesym.sums import sum_over
from lifesym.symbols import By, Notation, Number, exact, index


@dataclass(frozen=True, kw_only=True)
class Part:
    """A named part of a result that is not a time, such as the weights' memory."""

    name: str
    value: Expr


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Result(Equational):
    """A derived quantity: the expression, and the terms it is the sum of.

    Attributes:
        name: what it is, such as ``TTFT``.
        unit: its SI unit.
        expr: the SymPy expression.
        terms: for times that are sums, the operators' parts in order; else empty.
        parts: for other sums, their named parts; else empty.
        over_steps: decode steps of which it is a mean, or the last: it holds where there is one.
        whole: what must be a whole number for it to hold, such as the chunks of a prompt.
        form: the forecast that it is the time of, by whose metric `interval` asks for it.
        metric: that metric.
    """

    name: str
    unit: str
    expr: Expr
    terms: tuple[Term, ...] = ()
    parts: tuple[Part, ...] = ()
    over_steps: Expr = S.One
    whole: tuple[Expr, ...] = ()
    form: Any = field(default=None, repr=False, compare=False)
    metric: str = ""
    _op_priority: ClassVar[float] = 20.0
    """Above SymPy's own, so that a symbol times a result is a result."""

    @checked
    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The ends of an interval that holds a measured time with a probability.

        It is that of the fit of the device's efficiencies (see `lifesym.intervals`); of a decode
        step that of the mean step.

        Raises:
            SpecError: efficiencies that were not fitted, or a quantity without intervals.
            SymbolError: a level that is no probability, or a formula with symbols.
        """
        if self.form is None:
            raise SpecError(f"{self.name} has no interval: ask for ttft, tpot or latency")
        return interval(self.form, self.metric, level)

    @property
    def single(self) -> "Result":
        """What it is where one number is asked for: itself; of a decode step the mean."""
        return self

    def __float__(self) -> float:
        return _number(self.single.expr, self.single.name)

    def __str__(self) -> str:
        """Its number with the unit, or what its formula depends on."""
        one = self.single
        if not one.expr.free_symbols:
            return amount(float(one), one.unit)
        words = ", ".join(row.word for row in legend(one.expr))
        return f"{one.name} [{one.unit}], a formula in {words}"

    def __format__(self, spec: str) -> str:
        """As its number in the SI unit is formatted; without a format as ``str`` is."""
        return format(float(self), spec) if spec else str(self)

    # In arithmetic, too, a decode step is the mean one. Terms stay in sums of results that all have
    # some, and in multiples that are not negative; parts in all sums and multiples.

    def __add__(self, other: "Operand") -> "Result":
        """The sum with a result of the same unit.

        >>> import lifesym as ls
        >>> f = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128)
        >>> print(f.ttft + 127 * f.tpot, "=", f.latency)
        1.967 s = 1.967 s
        >>> f"{f.ttft / f.tpot:.3g}", (f.memory / f.tpot).unit
        ('3.85', 'byte/s')

        Raises:
            SymbolError: another unit; a number is one of the unit 1.
        """
        return _summed(self, other, "+")

    def __radd__(self, other: "Operand") -> "Result":
        # the sum of a list begins with 0
        return self if isinstance(other, int) and other == 0 else _summed(other, self, "+")

    def __sub__(self, other: "Operand") -> "Result":
        return _summed(self, other, "-")

    def __rsub__(self, other: "Operand") -> "Result":
        return _summed(other, self, "-")

    def __neg__(self) -> "Result":
        one = self.single
        return replace(_multiple(one, S.NegativeOne), name=f"-{_enclosed(one.name)}")

    def __mul__(self, other: "Operand") -> "Result":
        return _multiplied(self, other, "*")

    def __rmul__(self, other: "Operand") -> "Result":
        return _multiplied(other, self, "*")

    def __truediv__(self, other: "Operand") -> "Result":
        return _multiplied(self, other, "/")

    def __rtruediv__(self, other: "Operand") -> "Result":
        return _multiplied(other, self, "/")

    def latex(self) -> str:
        """The expression in LaTeX, in the table's notation."""
        return latex(self.expr)

    def rows(self) -> list[Row]:
        """Its summands in paper order, and what each stands for; their sum is the expression."""
        if self.terms:
            return term_rows(self.terms)
        if self.parts:
            parts = (part for part in self.parts if part.value != 0)
            return [Row(value, part.name) for part in parts for value in summands(part.value)]
        return polynomial_rows(self.expr)

    @checked
    def paper(self) -> Paper:
        r"""The time as a paper prints it, in symbols throughout (see `lifesym.paper`).

        >>> import lifesym as ls
        >>> f = ls.forecast("llama-3.1-8b", "h100-sxm-80gb", weights="int4")
        >>> print(f.tpot.paper().groups[0])
        (layers, (2*tau_q,o, 2*tau_k,v, tau_attn, 3*tau_mlp))

        Raises:
            SpecError: what is no sum of operators' times.
        """
        terms = self.in_symbols.terms
        if not terms:
            raise SpecError(f"{self.name} is no sum of operators' times: it has no paper form")
        return paper(self.name, self.unit, terms)

    @property
    def in_symbols(self) -> "Result":
        """The same with a symbol for every number of what it is of (see `Timed.in_symbols`)."""
        if self.form is None:
            return self
        result: Result = getattr(self.form.in_symbols, self.metric)
        return result.mean if isinstance(result, StepTime) and type(self) is Result else result

    def legend(self) -> tuple[Notation, ...]:
        """The rows of the notation table that the expression uses."""
        return legend(self.expr)

    @checked
    def bind(self, values: By[Number]) -> Expr:
        """The expression with symbols replaced, names and ranges checked.

        Raises:
            SymbolError: an unknown name, a value out of range, or a generation without a decode
                step in a formula of such steps.
        """
        self.check_steps(values)
        bound = sym.bind(self.expr, values)
        return bound if bound.free_symbols else bound.doit()

    @checked
    def at(self, values: By[Number]) -> "Result":
        """The same result at values of some symbols: its terms and parts are kept.

        Raises:
            SymbolError: as `bind`.
        """
        self.check_steps(values)
        terms = tuple(term.map(lambda expr: sym.bind(expr, values)) for term in self.terms)
        parts = tuple(replace(part, value=sym.bind(part.value, values)) for part in self.parts)
        steps = sym.bind(self.over_steps, values)
        made = Result(name=self.name, unit=self.unit, expr=self.bind(values), over_steps=steps)
        return replace(made, terms=terms, parts=parts)

    @checked
    def least(self, symbol: Symbol) -> Expr:
        """The least value of a symbol at which the formula holds, or that it is above.

        Raises:
            SymbolError: no symbol of the table.
        """
        low = S(sym.TABLE[sym.resolve(symbol)].minimum or 0)
        return low + 1 if self.over_steps.xreplace({symbol: low}).is_zero else low

    @checked
    def check_steps(self, values: By[Number]) -> None:
        """Refuse values at which there is no decode step, or no whole number of chunks.

        Raises:
            SymbolError: the formula, and what to ask instead.
        """
        by_symbol = {sym.resolve(name): value for name, value in values.items()}
        for count in self.whole:
            known = {symbol: by_symbol[symbol] for symbol in count.free_symbols & by_symbol.keys()}
            number = sym.bind(count, known)
            if number.is_number and not number.is_Integer:
                raise SymbolError(
                    f"the formula of {self.name} is that of prompts in whole chunks: {count} must "
                    f"be a whole number, not {number}"
                )
        free = self.over_steps.free_symbols
        known = {symbol: value for symbol, value in by_symbol.items() if symbol in free}
        steps = sym.bind(self.over_steps, known)
        if steps.is_number and steps < 1:
            raise SymbolError(
                f"the formula of {self.name} is that of two generated tokens or more: ask for one "
                "token with generate=1 in the forecast, which has no decode step"
            )


@dataclass(frozen=True, kw_only=True)
class StepTime(Result):
    """TPOT: ``expr`` is one decode step at context `symbols.past`.

    Asked for one number (``float``), it gives the mean over the workload's generation.

    Attributes:
        start: the context of the first decode step, past + prompt; None where all steps are alike.
        steps: decode steps of the generation; 1 where it has none, so that the mean of a generation
            of one token is its first step's.
    """

    start: Expr | None
    steps: Expr

    @cached_property
    def first(self) -> Result:
        """The first decode step of the generation."""
        return self._after("TPOT of the first step", S.Zero)

    @cached_property
    def last(self) -> Result:
        """The last decode step of the generation."""
        last = self._after("TPOT of the last step", self.steps - 1)
        return self._of_steps(last.name, last.expr, last.terms)

    @cached_property
    def mean(self) -> Result:
        """The exact mean over the generation: the sum of its steps in closed form, over them.

        A time that is no sum of terms, as a pipeline's, has none: its sum stays open. The formula
        of a symbolic generation is that of two tokens or more.
        """
        terms = self.averaged(self.terms)
        expr = total(terms) if terms else self.over(self.expr) / self.steps
        mean = self._of_steps("mean TPOT", expr, terms)
        return replace(mean, form=self.form, metric=self.metric)

    @checked
    def over(self, expr: Expr) -> Expr:
        """The sum over the generation's steps of an expression in the context."""
        if self.start is None:  # an open sum in it has an index of its own
            return self.steps * expr
        return sum_over(self._moved(expr, index), self.steps)

    @checked
    def averaged(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        """The means over the generation's steps of terms in the context."""
        if self.start is None:
            return terms
        each = (term.map(lambda expr: self._moved(expr, index)) for term in terms)
        return tuple(scaled(summed(term, self.steps), 1 / self.steps) for term in each)

    def _of_steps(self, name: str, expr: Expr, terms: tuple[Term, ...]) -> Result:
        """A result that has no meaning without a step; of steps that are alike it has."""
        steps = S.One if self.start is None else self.steps
        return Result(name=name, unit=self.unit, expr=expr, terms=terms, over_steps=steps)

    def _after(self, name: str, steps: Expr) -> Result:
        terms = tuple(term.map(lambda expr: self._moved(expr, steps)) for term in self.terms)
        expr = total(terms) if terms else self._moved(self.expr, steps)
        return Result(name=name, unit=self.unit, expr=expr, terms=terms)

    def _moved(self, expr: Expr, steps: Expr) -> Expr:
        """An expression in the context, so many steps after the first one."""
        return expr if self.start is None else at_context(expr, self.start + steps)

    @property
    def single(self) -> Result:
        """The mean step."""
        return self.mean


Operand: TypeAlias = Result | Number
"""What a result is added to or multiplied with."""


def _operand(value: Operand) -> Result:
    """A result for arithmetic: a number is one of the unit 1."""
    if isinstance(value, Result):
        return value.single
    expr = exact(value, "what is added to a result or multiplied with it")
    return Result(name=str(value), unit="1", expr=expr)


def _summed(first: Operand, second: Operand, sign: Literal["+", "-"]) -> Result:
    one, other = _operand(first), _operand(second)
    if one.unit != other.unit:
        raise SymbolError(
            f"{one.name} {sign} {other.name}: both must have the same unit, "
            f"not {one.unit} and {other.unit}"
        )
    right = other if sign == "+" else _multiple(other, S.NegativeOne)
    name = other.name if sign == "+" else _enclosed(other.name)
    made = _both(one, other, f"{one.name} {sign} {name}", one.unit, one.expr + right.expr)
    terms = one.terms + right.terms if one.terms and right.terms else ()
    parts = one.parts + right.parts if one.parts and right.parts else ()
    return replace(made, terms=terms, parts=parts)


def _multiplied(first: Operand, second: Operand, sign: Literal["*", "/"]) -> Result:
    one, other = _operand(first), _operand(second)
    name = f"{_enclosed(one.name)} {sign} {_enclosed(other.name)}"
    if sign == "/" and other.expr == 0:
        raise SymbolError(f"{name}: the divisor is 0")
    unit = (product if sign == "*" else ratio)(one.unit, other.unit)
    factor = other.expr if sign == "*" else 1 / other.expr
    made = _both(one, other, name, unit, one.expr * factor)
    if not isinstance(second, Result):
        return replace(_multiple(one, factor), name=name, expr=made.expr)
    if not isinstance(first, Result) and sign == "*":
        return replace(_multiple(other, one.expr), name=name, expr=made.expr)
    return made


def _multiple(one: Result, factor: Expr) -> Result:
    """A result times a number or an expression without a unit."""
    terms = tuple(scaled(term, factor) for term in one.terms) if factor.is_nonnegative else ()
    parts = tuple(replace(part, value=factor * part.value) for part in one.parts)
    made = _both(one, one, one.name, one.unit, factor * one.expr)
    return replace(made, terms=terms, parts=parts)


def _both(one: Result, other: Result, name: str, unit: str, expr: Expr) -> Result:
    """A result that holds where two others do."""
    steps = Minimum(*{one.over_steps, other.over_steps} - {S.One} or {S.One})
    whole = tuple(dict.fromkeys(one.whole + other.whole))
    return Result(name=name, unit=unit, expr=expr, over_steps=steps, whole=whole)


def _enclosed(name: str) -> str:
    """A name in parentheses where it is that of a sum or a product."""
    return f"({name})" if any(f" {sign} " in name for sign in "+-*/") else name


def _number(expr: Expr, what: str) -> float:
    if expr.free_symbols:
        left = ", ".join(row.word for row in legend(expr))
        raise SymbolError(f"{what} still depends on {left}: bind them first")
    open_sums = {node: _added(node) for node in expr.atoms(Sum) if not node.free_symbols}
    return float(expr.xreplace(open_sums).doit(powers=False))


def _added(node: Sum) -> Expr:
    """The value of a sum without a closed form, all its steps at once and in doubles.

    SymPy's own evaluation of such a sum takes seconds.
    """
    import numpy as np  # noqa: PLC0415 (slow to import)

    limits = [[part.doit() for part in limit] for limit in node.limits]
    ranges = (np.arange(int(low), int(high) + 1, dtype=float) for _, low, high in limits)
    steps = np.meshgrid(*ranges)
    variables = [variable for variable, _, _ in limits]
    value = lambdify(variables, doubles(node.function), "numpy", cse=True)(*steps)
    return Rational(float(np.sum(np.broadcast_to(value, steps[0].shape))))
