"""This machine's own rates: matrix products, memory traffic and calls, bounded in time.

Three loops, each repeated until its share of the time is spent, the best of them kept: the peak is
what the machine reached once, not what it keeps up. NumPy computes; with PyTorch installed its
products in fp32 and bf16 are measured too, since NumPy has no bf16.
"""

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifesym.errors import SpecError

SIDE = 1024
"""Rows and columns of the matrices: large enough to be bound by compute."""
STREAM = 32 * 2**20
"""Elements of the arrays that are added: far more than any cache holds."""


@dataclass(frozen=True)
class Machine:
    """Rates of a machine in SI units.

    Attributes:
        matrix: attained FLOP/s of matrix products by data type.
        vector: attained FLOP/s of elementwise work in fp32, from memory that is in the cache.
        bandwidth: attained byte/s of ``a + b -> c``.
        dispatch: seconds of an operation on a few elements.
    """

    matrix: dict[str, float]
    vector: float
    bandwidth: float
    dispatch: float


def measure(seconds: float = 8.0, progress: Callable[[str], None] | None = None) -> Machine:
    """Measure this machine in about so many seconds.

    Raises:
        SpecError: less than a second, or more than ten minutes.
    """
    if not 1 <= seconds <= 600:
        raise SpecError(f"seconds must be between 1 and 600, not {seconds}")
    tasks = list(_products())
    share = seconds / (len(tasks) + 3)
    matrix = {}
    for name, product in tasks:
        if progress:
            progress(f"matrix products in {name}")
        matrix[name] = 2 * SIDE**3 / _best(product, share)
    if progress:
        progress("memory bandwidth")
    a, b = (np.ones(STREAM, np.float32) for _ in range(2))
    c = np.empty_like(a)
    bandwidth = 3 * a.nbytes / _best(lambda: np.add(a, b, out=c), share)
    small = np.ones(16 * 1024, np.float32)
    out = np.empty_like(small)
    if progress:
        progress("elementwise work and calls")
    vector = small.size / _best(lambda: np.multiply(small, small, out=out), share)
    few = np.ones(8, np.float32)
    sums = np.empty_like(few)
    dispatch = _best(lambda: np.add(few, few, out=sums), share)
    return Machine(matrix, max(vector, 1.0), bandwidth, dispatch)


def _products() -> Iterator[tuple[str, Callable[[], Any]]]:
    x = np.ones((SIDE, SIDE), np.float32)
    y = np.empty_like(x)
    yield "fp32", lambda: np.matmul(x, x, out=y)
    try:
        import torch  # noqa: PLC0415 (used where it is)
    except ImportError:
        return
    z = torch.ones((SIDE, SIDE), dtype=torch.bfloat16)
    yield "bf16", lambda: torch.matmul(z, z)


def _best(call: Callable[[], Any], seconds: float) -> float:
    """The shortest run within the time; short calls are timed in batches."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    repeat = max(1, int(1e-3 / max(once, 1e-9)))
    best, end = float("inf"), start + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(repeat):
            call()
        best = min(best, (time.perf_counter() - begin) / repeat)
    return min(best, once)


def as_spec(machine: Machine, name: str | None = None) -> str:
    """The hardware spec of a machine, in TOML."""
    shown = name or platform.processor() or platform.machine()
    source = f"measured with lifesym on {platform.system()} {platform.machine()}"
    lines = [f'name = "{_plain(shown)}"', 'vendor = "this machine"', 'kind = "cpu"', ""]
    lines += ["[peak.matrix]"]
    lines += [f"{kind} = {rate:.4g}".replace("+", "") for kind, rate in machine.matrix.items()]
    lines += [f'source = "{source}: best product of {SIDE} x {SIDE} matrices"', ""]
    lines += ["[peak.vector]", f"fp32 = {machine.vector:.4g}".replace("+", "")]
    lines += [f'source = "{source}: best elementwise product in the cache"', ""]
    lines += ["[memory]", f"bandwidth = {machine.bandwidth:.4g}".replace("+", "")]
    lines += [f'source = "{source}: best sum of two arrays into a third"', ""]
    lines += ["[dispatch]", f"time = {machine.dispatch:.3g}"]
    lines += [f'source = "{source}: best call on eight elements"']
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(ch for ch in text if ch.isprintable() and ch not in '"\\')
