"""What a Gemma 4 config says of its layers: windows, heads, shared caches."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lifesym.families.base import Config, Count, Whole, layer_kinds, refuse, rotated


class Gemma4Config(Config, kw_only=True):
    """The text model's keys; defaults are the class's."""

    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    head_dim: Count = 256
    global_head_dim: Count | None = 512
    num_global_key_value_heads: Count | None = None
    attention_k_eq_v: bool = False
    vocab_size: Count = 262144
    hidden_activation: str = "gelu_pytorch_tanh"
    attention_bias: bool = False
    tie_word_embeddings: bool = True
    sliding_window: Count = 512
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None
    per_layer_config: dict[str, dict[str, Any]] | UnsetType | None = UNSET
    hidden_size_per_layer_input: Whole = 256
    vocab_size_per_layer_input: Count = 262144
    num_kv_shared_layers: Whole = 0
    use_double_wide_mlp: bool = False
    use_bidirectional_attention: str | None = None
    final_logit_softcapping: float | None = None
    enable_moe_block: bool = False
    num_experts: Count | None = None
    top_k_experts: Count | None = None
    moe_intermediate_size: Count | None = None


class Heads(msgspec.Struct, kw_only=True, frozen=True):
    """What layers of one kind may have of their own."""

    head_dim: Count
    num_key_value_heads: Count


def full_rotary(c: Gemma4Config, head_dim: int) -> int:
    """Rotated elements of a head in full layers: a part, of angles that are zero elsewhere.

    Raises:
        SpecError: the head itself has no pairs, as the code turns all of it.
    """
    refuse(head_dim % 2 == 1, f"key 'global_head_dim': {head_dim} is odd, and not turned in pairs")
    if c.rope_parameters is None:
        return rotated(head_dim, 0.25)
    rope = c.rope_parameters.get("full_attention", {})
    factor = rope.get("partial_rotary_factor", 1.0) if isinstance(rope, dict) else None
    refuse(not isinstance(factor, float | int), "key 'rope_parameters.full_attention'")
    return rotated(head_dim, msgspec.convert(factor, float))


def windows(c: Gemma4Config) -> list[bool]:
    """Which layers have a window; the class makes the last one full whatever the config says."""
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % 6 != 0
    )
    return [*kinds[:-1], False]


def heads_of(c: Gemma4Config, kinds: list[bool]) -> dict[bool, Heads]:
    """Size and number of key-value heads of sliding (True) and full (False) layers.

    ``per_layer_config`` has what differs from the config by layer; where it is given, the keys
    of full layers are not read. Positions are one table a kind, so a kind is alike throughout.
    """
    usual = Heads(head_dim=c.head_dim, num_key_value_heads=c.num_key_value_heads)
    if c.per_layer_config is UNSET:
        full_kv = c.num_global_key_value_heads if c.attention_k_eq_v else None
        wide = c.global_head_dim or 0
        refuse(not wide, "key 'global_head_dim': null is no size without 'per_layer_config'")
        full = Heads(head_dim=wide, num_key_value_heads=full_kv or c.num_key_value_heads)
        return {True: usual, False: full}
    layers = [usual] * len(kinds)
    for index, values in (c.per_layer_config or {}).items():
        where = f"key 'per_layer_config[{index}]'"
        known = index.isdecimal() and int(index) < len(kinds)
        refuse(not known, f"{where}: not one of {len(kinds)} layers")
        own = {k: v for k, v in values.items() if v != getattr(c, k, None)}
        for key in own:
            refuse(key not in Heads.__struct_fields__, f"{where}: {key!r} is not modelled")
        try:
            layers[int(index)] = msgspec.convert(msgspec.structs.asdict(usual) | own, Heads)
        except msgspec.ValidationError as error:
            refuse(True, f"{where}: {error}")
    found = {}
    for kind in set(kinds):
        alike = {heads for heads, each in zip(layers, kinds, strict=True) if each == kind}
        name = "sliding" if kind else "full"
        refuse(len(alike) > 1, f"key 'per_layer_config': {name} layers must be alike")
        found[kind] = alike.pop()
    return found


def sharing(c: Gemma4Config, kinds: list[bool]) -> list[bool]:
    """Which layers use the keys and values of the last layer of their kind before all of them.

    Raises:
        SpecError: no layer is left to share its cache, or layers without embeddings share.
    """
    key = "key 'num_kv_shared_layers'"
    count = c.num_kv_shared_layers
    if count == 0:
        return [False] * len(kinds)
    first = len(kinds) - count
    left = set(kinds[: max(first, 0)])
    refuse(left != set(kinds), f"{key}: leaves no layer whose cache could be shared")
    embedded = c.hidden_size_per_layer_input > 0
    refuse(not embedded, f"{key}: needs a 'hidden_size_per_layer_input' in the class's code")
    return [i >= first for i in range(len(kinds))]
