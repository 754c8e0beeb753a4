"""Gates on every expression lifesym emits: no binary float, only the table's symbols, LaTeX."""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest
from strategies import device
from sympy import Expr, Float, Integer, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.families import FAMILIES
from lifesym.families.base import Family
from lifesym.formats import symbolic_format
from lifesym.huggingface import example
from lifesym.printing import latex, legend
from lifesym.specs import names
from lifesym.symbols import TABLE, index

QUANTIZED = {"weights": "int4-g128", "kv": "int8"}
SYMBOLIC = {
    "weights": symbolic_format("weight"),
    "activations": symbolic_format("activation"),
    "kv": symbolic_format("kv"),
}


def has_example(family: Family) -> bool:
    return family.example in names("models")


@cache
def emitted(family: str) -> tuple[tuple[str, Expr], ...]:
    """What a family's symbolic model gives, in plain, symbolic and quantized formats."""
    return tuple(_emitted(ls.Model.symbolic(family)))


def _emitted(model: ls.Model) -> Iterator[tuple[str, Expr]]:
    yield "parameters", model.parameters
    yield "KV bytes", model.kv_bytes(sym.past)
    for name, formats in (("quantized", QUANTIZED), ("symbolic", SYMBOLIC)):
        trace = model.forward(sym.batch, sym.new, sym.past)
        for field, value in trace.cost(**formats).items():
            yield f"{name} {field}", value
        if "decoder" not in model.kind:
            continue  # an encoder generates nothing that could be forecast
        f = ls.forecast(model, device(), batch=sym.batch, past=0, **formats)
        yield f"{name} TTFT", f.ttft.expr
        yield f"{name} TPOT", f.tpot.expr
        yield f"{name} mean TPOT", f.tpot.mean.expr
        yield f"{name} latency", f.latency.expr
        yield f"{name} memory", f.memory.expr
        yield f"{name} energy", f.energy.expr
        yield f"{name} TPS", f.tps.expr
        for term in (*f.ttft.terms, *f.tpot.mean.terms):
            yield f"{name} {term.name}", term.time


EVERY = [name for name, family in FAMILIES.items() if has_example(family)]


def test_every_family_has_its_example() -> None:
    assert set(EVERY) == set(FAMILIES)


@pytest.mark.parametrize("family", EVERY)
def test_no_binary_float(family: str) -> None:
    assert [what for what, expr in emitted(family) if expr.has(Float)] == []


@pytest.mark.parametrize("family", EVERY)
def test_symbols_are_the_tables_by_identity(family: str) -> None:
    identities = {id(symbol) for symbol in TABLE}
    for what, expr in emitted(family):
        assert {id(symbol) for symbol in expr.free_symbols} <= identities, what
        used = [symbol.name for symbol in expr.free_symbols]
        assert len(used) == len(set(used))
        assert index not in expr.free_symbols


@pytest.mark.parametrize("family", EVERY)
def test_a_config_with_numbers_is_exact_too(family: str) -> None:
    model = example(family)
    assert model.parameters.is_Integer
    if "decoder" not in model.kind:
        f = ls.forecast(model, device(), prompt=100, batch=2)
        assert f.ttft.expr == f.latency.expr
        assert not f.ttft.expr.has(Float)
        for metric in ("tpot", "tps"):
            with pytest.raises(ls.SpecError, match="is an encoder"):
                getattr(f, metric)
        return
    f = ls.forecast(model, device(), prompt=100, generate=20, batch=2)
    for expr in (f.ttft.expr, f.tpot.expr, f.tpot.mean.expr, f.memory.expr):
        assert not expr.has(Float)
        assert expr.free_symbols <= {*TABLE}
    assert f.memory.expr.is_Integer


def test_names_are_unique_c_identifiers() -> None:
    rows = list(TABLE.values())
    assert len({row.name for row in rows}) == len(rows)
    assert len({row.word for row in rows}) == len(rows)
    assert not {row.name for row in rows} & {row.word for row in rows if row.name != row.word}
    for row in rows:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row.word)
        assert getattr(sym, row.word) is row.symbol


def test_every_row_is_complete() -> None:
    for row in TABLE.values():
        assert row.meaning
        assert row.unit
        assert row.symbol.is_nonnegative
        assert row.symbol.is_positive or row.minimum == 0
        assert row.symbol.is_integer is None
        assert row.maximum is None or row.kind == "ratio"


def test_latex_names_are_distinct_and_used() -> None:
    written = [row.latex for row in TABLE.values()]
    assert len(set(written)) == len(written)
    assert [latex(symbol) for symbol in TABLE] == written


@pytest.mark.parametrize("family", EVERY)
def test_no_symbol_falls_through_to_sympys_own_latex(family: str) -> None:
    for what, expr in emitted(family):
        if what.endswith(("TTFT", "mean TPOT", "memory")):
            text = latex(expr)
            rows = legend(expr)
            assert all(row.latex in text for row in rows), what
            for row in rows:
                if "_" in row.name:
                    assert row.name not in text
            assert text.count("{") == text.count("}")


def test_sizes_in_foreign_symbols_are_refused() -> None:
    model = ls.load_model("llama-2-7b")
    for foreign in (Symbol("x"), Symbol("batch"), 2 * Symbol("past") + sym.new):
        with pytest.raises(SymbolError, match="is not lifesym's: take it from"):
            model.forward(new=foreign)


def test_look_alikes_and_unknown_names_are_refused() -> None:
    with pytest.raises(SymbolError, match=r"symbol 'batch' is not lifesym's"):
        sym.resolve(Symbol("batch"))
    with pytest.raises(SymbolError, match=r"unknown symbol 'bandwith'; did you mean 'bandwidth'\?"):
        sym.bind(sym.past, {"bandwith": 1})
    for name, value, message in (
        ("batch", 0, "batch must be at least 1, not 0"),
        ("past", -1, "past must be at least 0, not -1"),
        ("peak", 0, "peak must be above 0, not 0"),
        ("compute_efficiency", 2, "must be above 0 and at most 1, not 2"),
        ("batch", "8", "must be a number or a SymPy expression, not '8'"),
        ("batch", True, "must be a number"),
        ("peak", float("inf"), "peak must be finite"),
        ("peak", Decimal("1e999999999"), "peak has more than 400 digits"),
        ("peak", Decimal("1e-999999999"), "peak has more than 400 digits"),
        ("peak", Decimal("1." + "1" * 5000), "peak has more than 400 digits"),
        ("peak", 10**5000, "peak has more than 400 digits"),
        ("batch", np.bool_(True), "must be a number"),
    ):
        with pytest.raises(SymbolError, match=message):
            sym.bind(sym.batch, {name: value})


def test_numbers_from_outside_become_exact() -> None:
    assert str(sym.exact(0.1)) == "1/10"
    assert sym.bind(sym.peak, {"peak": 312e12}) == 312 * 10**12
    assert sym.exact(5e-324).q == 2 * 10**323


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint32])
def test_integers_of_any_type_are_sizes(kind: type[np.integer[Any]]) -> None:
    assert type(sym.size(kind(7), "n")) is Integer
    assert sym.bind(sym.past, {"past": kind(7)}) == 7
    for wrong in (np.float64(7), np.bool_(True), np.array([7]), "7", None):
        with pytest.raises(SymbolError, match="n must be an integer or a SymPy expression"):
            sym.size(wrong, "n")
