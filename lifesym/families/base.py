"""What the families share: checks of their configs, and how a layer stack is put together."""

import json
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from lifesym.errors import SpecError
from lifesym.model import Model
from lifesym.operators.activation import ACTIVATION_OPS

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
    """Keys of a config that decide the arithmetic, as published: `lifesym.families.records`."""

    model_type: str

    if TYPE_CHECKING:  # a type's keys are those of its table

        def __getattr__(self, key: str) -> Any: ...
        def __setattr__(self, key: str, value: Any) -> None: ...


class Family(msgspec.Struct, frozen=True):
    """How a family's config becomes a model: see `lifesym.families.records.Table`."""

    config: type[Config]
    build: Callable[[Config], Model]
    example: str
    aliases: dict[str, str] = {}
    ignored: str = ""
    kin: tuple[str, ...] = ()
    nulls: str = ""
    only: dict[str, Any] = {}
    why: dict[str, str] = {}

    def model(self, config: Config) -> Model:
        """The model of a config.

        Raises:
            SpecError: a value that is not modelled.
        """
        for key, right in self.only.items():
            expect(config, key, right, self.why.get(key, ""))
        return self.build(config)


def refuse(condition: bool, message: str) -> None:
    """Raise `SpecError` for a value that changes the arithmetic in a way not modelled."""
    if condition:
        raise SpecError(message)


def expect(c: Config, key: str, right: Any, why: str = "") -> None:
    """Refuse a key that is given, and not as it must be; one in a table has its path."""
    given: Any = reduce(lambda part, name: getattr(part, name, right), key.split("."), c)
    said, only = (repr(v) if isinstance(v, str) else json.dumps(v) for v in (given, right))
    reason = f": {why}" if why else ""
    refuse(given not in (None, right), f"key {key!r}: {said} is not modelled, only {only}{reason}")


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


def rotated(head_dim: int, factor: float) -> int:
    """The rotated elements of a head for a partial rotary factor between 0 and 1: whole pairs."""
    refuse(not 0 < factor <= 1, f"key 'partial_rotary_factor': {factor} is not in (0, 1]")
    turned = int(head_dim * factor)
    turned += turned % 2  # the code has an angle for an odd element, which it takes for a pair
    refuse(turned > head_dim, f"key 'head_dim': {head_dim} is odd: rotary positions turn pairs")
    return turned
