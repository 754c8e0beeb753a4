"""Figures: what they draw is what was asked, labelled with units; and the files they make."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import lifesym as ls
from lifesym import plots
from lifesym import symbols as sym
from lifesym.analysis import (
    crossover,
    delta_method,
    design,
    local_elasticities,
    monte_carlo,
    pareto,
    regime_map,
    regimes,
    shares,
    sobol,
    tornado,
)
from lifesym.operator_groups import group_of
from lifesym.plots.meaning import GROUPS, RESOURCES
from lifesym.serving import pipeline

V100 = ls.load_hardware("v100")
POINT = V100.numbers(V100.default_format) | {sym.dispatch_time: sym.exact(4e-6)}
F = ls.forecast(ls.load_model("llama-2-7b"), ls.Hardware.symbolic(), batch=sym.batch)
HERE = {**POINT, sym.batch: 16, sym.past: 2048}
CLOSED = ls.forecast("llama-2-7b", "v100", 512, 128, batch=2)
ROOM = CLOSED.open("batch").spare.expr
"""Bytes that the memory of a V100 has left at a batch: of 13 GB weights few."""


def without(symbol: object) -> dict:  # type: ignore[type-arg]
    return {s: v for s, v in HERE.items() if s != symbol}


@cache
def chart(model: str = "llama-2-7b") -> Any:
    f = ls.forecast(ls.load_model(model), ls.Hardware.symbolic(), batch=sym.batch)
    x, y = np.geomspace(1, 4096, 60), np.geomspace(9e9, 9e13, 60)
    at = {**POINT, sym.past: 2048}
    at = {s: v for s, v in at.items() if s != sym.bandwidth}
    return regime_map(f.tpot, ("batch", "bandwidth"), x, y, at)


@cache
def small_chart() -> Any:
    grid = np.linspace(1, 300, 40)
    return regime_map(F.tpot, ("batch", "past"), grid, np.linspace(0, 4000, 30), POINT)


def two_curves() -> Any:
    one, two = (
        sym.bind(F.tpot.expr, {**without(sym.batch), "bandwidth": bw}) for bw in (10**12, 10**11)
    )
    met = crossover(one, two + 1, "batch", (1, 9))
    return plots.two_curves({"a": one, "b": two}, sym.batch, (1, 9), met, F.tpot)


def accuracy() -> Any:
    seconds = [1e-3, 2e-3, 5e-2, 0.1]
    seen = [
        SimpleNamespace(seconds=s, software=f"engine {i}", context=100 * (i + 1), prompt=9)
        for i, s in enumerate(seconds)
    ]
    return plots.accuracy({"prefill": (seen, seconds), "decode": (seen, seconds[::-1])})


def sweep(*, batches: tuple[int, ...] = (1, 4, 16, 64)) -> Any:
    def made(weights: str) -> Any:
        return ls.forecast("llama-2-7b", "v100", 512, 128, batch=sym.batch, weights=weights)

    return ls.sweep(made, {"weights": ["fp16", "int8"], "batch": batches}, ["tpot_mean"])


def several_roofs() -> Any:
    h100 = ls.load_hardware("h100-sxm-80gb")
    fast = HERE | h100.numbers(h100.default_format)
    return plots.rooflines(
        {name: plots.Roof.of(F.tpot, at) for name, at in (("V100", HERE), ("H100", fast))}
    )


def forms(*names: str) -> dict[str, Any]:
    return {name: ls.forecast("llama-2-7b", name, 512, 128) for name in names}


OPTIONS = {"a": (1.0, -9.0), "b": (2.0, -20.0), "c": (3.0, -5.0), "d": (4.0, -30.0)}
GRID = np.linspace(1, 300, 40)
KINDS: dict[str, Callable[[], Any]] = {
    "elasticities": lambda: plots.elasticity_bars(local_elasticities(F.tpot, HERE), "TPOT"),
    "tornado": lambda: plots.tornado_bars(tornado(F.tpot, HERE, 0.2), "TPOT", "s"),
    "heat": lambda: plots.elasticity_map(
        {n: {row.symbol: row.value for row in local_elasticities(F.tpot, HERE)} for n in "ab"},
        "TPOT",
    ),
    "roofline": lambda: plots.roofline(F.tpot, HERE, peak=125e12, bandwidth=900e9),
    "several roofs": several_roofs,
    "stacked": lambda: plots.stacked_time(
        F.tpot,
        "batch",
        GRID,
        without(sym.batch),
        boundaries=regimes(F.tpot, "batch", (1, 300), without(sym.batch)),
    ),
    "map": lambda: plots.regime_chart(small_chart(), room=ROOM),
    "map of many": lambda: plots.regime_chart(chart("deepseek-v2-lite")),
    "target": lambda: plots.against_target(
        F.tpot,
        design(F.tpot, "batch", without(sym.batch), at_most=0.06),
        without(sym.batch),
        "s",
        "TPOT",
    ),
    "two": two_curves,
    "front": lambda: plots.pareto_front(OPTIONS, ("TPOT", "throughput"), ("s", "token/s")),
    "throughput": lambda: plots.throughput_latency(forms("v100", "h100-sxm-80gb"), [1, 4, 16, 64]),
    "cost": lambda: plots.throughput_latency(forms("v100"), [1, 4, 9], hourly_price=2),
    "memory": lambda: plots.memory_by_role(CLOSED, "batch", np.linspace(1, 64, 64)),
    "sobol": lambda: plots.sobol_bars(
        sobol(F.tpot, {"batch": (1, 64), "bandwidth": (5e11, 1e12)}, HERE, samples=64), "TPOT"
    ),
    "band": lambda: plots.spread_band(
        "batch",
        [1, 8, 64],
        [
            monte_carlo(F.tpot, HERE | {sym.batch: b}, {"bandwidth": 9e10}, samples=64)
            for b in (1, 8, 64)
        ],
        "TPOT",
        "s",
    ),
    "sweep": lambda: plots.sweep_curves(sweep(), "tpot_mean", "batch"),
    "accuracy": accuracy,
}
LABELS = {
    "elasticities": "elasticity of TPOT (% for +1 %)",
    "tornado": "TPOT [ms]",
    "heat": "elasticity of TPOT",
    "roofline": "arithmetic intensity [FLOP/B]",
    "several roofs": "arithmetic intensity [FLOP/B]",
    "front": "TPOT [s]",
    "throughput": "mean TPOT [ms], with batches marked",
    "cost": "mean TPOT [ms], with batches marked",
    "sobol": "part of the variance of TPOT",
    "accuracy": "measured [s]",
}


def ticks(axes: Any) -> Iterator[list[Text]]:
    """The labels of each axis that are drawn: those between its ends."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(getattr(axes, f"get_{axis.axis_name}lim")())
        yield [
            tick.label1
            for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high and tick.label1.get_text()
        ]


