"""This machine's own rates: matrix products, memory traffic and calls, bounded in time.

Loops, each repeated until its share of the time is spent, the best of them kept: the peak is what
the machine reached once, not what it keeps up. With PyTorch installed it computes, as models do:
products with a transposed weight in fp32 and bf16, sums of arrays, and the calls of an operator.
Without it NumPy does, in fp32 only.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lifesym.errors import SpecError
from lifesym.extras import optional

SHAPES = ((1024, 1024, 1024), (256, 1024, 4096), (512, 4096, 1024))
"""Rows, inputs and outputs of the products: large enough to be bound by compute."""
SIDE = 6144
"""Rows and columns of the weight of a matrix-vector product: more than any cache holds."""
STREAM = 32 * 2**20
"""Elements of the arrays that are added: far more than any cache holds."""
CACHED = 16 * 1024
"""Elements of arrays that stay in a core's cache."""
FEW = 8
"""Elements of an operator of which only the call costs time."""


PRODUCTS = "matrix products in "
WEIGHTS = "weights of a matrix-vector product"
Timed = tuple[float, Callable[[], Any]]
Loop = tuple[str, list[Timed]]


@dataclass(frozen=True)
class Machine:
    """Rates of a machine in SI units.

    Attributes:
        matrix: attained FLOP/s of matrix products by data type.
        vector: attained FLOP/s of elementwise work in fp32, from memory that is in the cache.
        bandwidth: attained byte/s of ``a + b -> c``.
        streaming: attained byte/s of a product of one row with a weight, as decoding does.
        dispatch: seconds of an operator on a few elements.
        software: what computed.
    """

    matrix: dict[str, float]
    vector: float
    bandwidth: float
    streaming: float
    dispatch: float
    software: str


def measure(seconds: float = 8.0, progress: Callable[[str], None] | None = None) -> Machine:
    """Measure this machine in about so many seconds.

    Raises:
        SpecError: less than a second, or more than ten minutes.
    """
    if not 1 <= seconds <= 600:
        raise SpecError(f"seconds must be between 1 and 600, not {seconds}")
    loops = _loops()
    share = seconds / sum(len(calls) for _, calls in loops)
    rates: dict[str, float] = {}
    for name, calls in loops:
        if progress:
            progress(name)
        rates[name] = max(work / _best(call, share) for work, call in calls)
    products = [name for name, _ in loops if name.startswith(PRODUCTS)]
    return Machine(
        matrix={name.removeprefix(PRODUCTS): rates[name] for name in products},
        vector=rates["elementwise work"],
        bandwidth=rates["memory bandwidth"],
        streaming=rates[WEIGHTS],
        dispatch=1 / rates["calls"],
        software=_software(),
    )


def _software() -> str:
    torch = _torch()
    return f"PyTorch {torch.__version__}" if torch else f"NumPy {np.__version__}"


def _torch() -> Any:
    return optional("torch")


def _loops() -> list[Loop]:
    """What is timed: a name, and calls with the work that each does."""
    torch = _torch()
    return _numpy_loops() if torch is None else _torch_loops(torch)


def _numpy_loops() -> list[Loop]:
    products: list[Timed] = []
    for rows, inputs, outputs in SHAPES:
        x, w = np.ones((rows, inputs), np.float32), np.ones((outputs, inputs), np.float32)
        products.append((2.0 * rows * inputs * outputs, partial(np.matmul, x, w.T)))
    a, b, c = (np.ones(STREAM, np.float32) for _ in range(3))
    row, wide = np.ones((1, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)
    small = np.ones(CACHED, np.float32)
    few = np.ones(FEW, np.float32)
    return [
        (f"{PRODUCTS}fp32", products),
        ("memory bandwidth", [(3.0 * a.nbytes, partial(np.add, a, b, out=c))]),
        (WEIGHTS, [(float(wide.nbytes), partial(np.matmul, row, wide.T))]),
        ("elementwise work", [(float(CACHED), partial(np.multiply, small, small, out=small))]),
        ("calls", [(1.0, partial(np.add, few, few))]),
    ]


def _torch_loops(torch: Any) -> list[Loop]:
    linear = torch.nn.functional.linear
    loops: list[Loop] = []
    for kind, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        products: list[Timed] = []
        for rows, inputs, outputs in SHAPES:
            x, w = torch.ones(rows, inputs, dtype=dtype), torch.ones(outputs, inputs, dtype=dtype)
            products.append((2.0 * rows * inputs * outputs, partial(linear, x, w)))
        loops.append((f"{PRODUCTS}{kind}", products))
    a, b, c = (torch.ones(STREAM) for _ in range(3))
    row, wide = torch.ones(1, SIDE), torch.ones(SIDE, SIDE)
    small = torch.ones(CACHED)
    few, weight = torch.ones(1, FEW), torch.ones(FEW, FEW)

    def norm() -> Any:
        wide = few.to(torch.float32)
        return few * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6))

    def operators() -> None:  # one operator that is one call, and one that is several
        linear(few, weight)
        norm()

    return [
        *loops,
        ("memory bandwidth", [(3.0 * 4 * STREAM, partial(torch.add, a, b, out=c))]),
        (WEIGHTS, [(4.0 * SIDE**2, partial(linear, row, wide))]),
        ("elementwise work", [(float(CACHED), partial(torch.mul, small, small, out=small))]),
        ("calls", [(2.0, operators)]),
    ]


def _best(call: Callable[[], Any], seconds: float) -> float:
    """The shortest run within the time; short calls are timed in batches."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    repeat = max(1, int(1e-3 / max(once, 1e-9)))
    best, end = float("inf"), start + seconds
    while best == float("inf") or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(repeat):
            call()
        best = min(best, (time.perf_counter() - begin) / repeat)
    return best


def as_spec(machine: Machine, name: str | None = None) -> str:
    """The hardware spec of a machine, in TOML."""
    shown = name or platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.machine()}"
    source = f"measured with lifesym and {machine.software} on {system}"
    lines = [f'name = "{_plain(shown)}"', 'vendor = "this machine"', 'kind = "cpu"', ""]
    lines += ["[peak.matrix]"]
    lines += [f"{kind} = {rate:.4g}".replace("+", "") for kind, rate in machine.matrix.items()]
    lines += [f'source = "{source}: best of {len(SHAPES)} products with a weight"', ""]
    lines += ["[peak.vector]", f"fp32 = {machine.vector:.4g}".replace("+", "")]
    lines += [f'source = "{source}: best elementwise product in the cache"', ""]
    lines += ["[memory]", f"bandwidth = {machine.bandwidth:.4g}".replace("+", "")]
    lines += [f'source = "{source}: best sum of two arrays into a third"', ""]
    attained = min(1.0, machine.streaming / machine.bandwidth)
    lines += ["[efficiency]", f"memory = {attained:.3g}"]
    lines += [f'source = "{source}: weights of a matrix-vector product over that bandwidth"', ""]
    lines += ["[dispatch]", f"time = {machine.dispatch:.3g}"]
    lines += [f'source = "{source}: mean call on {FEW} elements"']
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(ch for ch in text if ch.isprintable() and ch not in '"\\')
