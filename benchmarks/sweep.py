"""A billion points through Dask: bounded memory, two worker processes against one.

``python benchmarks/sweep.py [SIDE]``: TPOT of Llama-2-7B over past x batch x bandwidth, SIDE**3
points; the mean is computed without ever holding them, and a sample is compared with plain values.
"""

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

import lifesym as ls
from lifesym import symbols as sym

CHUNK = 160
"""Points a side: 31 MiB of results, which a worker's allocator keeps instead of giving back."""


def dataset(side: int) -> Any:
    """The lazy sweep."""
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    f = ls.forecast(ls.load_model("llama-2-7b"), device, batch=sym.batch, generate=2)
    axes = {
        "past": np.arange(side),
        "batch": np.arange(1, side + 1),
        "bandwidth": np.linspace(1e11, 2e12, side),
    }
    return f, ls.sweep(f, axes, metrics=["step"], chunks=CHUNK, target="native")


@dataclass(frozen=True)
class Run:
    """What a run took: seconds by the clock, of the busiest worker's core, and its memory."""

    seconds: float
    busiest: float
    peak: float
    mean: float


def timed(workers: int, side: int) -> Run:
    """One run with so many worker processes."""
    options: Any = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        _, data = dataset(side)
        client.run(_warm)  # imports, and the compiled loop
        before = client.run(time.process_time)
        start = time.perf_counter()
        mean = float(data.step.mean().compute())
        seconds = time.perf_counter() - start
        after = client.run(time.process_time)
        busiest = max(after[worker] - before[worker] for worker in before)
        return Run(seconds, busiest, max(client.run(_peak).values()), mean)


def _warm() -> None:
    dataset(2)[1].compute()


def _peak() -> int:
    import resource  # noqa: PLC0415 (runs on the worker)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print throughput, memory and agreement."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    points = side**3
    f, data = dataset(side)
    rng = np.random.default_rng(0)
    index = rng.integers(0, side, (3, 20))
    plain = ls.compile(f.tpot, [sym.past, sym.batch, sym.bandwidth])
    axes = [data[name].values for name in ("past", "batch", "bandwidth")]
    for i, j, k in index.T:
        lazy = float(data.step[i, j, k].compute())
        assert abs(lazy / float(plain(axes[0][i], axes[1][j], axes[2][k])) - 1) < 1e-12
    print(f"{points:,} points; a sample of chunks equals plain values")
    # They take turns, and the shorter of two counts: other programs slow now one, now the other.
    tried = [(workers, timed(workers, side)) for workers in (1, 2, 1, 2)]
    runs = {w: min((r for k, r in tried if k == w), key=lambda r: r.seconds) for w in (1, 2)}
    one, two = runs[1], runs[2]
    assert all(abs(run.mean / one.mean - 1) < 1e-12 for _, run in tried)
    for workers, run in runs.items():
        speed = points / run.seconds / 1e6
        memory = max(each.peak for k, each in tried if k == workers) / 2**20
        print(
            f"{workers} workers  {run.seconds:6.1f} s   {speed:7.1f} M points/s   "
            f"busiest core {run.busiest:5.1f} s   {memory:.0f} MiB"
        )
    print(
        f"two against one: {one.seconds / two.seconds:.2f} x by the clock, "
        f"{one.busiest / two.busiest:.2f} x by the busiest worker's core"
    )


if __name__ == "__main__":
    main()
