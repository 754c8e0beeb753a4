"""A pass in the making: kernels, weights held and caches kept, and the kernels all layers share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from simulator.kernels import Kernel, Number, Read, Tensor
from simulator.options import Group, Options, RefusedError
from simulator.shapes import NORM_OPERATIONS, NORM_VECTORS, OPERATIONS, Shape, up

TARGETS = (
    *("attn_q", "attn_k", "attn_v", "attn_qkv_fused", "attn_o"),
    *("attn_q_a", "attn_q_b", "attn_kv_a"),
)
"""Attention's projections, which have LoRA's products unless others are named."""
ENDS = ("attn_o", "mlp_down", "moe_experts")


@dataclass(frozen=True)
class Target:
    """A projection that LoRA may adapt."""

    name: str
    source: Tensor
    inputs: int
    outputs: int
    result: Tensor


@dataclass
class Walk:
    """One pass of groups of sequences through one device."""

    shape: Shape
    options: Options
    groups: Sequence[Group]
    place: str = "embed"
    kernels: list[Kernel] = field(default_factory=list)
    held: list[tuple[str, str, Fraction]] = field(default_factory=list)
    """Place, role and elements of the weights in this device's memory."""
    caches: list[tuple[str, Callable[[int], Fraction]]] = field(default_factory=list)
    """Place, and elements of a sequence's cache at so many tokens."""

    @property
    def tokens(self) -> int:
        return sum(group.tokens for group in self.groups)

    def emit(self, name: str, **work: object) -> Kernel:
        """A kernel at the place that has been reached."""
        kernel = Kernel(name=name, place=self.place, **work)  # type: ignore[arg-type]
        self.kernels.append(kernel)
        return kernel

    def hold(self, weights: dict[str, Number]) -> None:
        self.held += [(self.place, role, Fraction(n)) for role, n in weights.items()]

    def part(self, whole: int, what: str) -> int:
        """A device's part of what must divide."""
        if whole % self.options.tensor:
            raise RefusedError(f"{what}: {whole} over {self.options.tensor} devices")
        return whole // self.options.tensor

    def own(self, elements: int) -> int:
        """What the device that has most of a split sequence computes of a tensor by tokens."""
        return up(Fraction(elements, self.options.tensor)) if self.options.sequence else elements

    def linear(
        self,
        name: str,
        source: Tensor,
        inputs: int,
        outputs: int,
        *,
        rows: int | None = None,
        bias: bool = False,
        role: str = "",
        copies: int = 1,
        onto: Tensor | None = None,
    ) -> Tensor:
        """A projection; with ``onto`` its result is added to one that is there."""
        rows = self.tokens if rows is None else rows
        result = Tensor(rows * outputs)
        weights: dict[str, Number] = {role or name: inputs * outputs * copies}
        if bias:
            weights["vector"] = outputs
        self.hold(weights)
        sums = (1 if bias else 0) + (0 if onto is None else 1)
        reads = [Read(source, rows * inputs, role or name)]
        if onto is not None:
            reads.append(Read(onto, rows * outputs))
        self.emit(
            name,
            matmul=2 * rows * inputs * outputs,
            dense={role or name: 2 * rows * inputs * outputs},
            vector=sums * rows * outputs,
            weights=weights,
            reads=reads,
            writes=[result],
        )
        return result

    def map(
        self, name: str, sources: Sequence[Tensor], elements: int, operations: int, aside: int = 0
    ) -> Tensor:
        """So many operations on every element of tensors of one size."""
        result = Tensor(elements)
        self.emit(
            name,
            vector=operations * elements,
            reads=[Read(source, elements) for source in sources],
            aside=aside,
            writes=[result],
        )
        return result

    def norm(
        self,
        name: str,
        source: Tensor,
        *,
        rows: int | None = None,
        features: int | None = None,
        kind: str | None = None,
        split: bool = True,
        sets: int = 1,
    ) -> Tensor:
        """A norm of rows of features; of a device's own rows where the sequence is split."""
        rows = self.tokens if rows is None else rows
        rows = self.own(rows) if split else rows
        features = self.shape.hidden if features is None else features
        kind = self.shape.norm if kind is None else kind
        elements = rows * features
        weights: dict[str, Number] = {"vector": sets * NORM_VECTORS[kind] * features}
        self.hold(weights)
        result = Tensor(elements)
        self.emit(
            name,
            vector=NORM_OPERATIONS[kind] * elements,
            weights=weights,
            reads=[Read(source, elements)],
            writes=[result],
        )
        return result

    def activation(self, name: str, sources: Sequence[Tensor], elements: int) -> Tensor:
        """The model's activation function of one tensor, or of a gate times the other.

        One tensor that holds both is read whole.
        """
        gate = 1 if self.shape.gated else 0
        result = Tensor(elements)
        whole = (1 + gate) * elements // len(sources)
        self.emit(
            name,
            vector=(OPERATIONS[self.shape.activation] + gate) * elements,
            reads=[Read(source, whole) for source in sources],
            writes=[result],
        )
        return result

    def residual(self, name: str, *sources: Tensor) -> Tensor:
        elements = self.own(self.tokens * self.shape.hidden)
        return self.map(name, sources, elements, len(sources) - 1)

    def exchange(self, name: str, sent: Fraction, messages: int) -> None:
        self.emit(name, sent=sent, messages=messages, collectives=1, launches=0)

    def all_reduce(self, name: str, elements: int) -> None:
        """After devices have computed partial sums."""
        n = self.options.tensor
        if n == 1:
            return
        if self.options.sequence:
            for half in ("reduce_scatter", "all_gather"):
                rounds = doublings(n) if self.options.all_reduce == "halving_doubling" else n - 1
                self.exchange(f"{name}_{half}", Fraction(elements * (n - 1), n), rounds)
            return
        messages, times = ALL_REDUCE[self.options.all_reduce](n)
        self.exchange(f"{name}_all_reduce", times * elements, messages)

    def adapted(self, targets: Sequence[Target]) -> None:
        """LoRA's products beside projections of one input."""
        lora = self.options.lora
        if lora is None or lora.merged or lora.rank == 0:
            return
        chosen = TARGETS if lora.targets is None else lora.targets
        for t in targets:
            if t.name in chosen:
                thin = {"role": "adapter", "copies": lora.adapters}
                down = self.linear(f"{t.name}_lora_a", t.source, t.inputs, lora.rank, **thin)
                self.linear(f"{t.name}_lora_b", down, lora.rank, t.outputs, onto=t.result, **thin)

    def after(self, name: str, source: Tensor) -> Tensor:
        """A bottleneck adapter after a block, where there is one."""
        adapter, hidden = self.options.adapter, self.shape.hidden
        if adapter is None or adapter.width == 0:
            return source
        if name not in (ENDS if adapter.after is None else adapter.after):
            return source
        rows, width = self.own(self.tokens), adapter.width
        thin = {"rows": rows, "bias": True, "role": "adapter"}
        down = self.linear(f"{name}_adapter_down", source, hidden, width, **thin)
        elements = self.own(self.tokens * width)
        middle = self.map(f"{name}_adapter_act", [down], elements, OPERATIONS["gelu"])
        raised = self.linear(f"{name}_adapter_up", middle, width, hidden, **thin)
        return self.residual(f"{name}_adapter_residual", source, raised)


