"""What hybrids of recurrent layers and full attention share; Jamba."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, Mamba, MoE, NormSpec
from lifesym.families.base import (
    Config,
    Count,
    Decoder,
    Family,
    activation,
    assemble,
    grouped,
    numbers,
    per_head,
    refuse,
)
from lifesym.families.mamba import Kernel, step_rank
from lifesym.families.mixed import mixed_sections
from lifesym.model import Model


def pruned(model: Model) -> Model:
    """The model without values of symbols that none of its layers has."""
    used = _symbols(model.sections)
    return replace(model, values={s: v for s, v in model.values.items() if s in used})


def _symbols(node: Any) -> set[Symbol]:
    """Every symbol in nested dataclasses."""
    if isinstance(node, Expr):
        return set(node.free_symbols)
    if is_dataclass(node) and not isinstance(node, type):
        node = tuple(getattr(node, field.name) for field in fields(node))
    return set().union(*map(_symbols, node)) if isinstance(node, tuple) else set()


def attention(**options: Any) -> Attention:
    """Full attention, without rotary or any other positions unless given."""
    return Attention(
        hidden=sym.hidden,
        heads=sym.heads,
        kv_heads=sym.kv_heads,
        head_dim=sym.head_dim,
        **options,
    )


class JambaConfig(Config, kw_only=True):
    """One layer in a period has attention, one in another period experts."""

    vocab_size: Count
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    mamba_d_state: Count
    num_experts: Count = 16
    num_experts_per_tok: Count = 2
    expert_layer_period: Count = 2
    expert_layer_offset: int = 1
    attn_layer_period: Count = 8
    attn_layer_offset: int = 4
    mamba_d_conv: Kernel = 4
    mamba_expand: Count = 2
    mamba_dt_rank: Count | Literal["auto"] = "auto"
    mamba_conv_bias: bool = True
    mamba_proj_bias: bool = False
    mamba_inner_layernorms: bool = True
    hidden_act: str = "silu"
    tie_word_embeddings: bool = False
    sliding_window: Count | None = None


def jamba(c: JambaConfig, name: str) -> Model:
    """Jamba: Mamba layers that normalize time steps, B and C, among attention without positions."""
    for part in ("expert", "attn"):
        offset, period = getattr(c, f"{part}_layer_offset"), getattr(c, f"{part}_layer_period")
        refuse(
            not 0 <= offset < period,
            f"key '{part}_layer_offset': {offset} is not below {part}_layer_period = {period}",
        )
    refuse(not c.mamba_inner_layernorms, "key 'mamba_inner_layernorms': false is not modelled")
    refuse(c.sliding_window is not None, "key 'sliding_window': only null is modelled")
    active, experts = c.num_experts_per_tok, c.num_experts
    refuse(active > experts, f"key 'num_experts_per_tok': {active} of only {experts} experts")
    depth = range(c.num_hidden_layers)
    full = [i % c.attn_layer_period == c.attn_layer_offset for i in depth]
    dense = [experts == 1 or i % c.expert_layer_period != c.expert_layer_offset for i in depth]
    norm = NormSpec(features=sym.hidden)
    function = activation(c.hidden_act)
    wide: dict[str, Any] = {
        "hidden": sym.hidden,
        "intermediate": sym.intermediate,
        "activation": function,
    }
    mixers = {
        True: attention(),
        False: Mamba(
            hidden=sym.hidden,
            inner=sym.inner_size,
            state=sym.state_size,
            kernel=sym.conv_kernel,
            rank=sym.step_rank,
            activation=function,
            conv_bias=c.mamba_conv_bias,
            bias=c.mamba_proj_bias,
            norms="affine",
        ),
    }
    blocks = {True: MLP(**wide), False: MoE(**wide, experts=sym.experts, active=sym.active_experts)}

    def layer(attends: bool, plain: bool) -> DecoderLayer:
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=mixers[attends],
            mlp=blocks[plain],
            mixer_norm=norm,
            mlp_norm=norm,
        )

    sections, counts = mixed_sections(full, dense, layer)
    sizes = numbers(
        hidden=c.hidden_size,
        intermediate=c.intermediate_size,
        vocab=c.vocab_size,
        heads=c.num_attention_heads,
        kv_heads=grouped(c.num_attention_heads, c.num_key_value_heads),
        head_dim=per_head(c.hidden_size, c.num_attention_heads),
        experts=experts,
        active_experts=active,
        inner_size=c.mamba_expand * c.hidden_size,
        state_size=c.mamba_d_state,
        conv_kernel=c.mamba_d_conv,
        step_rank=step_rank(c.mamba_dt_rank, c.hidden_size),
    )
    ends = Decoder(norm=norm, tied=c.tie_word_embeddings)
    return pruned(assemble(name, c.model_type, ends.around(sections), counts, sizes))


_IGNORED = """
    calc_logits_for_entire_prompt num_logits_to_keep use_associative_scan use_mamba_kernels
    use_mambapy
"""

FAMILIES = {
    "jamba": Family(
        JambaConfig, jamba, "jamba-v0.1", {"num_local_experts": "num_experts"}, ignored=_IGNORED
    )
}
