r"""Collectives between devices in the $\alpha$-$\beta$ model: messages and bytes a device sends.

The time of a message is its latency $\alpha$ plus its bytes over the link's bandwidth. Only
traffic is counted: the additions of a reduction are not. One device sends nothing.

==============  ==================  ====================================  =================
collective      algorithm           messages                              bytes of m bytes
==============  ==================  ====================================  =================
all-reduce      ring                $2(n-1)$                              $2m(n-1)/n$
all-reduce      halving-doubling    $2\log_2 n$                           $2m(n-1)/n$
all-reduce      recursive doubling  $\log_2 n$                            $m\log_2 n$
all-reduce      tree                $2\lceil\log_2 n\rceil$               $2m\lceil\log_2 n\rceil$
all-gather      ring                $n-1$                                 $m(n-1)/n$
all-gather      halving-doubling    $\lceil\log_2 n\rceil$                $m(n-1)/n$
reduce-scatter  ring                $n-1$                                 $m(n-1)/n$
reduce-scatter  halving-doubling    $\lceil\log_2 n\rceil$                $m(n-1)/n$
all-to-all      pairwise            $n-1$                                 $m(n-1)/n$
point-to-point  direct              $1$                                   $m$
==============  ==================  ====================================  =================

m is the whole tensor: what each device ends with (all-gather), or starts with (all others; for
all-to-all, the device's own part). A tree counts its critical path, through the root. So do the
all-reduces of halving and of doubling where n is no power of two: $p = 2^{\lfloor \log_2 n
\rfloor}$ devices go through them. Before halving, each of the others exchanges halves with one of
them and sends it the half that it summed up; after, it is sent the result: $2\log_2 p + 3$ messages
of $2m(p-1)/p + 2m$ bytes in all. Before doubling it sends all that it has, and after it is sent the
result: $\log_2 p + 2$ messages of $m(\log_2 p + 2)$ bytes. These are the only cases in which more
devices may cost less. An all-gather doubles what is held every round, and in the last one takes
what is missing (Bruck), and a reduce-scatter is the same backwards: any n will do. Of the
algorithms without halves both are a ring's.

Sources: Thakur et al., IJHPCA 19(1), 2005, section 4, and the costs in MPICH's ``allreduce.c`` and
``allgather.c``; Rabenseifner, ICCS 2004, section 3; Bruck et al., IEEE TPDS 8(11), 1997.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from sympy import Expr, S, sympify

from lifesym.cost import Cost
from lifesym.errors import one_of
from lifesym.formats import Precision
from lifesym.nodes import CeilLog2, Minimum
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size

Pattern = Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "point_to_point"]
Algorithm = Literal["ring", "halving_doubling", "recursive_doubling", "tree"]
HALVED: tuple[Algorithm, ...] = ("ring", "halving_doubling")
"""Algorithms of an all-reduce that is a reduce-scatter and an all-gather."""


@dataclass(frozen=True, kw_only=True)
class Collective(Operator):
    """Exchange ``elements`` activations among ``devices``.

    >>> from lifesym import symbols as sym
    >>> op = Collective(pattern="all_reduce", elements=sym.hidden, devices=4)
    >>> op.cost(Precision.of()).network_bytes, op.cost(Precision.of()).messages
    (3*hidden, 6)
    """

    pattern: Pattern
    elements: Size
    devices: Size
    algorithm: Algorithm = "ring"

    family: ClassVar[str] = "collective"
    counted: ClassVar[str] = "messages and bytes each device sends; no arithmetic"
    reference: ClassVar[str] = "Thakur et al., IJHPCA 19(1), 2005, section 4"
    monotone: ClassVar[dict[str, Direction]] = {"elements": "+", "devices": "+"}

    def __post_init__(self) -> None:
        """Check the pattern and the algorithm as well as the sizes."""
        super().__post_init__()
        one_of(self.algorithm, get_args(Algorithm), "algorithm")

    def traffic(self) -> tuple[Expr, Expr]:
        """Messages a device sends, and how often the whole tensor's bytes."""
        n = sympify(self.devices)
        if self.pattern == "point_to_point":
            return S.One, S.One
        if self.pattern != "all_reduce":
            halves = self.algorithm == "halving_doubling" and self.pattern != "all_to_all"
            return CeilLog2(n) if halves else n - 1, (n - 1) / n
        if self.algorithm == "ring":
            return 2 * (n - 1), 2 * (n - 1) / n
        if self.algorithm == "tree":
            return 2 * CeilLog2(n), 2 * CeilLog2(n)
        return _among_a_power(n, halving=self.algorithm == "halving_doubling")

    def saved(self, precision: Precision) -> Expr:
        """What is sent is kept by who reads it."""
        return S.Zero

    def cost(self, precision: Precision) -> Cost:
        """Nothing but link traffic."""
        messages, share = self.traffic()
        return Cost(
            network_bytes=share * precision.activation_bytes(self.elements), messages=messages
        )


def _among_a_power(n: Expr, *, halving: bool) -> tuple[Expr, Expr]:
    """Messages and tensors sent: among a power of two, with more steps for the rest."""
    rounds = CeilLog2(n + 1) - 1
    power = 2**rounds
    extra = Minimum(S.One, n - power)
    if halving:
        return 2 * rounds + 3 * extra, 2 * (power - 1) / power + 2 * extra
    return rounds + 2 * extra, rounds + 2 * extra
