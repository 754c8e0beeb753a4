"""Nemotron-H and Nemotron 3: Mamba-2, attention, MLP and expert blocks, one a layer."""

from msgspec import field

from lifesym import symbols as sym
from lifesym.families.base import Config, Count, Family, activation, refuse
from lifesym.families.decoder import Ends, attention, decoder, experts, layer, mlp
from lifesym.families.mamba import Kernel, check_groups, scan_heads
from lifesym.model import Model


class NemotronHConfig(Config, kw_only=True):
    """The kind of each layer as a letter (M Mamba-2, * attention, - MLP, E experts) or a word."""

    vocab_size: Count
    hidden_size: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    state_size: Count = field(name="ssm_state_size")
    scan_heads: Count = field(name="mamba_num_heads")
    scan_dim: Count = field(name="mamba_head_dim")
    scan_groups: Count = field(name="n_groups")
    scan_chunk: Count = field(name="chunk_size")
    hybrid_override_pattern: str | None = None
    layers_block_type: list[str] | None = None
    num_hidden_layers: Count | None = None
    head_dim: Count = 128
    conv_kernel: Kernel = 4
    intermediate_size: Count | None = None
    n_routed_experts: Count | None = None
    num_experts_per_tok: Count | None = None
    moe_intermediate_size: Count | None = None
    moe_shared_expert_intermediate_size: Count | None = None
    moe_latent_size: Count | None = None
    n_shared_experts: Count = 1
    mamba_hidden_act: str = "silu"
    mlp_hidden_act: str = "relu2"
    mamba_ssm_cache_dtype: str = "float32"
    use_bias: bool = False
    use_conv_bias: bool = True
    attention_bias: bool = False
    mlp_bias: bool = False
    mamba_proj_bias: bool = False
    tie_word_embeddings: bool = False
    sliding_window: Count | None = None


KINDS = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
_OLD_NAMES = {"mamba": "linear_attention", "attention": "full_attention"}
_NEEDED = {
    "linear_attention": (),
    "full_attention": (),
    "mlp": ("intermediate_size",),
    "moe": (
        "n_routed_experts",
        "num_experts_per_tok",
        "moe_intermediate_size",
        "moe_shared_expert_intermediate_size",
    ),
}


def block_kinds(c: NemotronHConfig) -> list[str]:
    """The kind of every layer, by transformers' present names.

    Raises:
        SpecError: no list, an unknown kind, another length than the layers, or missing sizes.
    """
    where, given = "layers_block_type", c.layers_block_type
    if given is None:
        where, given = "hybrid_override_pattern", list(c.hybrid_override_pattern or "")
        refuse(not given, "missing key 'hybrid_override_pattern'")
    kinds = [KINDS.get(kind, _OLD_NAMES.get(kind, kind)) for kind in given]
    depth = c.num_hidden_layers
    refuse(
        depth not in (None, len(kinds)), f"key '{where}': {len(kinds)} entries for {depth} layers"
    )
    for kind in kinds:
        refuse(kind not in _NEEDED, f"key '{where}': {kind!r} is not modelled")
        for key in _NEEDED[kind]:
            refuse(getattr(c, key) is None, f"missing key '{key}'")
    return kinds


def _check(c: NemotronHConfig) -> None:
    for key in ("attention_bias", "mlp_bias", "mamba_proj_bias", "tie_word_embeddings"):
        refuse(getattr(c, key), f"key '{key}': true is not modelled")
    refuse(c.sliding_window is not None, "key 'sliding_window': only null is modelled")
    refuse(c.n_shared_experts != 1, "key 'n_shared_experts': only 1 is modelled")
    check_groups(c.scan_heads, c.scan_groups)
    dtype = c.mamba_ssm_cache_dtype
    refuse(dtype != "float32", f"key 'mamba_ssm_cache_dtype': {dtype!r} is not modelled")


def nemotron_h(c: NemotronHConfig, name: str) -> Model:
    """Nemotron-H and 3: plain experts, which may see a projection; attention without positions."""
    _check(c)
    mamba = scan_heads(
        activation=activation(c.mamba_hidden_act), conv_bias=c.use_conv_bias, bias=c.use_bias
    )
    function = c.mlp_hidden_act
    latent = None if c.moe_latent_size is None else sym.expert_latent
    moe = experts(function, gated=False, sigmoid=True, shared=True, latent=latent)
    layers = {
        "linear_attention": layer(mamba, None),
        "full_attention": layer(attention(rotary_dim=0), None),
        "mlp": layer(None, mlp(function, gated=False)),
        "moe": layer(None, moe),
    }
    kinds = [layers[kind] for kind in block_kinds(c)]
    return decoder(c, name, kinds, Ends(tied=False), expert_latent=c.moe_latent_size)


_IGNORED = """
    expand mamba_expand moe_shared_expert_overlap mtp_hybrid_override_pattern
    mtp_layers_block_type n_group norm_eps num_logits_to_keep num_nextn_predict_layers
    rescale_prenorm_residual residual_in_fp32 routed_scaling_factor time_step_floor
    time_step_limit time_step_max time_step_min time_step_rank topk_group use_mamba_kernels
"""
"""The multi-token-prediction module is not part of an ordinary pass."""

FAMILIES = {
    "nemotron_h": Family(
        NemotronHConfig,
        nemotron_h,
        "nemotron-h-56b",
        {
            "attention_head_dim": "head_dim",
            "layer_types": "layers_block_type",
            "mamba_n_groups": "n_groups",
            "mamba_d_conv": "conv_kernel",
            "mamba_conv_bias": "use_conv_bias",
            "mamba_chunk_size": "chunk_size",
        },
        ignored=_IGNORED,
    )
}