def ring(n: int) -> tuple[int, Fraction]:
    return 2 * (n - 1), Fraction(2 * (n - 1), n)


def doublings(n: int) -> int:
    """Rounds in which what one device has reaches all, or is summed up from all."""
    rounds = 0
    while 2**rounds < n:
        rounds += 1
    return rounds


def tree(n: int) -> tuple[int, Fraction]:
    """Up and down: every level's devices in pairs until one is left."""
    return 2 * doublings(n), Fraction(2 * doublings(n))


def halving_doubling(n: int) -> tuple[int, Fraction]:
    """Among a power of two; the others exchange halves with, and are sent results by, one each."""
    power = 2 ** (n.bit_length() - 1)
    others = 0 if power == n else 1
    return 2 * doublings(power) + 3 * others, Fraction(2 * (power - 1), power) + 2 * others


def recursive_doubling(n: int) -> tuple[int, Fraction]:
    """Whole tensors among a power of two; the others hand theirs to one each, and get the sum."""
    power = 2 ** (n.bit_length() - 1)
    rounds = doublings(power) + (0 if power == n else 2)
    return rounds, Fraction(rounds)


ALL_REDUCE = {
    "ring": ring,
    "tree": tree,
    "halving_doubling": halving_doubling,
    "recursive_doubling": recursive_doubling,
}
