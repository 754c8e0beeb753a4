"""DeepSeek V2 to V3.2 and their kin: latent attention, dense layers, then experts.

V3.2 and GLM 5 attend to the keys that a lightning indexer chooses: their eager code computes all
scores and masks what is not chosen, which is ``windows=False`` here; engines read the chosen keys
alone. LongCat Flash has experts that compute nothing; how many of a token's are such depends on the
token. Constant factors of its latents and queries can be put into weights and are not counted, nor
are the first projections that transformers' class has of those experts, and never uses.
Sources: DeepSeek-V3.2, arXiv 2512.02556, section 2.1; LongCat-Flash, 2509.01322, section 2;
transformers 5.24, ``deepseek_v32``, ``glm_moe_dsa`` and ``longcat_flash``.
"""

from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, DenseAndExperts, Indexer
from lifesym.families.base import Config, per_head, refuse
from lifesym.families.decoder import SCALED, decoder
from lifesym.families.parts import RMS, experts, feeds, latent, layer, layers, mlp
from lifesym.families.patterns import dense_layers, listed
from lifesym.families.sizes import own_keys
from lifesym.model import Model


def _check(c: Config) -> None:
    """Refuse grouped heads: the classes repeat them as if they were, and then fail."""
    heads = c.num_attention_heads
    kv_heads = c.num_key_value_heads or heads
    refuse(
        heads // kv_heads > 1,
        f"key 'num_key_value_heads': {kv_heads}, but latent attention has one for each of the"
        f" {heads} heads",
    )


def deepseek(c: Config) -> Model:
    """DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash: latent attention, shared experts, dense layers.

    V2 and Mistral 4 route by softmax, the others by sigmoid; the bias they add to the scores is a
    buffer. A.X K1 normalizes what experts give.
    """
    _check(c)
    refuse(
        c.num_experts_per_tok > c.n_routed_experts,
        f"key 'num_experts_per_tok': {c.num_experts_per_tok} of {c.n_routed_experts} experts",
    )
    sigmoid = c.model_type not in ("deepseek_v2", "mistral4")
    after = RMS if c.model_type == "axk1" else None
    moe = layer(latent(c), sparse_feed(c, sigmoid=sigmoid), mlp_post_norm=after)
    return decoder(c, [layer(latent(c), mlp(c)) if alone else moe for alone in dense_layers(c)])


def sparse_feed(c: Config, *, sigmoid: bool = True) -> Block:
    """Experts and shared ones, none of which is as good as null."""
    return experts(c, sigmoid=sigmoid, shared=c.n_shared_experts)


def youtu(c: Config) -> Model:
    """Youtu LLM: latent attention without experts."""
    _check(c)
    return decoder(c, layer(latent(c), mlp(c)))


def minicpm3(c: Config) -> Model:
    """MiniCPM 3: latent attention without experts, and constants.

    They scale embeddings, branches and, counted on the logits, the last state.
    """
    _check(c)
    value_dim = c.v_head_dim or per_head(c.hidden_size, c.num_attention_heads)
    return decoder(c, layer(latent(c), mlp(c), scaled=True), SCALED, value_dim=value_dim)


def indexed(c: Config) -> list[bool]:
    """Which layers have an indexer of their own: the first one must."""
    depth = c.num_hidden_layers
    if not hasattr(c, "index_topk_freq"):
        return [True] * depth
    key = "indexer_types" if c.indexer_types is not None else "index_topk_pattern"
    words = getattr(c, key)
    if words is None:
        every, offset = max(c.index_topk_freq, 1), c.index_skip_topk_offset
        return [max(i - offset + 1, 0) % every == 0 for i in range(depth)]
    own = listed(words, depth, {"full": True, "F": True, "shared": False, "S": False}, key)
    refuse(not own[0], f"key {key!r}: the first layer has no earlier one's choice")
    return own


def indexer(c: Config, **options: Any) -> Indexer:
    """The lightning indexer, its sizes symbols.

    Raises:
        SpecError: its heads are smaller than the rotated part of attention's.
    """
    size, turned = c.index_head_dim, c.qk_rope_head_dim
    refuse(size < turned, f"key 'index_head_dim': {size} is less than qk_rope_head_dim = {turned}")
    usual: dict[str, Any] = {
        "hidden": sym.hidden,
        "q_rank": sym.q_rank,
        "heads": sym.index_heads,
        "head_dim": sym.index_dim,
        "rope_dim": sym.rope_dim,
        "top": sym.index_top,
    }
    return Indexer(**usual | options)


def deepseek_v32(c: Config) -> Model:
    """DeepSeek V3.2 and GLM 5: sparse latent attention, shared experts, dense layers."""
    own_keys(c)
    follows = latent(c, top=sym.index_top)
    mixers = {True: replace(follows, indexer=indexer(c)), False: follows}
    blocks = feeds(c, dense_layers(c), sparse_feed(c))
    return decoder(c, layers([mixers[own] for own in indexed(c)], blocks))


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
