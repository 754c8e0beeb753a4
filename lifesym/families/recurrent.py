"""Recurrences of their own: recurrent_gemma (RG-LRU), xlstm (mLSTM)."""

from lifesym import symbols as sym
from lifesym.blocks import GatedRecurrence, MatrixLSTM
from lifesym.families.base import Config, per_head, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import attention, function, layer, mlp
from lifesym.families.sizes import turned
from lifesym.model import Model


def recurrent_gemma(c: Config) -> Model:
    """RecurrentGemma: RG-LRUs behind short convolutions, and local attention in every third layer.

    A chunk of a prompt that goes on is computed as transformers does: its convolution begins anew.
    """
    heads, width = c.num_attention_heads, c.lru_width or c.hidden_size
    kinds = ["recurrent", "recurrent", "attention"] if c.block_types is None else c.block_types
    refuse(not kinds, "key 'block_types': empty")
    refuse(c.sliding_window == 1, "key 'attention_window_size': a window of 1 is not modelled")
    refuse(c.intermediate_size < 2, "key 'intermediate_size': 1 is that of no gate and up")
    recurrence = GatedRecurrence(
        hidden=sym.hidden,
        heads=sym.scan_heads,
        head_dim=sym.scan_dim,
        kernel=sym.conv_kernel,
        activation=function(c),
    )
    local = attention(c, out_bias=True, window=sym.window, rotary_dim=turned(c))
    block, mixers = mlp(c, bias=True), {"recurrent": recurrence, "attention": local}
    return decoder(
        c,
        [layer(mixers[kinds[i % len(kinds)]], block) for i in range(c.num_hidden_layers)],
        Ends(scaled=True, softcap=True),
        intermediate=c.intermediate_size // 2,
        scan_heads=heads,
        scan_dim=per_head(width, heads, "lru_width"),
    )


def xlstm(c: Config) -> Model:
    """xLSTM: mLSTMs, which keep a matrix a head, and MLPs of rounded size."""
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
        layer(mixer, mlp("silu")),
        Ends(tied=False, softcap=c.output_logit_soft_cap is not None),
        linear_value_heads=c.num_heads,
        linear_key_dim=sizes["qk_dim_factor"],
        linear_value_dim=sizes["v_dim_factor"],
        intermediate=wide,
    )
