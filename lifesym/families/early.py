"""Decoders of 2019 to 2022 that are little served: CTRL, XGLM, BioGPT and a Japanese GPT-NeoX."""

from typing import Any

from msgspec import field

from lifesym import symbols as sym
from lifesym.families.base import Config, Count, Family, StackConfig
from lifesym.families.decoder import LAYER_NORM, Ends, attention, decoder, layer, mlp, turned
from lifesym.model import Model


class BioGptConfig(StackConfig, kw_only=True):
    """Learned positions, with two spare rows."""

    intermediate_size: Count
    max_position_embeddings: Count
    hidden_act: str = "gelu"
    scale_embedding: bool = True
    tie_word_embeddings: bool = True


class XglmConfig(Config, kw_only=True):
    """Positions are fixed."""

    vocab_size: Count
    hidden_size: Count = field(name="d_model")
    num_hidden_layers: Count = field(name="num_layers")
    num_attention_heads: Count = field(name="attention_heads")
    intermediate_size: Count = field(name="ffn_dim")
    activation_function: str = "gelu"
    scale_embedding: bool = True
    tie_word_embeddings: bool = True


class CtrlConfig(Config, kw_only=True):
    """Positions are fixed; the MLP has ReLU always."""

    vocab_size: Count
    hidden_size: Count = field(name="n_embd")
    num_hidden_layers: Count = field(name="n_layer")
    num_attention_heads: Count = field(name="n_head")
    intermediate_size: Count = field(name="dff")
    max_position_embeddings: Count = field(name="n_positions")
    tie_word_embeddings: bool = True


class JapaneseConfig(StackConfig, kw_only=True):
    """The MLP is a multiple of the hidden size."""

    intermediate_multiple_size: Count = 4
    hidden_act: str = "gelu"
    partial_rotary_factor: float = 1.0
    tie_word_embeddings: bool = True


def _decoder(c: Any, name: str, function: str, ends: Ends, **sizes: int | None) -> Model:
    """LayerNorms before both parts, biases everywhere."""
    mixer = attention(kv_heads=sym.heads, bias=True, rotary_dim=0)
    block = mlp(function, gated=False, bias=True)
    return decoder(c, name, [layer(mixer, block, LAYER_NORM)] * c.num_hidden_layers, ends, **sizes)


def biogpt(c: BioGptConfig, name: str) -> Model:
    """BioGPT: learned positions, scaled embeddings."""
    ends = Ends(norm=LAYER_NORM, positions=sym.positions, scaled=c.scale_embedding)
    rows = c.max_position_embeddings
    return _decoder(c, name, c.hidden_act, ends, positions=rows + 2).limited(rows)


def xglm(c: XglmConfig, name: str) -> Model:
    """XGLM: scaled embeddings; the sum with fixed positions is not counted."""
    ends = Ends(norm=LAYER_NORM, scaled=c.scale_embedding)
    return _decoder(c, name, c.activation_function, ends)


def ctrl(c: CtrlConfig, name: str) -> Model:
    """CTRL: scaled embeddings, biased logits; the sum with fixed positions is not counted."""
    ends = Ends(norm=LAYER_NORM, scaled=True, head_bias=True)
    return _decoder(c, name, "relu", ends).limited(c.max_position_embeddings)


def japanese(c: JapaneseConfig, name: str) -> Model:
    """GPT-NeoX of Abeja: no bias but one, on the attention's output in the last layer."""
    usual = {"kv_heads": sym.heads, "fused": True, "rotary_dim": turned(c, pairs=True)}
    block = mlp(c.hidden_act, gated=False)
    layers = [
        layer(attention(**usual, out_bias=i == c.num_hidden_layers - 1), block, LAYER_NORM)
        for i in range(c.num_hidden_layers)
    ]
    width = c.intermediate_multiple_size * c.hidden_size
    return decoder(c, name, layers, Ends(norm=LAYER_NORM), intermediate=width)


_IGNORED = "decoder_start_token_id add_cross_attention"

FAMILIES = {
    "biogpt": Family(BioGptConfig, biogpt, "biogpt"),
    "xglm": Family(XglmConfig, xglm, "xglm-564m", ignored=_IGNORED),
    "ctrl": Family(CtrlConfig, ctrl, "ctrl"),
    "gpt_neox_japanese": Family(
        JapaneseConfig,
        japanese,
        "gpt-neox-japanese-2.7b",
        {"rotary_pct": "partial_rotary_factor"},
    ),
}
