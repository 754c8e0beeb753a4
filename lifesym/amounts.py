r"""Amounts of work as a paper writes them: sizes that return by name, factored by the workload.

$d_q = h d_h$ and its kin, the bytes w of a weight (with its scales $w_s$), and the experts that a
batch touches, $n_E = E (1 - (1 - k/E)^B)$.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from sympy import Add, Dummy, Expr, Mul, Pow, S, expand, factor

from lifesym import symbols as sym
from lifesym.named import named
from lifesym.named_rates import by_rate, rate_name
from lifesym.printing import WORKLOAD

_SIZES = {
    "d_q": sym.heads * sym.head_dim,
    "d_kv": sym.kv_heads * sym.head_dim,
    "D_lk": sym.linear_key_heads * sym.linear_key_dim,
    "D_lv": sym.linear_value_heads * sym.linear_value_dim,
    "w": sym.weight_bits / 8,
    "a": sym.activation_bits / 8,
    "c": sym.kv_bits / 8,
}
"""Sizes that return in many operators, by the name that a paper form gives them."""
_MISSED = 1 - sym.active_experts / sym.experts
"""The chance that an expert is not among those of a token; to the power of tokens, of all."""


@lru_cache(maxsize=4096)  # models share operators, and factoring is slow
def amount(expr: Expr) -> tuple[Expr, dict[str, Expr]]:
    """Some work as a paper prints it, and the sizes that it names."""
    if expr.is_number:
        return expr, {}
    touched = {}
    for power in sorted(expr.atoms(Pow), key=str):
        if power.base == _MISSED and not power.exp.is_number:
            touched[power] = sym.experts * (1 - power)
    known = {**_SIZES, **{f"n_{'E' * (i + 1)}": n for i, n in enumerate(touched.values())}}
    dummies = {name: Dummy(name, positive=True) for name in known}
    shares = {n: 1 - dummies[f"n_{'E' * (i + 1)}"] / sym.experts for i, n in enumerate(touched)}
    plain = expr.xreplace(shares)
    if (scaled := _scales(plain)) is not None:
        known["w_s"] = (sym.weight_bits + scaled) / 8
        dummies["w_s"] = Dummy("w_s", positive=True)
        plain = plain.xreplace({sym.weight_bits: 8 * dummies["w_s"] - scaled})
    best = _shortest(plain, dummies)
    used = {name: size for name, size in known.items() if best.has(dummies[name])}
    return best.xreplace({dummies[name]: named(name, known[name]) for name in used}), used


def _scales(work: Expr) -> Expr | None:
    """The bits that scales add to every weight in some work; None where they do not to all."""
    if not work.has(sym.weight_bits):
        return None
    polynomial = expand(work)
    stored = polynomial.coeff(sym.weight_bits, 1).as_coefficients_dict()
    beside = polynomial.coeff(sym.weight_bits, 0).as_coefficients_dict()
    if any(weights.has(sym.batch) for weights in stored):
        return None
    shares = {beside[weights] / each for weights, each in stored.items()}
    share = shares.pop()
    return share if not shares and share > 0 else None


def _shortest(expr: Expr, dummies: Mapping[str, Dummy]) -> Expr:
    """The shortest form of some work in names of sizes.

    Decode steps are shortest in the context with the new token, T + 1.
    """
    with_new = Dummy(positive=True)
    forms = []
    for changed in ({}, {sym.past: with_new - 1}) if expr.has(sym.past) else ({},):
        terms = Add.make_args(expand(expr.xreplace(changed)))
        plain = Add(*(_with_sizes(term, dummies) for term in terms))
        of_bytes = (dummies[name] for name in ("w", "w_s", "a", "c") if name in dummies)
        forms.append(_grouped(plain, [sym.batch, *of_bytes]))
        forms.append(factor(plain))
    best: Expr = min(forms, key=lambda form: form.count_ops())
    return best.xreplace({with_new: sym.past + 1})


def _with_sizes(term: Expr, dummies: Mapping[str, Dummy]) -> Expr:
    """A monomial with sizes by name where all their factors are in it."""
    for name, size in _SIZES.items():
        factors = {*Mul.make_args(size.as_coeff_Mul()[1])}
        if factors <= {*Mul.make_args(term)}:
            term = term / size * dummies[name]
    return term


def _grouped(expr: Expr, by: Iterable[Expr]) -> Expr:
    """Monomials gathered by their powers of some symbols, what multiplies each factored."""
    by = {*by}
    groups: dict[Expr, Expr] = {}
    for monomial in Add.make_args(expr):
        key = Mul(*(arg for arg in Mul.make_args(monomial) if arg.as_base_exp()[0] in by))
        groups[key] = groups.get(key, S.Zero) + monomial / key
    return Add(*(Mul(key, factor(rest)) for key, rest in groups.items()))


def coefficients(expr: Expr, letter: str) -> tuple[Expr, dict[str, Expr]]:
    """A sum of works over rates in one name for each monomial of the workload, and the names.

    Experts that no token chose are counted as a share of all: what is read of the others is then a
    sum of what is always read and of what any expert reads.

    >>> from lifesym.symbols import batch, hidden, past, bandwidth, memory_efficiency
    >>> print(*coefficients(hidden * batch * (past + 2) / (bandwidth * memory_efficiency), "m_kv"))
    batch*(past + 2)*m_kv/beta {'m_kv': hidden}
    """
    done = by_rate(expr)
    if done is None:
        return expr, {}
    names: dict[str, Expr] = {}
    shown = []
    for rate, work in done.items():
        short, parts = _by_monomial(work, letter, len(names))
        names |= parts
        shown.append(short / named(rate_name(rate), rate))
    return Add(*shown), names


def _by_monomial(work: Expr, letter: str, count: int) -> tuple[Expr, dict[str, Expr]]:
    """Work by its factors of the workload, each with a named coefficient."""
    touched = {power: Dummy(positive=True) for power in work.atoms(Pow) if power.base == _MISSED}
    work = work.xreplace({power: 1 - share for power, share in touched.items()})
    back = {share: 1 - power for power, share in touched.items()}
    terms: dict[Expr, Expr] = {}
    pieces = [factor(work)]
    if not all(s in WORKLOAD or s in back for s in _divided(pieces[0])[0].free_symbols):
        pieces = [*Add.make_args(expand(work))]
    for piece in pieces:
        varying, fixed = _divided(piece)
        terms[varying] = terms.get(varying, S.Zero) + fixed
    names: dict[str, Expr] = {}
    shown = []
    for varying, each in terms.items():
        fixed = factor(each)
        if fixed.is_number:
            shown.append(fixed * varying)
            continue
        number = count + len(names) + 1
        name = letter if number == 1 else f"{letter}_{number}"
        names[name] = fixed
        shown.append(named(name, fixed) * varying)
    return Add(*shown).xreplace(back), names


def _divided(product: Expr) -> tuple[Expr, Expr]:
    """A product's factors of the workload, and the others."""
    varying: list[Expr] = []
    fixed: list[Expr] = []
    for arg in Mul.make_args(product):
        runs = any(s in WORKLOAD or isinstance(s, Dummy) for s in arg.free_symbols)
        (varying if runs else fixed).append(arg)
    return Mul(*varying), Mul(*fixed)
