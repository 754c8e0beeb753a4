"""Layers that run several times in a pass with the same weights: hrm_text and dory.

Each run has keys and values of its own.
"""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import field, structs
from sympy import sympify

from lifesym import symbols as sym
from lifesym.blocks import Block, LearnedState, Loop, NormSpec
from lifesym.families.base import Count, Family, StackConfig, Whole, refuse
from lifesym.families.decoder import Ends, attention, decoder, layer, mlp, sized, windows
from lifesym.families.llama import BiasedConfig
from lifesym.families.sections import sections_of
from lifesym.model import Model, Section

PLAIN = NormSpec(features=sym.hidden, affine=False)


class HrmConfig(StackConfig, kw_only=True):
    """``num_hidden_layers`` is the depth of a stack, or that of all runs where both are given."""

    intermediate_size: Count
    head_dim: Count = 128
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    high_cycles: Count = field(name="H_cycles", default=2)
    low_cycles: Count = field(name="L_cycles", default=3)
    num_layers_per_stack: Count | None = None


class DoryConfig(BiasedConfig, kw_only=True):
    """Released files list attention and MLP as layers of their own: two of them are one layer."""

    num_key_value_heads: Count = 4
    head_dim: Count = 256
    sliding_window: Count = 1024
    layer_types: list[str] | None = None
    n_input_layers: Whole = 8
    n_recurrent_layers: Whole | None = None
    n_output_layers: Whole = 8
    n_recurrent_loops: Count = 2
    recurrent_kv_cache_mode: Literal["per_loop", "last_loop"] = "per_loop"


def hrm_text(c: HrmConfig, name: str) -> Model:
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
    bias = c.attention_bias
    mixer = attention(kv_heads=sym.heads, bias=bias, gate="element", gate_bias=bias)
    each = layer(mixer, mlp(c.hidden_act, bias=c.mlp_bias), PLAIN)

    def stack(label: str, turns: int) -> Section:
        count = sym.layers * turns
        return Section(label=label, count=count, block=each, shared=True, copies=sym.layers)

    sections = (
        Section(label="start", count=1, block=LearnedState(hidden=sym.hidden)),
        stack("low_layers", high * low),
        stack("high_layers", high),
        Section(label="loops", count=runs, block=Loop(hidden=sym.hidden, norm=PLAIN)),
    )
    ends = Ends(norm=None, scaled=True)
    around = ends.around(sections, tied=c.tie_word_embeddings)
    return sized(c, name, around, layers=depth)


def _halved(c: DoryConfig) -> DoryConfig:
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


def dory(c: DoryConfig, name: str) -> Model:
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
    block = mlp(c.hidden_act, bias=c.mlp_bias, gains=True, inner_norm=True)
    after = {"mixer_post_norm": PLAIN, "mlp_post_norm": PLAIN}
    layers = [
        layer(
            attention(
                bias=c.attention_bias,
                window=span,
                qk_norm="plain",
                query_scaled=True,
                gate="element",
                out_norm=True,
                gains=True,
            ),
            block,
            PLAIN,
            scaled=True,
            gains=sym.hidden,
            blended=True,
            **after,
        )
        for span in windows(c, c.sliding_window, lambda i: (i + 1) % 4 != 0)
    ]
    turns, between = c.n_recurrent_loops, Loop(hidden=sym.hidden, norm=PLAIN)
    entry = Loop(hidden=sym.hidden, norm=PLAIN, summed_up=False)
    before = (
        Section(label="loop_input", count=1, block=entry),
        Section(label="loops", count=turns, block=between),
        *_looped(layers[first : first + inner], turns),
    )
    ends = Ends(norm=PLAIN, head_scaled=True, head={"gains": True}, before=before)
    return decoder(c, name, layers[:first] + layers[first + inner :], ends)


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


FAMILIES = {
    "hrm_text": Family(
        HrmConfig,
        hrm_text,
        "hrm-text-1b",
        ignored="L_bp_cycles embedding_scale num_key_value_heads prefix_lm",
    ),
    "dory": Family(DoryConfig, dory, "dory-4b", ignored="ngpt_alpha_init"),
}
