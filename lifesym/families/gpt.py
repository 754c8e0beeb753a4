"""Decoders with LayerNorms: GPT-2 and what came before Llama, Falcon, StarCoder 2, StableLM, Phi.

GPT-Neo, GPT-NeoX (Pythia and a Japanese one), GPT-J and CodeGen, OPT, BLOOM, MPT, BioGPT, XGLM and
CTRL have plain MLPs, and positions that are learned, fixed, by ALiBi, or of parts of heads.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import Config, grouped, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import LAYER_NORM, OFFSETLESS, attention, layer, mlp
from lifesym.families.sizes import head_size, turned
from lifesym.model import Model

LEARNED = Ends(norm=LAYER_NORM, positions=sym.positions)
"""Learned positions, and a norm before the LM head."""


def _layer(c: Config | str, **options: Any) -> DecoderLayer:
    """Attention that rotates nothing and a plain MLP, both with biases, and LayerNorms."""
    usual = {"kv_heads": sym.heads, "bias": True, "rotary_dim": 0}
    return layer(attention(**usual | options), mlp(c, gated=False, bias=True), LAYER_NORM)


def gpt2(c: Config) -> Model:
    """GPT-2: fused QKV, learned positions, tied embeddings; StarCoder: one key-value head."""
    each = _layer(c, kv_heads=1 if getattr(c, "multi_query", False) else sym.heads, fused=True)
    width, rows = c.n_inner or 4 * c.hidden_size, c.n_positions
    return decoder(c, each, LEARNED, intermediate=width, positions=rows).limited(rows)


def gpt_neo(c: Config) -> Model:
    """GPT-Neo: biases but on queries, keys and values; its local layers mask what they compute."""
    width, rows = c.intermediate_size or 4 * c.hidden_size, c.max_position_embeddings
    each = _layer(c, qkv_bias=False)
    return decoder(c, each, LEARNED, intermediate=width, positions=rows).limited(rows)


def gpt_neox(c: Config) -> Model:
    """GPT-NeoX: fused QKV, partial rotary positions, attention and MLP usually in parallel."""
    mixer = attention(c, kv_heads=sym.heads, fused=True, rotary_dim=turned(c))
    block, beside = mlp(c, gated=False, bias=True), c.use_parallel_residual
    return decoder(c, layer(mixer, block, LAYER_NORM, parallel=beside), Ends(norm=LAYER_NORM))


def gptj(c: Config) -> Model:
    """GPT-J: attention and MLP in parallel behind one norm, an LM head with a bias.

    CodeGen has a fused QKV projection.
    """
    head_dim, fused = head_size(c), c.model_type == "codegen"
    refuse(
        c.rotary_dim is not None and c.rotary_dim > head_dim,
        f"key 'rotary_dim': {c.rotary_dim} is more than a head's {head_dim} elements",
    )
    turns = sym.head_dim if c.rotary_dim in (None, head_dim) else sym.rotary_dim
    mixer = attention(kv_heads=sym.heads, fused=fused, rotary_dim=turns)
    block = mlp(c, gated=False, bias=True)
    each = layer(mixer, block, LAYER_NORM, mlp_norm=None, parallel=True)
    ends, width = Ends(norm=LAYER_NORM, head_bias=True), c.n_inner or 4 * c.hidden_size
    return decoder(c, each, ends, intermediate=width)


def opt(c: Config) -> Model:
    """OPT: learned positions in a table with two spare rows."""
    width, bias, rows = c.word_embed_proj_dim, c.enable_bias, c.max_position_embeddings
    norm = NormSpec(features=sym.hidden, kind="layer", affine=c.layer_norm_elementwise_affine)
    mixer = attention(kv_heads=sym.heads, bias=bias, rotary_dim=0)
    final = c.do_layer_norm_before and not c.remove_final_layer_norm
    ends = Ends(
        norm=norm if final else None,
        positions=sym.positions,
        width=sym.hidden if width in (None, c.hidden_size) else sym.embedding_dim,
    )
    each = layer(mixer, mlp(c, gated=False, bias=bias), norm)
    return decoder(c, each, ends, positions=rows + 2, embedding_dim=width).limited(rows)


def bloom(c: Config) -> Model:
    """BLOOM: ALiBi, fused QKV, a norm of the embeddings."""
    ends = Ends(norm=LAYER_NORM, embedding_norm=LAYER_NORM)
    each = _layer("gelu_new", fused=True, alibi=True)
    return decoder(c, each, ends, intermediate=4 * c.hidden_size)


def mpt(c: Config) -> Model:
    """MPT: ALiBi, fused QKV, plain MLPs, no biases; some checkpoints' clamp is not counted."""
    mixer = attention(kv_heads=sym.heads, fused=True, rotary_dim=0, alibi=True)
    each = layer(mixer, mlp("gelu", gated=False), OFFSETLESS)
    return decoder(c, each, Ends(norm=OFFSETLESS), intermediate=4 * c.hidden_size)


def biogpt(c: Config) -> Model:
    """BioGPT: learned positions, scaled embeddings."""
    ends = Ends(norm=LAYER_NORM, positions=sym.positions, scaled=c.scale_embedding)
    rows = c.max_position_embeddings
    return decoder(c, _layer(c), ends, positions=rows + 2).limited(rows)


def xglm(c: Config) -> Model:
    """XGLM: scaled embeddings; the sum with fixed positions is not counted."""
    return decoder(c, _layer(c), Ends(norm=LAYER_NORM, scaled=c.scale_embedding))


def ctrl(c: Config) -> Model:
    """CTRL: scaled embeddings, biased logits; the sum with fixed positions is not counted."""
    ends = Ends(norm=LAYER_NORM, scaled=True, head_bias=True)
    return decoder(c, _layer("relu"), ends).limited(c.max_position_embeddings)


def gpt_neox_japanese(c: Config) -> Model:
    """GPT-NeoX of Abeja: no bias but one, on the attention's output in the last layer."""
    usual = {"kv_heads": sym.heads, "fused": True, "rotary_dim": turned(c, pairs=True)}
    block, depth = mlp(c, gated=False), c.num_hidden_layers
    biased = [i == depth - 1 for i in range(depth)]
    layers = [layer(attention(**usual, out_bias=each), block, LAYER_NORM) for each in biased]
    width = c.intermediate_multiple_size * c.hidden_size
    return decoder(c, layers, Ends(norm=LAYER_NORM), intermediate=width)


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
    ungrouped = not (new or c.multi_query) and kv_heads != heads
    key, later = "num_ln_in_parallel_attn", "new_decoder_architecture"
    refuse(new and norms not in (None, 1, 2), f"key {key!r}: {norms} is not 1 or 2")
    refuse(not new and c.parallel_attn and norms == 2, f"key {key!r}: 2 needs {later}")
    refuse(ungrouped, f"key 'num_kv_heads': without multi_query it must be {heads}, as all heads")
    refuse(new and not c.parallel_attn, f"key 'parallel_attn': false is not modelled with {later}")
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
