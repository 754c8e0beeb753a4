"""Our own SymPy functions: the light maximum and minimum, and exact integer division.

SymPy's `Max` compares its arguments pairwise at every rebuild and differentiates to Heaviside
functions; its `ceiling(S/64)` prints as a multiplication by a reciprocal, which rounds wrongly.
These nodes evaluate on numbers alone, differentiate to the active branch, and print exactly for
LaTeX, NumPy, C and Python. `relax` gives the smooth formula that an optimiser needs.
"""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, ClassVar

from sympy import Add, Expr, Function, Integer, Rational, S, ceiling, floor, log
from sympy.core.sorting import default_sort_key

from lifesym.powers import is_irrational, sign, written

Printer = Any


def _call(printer: Printer, name: str, *args: Expr) -> str:
    return f"{name}({', '.join(printer._print(arg) for arg in args)})"


def _coefficients(expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    """What each term of a sum is a multiple of, and how often, as it stands."""
    for term in Add.make_args(expr):
        coefficient, rest = term.as_coeff_Mul()
        yield rest, coefficient


def _covers(above: Mapping[Expr, Expr], below: Mapping[Expr, Expr]) -> bool:
    """Whether one sum is at least the other, since no nonnegative term of it is smaller."""
    apart: list[Expr] = []
    for rest in {**above, **below}:
        gap = above.get(rest, S.Zero) - below.get(rest, S.Zero)
        if gap < 0:
            return False
        if gap > 0:
            apart.append(rest)
    # signs last: SymPy takes long over them
    return all(rest is S.One or rest.is_nonnegative for rest in apart)


class _Extremum(Function):
    """What `Maximum` and `Minimum` share: flat, sorted, duplicate-free arguments."""

    sign: ClassVar[int]
    word: ClassVar[str]

    @classmethod
    def eval(cls, *args: Expr) -> Expr | None:
        """Fold numbers, multiples of one nonnegative expression, sums that differ by a number.

        An argument that another one is beyond term by term is left out.
        """
        flat: list[Expr] = []
        for arg in args:
            flat.extend(arg.args if isinstance(arg, cls) else (arg,))
        if any(is_irrational(arg) for arg in flat):
            flat = cls._numbers_folded(flat)
        best: dict[Expr, Expr] = {}
        apart: list[Expr] = []  # further multiples of what may be negative
        for arg in flat:
            coefficient, rest = arg.as_coeff_Mul()
            if rest not in best:
                best[rest] = coefficient
            # SymPy takes long over signs: it is asked for one only where two multiples meet
            elif rest is not S.One and not rest.is_nonnegative:
                apart.append(arg)
            elif cls.sign * (coefficient - best[rest]) > 0:
                best[rest] = coefficient
        constant = best.get(S.One)
        if constant is not None and len(best) > 1 and constant <= 0:
            others = [*apart, *(c * rest for rest, c in best.items() if rest is not S.One)]
            if cls.sign > 0 and any(other.is_nonnegative for other in others):
                del best[S.One]
            elif cls.sign < 0 and all(other.is_nonnegative for other in others):
                best = {S.One: constant}
        ends: dict[Expr, Expr] = {}
        for arg in (*(c * rest for rest, c in best.items()), *apart):
            constant, rest = arg.as_coeff_Add()
            if rest not in ends or cls.sign * (constant - ends[rest]) > 0:
                ends[rest] = constant
        kept = sorted(
            cls._undominated([c + rest for rest, c in ends.items()]), key=default_sort_key
        )
        if len(kept) == 1:
            return kept[0]
        return None if tuple(kept) == args else cls(*kept)

    @classmethod
    def _undominated(cls, args: list[Expr]) -> list[Expr]:
        """The arguments without those that another one is beyond, coefficient by coefficient."""
        terms = {arg: dict(_coefficients(arg)) for arg in args}
        left = dict(terms)
        for arg, mine in terms.items():
            others = (other for one, other in left.items() if one is not arg)
            if any(
                _covers(*((other, mine) if cls.sign > 0 else (mine, other))) for other in others
            ):
                del left[arg]
        return list(left)

    @classmethod
    def _numbers_folded(cls, args: list[Expr]) -> list[Expr]:
        """The arguments with one number: of two logarithms neither is a multiple of the other."""
        numbers = [arg for arg in args if arg.is_Rational or is_irrational(arg)]
        best = reduce(lambda a, b: b if cls.sign * sign(b - a) > 0 else a, numbers)
        return [best, *(arg for arg in args if arg not in numbers)]

    def fdiff(self, argindex: int = 1) -> Expr:
        """1 for the active branch and 0 for the others (see `Active`)."""
        signed = [self.sign * arg for arg in self.args]
        return Active(signed.pop(argindex - 1), *signed)

    def _eval_is_nonnegative(self) -> bool | None:
        return True if all(arg.is_nonnegative for arg in self.args) else None

    def _eval_is_positive(self) -> bool | None:
        return True if all(arg.is_positive for arg in self.args) else None

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(arg.is_extended_real for arg in self.args) else None

    def _eval_is_integer(self) -> bool | None:
        return True if all(arg.is_integer for arg in self.args) else None

    def _eval_evalf(self, prec: int) -> Expr:
        return self.func(*(arg._evalf(prec) for arg in self.args))

    def _nested(self, printer: Printer, function: str) -> str:
        printed = [printer._print(arg) for arg in self.args]
        return str(reduce(lambda left, right: f"{function}({left}, {right})", printed))

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        body = ", ".join(printer._print(arg) for arg in self.args)
        power = f"^{{{exp}}}" if exp else ""
        return rf"\{self.word}{power}\left({body}\right)"

    def _sympystr(self, printer: Printer) -> str:
        return _call(printer, self.word, *self.args)

    def _pythoncode(self, printer: Printer) -> str:
        return _call(printer, self.word, *self.args)

    def _numpycode(self, printer: Printer) -> str:
        return self._nested(printer, printer._module_format(f"numpy.{self.word}imum"))

    def _ccode(self, printer: Printer) -> str:
        return self._nested(printer, f"f{self.word}")


class Maximum(_Extremum):
    r"""The largest of its arguments: $\max(a, b, \dots)$, the roofline's maximum.

    >>> from lifesym.symbols import batch, past
    >>> Maximum(3, 5), Maximum(2 * past, 3 * past), Maximum(0, batch)
    (5, 3*past, batch)
    >>> Maximum(batch, past).diff(past)
    Active(past, batch)
    """

    sign = 1
    word = "max"

    def relax(self, order: int = 8) -> Expr:
        r"""The p-norm $(\sum a_i^p)^{1/p}$, at most $k^{1/p}$ times the maximum of k terms."""
        return sum(arg**order for arg in self.args) ** Rational(1, order)


class Minimum(_Extremum):
    r"""The smallest of its arguments: $\min(a, b, \dots)$, as of a sliding window.

    >>> from sympy import Integer
    >>> from lifesym.symbols import past, window
    >>> Minimum(past, window).xreplace({past: Integer(100), window: Integer(64)})
    64
    """

    sign = -1
    word = "min"


class Active(Function):
    """1 where the first argument is the largest, else 0; a tie of k gives 1/k.

    It is the derivative of a `Maximum` with respect to one argument. The value at a tie is the
    average of the one-sided derivatives, so shares still add up to one there; its own derivative
    is 0 wherever it has one.

    >>> from sympy import Integer
    >>> Active(Integer(3), S(2)), Active(Integer(3), S(3)), Active(Integer(1), S(2))
    (1, 1/2, 0)
    """

    @classmethod
    def eval(cls, first: Expr, *others: Expr) -> Expr | None:
        """A number when every argument is one."""
        if not all(arg.is_number for arg in (first, *others)):
            return None
        ahead = [sign(first - other) for other in others]
        return S.Zero if min(ahead, default=1) < 0 else Rational(1, 1 + ahead.count(0))

    def fdiff(self, argindex: int = 1) -> Expr:
        """Zero: the function is constant on both sides of a tie."""
        return S.Zero

    def _eval_is_nonnegative(self) -> bool:
        return True

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        first, *others = (printer._print(arg) for arg in self.args)
        power = f"^{{{exp}}}" if exp else ""
        return rf"\left[{first} \ge {', '.join(others)}\right]{power}"

    def _share(self, printer: Printer) -> tuple[str, str]:
        first, *others = (f"({printer._print(arg)})" for arg in self.args)
        largest = " & ".join(f"({first} >= {other})" for other in others)
        ties = " + ".join(["1", *(f"({first} == {other})" for other in others)])
        return largest, ties

    def _numpycode(self, printer: Printer) -> str:
        largest, ties = self._share(printer)
        return f"(({largest})/({ties}))"

    _pythoncode = _numpycode

    def _ccode(self, printer: Printer) -> str:
        largest, ties = self._share(printer)
        return f"((double)({largest})/(double)({ties}))"


class _IntegerDivision(Function):
    """What `CeilDiv` and `FloorDiv` share: exact rounding of a quotient of two expressions."""

    nargs = 2
    up: ClassVar[bool]

    @classmethod
    def eval(cls, a: Expr, b: Expr) -> Expr | None:
        """A number when both are numbers, or one of 0/b, a/1 and a/a."""
        if a.is_zero and b.is_positive:
            return S.Zero
        if b is S.One and not a.is_number:
            return a
        if a == b and a.is_positive:
            return S.One
        if not (a.is_number and b.is_number):
            return None
        if b.is_zero:
            raise ZeroDivisionError(f"{cls.__name__}({a}, 0)")
        return whole(a / b, up=cls.up)

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope of the relaxed quotient a/b: the steps themselves have no useful slope."""
        a, b = self.args
        return 1 / b if argindex == 1 else -a / b**2

    def relax(self) -> Expr:
        """The quotient a/b without rounding."""
        a, b = self.args
        return a / b

    def _eval_is_integer(self) -> bool:
        return True

    def _eval_is_nonnegative(self) -> bool | None:
        a, b = self.args
        return True if a.is_nonnegative and b.is_positive else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        side = "ceil" if self.up else "floor"
        body = printer._print(self.relax())
        power = f"^{{{exp}}}" if exp else ""
        return rf"\left\l{side} {body} \right\r{side}{power}"

    def _numpycode(self, printer: Printer) -> str:
        a, b = (f"({printer._print(arg)})" for arg in self.args)
        return f"(-(-{a} // {b}))" if self.up else f"({a} // {b})"

    _pythoncode = _numpycode

    def _ccode(self, printer: Printer) -> str:
        a, b = (f"(double)({printer._print(arg)})" for arg in self.args)
        return f"{'ceil' if self.up else 'floor'}({a}/({b}))"


class CeilDiv(_IntegerDivision):
    r"""The quotient rounded up, $\lceil a/b \rceil$: pages, tiles, chunks.

    `bound` is what the rounding can add at most, for a formula without steps.

    >>> from lifesym.symbols import prompt, chunk
    >>> from sympy import Integer
    >>> CeilDiv(Integer(525), Integer(75)), CeilDiv(prompt, chunk).relax()
    (7, prompt/chunk)
    """

    up = True

    def bound(self) -> Expr:
        """The least upper bound of the integers a, b: a/b + 1 - 1/b."""
        a, b = self.args
        return a / b + 1 - 1 / b


class FloorDiv(_IntegerDivision):
    r"""The quotient rounded down, $\lfloor a/b \rfloor$.

    >>> from sympy import Integer
    >>> FloorDiv(Integer(49), Integer(49)), FloorDiv(Integer(48), Integer(49))
    (1, 0)
    """

    up = False


class CeilLog2(Function):
    r"""The binary logarithm rounded up, $\lceil \log_2 n \rceil$: rounds of a tree of n devices.

    >>> from lifesym.symbols import devices
    >>> from sympy import Integer
    >>> [CeilLog2(Integer(n)) for n in (1, 2, 3, 8, 9)], CeilLog2(devices).relax()
    ([0, 1, 2, 3, 4], log(devices)/log(2))
    """

    nargs = 1
    largest: ClassVar[int] = 24
    """`closed_form` is exact for whole numbers up to this power of two."""

    @classmethod
    def eval(cls, n: Expr) -> Expr | None:
        """A whole number's, from its binary digits."""
        return Integer((int(n) - 1).bit_length()) if n.is_Integer and n > 0 else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """The slope of the logarithm: the steps themselves have no useful slope."""
        return 1 / (self.args[0] * log(2))

    def relax(self) -> Expr:
        """The logarithm without rounding."""
        return log(self.args[0], 2)

    def closed_form(self) -> Expr:
        """The number of powers of two below a whole number, as minima and maxima."""
        powers = (Integer(2**i) for i in range(self.largest))
        return Add(*(Minimum(S.One, Maximum(S.Zero, self.args[0] - power)) for power in powers))

    def _eval_is_integer(self) -> bool:
        return True

    def _eval_is_nonnegative(self) -> bool | None:
        return True if (self.args[0] - 1).is_nonnegative else None

    def _latex(self, printer: Printer, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp else ""
        return rf"\left\lceil \log_{{2}} {{{printer._print(self.args[0])}}} \right\rceil{power}"

    def _numpycode(self, printer: Printer) -> str:
        logarithm = printer._module_format("numpy.log2")
        ceiling = printer._module_format("numpy.ceil")
        return f"{ceiling}({logarithm}({printer._print(self.args[0])}))"


def whole(number: Expr, *, up: bool) -> Expr:
    """A number rounded up or down to a whole one, exactly."""
    number = written(number)
    return ceiling(number) if up else floor(number)


def relax(expr: Expr) -> Expr:
    """Replace every node of an expression that has a smooth version by it.

    >>> from lifesym.symbols import prompt, chunk
    >>> relax(3 * CeilDiv(prompt, chunk))
    3*prompt/chunk
    """
    return expr.replace(lambda e: hasattr(e, "relax"), lambda e: e.relax())
