"""GLM 4: partly rotated heads, biases on queries, keys and values, a fused MLP."""

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import DecoderLayer
from lifesym.families.base import Count, Decoder, Family
from lifesym.families.llama import LlamaConfig
from lifesym.families.stacked import RMS, mlp, stacked, turned, turned_size
from lifesym.model import Model


class GlmConfig(LlamaConfig, kw_only=True):
    """Half of each head is rotated unless told otherwise; null is no size of a head."""

    num_key_value_heads: Count | None = 2
    head_dim: Count = 128
    attention_bias: bool = True
    partial_rotary_factor: float = 0.5


def glm(c: GlmConfig, name: str) -> Model:
    """GLM-4-9B, and GLM-4-0414 (glm4), which also normalizes what attention and MLP give."""
    after = RMS if c.model_type == "glm4" else None

    def layer(_: Expr | None) -> DecoderLayer:
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=turned(c, c.partial_rotary_factor, qkv_bias=c.attention_bias),
            mlp=mlp(c, fused=True),
            mixer_norm=RMS,
            mlp_norm=RMS,
            mixer_post_norm=after,
            mlp_post_norm=after,
        )

    ends = Decoder(norm=RMS, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, rotary_dim=turned_size(c, c.partial_rotary_factor))


FAMILIES = {
    "glm": Family(GlmConfig, glm, "glm-4-9b", kin=("glm4",)),
}
