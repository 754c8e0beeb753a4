"""Formulas against real model code, counted here and now (extra: oracle)."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import configs  # noqa: E402
import configs_kin  # noqa: E402
from counting import Pass, RealModel  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

PASSES = (
    Pass(1, 9, 0, "all"),
    Pass(2, 25, 0, "last"),
    Pass(1, 1, 4, "last"),
    Pass(3, 1, 24, "last"),
    Pass(1, 6, 10, "last"),
    Pass(2, 5, 3, "none"),
)


CASES = [(family, seed) for family in configs.FAMILIES for seed in range(3)]
CASES += [(family, seed) for family in configs_kin.FAMILIES for seed in range(2)]


@pytest.mark.parametrize(
    ("family", "seed"), CASES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_formulas_equal_the_real_code(family: Any, seed: int) -> None:
    config = family(Random(f"{family.__name__} {seed}"))
    real = RealModel(config)
    model = ls.Model.from_hf(config)
    assert int(model.parameters) == real.parameters(), config
    for step in PASSES:
        trace = model.forward(step.batch, step.new, step.past, logits=step.logits, mla="expand")
        assert int(trace.cost().matmul_flops) == real.flops(step), (step, config)
    if config.get("new_decoder_architecture"):
        return  # Falcon's code broadcasts keys to all heads before it caches them
    for tokens in (1, 4, 30):
        assert int(model.kv_bytes(tokens, "fp32")) == real.cache_bytes(tokens), (tokens, config)
