"""Sizes: where configs have them, and those that follow from others."""

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.families.base import Config, expect, grouped, per_head, refuse, rotated

_KEYS = {
    "layers": "num_hidden_layers decoder_layers",
    "hidden": "hidden_size d_model",
    "intermediate": "intermediate_size decoder_ffn_dim",
    "heads": "num_attention_heads decoder_attention_heads",
    "encoder_heads": "encoder_attention_heads",
    "encoder_intermediate": "encoder_ffn_dim",
    "mel_bins": "num_mel_bins",
    "vocab": "vocab_size",
    "window": "sliding_window",
    "experts": "num_experts num_local_experts n_routed_experts moe_num_experts",
    "active_experts": "num_experts_per_tok moe_k moe_topk top_k_experts",
    "expert_intermediate": "moe_intermediate_size intermediate_size",
    "shared_intermediate": "shared_intermediate_size shared_expert_intermediate_size"
    " moe_shared_expert_intermediate_size",
    "shared_experts": "n_shared_experts num_shared_experts moe_num_shared_experts",
    "q_rank": "q_lora_rank",
    "kv_rank": "kv_lora_rank",
    "nope_dim": "qk_nope_head_dim",
    "rope_dim": "qk_rope_head_dim",
    "value_dim": "v_head_dim",
    "index_heads": "index_n_heads",
    "index_dim": "index_head_dim",
    "index_top": "index_topk",
    "streams": "hc_mult altup_num_inputs",
    "out_groups": "o_groups",
    "out_rank": "o_lora_rank",
    "layer_embedding": "hidden_size_per_layer_input",
    "layer_vocab": "vocab_size_per_layer_input",
    "linear_key_heads": "linear_num_key_heads",
    "linear_value_heads": "linear_num_value_heads",
    "linear_key_dim": "linear_key_head_dim",
    "linear_value_dim": "linear_value_head_dim",
    "conv_kernel": "conv_kernel linear_conv_kernel_dim mamba_d_conv conv1d_width",
    "state_size": "state_size mamba_d_state ssm_state_size",
    "scan_heads": "mamba_n_heads n_mamba_heads mamba_num_heads num_heads",
    "scan_dim": "mamba_head_dim mamba_d_head head_dim",
    "scan_groups": "mamba_n_groups mamba_ngroups n_groups",
    "scan_chunk": "mamba_chunk_size chunk_size block_size",
}
"""Where configs have a size, by the name of its symbol."""


def size_of(c: Config, size: str) -> int:
    """The number of a size under the usual keys of a config."""
    match size:
        case "kv_heads":
            heads: int = c.num_attention_heads
            return grouped(heads, c.num_key_value_heads or heads)
        case "head_dim":
            return head_size(c)
        case "shared_intermediate":
            return shared_size(c)
        case "rotary_dim" if getattr(c, "rotary_dim", None) is None:
            return rotated(head_size(c), c.partial_rotary_factor)
    number = _given(c, size)
    refuse(number is None, f"missing key '{_KEYS.get(size, size).split()[0]}'")
    return int(number or 0)


def _given(c: Config, size: str) -> int | None:
    """The number under the first of the keys for a size that a config has."""
    given = (getattr(c, key, None) for key in _KEYS.get(size, size).split())
    return next((number for number in given if number is not None), None)


def head_size(c: Config) -> int:
    """The size of a head: given, or hidden / heads."""
    given: int | None = getattr(c, "head_dim", None)
    return given or per_head(c.hidden_size, c.num_attention_heads)


def rounded_head(c: Config) -> int:
    """Hidden / heads, rounded down as some classes do that take no remainder for a fault."""
    size: int = c.hidden_size // c.num_attention_heads
    refuse(size == 0, f"key 'hidden_size': {c.hidden_size} is less than num_attention_heads")
    return size


def turned(c: Config, *, pairs: bool = False) -> Symbol:
    """The rotated elements of a head by ``partial_rotary_factor``: all of them, or some.

    Raises:
        SpecError: a factor not in (0, 1]; with ``pairs``: an odd number, with which some of the
            classes make a head longer.
    """
    size, factor = head_size(c), c.partial_rotary_factor
    elements = int(size * factor)
    refuse(
        pairs and elements % 2 != 0,
        f"key 'partial_rotary_factor': {factor} rotates {elements}, no pairs",
    )
    return sym.head_dim if rotated(size, factor) == size else sym.rotary_dim


def own_keys(c: Config) -> None:
    """Refuse fewer heads of keys than of queries, which latent attention does not have."""
    expect(
        c, "num_key_value_heads", c.num_attention_heads, "latent attention has one for each head"
    )


def shared_size(c: Config) -> int:
    """The size of the shared experts together: given, or so many of the others."""
    given = _given(c, "shared_intermediate")
    if given is None:
        return (_given(c, "shared_experts") or 0) * int(c.moe_intermediate_size)
    return given
