r"""The paper form: a time as a paper prints it, and exactly what it stands for.

Attained rates get a name once ($\beta = e_m \mathit{BW}$, $\pi = e_c P$), and the roofline is a
function of an operator's work, defined once:

$\tau(F, V, M) = \max(F/\pi + V/\pi_v,\; M/\beta)$

of F matrix operations, V elementwise ones and M bytes. Operators of equal work are gathered, those
without a matrix product are the vector work $\tau_{\mathrm{vec}}$, and what every layer has stands
in one bracket. Sizes that return have names too ($d_q = h d_h$). `Paper.unfold` gives the formula
of the result back, exactly.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sympy import Add, Dummy, Expr, Function, Mul, Pow, S, expand, factor, fraction

from lifesym import symbols as sym
from lifesym.named import Named, fold, named, unfold
from lifesym.nodes import CeilDiv, Maximum
from lifesym.roofline import Term
from lifesym.spelling import spelling, spelt
from lifesym.symbols import TABLE, is_own

_USUAL = {
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
        pairs = zip(self.args[3:], _USUAL.values(), strict=True)
        return [rate for rate, usual in pairs if unfold(rate) != usual]

    def _sympystr(self, printer: Any) -> str:
        rates = f"[{', '.join(map(str, self.others))}]" if self.others else ""
        return f"tau{rates}({', '.join(self._printed(printer))})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        rates = f"^{{{', '.join(map(printer._print, self.others))}}}" if self.others else ""
        body = rf"\tau{rates}({', '.join(self._printed(printer))})"
        return body if exp is None else rf"{body}^{{{exp}}}"


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A formula in the paper form.

    Attributes:
        name: what the formula is of.
        unit: its SI unit.
        groups: its summands in order, in the names below, by what they are multiplied with: the
            number of layers, or 1.
        rates: attained rates by name.
        parts: the summands of the times of operators, by name: a `Tau` wherever it is one.
        sizes: sizes that return, by name.
        operators: which operators each of the parts is of.
    """

    name: str
    unit: str
    groups: tuple[tuple[Expr, tuple[Expr, ...]], ...]
    rates: Mapping[str, Expr]
    parts: Mapping[str, tuple[Expr, ...]]
    sizes: Mapping[str, Expr]
    operators: Mapping[str, tuple[str, ...]]

    @property
    def expr(self) -> Expr:
        """The formula in the names."""
        return Add(*(count * Add(*summands) for count, summands in self.groups))

    @property
    def rooflines(self) -> set[Tau]:
        """The times that are the function tau of some work."""
        nodes = (each.atoms(Tau) for part in self.parts.values() for each in part)
        return set().union(*nodes)

    def respelt(self, taken: Collection[str]) -> "Paper":
        """The same, with a bar over names that are spelt as some symbols are."""
        names = (*self.rates, *self.sizes, *self.parts)
        new = {name: rf"\bar{{{spelt(name)}}}" for name in names if spelt(name) in taken}
        if not new:
            return self

        def renamed(expr: Expr) -> Expr:
            return expr.replace(
                lambda node: isinstance(node, Named) and str(node.args[1]) in new,
                lambda node: named(new[str(node.args[1])], node.args[0]),
            )

        def keys(named_: Mapping[str, Any]) -> dict[str, Any]:
            return {new.get(name, name): value for name, value in named_.items()}

        parts = {name: tuple(map(renamed, each)) for name, each in self.parts.items()}
        groups = tuple((count, tuple(map(renamed, each))) for count, each in self.groups)
        return replace(
            self, groups=groups, rates=keys(self.rates), parts=keys(parts), sizes=keys(self.sizes)
        )

    def unfold(self) -> Expr:
        """The formula of the result again, exactly."""
        return written(self.expr)


def written(expr: Expr) -> Expr:
    """A formula with every name and every roofline written out."""
    plain = unfold(expr)
    return plain.xreplace({node: node.written for node in plain.atoms(Tau)})


