"""The page: its text, and in a real browser its numbers against `lifesym.forecast`."""

import json
import random
import re
import shutil
from base64 import b64decode
from dataclasses import replace
from fractions import Fraction
from zlib import decompress

import pytest

import lifesym as ls
from lifesym.capacity import Fit
from lifesym.errors import SpecError
from lifesym.explore import page
from lifesym.symbols import exact

MODELS, DEVICES = ["gemma-3-1b", "bert-base"], ["h100-sxm-80gb", "rtx-4090"]
WEIGHTS, KV = ["int4-g128"], ["int8"]
POINTS = 50
_MOST = 3_000_000
"""Bytes of a page."""


def _start(model: str, hardware: object, **more: object) -> ls.Forecast:
    sizes = {"generate": 0} if model == "bert-base" else {"generate": 64, "past": 0}
    return ls.forecast(model, hardware, prompt=300, batch=2, **{**sizes, **more})


@pytest.fixture(scope="module")
def text() -> str:
    return page(MODELS, DEVICES, weights=WEIGHTS, kv=KV, make=_start)


def _data(text: str) -> dict:
    packed = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', text)
    return json.loads(decompress(b64decode(packed[1])))


def test_a_page_is_one_file(text):
    assert len(text.encode()) < _MOST
    own = text.partition("<script>")[0] + text.rpartition('<script type="module">')[2]
    assert not re.search(r"""(src|href)=["'](?!data:,)|@import|url\(|fetch\(|import\(""", own)


def test_what_is_refused_is_said(text):
    data = _data(text)
    assert data["counts"]["0,0"] == [1, 2, 4]
    assert data["counts"]["0,1"] == [1]
    assert "encoder" in data["variants"]["1,0,0,0,1,0"]["refused"]
    assert "whole" in data["variants"]["0,1,1,1,1,0"]
    # the same formulas on both devices are one function
    both = [data["variants"][f"0,{device},1,1,1,0"] for device in (0, 1)]
    assert both[0]["phases"] == both[1]["phases"]
    assert both[0]["formulas"] == both[1]["formulas"]


def test_names_that_stand_twice_are_one_entry():
    made = page(["bert-base"] * 2, ["v100"] * 2, make=_start)
    data = _data(made)
    assert (data["models"], data["devices"]) == (["bert-base"], ["v100"])
    assert {key[:3] for key in data["variants"]} == {"0,0"}


