"""Decoders whose code is in the files of their checkpoints, read by that code's arithmetic."""

from typing import Any

from lifesym import symbols as sym
from lifesym.families.base import Config, Count, Family, per_head, refuse
from lifesym.families.decoder import LAYER_NORM, RMS, Ends, attention, decoder, layer, mlp
from lifesym.families.llama import LlamaConfig
from lifesym.model import Model


class BaichuanConfig(LlamaConfig, kw_only=True):
    """Files of the 7B have ``max_position_embeddings``, those of the 13B ``model_max_length``."""

    max_position_embeddings: Count | None = None


class ChatGlmConfig(Config, kw_only=True):
    """ChatGLM 2 and 3, and GLM-4-9B as its first files have it."""

    hidden_size: Count
    ffn_hidden_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    kv_channels: Count
    multi_query_attention: bool
    multi_query_group_num: Count = 1
    add_qkv_bias: bool = False
    add_bias_linear: bool = False
    rmsnorm: bool = True
    post_layer_norm: bool = True
    pre_seq_len: Count | None = None
    tie_word_embeddings: bool = False


class Qwen1Config(Config, kw_only=True):
    """``intermediate_size`` is that of the two projections into the MLP together."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    vocab_size: Count
    kv_channels: Count
    no_bias: bool = True
    rotary_pct: float = 1.0
    tie_word_embeddings: bool = False


class MiniCpmConfig(LlamaConfig, kw_only=True):
    """Tied unless told otherwise; some files are of experts."""

    tie_word_embeddings: bool = True
    num_experts: int = 0
    sparse_config: dict[str, Any] | None = None
    use_output_gate: bool = False
    use_output_norm: bool = False


class MolmoConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of the two projections into the MLP together."""

    embedding_size: Count | None = None
    qkv_bias: bool = False
    attention_layer_norm: bool = False
    norm_after: bool = False
    layer_norm_type: str = "rms"
    clip_qkv: float | None = None
    weight_tying: bool = False


PLACEHOLDERS = 128
"""Rows of Molmo's table for tokens of images, which have no logits."""


def molmo(c: MolmoConfig, name: str) -> Model:
    """Molmo: fused projections, norms before or after the parts, perhaps of queries and keys."""
    refuse(c.layer_norm_type != "rms", "key 'layer_norm_type': only 'rms' is modelled")
    refuse(c.clip_qkv is not None, "key 'clip_qkv': only null is modelled")
    refuse(c.intermediate_size % 2 != 0, "key 'intermediate_size': two projections share it")
    refuse(c.weight_tying or c.tie_word_embeddings, "key 'weight_tying': true is not modelled")
    normed = "all" if c.attention_layer_norm else "none"
    mixer = attention(fused=True, qkv_bias=c.qkv_bias, qk_norm=normed)
    after = {"mixer_post_norm": RMS, "mlp_post_norm": RMS} if c.norm_after else {}
    each = layer(mixer, mlp("silu", fused=True), None if c.norm_after else RMS, **after)
    return decoder(
        c,
        name,
        [each] * c.num_hidden_layers,
        Ends(rows=sym.vocab + PLACEHOLDERS),
        intermediate=c.intermediate_size // 2,
        vocab=c.embedding_size or c.vocab_size,
    )


def baichuan(c: BaichuanConfig, name: str) -> Model:
    """Baichuan 1 and 2: Llama with a fused QKV projection; the 13B has ALiBi.

    The norm of the LM head's rows is taken once, when it is loaded.
    """
    rotary = c.max_position_embeddings is not None
    mixer = attention(
        kv_heads=sym.heads, fused=True, alibi=not rotary, rotary_dim=sym.head_dim if rotary else 0
    )
    return decoder(c, name, [layer(mixer, mlp(c.hidden_act))] * c.num_hidden_layers)