def texts(made: Any) -> list[Text]:
    """What is written in a figure and seen."""
    of_ticks = {
        text
        for axes in made.axes
        for axis in (axes.xaxis, axes.yaxis)
        for which in ("major", "minor")
        for text in axis.get_ticklabels(which=which)
    }
    drawn = [text for axes in made.axes for labels in ticks(axes) for text in labels]
    others = [text for text in made.findobj(Text) if text not in of_ticks]
    return [text for text in drawn + others if text.get_text().strip() and text.get_visible()]


def boxes(made: Any) -> Iterator[tuple[str, Bbox]]:
    """The parts of a figure beside each other: axes with what is written at them, title, key."""
    for i, axes in enumerate(made.axes):
        yield f"axes {i}", axes.get_tightbbox()
    for legend in made.legends:
        yield "key", legend.get_window_extent()
    if made.get_suptitle():
        yield "title", made._suptitle.get_window_extent()


def covers(one: Bbox, other: Bbox) -> bool:
    """Whether two boxes share more than half a point."""
    met = Bbox.intersection(one, other)
    return met is not None and min(met.width, met.height) > 0.5


@pytest.mark.parametrize("width", [240, None])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_figure(kind: str, width: float | None, tmp_path: Path) -> None:
    """At the width of a column and of a page: labelled, nothing cut or upon each other."""
    with plots.style(width, title=plots.figure_caption(CLOSED.tpot)):
        made = KINDS[kind]()
    assert made.axes[0].get_xlabel() == LABELS.get(kind, "batch $B$ [sequences]")
    assert made.get_suptitle().replace("\n", " ").startswith("TPOT of llama-2-7b on NVIDIA V100")
    made.canvas.draw()
    page = made.bbox
    assert len(texts(made)) > 5
    for text in texts(made):
        box = text.get_window_extent()
        assert box.x0 >= -0.5, text
        assert box.y0 >= -0.5, text
        assert box.x1 <= page.width + 0.5, text
        assert box.y1 <= page.height + 0.5, text
        if width is not None:
            assert text.get_fontsize() == 8, text
    if width is not None:
        assert 72.27 * made.get_figwidth() == pytest.approx(width)
    parts = list(boxes(made))
    for i, (name, box) in enumerate(parts):
        for other, beside in parts[:i]:
            assert not covers(box, beside), (name, other)
    for axes in made.axes:
        for labels in ticks(axes):
            for one, beside in pairwise(text.get_window_extent() for text in labels):
                assert not covers(one, beside), kind
    assert plots.save(made, tmp_path / f"{kind}.png").stat().st_size > 1000


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_every_ending_is_written(ending: str, tmp_path: Path) -> None:
    assert plots.save(KINDS["front"](), tmp_path / f"a.{ending}").stat().st_size > 1000


