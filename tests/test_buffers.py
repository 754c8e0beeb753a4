"""What finite buffers read again, against the loops themselves."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sympy import Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.engines import Engine, load_engine
from lifesym.errors import LifesymError
from lifesym.formats import Format, Precision
from lifesym.operators import AttentionScores, AttentionValues, Linear
from lifesym.operators.fused import chain
from lifesym.trace import Entry, Trace
from lifesym.transforms import Buffers

BYTE = Format(name="byte", bits=Integer(8), native=True)
HALF = Format(name="half", bits=Integer(4), native=True)
SIZES = list(product((1, 3, 8), (2, 5), (1, 4, 7), (3, 10, 17, 40, 1000)))


def moved(rows: int, inner: int, columns: int, buffer: int, stationary: str) -> tuple[int, int]:
    """Bytes of inputs and half bytes of weights that the loops of a tiled product fetch."""
    inputs = weights = 0
    row, column = inner, Rational(inner, 2)  # a byte an input, half of one a weight
    if stationary == "inputs":
        panel = max(1, int(buffer // row))
        for first in range(0, rows, panel):
            for _ in range(first, min(first + panel, rows)):
                inputs += inner
            for _ in range(columns):
                weights += inner
        return inputs, weights
    panel = max(1, int(buffer // column))
    for first in range(0, columns, panel):
        for _ in range(first, min(first + panel, columns)):
            weights += inner
        for _ in range(rows):
            inputs += inner
    return inputs, weights


def buffered(operator: Any, buffer: Any, stationary: str = "inputs") -> Any:
    entry = Entry(
        section="layers", name="x", count=Integer(1), operator=operator, copies=Integer(1)
    )
    return next(iter(Buffers(capacity=buffer, stationary=stationary)(Trace((entry,))))).operator


@pytest.mark.parametrize("stationary", ["inputs", "weights"])
def test_a_product_fetches_what_its_loops_fetch(stationary: str) -> None:
    precision = Precision(weights=HALF, activations=BYTE, kv=BYTE)
    for rows, inner, columns, buffer in SIZES:
        once = Linear(tokens=rows, in_features=inner, out_features=columns)
        cost = buffered(once, buffer, stationary).cost(precision)
        inputs, weights = moved(rows, inner, columns, buffer, stationary)
        assert cost.activation_read_bytes == inputs
        assert cost.weight_bytes == Rational(weights, 2)
        assert cost.activation_write_bytes == rows * columns
        assert cost.matmul_flops == once.cost(precision).matmul_flops


def test_no_panel_moves_less_than_the_bound() -> None:
    """Hong and Kung: of the order m k n / sqrt(Z); twice that, less what the buffer holds."""
    precision = Precision(weights=BYTE, activations=BYTE, kv=BYTE)
    for size, buffer in product((16, 64, 200), (50, 400, 3000)):
        once = Linear(tokens=size, in_features=size, out_features=size)
        for stationary in ("inputs", "weights"):
            if buffer >= size:
                assert buffered(once, buffer, stationary).cost(precision).bytes >= (
                    2 * size**3 / Integer(buffer) ** Rational(1, 2) - buffer
                )


def core(new: Any, heads: Any = 1, width: Any = sym.head_dim) -> Any:
    shape = {"batch": 1, "heads": heads, "kv_heads": heads, "head_dim": width, "new": new}
    shape |= {"keys": new, "pairs": new * new}
    return chain((AttentionScores(**shape), AttentionValues(**shape)))


def tiled(new: int, width: int, buffer: int) -> int:
    """Bytes that attention reads and writes whose tiles of rows fill a buffer, a byte a value."""
    tile = max(1, buffer // (4 * width))
    total = 0
    for first in range(0, new, tile):
        queries = min(first + tile, new) - first
        total += 2 * queries * width  # queries in, outputs out
        for other in range(0, new, tile):
            total += 2 * (min(other + tile, new) - other) * width
    return total


def test_attention_fetches_what_its_loops_fetch() -> None:
    precision = Precision(weights=BYTE, activations=BYTE, kv=BYTE)
    for new, width, buffer in product((1, 7, 24), (2, 8), (5, 64, 100, 5000)):
        cost = buffered(core(new, 3, width), buffer).cost(precision)
        assert cost.bytes == 3 * tiled(new, width, buffer)


def test_attention_has_flash_attentions_order() -> None:
    """Theorem 2: accesses are of the order N^2 d^2 / M."""
    precision = Precision(weights=BYTE, activations=BYTE, kv=BYTE)
    cost = buffered(core(sym.new), sym.buffer).cost(precision)
    for new, buffer in ((2**20, 2**15), (2**22, 2**16)):
        at = {sym.new: Integer(new), sym.buffer: Integer(buffer), sym.head_dim: Integer(64)}
        order = Integer(new) ** 2 * 64**2 / buffer
        assert abs(cost.bytes.xreplace(at) / order - 8) < Rational(1, 50)


MODEL = "llama-7b"


def asked(buffer: Any, **more: Any) -> ls.Forecast:
    engine = Engine(name="small", fusion="flash", buffer=buffer, **more)
    return ls.forecast(MODEL, "v100", 64, 1, engine=engine)


def test_a_buffer_that_holds_all_changes_nothing() -> None:
    plain = ls.forecast(MODEL, "v100", 64, 1, engine=Engine(fusion="flash"))
    for stationary in ("inputs", "weights"):
        assert asked(10**9, stationary=stationary).ttft.expr == plain.ttft.expr
    assert asked(4096, stationary="weights").capacity.expr == plain.capacity.expr


def test_less_buffer_moves_more_bytes() -> None:
    for stationary in ("inputs", "weights"):
        bytes_ = [asked(2**n, stationary=stationary).traffic.expr for n in (16, 18, 20, 24)]
        assert bytes_ == sorted(bytes_, reverse=True)
        assert bytes_[0] > bytes_[-1]


def test_a_buffer_may_be_a_symbol() -> None:
    formula = asked(sym.buffer).traffic.expr
    assert formula.xreplace({sym.buffer: Integer(2**18)}) == asked(2**18).traffic.expr


SPEC = """name = "small"
meaning = "a test"
source = "a test"
[buffer]
capacity = {capacity}
stationary = "{stationary}"
source = "a test"
"""


def test_an_engine_has_a_buffer(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(SPEC.format(capacity='"1 MiB"', stationary="weights"), encoding="utf-8")
    engine = load_engine(path)
    assert (engine.buffer, engine.stationary) == (2**20, "weights")
    for capacity, stationary, said in (
        ('"1 MB/s"', "inputs", "buffer.capacity"),
        ("1e6", "outputs", "buffer.stationary"),
        ("2", "inputs", "buffer.capacity"),
    ):
        text = SPEC.format(capacity=capacity, stationary=stationary)
        path.write_text(text, encoding="utf-8")
        with pytest.raises(LifesymError, match=said):
            load_engine(path)
    with pytest.raises(LifesymError, match="buffer"):
        asked(-1)
