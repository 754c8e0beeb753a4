"""Two token mixers side by side: attention and a state space over the same input (Falcon-H1)."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.attention import Attention
from lifesym.blocks.base import Block, Emitted
from lifesym.blocks.mamba2 import Mamba2
from lifesym.operators import Residual, Scale
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class ParallelMixers(Block):
    """Both mixers read the input and are added; constants scale their inputs, keys and outputs.

    Attributes:
        hidden: size of input and output.
        attention: the mixer with a growing cache.
        scan: the mixer with a state.
    """

    hidden: Size
    attention: Attention
    scan: Mamba2

    split: ClassVar[tuple[str, ...]] = ()
    repeated: ClassVar[str] = "mixer_scale attn_scale mixer_sum"

    def operators(self, step: ForwardPass) -> Emitted:
        """The scan, attention, their sum."""
        tokens = step.tokens
        scaled = Scale(elements=tokens * self.hidden)
        yield "mixer_scale", scaled
        yield from self.scan.operators(step)
        yield "mixer_scale", scaled
        yield "attn_scale", scaled
        keys = tokens * self.attention.kv_heads * self.attention.head_dim
        yield "attn_k_scale", Scale(elements=keys)
        yield from self.attention.operators(step)
        yield "attn_scale", scaled
        yield "mixer_sum", Residual(elements=tokens * self.hidden)
