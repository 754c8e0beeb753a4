"""A real Llama with random weights on this machine, forecast from the machine's own figures.

Times are reported, never asserted: what is checked is that the whole way from measuring to the
report works on a model that computes.
"""

import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

pytestmark = pytest.mark.oracle
LENGTHS = (128, 32, 256)


def test_a_real_llama_is_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    import this_machine

    sizes = {**this_machine.SIZES, "num_hidden_layers": 2}
    rows = this_machine.report(sizes, LENGTHS, seconds=0.2)
    assert {(r.dtype, r.phase, r.tokens) for r in rows} == {
        (dtype, phase, tokens)
        for dtype in ("fp32", "bf16")
        for phase in ("prefill", "decode")
        for tokens in LENGTHS
    }
    for row in rows:
        assert row.alone > 0
        if row.tokens == LENGTHS[0]:
            assert row.calibrated == pytest.approx(row.measured)
    errors = this_machine.mean_errors(rows, LENGTHS)
    assert all(math.isfinite(error) for error in errors.values())
    with capsys.disabled():
        print(f"\nreal Llama on this machine, mean errors: {errors}")
