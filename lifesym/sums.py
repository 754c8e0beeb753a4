r"""Sums over growing contexts in closed form.

A decode step's time, and a prefill chunk's, is a sum of maxima of terms affine in the context.
Summed over n steps each maximum has an exact closed form: its two lines cross once, so the sum
splits at the crossing index k into two arithmetic series. Where a sliding window binds, the
range is split there first. What has no closed form stays a SymPy `Sum`, which evaluates exactly.
"""

from typing import Any

from sympy import Add, Expr, Function, Mul, Poly, S, Sum, Symbol

from lifesym.nodes import Active, CeilDiv, FloorDiv, Maximum, Minimum, whole
from lifesym.plateaus import plateaus
from lifesym.symbols import index


class Crossing(Function):
    r"""How many of the values $p + q i$, $0 \le i < n$, are negative, for $q \ge 0$.

    It is the index at which a rising line crosses zero, clipped to the range:
    $\min(n, \max(0, \lceil -p/q \rceil))$, and for $q = 0$ all or none of them.

    >>> from sympy import Integer
    >>> Crossing(Integer(-5), Integer(2), Integer(10))
    3
    """

    nargs = 3

    @classmethod
    def eval(cls, p: Expr, q: Expr, n: Expr) -> Expr | None:
        """A number when all three are; 0 when the first value is not negative."""
        if p.is_nonnegative:
            return S.Zero
        if not (p.is_number and q.is_number and n.is_number):
            return None
        if q.is_zero:
            return n
        return Minimum(n, Maximum(S.Zero, whole(-p / q, up=True)))

    def fdiff(self, argindex: int = 1) -> Expr:
        """Zero, for an integer-valued step; where every value is negative it follows n.

        A sum that uses it is continuous across the crossing: the slope that it lacks would
        multiply the difference of the two lines there. At counts n that are not whole the sum is
        its closed form's continuation, split at a whole index; its slope in n is then that of
        the series after the crossing.
        """
        if argindex != 3:
            return S.Zero
        p, q, n = self.args
        return Active(-p - q * (n - 1), S.Zero)

    def _eval_is_integer(self) -> bool:
        return True

    def _eval_is_nonnegative(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        p, q, n = self.args
        body = rf"\min\left({printer._print(n)}, \max\left(0, "
        body += rf"\left\lceil {printer._print(-p / q)} \right\rceil\right)\right)"
        return rf"\left[{body}\right]^{{{exp}}}" if exp else body

    def _numpycode(self, printer: Any) -> str:
        p, q, n = (f"({printer._print(arg)})" for arg in self.args)
        where, clip, ceil = (
            printer._module_format(f"numpy.{name}") for name in ("where", "clip", "ceil")
        )
        rising = f"{clip}({ceil}(-{p}/{where}({q} > 0, {q}, 1)), 0, {n})"
        return f"{where}({q} > 0, {rising}, {where}({p} < 0, {n}, 0))"

    def _pythoncode(self, printer: Any) -> str:
        p, q, n = (f"({printer._print(arg)})" for arg in self.args)
        ceil = printer._module_format("math.ceil")
        return f"(min({n}, max(0, {ceil}(-{p}/{q}))) if {q} > 0 else ({n} if {p} < 0 else 0))"

    def _ccode(self, printer: Any) -> str:
        p, q, n = (f"(double)({printer._print(arg)})" for arg in self.args)
        return f"({q} > 0 ? fmin({n}, fmax(0, ceil(-{p}/({q})))) : ({p} < 0 ? {n} : 0))"


class Inside(Function):
    r"""The index $\lceil -p/q \rceil$ of a line known to cross zero inside its range.

    It is a `Crossing` without the clipping: a whole number that the sum it belongs to is
    continuous in, so that its derivative there is 0.

    >>> from sympy import Integer
    >>> Inside(Integer(-5), Integer(2))
    3
    """

    nargs = 2

    @classmethod
    def eval(cls, p: Expr, q: Expr) -> Expr | None:
        """A number where both are; a level line crosses nowhere, which counts as at once."""
        if not (p.is_number and q.is_number):
            return None
        return S.Zero if q.is_zero else whole(-p / q, up=True)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Zero."""
        return S.Zero

    def _eval_is_integer(self) -> bool:
        return True

    def _printed(self, printer: Any) -> str:
        return str(printer._print(CeilDiv(-self.args[0], self.args[1])))

    _sympystr = _latex = _numpycode = _pythoncode = _ccode = _printed


class SumMax(Function):
    r"""The sum of a maximum of two lines, $\sum_{i=0}^{n-1} \max(a + b i,\; c + d i)$.

    With $q = |b - d|$ and $p$ the smaller end of the difference, the lines cross at
    $k$ = `Crossing`$(p, q, n)$ and the sum is
    $n c + d\,n(n-1)/2 + (n-k) p + q\,[n(n-1) - k(k-1)]/2$ (`closed_form`): the same handful of
    operations whatever n is.

    >>> from sympy import Integer
    >>> SumMax(Integer(10), S(0), S(1), S(4), S(0)), sum(max(i, 4) for i in range(10))
    (55, 55)
    """

    nargs = 5

    @classmethod
    def eval(cls, n: Expr, a: Expr, b: Expr, c: Expr, d: Expr) -> Expr | None:
        """A number, or a plain series where one line is known to be the upper one."""
        if n.is_zero:
            return S.Zero
        if n is S.One:
            return Maximum(a, c)
        if all(arg.is_number for arg in (n, a, b, c, d)):
            return cls._closed(n, a, b, c, d)
        upper, lower = (a - c, b - d), (c - a, d - b)
        if all(part.is_nonnegative for part in upper):
            return series(n, a, b)
        if all(part.is_nonnegative for part in lower):
            return series(n, c, d)
        return None

    @staticmethod
    def _closed(n: Expr, a: Expr, b: Expr, c: Expr, d: Expr) -> Expr:
        gap, slope = a - c, b - d
        q = Maximum(slope, -slope)
        p = Minimum(gap, gap + slope * (n - 1))
        k = Crossing(p, q, n)
        return series(n, c, d) + (n - k) * p + q * (n * (n - 1) - k * (k - 1)) / 2

    def closed_form(self) -> Expr:
        """The sum written out with its crossing index."""
        return self._closed(*self.args)

    def doit(self, **hints: bool) -> Expr:
        """SymPy's name for `closed_form`."""
        return self.closed_form()

    def _eval_derivative(self, symbol: Symbol) -> Expr:
        return self.closed_form().diff(symbol)

    def _eval_is_nonnegative(self) -> bool | None:
        return True if all(arg.is_nonnegative for arg in self.args) else None

    def _eval_is_positive(self) -> bool | None:
        n, a, _, c, _ = self.args
        both = self._eval_is_nonnegative() and n.is_positive
        return True if both and (a.is_positive or c.is_positive) else None

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(arg.is_extended_real for arg in self.args) else None

    def _eval_evalf(self, prec: int) -> Expr:
        return self.closed_form()._evalf(prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        n, a, b, c, d = self.args
        lines = ", ".join(printer._print(one + slope * index) for one, slope in ((a, b), (c, d)))
        body = rf"\sum_{{i=0}}^{{{printer._print(n - 1)}}} \max\left({lines}\right)"
        return rf"\left[{body}\right]^{{{exp}}}" if exp else body

    def _numpycode(self, printer: Any) -> str:
        return f"({printer._print(self.closed_form())})"

    _pythoncode = _ccode = _numpycode


def series(n: Expr, first: Expr, step: Expr) -> Expr:
    """The sum of n values of a line that begins at ``first``."""
    return n * first + step * n * (n - 1) / 2


def sum_over(expr: Expr, count: Expr) -> Expr:
    r"""The closed form of $\sum_{i=0}^{n-1} f(i)$ with `symbols.index` as i.

    Terms that are polynomial in i become Faulhaber's polynomials, maxima of two affine lines
    become `SumMax`, and minima such as a sliding window split the range where they bind, as do
    rounded quotients at their steps where the range is a number (see `plateaus`). What remains
    (three lines in one maximum, two different windows in one maximum) is a `Sum`.

    >>> from lifesym.symbols import generated, prompt
    >>> sum_over(prompt + index, generated)
    generated*prompt + generated*(generated - 1)/2
    """
    if not expr.has(index):
        return count * expr
    if count is S.One:
        return expr.xreplace({index: S.Zero})
    if isinstance(expr, Add):
        return Add(*(sum_over(term, count) for term in expr.args))
    constant, dependent = expr.as_independent(index, as_Add=False)
    if constant is not S.One:
        return Mul(constant, sum_over(dependent, count))
    flat = plateaus(expr, count)
    if flat is not None:
        return Add(*(sum_over(piece, length) for piece, length in flat))
    minima = _dependent(expr, Minimum)
    if minima:
        return _split(expr, minima, count)
    if isinstance(expr, Maximum):
        lines = [_affine(arg) for arg in expr.args]
        if len(lines) == 2 and None not in lines:
            (a, b), (c, d) = lines  # type: ignore[misc]
            return SumMax(count, a, b, c, d)
        return Sum(expr, (index, 0, count - 1))
    if not _dependent(expr, Maximum) and expr.is_polynomial(index):
        coefficients = Poly(expr, index).all_coeffs()[::-1]
        powers = _powers(count)
        if len(coefficients) <= len(powers):
            return Add(*(c * power for c, power in zip(coefficients, powers, strict=False)))
    expanded = expr.expand()
    if expanded != expr and isinstance(expanded, Add):
        return sum_over(expanded, count)
    return Sum(expr, (index, 0, count - 1))


def _powers(n: Expr) -> tuple[Expr, ...]:
    """Faulhaber: the sums of i^m over 0 <= i < n, for m = 0, 1, 2, 3."""
    triangle = n * (n - 1) / 2
    return n, triangle, triangle * (2 * n - 1) / 3, triangle**2


def _dependent(expr: Expr, kind: type[Function]) -> list[Expr]:
    return [node for node in expr.atoms(kind) if node.has(index)]


def _affine(expr: Expr) -> tuple[Expr, Expr] | None:
    """The pair (a, b) of a line a + b*i, or None."""
    if _dependent(expr, Function):
        return None  # a rounded quotient's derivative is its relaxed slope, not a line's
    slope = expr.diff(index)
    return None if slope.has(index) else (expr.xreplace({index: S.Zero}), slope)


def _split(expr: Expr, minima: list[Expr], count: Expr) -> Expr:
    """Sum before and after the index where the minima switch from their rising line to a bound."""
    before: dict[Expr, Expr] = {}
    after: dict[Expr, Expr] = {}
    switches = set()
    for node in minima:
        rising = [arg for arg in node.args if arg.has(index)]
        line = _affine(rising[0]) if len(rising) == 1 else None
        if line is None or not line[1].is_positive:
            return Sum(expr, (index, 0, count - 1))
        bound = Minimum(*(arg for arg in node.args if not arg.has(index)))
        before[node], after[node] = rising[0], bound
        switches.add(FloorDiv(bound - line[0], line[1]) + 1)
    if len(switches) > 1:
        return Sum(expr, (index, 0, count - 1))
    rising_steps = Minimum(count, Maximum(S.Zero, switches.pop()))
    later = expr.xreplace(after).xreplace({index: index + rising_steps})
    return sum_over(expr.xreplace(before), rising_steps) + sum_over(later, count - rising_steps)
