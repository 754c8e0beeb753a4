"""Llama and dense decoders that differ from it in a thing or two.

Pre-norm decoders with RMSNorm, rotary positions, grouped queries and a gated MLP, but for biases,
windows, norms of queries and keys, fused projections, constants, or norms elsewhere.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, NormSpec
from lifesym.families.base import Config, expect, refuse
from lifesym.families.decoder import SCALED, Ends, decoder
from lifesym.families.parts import (
    AROUND,
    LAYER_NORM,
    OFFSETLESS,
    RMS,
    attention,
    layer,
    layers,
    mixers,
    mlp,
)
from lifesym.families.patterns import each_layer, still_layers, windows
from lifesym.families.sizes import turned
from lifesym.model import Model


def llama(c: Config) -> Model:
    """Llama 1 to 3 and models that reuse the class."""
    return decoder(c, layer(attention(c), mlp(c)))


def internlm3(c: Config) -> Model:
    """InternLM 3: Llama, with all biases or none."""
    refuse(c.attention_bias != c.mlp_bias, "keys 'qkv_bias' and 'bias' disagree")
    return llama(c)


def mistral(c: Config) -> Model:
    """Mistral: every layer has the window, where one is given."""
    return decoder(c, layers(mixers(c, alike=True, bias=False), mlp(c)))


def ministral(c: Config) -> Model:
    """Ministral: Mistral whose layers may have windows or not, each as listed."""
    return decoder(c, layers(mixers(c, bias=False), mlp(c)))


def _qwen(c: Config, **options: Any) -> Model:
    refuse(
        c.use_sliding_window and c.sliding_window == 0,
        "key 'sliding_window': 0 with 'use_sliding_window'",
    )
    if not c.use_sliding_window:
        c.sliding_window = None
    each = mixers(c, lambda i: i >= c.max_window_layers, **options)
    return decoder(c, layers(each, mlp(c)))


def qwen2(c: Config) -> Model:
    """Qwen 1.5 to 2.5: biases on queries, keys and values."""
    return _qwen(c, qkv_bias=True, out_bias=False)


def qwen3(c: Config) -> Model:
    """Qwen 3: queries and keys are normalized over each head."""
    return _qwen(c, qk_norm="head")


def phi3(c: Config) -> Model:
    """Phi 3 and 4: fused QKV, fused gate and up, partial rotary embedding."""
    each = mixers(c, alike=True, bias=False, fused=True, rotary_dim=turned(c))
    return decoder(c, layers(each, mlp(c, fused=True)))


def smollm3(c: Config) -> Model:
    """SmolLM 3: Llama whose every fourth layer has no positions."""
    still = still_layers(c)
    spans = windows(c, lambda _: c.use_sliding_window)
    refuse(any(spans), "key 'sliding_window': only full attention is modelled for 'smollm3'")
    turns = [0 if each else sym.head_dim for each in still]
    return decoder(c, [layer(attention(c, rotary_dim=turn), mlp(c)) for turn in turns])


def ernie4_5(c: Config) -> Model:
    """ERNIE 4.5, dense: Llama with biases everywhere or nowhere."""
    return decoder(c, layer(attention(bias=c.use_bias), mlp(c, bias=c.use_bias)))


def hunyuan_v1_dense(c: Config) -> Model:
    """Hunyuan, dense: queries and keys are normalized over each head."""
    return decoder(c, layer(attention(c, qk_norm="head"), mlp(c)))


def seed_oss(c: Config) -> Model:
    """Seed-OSS: biases on queries, keys and values."""
    mixer = attention(qkv_bias=c.attention_bias, out_bias=c.attention_out_bias)
    return decoder(c, layer(mixer, mlp(c)))


def helium(c: Config) -> Model:
    """Helium: Llama without a bias on the attention's output."""
    width = c.num_attention_heads * c.head_dim
    refuse(width != c.hidden_size, f"key 'head_dim': {width} is not hidden_size = {c.hidden_size}")
    return decoder(c, layer(attention(qkv_bias=c.attention_bias), mlp(c)))


def apertus(c: Config) -> Model:
    """Apertus: normalized queries and keys, a plain MLP with xIELU."""
    expect(c, "output_vocab_size", c.vocab_size, "vocab_size")
    return decoder(c, layer(attention(c, qk_norm="head"), mlp(c, gated=False)))


def arcee(c: Config) -> Model:
    """Arcee's AFM: Llama with a plain MLP; Jais 2: with LayerNorms as well."""
    norm = LAYER_NORM if c.model_type == "jais2" else RMS
    return decoder(c, layer(attention(c), mlp(c, gated=False), norm), Ends(norm=norm))


def bitnet(c: Config) -> Model:
    """BitNet: norms before the projections out of attention and MLP."""
    return decoder(c, layer(attention(c, out_norm=True), mlp(c, inner_norm=True)))


