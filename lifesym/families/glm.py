"""GLM 4 and GLM 4.5: partly rotated heads, biases on queries, keys and values; experts in 4.5."""

from lifesym.families.base import Config
from lifesym.families.decoder import decoder
from lifesym.families.parts import AROUND, attention, experts, layer, mlp
from lifesym.families.patterns import dense_layers
from lifesym.families.sizes import rounded_head, turned
from lifesym.model import Model


def glm(c: Config) -> Model:
    """GLM-4-9B, and GLM-4-0414 (glm4), which also normalizes what attention and MLP give."""
    mixer = attention(rotary_dim=turned(c, pairs=True), qkv_bias=c.attention_bias)
    after = {} if c.model_type == "glm" else AROUND
    return decoder(c, layer(mixer, mlp(c, fused=True), **after))


def glm4_moe(c: Config) -> Model:
    """GLM 4.5 and 4.6: sigmoid routing, biases on queries, keys and values where it says so."""
    c.head_dim = c.head_dim or rounded_head(c)
    normed = "head" if c.use_qk_norm else "none"
    mixer = attention(qkv_bias=c.attention_bias, qk_norm=normed, rotary_dim=turned(c))
    shared = c.n_shared_experts * c.moe_intermediate_size
    moe = experts(c, sigmoid=True, shared=shared)
    layers = [layer(mixer, mlp(c) if alone else moe) for alone in dense_layers(c)]
    return decoder(c, layers, shared_intermediate=shared)
