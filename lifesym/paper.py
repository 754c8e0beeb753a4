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
from typing import Any

from sympy import Add, Expr, Mul, S, expand, factor, fraction

from lifesym import symbols as sym
from lifesym.amounts import amount
from lifesym.named import Named, named
from lifesym.named_rates import by_rate, is_rate, launches, rate_name, rates_in, with_rates
from lifesym.nodes import CeilDiv, Maximum
from lifesym.remainders import ChunksBefore
from lifesym.roofline import Term
from lifesym.spelling import spelling, spelt
from lifesym.symbols import TABLE
from lifesym.tau import USUAL, Tau, written


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


_CUT = {sym.prompt, sym.chunk, sym.prefix}
_COUNTED = "layers"
"""The unit of what counts an operator's executions."""


def paper(name: str, unit: str, terms: Iterable[Term]) -> Paper:
    """The paper form of a time that is a sum of terms, whose rates are symbols."""
    return _Writer(tuple(terms)).paper(name, unit)


@dataclass(frozen=True)
class _Work:
    """An operator's work in one execution, how often it runs, and its rates."""

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
        groups = [(self._chunks(count), tuple(times)) for count, times in by_count.items()]
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
            factors = Mul.make_args(fraction(each)[1])
            rate = Mul(*filter(is_rate, factors))
            moved[rate] = moved.get(rate, S.Zero) + each
        launched = launches(Add(*(term.dispatch for term in self.terms)))
        rows = (*map(factor, moved.values()), launched)
        return [self._chunks(value) for value in rows if value != 0]

    def _chunks(self, expr: Expr) -> Expr:
        """With the number of a prompt's chunks by name."""
        for node in sorted(expr.atoms(ChunksBefore, CeilDiv), key=str):
            if node.free_symbols <= _CUT:
                count = CeilDiv(*node.args)
                self.sizes["n_C"] = count
                before = isinstance(node, ChunksBefore)
                expr = expr.xreplace({node: named("n_C", count) - int(before)})
        return expr

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
        name = rate_name(rate)
        self.rates[name] = rate
        return named(name, rate)

    def _named_rates(self, expr: Expr) -> Expr:
        """A time that is no roofline's, with its rates by name."""
        self.rates |= {rate_name(rate): rate for rate in rates_in(expr)}
        return with_rates(expr)

    def _amount(self, expr: Expr) -> Expr:
        """Work as a paper prints it: sizes by name, factored by batch and bits."""
        shown, sizes = amount(expr)
        self.sizes.update(sizes)
        return shown


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
    found = zip((matrix, vector, moved), USUAL.values(), strict=True)
    pi, pi_v, beta = (next(iter(rates), usual) for rates, usual in found)
    amounts = (done.get(pi, S.Zero), done.get(pi_v, S.Zero), moved.get(beta, S.Zero))
    return _Work(count, *amounts, (pi, pi_v, beta))


def _counted(expr: Expr) -> tuple[Expr, Expr]:
    """A product's factors that count layers and chunks, and the rest."""
    counts: list[Expr] = []
    rest: list[Expr] = []
    for arg in Mul.make_args(expr):
        free = arg.free_symbols
        layers = free and all(s in TABLE and TABLE[s].unit == _COUNTED for s in free)
        chunks = arg.has(CeilDiv, ChunksBefore) and free <= _CUT
        (counts if layers or chunks else rest).append(arg)
    return Mul(*counts), Mul(*rest)


_ENDS = ("_fused", "_core", "_proj")
_LONG = 10
"""Letters of names below tau that are too many; of twice as many only the first is left."""
_KNOWN = {"lm_head": "head", "attn_core": "attn"}


def _label(names: Iterable[str], sections: tuple[str, ...], taken: set[str]) -> str:
    """A short name for operators that are gathered, which no others have."""
    names = list(dict.fromkeys(names))
    short = []
    for name in names:
        known = _KNOWN.get(name, name)
        short.append(next((known.removesuffix(e) for e in _ENDS if known.endswith(e)), known))
    begins = {name.partition("_")[0] for name in short if "_" in name}
    plain = dict.fromkeys(name.partition("_")[2] or name for name in short)
    label = ",".join(re.sub(r"[^A-Za-z0-9]+", " ", part).strip() for part in plain)
    if len(label) > _LONG and len(begins) == 1:
        label = begins.pop()
    elif len(label) > 2 * _LONG:
        label = f"{label.partition(',')[0]} etc"
    # the same operators in other layers, or other work of the same name
    if label in taken and len(sections) == 1:
        place = sections[0].removesuffix("layers").replace("_", " ").strip()
        label = f"{label},{place}" if place else label
    label = re.sub(r"[^A-Za-z0-9, ]+", " ", label)
    number = 1 + sum(each == label or each.startswith(f"{label} ") for each in taken)
    unique = label if number == 1 else f"{label} {number}"
    taken.add(unique)
    return unique