def roofline() -> tuple[tuple[str, ...], Expr]:
    """The arguments of tau, and what it is of them."""
    names = ("F", "V", "M")
    work = [named(name, Dummy(name, positive=True)) for name in names]
    return names, Tau(*work, *(named(name, rate) for name, rate in _USUAL.items())).written


_CUT = {sym.prompt, sym.chunk, sym.prefix}
_COUNTED = "layers"
"""The unit of what counts an operator's executions."""
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


def launches(dispatch: Expr) -> Expr:
    """A dispatch time as the time of one launch and their number."""
    count = expand(dispatch / sym.dispatch_time)
    return dispatch if count.has(sym.dispatch_time) else Mul(sym.dispatch_time, count)


def with_rates(expr: Expr) -> Expr:
    """A time with its attained rates by name."""
    for rate in dict.fromkeys(_rates_in(expr)):
        expr = fold(expr, 1 / rate, 1 / named(rate_name(rate), rate))
    return expr


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
    for rate, amount in done.items():
        written_, named_ = _by_monomial(amount, letter, len(names))
        names |= named_
        shown.append(written_ / named(rate_name(rate), rate))
    return Add(*shown), names


def _by_monomial(amount: Expr, letter: str, count: int) -> tuple[Expr, dict[str, Expr]]:
    """Work by its factors of the workload, each with a named coefficient."""
    touched = {power: Dummy(positive=True) for power in amount.atoms(Pow) if power.base == _MISSED}
    amount = amount.xreplace({power: 1 - share for power, share in touched.items()})
    back = {share: 1 - power for power, share in touched.items()}
    terms: dict[Expr, Expr] = {}
    pieces = [factor(amount)]
    if not all(s in _RUNNING or s in back for s in _divided(pieces[0])[0].free_symbols):
        pieces = [*Add.make_args(expand(amount))]
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


_RUNNING = {sym.batch, sym.new, sym.prompt, sym.past, sym.generated, sym.chunk, sym.prefix}


def _divided(product: Expr) -> tuple[Expr, Expr]:
    """A product's factors of the workload, and the others."""
    varying: list[Expr] = []
    fixed: list[Expr] = []
    for arg in Mul.make_args(product):
        runs = any(s in _RUNNING or isinstance(s, Dummy) for s in arg.free_symbols)
        (varying if runs else fixed).append(arg)
    return Mul(*varying), Mul(*fixed)


def paper(name: str, unit: str, terms: Iterable[Term]) -> Paper:
    """The paper form of a time that is a sum of terms, whose rates are symbols."""
    return _Writer(tuple(terms)).paper(name, unit)


@dataclass(frozen=True)
class _Work:
    """An operator's work in one execution; None of what is not the work of a roofline."""

    count: Expr
    matrix: Expr
    vector: Expr
    moved: Expr
    rates: tuple[Expr, Expr, Expr]


