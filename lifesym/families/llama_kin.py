"""Llama with a difference: gemma, smollm3, ernie4_5, hunyuan_v1_dense, seed_oss and helium."""

from lifesym import symbols as sym
from lifesym.families.base import Count, Family, each_layer, layer_kinds, refuse
from lifesym.families.decoder import Ends, attention, decoder, layer, mlp
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.model import Model


class GemmaConfig(LlamaConfig, kw_only=True):
    """``gelu`` is what early files call its approximation by tanh."""

    head_dim: Count = 256
    hidden_act: str = "gelu_pytorch_tanh"
    tie_word_embeddings: bool = True
    use_bidirectional_attention: bool | None = None


class SmolLm3Config(BiasedConfig, kw_only=True):
    """Every fourth layer rotates nothing."""

    num_key_value_heads: Count | None = 4
    tie_word_embeddings: bool = True
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Count = 4
    layer_types: list[str] | None = None
    use_sliding_window: bool = False
    sliding_window: Count | None = None


class ErnieConfig(LlamaConfig, kw_only=True):
    """One key for all biases."""

    num_key_value_heads: Count | None = 2
    head_dim: Count | None = 128
    tie_word_embeddings: bool = True
    use_bias: bool = False


class SeedConfig(BiasedConfig, kw_only=True):
    """Biases by part."""

    num_key_value_heads: Count | None = 8
    head_dim: Count | None = 128
    attention_bias: bool = True
    attention_out_bias: bool = False


class HunyuanConfig(LlamaConfig, kw_only=True):
    """Normalized queries and keys; files say whether layers share caches, which the class lacks."""

    use_cla: bool = False
    use_qk_norm: bool = True


class HeliumConfig(BiasedConfig, kw_only=True):
    """Heads of 128 unless given."""

    num_key_value_heads: Count | None = 20
    head_dim: Count = 128


def gemma(c: GemmaConfig, name: str) -> Model:
    """Gemma 1: wide heads, a gated GELU, scaled and tied embeddings."""
    refuse(bool(c.use_bidirectional_attention), "key 'use_bidirectional_attention': true")
    function = "gelu_pytorch_tanh" if c.hidden_act == "gelu" else c.hidden_act
    each = layer(attention(bias=c.attention_bias), mlp(function))
    return decoder(c, name, [each] * c.num_hidden_layers, Ends(scaled=True))


def smollm3(c: SmolLm3Config, name: str) -> Model:
    """SmolLM 3: Llama whose every fourth layer has no positions."""
    depth = c.num_hidden_layers
    rotary = c.no_rope_layers or [(i + 1) % c.no_rope_layer_interval for i in range(depth)]
    each_layer(rotary, depth, "no_rope_layers")
    windows = layer_kinds(c.layer_types, depth, c.sliding_window, lambda _: c.use_sliding_window)
    refuse(any(windows), "key 'sliding_window': only full attention is modelled for 'smollm3'")
    turns = [sym.head_dim if turn else 0 for turn in rotary]
    block = mlp(c.hidden_act, bias=c.mlp_bias)
    layers = [layer(attention(rotary_dim=turn, bias=c.attention_bias), block) for turn in turns]
    return decoder(c, name, layers)


def ernie(c: ErnieConfig, name: str) -> Model:
    """ERNIE 4.5, dense: Llama with biases everywhere or nowhere."""
    each = layer(attention(bias=c.use_bias), mlp(c.hidden_act, bias=c.use_bias))
    return decoder(c, name, [each] * c.num_hidden_layers)


def hunyuan(c: HunyuanConfig, name: str) -> Model:
    """Hunyuan, dense: queries and keys are normalized over each head."""
    refuse(c.use_cla, "key 'use_cla': layers that share caches are not modelled for Hunyuan")
    refuse(not c.use_qk_norm, "key 'use_qk_norm': false is not modelled for Hunyuan")
    refuse(c.head_dim is None, "missing key 'head_dim'")
    each = layer(attention(bias=c.attention_bias, qk_norm="head"), mlp(c.hidden_act))
    return decoder(c, name, [each] * c.num_hidden_layers)


def seed(c: SeedConfig, name: str) -> Model:
    """Seed-OSS: biases on queries, keys and values."""
    mixer = attention(qkv_bias=c.attention_bias, out_bias=c.attention_out_bias)
    each = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias))
    return decoder(c, name, [each] * c.num_hidden_layers)


def helium(c: HeliumConfig, name: str) -> Model:
    """Helium: Llama without a bias on the attention's output."""
    width = c.num_attention_heads * c.head_dim
    refuse(width != c.hidden_size, f"key 'head_dim': {width} is not hidden_size = {c.hidden_size}")
    each = layer(attention(qkv_bias=c.attention_bias), mlp(c.hidden_act, bias=c.mlp_bias))
    return decoder(c, name, [each] * c.num_hidden_layers)


_HUNYUAN = """
    add_classification_head attention_head_dim cla_share_factor class_num dense_list eod_token_id
    im_end_id im_newline_id im_start_id mask_init_id mlp_bias norm_type org_vocab_size pad_id
    pool_type text_end_id text_start_id use_rotary_pos_emb
"""

FAMILIES = {
    "gemma": Family(GemmaConfig, gemma, "gemma-2b", ignored="hidden_activation"),
    "smollm3": Family(SmolLm3Config, smollm3, "smollm3-3b", ignored="max_window_layers"),
    "ernie4_5": Family(
        ErnieConfig, ernie, "ernie-4.5-0.3b", nulls="use_bias", kin=("paddleocr_vl_text",)
    ),
    "hunyuan_v1_dense": Family(
        HunyuanConfig, hunyuan, "hunyuan-4b", ignored=_HUNYUAN, kin=("hunyuan_vl_text",)
    ),
    "seed_oss": Family(SeedConfig, seed, "seed-oss-36b", ignored="residual_dropout"),
    "helium": Family(HeliumConfig, helium, "helium-1-preview-2b"),
}
