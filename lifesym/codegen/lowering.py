"""Expressions as programs.

Polynomials are nested (Horner); integer powers are products; maxima, rounded quotients and closed
sums become a handful of kinds of operations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from sympy import Add, Derivative, Expr, Mul, Poly, Pow, S, Sum, Symbol, log

from lifesym.codegen.polynomials import nested, scalable, whole
from lifesym.codegen.program import Label, Op, Program, pruned
from lifesym.codegen.reciprocals import shared
from lifesym.codegen.registers import Registers
from lifesym.codegen.remainders import remainders
from lifesym.errors import SymbolError
from lifesym.nodes import Active, CeilDiv, CeilLog2, FloorDiv, Maximum, Minimum
from lifesym.powers import LongPower, written
from lifesym.remainders import ChunksBefore, LastChunk, all_without_differences, functions_in
from lifesym.sums import Crossing, SumMax
from lifesym.symbols import TABLE

_LARGEST_POWER = 16
Labels = Mapping[Expr, Label]
"""What maxima, their arguments, and summands without their numbers are."""
_NONE: Labels = {}


def lower(exprs: Sequence[Expr], args: Sequence[Symbol], labels: Labels = _NONE) -> Program:
    """The program of some expressions in some arguments; parts of them may have labels.

    Raises:
        SymbolError: an expression has a symbol that is no argument, or a part that no target has.
    """
    builder = _Builder(tuple(args))
    builder.labels = labels
    return builder.program(builder.whole(exprs))


class _Builder(Registers):
    """Lowers expressions; equal registers are made once."""

    def __init__(self, args: tuple[Expr, ...]) -> None:
        super().__init__()
        self.labels = _NONE
        self.args = list(args)
        self.seen: dict[Expr, int] = {}
        for i, symbol in enumerate(args):
            self.seen[symbol] = self.put(Op("arg", (), i))

    def program(self, outputs: tuple[int, ...]) -> Program:
        """The program of some registers."""
        return pruned(shared(Program(tuple(self.args), tuple(self.ops), outputs)))

    def whole(self, exprs: Sequence[Expr]) -> tuple[int, ...]:
        """The registers of formulas, whose remainders are known by their bounds."""
        inside: dict[Expr, frozenset[Expr]] = {}
        plain = {expr: expr for expr in exprs}
        kinds = {type(each) for expr in plain for each in functions_in(expr, inside)}
        if LongPower in kinds:
            plain = {expr: written(expr) for expr in plain}
        if LastChunk in kinds:
            plain = dict(zip(plain, all_without_differences([*plain.values()]), strict=True))
        named, found = remainders([*plain.values()])
        for name, rest in found.items():
            parts = (self.lower(part) for part in (rest.top, rest.taken, rest.bottom))
            self.seen[name] = self.put(Op("rest", tuple(parts), 0))
        place = dict(zip(plain, map(self.lower, named), strict=True))
        return tuple(place[expr] for expr in exprs)

    def lower(self, expr: Expr) -> int:
        """The register of an expression."""
        if expr not in self.seen:
            self.seen[expr] = self._lower(expr)
        return self.seen[expr]

    def _lower(self, expr: Expr) -> int:
        if isinstance(expr, Symbol):
            word = TABLE[expr].word if expr in TABLE else expr.name
            raise SymbolError(f"the formula depends on {word}, which is no argument: bind it")
        if expr.is_Rational:
            return self.const(Fraction(int(expr.p), int(expr.q)))
        if expr.is_Float:
            return self.const(Fraction(str(expr)))
        if isinstance(expr, SumMax | CeilLog2):
            return self.lower(expr.closed_form())
        if isinstance(expr, Sum):
            return self._loop(expr)
        if isinstance(expr, Add):
            return self._sum(expr)
        if isinstance(expr, Mul):
            return self._product(expr)
        if isinstance(expr, Pow):
            return self._power(*expr.args)
        if isinstance(expr, log):
            return self.put(Op("log", (self.lower(expr.args[0]),)))
        return self._node(expr)

    def _node(self, expr: Expr) -> int:
        if isinstance(expr, Derivative):
            raise SymbolError("a sum without a closed form has no derivative in its bounds")
        if isinstance(expr, ChunksBefore):
            return self.lower(expr.closed_form())
        if isinstance(expr, LastChunk):
            top, bottom = expr.args
            taken = bottom * ChunksBefore(top, bottom)
            return self.put(Op("rest", tuple(map(self.lower, (top, taken, bottom))), 1))
        parts = [self.lower(arg) for arg in expr.args]
        if isinstance(expr, Maximum | Minimum):
            kind = "max" if isinstance(expr, Maximum) else "min"
            for part, arg in zip(parts, expr.args, strict=True):
                self._labelled(part, arg)
            return self._labelled(self.chain(kind, parts), expr)
        if isinstance(expr, CeilDiv | FloorDiv):
            kind = "ceil" if isinstance(expr, CeilDiv) else "floor"
            return self.put(Op(kind, tuple(self.lower(arg) for arg in whole(expr.args))))
        if isinstance(expr, Crossing):
            return self._crossing(*parts)
        if isinstance(expr, Active):
            return self.active(*parts)
        raise SymbolError(f"{type(expr).__name__} cannot be compiled")

    def _labelled(self, register: int, node: Expr) -> int:
        """A register that says what it is, if it is an operation and does not say so yet."""
        op = self.ops[register]
        if node in self.labels and op.reads and op.label is None:
            self.ops[register] = replace(op, label=self.labels[node])
        return register

    def _loop(self, expr: Sum) -> int:
        """A sum in closed form where its terms are polynomials; else a loop over its terms."""
        function, *limits = expr.args
        index, low, high = limits.pop()
        inner = Sum(function, *limits) if limits else function
        if inner.is_polynomial(index):
            done = Sum(inner, (index, low, high)).doit()
            if not done.has(Sum):
                return self.lower(done)
        body = _Body(self, index)
        result = body.lower(inner.xreplace({index: index + low}))
        reads = (self.lower(high - low), *body.captured)
        return self.put(Op("sum", reads, body=body.program((result,))))

    def _sum(self, expr: Expr) -> int:
        made = nested(expr)
        if not isinstance(made, Add):
            return self.lower(made)
        parts = []
        for arg in made.args:
            parts.append(self.lower(arg))
            part = arg.as_coeff_Mul()[1]
            if not isinstance(part, Maximum):  # which has its label already
                self._labelled(parts[-1], part)
        return self.chain("add", sorted(parts))

    def _product(self, expr: Expr) -> int:
        count, node = expr.as_coeff_Mul()
        if isinstance(node, Maximum | Minimum) and count > 0 and all(map(scalable, node.args)):
            for arg in node.args:
                self._labelled(self.lower(count * arg), arg)
            scaled = self.lower(node.func(*(count * arg for arg in node.args)))
            return self._labelled(scaled, node)
        above, below = [], []
        coefficient = S.One
        for factor in expr.args:
            if factor.is_Rational:
                coefficient *= factor
            elif isinstance(factor, Pow) and factor.exp.is_Rational and factor.exp < 0:
                below.append(self.lower(Pow(factor.base, -factor.exp)))
            else:
                above.append(self.lower(factor))
        product = self.chain("mul", sorted(above)) if above else None
        if coefficient != 1 or product is None:
            number = self.const(Fraction(int(coefficient.p), int(coefficient.q)))
            product = number if product is None else self.pair("mul", number, product)
        if below:
            product = self.put(Op("div", (product, self.chain("mul", sorted(below)))))
        return product

    def _power(self, base: Expr, exponent: Expr) -> int:
        if exponent.is_Integer and 0 < abs(exponent) <= _LARGEST_POWER:
            power = self._repeated(self.lower(base), abs(int(exponent)))
            if exponent > 0:
                return power
            return self.put(Op("div", (self.const(1), power)))
        return self.put(Op("pow", (self.lower(base), self.lower(exponent))))

    def _repeated(self, register: int, count: int) -> int:
        """The product of so many equal factors, by squaring."""
        if count == 1:
            return register
        half = self._repeated(register, count // 2)
        square = self.pair("mul", half, half)
        return self.pair("mul", square, register) if count % 2 else square

    def _crossing(self, p: int, q: int, n: int) -> int:
        """min(n, max(0, ceil(-p/q))) where q is above 0; else n or 0 by the sign of p."""
        zero, minus = self.const(0), self.const(-1)
        negative = self.pair("mul", minus, p)
        count = self.put(Op("cross", (negative, q)))
        clipped = self.pair("min", n, self.pair("max", zero, count))
        flat = self.put(Op("pick", (negative, n, zero), 1))
        return self.put(Op("pick", (q, clipped, flat), 1))


class _Body(_Builder):
    """Lowers the terms of a sum; what does not depend on the index is computed before the loop."""

    def __init__(self, outer: _Builder, index: Symbol) -> None:
        super().__init__((index,))
        self.outer, self.index = outer, index
        self.captured: list[int] = []

    def lower(self, expr: Expr) -> int:
        """The register of an expression; one that is the same for all terms is an argument."""
        if expr not in self.seen and not expr.is_Rational and not expr.has(self.index):
            self.seen[expr] = self.put(Op("arg", (), len(self.args)))
            self.captured.append(self.outer.lower(expr))
            self.args.append(expr)
        return super().lower(expr)

    def _sum(self, expr: Expr) -> int:
        """A polynomial in the index by Horner's rule; other sums with their fixed part as one."""
        if expr.is_polynomial(self.index):
            first, *others = Poly(expr, self.index).all_coeffs()
            register = self.lower(first)
            for coefficient in others:
                register = self.pair("mul", register, self.lower(self.index))
                if coefficient != 0:
                    register = self.pair("add", register, self.lower(coefficient))
            return register
        fixed, moving = expr.as_independent(self.index, as_Add=True)
        parts = [self.lower(term) for term in Add.make_args(moving)]
        return self.chain("add", sorted([self.lower(fixed), *parts] if fixed != 0 else parts))

    def _product(self, expr: Expr) -> int:
        fixed, moving = expr.as_independent(self.index, as_Add=False)
        if fixed.is_Rational:
            return super()._product(expr)
        return self.pair("mul", self.lower(fixed), self.lower(moving))
