"""What every operator promises: its rows, its directions, exact sizes, bytes that follow bits."""

import ast
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small
from sympy import Expr, Float, Integer, Rational

from lifesym import operators
from lifesym import symbols as sym
from lifesym.cost import FIELDS
from lifesym.errors import SymbolError
from lifesym.formats import Format, Precision, load_format
from lifesym.operators import Operator
from lifesym.operators.activation import ACTIVATION_OPS
from lifesym.operators.norm import NORM_OPS
from lifesym.symbols import Size

ORACLES = (
    *("test_brute_force", "test_recurrent_brute_force", "test_sparse_brute_force"),
    "test_compressed_brute_force",
    "test_convolution",
    *("test_collectives", "test_engines", "test_rewrites", "test_training"),
)
"""Where operators are computed step by step."""
NOT_OPERATORS = {"Operator", "Routing"}
OPERATORS = [getattr(operators, name) for name in operators.__all__ if name not in NOT_OPERATORS]
SIZED = [each for each in OPERATORS if each.monotone]
PARTS = (operators.Residual(elements=8), operators.Norm(rows=2, features=4))
PATTERNS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "point_to_point")
CHOICES: dict[str, Any] = {
    "function": st.sampled_from(sorted(ACTIVATION_OPS)),
    "activation": st.sampled_from(sorted(ACTIVATION_OPS)),
    "kind": st.sampled_from(sorted(NORM_OPS)),
    "role": st.just("linear"),
    "inputs": st.integers(2, 4),
    "pattern": st.sampled_from(PATTERNS),
    "parts": st.just(PARTS),
    "of": st.sampled_from(PARTS),
}
PLAIN = {"function": "silu", "activation": "silu", "pattern": "all_reduce", "parts": PARTS}
PLAIN |= {"of": PARTS[0]}
QUANTIZED = Precision.of("int4-g128", "bf16", "int8")


def size_fields(operator: type[Operator]) -> list[str]:
    """The fields that are sizes: integers or expressions."""
    return [field.name for field in fields(operator) if field.type == Size]


@st.composite
def instances(draw: st.DrawFn, operator: type[Operator]) -> Operator:
    """An operator of a kind with small random sizes and options."""
    values: dict[str, Any] = {}
    for field in fields(operator):
        if field.name in size_fields(operator):
            values[field.name] = draw(small)
        elif field.type is bool:
            values[field.name] = draw(st.booleans())
        elif field.name in CHOICES:
            values[field.name] = draw(CHOICES[field.name])
    if "active" in values:
        values["experts"] += values["active"]
    return operator(**values)


def concrete(kind: type) -> set[type]:
    """Every subclass whose sizes have directions; others are what several have in common."""
    children = {child for each in kind.__subclasses__() for child in concrete(each)}
    return children | ({kind} if hasattr(kind, "monotone") else set())


def computed(module: str) -> set[str]:
    """The operators that the tests of a module make."""
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_every_operator_is_exported() -> None:
    """And none is defined anywhere else."""
    found = {each for each in concrete(Operator) if each.__module__.startswith("lifesym.")}
    assert found == set(OPERATORS)
    assert all(each.__module__.startswith("lifesym.operators") for each in found)


def test_every_operator_is_computed_by_brute_force() -> None:
    """Its cost is compared with a count that its formula is not from."""
    assert {each.__name__ for each in OPERATORS} <= set().union(*map(computed, ORACLES))


@pytest.mark.parametrize("operator", OPERATORS)
def test_rows_of_the_class(operator: type[Operator]) -> None:
    assert operator.family
    assert operator.counted
    assert any(character.isdigit() for character in operator.reference), "a section or equation"
    assert ">>>" in (operator.__doc__ or ""), "an example with the closed form"
    assert set(operator.monotone) == set(size_fields(operator))
    assert set(operator.monotone.values()) <= {"+", "-", "0"}


@pytest.mark.parametrize("operator", SIZED)
@given(data=st.data())
def test_each_size_moves_the_cost_as_declared(
    operator: type[Operator], data: st.DataObject
) -> None:
    low = data.draw(instances(operator))
    name = data.draw(st.sampled_from(sorted(operator.monotone)))
    step = data.draw(small)
    if operator in (operators.Experts, operators.SomeExperts) and name == "active":
        step = min(step, int(low.experts - low.active))
    high = replace(low, **{name: getattr(low, name) + step})
    for precision in (Precision.of(), QUANTIZED):
        for field, before in low.cost(precision).items():
            change = getattr(high.cost(precision), field) - before
            direction = operator.monotone[name]
            assert {"+": change >= 0, "-": change <= 0, "0": change == 0}[direction], field
    fewer, more = (high, low) if operator.monotone[name] == "-" else (low, high)
    assert fewer.parameters <= more.parameters


