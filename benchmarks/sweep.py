"""A billion points through Dask: bounded memory, two worker processes against one.

``python benchmarks/sweep.py [SIDE]``: TPOT of Llama-2-7B over past x batch x bandwidth, SIDE**3
points; the mean is computed without ever holding them, and a sample is compared with plain values.
"""

import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

import lifesym as ls
from lifesym import symbols as sym


def dataset(side: int) -> Any:
    """The lazy sweep."""
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    f = ls.forecast(ls.load_model("llama-2-7b"), device, batch=sym.batch, generate=2)
    axes = {
        "past": np.arange(side),
        "batch": np.arange(1, side + 1),
        "bandwidth": np.linspace(1e11, 2e12, side),
    }
    return f, ls.sweep(f, axes, metrics=["step"], chunks=250, target="native")


def timed(workers: int, side: int) -> tuple[float, float, float]:
    """Seconds, the mean, and the largest memory of a worker in bytes."""
    options: Any = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        _, data = dataset(side)
        start = time.perf_counter()
        mean = float(data.step.mean().compute())
        seconds = time.perf_counter() - start
        peak = max(client.run(_peak).values())
    return seconds, mean, peak


def _peak() -> int:
    import resource  # noqa: PLC0415 (runs on the worker)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print throughput, memory and agreement."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    points = side**3
    f, data = dataset(side)
    rng = np.random.default_rng(0)
    index = rng.integers(0, side, (3, 200))
    plain = ls.compile(f.tpot, [sym.past, sym.batch, sym.bandwidth])
    axes = [data[name].values for name in ("past", "batch", "bandwidth")]
    for i, j, k in index.T[:20]:
        lazy = float(data.step[i, j, k].compute())
        assert abs(lazy / float(plain(axes[0][i], axes[1][j], axes[2][k])) - 1) < 1e-12
    print(f"{points:,} points; a sample of chunks equals plain values")
    (one, mean, peak), (two, again, peak2) = timed(1, side), timed(2, side)
    assert abs(mean / again - 1) < 1e-12
    print(
        f"1 worker   {one:6.1f} s   {points / one / 1e6:7.1f} M points/s   {peak / 2**20:.0f} MiB"
    )
    print(
        f"2 workers  {two:6.1f} s   {points / two / 1e6:7.1f} M points/s   {peak2 / 2**20:.0f} MiB"
    )
    print(f"two against one: {one / two:.2f} x")


if __name__ == "__main__":
    main()
