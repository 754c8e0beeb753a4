"""Stacks whose layers differ in two ways at once: in their mixer, and in their MLP."""

from collections.abc import Callable, Sequence

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.model import Section


def mixed_sections(
    full: Sequence[bool],
    dense: Sequence[bool],
    make: Callable[[bool, bool], Block],
    other: str = "recurrent",
) -> tuple[tuple[Section, ...], dict[Symbol, int]]:
    """Sections of the up to four kinds of layer, with the values of their counts.

    ``full`` says which layers attend to everything (``other`` names the rest), ``dense`` which
    have an ordinary MLP (the others experts); ``make`` builds the layer of a kind. A count has a
    symbol of its own only where it does not follow from the others.
    """
    values: dict[Symbol, int] = {sym.layers: len(full)}

    def count(part: Sequence[bool], symbol: Symbol) -> Expr:
        if sum(part) in (0, len(part)):
            return sym.layers if any(part) else S.Zero
        values[symbol] = sum(part)
        return symbol

    kinds = list(zip(full, dense, strict=True))
    attend, plain = count(full, sym.full_layers), count(dense, sym.dense_layers)
    both = kinds.count((True, True))
    if both in (0, sum(full), sum(dense)):
        shared = S.Zero if both == 0 else attend if both == sum(full) else plain
    else:
        shared = count([all(kind) for kind in kinds], sym.full_dense_layers)
    counts = {
        (False, True): plain - shared,
        (False, False): sym.layers - attend - plain + shared,
        (True, True): shared,
        (True, False): attend - shared,
    }
    return tuple(
        Section(label=_label(kind, kinds, other), count=expr, block=make(*kind))
        for kind, expr in counts.items()
        if kind in kinds
    ), values


def _label(kind: tuple[bool, bool], kinds: Sequence[tuple[bool, bool]], other: str) -> str:
    """The part of the name that tells a kind of layer from the others there are."""
    names = ((other, "full"), ("expert", "dense"))
    told = [
        pair[own]
        for pair, own, every in zip(names, kind, zip(*kinds, strict=True), strict=True)
        if len(set(every)) > 1
    ]
    return "_".join([*told, "layers"])
