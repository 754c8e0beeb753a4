"""Recurrences of their own: recurrent_gemma (RG-LRU), xlstm (mLSTM)."""

from typing import Literal

from msgspec import field

from lifesym import symbols as sym
from lifesym.blocks import GatedRecurrence, MatrixLSTM
from lifesym.families.base import (
    Config,
    Count,
    Family,
    StackConfig,
    activation,
    per_head,
    refuse,
)
from lifesym.families.decoder import Ends, attention, decoder, head_size, layer, mlp, turned
from lifesym.families.mamba import Kernel
from lifesym.model import Model


class GriffinConfig(StackConfig, kw_only=True):
    """``intermediate_size`` is that of gate and up together; ``block_types`` repeats.

    Without a list every third layer has attention.
    """

    intermediate_size: Count
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    lru_width: Count | None = None
    sliding_window: Count = field(name="attention_window_size", default=2048)
    conv_kernel: Kernel = field(name="conv1d_width", default=4)
    hidden_activation: str = "gelu_pytorch_tanh"
    partial_rotary_factor: float = 0.5
    block_types: list[Literal["recurrent", "attention"]] | None = None
    attention_bias: bool = False
    tie_word_embeddings: bool = True


class LstmConfig(Config, kw_only=True):
    """Sizes are fractions of the hidden size; ``embedding_dim`` and ``num_blocks`` are synonyms."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    num_heads: Count = 8
    qk_dim_factor: float = 0.5
    v_dim_factor: float = 1.0
    ffn_proj_factor: float = 2.667
    ffn_round_up_to_multiple_of: Count = 64
    scan_chunk: Kernel = field(name="chunk_size", default=64)
    gate_soft_cap: float | None = 15.0
    output_logit_soft_cap: float | None = 30.0
    use_bias: bool = False
    weight_mode: str = "single"


def recurrent_gemma(c: GriffinConfig, name: str) -> Model:
    """RecurrentGemma: RG-LRUs behind short convolutions, and local attention in every third layer.

    A chunk of a prompt that goes on is computed as transformers does: its convolution begins anew.
    """
    heads, width = c.num_attention_heads, c.lru_width or c.hidden_size
    kinds = ["recurrent", "recurrent", "attention"] if c.block_types is None else c.block_types
    refuse(not kinds, "key 'block_types': empty")
    refuse(c.sliding_window == 1, "key 'attention_window_size': a window of 1 is not modelled")
    refuse(c.intermediate_size < 2, "key 'intermediate_size': 1 is that of no gate and up")
    act = activation(c.hidden_activation, "hidden_activation")
    block = mlp(c.hidden_activation, "hidden_activation", bias=True)
    mixers = {
        "recurrent": GatedRecurrence(
            hidden=sym.hidden,
            heads=sym.scan_heads,
            head_dim=sym.scan_dim,
            kernel=sym.conv_kernel,
            activation=act,
        ),
        "attention": attention(
            qkv_bias=c.attention_bias, out_bias=True, window=sym.window, rotary_dim=turned(c)
        ),
    }
    layers = [layer(mixers[kinds[i % len(kinds)]], block) for i in range(c.num_hidden_layers)]
    return decoder(
        c,
        name,
        layers,
        Ends(scaled=True, softcap=True),
        head_dim=head_size(c),
        window=c.sliding_window,
        intermediate=c.intermediate_size // 2,
        scan_heads=heads,
        scan_dim=per_head(width, heads, "lru_width"),
    )


def xlstm(c: LstmConfig, name: str) -> Model:
    """xLSTM: mLSTMs, which keep a matrix a head, and MLPs of rounded size."""
    refuse(c.use_bias, "key 'use_bias': true is not modelled")
    refuse(c.weight_mode != "single", f"key 'weight_mode': {c.weight_mode!r} is not modelled")
    sizes = {}
    for key, factor in (("qk_dim_factor", c.qk_dim_factor), ("v_dim_factor", c.v_dim_factor)):
        size = int(c.hidden_size * factor)
        refuse(size < 1 or size % 64 != 0, f"key '{key}': {size} is no multiple of 64")
        sizes[key] = per_head(size, c.num_heads, key, "num_heads")
    step = c.ffn_round_up_to_multiple_of
    wide = int((c.hidden_size * c.ffn_proj_factor + step - 1) // step * step)
    refuse(wide < 1, f"key 'ffn_proj_factor': {c.ffn_proj_factor} times hidden_size is no size")
    mixer = MatrixLSTM(
        hidden=sym.hidden,
        heads=sym.linear_value_heads,
        key_dim=sym.linear_key_dim,
        value_dim=sym.linear_value_dim,
        chunk=sym.scan_chunk,
        capped=c.gate_soft_cap is not None,
    )
    return decoder(
        c,
        name,
        [layer(mixer, mlp("silu"))] * c.num_hidden_layers,
        Ends(tied=False, softcap=c.output_logit_soft_cap is not None),
        linear_value_heads=c.num_heads,
        linear_key_dim=sizes["qk_dim_factor"],
        linear_value_dim=sizes["v_dim_factor"],
        intermediate=wide,
    )


_KERNELS = """
    add_out_norm autocast_kernel_dtype chunkwise_kernel eps inference_state_dtype
    max_inference_chunksize mode norm_eps norm_reduction_force_float32 return_last_states
    sequence_kernel step_kernel tie_word_embeddings
"""
"""Which kernels compute it; and its class ties no embeddings, whatever the config says."""

FAMILIES = {
    "recurrent_gemma": Family(
        GriffinConfig,
        recurrent_gemma,
        "recurrentgemma-2b",
        {"_block_types": "block_types"},
        ignored="""
            embeddings_scale_by_sqrt_dim final_w_init_variance_scale logits_soft_cap
            w_init_variance_scale
        """,
    ),
    "xlstm": Family(
        LstmConfig,
        xlstm,
        "xlstm-7b",
        {"embedding_dim": "hidden_size", "num_blocks": "num_hidden_layers"},
        ignored=_KERNELS,
    ),
}
