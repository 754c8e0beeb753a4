"""Layers between several residual streams: hyper-connections (DeepSeek V4, Hy V4).

A block reads a weighted sum of the streams and every stream gets a weighted part of what it gives.
The streams begin as copies of the embedding, which is not counted. Sources: arXiv 2409.19606,
section 2; arXiv 2512.24880; transformers 5.24, ``deepseek_v4`` and ``hy_v4``.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, Integer

from lifesym.blocks.base import Block, Emitted, NormSpec
from lifesym.operators import CollapseStreams, Linear, Norm, SpreadStreams, StreamWeights
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class HyperLayer(Block):
    """Mixer and feed-forward block, each between a sum of the streams and the streams.

    Attributes:
        hidden: size of a stream.
        streams: how many there are.
        mixer: the attention.
        mlp: the feed-forward block.
        norm: norm of what each of them reads.
        rounds: normalizations of rows and columns of the matrix that mixes what is kept of the
            streams; None: they are kept as they are.
    """

    hidden: Size
    streams: Size
    mixer: Block
    mlp: Block
    norm: NormSpec
    rounds: Size | None = None

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = (
        "hyper_norm hyper_proj hyper_weights hyper_collapse hyper_spread attn_norm mlp_norm"
    )

    def operators(self, step: ForwardPass) -> Emitted:
        """The sum, norm, block and spread of the mixer, then of the feed-forward block."""
        tokens, mixed = step.tokens, self.rounds is not None
        spread = SpreadStreams(tokens=tokens, hidden=self.hidden, streams=self.streams, mixed=mixed)
        for name, block in (("attn", self.mixer), ("mlp", self.mlp)):
            yield from _collapse(self.hidden, self.streams, tokens, "hyper", self.rounds)
            yield f"{name}_norm", self.norm.over(tokens)
            yield from block.operators(step)
            yield "hyper_spread", spread


@dataclass(frozen=True, kw_only=True)
class CollapsedStreams(Block):
    """Before the head: a weighted sum of the streams.

    Attributes:
        hidden: size of a stream.
        streams: how many there are.
    """

    hidden: Size
    streams: Size

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "streams_norm streams_proj streams_weights streams_collapse"

    def operators(self, step: ForwardPass) -> Emitted:
        """Norm, projection, weights, sum."""
        yield from _collapse(self.hidden, self.streams, step.tokens, "streams", None, last=True)


def _collapse(
    hidden: Size,
    streams: Size,
    tokens: Expr,
    name: str,
    rounds: Size | None,
    *,
    last: bool = False,
) -> Emitted:
    """The sum of the streams, by weights that are projected from all of them."""
    wide, mixed = streams * hidden, rounds is not None
    yield f"{name}_norm", Norm(rows=tokens, features=wide, affine=False)
    weights = (1 if last else 2) * streams + (streams**2 if mixed else 0)
    project = Linear(tokens=tokens, in_features=wide, out_features=weights, bias=True)
    yield f"{name}_proj", project
    yield (
        f"{name}_weights",
        StreamWeights(
            tokens=tokens,
            streams=streams,
            rounds=Integer(1) if rounds is None else rounds,
            spread=not last,
            mixed=mixed,
        ),
    )
    yield f"{name}_collapse", CollapseStreams(tokens=tokens, hidden=hidden, streams=streams)
