r"""The operators of RWKV-4: token shift and the WKV recurrence."""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Expr, S

from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators.base import Direction
from lifesym.operators.recurrent import RecentInputs, Recurrent
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class TokenShift(RecentInputs):
    r"""Blends of each token with the one before, $\mu \odot x_t + (1 - \mu) \odot x_{t-1}$.

    There are ``mixes`` of them. vector_flops 3 a token, element and blend; $1 - \mu$, once a pass,
    is not counted. The state is the last token.

    >>> from lifesym import symbols as sym
    >>> op = TokenShift(batch=1, new=sym.new, features=sym.hidden, mixes=3)
    >>> op.cost(Precision.of()).vector_flops, op.parameters
    (9*hidden*new_tokens, 3*hidden)
    """

    features: Size
    mixes: Size

    counted: ClassVar[str] = "3 an element and blend: two products, a sum"
    reference: ClassVar[str] = "Peng et al., arXiv 2305.13048, section 3.1.1"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "new": "+",
        "features": "+",
        "mixes": "+",
    }

    @property
    def parameters(self) -> Expr:
        """A weight an element and blend."""
        return self.mixes * self.features

    @property
    def state_elements(self) -> Expr:
        """The last token."""
        return self.features

    def cost(self, precision: Precision) -> Cost:
        """Reads the tokens once and writes every blend."""
        elements = self.new * self.features
        return self.priced(
            precision,
            macs=S.Zero,
            ops=3 * self.mixes * elements,
            reads=self.features,
            writes=self.mixes * self.features,
        )


@dataclass(frozen=True, kw_only=True)
class WKV(Recurrent):
    r"""The weighted average of all values so far, its weights decaying with time.

    $$wkv_t = \frac{e^{u + k_t} v_t + a_{t-1}}{e^{u + k_t} + b_{t-1}}, \quad
    a_t = e^{-w} a_{t-1} + e^{k_t} v_t, \quad b_t = e^{-w} b_{t-1} + e^{k_t}$$

    with the largest exponent kept apart: 23 vector_flops a token and channel, 12 for the output
    (sum, maximum, two differences, two exponentials, 3 + 2 for numerator and denominator,
    division) and 11 for the state (the same but for the division). The state is three
    numbers a channel: a, b and the exponent.

    >>> from lifesym import symbols as sym
    >>> WKV(batch=1, new=sym.new, channels=sym.hidden).cost(Precision.of()).vector_flops
    23*hidden*new_tokens
    """

    channels: Size

    counted: ClassVar[str] = "23 a channel: 12 for the output, 11 for the state"
    reference: ClassVar[str] = (
        "Peng et al., arXiv 2305.13048, section 3.1.2 (as an RNN cell: appendix)"
    )
    monotone: ClassVar[dict[str, Direction]] = {"batch": "+", "new": "+", "channels": "+"}

    @property
    def parameters(self) -> Expr:
        """The decay w and the bonus u of every channel."""
        return 2 * self.channels

    @property
    def state_elements(self) -> Expr:
        """Numerator, denominator and exponent."""
        return 3 * self.channels

    def cost(self, precision: Precision) -> Cost:
        """Reads keys and values of every token."""
        elements = self.new * self.channels
        return self.priced(
            precision,
            macs=S.Zero,
            ops=23 * elements,
            reads=2 * self.channels,
            writes=self.channels,
        )
