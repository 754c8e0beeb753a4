"""Granite: Llama, Mixtral or Mamba-2 hybrids whose embeddings, branches and logits are scaled."""

from collections.abc import Sequence

from lifesym import symbols as sym
from lifesym.blocks import Block, DecoderLayer
from lifesym.families.bamba import HeadScanConfig, head_scan
from lifesym.families.base import Config, Count, Family, Whole, listed, refuse
from lifesym.families.decoder import Ends, attention, decoder, experts, layer, mlp, rounded_head
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.model import Model


class GraniteMoeConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert; granitemoeshared may have a shared one."""

    num_local_experts: Count = 8
    num_experts_per_tok: Count = 2
    shared_intermediate_size: Whole = 0


class GraniteHybridConfig(HeadScanConfig, kw_only=True):
    """Granite 4: positions only where it says so; without experts the shared one is the MLP."""

    layer_types: list[str] | None = None
    intermediate_size: Count = 11008
    num_local_experts: Whole = 8
    num_experts_per_tok: Whole = 2
    shared_intermediate_size: Count = 1024
    position_embedding_type: str | None = None


def _scaled(c: Config, name: str, layers: Sequence[DecoderLayer], **sizes: int) -> Model:
    return decoder(c, name, layers, Ends(scaled=True, head_scaled=True), **sizes)


def granite(c: BiasedConfig, name: str) -> Model:
    """Granite 3: Llama with constants."""
    block = mlp(c.hidden_act, bias=c.mlp_bias)
    each = layer(attention(bias=c.attention_bias), block, scaled=True)
    return _scaled(c, name, [each] * c.num_hidden_layers)


def granitemoe(c: GraniteMoeConfig, name: str) -> Model:
    """Granite MoE: experts in every layer, with or without (granitemoe) a shared one."""
    shared = c.model_type != "granitemoe" and c.shared_intermediate_size > 0
    if c.model_type != "granitemoe":
        c.head_dim = c.head_dim or rounded_head(c)
    block = experts(c.hidden_act, shared=shared)
    each = layer(attention(bias=c.attention_bias), block, scaled=True)
    layers = [each] * c.num_hidden_layers
    return _scaled(c, name, layers, expert_intermediate=c.intermediate_size)


KINDS = {"mamba": False, "linear_attention": False, "attention": True, "full_attention": True}
"""Whether a layer of that type has attention; transformers 4 and 5 name them differently."""


def granite_hybrid(c: GraniteHybridConfig, name: str) -> Model:
    """Granite 4: Mamba-2 or attention layers, each with experts and a shared one, or that alone."""
    types = c.layer_types or ["mamba"] * c.num_hidden_layers
    depth, every, active = c.num_hidden_layers, c.num_local_experts, c.num_experts_per_tok
    attends = listed(types, depth, KINDS)
    where = c.position_embedding_type
    refuse(where not in (None, "rope", "nope"), f"key 'position_embedding_type': {where!r}")
    refuse(
        every > 0 and not 0 < active <= every,
        f"key 'num_experts_per_tok': {active} of {every} experts",
    )
    block: Block = mlp(c.hidden_act, intermediate=sym.shared_intermediate, fused=True)
    if every:
        block = experts(c.hidden_act, shared=True)
    mixers = {
        False: head_scan(c),
        True: attention(rotary_dim=sym.head_dim if where == "rope" else 0, bias=c.attention_bias),
    }
    layers = [layer(mixers[each], block, scaled=True) for each in attends]
    return _scaled(c, name, layers, expert_intermediate=c.intermediate_size)


_IGNORED = "attention_multiplier embedding_multiplier logits_scaling residual_multiplier"

FAMILIES = {
    "granite": Family(
        BiasedConfig,
        granite,
        "granite-3.1-8b",
        ignored=_IGNORED,
        kin=("granite4_vision_text", "granite_docling_text"),
    ),
    "granitemoe": Family(
        GraniteMoeConfig,
        granitemoe,
        "granite-3.1-3b-a800m",
        ignored=_IGNORED,
        kin=("granitemoeshared",),
    ),
    "granitemoehybrid": Family(
        GraniteHybridConfig,
        granite_hybrid,
        "granite-4.0-h-tiny",
        {"layers_block_type": "layer_types"},
        ignored=_IGNORED
        + " init_method mamba_norm_before_gate normalization_function num_logits_to_keep"
        + " time_step_limit",
    ),
}
