"""Gated delta nets in most layers: Qwen3-Next and 3.5, Lara mini, OLMo hybrid."""

from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, DeltaNet
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.mamba import check_groups
from lifesym.families.parts import AROUND, attention, experts, feeds, function, layer, layers, mlp
from lifesym.families.patterns import listed, sparse_steps
from lifesym.families.sizes import turned
from lifesym.model import Model

CHUNK = 64
"""Tokens of a chunk: a constant of transformers' code, not of the config."""


def _delta_net(c: Config, **options: Any) -> DeltaNet:
    """A gated delta net of four input projections unless told otherwise, its sizes symbols."""
    usual: dict[str, Any] = {"inputs": "four"}
    return DeltaNet(
        hidden=sym.hidden,
        key_heads=sym.linear_key_heads,
        value_heads=sym.linear_value_heads,
        key_dim=sym.linear_key_dim,
        value_dim=sym.linear_value_dim,
        kernel=sym.conv_kernel,
        chunk=sym.scan_chunk,
        activation=function(c),
        **usual | options,
    )


_PATTERN = "linear sliding linear full sliding"
"""The mixers of Lara's layers, in turn."""


def lara_mini(c: Config) -> Model:
    """Lara mini: Qwen 3.5's delta nets, Qwen 3's attention with and without windows, experts."""
    pattern, depth = [f"{word}_attention" for word in _PATTERN.split()], c.num_hidden_layers
    usual: dict[str, Any] = {"qk_norm": "head", "rotary_dim": turned(c)}
    mixers: dict[str, Block] = {
        "linear_attention": _delta_net(c),
        "full_attention": attention(c, **usual),
        "sliding_attention": attention(c, window=sym.window, **usual),
    }
    types = c.layer_types or [pattern[i % len(pattern)] for i in range(depth)]
    layers = [layer(mixer, experts(c, shared=True)) for mixer in listed(types, depth, mixers)]
    check_groups(c.linear_num_value_heads, c.linear_num_key_heads)
    return decoder(c, layers, scan_chunk=CHUNK)


def qwen_next(c: Config) -> Model:
    """Qwen3-Next and 3.5: gated delta nets, and gated attention with partly rotated heads.

    Qwen3.5 has four input projections in a delta net, not two. Its checkpoints are
    multimodal: the vision tower is not part of the formula.
    """
    check_groups(c.linear_num_value_heads, c.linear_num_key_heads)
    mixers: dict[str, Block] = {
        "full_attention": attention(c, gated=True, qk_norm="head", rotary_dim=sym.rotary_dim),
        "linear_attention": _delta_net(c, inputs="two" if c.model_type == "qwen3_next" else "four"),
    }
    depth, every, kinds = c.num_hidden_layers, c.full_attention_interval, list(mixers)
    types = c.layer_types
    if types is None:
        types = [kinds[(i + 1) % every != 0] for i in range(depth)]
    blocks: list[Block] = [mlp(c)] * depth
    if hasattr(c, "num_experts"):
        moe = experts(c, shared=True, shared_gate=True)
        blocks = feeds(c, sparse_steps(c), moe)
    return decoder(c, layers(listed(types, depth, mixers), blocks), scan_chunk=CHUNK)


def olmo_hybrid(c: Config) -> Model:
    """OLMo hybrid: gated delta nets with norms before, OLMo 2's attention with norms after."""
    heads, depth, kinds = c.num_attention_heads, c.num_hidden_layers, ("linear", "full")
    types = c.layer_types or [f"{kinds[i % 4 == 3]}_attention" for i in range(depth)]
    if c.layer_types is None and "full_attention" not in types:
        types[-1] = "full_attention"
    refuse(len(set(types)) < 2, "key 'layer_types': both kinds of layers are needed")
    key_heads = c.linear_num_key_heads or heads
    value_heads = c.linear_num_value_heads or heads
    key_dim = c.linear_key_head_dim or 3 * c.hidden_size // (4 * key_heads)
    refuse(key_dim == 0, f"key 'linear_num_key_heads': {key_heads} for {c.hidden_size} hidden")
    check_groups(value_heads, key_heads)
    turns = sym.head_dim if (c.rope_parameters or {}).get("rope_theta") else 0
    full = attention(c, qk_norm="all", rotary_dim=turns)
    scan = _delta_net(c, inputs="six", negative=c.linear_allow_neg_eigval)
    layers = {
        "full_attention": layer(full, mlp(c), None, **AROUND),
        "linear_attention": layer(scan, mlp(c)),
    }
    return decoder(
        c,
        listed(types, depth, layers),
        linear_key_heads=key_heads,
        linear_value_heads=value_heads,
        linear_key_dim=key_dim,
        linear_value_dim=c.linear_value_head_dim or 2 * key_dim,
        scan_chunk=CHUNK,
    )
