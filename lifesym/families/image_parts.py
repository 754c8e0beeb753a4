"""Language models with weights that only images make use of: Llama 3.2 Vision and ERNIE 4.5 VL.

Here is what their classes do with text alone: such weights are held, and no pass runs them.
Sources: Llama 3, arXiv 2407.21783, section 7.3; ERNIE 4.5 technical report, section 2.2;
transformers 5.24 ``models/mllama`` and ``ernie4_5_vl_moe``.
"""

from dataclasses import replace

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.families.base import Count, Family, Whole, listed, refuse
from lifesym.families.decoder import Ends, attention, decoder, experts, layer, mlp
from lifesym.families.llama import LlamaConfig
from lifesym.model import Model, Section

PLACEHOLDERS = 8
"""Rows of Llama 3.2 Vision's table that have no logits: the image token, and seven spare ones."""


class MllamaConfig(LlamaConfig, kw_only=True):
    """``cross_attention_layers`` are the indexes of layers that attend to images."""

    cross_attention_layers: list[Whole] | None = None


class ErnieVisionConfig(LlamaConfig, kw_only=True):
    """``moe_intermediate_size`` has two numbers: an expert's for text, and one's for images."""

    num_key_value_heads: Count | None = 4
    tie_word_embeddings: bool = True
    use_bias: bool = False
    moe_intermediate_size: list[Count]
    moe_k: Count = 6
    moe_num_experts: Count = 64
    moe_num_shared_experts: Whole = 2
    mlp_layer_types: list[str] | None = None


def mllama(c: MllamaConfig, name: str) -> Model:
    """Llama 3.2 Vision: Llama between layers that attend to images, which text alone passes by.

    Such a layer has norms of the queries and keys of a head, and a gate after each of its parts.
    """
    refuse(c.tie_word_embeddings, "key 'tie_word_embeddings': the table has more rows than logits")
    depth, chosen = c.num_hidden_layers, c.cross_attention_layers
    seeing = list(range(3, depth, 5)) if chosen is None else chosen
    count = len({i for i in seeing if i < depth})
    refuse(count == depth, "key 'cross_attention_layers': no layer is left for text")
    block = mlp(c.hidden_act)
    looks = layer(attention(qk_norm="head", rotary_dim=0), block, scaled=True, gains=1)
    ends = Ends(rows=sym.vocab + PLACEHOLDERS, after=_held("image_layers", count, looks))
    model = decoder(c, name, [layer(attention(), block)] * (depth - count), ends)
    return _noted(model, f"{count} layers of cross-attention to images")


def ernie_vision(c: ErnieVisionConfig, name: str) -> Model:
    """ERNIE 4.5 VL: ERNIE 4.5's experts twice, for text and (smaller) for images."""
    bias, depth = c.use_bias, c.num_hidden_layers
    refuse(len(c.moe_intermediate_size) != 2, "key 'moe_intermediate_size': must be two sizes")
    size, of_images = c.moe_intermediate_size
    types = c.mlp_layer_types or ["dense", *["sparse"] * (depth - 1)]
    dense = listed(types, depth, {"dense": True, "sparse": False}, "mlp_layer_types")
    shared = c.moe_num_shared_experts * size
    moe = experts(c.hidden_act, router_bias=True, shared=shared > 0, shared_bias=bias)
    looks = replace(moe, shared=None, intermediate=Integer(of_images))
    plain = mlp(c.hidden_act, bias=bias)
    count = dense.count(False)
    model = decoder(
        c,
        name,
        [layer(attention(bias=bias), plain if each else moe) for each in dense],
        Ends(after=_held("image_experts", count, looks)),
        experts=c.moe_num_experts,
        active_experts=c.moe_k,
        expert_intermediate=size,
        shared_intermediate=shared,
    )
    return _noted(model, f"experts of {count} layers that image tokens alone choose")


def _held(label: str, count: int, block: Block) -> tuple[Section, ...]:
    """A section that is held and not run; none where there is nothing of it."""
    return (Section(label=label, count=Integer(count), block=block, idle=True),) if count else ()


def _noted(model: Model, what: str) -> Model:
    """The model with a line on what is in its memory and in none of its passes."""
    return replace(model, notes=(f"passes are of text alone: {what} are held, and not run",))


FAMILIES = {
    "mllama_text_model": Family(
        MllamaConfig, mllama, "llama-3.2-11b-vision", ignored="cross_attention_hidden_size"
    ),
    "ernie4_5_vl_moe_text": Family(
        ErnieVisionConfig,
        ernie_vision,
        "ernie-4.5-vl-28b-a3b",
        {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"},
        ignored="moe_norm_min",
        nulls="use_bias",
    ),
}
