"""Layers that all run at once, against the slowest of them by hand."""

from typing import Any

import pytest
from sympy import Expr, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import LifesymError

BOARD = ls.Hardware(
    name="board",
    kind="fpga",
    matrix={"int8": Integer(24) * 10**11},
    vector={},
    bandwidth=Integer(192) * 10**8,
    dispatch_time=Rational(1, 10**6),
)
NET = ls.unet(64, 64, image_channels=3, channels=16, classes=2, levels=2)
LAYERS = tuple(dict.fromkeys(entry.section for entry in NET.trace))


def forecast(**more: Any) -> Any:
    return NET.forecast(BOARD, "int8", "int8", **more)


def seconds() -> dict[str, Expr]:
    """Of each layer on all the units."""
    done: dict[str, Expr] = {}
    for term in forecast().ttft.terms:
        done[term.section] = done.get(term.section, Integer(0)) + term.compute
    return done


def test_the_slowest_layer_decides() -> None:
    shares = {layer: Rational(i + 1, 100) for i, layer in enumerate(LAYERS)}
    slowest = max(time / shares[layer] for layer, time in seconds().items())
    found = forecast(overlap="dataflow", shares=shares).ttft
    assert found.expr == slowest + BOARD.dispatch_time


def test_balanced_units_are_the_best_division() -> None:
    """Every layer takes as long, which is the sum; a share in proportion to work says the same."""
    times = seconds()
    whole = sum(times.values(), Integer(0))
    balanced = forecast(overlap="dataflow").ttft.expr
    assert balanced == whole + BOARD.dispatch_time
    shares = {layer: time / whole for layer, time in times.items()}
    assert forecast(overlap="dataflow", shares=shares).ttft.expr == balanced
    equal = dict.fromkeys(LAYERS, Rational(1, len(LAYERS)))
    assert forecast(overlap="dataflow", shares=equal).ttft.expr > balanced


def test_only_images_and_results_move() -> None:
    made = forecast(overlap="dataflow")
    assert made.traffic.expr == 64 * 64 * (3 + 2)
    assert made.flops.expr == forecast().flops.expr
    slow = ls.Hardware(
        name="slow", kind="fpga", matrix=BOARD.matrix, vector={}, bandwidth=Integer(10**6)
    )
    expected = Rational(64 * 64 * 5, 10**6)
    assert NET.forecast(slow, "int8", "int8", overlap="dataflow").ttft.expr == expected


def test_sizes_may_be_symbols() -> None:
    net = ls.unet(channels=sym.channels, image_channels=3, classes=2, levels=1)
    formula = net.forecast(ls.Hardware.symbolic(), "int8", "int8", overlap="dataflow").ttft.expr
    assert {sym.height, sym.width, sym.channels, sym.peak} <= formula.free_symbols


def test_boards_without_floats_need_no_format_of_a_cache() -> None:
    assert float(forecast().ttft) > 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shares": {"down_0": 1}}, "run at once"),
        ({"overlap": "dataflow", "shares": {"down_9": 1}}, "no layer 'down_9'"),
        ({"overlap": "dataflow", "shares": {"down_0": 1}}, "has none"),
        ({"overlap": "dataflow", "shares": dict.fromkeys(LAYERS, 1)}, "at most 1"),
        ({"overlap": "dataflow", "shares": dict.fromkeys(LAYERS, 0)}, "must be above 0"),
        ({"overlap": "layers"}, "overlap"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(LifesymError, match=said):
        _ = forecast(**given).ttft.expr


def test_language_models_have_no_dataflow() -> None:
    with pytest.raises(LifesymError, match="overlap must be one of operator, pass, none"):
        _ = ls.forecast("llama-7b", "v100", 8, 1, overlap="dataflow").ttft
