"""Figures: what they draw is what was asked, labelled with units; and the files they make."""

from pathlib import Path

import numpy as np
import pytest

import lifesym as ls
from lifesym import plots
from lifesym import symbols as sym
from lifesym.analysis import (
    crossover,
    design,
    device_point,
    local_elasticities,
    regime_map,
    regimes,
    shares,
    tornado,
)

V100 = ls.load_hardware("v100")
POINT = device_point(V100, V100.default_format) | {sym.dispatch_time: sym.exact(4e-6)}
F = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), batch=sym.batch)
HERE = {**POINT, sym.batch: 16, sym.past: 2048}


def without(symbol: object) -> dict:  # type: ignore[type-arg]
    return {s: v for s, v in HERE.items() if s != symbol}


def figures() -> dict:  # type: ignore[type-arg]
    rows = local_elasticities(F.tpot, HERE)
    answer = design(F.tpot, "batch", without(sym.batch), at_most=0.06)
    grid = np.linspace(1, 300, 40)
    chart = regime_map(F.tpot, ("batch", "past"), grid, np.linspace(0, 4000, 30), POINT)
    one, two = (
        sym.bind(F.tpot.expr, {**without(sym.batch), "bandwidth": bw}) for bw in (10**12, 10**11)
    )
    met = crossover(one, two + 1, "batch", (1, 9))
    return {
        "elasticities": plots.elasticity_bars(rows, "TPOT"),
        "tornado": plots.tornado_bars(tornado(F.tpot, HERE, 0.2), "TPOT", "s"),
        "heat": plots.elasticity_map({"v100": {row.symbol: row.value for row in rows}}, "TPOT"),
        "roofline": plots.roofline(F.tpot, HERE, peak=125e12, bandwidth=900e9),
        "stacked": plots.stacked_time(
            F.tpot,
            "batch",
            grid,
            without(sym.batch),
            boundaries=regimes(F.tpot, "batch", (1, 300), without(sym.batch)),
        ),
        "map": plots.regime_chart(chart),
        "target": plots.against_target(F.tpot, answer, without(sym.batch), "s", "TPOT"),
        "two": plots.two_curves({"a": one, "b": two}, sym.batch, (1, 9), met, F.tpot),
    }


LABELS = {
    "elasticities": "elasticity of TPOT: % change for +1 % of the symbol",
    "tornado": "TPOT [ms]",
    "roofline": "arithmetic intensity [FLOP/B]",
    "stacked": "sequences computed together [sequences]",
    "map": "sequences computed together [sequences]",
    "target": "sequences computed together [sequences]",
    "two": "sequences computed together [sequences]",
}


def test_every_figure_is_labelled_and_written(tmp_path: Path) -> None:
    for name, made in figures().items():
        if name in LABELS:
            assert made.axes[0].get_xlabel() == LABELS[name]
        for ending in ("png", "pdf", "svg") if name == "target" else ("png",):
            written = plots.save(made, tmp_path / f"{name}.{ending}")
            assert written.stat().st_size > 1000


def test_stacked_areas_are_the_terms() -> None:
    made = plots.stacked_time(F.tpot, "past", [0, 2048, 4096], without(sym.past), most=3)
    axes = made.axes[0]
    tops = [
        max(y for x, y in path.vertices if x == 2048)
        for c in axes.collections
        for path in c.get_paths()
    ]
    total = float(sym.bind(F.tpot.expr, HERE))
    assert max(tops) == pytest.approx(1e3 * total)  # in ms
    first = shares(F.tpot, HERE)["attn_qk"]
    assert tops[0] == pytest.approx(1e3 * total * float(first), rel=1e-6)


def test_bars_are_the_elasticities() -> None:
    rows = [row for row in local_elasticities(F.tpot, HERE) if row.largest != 0]
    axes = plots.elasticity_bars(rows, "TPOT").axes[0]
    drawn = [patch.get_width() for patch in axes.patches]
    assert drawn == pytest.approx([float(row.right) for row in rows][::-1])


@pytest.mark.parametrize("name", ["plot.gif", "plot", "missing/plot.png"])
def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path, name: str) -> None:
    made = plots.elasticity_map({"a": {sym.batch: sym.exact(1)}})
    with pytest.raises(ls.SpecError, match="plot"):
        plots.save(made, tmp_path / name)
