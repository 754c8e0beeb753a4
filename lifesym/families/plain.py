"""Dense decoders of 2024 to 2026 that differ from Llama in a thing or two."""

from collections.abc import Sequence
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, NormSpec
from lifesym.families.base import (
    Count,
    Family,
    StackConfig,
    Whole,
    activation,
    each_layer,
    refuse,
)
from lifesym.families.decoder import (
    LAYER_NORM,
    RMS,
    Ends,
    attention,
    decoder,
    layer,
    mlp,
    windows,
)
from lifesym.families.gemma import GemmaConfig
from lifesym.families.llama import BiasedConfig, LlamaConfig, MistralConfig, llama
from lifesym.model import Model


class IQuestConfig(BiasedConfig, kw_only=True):
    """Options that no checkpoint has."""

    clip_qkv: float | None = None
    use_sliding_window: bool = False


class ApertusConfig(LlamaConfig, kw_only=True):
    """Apertus 1.5 may have fewer logits than rows in its embedding."""

    output_vocab_size: Count | None = None


class WindowedConfig(BiasedConfig, kw_only=True):
    """Every fourth layer, from the first, has full attention, unless listed."""

    sliding_window: Count | None = None
    layer_types: list[str] | None = None


class NanoChatConfig(LlamaConfig, kw_only=True):
    """Norms without gains, soft-capped logits."""

    final_logit_softcapping: float | None = 15.0


class HyperClovaConfig(BiasedConfig, kw_only=True):
    """Granite's constants, and norms after the parts unless told otherwise."""

    use_post_norm: bool = True


class GraniteWindowConfig(WindowedConfig, kw_only=True):
    """A base of 0 in ``layer_rope_theta`` rotates nothing in its layer."""

    layer_rope_theta: list[float] | None = None


class ModernBertConfig(StackConfig, kw_only=True):
    """The window is half of ``local_attention`` unless given; every third layer has none."""

    intermediate_size: Count
    sliding_window: Count | None = None
    hidden_activation: str = "gelu"
    local_attention: Whole | None = 128
    global_attn_every_n_layers: Count = 3
    layer_types: list[str] | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    norm_bias: bool = False
    decoder_bias: bool = True
    classifier_bias: bool = False
    classifier_activation: str = "gelu"
    tie_word_embeddings: bool = True


def internlm3(c: BiasedConfig, name: str) -> Model:
    """InternLM 3: Llama, with all biases or none."""
    refuse(c.attention_bias != c.mlp_bias, "keys 'qkv_bias' and 'bias' disagree")
    return llama(c, name)


def iquest(c: IQuestConfig, name: str) -> Model:
    """IQuest-Coder: Llama."""
    refuse(c.clip_qkv is not None, "key 'clip_qkv': only null is modelled")
    refuse(c.use_sliding_window, "key 'use_sliding_window': true is not modelled")
    return llama(c, name)


def apertus(c: ApertusConfig, name: str) -> Model:
    """Apertus: normalized queries and keys, a plain MLP with xIELU."""
    refuse(c.output_vocab_size not in (None, c.vocab_size), "key 'output_vocab_size': only null")
    each = layer(attention(bias=c.attention_bias, qk_norm="head"), mlp(c.hidden_act, gated=False))
    return decoder(c, name, [each] * c.num_hidden_layers)


def arcee(c: BiasedConfig, name: str) -> Model:
    """Arcee's AFM: Llama with a plain MLP; Jais 2: with LayerNorms as well."""
    norm = LAYER_NORM if c.model_type == "jais2" else RMS
    block = mlp(c.hidden_act, gated=False, bias=c.mlp_bias)
    each = layer(attention(bias=c.attention_bias), block, norm)
    return decoder(c, name, [each] * c.num_hidden_layers, Ends(norm=norm))


def bitnet(c: LlamaConfig, name: str) -> Model:
    """BitNet: norms before the projections out of attention and MLP."""
    mixer = attention(bias=c.attention_bias, out_norm=True)
    each = layer(mixer, mlp(c.hidden_act, inner_norm=True))
    return decoder(c, name, [each] * c.num_hidden_layers)


def cwm(c: WindowedConfig, name: str) -> Model:
    """Code World Model: Llama with windows in three of four layers."""
    refuse(c.attention_bias, "key 'attention_bias': not one of its class's")
    spans = windows(c, c.sliding_window, lambda i: i % 4 != 0)
    block = mlp(c.hidden_act, bias=c.mlp_bias)
    return decoder(c, name, [layer(attention(window=span), block) for span in spans])


def ministral(c: MistralConfig, name: str) -> Model:
    """Ministral: Mistral whose layers may have windows or not, each as listed."""
    refuse(c.head_dim is None, "missing key 'head_dim'")
    spans, block = windows(c, c.sliding_window), mlp(c.hidden_act)
    return decoder(c, name, [layer(attention(window=span), block) for span in spans])


def nanochat(c: NanoChatConfig, name: str) -> Model:
    """nanochat: norms of the embeddings, of queries and of keys, none of them with gains."""
    norm = NormSpec(features=sym.hidden, affine=False)
    mixer = attention(bias=c.attention_bias, qk_norm="plain")
    each = layer(mixer, mlp(c.hidden_act, gated=False), norm)
    capped = c.final_logit_softcapping is not None
    ends = Ends(norm=norm, embedding_norm=norm, softcap=capped)
    return decoder(c, name, [each] * c.num_hidden_layers, ends)


