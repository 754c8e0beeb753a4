"""Language models with weights that only images make use of: Llama 3.2 Vision and ERNIE 4.5 VL.

Here is what their classes do with text alone: such weights are held, and no pass runs them.
Sources: Llama 3, arXiv 2407.21783, section 7.3; ERNIE 4.5 technical report, section 2.2;
transformers 5.24 ``models/mllama`` and ``ernie4_5_vl_moe``.
"""

from dataclasses import replace

from sympy import Integer

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder
from lifesym.families.parts import attention, experts, layer, mlp
from lifesym.families.patterns import dense_layers
from lifesym.model import Model, Section

PLACEHOLDERS = 8
"""Rows of Llama 3.2 Vision's table that have no logits: the image token, and seven spare ones."""


def mllama_text_model(c: Config) -> Model:
    """Llama 3.2 Vision: Llama between layers that attend to images, which text alone passes by.

    Such a layer has norms of the queries and keys of a head, and a gate after each of its parts.
    """
    depth, chosen = c.num_hidden_layers, c.cross_attention_layers
    seeing = list(range(3, depth, 5)) if chosen is None else chosen
    count = len({i for i in seeing if i < depth})
    refuse(count == depth, "key 'cross_attention_layers': no layer is left for text")
    looks = layer(attention(qk_norm="head", rotary_dim=0), mlp(c), scaled=True, gains=1)
    ends = Ends(rows=sym.vocab + PLACEHOLDERS, after=_held("image_layers", count, looks))
    model = decoder(c, [layer(attention(), mlp(c))] * (depth - count), ends)
    return _noted(model, f"{count} layers of cross-attention to images")


def ernie4_5_vl_moe_text(c: Config) -> Model:
    """ERNIE 4.5 VL: ERNIE 4.5's experts twice, for text and (smaller) for images."""
    bias = c.use_bias
    refuse(len(c.moe_intermediate_size) != 2, "key 'moe_intermediate_size': must be two sizes")
    size, of_images = c.moe_intermediate_size
    dense, shared = dense_layers(c), c.moe_num_shared_experts * size
    moe = experts(c, router_bias=True, shared=shared, shared_bias=bias)
    looks = replace(moe, shared=None, intermediate=Integer(of_images))
    count = dense.count(False)
    model = decoder(
        c,
        [layer(attention(bias=bias), mlp(c, bias=bias) if each else moe) for each in dense],
        Ends(after=_held("image_experts", count, looks)),
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
