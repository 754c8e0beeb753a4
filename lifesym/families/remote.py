"""Decoders whose code is in the files of their checkpoints, read by that code's arithmetic."""

from lifesym import symbols as sym
from lifesym.families.base import Config, per_head, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import AROUND, LAYER_NORM, RMS, attention, layer, mlp
from lifesym.model import Model

PLACEHOLDERS = 128
"""Rows of Molmo's table for tokens of images, which have no logits."""


def molmo(c: Config) -> Model:
    """Molmo: fused projections, norms before or after the parts, perhaps of queries and keys."""
    refuse(c.weight_tying or c.tie_word_embeddings, "key 'weight_tying': true is not modelled")
    normed = "all" if c.attention_layer_norm else "none"
    mixer = attention(fused=True, qkv_bias=c.qkv_bias, qk_norm=normed)
    before, after = (None, AROUND) if c.norm_after else (RMS, {})
    return decoder(
        c,
        layer(mixer, mlp("silu", fused=True), before, **after),
        Ends(rows=sym.vocab + PLACEHOLDERS),
        intermediate=_half(c),
        vocab=c.embedding_size or c.vocab_size,
    )


def _half(c: Config) -> int:
    """The size of an MLP whose ``intermediate_size`` is that of both projections into it."""
    refuse(c.intermediate_size % 2 != 0, "key 'intermediate_size': two projections share it")
    return int(c.intermediate_size // 2)


def baichuan(c: Config) -> Model:
    """Baichuan 1 and 2: Llama with a fused QKV projection; the 13B has ALiBi.

    The norm of the LM head's rows is taken once, when it is loaded.
    """
    rotary = c.max_position_embeddings is not None
    turns = sym.head_dim if rotary else 0
    mixer = attention(kv_heads=sym.heads, fused=True, alibi=not rotary, rotary_dim=turns)
    return decoder(c, layer(mixer, mlp(c)))


def chatglm(c: Config) -> Model:
    """ChatGLM 2 and 3: few key-value heads, half of each head rotated, fused projections."""
    refuse(c.kv_channels % 4 != 0, f"key 'kv_channels': half of {c.kv_channels} is no pairs")
    norm, bias = RMS if c.rmsnorm else LAYER_NORM, c.add_bias_linear
    groups = c.multi_query_group_num if c.multi_query_attention else c.num_attention_heads
    refuse(
        c.num_attention_heads % groups != 0,
        f"key 'multi_query_group_num': {groups} does not divide num_attention_heads",
    )
    turns, biased = sym.rotary_dim, bias or c.add_qkv_bias
    mixer = attention(fused=True, qkv_bias=biased, out_bias=bias, rotary_dim=turns)
    return decoder(
        c,
        layer(mixer, mlp("silu", fused=True, bias=bias), norm),
        Ends(norm=norm if c.post_layer_norm else None),
        intermediate=c.ffn_hidden_size,
        kv_heads=groups,
        head_dim=c.kv_channels,
        rotary_dim=c.kv_channels // 2,
    )


def qwen(c: Config) -> Model:
    """Qwen 1: biases on queries, keys and values, a fused QKV projection."""
    size, bias = per_head(c.hidden_size, c.num_attention_heads), not c.no_bias
    refuse(c.kv_channels != size, f"key 'kv_channels': only hidden / heads = {size} is modelled")
    mixer = attention(kv_heads=sym.heads, fused=True, qkv_bias=True, out_bias=bias)
    return decoder(c, layer(mixer, mlp("silu", bias=bias)), intermediate=_half(c))


def internlm2(c: Config) -> Model:
    """InternLM 2 and 2.5: Llama with a fused QKV projection."""
    return decoder(c, layer(attention(c, fused=True), mlp(c)))