def _scaled(c: BiasedConfig, name: str, mixers: Sequence[Block], **options: Any) -> Model:
    block = mlp(c.hidden_act, bias=c.mlp_bias)
    layers = [layer(mixer, block, scaled=True, **options) for mixer in mixers]
    return decoder(c, name, layers, Ends(scaled=True, head_scaled=True))


def hyperclova(c: HyperClovaConfig, name: str) -> Model:
    """HyperCLOVA X: Granite with norms after attention and MLP."""
    after = {"mixer_post_norm": RMS, "mlp_post_norm": RMS} if c.use_post_norm else {}
    return _scaled(c, name, [attention(bias=c.attention_bias)] * c.num_hidden_layers, **after)


def granite_mixers(c: Any) -> list[Block]:
    """Attention with sinks by layer: windows in three of four unless listed, perhaps no rotation.

    Raises:
        SpecError: not one rotary base a layer.
    """
    spans, bias = windows(c, c.sliding_window, lambda i: i % 4 != 0), c.attention_bias
    bases = c.layer_rope_theta or [1] * len(spans)
    each_layer(bases, len(spans), "layer_rope_theta")
    return [
        attention(bias=bias, sinks=True, window=span, rotary_dim=sym.head_dim if base else 0)
        for span, base in zip(spans, bases, strict=True)
    ]


def granite_window(c: GraniteWindowConfig, name: str) -> Model:
    """Granite with windows and sinks."""
    return _scaled(c, name, granite_mixers(c))


def vaultgemma(c: GemmaConfig, name: str) -> Model:
    """VaultGemma: Gemma 2 without norms after attention and MLP."""
    refuse(bool(c.use_bidirectional_attention), "key 'use_bidirectional_attention': true")
    block = mlp(c.hidden_activation or "gelu_pytorch_tanh", "hidden_activation")
    capped = c.attn_logit_softcapping is not None
    layers = [
        layer(attention(bias=c.attention_bias, softcap=capped, window=span), block)
        for span in windows(c, c.sliding_window, lambda i: i % 2 == 0)
    ]
    ends = Ends(scaled=True, softcap=c.final_logit_softcapping is not None)
    return decoder(c, name, layers, ends)


def modernbert(c: ModernBertConfig, name: str) -> Model:
    """ModernBERT run as a decoder: ModernBERT's norms, windows and head, a cache beside them."""
    norm = NormSpec(features=sym.hidden, kind="layer", bias=c.norm_bias)
    every, half = c.global_attn_every_n_layers, (c.local_attention or 0) // 2
    window = c.sliding_window or half
    refuse(window == 0, f"key 'local_attention': {c.local_attention} leaves no window")
    spans = windows(c, window, lambda i: i % every != 0)
    block = mlp(c.hidden_activation, "hidden_activation", fused=True, bias=c.mlp_bias)
    layers = [
        layer(
            attention(kv_heads=sym.heads, bias=c.attention_bias, window=span),
            block,
            norm,
            **{} if i else {"mixer_norm": None},  # the embeddings have just been normalized
        )
        for i, span in enumerate(spans)
    ]
    head = {
        "transform": activation(c.classifier_activation, "classifier_activation"),
        "transform_bias": c.classifier_bias,
    }
    ends = Ends(norm=norm, embedding_norm=norm, head_bias=c.decoder_bias, head=head)
    return decoder(c, name, layers, ends, window=window)


_GRANITE = "attention_multiplier embedding_multiplier logits_scaling residual_multiplier"
_EXAONE = {"num_layers": "num_hidden_layers", "activation_function": "hidden_act"}
_INTERNLM = {"qkv_bias": "attention_bias", "bias": "mlp_bias"}

_MODERN = """
    causal_mask classifier_pooling cls_token_id deterministic_flash_attn
    embedding_dropout global_rope_theta initializer_cutoff_factor local_rope_theta mlp_dropout
    norm_eps position_embedding_type reference_compile repad_logits_with_grad
    sparse_pred_ignore_index sparse_prediction
"""

FAMILIES = {
    "exaone": Family(BiasedConfig, llama, "exaone-3.0-7.8b", _EXAONE),
    "internlm3": Family(BiasedConfig, internlm3, "internlm3-8b", _INTERNLM),
    "iquestcoder": Family(IQuestConfig, iquest, "iquest-coder-40b"),
    "apertus": Family(ApertusConfig, apertus, "apertus-default", kin=("apertus1p5_text",)),
    "arcee": Family(BiasedConfig, arcee, "arcee-default", kin=("jais2", "cosmos3_edge_text")),
    "bitnet": Family(LlamaConfig, bitnet, "bitnet-default"),
    "cwm": Family(WindowedConfig, cwm, "cwm"),
    "ministral": Family(MistralConfig, ministral, "ministral-default"),
    "nanochat": Family(NanoChatConfig, nanochat, "nanochat-default"),
    "hyperclovax": Family(HyperClovaConfig, hyperclova, "hyperclovax-default", ignored=_GRANITE),
    "granite_swa": Family(
        GraniteWindowConfig, granite_window, "granite-swash-2b", ignored=_GRANITE
    ),
    "modernbert-decoder": Family(
        ModernBertConfig, modernbert, "ettin-decoder-150m", ignored=_MODERN
    ),
    "vaultgemma": Family(GemmaConfig, vaultgemma, "vaultgemma-default", ignored="hidden_act"),
}
