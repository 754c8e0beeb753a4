"""Random tiny configs of the kin of Llama: small differences in norms, biases and positions."""

from collections.abc import Callable
from random import Random
from typing import Any

from configs import Config, decoder, windowed


def maybe(rng: Random, *keys: str) -> Config:
    """Switches, each on or off."""
    return {key: rng.random() < 0.5 for key in keys}


def derived(config: Config) -> Config:
    """Heads of hidden / heads."""
    return {key: value for key, value in config.items() if key != "head_dim"}


def granite(rng: Random) -> Config:
    """Scaled branches."""
    return decoder(rng, "granite", **maybe(rng, "attention_bias", "mlp_bias"))


def granitemoeshared(rng: Random) -> Config:
    """With and without a shared expert."""
    experts = rng.randint(2, 4)
    more = {"num_local_experts": experts, "num_experts_per_tok": rng.randint(1, experts)}
    shared = rng.choice([0, 7])
    return derived(decoder(rng, "granitemoeshared", shared_intermediate_size=shared, **more))


def olmo(rng: Random) -> Config:
    """Norms without gains."""
    config = decoder(rng, "olmo", clip_qkv=rng.choice([None, 3.0]))
    return derived(config | maybe(rng, "attention_bias"))


def olmo2(rng: Random) -> Config:
    """Norms after the parts."""
    return derived(decoder(rng, "olmo2", **maybe(rng, "attention_bias")))


def olmo3(rng: Random) -> Config:
    """The same with windows, listed or in three of four layers."""
    config = decoder(rng, "olmo3", num_hidden_layers=5, sliding_window=rng.randint(3, 20))
    return derived(windowed(rng, config) if rng.random() < 0.5 else config)


def exaone4(rng: Random) -> Config:
    """Windows in all layers but every n-th."""
    pattern = {"sliding_window": rng.randint(3, 20), "sliding_window_pattern": 2}
    full = {"sliding_window": None, "layer_types": ["full_attention"] * 3}
    return decoder(rng, "exaone4", num_hidden_layers=3) | rng.choice([pattern, full])


def cohere(rng: Random) -> Config:
    """Norms of each head's own."""
    return derived(decoder(rng, "cohere", **maybe(rng, "attention_bias", "use_qk_norm")))


def cohere2(rng: Random) -> Config:
    """Windows in all layers but every n-th."""
    config = decoder(
        rng, "cohere2", sliding_window=rng.randint(3, 20), **maybe(rng, "attention_bias")
    )
    return derived(config | {"sliding_window_pattern": rng.randint(1, 3)})


def starcoder2(rng: Random) -> Config:
    """A window in every layer or none."""
    return decoder(
        rng, "starcoder2", sliding_window=rng.choice([None, 6]), **maybe(rng, "use_bias")
    )


def stablelm(rng: Random) -> Config:
    """Parallel residuals, norms of each head's own."""
    keys = ("use_qkv_bias", "qk_layernorm", "use_parallel_residual")
    config = derived(decoder(rng, "stablelm", **maybe(rng, *keys)))
    return config | {"hidden_size": config["num_attention_heads"] * 8}


def nemotron(rng: Random) -> Config:
    """A plain MLP."""
    return decoder(rng, "nemotron", **maybe(rng, "attention_bias", "mlp_bias"))


def phi(rng: Random) -> Config:
    """Biases everywhere."""
    return derived(decoder(rng, "phi", **maybe(rng, "qk_layernorm")))


def persimmon(rng: Random) -> Config:
    """As many heads of keys as of queries."""
    config = derived(decoder(rng, "persimmon", **maybe(rng, "qk_layernorm")))
    config.pop("num_key_value_heads", None)
    return config


def glm(rng: Random) -> Config:
    """With and without norms after the parts."""
    family = rng.choice(["glm", "glm4"])
    return decoder(rng, family, **maybe(rng, "attention_bias"))


def gemma(rng: Random) -> Config:
    """Scaled embeddings."""
    return decoder(rng, "gemma", hidden_act="gelu", **maybe(rng, "attention_bias"))


def ernie4_5_moe(rng: Random) -> Config:
    """Experts in an interval of layers."""
    biases = maybe(rng, "use_bias")
    config = decoder(
        rng,
        "ernie4_5_moe",
        num_hidden_layers=4,
        moe_num_experts=4,
        moe_k=rng.randint(1, 4),
        moe_num_shared_experts=rng.randint(0, 2),
        moe_intermediate_size=rng.randint(5, 20),
        moe_layer_start_index=rng.randint(0, 2),
        moe_layer_end_index=rng.choice([-1, 2]),
        moe_layer_interval=rng.randint(1, 2),
        **biases,
    )
    return derived(config)


def smollm3(rng: Random) -> Config:
    """Layers that rotate nothing."""
    interval = {"no_rope_layer_interval": rng.randint(1, 3)}
    return derived(decoder(rng, "smollm3", **interval, **maybe(rng, "attention_bias", "mlp_bias")))


def ernie4_5(rng: Random) -> Config:
    """All biases or none."""
    return decoder(rng, "ernie4_5", **maybe(rng, "use_bias"))


def hunyuan_v1_dense(rng: Random) -> Config:
    """Normalized queries and keys."""
    return decoder(rng, "hunyuan_v1_dense", **maybe(rng, "attention_bias"))


def seed_oss(rng: Random) -> Config:
    """Biases by part."""
    keys = ("attention_bias", "attention_out_bias", "mlp_bias")
    return decoder(rng, "seed_oss", **maybe(rng, *keys))


def helium(rng: Random) -> Config:
    """No bias on the attention's output."""
    return decoder(rng, "helium", **maybe(rng, "attention_bias", "mlp_bias"))


FAMILIES: tuple[Callable[[Random], Any], ...] = (
    granite,
    granitemoeshared,
    olmo,
    olmo2,
    olmo3,
    exaone4,
    cohere,
    cohere2,
    starcoder2,
    stablelm,
    nemotron,
    phi,
    persimmon,
    glm,
    gemma,
    ernie4_5_moe,
    smollm3,
    ernie4_5,
    hunyuan_v1_dense,
    seed_oss,
    helium,
)