class _Writer:
    """One formula on its way to the paper form."""

    def __init__(self, terms: tuple[Term, ...]) -> None:
        self.terms = terms
        self.rates: dict[str, Expr] = {}
        self.sizes: dict[str, Expr] = {}
        self.parts: dict[str, tuple[Expr, ...]] = {}
        self.operators: dict[str, tuple[str, ...]] = {}

    def paper(self, name: str, unit: str) -> Paper:
        products: dict[Expr, list[tuple[str, str, Expr]]] = {}
        vector: dict[Expr, Expr] = {}
        for term in self.terms:
            if term.busy == 0:
                continue
            count, time, has_products = self._time(term)
            if has_products:
                products.setdefault(time, []).append((term.name, term.section, count))
            else:
                vector[time] = vector.get(time, S.Zero) + count
        by_count: dict[Expr, list[Expr]] = {}
        taken: set[str] = set()
        for time, rows in products.items():
            names = tuple(dict.fromkeys(name for name, *_ in rows))
            sections = tuple(dict.fromkeys(section for _, section, _ in rows))
            label = f"tau_{_label(names, sections, taken)}"
            self.parts[label], self.operators[label] = (time,), names
            number, count = factor(Add(*(each for *_, each in rows))).as_coeff_Mul()
            if number.is_negative:
                number, count = -number, -count
            by_count.setdefault(count, []).append(number * named(label, time))
        alone = by_count.pop(S.One, [])
        if vector:
            work = tuple(Mul(factor(count), time) for time, count in vector.items())
            self.parts["tau_vec"] = work
            alone.append(named("tau_vec", Add(*work)))
        groups = [(count, tuple(times)) for count, times in by_count.items()]
        form = Paper(
            name=name,
            unit=unit,
            groups=(*groups, (S.One, (*alone, *self._serial()))),
            rates=self.rates,
            parts=self.parts,
            sizes=self.sizes,
            operators=self.operators,
        )
        return form.respelt({spelling(s) for term in self.terms for s in term.time.free_symbols})

    def _serial(self) -> list[Expr]:
        """Links, a row for each rate, and dispatches in one row."""
        link = expand(Add(*(term.network for term in self.terms)))
        moved: dict[Expr, Expr] = {}  # messages and bytes apart, as the terms of a link are
        for each in Add.make_args(link):
            below = fraction(each)[1]
            moved[below] = moved.get(below, S.Zero) + each
        launched = launches(Add(*(term.dispatch for term in self.terms)))
        return [value for value in (*map(factor, moved.values()), launched) if value != 0]

    def _time(self, term: Term) -> tuple[Expr, Expr, bool]:
        """How often an operator runs, its time in one execution, and whether it has products."""
        work = _work(term)
        if work is None:
            count, inside = _counted(term.busy)
            return count, self._named_rates(inside), not term.cost.matmul_flops.is_zero
        rates = [self._rate(rate) for rate in work.rates]
        amounts = [self._amount(each) for each in (work.matrix, work.vector, work.moved)]
        if work.matrix == 0 and work.vector == 0:
            return work.count, amounts[2] / rates[2], False
        return work.count, Tau(*amounts, *rates), work.matrix != 0

    def _rate(self, rate: Expr) -> Expr:
        """A rate by its name: that of the symbol it is of, with the part of work that has it."""
        known = next((name for name, each in self.rates.items() if each == rate), None)
        if known is None:
            known = rate_name(rate)
            self.rates[known] = rate
        return named(known, rate)

    def _named_rates(self, expr: Expr) -> Expr:
        """A time that is no roofline's, with its rates by name."""
        self.rates |= {rate_name(rate): rate for rate in _rates_in(expr)}
        return with_rates(expr)

    def _amount(self, expr: Expr) -> Expr:
        """Work as a paper prints it: sizes by name, factored by batch and bits."""
        shown, sizes = _amount(expr)
        self.sizes.update(sizes)
        return shown


@lru_cache(maxsize=4096)  # models share operators, and factoring is slow
def _amount(expr: Expr) -> tuple[Expr, dict[str, Expr]]:
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


def _work(term: Term) -> _Work | None:
    """The work of a term whose time is the roofline of its compute and memory times."""
    count, inside = _counted(term.busy)
    compute, memory = term.compute / count, term.memory / count
    if inside != Maximum(compute, memory):
        return None
    done, moved = by_rate(compute), by_rate(memory)
    if done is None or moved is None or len(moved) > 1:
        return None
    matrix = [rate for rate in done if not rate.has(sym.vector_peak)]
    vector = [rate for rate in done if rate.has(sym.vector_peak)]
    if len(matrix) > 1 or len(vector) > 1:
        return None
    found = zip((matrix, vector, moved), _USUAL.values(), strict=True)
    pi, pi_v, beta = (next(iter(rates), usual) for rates, usual in found)
    amounts = (done.get(pi, S.Zero), done.get(pi_v, S.Zero), moved.get(beta, S.Zero))
    return _Work(count, *amounts, (pi, pi_v, beta))


