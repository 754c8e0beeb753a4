"""Formulas against real model code, counted here and now (extra: oracle)."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import configs  # noqa: E402
import configs_kin  # noqa: E402
from counting import MASKED, PASSES, RealModel  # noqa: E402
from drawn import drawn  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


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
        trace = model.forward(
            *(step.batch, step.new, step.past, step.logits, "expand"),
            windows=config["model_type"] not in MASKED,
        )
        assert int(trace.cost().matmul_flops) == real.flops(step), (step, config)
    if config.get("new_decoder_architecture"):
        return  # Falcon's code broadcasts keys to all heads before it caches them
    for tokens in (1, 4, 30):
        assert int(model.kv_bytes(tokens, "fp32")) == real.cache_bytes(tokens), (tokens, config)


@pytest.mark.parametrize("family", MASKED)
@pytest.mark.parametrize("seed", range(3))
def test_as_many_keys_are_chosen_as_the_real_code_leaves(family: str, seed: int) -> None:
    """Probabilities above zero of one head and sequence, over all the layers."""
    config = getattr(configs, family)(Random(f"{family} {seed}"))
    real = RealModel(config)
    model = ls.Model.from_hf(config)
    found: list[Any] = []
    for each in real.model.model.layers:
        each.self_attn.register_forward_hook(lambda *call: found.append(call[-1][1]))
    for step in PASSES:
        cache = real._filled(step.batch, step.past)
        found.clear()
        with torch.no_grad():
            real._forward(step, cache)
        left = sum(int((weights[0, 0] > 0).sum()) for weights in found)
        trace = model.forward(step.batch, step.new, step.past, causal="exact")
        cores = [(e.count, e.operator.pairs) for e in trace.filter(name="attn_qk")]
        assert left == sum(count * pairs for count, pairs in cores), (step, config)


@pytest.mark.parametrize("seed", range(3))
def test_experts_that_compute_nothing(seed: int) -> None:
    """LongCat: products of the choices that a pass really made, in place of the average."""
    rng = Random(f"longcat {seed}")
    config = drawn(rng, "longcat_flash") | {"zero_expert_num": rng.randint(1, 6)}
    layers, zero, real_ = (
        config[key] for key in ("num_layers", "zero_expert_num", "n_routed_experts")
    )
    each = config["hidden_size"] * config["expert_ffn_hidden_size"]
    model, real = ls.Model.from_hf(config), RealModel(config)
    spare = 2 * layers * zero * each  # first projections that no pass uses
    assert int(model.parameters) == real.parameters() - spare
    chosen: list[Any] = []
    for layer in real.model.model.layers:
        layer.mlp.router.register_forward_hook(lambda *call: chosen.append(call[-1][-1]))
    for step in PASSES:
        chosen.clear()
        counted = real.flops(step)
        made = sum(int((indices < real_).sum()) for indices in chosen[-layers:])
        trace = model.forward(step.batch, step.new, step.past, step.logits, "expand")
        usual = trace.filter(name="moe_experts").cost().matmul_flops
        share = usual / (6 * each * layers * step.batch * step.new)
        assert share * (real_ + zero) == config["moe_topk"] * real_
        assert trace.cost().matmul_flops - usual + 6 * each * made == counted, (step, config)
    for tokens in (1, 30):
        assert int(model.kv_bytes(tokens, "fp32")) == real.cache_bytes(tokens)
