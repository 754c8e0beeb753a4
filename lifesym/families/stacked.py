"""How decoders with grouped queries and one kind of layer are put together; most are so."""

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import MLP, Attention, DecoderLayer, NormSpec
from lifesym.families.base import (
    Decoder,
    activation,
    assemble,
    grouped,
    layer_sections,
    numbers,
    per_head,
    refuse,
    rotated,
)
from lifesym.families.hybrid import attention
from lifesym.families.llama import LlamaConfig
from lifesym.model import Model

RMS = NormSpec(features=sym.hidden)
LAYER = NormSpec(features=sym.hidden, kind="layer")


def mlp(c: LlamaConfig, **options: Any) -> MLP:
    """The feed-forward block, its sizes symbols."""
    function = activation(c.hidden_act)
    return MLP(hidden=sym.hidden, intermediate=sym.intermediate, activation=function, **options)


def head_size(c: LlamaConfig) -> int:
    """The size of a head: given, or hidden / heads."""
    return c.head_dim or per_head(c.hidden_size, c.num_attention_heads)


def turned(c: LlamaConfig, factor: float, **options: Any) -> Attention:
    """Attention that rotates a part of each head."""
    whole = rotated(head_size(c), factor) == head_size(c)
    return attention(rotary_dim=sym.head_dim if whole else sym.rotary_dim, **options)


def turned_size(c: LlamaConfig, factor: float) -> int | None:
    """How much of a head `turned` rotates, where it is not all of it.

    Raises:
        SpecError: an odd number, with which some of the classes make a head longer.
    """
    elements = int(head_size(c) * factor)
    refuse(elements % 2 != 0, f"key 'partial_rotary_factor': {factor} rotates {elements}, no pairs")
    size = rotated(head_size(c), factor)
    return None if size == head_size(c) else size


def stacked(
    c: LlamaConfig,
    name: str,
    layer: Callable[[Expr | None], DecoderLayer],
    ends: Decoder,
    *,
    kinds: Sequence[bool] | None = None,
    window: int | None = None,
    rotary_dim: int | None = None,
) -> Model:
    """A stack of full and (``kinds``) windowed layers between its ends."""
    kinds = [False] * c.num_hidden_layers if kinds is None else kinds
    heads = c.num_attention_heads
    sections, counts = layer_sections(kinds, layer)
    sizes = numbers(
        hidden=c.hidden_size,
        intermediate=c.intermediate_size,
        heads=heads,
        kv_heads=grouped(heads, c.num_key_value_heads or heads),
        head_dim=head_size(c),
        vocab=c.vocab_size,
        window=window if any(kinds) else None,
        rotary_dim=rotary_dim,
    )
    return assemble(name, c.model_type, ends.around(sections), counts, sizes)
