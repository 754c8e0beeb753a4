"""Layers that run several times in a pass with the same weights: hrm_text and dory.

Each run has keys and values of its own.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sympy import sympify

from lifesym import symbols as sym
from lifesym.blocks import Block, LearnedState, Loop, NormSpec
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import Ends, decoder, once, sized
from lifesym.families.parts import attention, layer, mlp
from lifesym.families.patterns import windows
from lifesym.families.sections import sections_of
from lifesym.model import Model, Section

PLAIN = NormSpec(features=sym.hidden, affine=False)


def hrm_text(c: Config) -> Model:
    """HRM Text: a low stack of layers that runs several times between two runs of a high one.

    Attention is causal; a prompt whose tokens all see each other costs as much by ``full`` rows.
    """
    high, low = c.high_cycles, c.low_cycles
    runs, depth = high * (low + 1), c.num_layers_per_stack or c.num_hidden_layers
    refuse(
        c.num_layers_per_stack is not None and c.num_hidden_layers != depth * runs,
        f"key 'num_hidden_layers': {c.num_hidden_layers} should be num_layers_per_stack = {depth}"
        f" times {runs} runs",
    )
    mixer = attention(c, kv_heads=sym.heads, gate="element", gate_bias=c.attention_bias)
    each = layer(mixer, mlp(c), PLAIN)

    def stack(label: str, turns: int) -> Section:
        count = sym.layers * turns
        return Section(label=label, count=count, block=each, shared=True, copies=sym.layers)

    sections = (
        once("start", LearnedState(hidden=sym.hidden)),
        stack("low_layers", high * low),
        stack("high_layers", high),
        Section(label="loops", count=runs, block=Loop(hidden=sym.hidden, norm=PLAIN)),
    )
    ends = Ends(norm=None, scaled=True)
    return sized(c, ends.around(sections, c), layers=depth)


def _halved(c: Config) -> Config:
    """The config with attention and MLP counted as one layer."""
    sizes = ("num_hidden_layers", "n_input_layers", "n_recurrent_layers", "n_output_layers")
    if c.layer_types is None or "mlp" not in c.layer_types:
        return c
    refuse(
        len(c.layer_types) % 2 == 1 or set(c.layer_types[1::2]) != {"mlp"},
        "key 'layer_types': every second one should be 'mlp'",
    )
    values: dict[str, Any] = {key: getattr(c, key) for key in sizes}
    for key, value in values.items():
        refuse(value is not None and value % 2 == 1, f"key {key!r}: {value} is odd")
    halves = {key: value and value // 2 for key, value in values.items()}
    return structs.replace(c, layer_types=c.layer_types[::2], **halves)


def dory(c: Config) -> Model:
    """Dory: unit vectors that learned rates move, and layers between the others that run in loops.

    An update x becomes x + r (f(x) - x); queries, gates, both halves of the MLP and the logits
    are multiplied by learned vectors.
    """
    c = _halved(c)
    depth, first, last = c.num_hidden_layers, c.n_input_layers, c.n_output_layers
    inner = depth - first - last if c.n_recurrent_layers is None else c.n_recurrent_layers
    refuse(
        first + inner + last != depth or inner < 0,
        f"key 'n_recurrent_layers': {first} + {inner} + {last} are not {depth} layers",
    )
    refuse(
        c.recurrent_kv_cache_mode != "per_loop" and c.n_recurrent_loops > 1,
        "key 'recurrent_kv_cache_mode': 'last_loop' is not modelled",
    )
    refuse(inner in (0, depth), f"key 'n_recurrent_layers': {inner} of {depth} is not modelled")
    mixing: dict[str, Any] = {"qk_norm": "plain", "query_scaled": True, "gate": "element"}
    mixing |= {"out_norm": True, "gains": True}
    moved: dict[str, Any] = {"scaled": True, "gains": sym.hidden, "blended": True}
    moved |= {"mixer_post_norm": PLAIN, "mlp_post_norm": PLAIN}
    block = mlp(c, gains=True, inner_norm=True)
    layers = [
        layer(attention(c, window=span, **mixing), block, PLAIN, **moved)
        for span in windows(c, lambda i: (i + 1) % 4 != 0)
    ]
    turns, between = c.n_recurrent_loops, Loop(hidden=sym.hidden, norm=PLAIN)
    entry = Loop(hidden=sym.hidden, norm=PLAIN, summed_up=False)
    before = (
        once("loop_input", entry),
        Section(label="loops", count=turns, block=between),
        *_looped(layers[first : first + inner], turns),
    )
    ends = Ends(norm=PLAIN, head_scaled=True, head={"gains": True}, before=before)
    return decoder(c, layers[:first] + layers[first + inner :], ends)


def _looped(layers: Sequence[Block], turns: int) -> list[Section]:
    """The sections of layers that run so many times."""
    sections, values = sections_of(layers)
    numbers = {symbol: sympify(value) for symbol, value in values.items()}
    counts = [sympify(section.count).xreplace(numbers) for section in sections]
    return [
        Section(
            label=f"looped_{section.label}",
            count=turns * count,
            block=section.block,
            shared=True,
            copies=count,
        )
        for section, count in zip(sections, counts, strict=True)
    ]
