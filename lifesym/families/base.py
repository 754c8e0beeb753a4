"""What the families share: checks of their configs, and how a layer stack is put together."""

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Annotated, Any, TypeVar

import msgspec

from lifesym.errors import SpecError
from lifesym.model import Model
from lifesym.operators.activation import ACTIVATION_OPS

Kind = TypeVar("Kind")

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""A size that may be zero."""
Count = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
"""A size in a config: at least one, and not absurd."""

ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python": "gelu",
    "gelu_10": "gelu",
    "swish": "silu",
}
"""Hugging Face names of activation functions that are spelt otherwise here."""


class Config(msgspec.Struct, kw_only=True):
    """Keys of a config that decide the arithmetic; a subclass a family, keys as published."""

    model_type: str


class StackConfig(Config, kw_only=True):
    """Keys that nearly all of them have."""

    vocab_size: Count
    hidden_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count


class Family(msgspec.Struct, frozen=True):
    """How a family's config becomes a model.

    Attributes:
        config: the keys that decide the arithmetic.
        build: from a checked config and a name to the model.
        example: a config in the database that has the family's usual structure.
        aliases: other spellings of keys.
        ignored: keys, separated by spaces, that change nothing in this family.
        kin: other model types whose configs are read in the same way.
        nulls: keys whose null is false to the class, or not given where they are no switch.
    """

    config: type[Config]
    build: Callable[[Any, str], Model]
    example: str
    aliases: dict[str, str] = {}
    ignored: str = ""
    kin: tuple[str, ...] = ()
    nulls: str = ""


def activation(name: str, key: str = "hidden_act") -> str:
    """Our name of a Hugging Face activation function, which the config has under that key.

    Raises:
        SpecError: a function whose operations are not counted yet.
    """
    ours = ACTIVATIONS.get(name, name)
    named = set(ACTIVATION_OPS) - {"gaussian_topk"}  # no config names this step of a sparse gate
    if ours not in named:
        known = ", ".join(sorted({*named, *ACTIVATIONS}))
        raise SpecError(f"key {key!r}: {name!r} is not modelled (known: {known})")
    return ours


def per_head(
    hidden: int, heads: int, key: str = "hidden_size", by: str = "num_attention_heads"
) -> int:
    """The head size that a config leaves to be hidden size / heads; their keys for the error.

    Raises:
        SpecError: the hidden size is not divisible.
    """
    if hidden % heads:
        raise SpecError(f"key {key!r}: {hidden} is not divisible by {by} = {heads}")
    return hidden // heads


def grouped(
    heads: int, kv_heads: int, key: str = "num_key_value_heads", by: str = "num_attention_heads"
) -> int:
    """The number of key-value heads, which must divide the query heads; their keys for the error.

    Raises:
        SpecError: it does not.
    """
    if heads % kv_heads:
        raise SpecError(f"key {key!r}: {kv_heads} does not divide {by} = {heads}")
    return kv_heads


def refuse(condition: bool, message: str) -> None:
    """Raise `SpecError` for a value that changes the arithmetic in a way not modelled."""
    if condition:
        raise SpecError(message)


def rotated(head_dim: int, factor: float) -> int:
    """The rotated elements of a head for a partial rotary factor between 0 and 1: whole pairs."""
    refuse(not 0 < factor <= 1, f"key 'partial_rotary_factor': {factor} is not in (0, 1]")
    turned = int(head_dim * factor)
    turned += turned % 2  # the code has an angle for an odd element, which it takes for a pair
    refuse(turned > head_dim, f"key 'head_dim': {head_dim} is odd: rotary positions turn pairs")
    return turned


def listed(
    kinds: Sequence[str], layers: int, known: Mapping[str, Kind], key: str = "layer_types"
) -> list[Kind]:
    """What the words of a config's list stand for, one for each layer.

    Raises:
        SpecError: a list of another length than the layers, or a word that is not known.
    """
    each_layer(kinds, layers, key)
    for kind in kinds:
        refuse(kind not in known, f"key {key!r}: {kind!r} is not modelled")
    return [known[kind] for kind in kinds]


def each_layer(listed: Sized, layers: int, key: str) -> None:
    """Refuse a list that has no entry for each layer."""
    refuse(len(listed) != layers, f"key {key!r}: {len(listed)} entries for {layers} layers")


def layer_kinds(
    types: Sequence[str] | None,
    layers: int,
    window: int | None,
    default: Callable[[int], bool],
    *,
    alike: bool = False,
) -> list[bool]:
    """Which layers have a sliding window: from ``layer_types``, or by the family's rule.

    ``alike``: one mask serves all the layers of the family's code, so that it computes no mix.

    Raises:
        SpecError: a list of another length than the layers, an unknown type, a mix where layers
            are alike, no window, or one of a single token, which leaves no past to attend to.
    """
    if types is None:
        kinds = [window is not None and default(i) for i in range(layers)]
    else:
        kinds = listed(types, layers, {"full_attention": False, "sliding_attention": True})
    refuse(alike and len(set(kinds)) > 1, "key 'layer_types': layers are all of one type here")
    refuse(any(kinds) and window is None, "key 'sliding_window': needed by the sliding layers")
    refuse(any(kinds) and window == 1, "key 'sliding_window': a window of 1 is not modelled")
    return kinds