def test_a_style_ends_and_refuses_widths() -> None:
    with plots.style(345):
        inside = KINDS["front"]()
    assert 72.27 * inside.get_figwidth() == pytest.approx(345)
    assert KINDS["front"]().get_figwidth() == 6
    with pytest.raises(ls.SpecError, match="200 to 2000 points across, not 20"):
        plots.style(20)


def test_titles_come_from_the_form_once() -> None:
    """Model, devices, formats, workload; without what varies, or what a step does not meet."""
    on = "llama-2-7b on NVIDIA V100 SXM2 16GB (fp16; at peaks)"
    assert plots.figure_caption(CLOSED.tpot) == f"TPOT of {on}: batch 2, context 512"
    assert plots.figure_caption(CLOSED.ttft, over=["batch"]) == (
        f"TTFT of {on}: prompt 512, generated 128"
    )
    assert plots.figure_caption(CLOSED, {"past": 9}) == (
        f"{on}: batch 2, prompt 512, generated 128, context 9"
    )
    opened = CLOSED.open()
    assert plots.figure_caption(opened.tpot, over=["batch"]) == f"TPOT of {on}: context 512"
    assert plots.figure_caption(opened.tpot, {"past": 99}) == f"TPOT of {on}: batch 2, context 99"
    int4 = ls.forecast("llama-2-7b", "v100", 512, 128, batch=4, weights="int4-g128")
    assert plots.figure_caption(int4).startswith(
        "llama-2-7b on NVIDIA V100 SXM2 16GB (int4-g128 weights, fp16 activations and KV"
    )
    assert plots.figure_caption([int4, CLOSED]) == (
        "llama-2-7b on NVIDIA V100 SXM2 16GB (at peaks): prompt 512, generated 128"
    )
    assert "on 2 x NVIDIA V100" in plots.figure_caption(pipeline(CLOSED, 2))
    assert plots.figure_caption(CLOSED.memory) == "memory"
    made = plots.stacked_time(CLOSED.open("batch").tpot, "past", [1, 99], {"batch": 3})
    assert made.get_suptitle() == f"TPOT of {on}: batch 3"
    with plots.style(None, title=""):
        assert not plots.memory_by_role(CLOSED, "batch", [1, 2]).get_suptitle()


def test_stacked_areas_are_the_terms() -> None:
    made = plots.stacked_time(F.tpot, "past", [0, 2048, 4096], without(sym.past), shares=False)
    axes = made.axes[0]
    names = axes.get_legend_handles_labels()[1]
    tops = [
        max(y for x, y in path.vertices if x == 2048)
        for c in axes.collections
        for path in c.get_paths()
    ]
    total = float(sym.bind(F.tpot.expr, HERE))
    assert max(tops) == pytest.approx(1e3 * total)  # in ms
    parts = shares(F.tpot, HERE)
    i = names.index("attention")
    attention = tops[i] - tops[i - 1]
    expected = float(parts["attn_core"] + parts.get("kv_append", 0))
    softmax = sum(float(part) for name, part in parts.items() if "softmax" in name)
    assert attention == pytest.approx(1e3 * total * (expected + softmax), rel=1e-6)
    made = plots.stacked_time(F.tpot, "past", [1, 2048, 4096], without(sym.past))
    assert made.axes[0].get_ylabel() == "part of TPOT [%]"
    assert made.axes[0].get_ylim() == (0, 100)