def _counted(expr: Expr) -> tuple[Expr, Expr]:
    """A product's factors that count layers and chunks, and the rest."""
    counts: list[Expr] = []
    rest: list[Expr] = []
    for arg in Mul.make_args(expr):
        free = arg.free_symbols
        layers = free and all(TABLE[s].unit == _COUNTED for s in free if s in TABLE)
        (counts if layers or (arg.has(CeilDiv) and free <= _CUT) else rest).append(arg)
    return Mul(*counts), Mul(*rest)


def _is_rate(symbol: Expr) -> bool:
    return symbol in TABLE and (
        TABLE[symbol].kind == "rate"
        or symbol in (sym.compute_efficiency, sym.memory_efficiency)
        or is_own(symbol.name)
    )


def _rates_in(expr: Expr) -> Iterable[Expr]:
    """The products of rates that a formula divides by."""
    for node in (expr, *expr.atoms(Mul, Pow)):
        _, below = fraction(node)
        rates = [arg for arg in Mul.make_args(below) if _is_rate(arg)]
        if len(rates) > 1:
            yield Mul(*rates)


def by_rate(expr: Expr) -> dict[Expr, Expr] | None:
    """What is done at each rate, of a sum of works over rates; None where it is not one."""
    found = _done(expr)
    return _done(expand(expr)) if found is None else found


def _done(expr: Expr) -> dict[Expr, Expr] | None:
    found: dict[Expr, Expr] = {}
    for term in Add.make_args(expr):
        if term == 0:
            continue
        above, below = fraction(term)
        rates = [arg for arg in Mul.make_args(below) if _is_rate(arg)]
        others = [arg for arg in Mul.make_args(below) if not _is_rate(arg)]
        if not rates or any(not arg.is_number for arg in others):
            return None
        rate = Mul(*rates)
        found[rate] = found.get(rate, S.Zero) + above / Mul(*others)
    return found


def rate_name(rate: Expr) -> str:
    """beta, pi or pi_v, with the data type or the part of the work that has a rate of its own."""
    scripts: list[str] = []
    base = "beta" if rate.has(sym.bandwidth) else "pi"
    for symbol in Mul.make_args(rate):
        name = symbol.name
        if symbol == sym.vector_peak:
            scripts.insert(0, "v")
        elif name.startswith("peak_"):
            scripts.insert(0, name.removeprefix("peak_"))
        elif is_own(name):
            scripts.append(name.rpartition("efficiency_")[2])
    return "_".join([base, *scripts])


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


_ENDS = ("_fused", "_core", "_proj")
_KNOWN = {"lm_head": "head", "attn_core": "attn"}


def _label(names: Iterable[str], sections: tuple[str, ...], taken: set[str]) -> str:
    """A short name for operators that are gathered, which no others have."""
    names = list(dict.fromkeys(names))
    short = []
    for name in names:
        known = _KNOWN.get(name, name)
        short.append(next((known.removesuffix(e) for e in _ENDS if known.endswith(e)), known))
    begins = {name.partition("_")[0] for name in short if "_" in name}
    plain = [name.partition("_")[2] or name for name in short]
    label = ",".join(re.sub(r"[^A-Za-z0-9]+", " ", part).strip() for part in plain)
    if len(label) > 10 and len(begins) == 1:
        label = begins.pop()
    if (
        label in taken and len(sections) == 1
    ):  # the same operators in other layers, or other work of the same name
        place = sections[0].removesuffix("layers").replace("_", " ").strip()
        label = f"{label},{place}" if place else label
    label = re.sub(r"[^A-Za-z0-9, ]+", " ", label)
    number = 1 + sum(each == label or each.startswith(f"{label} ") for each in taken)
    unique = label if number == 1 else f"{label} {number}"
    taken.add(unique)
    return unique
