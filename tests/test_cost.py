"""The cost record adds and scales, field by field."""

from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import rationals
from sympy import Integer

from lifesym import symbols as sym
from lifesym.cost import BITS_PER_BYTE, FIELDS, FLOPS_PER_MAC, ZERO, Cost, bytes_of

costs = st.builds(Cost, **dict.fromkeys(FIELDS, rationals(50)))


def test_conventions() -> None:
    assert (FLOPS_PER_MAC, BITS_PER_BYTE) == (2, 8)
    assert bytes_of(sym.hidden, 16) == 2 * sym.hidden
    assert bytes_of(3, Integer(4)) == Integer(3) / 2


def test_fields_are_the_documented_ones() -> None:
    assert tuple(field.name for field in fields(Cost)) == FIELDS
    documented = {
        "matmul_flops",
        "vector_flops",
        "dequant_ops",
        "weight_bytes",
        "activation_read_bytes",
        "activation_write_bytes",
        "kv_read_bytes",
        "kv_write_bytes",
        "dispatches",
        "network_bytes",
        "messages",
    }
    assert set(FIELDS) == documented


@given(a=costs, b=costs, c=costs, n=st.integers(0, 9))
def test_costs_are_a_module_over_the_integers(a: Cost, b: Cost, c: Cost, n: int) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + ZERO == a
    assert n * (a + b) == n * a + n * b
    assert sum((a for _ in range(n)), ZERO) == n * a


@given(a=costs, b=costs)
def test_views(a: Cost, b: Cost) -> None:
    assert a.flops == a.matmul_flops + a.vector_flops + a.dequant_ops
    assert (a + b).flops == a.flops + b.flops
    assert (a + b).bytes == a.bytes + b.bytes
    moved = [value for name, value in a.items() if name.endswith("bytes")]
    assert a.bytes == sum(moved) - a.network_bytes
    assert a.arithmetic_intensity * a.bytes == a.flops


def test_counts_may_be_symbols_and_costs_do_not_change() -> None:
    cost = sym.layers * Cost(matmul_flops=sym.hidden)
    assert cost.matmul_flops == sym.layers * sym.hidden
    with pytest.raises(FrozenInstanceError):
        cost.matmul_flops = Integer(0)  # type: ignore[misc]
    assert [name for name, _ in cost.items()] == list(FIELDS)
