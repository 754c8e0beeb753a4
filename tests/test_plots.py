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
    local_elasticities,
    regime_map,
    regimes,
    shares,
    tornado,
)

V100 = ls.load_hardware("v100")
POINT = V100.numbers(V100.default_format) | {sym.dispatch_time: sym.exact(4e-6)}
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
    first = shares(F.tpot, HERE)["attn_core"]
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


def test_a_wide_axis_is_logarithmic_and_scaled() -> None:
    grid = np.geomspace(1e9, 1e14, 50)
    found = regimes(F.tpot, "bandwidth", (1e9, 1e14), without(sym.bandwidth))
    made = plots.stacked_time(F.tpot, "bandwidth", grid, without(sym.bandwidth), boundaries=found)
    axes = made.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((1e-3, 100))
    assert axes.get_xlabel() == "memory bandwidth [TB/s]"
    assert "regime changes" in axes.get_legend_handles_labels()[1]


def test_a_map_of_many_small_regimes_counts_operators() -> None:
    """Where what has no name would be the largest area, the colour is a number."""
    f = ls.forecast(ls.load_model("deepseek-v2-lite"), ls.Hardware.symbolic(), batch=sym.batch)
    x, y = np.geomspace(1, 4096, 60), np.geomspace(9e9, 9e13, 60)
    at = {**POINT, sym.past: 2048}
    chart = regime_map(
        f.tpot, ("batch", "bandwidth"), x, y, {s: v for s, v in at.items() if s != sym.bandwidth}
    )
    made = plots.regime_chart(chart)
    assert (chart.ids >= 6).mean() > 0.1
    assert made.axes[1].get_ylabel() == f"operators bound by memory, of {len(chart.regimes[0])}"
    drawn = made.axes[0].collections[0].get_array()
    bound = [list(one.values()).count("memory") for one in chart.regimes]
    assert (np.asarray(drawn).reshape(chart.ids.shape) == np.array(bound)[chart.ids]).all()


def test_ends_of_a_tornado_are_sizes_in_full() -> None:
    made = plots.tornado_bars(tornado(F.tpot, HERE, 0.2), "TPOT", "s")
    texts = {text.get_text() for text in made.axes[0].texts}
    assert "12 … 20" in texts
    assert "1,638 … 2,458" in texts
    assert any("TB/s" in text for text in texts)


def test_the_roofline_of_many_operators_leaves_room_for_the_axes() -> None:
    f = ls.forecast(ls.load_model("deepseek-v2-lite"), ls.Hardware.symbolic(), batch=sym.batch)
    made = plots.roofline(f.ttft, {**HERE, sym.prompt: 512}, peak=125e12, bandwidth=900e9)
    made.canvas.draw()
    box = made.axes[0].get_position()
    assert box.width > 0.7
    assert box.height > 0.45
    (ridge,) = (text for text in made.axes[0].texts if "ridge" in text.get_text())
    inside = made.axes[0].get_window_extent()
    extent = ridge.get_window_extent()
    assert inside.x0 <= extent.x0
    assert extent.x1 <= inside.x1
