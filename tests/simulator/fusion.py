"""The rules of fusion: which neighbours become one kernel, and what it still moves."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby

from simulator.kernels import Kernel, Read, joined
from simulator.shapes import up

CORE = ("attn_qk", "attn_softcap", "attn_alibi", "kv_ranking", "attn_softmax", "attn_av")
SIDE_BY_SIDE = {
    "qkv": (("attn_q", "attn_k", "attn_v"), "attn_qkv_fused"),
    "gate_up": (("mlp_gate", "mlp_up"), "mlp_gate_up_fused"),
}
BEFORE_ACTIVATION = ("mlp_gate", "mlp_up", "mlp_gate_up_fused")


def fused(kernels: Sequence[Kernel], rules: Sequence[str], tile: int | None) -> list[Kernel]:
    """The kernels after the rules, one rule after the other, place by place."""
    result = list(kernels)
    for rule in rules:
        made: list[Kernel] = []
        for _, run in groupby(result, key=lambda k: k.place):
            made += _apply(rule, list(run), tile)
        result = made
    return result


def _apply(rule: str, kernels: list[Kernel], tile: int | None) -> list[Kernel]:
    if rule == "layer":
        return kernels if kernels[0].place in ("embed", "head") else [_layer(kernels)]
    made: list[Kernel] = []
    while kernels:
        count = _neighbours(rule, [k.name for k in kernels])
        run, kernels = kernels[:count], kernels[count:]
        made.append(_one(rule, run, tile) if count > 1 else run[0])
    return made


def _neighbours(rule: str, names: list[str]) -> int:
    """How many kernels from the first one on the rule makes one of; 1: none."""
    if rule == "norm":
        return 2 if names[:2] == ["attn_residual", "mlp_norm"] else 1
    members = {"flash": CORE, "activation": BEFORE_ACTIVATION}.get(rule) or SIDE_BY_SIDE[rule][0]
    count = next((i for i, name in enumerate(names) if name not in members), len(names))
    if rule == "activation":  # it runs where its input was made, or nothing is fused
        follows = count > 0 and names[count : count + 1] == ["mlp_act"]
        return count + 1 if follows else 1
    return max(count, 1)


def _one(rule: str, run: list[Kernel], tile: int | None) -> Kernel:
    last = run[-1].writes
    if rule == "flash":
        core = joined(run, "attn_core", lambda t: t in last)
        if tile is not None:
            again = [replace(f, times=up(Fraction(f.queries, tile))) for f in core.fetches]
            core = replace(core, fetches=again)
        return core
    if rule == "activation":
        return joined(run, "mlp_up_act", lambda t: t in last)
    name = SIDE_BY_SIDE[rule][1] if rule in SIDE_BY_SIDE else "attn_residual_norm"
    return joined(run, name, lambda _: True)


def _layer(run: list[Kernel]) -> Kernel:
    """Of activations only the stream moves: in, and out."""
    stream = run[-1].writes[-1]
    whole = joined(run, "layer", lambda t: t is stream)
    return replace(whole, reads=[Read(stream, stream.elements)], aside=0)
