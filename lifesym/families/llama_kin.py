"""Dense decoders of 2024 to 2026 that differ from Llama in a thing or two, and MiniCPM."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, NormSpec
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import SCALED, Ends, decoder
from lifesym.families.parts import AROUND, LAYER_NORM, OFFSETLESS, RMS, attention, layer, mlp
from lifesym.families.patterns import each_layer, still_layers, windows
from lifesym.families.sizes import turned
from lifesym.model import Model


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
    refuse(c.output_vocab_size not in (None, c.vocab_size), "key 'output_vocab_size': only null")
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
    spans = windows(c, lambda i: i % 4 != 0)
    return decoder(c, [layer(attention(window=span), mlp(c)) for span in spans])


def nanochat(c: Config) -> Model:
    """nanochat: norms of the embeddings, of queries and of keys, none of them with gains."""
    norm = NormSpec(features=sym.hidden, affine=False)
    each = layer(attention(c, qk_norm="plain"), mlp(c, gated=False), norm)
    return decoder(c, each, Ends(norm=norm, embedding_norm=norm))


def minicpm(c: Config) -> Model:
    """MiniCPM 1, 2 and 4: Llama with constants; that of the last state is counted on the logits."""
    refuse(c.num_experts > 0, "key 'num_experts': experts are not modelled for MiniCPM")
    return decoder(c, layer(attention(c), mlp(c), scaled=True), SCALED)


def hyperclovax(c: Config) -> Model:
    """HyperCLOVA X: Granite with norms after attention and MLP."""
    after = AROUND if c.use_post_norm else {}
    return decoder(c, layer(attention(c), mlp(c), scaled=True, **after), SCALED)


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
    return decoder(c, [layer(mixer, mlp(c), scaled=True) for mixer in granite_mixers(c)], SCALED)


def olmo(c: Config) -> Model:
    """OLMo: LayerNorms without gains or offsets."""
    norm = NormSpec(features=sym.hidden, kind="layer", affine=False)
    return decoder(c, layer(attention(c), mlp(c), norm), Ends(norm=norm))


def _after(c: Config, mixers: list[Block]) -> Model:
    """Norms of what attention and MLP give, none before them."""
    return decoder(c, [layer(mixer, mlp(c), norm=None, **AROUND) for mixer in mixers])


def olmo2(c: Config) -> Model:
    """OLMo 2: norms after attention and MLP and of all heads together; OLMo 3: with windows."""
    if c.model_type == "olmo2":
        return _after(c, [attention(c, qk_norm="all")] * c.num_hidden_layers)
    spans = windows(c, lambda i: (i + 1) % 4 != 0)
    return _after(c, [attention(c, window=span, qk_norm="all") for span in spans])


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
    spans = windows(c, lambda i: (i + 1) % period != 0)
    whole = sym.head_dim if c.sliding_window is None else 0
    turns = [sym.head_dim if span else whole for span in spans]
    return [
        attention(c, window=span, rotary_dim=turn, **options)
        for span, turn in zip(spans, turns, strict=True)
    ]


def cohere(c: Config) -> Model:
    """Command R: attention and MLP side by side, scaled logits, perhaps norms of each head."""
    normed = "each" if c.use_qk_norm else "none"
    return _beside(c, [attention(c, qk_norm=normed, qk_norm_kind="layer")] * c.num_hidden_layers)


def cohere2(c: Config) -> Model:
    """Command R7B and A, Tiny Aya: windows with rotary positions, full attention without.

    Compass, a model of embeddings, rotates in every layer.
    """
    spans = windows(c, lambda i: (i + 1) % c.sliding_window_pattern != 0)
    turning = c.sliding_window is None or c.model_type == "cohere_compass_text"
    whole = sym.head_dim if turning else 0
    turns = [sym.head_dim if span else whole for span in spans]
    parts = zip(spans, turns, strict=True)
    return _beside(c, [attention(c, rotary_dim=turn, window=span) for span, turn in parts])


def _beside(c: Config, mixers: list[Block]) -> Model:
    """Attention and MLP side by side behind one norm."""
    layers = [layer(each, mlp(c), OFFSETLESS, mlp_norm=None, parallel=True) for each in mixers]
    return decoder(c, layers, Ends(norm=OFFSETLESS, head_scaled=True))


def glm(c: Config) -> Model:
    """GLM-4-9B, and GLM-4-0414 (glm4), which also normalizes what attention and MLP give."""
    mixer = attention(rotary_dim=turned(c, pairs=True), qkv_bias=c.attention_bias)
    after = {} if c.model_type == "glm" else AROUND
    return decoder(c, layer(mixer, mlp(c, fused=True), **after))


def granite(c: Config) -> Model:
    """Granite 3: Llama with constants."""
    return decoder(c, layer(attention(c), mlp(c), scaled=True), SCALED)
