"""Cohere's Command models: attention and MLP side by side, LayerNorms without offsets."""

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import Attention, DecoderLayer, NormSpec
from lifesym.families.base import Count, Decoder, Family, layer_kinds
from lifesym.families.hybrid import attention
from lifesym.families.llama import WINDOW, LlamaConfig
from lifesym.families.stacked import mlp, stacked
from lifesym.model import Model

NORM = NormSpec(features=sym.hidden, kind="layer", bias=False)


class CohereConfig(LlamaConfig, kw_only=True):
    """Queries and keys may be normalized, with gains of each head's own."""

    tie_word_embeddings: bool = True
    use_qk_norm: bool | None = False


class Cohere2Config(LlamaConfig, kw_only=True):
    """Windows in all layers but every n-th."""

    tie_word_embeddings: bool = True
    sliding_window: Count | None = WINDOW
    sliding_window_pattern: Count = 4
    layer_types: list[str] | None = None


def _layer(c: LlamaConfig, mixer: Attention) -> DecoderLayer:
    return DecoderLayer(hidden=sym.hidden, mixer=mixer, mlp=mlp(c), mixer_norm=NORM, parallel=True)


def cohere(c: CohereConfig, name: str) -> Model:
    """Command R: full attention in every layer, scaled logits."""
    bias, normed = c.attention_bias, "each" if c.use_qk_norm else "none"

    def layer(_: Expr | None) -> DecoderLayer:
        mixer = attention(
            rotary_dim=sym.head_dim,
            qk_norm=normed,
            qk_norm_kind="layer",
            qkv_bias=bias,
            out_bias=bias,
        )
        return _layer(c, mixer)

    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings, head_scaled=True)
    return stacked(c, name, layer, ends)


def cohere2(c: Cohere2Config, name: str) -> Model:
    """Command R7B and A, Tiny Aya: windows with rotary positions, full attention without."""
    bias = c.attention_bias
    pattern = c.sliding_window_pattern
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % pattern != 0
    )

    def layer(window: Expr | None) -> DecoderLayer:
        turned = 0 if window is None and c.sliding_window is not None else sym.head_dim
        mixer = attention(rotary_dim=turned, qkv_bias=bias, out_bias=bias, window=window)
        return _layer(c, mixer)

    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings, head_scaled=True)
    return stacked(c, name, layer, ends, kinds=kinds, window=c.sliding_window)


_COHERE2 = """
    logit_scale order_of_interleaved_layers position_embedding_type rotary_pct
    use_embedding_sharing use_gated_activation use_parallel_block use_parallel_embedding
"""

FAMILIES = {
    "cohere": Family(CohereConfig, cohere, "command-r", ignored="logit_scale"),
    "cohere2": Family(Cohere2Config, cohere2, "tiny-aya", ignored=_COHERE2),
}