def test_what_runs_nowhere_is_an_error():
    with pytest.raises(SpecError, match="unknown model 'qwen9'"):
        page(["gemma-3-1b", "qwen9"], DEVICES)
    with pytest.raises(SpecError, match="unknown hardware 'h900'"):
        page(["gemma-3-1b"], ["h900", *DEVICES])
    with pytest.raises(SpecError, match="at least one model and one device"):
        page([], DEVICES)
    with pytest.raises(SpecError, match="unknown number format 'nonsense'"):
        page(MODELS, DEVICES, weights=["nonsense"])
    with pytest.raises(SpecError, match="no slider 'nonsense'"):
        page(MODELS, DEVICES, start={"nonsense": 1})


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: [browser]")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def file(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def shown(browser, file):
    """A page that is open; in the end it must have had no complaint and asked for nothing."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    said, asked = [], []
    opened.on("console", lambda each: said.append(each.text) if each.type != "info" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(file)
    opened.wait_for_selector("html[data-ready]")
    yield opened
    assert [line for line in said if "setting log level" not in line] == []
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {file}
    context.close()


_RATES = ("bandwidth", "compute_efficiency", "memory_efficiency", "dispatch_time")
_ASK = """([choice, values]) => {
  Object.assign(lifesym.state, choice, { values });
  lifesym.update();
  const { prefill, step, ...numbers } = lifesym.results;
  return numbers;
}"""


def _expected(model: str, device: str, choice: dict, values: dict) -> dict[str, float]:
    """The same of `lifesym.forecast`, in numbers throughout."""
    rates = {name: Fraction(values[name]) for name in _RATES if name in values}
    hardware = ls.load_hardware(device).with_(**rates)
    more = {}
    if choice["weights"]:
        more["weights"] = WEIGHTS[choice["weights"] - 1]
    if choice["kv"]:
        more["kv"] = KV[choice["kv"] - 1]
    if choice["chunked"]:
        more["chunk"] = min(values["chunk"], values["prompt"])
    if choice["devices"] > 1:
        more["tensor_parallel"] = choice["devices"]
    if "peak" in values:
        peak = exact(Fraction(values["peak"]))
        hardware = replace(hardware, matrix=dict.fromkeys(hardware.matrix, peak))
    sizes = values["prompt"], values["generated"], values["batch"], 0
    if model == "bert-base":
        f = ls.forecast(model, hardware, values["prompt"], 0, values["batch"], **more)
        return {"ttft": float(f.ttft), "memory": float(f.memory), "latency": float(f.latency)}
    f = ls.forecast(model, hardware, *sizes, **more)
    return {
        "ttft": float(f.ttft),
        "tpot": float(f.tpot.bind({"past": values["past"]})),
        "tpot_mean": float(f.tpot.mean),
        "latency": float(f.latency),
        "tps": float(f.tps),
        "memory": float(f.memory),
        "sequences": float(Fit(forecast=f).sequences),
        "energy": float(f.energy),
        "tokens_per_joule": float(f.tokens_per_joule),
        "cost": float(f.cost(values["hourly_price"])),
    }


def test_numbers_are_those_of_forecasts(shown):
    draw = random.Random(7)
    for i in range(POINTS):
        model, device = int(i % 5 == 0), draw.randrange(2)
        encoder = MODELS[model] == "bert-base"
        own = ls.load_hardware(DEVICES[device])
        choice = {
            "model": model,
            "device": device,
            "weights": draw.randrange(2),
            "kv": 0 if encoder else draw.randrange(2),
            "chunked": not encoder and draw.random() < 0.4,
            "devices": 1 if device or encoder else draw.choice([1, 2, 4]),
        }
        values = {
            "prompt": draw.randint(1, 500 if encoder else 9000),
            "past": draw.randint(0, 9000),
            "generated": draw.randint(2, 400),
            "batch": draw.randint(1, 300),
            "chunk": draw.randint(16, 4096),
            "hourly_price": draw.randint(0, 9),
            "bandwidth": float(own.bandwidth) * draw.uniform(0.3, 3),
            "compute_efficiency": draw.uniform(0.1, 1),
            "memory_efficiency": draw.uniform(0.1, 1),
            "dispatch_time": draw.uniform(0, 1e-5),
        }
        if draw.random() < 0.5:
            values["peak"] = draw.uniform(1e13, 1e15)
        found = shown.evaluate(_ASK, [choice, values])
        expected = _expected(MODELS[model], DEVICES[device], choice, values)
        for name, number in expected.items():
            assert found[name] == pytest.approx(number, rel=1e-9), (name, choice, values)


def test_operators_and_summands_add_up(shown):
    for choice in ({"devices": 1, "chunked": False}, {"devices": 4, "chunked": True}):
        for phase in ("step", "prefill"):
            shown.evaluate(_ASK, [{**choice, "phase": phase}, {"batch": 8}])
            total = shown.evaluate(
                "(phase) => lifesym.results[phase === 'step' ? 'tpot' : 'ttft']", phase
            )
            rows = shown.evaluate(
                """() => [...document.querySelectorAll("#formula tbody td[data-number]")]
                  .map((each) => each.textContent)"""
            )
            assert sum(map(_seconds, rows)) == pytest.approx(total, rel=2e-3)
            active = shown.locator("#formula .branch.active").count()
            assert active >= len(rows) - 3


def _seconds(shown: str) -> float:
    number, unit = shown.split(" ")
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]


def test_controls_work_by_keyboard_and_as_typed(shown):
    shown.focus("#range-batch")
    for _ in range(3):
        shown.keyboard.press("PageUp")
    shown.wait_for_function("() => lifesym.state.values.batch > 2")
    shown.fill("#text-prompt", "4k")
    shown.keyboard.press("Enter")
    shown.wait_for_function("() => lifesym.state.values.prompt === 4096")
    shown.fill("#text-bandwidth", "2 TB/s")
    shown.keyboard.press("Enter")
    shown.wait_for_function("() => lifesym.state.values.bandwidth === 2e12")
    shown.fill("#text-prompt", "many")
    shown.keyboard.press("Enter")
    assert shown.get_attribute("#text-prompt", "aria-invalid") == "true"
    shown.select_option("#menu-device", label="rtx-4090")
    assert shown.evaluate("() => lifesym.state.values.bandwidth") is None
    shown.select_option("#menu-model", label="bert-base")
    shown.wait_for_function("() => !document.getElementById('refused').hidden")
    assert "4096 tokens are more than the 512 positions of bert-base" in shown.text_content(
        "#refused"
    )
    shown.click("#reset")
    assert shown.is_hidden("#refused")


def test_a_link_brings_everything_back(shown, browser):
    choice = {"model": 0, "weights": 1, "devices": 2, "chunked": True, "phase": "prefill"}
    before = shown.evaluate(_ASK, [choice, {"batch": 7, "chunk": 200, "memory_efficiency": 0.7}])
    again = browser.new_page()
    again.goto(shown.url)
    again.wait_for_selector("html[data-ready]")
    found = again.evaluate("() => { const { prefill, step, ...n } = lifesym.results; return n; }")
    assert found == before
    assert again.is_checked("#chunked")
    again.close()


def test_numbers_as_a_file(shown):
    with shown.expect_download() as waited:
        shown.click("#csv")
    with open(waited.value.path(), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(",") for line in file]
    assert rows[0] == ["what", "name", "value", "unit"]
    found = {(what, name): value for what, name, value, _ in rows[1:]}
    assert found["setting", "prompt"] == "300"
    assert float(found["result", "ttft"]) == shown.evaluate("() => lifesym.results.ttft")
    names = [n for what, n in found if what == "step" and n.endswith(" time")]
    total = sum(float(found["step", name]) for name in names)
    assert total == pytest.approx(float(found["result", "tpot"]), rel=1e-9)


def test_charts_show_the_numbers(shown):
    shown.evaluate(_ASK, [{"model": 0, "phase": "step"}, {"batch": 4, "past": 40000}])
    stack = shown.evaluate("() => Bokeh.documents[0].get_model_by_name('stack-data').data")
    groups = [name for name in stack if name != "x"]
    f = ls.forecast("gemma-3-1b", "h100-sxm-80gb", 300, 64, 4)
    for i in (0, 20, 40):
        expected = 1e3 * float(f.tpot.bind({"past": int(stack["x"][i])}))
        assert sum(stack[name][i] for name in groups) == pytest.approx(expected, rel=1e-9)
    cells = shown.evaluate("() => Bokeh.documents[0].get_model_by_name('map-data').data.said")
    assert any("mostly memory" in each for each in cells)
    assert any("does not fit" in each for each in cells)
    for dark in ("true", "false"):
        shown.click("#theme")
        assert shown.get_attribute("#theme", "aria-pressed") == dark


def test_a_narrow_screen_scrolls_in_one_direction(browser, file):
    narrow = browser.new_page(viewport={"width": 390, "height": 800})
    narrow.goto(file)
    narrow.wait_for_selector("html[data-ready]")
    assert narrow.evaluate("() => document.documentElement.scrollWidth") <= 390
    narrow.close()
