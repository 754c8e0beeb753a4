"""What the tests draw at random: sizes, rates, models; always the same draws."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sympy import Expr, Integer, Rational, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.symbols import TABLE

settings.register_profile(
    "reproducible",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reproducible")

DENSE = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "phi3",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gptj",
    "opt",
    "bloom",
    "falcon",
)
RATES = (sym.peak, sym.vector_peak, sym.bandwidth)

sizes = st.integers(1, 5000)
small = st.integers(1, 6)


@st.composite
def rationals(draw: st.DrawFn, largest: int = 1000) -> Rational:
    """A positive rational."""
    return Rational(draw(st.integers(1, largest)), draw(st.integers(1, largest)))


def point(draw: st.DrawFn, symbols: Iterable[Symbol]) -> dict[Symbol, Expr]:
    """A value for every symbol: integers for sizes, rationals for the rest, within their ranges.

    Layers of a kind are fewer than layers, chosen experts at most the experts there are.
    """
    values: dict[Symbol, Expr] = {}
    for symbol in sym.ordered(symbols):
        row = TABLE[symbol]
        if row.kind in ("size", "bits"):
            values[symbol] = Integer(draw(st.integers(row.minimum or 1, 400)))
        elif row.maximum == 1:
            values[symbol] = Rational(draw(st.integers(1, 20)), 20)
        else:
            values[symbol] = draw(rationals())
    for part in (sym.full_layers, sym.dense_layers):
        if part in values:
            values[sym.layers] = values.get(sym.layers, Integer(0)) + values[part]
    if sym.active_experts in values:
        values[sym.experts] += values[sym.active_experts]
    return values


points = st.composite(point)


def symbolic(config: dict[str, object]) -> ls.Model:
    """The structure of a config with every dimension a symbol."""
    return replace(ls.Model.from_hf(config), values={}, context_limit=None)


def device(**more: Expr | Fraction) -> ls.Hardware:
    """A device whose three rates and dispatch time are symbols and whose efficiencies are 1."""
    ones = {"compute_efficiency": 1, "memory_efficiency": 1}
    return ls.Hardware.symbolic().with_(**(ones | more))
