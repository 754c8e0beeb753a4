"""Cohere's Command models: attention and MLP side by side, LayerNorms without offsets."""

from lifesym import symbols as sym
from lifesym.blocks import Attention, DecoderLayer, NormSpec
from lifesym.families.base import Count, Family
from lifesym.families.decoder import Ends, attention, decoder, layer, mlp, windows
from lifesym.families.llama import WINDOW, LlamaConfig
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
    return layer(mixer, mlp(c.hidden_act), norm=NORM, mlp_norm=None, parallel=True)


def cohere(c: CohereConfig, name: str) -> Model:
    """Command R: full attention in every layer, scaled logits."""
    normed = "each" if c.use_qk_norm else "none"
    mixer = attention(qk_norm=normed, qk_norm_kind="layer", bias=c.attention_bias)
    layers = [_layer(c, mixer)] * c.num_hidden_layers
    return decoder(c, name, layers, Ends(norm=NORM, head_scaled=True))


def cohere2(c: Cohere2Config, name: str) -> Model:
    """Command R7B and A, Tiny Aya: windows with rotary positions, full attention without.

    Compass, a model of embeddings, rotates in every layer.
    """
    spans = windows(c, c.sliding_window, lambda i: (i + 1) % c.sliding_window_pattern != 0)
    turning = c.sliding_window is None or c.model_type == "cohere_compass_text"
    whole = sym.head_dim if turning else 0
    layers = [
        _layer(
            c,
            attention(
                rotary_dim=sym.head_dim if span else whole, bias=c.attention_bias, window=span
            ),
        )
        for span in spans
    ]
    return decoder(c, name, layers, Ends(norm=NORM, head_scaled=True))


_COHERE2 = """
    logit_scale order_of_interleaved_layers position_embedding_type rotary_pct
    use_embedding_sharing use_gated_activation use_parallel_block use_parallel_embedding
"""

FAMILIES = {
    "cohere": Family(CohereConfig, cohere, "command-r", ignored="logit_scale"),
    "cohere2": Family(
        Cohere2Config, cohere2, "tiny-aya", ignored=_COHERE2, kin=("cohere_compass_text",)
    ),
}
