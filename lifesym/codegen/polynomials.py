"""Forms of sums and products that cost less: nested, in lowest terms, with factors inside."""

from collections.abc import Iterator, Sequence

from sympy import Add, Expr, Mul, Rational, horner, igcd, ilcm


def nested(expr: Expr) -> Expr:
    """A polynomial in Horner's form; other sums as they are."""
    if len(expr.args) <= 2 or not all(monomial(arg) for arg in expr.args):
        return expr
    free = sorted(expr.free_symbols, key=lambda s: s.name)
    return horner(expr, *free) if free else expr


def whole(parts: Sequence[Expr]) -> list[Expr]:
    """Both sides of a quotient in lowest terms: fractions and huge numbers are no exact doubles."""
    terms = [Add.make_args(part) for part in parts]
    denominators = [term.as_coeff_Mul()[0].q for side in terms for term in side]
    common = ilcm(1, *denominators)
    numerators = [int(common * term.as_coeff_Mul()[0]) for side in terms for term in side]
    factor = Rational(common, igcd(*numerators))
    if factor == 1:
        return list(parts)
    return [Add(*(factor * term for term in side)) for side in terms]


def scalable(expr: Expr) -> bool:
    """Whether a factor costs nothing: every term has a number that takes it."""
    return all(term.as_coeff_Mul()[0] != 1 for term in Add.make_args(expr))


def monomial(expr: Expr) -> bool:
    """A rational times nonnegative integer powers of symbols."""
    factors: Iterator[Expr] = iter(expr.args if isinstance(expr, Mul) else (expr,))
    for factor in factors:
        base, exponent = factor.as_base_exp()
        whole = exponent.is_Integer and exponent >= 1
        if not (factor.is_Rational or (base.is_Symbol and whole)):
            return False
    return True