@pytest.mark.parametrize(
    ("model", "groups"),
    [
        ("llama-2-7b", {"projections", "feed-forward", "attention"}),
        ("mixtral-8x7b", {"projections", "experts", "attention"}),
        ("deepseek-v3", {"projections", "feed-forward", "experts", "attention"}),
        ("falcon-mamba-7b", {"projections", "recurrence"}),
        ("rwkv-4-7b", {"projections", "feed-forward", "recurrence"}),
    ],
)
def test_operators_have_the_same_group_in_every_model(model: str, groups: set[str]) -> None:
    f = ls.forecast(model, "h100-sxm-80gb", 64, 8, tensor_parallel=2)
    found = {group_of(term) for term in f.ttft.terms}
    assert found == groups | {"embedding and head", "vector work", "links"}
    for term in f.ttft.terms:
        if term.cost.matmul_flops == 0 and term.family in ("norm", "residual", "activation"):
            assert group_of(term) == "vector work"


def test_colours_and_hatches_mean_the_same_in_every_figure() -> None:
    """Of two models whose stacks differ; and no two meanings look alike, in grey either."""
    for looks in (GROUPS, RESOURCES):
        assert len({look.colour for look in looks.values()}) == len(looks)
        assert len({look.hatch for look in looks.values()}) == len(looks)
    assert len({look.marker for look in GROUPS.values()}) == len(GROUPS)
    from matplotlib.colors import to_rgb

    grey = sorted(
        float(np.dot(to_rgb(look.colour), (0.299, 0.587, 0.114))) for look in RESOURCES.values()
    )
    assert min(b - a for a, b in pairwise(grey)) > 0.1
    seen: dict[str, set[Any]] = {}
    for model in ("llama-2-7b", "mixtral-8x7b"):
        f = ls.forecast(model, "h100-sxm-80gb", 512, 128, batch=sym.batch)
        made = plots.stacked_time(f.ttft, "batch", [1, 2, 3])
        for layer in made.axes[0].collections:
            look = tuple(layer.get_facecolor()[0]), layer.get_hatch()
            seen.setdefault(layer.get_label(), set()).add(look)
    assert "projections" in seen
    assert all(len(looks) == 1 for looks in seen.values())


def test_regions_look_like_what_takes_the_time() -> None:
    """The same patch for the same words, in maps of two models; the shares add up."""
    from matplotlib.colors import to_rgba

    looks: dict[str, set[Any]] = {}
    for model in ("deepseek-v2-lite", "qwen1.5-moe-a2.7b"):
        made = plots.regime_chart(chart(model))
        for patch in made.legends[0].get_patches():
            pair = patch.get_facecolor(), patch.get_hatch()
            looks.setdefault(patch.get_label(), set()).add(pair)
    named = {name: pairs for name, pairs in looks.items() if name.startswith("mostly")}
    assert all(len(pairs) == 1 for pairs in named.values())
    assert len(set.union(*named.values())) == len(named)  # no two that look alike
    for name, ((colour, hatch),) in ((n, tuple(pairs)) for n, pairs in named.items()):
        first = name.split()[1].rstrip(",")
        assert colour == to_rgba(RESOURCES[first].colour)
        assert all(hatch.count(RESOURCES[w].hatch) == (w in name) for w in RESOURCES)
    for share in chart("deepseek-v2-lite").shares:
        assert sum(share.values()) == pytest.approx(1)


def test_numbers_stand_in_their_regions() -> None:
    made = plots.regime_chart(small_chart())
    axes = made.axes[0]
    ids = small_chart().ids
    numbers = [text for text in axes.texts if text.get_text().isdigit()]
    assert numbers
    for text in numbers:
        x, y = text.get_position()
        column = int(np.argmin(abs(small_chart().x - x)))
        row = int(np.argmin(abs(small_chart().y - y)))
        assert ids[row, column] == int(text.get_text()) - 1
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    assert len(labels) <= 8


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
    assert axes.get_xlabel() == "bandwidth $\\mathit{BW}$ [TB/s]"
    assert "regime changes" in axes.get_legend_handles_labels()[1]


def test_axes_end_a_little_above_where_memory_ends() -> None:
    """A V100 holds eleven sequences of 640 tokens; what is shown beyond is a strip."""
    full = max(b for b in range(1, 64) if ROOM.subs(sym.batch, b) >= 0)
    grid = np.linspace(1, 64, 64)
    f = CLOSED.open("batch")
    made = plots.stacked_time(f.tpot, "batch", grid, {"past": 600}, room=ROOM)
    answer = design(f.tpot, "batch", {"past": 600}, at_most=0.017)
    curve = plots.against_target(f.tpot, answer, {"past": 600}, "s", "TPOT", room=ROOM)
    square = plots.regime_chart(
        regime_map(f.tpot, ("batch", "past"), grid, [100, 200, 300]), room=ROOM
    )
    expr = sym.bind(f.tpot.expr, {"past": 600})
    pair = {"one": expr, "two": 2 * expr}
    both = plots.two_curves(pair, sym.batch, (1, 40), [], f.tpot, rooms={"one": ROOM, "two": ROOM})
    memory = plots.memory_by_role(CLOSED, "batch", grid)
    for each in (made, curve, square, both, memory):
        right = each.axes[0].get_xlim()[1]
        assert right < 2 * full
    assert made.axes[0].get_xlim()[1] > full
    alone = plots.two_curves(pair, sym.batch, (1, 40), [], f.tpot, rooms={"one": ROOM, "two": None})
    assert alone.axes[0].get_xlim()[1] >= 40  # of the second nothing is known


