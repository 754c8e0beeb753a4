"""Bottleneck adapters: of each layer's own, of many tasks, in a memory of their own; by hand.

And activations by table or polynomial, which the same small machines compute with.
"""

from pathlib import Path
from typing import Any

import pytest
from command_line import run_here as run
from sympy import expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.levels import Level
from lifesym.operators.activation import ACTIVATION_OPS, operations
from lifesym.transforms import Approximated, Bottleneck, Fusion

WIDE, NARROW, LAYERS = 768, 64, 12
MATRICES = 2 * 2 * WIDE * NARROW
"""Of a layer: down and up, after attention and after the MLP."""
BIASES = 2 * (WIDE + NARROW)


def values(f: ls.Forecast, role: str) -> Any:
    """Learned values of a role, from their bytes in 16 bits."""
    return next(part.value for part in f.capacity.parts if part.name == role) / 2


def albert(**sizes: Any) -> ls.Forecast:
    return ls.forecast("albert-base-v2", "a100", 64, 0, adapter=Bottleneck(width=NARROW, **sizes))


def test_layers_that_share_weights_have_adapters_of_their_own() -> None:
    """ALBERT's twelve layers are one; adapter-ALBERT adapts each (README of kpe/bert-for-tf2)."""
    own, shared = albert(), albert(shared=True)
    plain = ls.forecast("albert-base-v2", "a100", 64, 0)
    assert MATRICES == 196_608
    assert values(own, "adapter") == LAYERS * MATRICES == 2_359_296
    assert values(shared, "adapter") == MATRICES
    vectors = values(plain, "vector")
    assert values(own, "vector") - vectors == LAYERS * BIASES
    assert values(shared, "vector") - vectors == BIASES
    assert own.traffic.expr == shared.traffic.expr  # each layer reads what it has
    bert = ls.forecast("bert-base", "a100", 64, 0, adapter=NARROW)
    again = Bottleneck(width=NARROW, shared=True)
    assert values(bert, "adapter") == LAYERS * MATRICES
    assert ls.forecast("bert-base", "a100", 64, 0, adapter=again).memory.expr == bert.memory.expr


def test_tasks_are_held_beside_each_other_and_those_used_are_read() -> None:
    one, three = albert(), albert(adapters=3, used=1)
    assert values(three, "adapter") == 3 * LAYERS * MATRICES
    assert three.memory.expr - one.memory.expr == 2 * 2 * LAYERS * (MATRICES + BIASES)
    assert three.traffic.expr == one.traffic.expr
    assert three.latency.expr == one.latency.expr
    read = albert(adapters=3).traffic.expr - one.traffic.expr  # all three, unless given
    assert read == 2 * 2 * LAYERS * (MATRICES + BIASES)
    assert albert(adapters=3, used=2).traffic.expr - one.traffic.expr == read / 2


def test_memory_of_tasks_is_a_line_in_their_number() -> None:
    """n tasks on one backbone: B + n A bytes; models of their own: n B."""
    tasks = albert(adapters=sym.adapters, used=1).memory.expr
    backbone = ls.forecast("albert-base-v2", "a100", 64, 0).memory.expr
    assert expand(tasks - backbone - 2 * sym.adapters * LAYERS * (MATRICES + BIASES)) == 0


def test_a_memory_holds_all_tasks_and_serves_the_one_in_use() -> None:
    sram = Level(name="sram", bandwidth=10**11, holds={"adapter": 1}, static_power=3)
    adapter = Bottleneck(width=NARROW, adapters=5, used=1)
    f = ls.forecast("albert-base-v2", "a100", 64, 0, adapter=adapter, levels=[sram])
    assert f.memories["sram"].expr == 2 * 5 * LAYERS * (MATRICES + BIASES)
    served = sum(term.work[1].bytes for term in f.ttft.terms)
    assert served == 2 * LAYERS * (MATRICES + BIASES)
    assert f.energy.expr == (f.hardware.static_power + 3) * f.latency.expr


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: Bottleneck(width=4, adapters=2, used=3), "uses 3 adapters, of which 2 are held"),
        (lambda: Bottleneck(width=4, adapters=0), "adapters must be an integer of at least 1"),
        (lambda: Bottleneck(width=4, used=0), "adapters used must be an integer of at least 1"),
        (lambda: Level(name="x", bandwidth=1, static_power=-1), "x: static_power must be at least"),
        (lambda: Approximated(by=0), "degree of the polynomial must be an integer of at least 1"),
        (lambda: operations("polynomial_0"), "must be one of relu"),
        (lambda: operations("polynomial_"), "must be one of relu"),
    ],
)
def test_what_is_refused(ask: Any, message: str) -> None:
    with pytest.raises(SymbolError, match=message):
        ask()


