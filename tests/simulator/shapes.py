"""What a model is made of, as the walk needs it: sizes, and one description a layer."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer; equal ones are of a kind."""

    window: int | None = None
    chunked: bool = False
    rotary: int = 0
    norms: str = ""
    """Of queries and keys: over each head (``head``, without gains ``plain``), or over ``all``."""
    queries_scaled: bool = False
    experts: bool = False
    choice: str = ""
    """Of the keys: its ``own``, an ``earlier`` layer's, or none."""


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """Small heads that score every key; each query attends to the ``top`` best ones.

    In blocks of several keys each head scores for a head of keys, and chooses blocks: the query's
    own, of which it sees what is before it, and others.
    """

    heads: int
    size: int
    top: int
    block: int = 1
    rotated: int = 0


@dataclass(frozen=True, kw_only=True)
class Latent:
    """Latent attention; ``queries`` is the rank of compressed ones."""

    queries: int | None
    rank: int
    plain: int
    rotated: int
    value: int
    bias: bool = False


@dataclass(frozen=True, kw_only=True)
class Experts:
    """Routed experts, and shared ones of ``shared`` elements together."""

    count: int
    chosen: int
    wide: int
    bias: bool = False
    router_bias: bool = False
    sigmoid: bool = False
    shared: int | None = None
    shared_gate: bool = False


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    wide: int
    layers: tuple[Layer, ...]
    activation: str
    tied: bool
    gated: bool = True
    norm: str = "rms"
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    joint_qkv: bool = False
    joint_gate_up: bool = False
    parallel: bool = False
    mlp_norm: bool = True
    post_norms: bool = False
    final_norm: bool = True
    embedding_norm: bool = False
    embedding_scaled: bool = False
    embedding_width: int | None = None
    positions: int | None = None
    alibi: bool = False
    sinks: bool = False
    capped_scores: bool = False
    capped_logits: bool = False
    latent: Latent | None = None
    chooser: Chooser | None = None
    experts: Experts | None = None


NORM_OPERATIONS = {"rms": 4, "layer": 8, "bare": 8, "bare_rms": 4}
NORM_VECTORS = {"rms": 1, "layer": 2, "bare": 0, "bare_rms": 0}
OPERATIONS = {
    **{"relu": 1, "relu2": 2, "silu": 4, "gelu": 5, "gelu_tanh": 9, "quick_gelu": 5},
    **{"sigmoid": 3, "tanh": 1},
}
"""Of an activation function, an element: the convention of the docs."""


def up(quotient: Fraction | int) -> int:
    """Rounded up."""
    return -(-Fraction(quotient) // 1)
