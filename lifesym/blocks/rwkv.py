"""The blocks of RWKV-4: time mixing in place of attention, channel mixing in place of an MLP."""

from dataclasses import dataclass
from typing import ClassVar

from lifesym.blocks.base import Block, Emitted
from lifesym.operators import WKV, Activation, Linear, TokenShift
from lifesym.symbols import Size
from lifesym.trace import ForwardPass


@dataclass(frozen=True, kw_only=True)
class TimeMix(Block):
    """Token shift, three projections, WKV, receptance gate, output.

    Attributes:
        hidden: size of input and output.
        channels: size in between.
    """

    hidden: Size
    channels: Size

    split: ClassVar[tuple[str, ...]] = ("channels",)
    repeated: ClassVar[str] = "time_mix:shift"

    def operators(self, step: ForwardPass) -> Emitted:
        """All of it."""
        tokens = step.tokens
        shape = {"batch": step.batch, "new": step.new}
        yield "time_mix:shift", TokenShift(**shape, features=self.hidden, mixes=3)
        for part in ("key", "value", "receptance"):
            projection = Linear(tokens=tokens, in_features=self.hidden, out_features=self.channels)
            yield f"time_mix:{part}", projection
        yield "time_mix:wkv", WKV(**shape, channels=self.channels)
        gate = Activation(elements=tokens * self.channels, function="sigmoid", gated=True)
        yield "time_mix:gate", gate
        out = Linear(tokens=tokens, in_features=self.channels, out_features=self.hidden)
        yield from self.summed("time_mix:output", out, tokens * self.hidden)


@dataclass(frozen=True, kw_only=True)
class ChannelMix(Block):
    """Token shift, a squared-ReLU MLP, receptance gate.

    Attributes:
        hidden: size of input and output.
        intermediate: size in between.
    """

    hidden: Size
    intermediate: Size

    split: ClassVar[tuple[str, ...]] = ("intermediate",)
    repeated: ClassVar[str] = "channel_mix:shift channel_mix:receptance channel_mix:gate"

    def operators(self, step: ForwardPass) -> Emitted:
        """All of it."""
        tokens, hidden, wide = step.tokens, self.hidden, self.intermediate
        shift = TokenShift(batch=step.batch, new=step.new, features=hidden, mixes=2)
        yield "channel_mix:shift", shift
        key = Linear(tokens=tokens, in_features=hidden, out_features=wide)
        yield "channel_mix:key", key
        yield "channel_mix:act", Activation(elements=tokens * wide, function="relu2")
        value = Linear(tokens=tokens, in_features=wide, out_features=hidden)
        yield from self.summed("channel_mix:value", value, tokens * hidden)
        receptance = Linear(tokens=tokens, in_features=hidden, out_features=hidden)
        yield "channel_mix:receptance", receptance
        gate = Activation(elements=tokens * hidden, function="sigmoid", gated=True)
        yield "channel_mix:gate", gate
