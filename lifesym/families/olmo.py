"""OLMo 1 to 3 and EXAONE 4: norms without gains, or norms of what attention and MLP give."""

from collections.abc import Sequence
from typing import Any

from sympy import Symbol

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Count, Family, Whole, refuse
from lifesym.families.decoder import RMS, Ends, attention, decoder, layer, mlp, windows
from lifesym.families.llama import WINDOW, LlamaConfig
from lifesym.model import Model
from lifesym.symbols import Size


class OlmoConfig(LlamaConfig, kw_only=True):
    """Queries, keys and values may be clipped, which is not counted."""

    clip_qkv: float | None = None


class Olmo3Config(LlamaConfig, kw_only=True):
    """Three windowed layers to a full one, unless listed; OLMo 2 has no windows."""

    sliding_window: Count | None = WINDOW
    layer_types: list[str] | None = None


class Exaone4Config(Olmo3Config, kw_only=True):
    """The period of the full layers is a key of its own; heads may be of any size."""

    sliding_window_pattern: Whole | str | None = 4


def olmo(c: OlmoConfig, name: str) -> Model:
    """OLMo: LayerNorms without gains or offsets."""
    norm = NormSpec(features=sym.hidden, kind="layer", affine=False)
    each = layer(attention(bias=c.attention_bias), mlp(c.hidden_act), norm=norm)
    return decoder(c, name, [each] * c.num_hidden_layers, Ends(norm=norm))


def _after(
    c: LlamaConfig,
    name: str,
    spans: Sequence[Symbol | None],
    whole: Size = sym.head_dim,
    **options: Any,
) -> Model:
    """Norms of the outputs of attention and MLP, none of their inputs.

    ``whole``: how much of a head rotates where there is no window.
    """
    layers = [
        layer(
            attention(
                rotary_dim=sym.head_dim if span else whole,
                bias=c.attention_bias,
                window=span,
                **options,
            ),
            mlp(c.hidden_act),
            norm=None,
            mixer_post_norm=RMS,
            mlp_post_norm=RMS,
        )
        for span in spans
    ]
    return decoder(c, name, layers)


def olmo2(c: Olmo3Config, name: str) -> Model:
    """OLMo 2: norms after attention and MLP and of all heads together; OLMo 3: with windows."""
    spans: list[Symbol | None] = [None] * c.num_hidden_layers
    if c.model_type != "olmo2":
        spans = windows(c, c.sliding_window, lambda i: (i + 1) % 4 != 0)
    return _after(c, name, spans, qk_norm="all")


def exaone4(c: Exaone4Config, name: str) -> Model:
    """EXAONE 4: norms after attention and MLP; beside windowed layers full ones rotate nothing."""
    refuse(c.attention_bias, "key 'attention_bias': true is not modelled")
    pattern = c.sliding_window_pattern
    if isinstance(pattern, str):
        refuse(c.layer_types is None, "key 'layer_types': needed with a 'sliding_window_pattern'")
    period = pattern if isinstance(pattern, int) and pattern > 0 else 1
    spans = windows(c, c.sliding_window, lambda i: (i + 1) % period != 0)
    whole = sym.head_dim if c.sliding_window is None else 0
    return _after(c, name, spans, whole, qk_norm="head")


FAMILIES = {
    "olmo": Family(OlmoConfig, olmo, "olmo-7b"),
    "olmo2": Family(Olmo3Config, olmo2, "olmo-2-1b", kin=("olmo3",)),
    "exaone4": Family(Exaone4Config, exaone4, "exaone-4.0-32b"),
}
