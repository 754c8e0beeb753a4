"""OLMo 1 to 3 and EXAONE 4: norms without gains, or norms of what attention and MLP give."""

from typing import Literal

from sympy import Expr

from lifesym import symbols as sym
from lifesym.blocks import DecoderLayer, NormSpec
from lifesym.families.base import Count, Decoder, Family, Whole, layer_kinds, refuse
from lifesym.families.hybrid import attention
from lifesym.families.llama import WINDOW, LlamaConfig
from lifesym.families.stacked import RMS, mlp, stacked
from lifesym.model import Model


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
    bias = c.attention_bias

    def layer(_: Expr | None) -> DecoderLayer:
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=attention(rotary_dim=sym.head_dim, qkv_bias=bias, out_bias=bias),
            mlp=mlp(c),
            mixer_norm=norm,
            mlp_norm=norm,
        )

    return stacked(c, name, layer, Decoder(norm=norm, tied=c.tie_word_embeddings))


def _after(
    c: LlamaConfig,
    name: str,
    qk_norm: Literal["head", "all"],
    kinds: list[bool] | None = None,
    window: int | None = None,
    *,
    whole_turns: bool = True,
) -> Model:
    """Norms of the outputs of attention and MLP, none of their inputs."""
    bias = c.attention_bias

    def layer(window: Expr | None) -> DecoderLayer:
        turns = whole_turns or window is not None
        return DecoderLayer(
            hidden=sym.hidden,
            mixer=attention(
                rotary_dim=sym.head_dim if turns else 0,
                qk_norm=qk_norm,
                qkv_bias=bias,
                out_bias=bias,
                window=window,
            ),
            mlp=mlp(c),
            mixer_norm=None,
            mixer_post_norm=RMS,
            mlp_post_norm=RMS,
        )

    ends = Decoder(norm=RMS, tied=c.tie_word_embeddings)
    return stacked(c, name, layer, ends, kinds=kinds, window=window)


def olmo2(c: Olmo3Config, name: str) -> Model:
    """OLMo 2: norms after attention and MLP and of all heads together; OLMo 3: with windows."""
    if c.model_type == "olmo2":
        return _after(c, name, "all")
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % 4 != 0
    )
    return _after(c, name, "all", kinds, c.sliding_window)


def exaone4(c: Exaone4Config, name: str) -> Model:
    """EXAONE 4: norms after attention and MLP; beside windowed layers full ones rotate nothing."""
    refuse(c.attention_bias, "key 'attention_bias': true is not modelled")
    pattern = c.sliding_window_pattern
    if isinstance(pattern, str):
        refuse(c.layer_types is None, "key 'layer_types': needed with a 'sliding_window_pattern'")
    period = pattern if isinstance(pattern, int) and pattern > 0 else 1
    kinds = layer_kinds(
        c.layer_types, c.num_hidden_layers, c.sliding_window, lambda i: (i + 1) % period != 0
    )
    return _after(c, name, "head", kinds, c.sliding_window, whole_turns=c.sliding_window is None)


FAMILIES = {
    "olmo": Family(OlmoConfig, olmo, "olmo-7b"),
    "olmo2": Family(Olmo3Config, olmo2, "olmo-2-1b", kin=("olmo3",)),
    "exaone4": Family(Exaone4Config, exaone4, "exaone-4.0-32b"),
}
