"""Sizes: where configs have them (``specs/size_keys.toml``), and those that follow from others."""

from functools import cache

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.families.base import Config, expect, grouped, per_head, refuse, rotated
from lifesym.specs import read_toml, root


def size_of(c: Config, size: str) -> int:
    """The number of a size under the usual keys of a config."""
    match size:
        case "kv_heads":
            heads: int = c.num_attention_heads
            return grouped(heads, c.num_key_value_heads or heads)
        case "head_dim":
            return head_size(c)
        case "shared_intermediate":
            return shared_size(c)
        case "rotary_dim" if getattr(c, "rotary_dim", None) is None:
            return rotated(head_size(c), c.partial_rotary_factor)
    number = _given(c, size)
    refuse(number is None, f"missing key '{_keys().get(size, [size])[0]}'")
    return int(number or 0)


@cache
def _keys() -> dict[str, list[str]]:
    return read_toml(root() / "size_keys.toml")


def _given(c: Config, size: str) -> int | None:
    """The number under the first of the keys for a size that a config has."""
    given = (getattr(c, key, None) for key in _keys().get(size, [size]))
    return next((number for number in given if number is not None), None)


def head_size(c: Config) -> int:
    """The size of a head: given, or hidden / heads."""
    given: int | None = getattr(c, "head_dim", None)
    return given or per_head(c.hidden_size, c.num_attention_heads)


def rounded_head(c: Config) -> int:
    """Hidden / heads, rounded down as some classes do that take no remainder for a fault."""
    size: int = c.hidden_size // c.num_attention_heads
    refuse(size == 0, f"key 'hidden_size': {c.hidden_size} is less than num_attention_heads")
    return size


def turned(c: Config, *, pairs: bool = False) -> Symbol:
    """The rotated elements of a head by ``partial_rotary_factor``: all of them, or some.

    Raises:
        SpecError: a factor not in (0, 1]; with ``pairs``: an odd number, with which some of the
            classes make a head longer.
    """
    size, factor = head_size(c), c.partial_rotary_factor
    elements = int(size * factor)
    refuse(
        pairs and elements % 2 != 0,
        f"key 'partial_rotary_factor': {factor} rotates {elements}, no pairs",
    )
    return sym.head_dim if rotated(size, factor) == size else sym.rotary_dim


def own_keys(c: Config) -> None:
    """Refuse fewer heads of keys than of queries, which latent attention does not have."""
    expect(
        c, "num_key_value_heads", c.num_attention_heads, "latent attention has one for each head"
    )


def shared_size(c: Config) -> int:
    """The size of the shared experts together: given, or so many of the others."""
    given = _given(c, "shared_intermediate")
    if given is None:
        return (_given(c, "shared_experts") or 0) * int(c.moe_intermediate_size)
    return given
