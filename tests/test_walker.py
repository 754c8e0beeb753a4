"""Random models of every family: lifesym's formulas equal a walk over the real modules."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from strategies import DENSE
from walker import WALKS, Walk

import lifesym as ls

CASES = 30
Json = dict[str, Any]


def maybe(random: Random, config: Json, **choices: list[Any]) -> None:
    """Set each key to one of its choices, or leave it out."""
    for key, values in choices.items():
        value = random.choice([*values, ...])
        if value is not ...:
            config[key] = value


def heads_of(random: Random) -> tuple[int, int, int]:
    """Heads, key-value heads that divide them, and an even head size."""
    kv_heads = random.randint(1, 4)
    return kv_heads * random.randint(1, 4), kv_heads, 2 * random.randint(1, 16)


def gpt(family: str, random: Random) -> Json:
    """gpt2 and gptj: the keys that begin with ``n_``."""
    heads, _, head_dim = heads_of(random)
    config = {
        "n_embd": heads * head_dim,
        "n_layer": random.randint(1, 7),
        "n_head": heads,
        "n_positions": 4096,
    }
    maybe(random, config, n_inner=[None, random.randint(1, 300)])
    if family == "gptj":
        config["rotary_dim"] = random.choice([None, 2, head_dim])
    return config


def bloom(family: str, random: Random) -> Json:
    heads, _, head_dim = heads_of(random)
    return {"hidden_size": heads * head_dim, "n_layer": random.randint(1, 7), "n_head": heads}


def common(random: Random) -> tuple[Json, int, int]:
    """The three sizes that most families spell alike; key-value heads and head size."""
    heads, kv_heads, head_dim = heads_of(random)
    config = {
        "hidden_size": heads * head_dim,
        "num_hidden_layers": random.randint(1, 7),
        "num_attention_heads": heads,
    }
    return config, kv_heads, head_dim


def falcon(family: str, random: Random) -> Json:
    config, kv_heads, _ = common(random)
    maybe(
        random,
        config,
        new_decoder_architecture=[True, False],
        multi_query=[True, False],
        bias=[True, False],
        alibi=[True, False],
        ffn_hidden_size=[random.randint(1, 300)],
        num_ln_in_parallel_attn=[None, 1, 2],
    )
    if config.get("new_decoder_architecture"):
        maybe(random, config, num_kv_heads=[kv_heads])
    else:
        maybe(random, config, parallel_attn=[True, False])
        if config.get("parallel_attn", True) and config.get("num_ln_in_parallel_attn") == 2:
            config["num_ln_in_parallel_attn"] = 1  # two norms are the new architecture's
    return config


def opt(family: str, random: Random) -> Json:
    config, _, _ = common(random)
    config |= {"ffn_dim": random.randint(1, 300), "max_position_embeddings": 4096}
    maybe(
        random,
        config,
        word_embed_proj_dim=[random.randint(1, 64), config["hidden_size"]],
        do_layer_norm_before=[True, False],
        _remove_final_layer_norm=[True, False],
        enable_bias=[True, False],
        layer_norm_elementwise_affine=[True, False],
    )
    return config


def gpt_neox(family: str, random: Random) -> Json:
    config, _, _ = common(random)
    config["intermediate_size"] = random.randint(1, 300)
    maybe(
        random,
        config,
        use_parallel_residual=[True, False],
        attention_bias=[True, False],
        rotary_pct=[0.25, 0.5, 1.0],
    )
    return config


def grouped(random: Random) -> tuple[Json, int, list[str]]:
    """Llama's keys; the head size and a random list of layer types."""
    config, kv_heads, head_dim = common(random)
    config |= {"intermediate_size": random.randint(1, 300), "num_key_value_heads": kv_heads}
    depth = config["num_hidden_layers"]
    return config, head_dim, random.choices(["full_attention", "sliding_attention"], k=depth)


def gemma(family: str, random: Random) -> Json:
    config, head_dim, kinds = grouped(random)
    config |= {"head_dim": head_dim + 2, "sliding_window": random.randint(2, 60)}
    maybe(random, config, attention_bias=[True, False], layer_types=[kinds])
    if "layer_types" not in config and family == "gemma3_text":
        maybe(random, config, sliding_window_pattern=[1, 2, 3, 6])
    return config


def llama(family: str, random: Random) -> Json:
    config, head_dim, _ = grouped(random)
    maybe(
        random,
        config,
        head_dim=[head_dim + 2, head_dim],
        attention_bias=[True, False],
        mlp_bias=[True, False],
    )
    return config


def mistral(family: str, random: Random) -> Json:
    config, head_dim, _ = grouped(random)
    maybe(
        random,
        config,
        head_dim=[head_dim + 2, head_dim],
        sliding_window=[None, random.randint(2, 60)],
    )
    if family == "phi3":
        maybe(random, config, partial_rotary_factor=[0.5, 1.0])
    return config


def qwen(family: str, random: Random) -> Json:
    config, head_dim, kinds = grouped(random)
    config["sliding_window"] = random.randint(2, 60)
    maybe(
        random,
        config,
        head_dim=[head_dim + 2, head_dim],
        use_sliding_window=[True, False],
        max_window_layers=[0, 1, len(kinds)],
    )
    if family == "qwen3":
        maybe(random, config, attention_bias=[True, False])
    if config.get("use_sliding_window"):
        maybe(random, config, layer_types=[kinds])
    return config


CONFIGS: dict[str, Callable[[str, Random], Json]] = {
    "llama": llama,
    "mistral": mistral,
    "phi3": mistral,
    "qwen2": qwen,
    "qwen3": qwen,
    "gemma2": gemma,
    "gemma3_text": gemma,
    "gpt2": gpt,
    "gptj": gpt,
    "gpt_neox": gpt_neox,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
}


def test_every_dense_family_is_walked() -> None:
    assert set(CONFIGS) == set(WALKS) == set(DENSE)


@pytest.mark.parametrize("family", WALKS)
@pytest.mark.parametrize("case", range(CASES))
def test_model_equals_walk(family: str, case: int) -> None:
    random = Random(f"{family} {case}")
    config = {"model_type": family, "vocab_size": random.randint(1, 500)}
    config |= CONFIGS[family](family, random)
    maybe(random, config, tie_word_embeddings=[True, False])
    batch, new, past = random.randint(1, 3), random.randint(1, 40), random.choice([0, 1, 17, 90])
    logits = random.choice(["all", "last", "none"])
    walk = Walk(batch, new, past, logits)
    WALKS[family](walk, config)
    model = ls.Model.from_hf(config, strict=True)
    assert model.family == family
    cost = model.forward(batch=batch, new=new, past=past, logits=logits).cost(kv="fp32")
    assert cost.matmul_flops == 2 * walk.macs
    assert model.parameters == walk.parameters
    assert cost.weight_bytes == 2 * walk.weights_read
    assert cost.kv_read_bytes == 4 * walk.kv_read
    assert cost.kv_write_bytes == 4 * walk.kv_written
    assert model.kv_bytes(past + new, batch=batch) == 2 * walk.kv_elements
    assert model.kv_bytes_per_token() == 2 * walk.kv_per_token
