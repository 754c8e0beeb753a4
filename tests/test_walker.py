"""Random models of every family: lifesym's formulas equal a walk over the real modules."""

from random import Random
from typing import Any

import pytest
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


def config_of(family: str, random: Random) -> Json:
    """A random config with the family's own spelling of keys and some of its options."""
    heads, kv_heads, head_dim = heads_of(random)
    hidden, layers = heads * head_dim, random.randint(1, 7)
    wide, vocab = random.randint(1, 300), random.randint(1, 500)
    config: Json = {"model_type": family, "vocab_size": vocab}
    maybe(random, config, tie_word_embeddings=[True, False])
    kinds = random.choices(["full_attention", "sliding_attention"], k=layers)
    if family in ("gpt2", "gptj"):
        config |= {"n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": 4096}
        maybe(random, config, n_inner=[None, wide])
        if family == "gptj":
            config["rotary_dim"] = random.choice([None, 2, head_dim])
        return config
    if family == "bloom":
        return config | {"hidden_size": hidden, "n_layer": layers, "n_head": heads}
    config |= {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }
    if family == "falcon":
        maybe(
            random,
            config,
            new_decoder_architecture=[True, False],
            multi_query=[True, False],
            bias=[True, False],
            alibi=[True, False],
            ffn_hidden_size=[wide],
            num_ln_in_parallel_attn=[None, 1, 2],
        )
        if config.get("new_decoder_architecture"):
            maybe(random, config, num_kv_heads=[kv_heads])
        else:
            maybe(random, config, parallel_attn=[True, False])
        return config
    if family == "opt":
        config |= {"ffn_dim": wide, "max_position_embeddings": 4096}
        maybe(
            random,
            config,
            word_embed_proj_dim=[random.randint(1, 64), hidden],
            do_layer_norm_before=[True, False],
            _remove_final_layer_norm=[True, False],
            enable_bias=[True, False],
            layer_norm_elementwise_affine=[True, False],
        )
        return config
    config["intermediate_size"] = wide
    if family == "gpt_neox":
        maybe(
            random,
            config,
            use_parallel_residual=[True, False],
            attention_bias=[True, False],
            rotary_pct=[0.25, 0.5, 1.0],
        )
        return config
    config["num_key_value_heads"] = kv_heads
    if family in ("gemma2", "gemma3_text"):
        config |= {"head_dim": head_dim + 2, "sliding_window": random.randint(1, 60)}
        maybe(random, config, attention_bias=[True, False], layer_types=[kinds])
        if "layer_types" not in config and family == "gemma3_text":
            maybe(random, config, sliding_window_pattern=[1, 2, 3, 6])
        return config
    maybe(random, config, head_dim=[head_dim + 2, head_dim])
    if family in ("llama", "qwen3"):
        maybe(random, config, attention_bias=[True, False])
    if family == "llama":
        maybe(random, config, mlp_bias=[True, False])
    if family in ("mistral", "phi3"):
        maybe(random, config, sliding_window=[None, random.randint(1, 60)])
    if family == "phi3":
        maybe(random, config, partial_rotary_factor=[0.5, 1.0])
    if family in ("qwen2", "qwen3"):
        config["sliding_window"] = random.randint(1, 60)
        maybe(
            random,
            config,
            use_sliding_window=[True, False],
            max_window_layers=[0, 1, layers],
        )
        if config.get("use_sliding_window"):
            maybe(random, config, layer_types=[kinds])
    return config


@pytest.mark.parametrize("family", WALKS)
@pytest.mark.parametrize("case", range(CASES))
def test_model_equals_walk(family: str, case: int) -> None:
    random = Random(f"{family} {case}")  # noqa: S311
    config = config_of(family, random)
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
