"""Kernels, the tensors and parts of the cache that they touch, and what they cost."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from simulator.formats import Precision

FIELDS = (
    "matmul_flops",
    "vector_flops",
    "dequant_ops",
    "weight_bytes",
    "activation_read_bytes",
    "activation_write_bytes",
    "kv_read_bytes",
    "kv_write_bytes",
    "dispatches",
    "network_bytes",
    "messages",
)
Cost = dict[str, Fraction]
Number = Fraction | int


@dataclass(eq=False)
class Tensor:
    """Activations that a kernel makes or reads; two of the same size are two tensors."""

    elements: Number


@dataclass(frozen=True)
class Read:
    """So many elements of a tensor; by a dense product with weights of a role, if one is named."""

    tensor: Tensor
    elements: Number
    role: str = ""


@dataclass(frozen=True)
class Fetch:
    """So many elements of a part of the cache, each ``times``; two kernels may fetch one part."""

    part: Tensor
    elements: Number
    queries: int
    times: int = 1


@dataclass(eq=False, kw_only=True)
class Kernel:
    """One launch; a fused one has the work of several and keeps its count of launches at one."""

    name: str
    place: str
    matmul: Number = 0
    dense: dict[str, Number] = field(default_factory=dict)
    vector: Number = 0
    weights: dict[str, Number] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    aside: Number = 0
    writes: list[Tensor] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    appended: Number = 0
    launches: int = 1
    sent: Number = 0
    messages: int = 0
    collectives: int = 0
    sampled: Number = 0
    fused: bool = False

    def cost(self, precision: Precision) -> Cost:
        """Operations and bytes."""
        quantized = {
            role: ops
            for role, n in self.weights.items()
            if (ops := precision.weight_operations(role, Fraction(n)))
        }
        apart = list(quantized) if precision.unfused_dequant else []
        moved = sum(self.weights[role] for role in apart)
        fetched = [(Fraction(f.elements), f.times) for f in self.fetches]
        inputs = (precision.activation_bytes(Fraction(r.elements), r.role) for r in self.reads)
        read = sum(inputs, precision.activation_bytes(Fraction(self.aside + moved)))
        written = sum(t.elements for t in self.writes) + moved
        return {
            "matmul_flops": Fraction(self.matmul),
            "vector_flops": self.vector + precision.store_operations(Fraction(self.appended)),
            "dequant_ops": sum(quantized.values(), Fraction(0))
            + sum(precision.cache_operations(n) for n, _ in fetched),
            "weight_bytes": sum(self.weight_bytes(precision).values(), Fraction(0)),
            "activation_read_bytes": read,
            "activation_write_bytes": precision.activation_bytes(Fraction(written)),
            "kv_read_bytes": sum(
                (times * precision.cache_bytes(n) for n, times in fetched), Fraction(0)
            ),
            "kv_write_bytes": precision.cache_bytes(Fraction(self.appended)),
            "dispatches": Fraction(self.launches + (0 if self.fused else len(apart))),
            "network_bytes": precision.activation_bytes(Fraction(self.sent)),
            "messages": Fraction(self.messages),
        }

    def weight_bytes(self, precision: Precision) -> dict[str, Fraction]:
        """Its weights by role."""
        return {role: precision.weight_bytes(role, Fraction(n)) for role, n in self.weights.items()}


def added(costs: Iterable[Cost]) -> Cost:
    """The sum, field by field."""
    total = dict.fromkeys(FIELDS, Fraction(0))
    for cost in costs:
        for name in FIELDS:
            total[name] += cost[name]
    return total


def joined(kernels: Sequence[Kernel], name: str, kept: Callable[[Tensor], bool]) -> Kernel:
    """One kernel of several: it reads what it has not made once, and writes what is kept.

    What it reads is in the format of the first that reads it. Of a tensor that it makes it reads
    what exceeds the elements made. A part of the cache that two of them fetch is fetched once, as
    far as the one that needs most of it.
    """
    made = {tensor: tensor.elements for k in kernels for tensor in k.writes}
    reads: dict[Tensor, Number] = {}
    readers: dict[Tensor, str] = {}
    dense: dict[str, Number] = {}
    fetches: dict[Tensor, Fetch] = {}
    weights: dict[str, Number] = {}
    for k in kernels:
        for read in k.reads:
            reads[read.tensor] = max(reads.get(read.tensor, 0), read.elements)
            readers.setdefault(read.tensor, read.role)
        for fetch in k.fetches:
            known = fetches.get(fetch.part, fetch)
            fetches[fetch.part] = max(known, fetch, key=lambda f: f.elements)
        for role, n in k.weights.items():
            weights[role] = weights.get(role, 0) + n
        for role, n in k.dense.items():
            dense[role] = dense.get(role, 0) + n
    outside = {t: max(n - made.get(t, 0), 0) for t, n in reads.items()}
    return Kernel(
        name=name,
        place=kernels[0].place,
        matmul=sum(k.matmul for k in kernels),
        dense=dense,
        vector=sum(k.vector for k in kernels),
        weights=weights,
        reads=[Read(t, n, readers[t]) for t, n in outside.items() if n],
        aside=sum(k.aside for k in kernels),
        writes=[t for t in made if kept(t)],
        fetches=list(fetches.values()),
        appended=sum(k.appended for k in kernels),
        sent=sum(k.sent for k in kernels),
        messages=sum(k.messages for k in kernels),
        collectives=sum(k.collectives for k in kernels),
        sampled=sum(k.sampled for k in kernels),
        fused=True,
    )
