r"""Mixture of experts: the products of the chosen experts, and which experts a pass touches.

FLOPs are those of exactly ``active`` experts a token. Weight traffic is that of the *distinct*
experts that the tokens of a pass choose, each read once.
"""

from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import ClassVar, Literal, get_args

from sympy import Add, Expr, Integer, S

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.errors import one_of
from lifesym.formats import Matrix, Precision, vectors
from lifesym.operators.activation import ACTIVATION_OPS, operations
from lifesym.operators.base import Direction, Operator, require
from lifesym.powers import LongPower
from lifesym.symbols import Number, Size, exact

RoutingKind = Literal["uniform", "all", "active", "skewed"]


@dataclass(frozen=True, kw_only=True)
class Routing:
    r"""How tokens choose experts, which decides how many distinct experts a pass reads.

    Attributes:
        kind: ``uniform`` (every set of k experts equally likely), ``all`` (every expert is read),
            ``active`` (exactly k, as for a single token), or ``skewed`` (``probabilities``).
        probabilities: the chance of each expert to be among a token's k; they add up to k.
        imbalance: work done over work needed: an expert capacity factor, or the busiest device's
            load over the mean; at least 1. It multiplies the experts' FLOPs and activations.
    """

    kind: RoutingKind = "uniform"
    probabilities: tuple[Fraction, ...] = ()
    imbalance: Number = 1

    def __post_init__(self) -> None:
        """Check the probabilities."""
        one_of(self.kind, get_args(RoutingKind), "routing")
        skewed = self.kind == "skewed"
        require(
            skewed == bool(self.probabilities), "probabilities go with routing 'skewed' and only it"
        )
        require(
            all(0 <= p <= 1 for p in self.probabilities),
            "every routing probability must be between 0 and 1",
        )
        factor = exact(self.imbalance, "imbalance")
        require(
            not factor.is_number or bool(factor >= 1),
            f"imbalance must be at least 1, the work that is needed, not {self.imbalance}",
        )

    def distinct(self, experts: Expr, active: Expr, tokens: Expr) -> Expr:
        r"""The expected number of distinct experts that so many tokens choose.

        Uniform: $E \left(1 - (1 - k/E)^m\right)$; for one token exactly k. Skewed: $\sum_e 1 -
        (1 - p_e)^m$. A token's experts are distinct, and tokens choose independently.

        >>> from lifesym import symbols as sym
        >>> Routing().distinct(sym.experts, sym.active_experts, sym.batch)
        experts*(1 - (-active_experts/experts + 1)**batch)
        >>> Routing().distinct(Integer(8), Integer(2), Integer(2))
        7/2
        >>> Routing().distinct(Integer(256), Integer(8), Integer(4096))
        256 - 256*(31/32)**4096

        Raises:
            SymbolError: probabilities that do not match the experts or do not add up to k.
        """
        if self.kind == "all":
            return experts
        if self.kind == "active" or tokens is S.One or experts == active:
            return active
        if self.kind == "uniform":
            return experts * (1 - LongPower(1 - active / experts, tokens))
        require(
            experts == len(self.probabilities),
            f"{len(self.probabilities)} routing probabilities for {experts} experts",
        )
        chances = [exact(p) for p in self.probabilities]
        require(Add(*chances) == active, f"routing probabilities must add up to {active}")
        return Add(*(1 - LongPower(1 - p, tokens) for p in chances))


