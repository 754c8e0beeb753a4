"""Encoder-decoders against real model code: encoding, prefill and decode steps."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


def t5(rng: Random) -> dict[str, Any]:
    """Inner widths that are not the hidden size; stacks of two depths."""
    heads, head_dim = rng.choice([1, 2, 3]), rng.choice([4, 6])
    return {
        "model_type": rng.choice(["t5", "mt5"]),
        "vocab_size": rng.randint(40, 90),
        "d_model": rng.choice([12, 16]),
        "d_kv": head_dim,
        "d_ff": rng.randint(10, 50),
        "num_layers": rng.randint(1, 3),
        "num_decoder_layers": rng.randint(1, 3),
        "num_heads": heads,
        "relative_attention_num_buckets": rng.choice([8, 16]),
        "feed_forward_proj": rng.choice(["relu", "gated-gelu"]),
    }


def bart(rng: Random) -> dict[str, Any]:
    """Norms after each part or before it; stacks of two depths and MLPs."""
    heads = rng.choice([1, 2, 3])
    return {
        "model_type": rng.choice(["bart", "mbart"]),
        "vocab_size": rng.randint(40, 90),
        "d_model": heads * 4,
        "encoder_layers": rng.randint(1, 3),
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": rng.randint(5, 30),
        "decoder_layers": rng.randint(1, 3),
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": rng.randint(5, 30),
        "max_position_embeddings": 30,
        "scale_embedding": rng.random() < 0.5,
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", [t5, bart], ids=lambda family: family.__name__)
def test_text_to_text_equals_the_real_code(family: Any, seed: int) -> None:
    config = family(Random(seed))
    real = built(config)
    model = ls.Model.from_hf(config)
    assert int(model.parameters) == real.num_parameters()
    for batch, source, new, past in ((1, 7, 1, 0), (2, 9, 4, 0), (1, 5, 1, 6), (3, 8, 2, 3)):
        ours = model.with_source(source).forward(batch, new, past, logits="all")
        assert int(ours.cost().matmul_flops) == counted(real, batch, source, new, past), config
    cache = cache_of(encoded(real, 1, 7, 5))
    tensors = [
        tensor
        for part in (cache.self_attention_cache, cache.cross_attention_cache)
        for layer in part.layers
        for tensor in (layer.keys, layer.values)
    ]
    stored = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert int(model.with_source(7).kv_bytes(5, "fp32")) == stored


def whisper(rng: Random) -> dict[str, Any]:
    """Stacks of two depths and MLPs."""
    heads = rng.choice([1, 2, 3])
    return {
        "model_type": "whisper",
        "vocab_size": rng.randint(40, 90),
        "num_mel_bins": rng.choice([5, 8]),
        "d_model": heads * 4,
        "encoder_layers": rng.randint(1, 3),
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": rng.randint(5, 30),
        "decoder_layers": rng.randint(1, 3),
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": rng.randint(5, 30),
        "max_source_positions": rng.choice([6, 11]),
        "max_target_positions": 30,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
    }


@pytest.mark.parametrize("seed", range(4))
def test_whisper_equals_the_real_code(seed: int) -> None:
    config = whisper(Random(seed))
    real = built(config)
    model = ls.Model.from_hf(config)
    assert int(model.parameters) == real.num_parameters()
    frames = 2 * config["max_source_positions"]
    for batch, new, past in ((1, 1, 0), (2, 4, 0), (1, 1, 6), (3, 2, 3)):
        audio = torch.randn(batch, config["num_mel_bins"], frames)
        ids = torch.randint(0, config["vocab_size"], (batch, past + new))
        sources: dict[str, Any] = {"input_features": audio}
        if past:
            before = real(**sources, decoder_input_ids=ids[:, :past], use_cache=True)
            sources = {
                "encoder_outputs": (before.encoder_last_hidden_state,),
                "past_key_values": cache_of(before),
            }
        with FlopCounterMode(display=False) as counter:
            real(**sources, decoder_input_ids=ids[:, past:], use_cache=True)
        ours = model.forward(batch, new, past, logits="all").cost().matmul_flops
        assert int(ours) == counter.get_total_flops(), config


def built(config: dict[str, Any]) -> Any:
    """The real model with random weights."""
    settings = {key: value for key, value in config.items() if key != "model_type"}
    parsed = transformers.AutoConfig.for_model(config["model_type"], **settings)
    auto = transformers.AutoModelForSeq2SeqLM
    if config["model_type"] == "whisper":
        auto = transformers.AutoModelForSpeechSeq2Seq
    torch.manual_seed(0)
    real = auto.from_config(parsed, attn_implementation="eager")
    return real.eval().requires_grad_(False)


def cache_of(output: Any) -> Any:
    """The cache that a pass has filled, which transformers 5.24 renamed."""
    return output["cache" if "cache" in output else "past_key_values"]


def encoded(real: Any, batch: int, source: int, tokens: int) -> Any:
    """The first pass: the encoder, and so many tokens of the decoder."""
    ids = torch.randint(0, real.config.vocab_size, (batch, source))
    first = torch.randint(0, real.config.vocab_size, (batch, tokens))
    return real(input_ids=ids, decoder_input_ids=first, use_cache=True)


def counted(real: Any, batch: int, source: int, new: int, past: int) -> int:
    """Matrix FLOPs of a pass; after a cache that a first pass has filled."""
    if not past:
        with FlopCounterMode(display=False) as counter:
            encoded(real, batch, source, new)
        return counter.get_total_flops()
    before = encoded(real, batch, source, past)
    ids = torch.randint(0, real.config.vocab_size, (batch, new))
    with FlopCounterMode(display=False) as counter:
        real(
            encoder_outputs=(before.encoder_last_hidden_state,),
            decoder_input_ids=ids,
            past_key_values=cache_of(before),
            use_cache=True,
        )
    return counter.get_total_flops()
