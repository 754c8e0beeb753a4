"""Llama and its closest kin: mistral, ministral, qwen2, qwen3, phi3.

Pre-norm decoders with RMSNorm, rotary positions, grouped queries and a gated MLP. They differ
in biases, windows, norms of queries and keys, and fused projections.
"""

from typing import Any

from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.parts import attention, layer, mlp
from lifesym.families.patterns import windows
from lifesym.families.sizes import turned
from lifesym.model import Model


def llama(c: Config) -> Model:
    """Llama 1 to 3 and models that reuse the class."""
    return decoder(c, layer(attention(c), mlp(c)))


def internlm3(c: Config) -> Model:
    """InternLM 3: Llama, with all biases or none."""
    refuse(c.attention_bias != c.mlp_bias, "keys 'qkv_bias' and 'bias' disagree")
    return llama(c)


def mistral(c: Config) -> Model:
    """Mistral: every layer has the window, where one is given."""
    return decoder(c, [layer(attention(window=span), mlp(c)) for span in windows(c, alike=True)])


def ministral(c: Config) -> Model:
    """Ministral: Mistral whose layers may have windows or not, each as listed."""
    return decoder(c, [layer(attention(window=span), mlp(c)) for span in windows(c)])


def _qwen(c: Config, **options: Any) -> Model:
    refuse(
        c.use_sliding_window and c.sliding_window == 0,
        "key 'sliding_window': 0 with 'use_sliding_window'",
    )
    if not c.use_sliding_window:
        c.sliding_window = None
    spans = windows(c, lambda i: i >= c.max_window_layers)
    return decoder(c, [layer(attention(window=span, **options), mlp(c)) for span in spans])


def qwen2(c: Config) -> Model:
    """Qwen 1.5 to 2.5: biases on queries, keys and values."""
    return _qwen(c, qkv_bias=True)


def qwen3(c: Config) -> Model:
    """Qwen 3: queries and keys are normalized over each head."""
    return _qwen(c, bias=c.attention_bias, qk_norm="head")


def phi3(c: Config) -> Model:
    """Phi 3 and 4: fused QKV, fused gate and up, partial rotary embedding."""
    layers = [
        layer(attention(fused=True, rotary_dim=turned(c), window=span), mlp(c, fused=True))
        for span in windows(c, alike=True)
    ]
    return decoder(c, layers)