@dataclass(frozen=True, kw_only=True)
class TopK(Operator):
    r"""Scores to probabilities and the choice of k: 5 (softmax) or 3 (sigmoid) a score, and 1.

    With ``root`` a score is the square root of a softplus (4). The selection compares each score
    once, counted as one operation; a partial sort does more on some hardware. ``hashed``: a table
    of the tokens has chosen, and nothing is compared.

    >>> from lifesym import symbols as sym
    >>> TopK(tokens=sym.batch, experts=sym.experts).cost(Precision.of()).vector_flops
    6*batch*experts
    """

    tokens: Size
    experts: Size
    sigmoid: bool = False
    root: bool = False
    hashed: bool = False

    family: ClassVar[str] = "router"
    counted: ClassVar[str] = "5 (softmax), 3 (sigmoid) or 4 (root) a score, 1 comparison a score"
    reference: ClassVar[str] = "arXiv 2101.03961, Eq. 1; DeepSeek-V3, 2412.19437, Eq. 15"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "experts": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads the scores; the chosen weights are as many as experts a token and not counted."""
        scores = self.tokens * self.experts
        function = ACTIVATION_OPS["sigmoid"] if self.sigmoid else 5
        if self.root:
            function = ACTIVATION_OPS["softplus"] + 1
        per_score = function + (0 if self.hashed else 1)
        return Cost(
            vector_flops=per_score * scores,
            activation_read_bytes=precision.activation_bytes(scores),
            dispatches=Integer(1),
        )


@dataclass(frozen=True, kw_only=True)
class Experts(Operator):
    r"""The chosen experts' MLPs, and the weighted sum of their outputs.

    matmul_flops $= 2 \cdot tokens \cdot k \cdot n \cdot d \cdot d_e$ with n = 3 matrices when
    gated, else 2. weight_bytes: the matrices of the expected distinct experts
    (`Routing.distinct`). vector_flops: activation (and gate, biases), then k multiply-adds a
    token and output element for the weighted sum, as 2 operations each.

    >>> from lifesym import symbols as sym
    >>> op = Experts(tokens=sym.batch, experts=8, active=2, hidden=sym.hidden,
    ...              intermediate=sym.expert_intermediate, activation="silu")
    >>> op.cost(Precision.of()).matmul_flops
    12*batch*expert_intermediate*hidden
    """

    tokens: Size
    experts: Size
    active: Size
    hidden: Size
    intermediate: Size
    activation: str
    gated: bool = True
    bias: bool = False
    routing: Routing = Routing()

    family: ClassVar[str] = "experts"
    counted: ClassVar[str] = "2 FLOPs a multiply-add of exactly k experts a token"
    reference: ClassVar[str] = "Jiang et al., arXiv 2401.04088, section 2.1"
    monotone: ClassVar[dict[str, Direction]] = {
        "tokens": "+",
        "experts": "+",
        "active": "+",
        "hidden": "+",
        "intermediate": "+",
    }
    averages: ClassVar[tuple[str, ...]] = ("active",)

    @property
    def choices(self) -> Expr:
        """Tokens that its experts compute, each as often as it chooses one of them."""
        return self.tokens * self.active * exact(self.routing.imbalance, "imbalance")

    @property
    def _matrices(self) -> int:
        return 3 if self.gated else 2

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All experts' matrices as ``experts``, biases as ``vector``."""
        return self._weights(self.experts)

    def _weights(self, experts: Expr) -> tuple[Matrix, ...]:
        shape = {"role": "experts", "count": experts}
        wide = Matrix(**shape, part="up", rows=self.intermediate, columns=self.hidden)
        down = Matrix(**shape, part="down", rows=self.hidden, columns=self.intermediate)
        gate = (replace(wide, part="gate"),) if self.gated else ()
        biases = (self._matrices - 1) * self.intermediate + self.hidden
        return (*gate, wide, down, *vectors(experts * biases if self.bias else 0))

    @property
    def parameters(self) -> Expr:
        """Every expert's matrices and biases."""
        return Add(*self.weight_roles.values())

    def distinct(self) -> Expr:
        """The expected distinct experts whose weights are read."""
        return self.routing.distinct(self.experts, self.active, self.tokens)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """The matrices and biases of the distinct experts."""
        return self._weights(self.distinct())

    def cost(self, precision: Precision) -> Cost:
        """Exactly k experts a token; the distinct ones' weights are read once."""
        choices = self.choices
        elementwise = operations(self.activation) + (1 if self.gated else 0)
        biases = (self._matrices - 1) * self.intermediate + self.hidden if self.bias else S.Zero
        wide = (self._matrices - 1) * self.intermediate
        return Cost(
            matmul_flops=FLOPS_PER_MAC * choices * self._matrices * self.hidden * self.intermediate,
            vector_flops=choices * (elementwise * self.intermediate + biases + 2 * self.hidden),
            activation_read_bytes=precision.activation_bytes(
                choices * (self.hidden + wide + self.intermediate + self.hidden)
            ),
            activation_write_bytes=precision.activation_bytes(
                choices * (wide + self.intermediate + self.hidden) + self.tokens * self.hidden
            ),
            dispatches=Integer(self._matrices + 2),
        ) + precision.read_weights(self.matrices_read)


