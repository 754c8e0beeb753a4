"""GPT-2 and what came before Llama: LayerNorms, plain MLPs, positions learned, fixed or by ALiBi.

GPT-2 and StarCoder, GPT-Neo, GPT-NeoX (Pythia), GPT-J and CodeGen, OPT, BLOOM, MPT, BioGPT, XGLM,
CTRL, and a Japanese GPT-NeoX.
"""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import DecoderLayer, NormSpec
from lifesym.families.base import Config, refuse
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
