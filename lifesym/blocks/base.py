"""What every block is, what one of several devices holds of it, and the norms between blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import CeilDiv, Maximum
from lifesym.operators import (
    Activation,
    Collective,
    Embedding,
    Linear,
    LMHead,
    Norm,
    Operator,
)
from lifesym.symbols import Size
from lifesym.trace import ForwardPass

Emitted = Iterator[tuple[str, Operator]]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a model: it emits operators, and says what one of several devices has of it.

    Attributes:
        devices: how many share it; what they send each other is emitted where there are several.
    """

    devices: Size = 1

    split: ClassVar[tuple[str, ...] | None] = None
    """Sizes of which every device has an equal part; None where that is not known."""
    kept: ClassVar[tuple[str, ...]] = ()
    """Sizes of which it has an equal part, but always one: a head of keys is never split."""
    repeated: ClassVar[str] = ""
    """Names of its operators that every device does whole."""
    unshared: ClassVar[str] = ""
    """Of these, norms, sums and scales of which devices that share a sequence do not share the
    tokens: inside a block, of logits, or of no tokens."""

    def operators(self, step: ForwardPass) -> Emitted:
        """The operators of one pass, in order, each with its name."""
        raise NotImplementedError

    def part(self, n: Expr) -> Self:
        """What one of n devices has of it: a smaller block, which sums up what is partial.

        Raises:
            SymbolError: a size that does not divide, or a block that it is not known how to share.
        """
        if self.split is None:
            kind = type(self).__name__
            raise SymbolError(f"tensor parallelism: how devices would share {kind} is not known")
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        mine: dict[str, Any] = {
            name: share(self, name, n) for name in self.split if held[name] is not None
        }
        mine |= {name: at_least_one(self, name, n) for name in self.kept}
        mine |= {name: own.part(n) for name, own in held.items() if isinstance(own, Block)}
        return replace(self, **mine, devices=n)

    @cached_property
    def by_tokens(self) -> frozenset[str]:
        """Names of what every device repeats for every token, those in its blocks too."""
        held = (getattr(self, item.name) for item in fields(self))
        names = frozenset(self.repeated.split()) - frozenset(self.unshared.split())
        return names.union(*(own.by_tokens for own in held if isinstance(own, Block)))

    def summed(
        self, name: str, operator: Operator, elements: Expr, devices: Size | None = None
    ) -> Emitted:
        """An operator that gives each device a part of so many sums, and their all-reduce."""
        yield name, operator
        among = self.devices if devices is None else devices
        if among != 1:
            reduce = Collective(pattern="all_reduce", elements=elements, devices=among)
            yield f"{name}_all_reduce", reduce

    def looked_up(self, table: Embedding) -> Emitted:
        """The token embedding; of several devices each has some rows, rounded up."""
        mine = replace(table, rows=CeilDiv(table.rows, self.devices))
        yield from self.summed("embedding", mine, table.tokens * table.features)

    def gathered(self, head: LMHead) -> Emitted:
        """The LM head; of several devices each has its logits of some tokens, rounded up."""
        yield "lm_head", replace(head, vocab=CeilDiv(head.vocab, self.devices))
        if self.devices != 1:
            logits = head.tokens * head.vocab
            gather = Collective(pattern="all_gather", elements=logits, devices=self.devices)
            yield "lm_head_all_gather", gather


def share(owner: object, field: str, n: Size, name: str = "") -> Expr:
    """A device's equal part of a size.

    Raises:
        SymbolError: it does not divide.
    """
    whole: Any = sympify(getattr(owner, field))
    part: Expr = whole / n
    if part.is_Rational and not part.is_Integer:
        name = name or type(owner).__name__
        raise SymbolError(f"{name}: {field} = {whole} cannot be split over {n} devices")
    return part


def at_least_one(owner: object, field: str, n: Expr) -> Expr:
    """A device's part of what is never split itself: at least one, where there are any.

    Raises:
        SymbolError: neither their number nor that of the devices divides the other.
    """
    whole: Any = sympify(getattr(owner, field))
    if whole.is_Integer and n.is_Integer and whole % n != 0 and n % whole != 0:
        name = type(owner).__name__
        raise SymbolError(f"{name}: {field} = {whole} and {n} devices do not divide")
    return whole if whole in (S.Zero, S.One) else Maximum(S.One, whole / n)


def offset(tokens: Expr, features: Size) -> Embedding:
    """A learned vector that is added to every token: the one row of a table."""
    return Embedding(
        tokens=tokens, rows=S.One, features=features, added=True, whole=True, role="vector"
    )


@dataclass(frozen=True, kw_only=True)
class NormSpec:
    """A normalization over the hidden size (or another, with ``features``).

    ``gate``: its output is multiplied by sigmoids, by two projections from it through so many
    elements with a SiLU between them (A.X K2).
    """

    features: Size
    kind: Literal["rms", "layer"] = "rms"
    affine: bool = True
    bias: bool = True
    gate: Size | None = None

    def over(self, rows: Expr) -> Norm:
        """The operator over so many vectors."""
        return Norm(
            rows=rows, features=self.features, kind=self.kind, affine=self.affine, bias=self.bias
        )

    def gated(self, name: str, rows: Expr) -> Emitted:
        """The operator, and its gate if it has one."""
        yield name, self.over(rows)
        if self.gate is None:
            return
        down = Linear(tokens=rows, in_features=self.features, out_features=self.gate)
        yield f"{name}_down", down
        yield f"{name}_act", Activation(elements=rows * self.gate, function="silu")
        up = Linear(tokens=rows, in_features=self.gate, out_features=self.features)
        yield f"{name}_up", up
        whole = Activation(elements=rows * self.features, function="sigmoid", gated=True)
        yield f"{name}_gate", whole