def test_memory_by_role_is_what_is_held() -> None:
    """At the batch of the forecast, and with the device's capacity as a line."""
    axes = plots.memory_by_role(CLOSED, "batch", [1, 2, 3]).axes[0]
    tops = [
        max(y for x, y in path.vertices if x == 2)
        for c in axes.collections
        for path in c.get_paths()
    ]
    assert tops[1] == pytest.approx(float(CLOSED.memory.expr) / 1e9)
    assert tops[2] == pytest.approx(float(CLOSED.capacity.expr) / 1e9)
    assert axes.lines[0].get_ydata()[0] == pytest.approx(float(V100.capacity) / 1e9)
    served = plots.memory_by_role(pipeline(CLOSED, 2), "batch", [1, 2])
    assert served.axes[0].get_legend_handles_labels()[1][-1] == "capacity"
    with pytest.raises(ls.SymbolError, match="memory does not depend on bandwidth"):
        plots.memory_by_role(CLOSED, "bandwidth", [1, 2])
    some = ls.forecast("llama-2-7b", "v100", sym.prompt, 128)
    with pytest.raises(ls.SymbolError, match="memory also depends on prompt: give numbers"):
        plots.memory_by_role(some, "batch", [1, 2])
    plots.memory_by_role(some, "batch", [1, 2], {"prompt": 9})


def test_throughput_is_of_a_device_and_ends_with_memory() -> None:
    batches = [1, 2, 4, 8, 16, 32]
    two = ls.forecast("llama-2-7b", "v100", 512, 128, tensor_parallel=2)
    made = plots.throughput_latency({"one": CLOSED, "two": two}, batches)
    one, other = made.axes[0].lines
    assert len(one.get_xdata()) == 4  # 8 sequences fit
    assert len(other.get_xdata()) == 6
    at_two = ls.forecast("llama-2-7b", "v100", 512, 128, batch=2, tensor_parallel=2)
    assert other.get_xdata()[1] == pytest.approx(1e3 * float(at_two.tpot.mean.expr))
    assert other.get_ydata()[1] == pytest.approx(float(at_two.tps) / 2)
    cost = plots.throughput_latency({"two": two}, batches, hourly_price=3).axes[0].lines[0]
    assert cost.get_ydata()[1] == pytest.approx(float(at_two.cost(3)))
    large = ls.forecast("llama-3.1-70b", "v100", 512, 128)
    with pytest.raises(ls.SymbolError, match="no batch fits"):
        plots.throughput_latency({"a": large}, batches)
    both = plots.throughput_latency({"a": large, "b": CLOSED}, batches)
    assert [text.get_text() for text in both.legends[0].get_texts()] == ["a: does not fit", "b"]
    with pytest.raises(ls.SymbolError, match="a also depends on prompt: give numbers"):
        plots.throughput_latency({"a": ls.forecast("llama-2-7b", "v100", sym.prompt, 9)}, batches)
    for wrong in ([], [0, 1], [2, 1]):
        with pytest.raises(ls.SymbolError, match="batch"):
            plots.throughput_latency({"a": CLOSED}, wrong)


def test_a_front_has_the_options_that_pareto_keeps() -> None:
    made = plots.pareto_front(OPTIONS, ("TPOT", "throughput"), ("s", "token/s"))
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    kept = list(pareto(OPTIONS))
    assert labels == ["beaten by another", *(f"{i + 1}  {name}" for i, name in enumerate(kept))]
    assert made.axes[0].get_ylim()[0] > 0  # negated objectives are drawn as they were
    many = plots.pareto_front({f"o{i}": (i, 20 - i) for i in range(1, 20)})
    labels = [text.get_text() for text in many.legends[0].get_texts()]
    assert labels[-1] == "10 more on the front"
    assert len(labels) == 10
    with pytest.raises(ls.SymbolError, match="two objectives"):
        plots.pareto_front({"a": (1, 2, 3)})
    with pytest.raises(ls.SymbolError, match="no point"):
        plots.pareto_front({})


