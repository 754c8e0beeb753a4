"""Granite: Llama or Mixtral whose embeddings, branches and logits are multiplied by constants."""

from lifesym.families.base import Config
from lifesym.families.decoder import SCALED, decoder
from lifesym.families.parts import attention, experts, layer, mlp
from lifesym.families.sizes import rounded_head
from lifesym.model import Model


def granite(c: Config) -> Model:
    """Granite 3: Llama with constants."""
    return decoder(c, layer(attention(c), mlp(c), scaled=True), SCALED)


def granitemoe(c: Config) -> Model:
    """Granite MoE: experts in every layer, with or without (granitemoe) a shared one."""
    shared = 0
    if c.model_type != "granitemoe":
        shared = c.shared_intermediate_size
        c.head_dim = c.head_dim or rounded_head(c)
    each = layer(attention(c), experts(c, shared=shared), scaled=True)
    return decoder(c, each, SCALED, expert_intermediate=c.intermediate_size)
