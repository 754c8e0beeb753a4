"""Which layers are of which kind: as a config lists them, or by a rule."""

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TypeVar

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.families.base import Config, refuse

Kind = TypeVar("Kind")


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


def windows(
    c: Config, slides: Callable[[int], bool] = lambda _: True, *, alike: bool = False
) -> list[Symbol | None]:
    """The window of every layer, None for full attention: by ``layer_types``, or else by a rule.

    ``alike``: one mask serves all the layers of the family's code, so that it computes no mix.

    Raises:
        SpecError: a list of another length than the layers, an unknown type, a mix where layers
            are alike, or no window.
    """
    depth, window = c.num_hidden_layers, c.sliding_window
    rule = [sym.window if window is not None and slides(i) else None for i in range(depth)]
    spans = rule if c.layer_types is None else listed(c.layer_types, depth, _KINDS)
    refuse(alike and len(set(spans)) > 1, "key 'layer_types': layers are all of one type here")
    refuse(any(spans) and window is None, "key 'sliding_window': needed by the sliding layers")
    return spans


_KINDS = {"full_attention": None, "sliding_attention": sym.window}


def never(_: int) -> bool:
    """No layer by a rule: those that are listed alone."""
    return False


def still_layers(c: Config) -> list[bool]:
    """Which layers rotate nothing: those with 0 in ``no_rope_layers``, or else every n-th.

    Raises:
        SpecError: a list of another length than the layers.
    """
    depth, given = c.num_hidden_layers, c.no_rope_layers
    turns = given or [(i + 1) % c.no_rope_layer_interval for i in range(depth)]
    each_layer(turns, depth, "no_rope_layers")
    return [not turn for turn in turns]


def dense_layers(c: Config) -> list[bool]:
    """Which layers have no experts: those that are listed, or the first so many.

    Raises:
        SpecError: a list of another length than the layers, or an unknown word in it.
    """
    depth, words = c.num_hidden_layers, getattr(c, "mlp_layer_types", None)
    if words is None:
        first = getattr(c, "first_k_dense_replace", 1)
        return [i < first for i in range(depth)]
    return listed(words, depth, {"dense": True, "sparse": False}, "mlp_layer_types")


def sparse_steps(c: Config) -> list[bool]:
    """Which layers have no experts: those listed by number, and all but every n-th.

    Experts are in every ``decoder_sparse_step``-th layer that ``mlp_only_layers`` does not have.
    """
    only, step = set(c.mlp_only_layers or ()), c.decoder_sparse_step
    return [i in only or (i + 1) % step != 0 for i in range(c.num_hidden_layers)]