def test_bands_are_the_answers() -> None:
    spread = {"bandwidth": 9e10}
    samples = [monte_carlo(F.tpot, HERE | {sym.batch: b}, spread, samples=64) for b in (1, 8)]
    axes = plots.spread_band("batch", [1, 8], samples, "TPOT", "s").axes[0]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([1e3 * s.quantiles[1] for s in samples])
    lines = [delta_method(F.tpot, HERE | {sym.batch: b}, spread) for b in (1, 8)]
    axes = plots.spread_band("batch", [1, 8], lines, "TPOT", "s").axes[0]
    low = min(y for x, y in axes.collections[0].get_paths()[0].vertices if x == 1)
    expected = float(lines[0].value) - 1.6448536 * float(lines[0].deviation)
    assert low == pytest.approx(1e3 * expected, rel=1e-6)
    with pytest.raises(ls.SymbolError, match="an answer for each, not 1 and 2"):
        plots.spread_band("batch", [1], samples, "TPOT", "s")


def test_sobol_bars_have_their_intervals() -> None:
    found = sobol(F.tpot, {"batch": (1, 64), "bandwidth": (5e11, 1e12)}, HERE, samples=64)
    axes = plots.sobol_bars(found, "TPOT").axes[0]
    ranked = sorted(found.total, key=lambda symbol: found.total[symbol])
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(
        [found.first[s] for s in ranked] + [found.total[s] for s in ranked]
    )
    assert len(axes.containers) >= 4  # bars and error bars


def test_curves_of_a_sweep_end_with_memory() -> None:
    found = sweep()
    made = plots.sweep_curves(found, "tpot_mean", "batch")
    full, half = made.axes[0].lines
    assert np.isfinite(full.get_ydata()).sum() == 2  # 1 and 4 of 1, 4, 16, 64
    assert np.isfinite(half.get_ydata()).sum() == 3
    expected = 1e3 * found["tpot_mean"].sel(weights="int8", batch=16)
    assert half.get_ydata()[2] == pytest.approx(float(expected))
    assert full.get_label() == "weights fp16"
    one = plots.sweep_curves(found.sel(weights=["int8"]), "tpot_mean", "batch")
    assert one.get_suptitle() == "weights int8"
    assert not one.legends
    for metric, over, said in (
        ("tps", "batch", "metric"),
        ("tpot_mean", "past", "no axis of numbers"),
        ("tpot_mean", "weights", r"no axis of numbers of tpot_mean \(it has batch\)"),
    ):
        with pytest.raises(ls.SymbolError, match=said):
            plots.sweep_curves(found, metric, over)
    with pytest.raises(ls.SymbolError, match="nothing fits"):
        plots.sweep_curves(sweep(batches=(128, 256)), "tpot_mean", "batch")
    axes = {"batch": [1, 2], "past": list(range(9))}
    many = ls.sweep(CLOSED.open("batch"), axes, ["tpot"])
    with pytest.raises(ls.SymbolError, match="9 curves are too many"):
        plots.sweep_curves(many, "tpot", "batch")
    with pytest.raises(ls.SymbolError, match="expected a dataset"):
        plots.sweep_curves([1], "tpot", "batch")


def test_points_of_a_roofline_are_the_operators() -> None:
    """Each under its own device's line; in a legend of a group each, whatever their names."""
    made = several_roofs()
    assert len(made.legends[0].get_texts()) <= 2 + len(GROUPS)
    for name, roof in (("V100", plots.Roof.of(F.tpot, HERE)),):
        for group, intensity, rate in roof.points():
            assert group in GROUPS, name
            assert rate <= min(roof.peak, intensity * roof.bandwidth) * (1 + 1e-9)
    with pytest.raises(ls.SymbolError, match="1 to 5 rooflines, not 0"):
        plots.rooflines({})
    with pytest.raises(ls.SymbolError, match="a roofline is of one device"):
        plots.Roof.of(F.tpot, {"batch": 1})


def test_ends_of_a_tornado_are_sizes_in_full() -> None:
    made = plots.tornado_bars(tornado(F.tpot, HERE, 0.2), "TPOT", "s")
    made.canvas.draw()
    ticks = [text.get_text() for text in made.axes[0].get_yticklabels()]
    assert "batch\n12 … 20" in ticks
    assert "context\n1,638 … 2,458" in ticks
    assert any("TB/s" in text for text in ticks)


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