@pytest.mark.parametrize("operator", OPERATORS)
@given(data=st.data())
def test_costs_are_exact_and_nonnegative(operator: type[Operator], data: st.DataObject) -> None:
    instance = data.draw(instances(operator))
    cost = instance.cost(QUANTIZED)
    assert all(isinstance(value, Expr) for _, value in cost.items())
    assert not any(value.has(Float) for _, value in cost.items())
    assert all(value >= 0 for _, value in cost.items())
    # a collective of one device sends nothing, and weights are not copied for few tokens
    assert cost.dispatches >= 1 or operator in (operators.Collective, operators.WeightCopy)
    assert sum(instance.weight_roles.values(), Integer(0)) == instance.parameters


@pytest.mark.parametrize("operator", OPERATORS)
@given(data=st.data())
def test_twice_the_bits_are_twice_the_bytes(operator: type[Operator], data: st.DataObject) -> None:
    """But for recurrent states, gradients and the optimizer's numbers, which have their own."""
    instance = data.draw(instances(operator))
    narrow, wide = (
        Precision(weights=each, activations=each, kv=each)
        for each in (Format(name=f"{n}", bits=Integer(n), native=True) for n in (8, 16))
    )
    once, twice = instance.cost(narrow), instance.cost(wide)
    for name in FIELDS:
        less, more = getattr(once, name), getattr(twice, name)
        of_training = operator in (operators.Backward, operators.OptimizerStep)
        states = name.startswith("kv") and operator.family == "recurrent"
        if states or (name == "weight_bytes" and of_training):
            assert less <= more <= 2 * less, name
        else:
            assert more == (2 if name.endswith("bytes") else 1) * less, name


@pytest.mark.parametrize("operator", OPERATORS)
def test_sizes_are_symbols_too(operator: type[Operator]) -> None:
    symbols = [row.symbol for row in sym.TABLE.values() if row.kind == "size" and row.minimum == 1]
    names = size_fields(operator)
    options = {f.name: PLAIN[f.name] for f in fields(operator) if f.name in PLAIN}
    instance = operator(**dict(zip(names, symbols, strict=False)), **options)
    free = set().union(*(value.free_symbols for _, value in instance.cost(QUANTIZED).items()))
    assert free <= set(symbols)


@pytest.mark.parametrize("operator", SIZED)
@pytest.mark.parametrize("wrong", [-1, 1.5, True, "8", Rational(1, 2)])
def test_what_is_not_a_size_is_refused(operator: type[Operator], wrong: Any) -> None:
    names = size_fields(operator)
    options = {f.name: PLAIN[f.name] for f in fields(operator) if f.name in PLAIN}
    with pytest.raises(SymbolError, match=f"{operator.__name__}.{names[-1]} must be an integer"):
        operator(**(dict.fromkeys(names, 1) | {names[-1]: wrong}), **options)


@pytest.mark.parametrize("operator", OPERATORS)
@given(data=st.data())
def test_operators_do_not_change(operator: type[Operator], data: st.DataObject) -> None:
    instance = data.draw(instances(operator))
    assert replace(instance) == instance
    with pytest.raises(FrozenInstanceError):
        instance.family = "other"  # type: ignore[misc]


def test_options_are_checked() -> None:
    with pytest.raises(SymbolError, match=r"Activation\.function must be one of relu"):
        operators.Activation(elements=1, function="softmax")
    with pytest.raises(SymbolError, match=r"Norm\.kind must be one of"):
        operators.Norm(rows=1, features=1, kind="batch")


def test_quantized_weights_are_dequantized_once_a_pass() -> None:
    one, many = (
        operators.Linear(tokens=tokens, in_features=8, out_features=4) for tokens in (1, 100)
    )
    assert one.cost(QUANTIZED).dequant_ops == many.cost(QUANTIZED).dequant_ops == 2 * 8 * 4
    same = Precision(
        weights=load_format("int8"), activations=load_format("int8"), kv=load_format("int8")
    )
    assert one.cost(same).dequant_ops == 0
