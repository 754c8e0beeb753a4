"""OLMo 1 to 3 and hybrid, EXAONE 4: norms without gains, or of what attention and MLP give."""

from collections.abc import Sequence
from typing import Any

from msgspec import field
from sympy import Symbol

from lifesym import symbols as sym
from lifesym.blocks import NormSpec
from lifesym.families.base import Count, Family, Whole, listed, refuse
from lifesym.families.decoder import RMS, Ends, attention, decoder, layer, mlp, windows
from lifesym.families.llama import WINDOW, LlamaConfig
from lifesym.families.mamba import Kernel, check_groups
from lifesym.families.qwen_next import CHUNK, delta_net
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


class HybridConfig(LlamaConfig, kw_only=True):
    """Every fourth layer has attention unless listed; without a base nothing rotates.

    Key heads are three quarters of the hidden size together, values twice as wide, unless given.
    """

    linear_key_heads: Count | None = field(name="linear_num_key_heads", default=None)
    linear_value_heads: Count | None = field(name="linear_num_value_heads", default=None)
    linear_key_dim: Count | None = field(name="linear_key_head_dim", default=None)
    linear_value_dim: Count | None = field(name="linear_value_head_dim", default=None)
    conv_kernel: Kernel = field(name="linear_conv_kernel_dim", default=4)
    linear_allow_neg_eigval: bool = True
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = field(default_factory=lambda: {"rope_theta": 10000.0})


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


def olmo_hybrid(c: HybridConfig, name: str) -> Model:
    """OLMo hybrid: gated delta nets with norms before, OLMo 2's attention with norms after."""
    heads, depth, kinds = c.num_attention_heads, c.num_hidden_layers, ("linear", "full")
    types = c.layer_types or [f"{kinds[i % 4 == 3]}_attention" for i in range(depth)]
    if c.layer_types is None and "full_attention" not in types:
        types[-1] = "full_attention"
    refuse(len(set(types)) < 2, "key 'layer_types': both kinds of layers are needed")
    key_heads, value_heads = c.linear_key_heads or heads, c.linear_value_heads or heads
    key_dim = c.linear_key_dim or 3 * c.hidden_size // (4 * key_heads)
    refuse(key_dim == 0, f"key 'linear_num_key_heads': {key_heads} for {c.hidden_size} hidden")
    value_dim = c.linear_value_dim or 2 * key_dim
    check_groups(value_heads, key_heads)
    turned = sym.head_dim if (c.rope_parameters or {}).get("rope_theta") else 0
    full = attention(bias=c.attention_bias, qk_norm="all", rotary_dim=turned)
    scan = delta_net(c, inputs="six", negative=c.linear_allow_neg_eigval)
    block = mlp(c.hidden_act)
    layers = {
        "full_attention": layer(full, block, None, mixer_post_norm=RMS, mlp_post_norm=RMS),
        "linear_attention": layer(scan, block),
    }
    return decoder(
        c,
        name,
        listed(types, depth, layers),
        linear_key_heads=key_heads,
        linear_value_heads=value_heads,
        linear_key_dim=key_dim,
        linear_value_dim=value_dim,
        scan_chunk=CHUNK,
    )


_INITIAL = "linear_a_log_max linear_a_log_min linear_dt_init_floor linear_dt_max linear_dt_min"
"""How decays and time steps are drawn before training."""

FAMILIES = {
    "olmo": Family(OlmoConfig, olmo, "olmo-7b"),
    "olmo2": Family(Olmo3Config, olmo2, "olmo-2-1b", kin=("olmo3",)),
    "olmo_hybrid": Family(HybridConfig, olmo_hybrid, "olmo-hybrid-7b", ignored=_INITIAL),
    "exaone4": Family(Exaone4Config, exaone4, "exaone-4.0-32b"),
}