def cwm(c: Config) -> Model:
    """Code World Model: Llama with windows in three of four layers."""
    return decoder(c, layers(mixers(c, lambda i: i % 4 != 0), mlp(c)))


def nanochat(c: Config) -> Model:
    """nanochat: norms of the embeddings, of queries and of keys, none of them with gains."""
    norm = NormSpec(features=sym.hidden, affine=False)
    each = layer(attention(c, qk_norm="plain"), mlp(c, gated=False), norm)
    return decoder(c, each, Ends(norm=norm, embedding_norm=norm))


def granite_mixers(c: Config) -> list[Block]:
    """Attention with sinks by layer: windows in three of four unless listed, perhaps no rotation.

    Raises:
        SpecError: not one rotary base a layer.
    """
    spans = windows(c, lambda i: i % 4 != 0)
    bases = c.layer_rope_theta or [1] * len(spans)
    each_layer(bases, len(spans), "layer_rope_theta")
    return [
        attention(c, sinks=True, window=span, rotary_dim=sym.head_dim if base else 0)
        for span, base in zip(spans, bases, strict=True)
    ]


def granite_swa(c: Config) -> Model:
    """Granite with windows and sinks."""
    return decoder(c, layers(granite_mixers(c), mlp(c), scaled=True), SCALED)


def olmo(c: Config) -> Model:
    """OLMo: LayerNorms without gains or offsets."""
    norm = NormSpec(features=sym.hidden, kind="layer", affine=False)
    return decoder(c, layer(attention(c), mlp(c), norm), Ends(norm=norm))


def _after(c: Config, mixers: list[Block]) -> Model:
    """Norms of what attention and MLP give, none before them."""
    return decoder(c, layers(mixers, mlp(c), norm=None, **AROUND))


def olmo2(c: Config) -> Model:
    """OLMo 2: norms after attention and MLP and of all heads together; OLMo 3: with windows."""
    if c.model_type == "olmo2":
        return _after(c, [attention(c, qk_norm="all")] * c.num_hidden_layers)
    return _after(c, mixers(c, lambda i: (i + 1) % 4 != 0, qk_norm="all"))


def exaone4(c: Config) -> Model:
    """EXAONE 4: norms after attention and MLP; beside windowed layers full ones rotate nothing."""
    return _after(c, period_mixers(c, qk_norm="head"))


def period_mixers(c: Config, **options: Any) -> list[Block]:
    """Attention whose full layers, one of ``sliding_window_pattern``, rotate nothing.

    Raises:
        SpecError: a pattern in letters without the list of layers that it means.
    """
    pattern = c.sliding_window_pattern
    if isinstance(pattern, str):
        refuse(c.layer_types is None, "key 'layer_types': needed with a 'sliding_window_pattern'")
    period = pattern if isinstance(pattern, int) and pattern > 0 else 1
    whole = sym.head_dim if c.sliding_window is None else 0
    return mixers(c, lambda i: (i + 1) % period != 0, whole=whole, **options)


def cohere(c: Config) -> Model:
    """Command R: attention and MLP side by side, scaled logits, perhaps norms of each head."""
    normed = "each" if c.use_qk_norm else "none"
    return _beside(c, [attention(c, qk_norm=normed, qk_norm_kind="layer")] * c.num_hidden_layers)


def cohere2(c: Config) -> Model:
    """Command R7B and A, Tiny Aya: windows with rotary positions, full attention without.

    Compass, a model of embeddings, rotates in every layer.
    """
    period = c.sliding_window_pattern
    turning = c.sliding_window is None or c.model_type == "cohere_compass_text"
    whole = sym.head_dim if turning else 0
    return _beside(c, mixers(c, lambda i: (i + 1) % period != 0, whole=whole))


def _beside(c: Config, mixers: list[Block]) -> Model:
    """Attention and MLP side by side behind one norm."""
    each = layers(mixers, mlp(c), OFFSETLESS, mlp_norm=None, parallel=True)
    return decoder(c, each, Ends(norm=OFFSETLESS, head_scaled=True))


def glm(c: Config) -> Model:
    """GLM-4-9B, and GLM-4-0414 (glm4), which also normalizes what attention and MLP give."""
    mixer = attention(rotary_dim=turned(c, pairs=True), qkv_bias=c.attention_bias)
    after = {} if c.model_type == "glm" else AROUND
    return decoder(c, layer(mixer, mlp(c, fused=True), **after))


def granite(c: Config) -> Model:
    """Granite 3, MiniCPM 1, 2 and 4: Llama with constants; HyperCLOVA X: and norms after the parts.

    MiniCPM's constant of the last state is counted on the logits.
    """
    after = AROUND if getattr(c, "use_post_norm", False) else {}
    return decoder(c, layer(attention(c), mlp(c), scaled=True, **after), SCALED)