def test_adapters_from_the_command_line() -> None:
    asked = ("fit", "albert-base-v2", "--on", "a100", "--prompt", 64)
    refused = run(*asked, "--adapter-tasks", 2)
    assert (refused.returncode, "--adapter-tasks needs --adapter" in refused.stderr) == (2, True)
    call = ("derive", "albert-base-v2", "--on", "a100", "--prompt", 64, "--metric", "memory")
    found = run(*call, "--adapter", NARROW, "--adapter-tasks", 3, "--adapter-used", 1)
    assert found.returncode == 0, found.stderr
    assert str(albert(adapters=3, used=1).memory.expr) in found.stdout.replace(",", "")


# -- activations by table and polynomial


def horner_free(degree: int) -> int:
    """Operations of a polynomial that makes each power by itself and adds the terms up."""
    multiplied = sum(power for power in range(1, degree + 1))  # power - 1, and the coefficient
    return multiplied + degree


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_operations_of_a_polynomial(degree: int) -> None:
    assert operations(f"polynomial_{degree}") == horner_free(degree)
    assert horner_free(degree) == degree * (degree + 1) // 2 + degree


@pytest.mark.parametrize(("by", "each"), [("table", 2), (3, 9)])
def test_activations_by_table_or_polynomial(by: Any, each: int) -> None:
    """Of tinyllama's MLP, of Mixtral's experts, and of adapters' bottlenecks."""
    plain = ls.load_model("tinyllama-1.1b").forward(2, 3, 0)
    changed = Approximated(by=by)(plain)
    elements = 22 * 2 * 3 * 5632
    more = each - ACTIVATION_OPS["silu"]
    assert changed.cost().vector_flops - plain.cost().vector_flops == more * elements
    assert changed.cost().bytes == plain.cost().bytes
    sparse = ls.load_model("mixtral-8x7b").forward(1, 1, 0)
    difference = Approximated(by=by)(sparse).cost().vector_flops - sparse.cost().vector_flops
    assert difference == more * 32 * 2 * 14336
    adapted = Bottleneck(width=4)(plain)
    difference = Approximated(by=by)(adapted).cost().vector_flops - adapted.cost().vector_flops
    assert difference == more * elements + (each - ACTIVATION_OPS["gelu"]) * 2 * 22 * 6 * 4
    opt = ls.load_model("opt-1.3b").forward(1, 4, 0)  # ReLU is a table of two lines already
    assert Approximated(by=by)(opt) == opt
    with pytest.raises(SymbolError, match="comes before fusion"):
        Approximated(by=by)(Fusion(rules="layer")(plain))


def test_an_engine_says_how_activations_are_computed(tmp_path: Path) -> None:
    def engine(activations: str) -> ls.Engine:
        path = tmp_path / "small.toml"
        path.write_text(
            'name = "small"\nmeaning = "a small machine"\nsource = "a test"\n'
            f'[kernels]\nactivations = {activations}\nsource = "a test"\n',
            encoding="utf-8",
        )
        return ls.load_engine(path)

    counts = [
        ls.forecast("gpt2", "v100", 8, 4, engine=each).flops.expr
        for each in ("eager", engine('"table"'), engine("3"))
    ]
    gelu = ACTIVATION_OPS["gelu_tanh"]
    elements = 12 * 3072 * (8 + 3)
    assert counts[1] - counts[0] == (2 - gelu) * elements
    assert counts[2] - counts[0] == (9 - gelu) * elements
    with pytest.raises(SpecError, match="degree of the polynomial"):
        engine("0")
    with pytest.raises(SpecError, match=r"key 'kernels\.activations'"):
        engine('"tabel"')
