"""LongCat Flash: layers of two latent attentions and two MLPs, and experts beside the first MLP.

Some experts compute nothing; how many of a token's are such depends on the token. Constant factors
of latents and queries can be put into weights and are not counted. Not counted, either: the first
projections that transformers' class has of experts that compute nothing, and never uses. Source:
LongCat-Flash, arXiv 2509.01322, section 2; transformers 5.24, ``longcat_flash``.
"""

from dataclasses import replace

from lifesym import symbols as sym
from lifesym.blocks import DenseAndExperts
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.parts import experts, latent, layer, mlp
from lifesym.families.sizes import own_keys
from lifesym.model import Model


def longcat_flash(c: Config) -> Model:
    """LongCat Flash: of a pair of layers the first has the experts."""
    own_keys(c)
    pairs = c.num_layers or (c.num_hidden_layers or 0) // 2
    refuse(pairs == 0, "missing key 'num_layers'")
    depth = c.num_hidden_layers or 2 * pairs
    refuse(
        depth // 2 != pairs,
        f"key 'num_hidden_layers': {depth}, but there are two in each of {pairs} layers",
    )
    zero, real = c.zero_expert_num or 0, c.n_routed_experts
    dense, mixer = mlp(c), latent(c)
    moe = experts(c, zero=sym.zero_experts if zero else None)
    pair = [layer(mixer, DenseAndExperts(mlp=dense, moe=moe, normed=False)), layer(mixer, dense)]
    model = decoder(
        c,
        pair * pairs,
        intermediate=c.ffn_hidden_size,
        expert_intermediate=c.expert_ffn_hidden_size,
        zero_experts=zero,
    )
    note = (
        f"{zero} of {real + zero} experts compute nothing: counted are those that do on average, "
        f"{c.moe_topk} x {real} / {real + zero} a token, as if all were equally likely"
    )
    return replace(model, notes=(note,)) if zero else model