def chatglm(c: ChatGlmConfig, name: str) -> Model:
    """ChatGLM 2 and 3: few key-value heads, half of each head rotated, fused projections."""
    refuse(c.pre_seq_len is not None, "key 'pre_seq_len': a prefix is not modelled")
    refuse(c.kv_channels % 4 != 0, f"key 'kv_channels': half of {c.kv_channels} is no pairs")
    norm, bias = RMS if c.rmsnorm else LAYER_NORM, c.add_bias_linear
    groups = c.multi_query_group_num if c.multi_query_attention else c.num_attention_heads
    refuse(
        c.num_attention_heads % groups != 0,
        f"key 'multi_query_group_num': {groups} does not divide num_attention_heads",
    )
    mixer = attention(
        fused=True, qkv_bias=bias or c.add_qkv_bias, out_bias=bias, rotary_dim=sym.rotary_dim
    )
    return decoder(
        c,
        name,
        [layer(mixer, mlp("silu", fused=True, bias=bias), norm)] * c.num_hidden_layers,
        Ends(norm=norm if c.post_layer_norm else None),
        intermediate=c.ffn_hidden_size,
        kv_heads=groups,
        head_dim=c.kv_channels,
        rotary_dim=c.kv_channels // 2,
    )


def qwen1(c: Qwen1Config, name: str) -> Model:
    """Qwen 1: biases on queries, keys and values, a fused QKV projection."""
    refuse(c.rotary_pct != 1, "key 'rotary_pct': only 1 is modelled")
    refuse(c.intermediate_size % 2 != 0, "key 'intermediate_size': two projections share it")
    size = per_head(c.hidden_size, c.num_attention_heads)
    refuse(c.kv_channels != size, f"key 'kv_channels': only hidden / heads = {size} is modelled")
    bias = not c.no_bias
    mixer = attention(kv_heads=sym.heads, fused=True, qkv_bias=True, out_bias=bias)
    each = layer(mixer, mlp("silu", bias=bias))
    layers, width = [each] * c.num_hidden_layers, c.intermediate_size // 2
    return decoder(c, name, layers, intermediate=width, head_dim=size)


def internlm2(c: LlamaConfig, name: str) -> Model:
    """InternLM 2 and 2.5: Llama with a fused QKV projection."""
    each = layer(attention(bias=c.attention_bias, fused=True), mlp(c.hidden_act))
    return decoder(c, name, [each] * c.num_hidden_layers)


def pangu(c: LlamaConfig, name: str) -> Model:
    """Pangu Embedded: Llama with biases on all four projections of its attention."""
    each = layer(attention(bias=c.attention_bias), mlp(c.hidden_act))
    return decoder(c, name, [each] * c.num_hidden_layers)


def minicpm(c: MiniCpmConfig, name: str) -> Model:
    """MiniCPM 1, 2 and 4: Llama with constants; that of the last state is counted on the logits."""
    refuse(c.num_experts > 0, "key 'num_experts': experts are not modelled for MiniCPM")
    refuse(
        c.sparse_config is not None, "key 'sparse_config': sparse attention is not modelled here"
    )
    for key in ("use_output_gate", "use_output_norm"):
        refuse(getattr(c, key), f"key {key!r}: true is not modelled for MiniCPM")
    each = layer(attention(bias=c.attention_bias), mlp(c.hidden_act), scaled=True)
    ends = Ends(scaled=True, head_scaled=True)
    return decoder(c, name, [each] * c.num_hidden_layers, ends)


_CHATGLM = """
    apply_query_key_layer_scaling classifier_dropout fp32_residual_connection
    interleaved_qkv layernorm_epsilon original_rope prefix_projection quantization_bit
    vocab_padding
"""
_QWEN = """
    bf16 emb_dropout_prob fp16 fp32 onnx_safe softmax_in_fp32 use_cache_kernel
    use_cache_quantization use_dynamic_ntk use_logn_attn
"""

FAMILIES = {
    "baichuan": Family(
        BaichuanConfig, baichuan, "baichuan2-7b", ignored="z_loss_weight gradient_checkpointing"
    ),
    "chatglm": Family(
        ChatGlmConfig,
        chatglm,
        "chatglm3-6b",
        {"num_layers": "num_hidden_layers", "padded_vocab_size": "vocab_size"},
        ignored=_CHATGLM,
    ),
    "qwen": Family(Qwen1Config, qwen1, "qwen-7b", ignored=_QWEN),
    "internlm2": Family(LlamaConfig, internlm2, "internlm2-7b", {"bias": "attention_bias"}),
    "molmo": Family(MolmoConfig, molmo, "molmo-7b-d", ignored="use_position_ids"),
    "PanguEmbedded": Family(
        LlamaConfig, pangu, "openpangu-embedded-7b", {"bias": "attention_bias"}
    ),
    "minicpm": Family(
        MiniCpmConfig,
        minicpm,
        "minicpm4-0.5b",
        ignored="dim_model_base scale_depth scale_emb",
    ),
}