@dataclass(frozen=True, kw_only=True)
class RoutedLinear(Operator):
    r"""A product with the matrices of the chosen experts, each with its own.

    matmul_flops $= 2 \cdot tokens \cdot k \cdot in \cdot out$. Each of a token's k experts gives a
    result, or with ``summed`` they have inputs of their own and are summed by their weights: 2
    operations an output and expert. weight_bytes: the matrices of the expected distinct experts.

    >>> from lifesym import symbols as sym
    >>> op = RoutedLinear(tokens=1, experts=8, active=2, in_features=sym.hidden, out_features=64)
    >>> op.cost(Precision.of()).matmul_flops, op.parameters
    (256*hidden, 512*hidden)
    """

    tokens: Size
    experts: Size
    active: Size
    in_features: Size
    out_features: Size
    summed: bool = False
    role: str = "attention_experts"
    part: str = ""
    routing: Routing = Routing()

    family: ClassVar[str] = "experts"
    counted: ClassVar[str] = "2 FLOPs a multiply-add of exactly k experts a token"
    reference: ClassVar[str] = "Zhang et al., Mixture of Attention Heads, arXiv 2210.05144, Eq. 3"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("tokens", "experts", "active", "in_features", "out_features"), "+"
    )

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All experts' matrices."""
        return self._weights(self.experts)

    @property
    def matrices_read(self) -> tuple[Matrix, ...]:
        """The matrices of the distinct experts."""
        return self._weights(self.routing.distinct(self.experts, self.active, self.tokens))

    def _weights(self, experts: Expr) -> tuple[Matrix, ...]:
        shape = {"rows": self.out_features, "columns": self.in_features}
        return (Matrix(role=self.role, part=self.part, count=experts, **shape),)

    @property
    def parameters(self) -> Expr:
        """Every expert's matrix."""
        return Add(*self.weight_roles.values())

    def cost(self, precision: Precision) -> Cost:
        """Exactly k experts a token; inputs are gathered for each of them."""
        choices = self.tokens * self.active * exact(self.routing.imbalance, "imbalance")
        outputs = choices * self.out_features
        both = outputs + self.tokens * self.out_features if self.summed else outputs
        return Cost(
            matmul_flops=FLOPS_PER_MAC * choices * self.in_features * self.out_features,
            vector_flops=2 * outputs if self.summed else S.Zero,
            activation_read_bytes=precision.activation_bytes(
                choices * self.in_features + (outputs if self.summed else 0)
            ),
            activation_write_bytes=precision.activation_bytes(both),
            dispatches=Integer(2 if self.summed else 1),
        ) + precision.read_weights(self.matrices_read)


@dataclass(frozen=True, kw_only=True)
class ShardedExperts(Experts):
    """The experts of one of ``devices``: a share of the distinct experts of all devices' tokens.

    >>> from lifesym import symbols as sym
    >>> op = ShardedExperts(tokens=1, experts=8, active=2, hidden=sym.hidden,
    ...                     intermediate=sym.intermediate, activation="silu", devices=2)
    >>> op.distinct(), op.parameters
    (7/4, 12*hidden*intermediate)
    """

    devices: Size

    reference: ClassVar[str] = "Lepikhin et al., GShard, arXiv 2006.16668, section 3"
    monotone: ClassVar[dict[str, Direction]] = {**Experts.monotone, "devices": "-"}

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """A device's share of the experts."""
        return self._weights(self.experts / self.devices)

    def distinct(self) -> Expr:
        """The expected distinct experts here that the tokens of all the devices choose."""
        tokens = self.tokens * self.devices
        return self.routing.distinct(self.experts, self.active, tokens) / self.devices


@dataclass(frozen=True, kw_only=True)
class SomeExperts(Experts):
    """Those of the experts that one device holds, for the tokens that choose them.

    A share ``held / experts`` of the choices, of the distinct experts, and of everything else that
    is done but the dispatches; the sum over a token's results is counted by the same share. So the
    devices' costs add up to that of all the experts.

    >>> from lifesym import symbols as sym
    >>> op = SomeExperts(tokens=16, experts=8, active=2, hidden=sym.hidden,
    ...                  intermediate=sym.intermediate, activation="silu", held=1)
    >>> op.cost(Precision.of()).matmul_flops, op.parameters
    (24*hidden*intermediate, 3*hidden*intermediate)
    """

    held: Size

    reference: ClassVar[str] = "WDMoE, arXiv 2411.06681, abstract (experts on devices)"
    monotone: ClassVar[dict[str, Direction]] = {**Experts.monotone, "experts": "-", "held": "+"}

    @property
    def choices(self) -> Expr:
        """Of all tokens' choices those that are of its experts, on average."""
        every: Expr = super().choices
        return every * self.held / self.experts

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """Its experts."""
        return self._weights(self.held)

    def distinct(self) -> Expr:
        """The expected distinct experts among its own."""
        return super().distinct() * self.held / self.experts

    def cost(self, precision: Precision) -> Cost:
        """A share of the cost of all the experts."""
        whole = {each.name: getattr(self, each.name) for each in fields(Experts)}
        cost = Experts(**whole).cost(precision)
        return replace(self.held / self.experts * cost, dispatches=cost.dispatches)
