"""Decoders with LayerNorms: falcon, starcoder2, stablelm, nemotron, phi and persimmon."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention
from lifesym.families.base import Config, grouped, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import LAYER_NORM, attention, layer, mlp
from lifesym.families.sizes import turned
from lifesym.model import Model


def _model(
    c: Config, mixer: Attention, block: MLP, *, parallel: bool = False, head_bias: bool = False
) -> Model:
    after = None if parallel else LAYER_NORM
    each = layer(mixer, block, LAYER_NORM, mlp_norm=after, parallel=parallel)
    return decoder(c, each, Ends(norm=LAYER_NORM, head_bias=head_bias))


def _turned(c: Config, normed: str = "head") -> dict[str, Any]:
    """Partly rotated heads, perhaps with LayerNorms of queries and keys."""
    options = {"qk_norm": normed, "qk_norm_kind": "layer"} if c.qk_layernorm else {}
    return {"rotary_dim": turned(c, pairs=True), **options}


def falcon(c: Config) -> Model:
    """Falcon 7B (multi-query, one norm), 40B and 180B (grouped, two norms), RW (ALiBi)."""
    heads, new, norms = c.num_attention_heads, c.new_decoder_architecture, c.num_ln_in_parallel_attn
    kv_heads = 1 if c.multi_query and not new else c.num_kv_heads or heads
    refuse(
        new and norms not in (None, 1, 2), f"key 'num_ln_in_parallel_attn': {norms} is not 1 or 2"
    )
    refuse(
        not (new or c.multi_query) and kv_heads != heads,
        f"key 'num_kv_heads': without multi_query it must be num_attention_heads = {heads}",
    )
    refuse(
        not new and c.parallel_attn and norms == 2,
        "key 'num_ln_in_parallel_attn': 2 needs new_decoder_architecture",
    )
    refuse(
        new and not c.parallel_attn,
        "key 'parallel_attn': false is not modelled with new_decoder_architecture",
    )
    both = (norms or (2 if new else 1)) == 2 or not c.parallel_attn
    turns = 0 if c.alibi else sym.head_dim
    each = layer(
        attention(fused=True, bias=c.bias, rotary_dim=turns, alibi=c.alibi),
        mlp(c, gated=False, bias=c.bias),
        LAYER_NORM,
        mlp_norm=LAYER_NORM if both else None,
        parallel=c.parallel_attn,
    )
    return decoder(
        c,
        each,
        Ends(norm=LAYER_NORM),
        kv_heads=grouped(heads, kv_heads, "num_kv_heads"),
        intermediate=c.ffn_hidden_size or 4 * c.hidden_size,
    )


def starcoder2(c: Config) -> Model:
    """StarCoder 2: biases and a plain MLP."""
    mixer = attention(bias=c.use_bias, window=sym.window if c.sliding_window else None)
    return _model(c, mixer, mlp(c, gated=False, bias=c.use_bias))


def stablelm(c: Config) -> Model:
    """StableLM 2 and 3B: partly rotated heads; the 12B normalizes each and runs in parallel."""
    c.head_dim = None
    mixer = attention(qkv_bias=c.use_qkv_bias, **_turned(c, "each"))
    return _model(c, mixer, mlp(c), parallel=c.use_parallel_residual)


def nemotron(c: Config) -> Model:
    """Nemotron 3 and 4, Minitron: a plain MLP with squared ReLU, partly rotated heads."""
    return _model(c, attention(c, rotary_dim=turned(c, pairs=True)), mlp(c, gated=False))


def phi(c: Config) -> Model:
    """Phi 1 to 2: attention and MLP side by side, biases on all of them and on the LM head."""
    mixer, block = attention(bias=True, **_turned(c)), mlp(c, gated=False, bias=True)
    return _model(c, mixer, block, parallel=True, head_bias=True)


def persimmon(c: Config) -> Model:
    """Persimmon, and the language model of Fuyu: a fused QKV projection, biases, a plain MLP."""
    mixer = attention(fused=True, bias=True, **_turned(c))
    return _model(c, mixer, mlp(c, gated=False, bias=True))
