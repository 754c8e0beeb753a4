"""Granite: Llama, Mixtral or Mamba-2 hybrids whose embeddings, branches and logits are scaled."""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, Block, DecoderLayer, MoE, NormSpec
from lifesym.families.bamba import HeadScanConfig, head_scan, scan_sizes
from lifesym.families.base import (
    Count,
    Decoder,
    Family,
    Whole,
    activation,
    assemble,
    grouped,
    numbers,
    per_head,
    refuse,
)
from lifesym.families.hybrid import attention, pruned
from lifesym.families.llama import BiasedConfig, LlamaConfig
from lifesym.families.mixed import mixed_sections
from lifesym.families.moe import moe_sizes, pre_norm_layer, rounded_head
from lifesym.model import Model, Section


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


NORM = NormSpec(features=sym.hidden)


def _scaled(mixer: Block, mlp: Block) -> DecoderLayer:
    return replace(pre_norm_layer(mixer, mlp), scaled=True)


def _attention(c: LlamaConfig | HeadScanConfig, *, rotary: bool = True) -> Attention:
    bias = c.attention_bias
    return attention(rotary_dim=sym.head_dim if rotary else 0, qkv_bias=bias, out_bias=bias)


def _experts(function: str, *, shared: bool) -> MoE:
    return MoE(
        hidden=sym.hidden,
        experts=sym.experts,
        active=sym.active_experts,
        intermediate=sym.expert_intermediate,
        activation=function,
        shared=sym.shared_intermediate if shared else None,
    )


def granite(c: BiasedConfig, name: str) -> Model:
    """Granite 3: Llama with constants."""
    mlp = MLP(
        hidden=sym.hidden,
        intermediate=sym.intermediate,
        activation=activation(c.hidden_act),
        bias=c.mlp_bias,
    )
    heads = c.num_attention_heads
    sections = (Section(label="layers", count=sym.layers, block=_scaled(_attention(c), mlp)),)
    sizes = numbers(
        layers=c.num_hidden_layers,
        hidden=c.hidden_size,
        intermediate=c.intermediate_size,
        heads=heads,
        kv_heads=grouped(heads, c.num_key_value_heads or heads),
        head_dim=c.head_dim or per_head(c.hidden_size, heads),
        vocab=c.vocab_size,
    )
    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings, scaled=True, head_scaled=True)
    return assemble(name, c.model_type, ends.around(sections), sizes)


def granitemoe(c: GraniteMoeConfig, name: str) -> Model:
    """Granite MoE: experts in every layer, with or without (granitemoe) a shared one."""
    shared = 0 if c.model_type == "granitemoe" else c.shared_intermediate_size
    if c.model_type != "granitemoe":
        c.head_dim = c.head_dim or rounded_head(c)
    moe = _experts(activation(c.hidden_act), shared=shared > 0)
    sections = (Section(label="layers", count=sym.layers, block=_scaled(_attention(c), moe)),)
    sizes = moe_sizes(
        c,
        experts=c.num_local_experts,
        active=c.num_experts_per_tok,
        width=c.intermediate_size,
        layers=c.num_hidden_layers,
        shared_intermediate=shared or None,
    )
    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings, scaled=True, head_scaled=True)
    return assemble(name, c.model_type, ends.around(sections), sizes)


KINDS = {
    "mamba": False,
    "linear_attention": False,
    "attention": True,
    "full_attention": True,
}
"""Whether a layer of that type has attention; transformers 4 and 5 name them differently."""


def granite_hybrid(c: GraniteHybridConfig, name: str) -> Model:
    """Granite 4: Mamba-2 or attention layers, each with experts and a shared one, or that alone."""
    types = c.layer_types or ["mamba"] * c.num_hidden_layers
    depth, experts, active = c.num_hidden_layers, c.num_local_experts, c.num_experts_per_tok
    refuse(len(types) != depth, f"key 'layer_types': {len(types)} entries for {depth} layers")
    for kind in types:
        refuse(kind not in KINDS, f"key 'layer_types': {kind!r} is not modelled")
    where = c.position_embedding_type
    refuse(where not in (None, "rope", "nope"), f"key 'position_embedding_type': {where!r}")
    refuse(
        experts > 0 and not 0 < active <= experts,
        f"key 'num_experts_per_tok': {active} of {experts} experts",
    )
    function = activation(c.hidden_act)
    mlp: Block = MLP(
        hidden=sym.hidden, intermediate=sym.shared_intermediate, activation=function, fused=True
    )
    if experts:
        mlp = _experts(function, shared=True)
    scan, attend = head_scan(c), _attention(c, rotary=where == "rope")

    def layer(full: bool, _dense: bool) -> DecoderLayer:
        return _scaled(attend if full else scan, mlp)

    sections, counts = mixed_sections([KINDS[kind] for kind in types], [True] * depth, layer)
    sizes = scan_sizes(
        c,
        experts=experts or None,
        active_experts=active or None,
        expert_intermediate=c.intermediate_size,
        shared_intermediate=c.shared_intermediate_size,
    )
    ends = Decoder(norm=NORM, tied=c.tie_word_embeddings, scaled=True, head_scaled=True)
    return pruned(assemble(name, c.model_type, ends.around(sections), counts, sizes))


_IGNORED = "attention_multiplier embedding_multiplier logits_scaling residual_multiplier"

FAMILIES = {
    "granite": Family(BiasedConfig, granite, "granite-3.1-8b", ignored=_IGNORED),
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
