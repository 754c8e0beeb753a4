"""Draft heads, by their published layouts, and the measures of how much of a draft is accepted."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from sympy import Integer, Rational, expand

import lifesym as ls
from lifesym import SpecError, SymbolError
from lifesym import symbols as sym
from lifesym.inference import Forecast
from lifesym.roofline import total
from lifesym.serving import (
    conditional,
    expected_tokens,
    speculate,
    tokens_at_positions,
    tokens_at_rate,
)

LAYER: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 1,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 128000,
    "tie_word_embeddings": False,
}
EAGLE3 = LAYER | {"architectures": ["LlamaForCausalLMEagle3"], "draft_vocab_size": 32000}
EAGLE = LAYER | {"architectures": ["EagleLlamaForCausalLM"]}
MEDUSA = {
    "model_type": "medusa",
    "architectures": ["MedusaModel"],
    "hidden_size": 4096,
    "vocab_size": 32000,
    "num_heads": 5,
    "num_hidden_layers": 1,
}
WIDE, KV, MLP = 2048 * 2048, 2048 * 512, 3 * 2048 * 8192


def read(config: dict[str, Any], **changes: Any) -> ls.Model:
    return ls.Model.from_hf({**config, **changes})


def forecast(model: ls.Model | str) -> Forecast:
    loaded = ls.load_model(model) if isinstance(model, str) else model
    device = ls.load_hardware("h100-sxm-80gb")
    return ls.forecast(loaded, device, prompt=100, generate=8, weights="bf16", kv="bf16")


def test_eagle_3_is_a_projection_a_wide_layer_and_a_head_of_its_own() -> None:
    """Sizes by SpecForge's ``llama3_eagle.py``; the embedding is the target's."""
    model = read(EAGLE3)
    layer = 2 * WIDE + 4 * KV + WIDE + MLP  # queries, keys and values of two vectors
    norms = 4 * 2048  # of the embedding, of the state, before the MLP, before the head
    assert model.parameters == 3 * WIDE + layer + norms + 32000 * 2048 == 145_235_968
    assert model.kv_bytes_per_token() == 2 * 2 * 512
    assert model.notes == (
        "EAGLE-3 draft head: the embedding is the target's, and not counted here",
    )
    flops = model.forward(1, 1, 0).cost().matmul_flops
    assert flops == 2 * (3 * WIDE + layer + 32000 * 2048) + 4 * 2048  # scores and values of itself


def test_eagle_3_heads_of_other_files() -> None:
    # yuhuili/EAGLE3-LLaMA3.1-Instruct-8B, config.json: 0.425 B (vllm-project/vllm, issue 26191)
    sizes = {"hidden_size": 4096, "intermediate_size": 14336}
    sizes |= {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256}
    assert read(EAGLE3, **sizes).parameters == 424_689_664
    wide = read(EAGLE3, target_hidden_size=5120)
    assert wide.parameters == 145_235_968 + 3 * (5120 - 2048) * 2048
    nested = {"architectures": ["Eagle3DraftModel"], "draft_vocab_size": 32000}
    nested |= {"speculators_model_type": "eagle3", "transformer_layer_config": LAYER}
    assert read(nested).parameters == 145_235_968
    whole = {key: value for key, value in EAGLE3.items() if key != "draft_vocab_size"}
    assert read(whole).parameters == 145_235_968 + 96000 * 2048


def test_eagle_owns_a_projection_and_a_layer() -> None:
    """By SafeAILab/EAGLE's ``cnets1.py``: no norm before the layer, nor after it."""
    layer = 2 * WIDE + 2 * KV + MLP + 2048
    assert read(EAGLE).parameters == 2 * WIDE + 2048 + layer
    assert read(EAGLE, bias=False).parameters == 2 * WIDE + layer


def test_medusa_is_residual_layers_and_heads() -> None:
    """By vLLM's ``models/medusa.py``."""
    square, logits = 4096 * 4096, 4096 * 32000
    assert read(MEDUSA).parameters == 5 * (square + logits)
    assert read(MEDUSA, num_hidden_layers=2).parameters == 5 * (2 * square + logits)
    assert read(MEDUSA, medusa_fc_bias=True).parameters == 5 * (square + 4096 + logits)
    assert read(MEDUSA, truncated_vocab_size=100).parameters == 5 * (square + 409_600)
    assert read(MEDUSA, original_lm_head=True).parameters == 5 * square
    assert read(MEDUSA).forward(3, 7, 0).cost().matmul_flops == 2 * 3 * 5 * (square + logits)
    assert read(MEDUSA).kv_bytes(100) == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"base_model_name_or_path": "lmsys/vicuna-7b-v1.3", "medusa_num_heads": 2}, "Medusa head"),
        ({"model_type": "deepseek_mtp"}, "'deepseek_mtp' is a prediction module of another model"),
        (LAYER | {"architectures": ["DeepseekV3ForCausalLMNextN"]}, "is a prediction module"),
        (LAYER | {"model_type": "kimi_k2", "architectures": ["Eagle3DeepseekV2"]}, "EAGLE draft"),
        (EAGLE3 | {"num_hidden_layers": 2}, "'num_hidden_layers': .*draft heads have 1 layer"),
        (EAGLE3 | {"eagle_config": {"use_aux_hidden_state": False}}, "false is not modelled"),
        (EAGLE | {"architectures": ["LlamaForCausalLMEagle3Gated"]}, "EAGLE draft head, of which"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_draft_heads_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as error:
        ls.Model.from_hf(config)
    assert "\n" not in str(error.value)


def test_the_states_of_the_target_are_read_once_a_step() -> None:
    target, draft = forecast("llama-3.2-1b"), forecast(read(EAGLE3))
    spec = speculate(target, draft, tokens=3, tokens_per_step=2)

    def step(past: int, *, states: bool) -> Any:
        trace = draft.trace(1, past).filter(lambda e: states or e.section != "states")
        return sum(term.time for term in draft.timed(trace))

    steps = step(50, states=True) + step(51, states=False) + step(52, states=False)
    assert expand(sym.bind(total(spec.drafting), {"past": 50}).doit() - steps) == 0
    assert spec.memory.expr == target.memory.expr + draft.memory.expr
    assert spec.tpot.expr == spec.step.expr / 2


def test_heads_side_by_side_run_once_a_step() -> None:
    target, draft = forecast("llama-2-7b"), forecast(read(MEDUSA))
    spec = speculate(target, draft, tokens=5, accepted_rate=Rational(1, 4))
    assert total(spec.drafting) == draft.tpot.expr
    assert spec.expected == Rational(9, 4)
    with pytest.raises(SymbolError, match="medusa has 5 heads: it cannot draft 6"):
        speculate(target, draft, tokens=6)


def test_every_measure_of_acceptance_gives_the_mean_length() -> None:
    """vllm-project/vllm, pull 24243: 63,669 of 259,326 accepted, 6 a step, mean length 2.47."""
    rate = Rational(63_669, 259_326)
    mean = tokens_at_rate(6, rate)
    assert mean == 1 + 6 * rate
    assert round(float(mean), 2) == 2.47
    chance = conditional(6, mean)
    assert abs(float(chance) - 0.608) < 5e-4
    assert abs(float(expected_tokens(6, chance) - mean)) < 1e-12
    assert round(float(expected_tokens(6, 0.2455)), 3) == 1.325  # the rate taken for the chance
    assert tokens_at_positions([0.5, 0.25, 0.125]) == expected_tokens(3, 0.5)
    assert tokens_at_rate() == 1 + sym.draft * sym.accepted_rate
    assert (conditional(3, 1), conditional(3, 4)) == (0, 1)


def test_measures_of_acceptance_that_cannot_be() -> None:
    f = forecast("llama-3.2-1b")
    for options, message in (
        ({"acceptance": 0.5, "accepted_rate": 0.5}, "by one measure, not by several"),
        ({"acceptance": 0.5, "position_rates": [0.5]}, "by one measure, not by several"),
        ({"position_rates": [0.5]}, "1 position rates for 2 drafted tokens"),
        ({"position_rates": [0.5, 0.6]}, "position rates cannot rise, as from 1/2 to 3/5"),
        ({"accepted_rate": 1.5}, "accepted_rate must be between 0 and 1, not 1.5"),
        ({"tokens_per_step": 3.5}, "between 1 and draft . 1 = 3, not 3.5"),
        ({"tokens_per_step": 0.5}, "tokens_per_step must be between 1"),
    ):
        with pytest.raises(SymbolError, match=message):
            speculate(f, tokens=2, **options)  # type: ignore[arg-type]
    assert speculate(f, tokens=2).expected == sym.acceptance**2 + sym.acceptance + 1
    assert speculate(f, tokens=Integer(2), tokens_per_step=3).expected == 3


def test_acceptance_at_the_command_line(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "eagle3.json"
    path.write_text(json.dumps(EAGLE3))
    base = ["forecast", "llama-3.2-1b", "--on", "h100-sxm-80gb", "--prompt", "64"]
    base += ["--generate", "8", "--draft", str(path), "--json"]

    def said(*options: str) -> dict[str, float]:
        result = run(*base, *options)
        assert result.returncode == 0, result.stderr
        return dict(json.loads(result.stdout)["speculative"])

    rated = said("--draft-tokens", "6", "--accepted-rate", "0.2455")
    assert rated["tokens_per_step"] == 2.473
    assert round(rated["acceptance"], 3) == 0.608
    assert said("--draft-tokens", "6", "--tokens-per-step", "2.473") == rated
    by_place = said("--position-rates", "0.5,0.25,0.125")
    assert by_place["tokens_per_step"] == 1.875
    assert by_place == said("--draft-tokens", "3", "--acceptance", "0.5")
    several = run(*base, "--acceptance", "0.5", "--tokens-per-step", "2")
    assert several.returncode == 2
    assert "by one measure" in several.stderr
    wrong = run(*base, "--position-rates", "high")
    assert "'--position-rates': 'high' is not a number" in wrong.stderr


def test_an_assistant_reads_the_targets_cache_and_fills_none() -> None:
    """Gemma 4 31B: its draft starts with the target's cache, which grows by no drafted token."""
    target, draft = forecast("gemma-4-31b"), forecast("gemma-4-31b-assistant")
    made = speculate(target, draft, 3, acceptance=Rational(1, 2))
    assert made.ttft.expr == target.ttft.expr
    assert made.cached(Integer(500)) == target.cached(Integer(500))
    assert made.memory.expr == target.memory.expr + 2 * draft.model.parameters
    steps = [term for term in made.drafting if term.section == "draft head"]
    once = [term for term in draft.tpot.terms if term.section == "head"]
    assert expand(total(steps) - 3 * total(once)) == 0
    at = {sym.past: Integer(700)}
    whole = total(made.drafting).xreplace(at).doit()
    assert expand(whole - 3 * draft.tpot.expr.xreplace(at).doit()) == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"num_kv_shared_layers": 2}, "'num_kv_shared_layers'"),
        ({"hidden_size_per_layer_input": 8}, "'hidden_size_per_layer_input'"),
        ({"enable_moe_block": True}, "'enable_moe_block'"),
    ],
)
def test_an_assistant_is_what_its_class_takes(change: dict[str, Any], why: str) -> None:
    path = Path(__file__).parents[1] / "specs" / "models" / "gemma-4-e2b-assistant.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    with pytest.raises(SpecError, match=why):
        read(config, text_config=config["text_config"] | change)
    with pytest.raises(SpecError, match="'num_centroids': 2047"):
        read(config, num_centroids=2047)
