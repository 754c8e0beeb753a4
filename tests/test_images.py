"""U-Nets answer the questions that language models do, in Python and at the command line."""

import json
from typing import Any

import pytest
from command_line import run_here as run
from sympy import Integer, Max

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import local_elasticities
from lifesym.errors import SymbolError
from lifesym.image_capacity import ImageFit
from lifesym.metrics import measure

NET = ls.unet(512, 512, image_channels=1, channels=64, classes=2)
ON = ["unet", "--on", "rtx-4090", "--image-height", "512", "--image-width", "512"]


def answered(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def refused(*words: str) -> str:
    result = run(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    return result.stderr


# forecasts


def test_the_forecast_of_a_network_is_its_own() -> None:
    one, two = ls.forecast(NET, "rtx-4090"), NET.forecast("rtx-4090")
    assert one == two
    assert ls.forecast(NET, "rtx-4090", generate=0, weights="int8").memory.expr < one.memory.expr
    assert one.described == "bf16 weights (device default), bf16 activations (device default)"
    assert NET.forecast("v100").precision.activations.name == "fp16"  # it has no peak for bf16


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"prompt": 64}, "prompt"),
        ({"generate": 4}, "generate"),
        ({"batch": 2}, "batch"),
        ({"tensor_parallel": 2}, "tensor_parallel"),
        ({"formats": ls.Formats(weights="int8")}, "formats"),
    ],
)
def test_options_of_language_models_are_refused(options: dict[str, Any], name: str) -> None:
    with pytest.raises(SymbolError, match=f"U-Net has images of its own: .*, not {name}$"):
        ls.forecast(NET, "rtx-4090", **options)


def test_elasticities_in_the_size_of_the_image() -> None:
    """Without dispatches all of a pass is proportional to the pixels; weights are not."""
    f = NET.forecast("rtx-4090")
    rows = {row.word: row.right for row in local_elasticities(f.open().ttft, f.point)}
    assert rows["height"] == rows["width"]
    assert 0.99 < rows["height"] <= 1
    more = f.open("height", "channels", "image_channels", "classes", "batch")
    words = {row.word for row in local_elasticities(more.ttft, f.point)}
    assert {"height", "channels", "image_channels", "classes", "batch"} <= words
    for name in ("ttft", "memory", "capacity", "flops", "bytes", "parameters"):
        again = measure(more, name).expr.xreplace(f.point).doit()
        assert again == measure(f, name).expr, name


def test_counts_are_those_of_the_network() -> None:
    f = NET.forecast("rtx-4090")
    assert measure(f, "flops").expr == 2 * NET.macs
    assert measure(f, "parameters").expr == NET.parameters
    assert measure(f, "weight_bytes").expr == f.memory.expr == 2 * NET.parameters
    with pytest.raises(SymbolError, match="it has no cache"):
        measure(f, "kv_bytes")


# what is live


def test_activations_in_flight_by_hand() -> None:
    """Of two levels, in values: what an operator reads and writes, and what waits beside it."""
    net = ls.unet(levels=1)
    c, image = sym.channels, sym.height * sym.width
    first = (sym.image_channels + c) * image
    rest = [
        2 * c * image,  # the second convolution of the first level
        (2 * c * image / 4 + c * image) + c * image,  # on the way up, beside what waits
        4 * c * image,  # both joined, read and written
        3 * c * image,  # the convolution of what was joined
        (c + sym.classes) * image,
    ]
    found = net.in_flight(net.forecast("rtx-4090").precision)
    for channels, inputs, classes in ((64, 1, 2), (8, 100, 2), (8, 3, 90)):
        values = {sym.channels: channels, sym.image_channels: inputs, sym.classes: classes}
        values |= {sym.height: 32, sym.width: 64}
        at = {symbol: Integer(value) for symbol, value in values.items()}
        assert found.xreplace(at).doit() == 2 * Max(*(e.xreplace(at) for e in (first, *rest)))


def test_a_skip_waits_while_the_levels_below_run() -> None:
    """In a net of wide channels below: what waits counts, where the image itself is small."""
    precision = NET.forecast("rtx-4090").precision
    rows = {(section, name): kept for section, name, _, kept in NET._rows}
    pixels = 512 * 512
    assert rows["down_0", "conv_1"] == 0
    assert rows["down_1", "conv_1"] == 64 * pixels
    bottom = 64 * pixels + 128 * pixels // 4 + 256 * pixels // 16 + 512 * pixels // 64
    assert rows["down_4", "conv_2"] == bottom
    assert rows["up_3", "up_conv"] == bottom
    assert rows["up_3", "concat"] == bottom - 512 * pixels // 64
    assert rows["up_0", "conv_1"] == rows["head", "conv"] == 0
    assert NET.in_flight(precision) == 2 * 4 * 64 * pixels


def test_images_that_fit() -> None:
    f = NET.forecast("rtx-4090")
    found = ImageFit(forecast=f, share=0.5, reserve=10**9)
    room = 12 * 2**30 - 10**9 - 2 * NET.parameters
    assert found.room.expr == room
    assert found.images.expr == room // (8 * 64 * 512 * 512)
    most = int(found.images.expr)
    for batch, fits in ((most, True), (most + 1, False)):
        net = ls.unet(512, 512, batch=batch, image_channels=1, channels=64, classes=2)
        spare = ImageFit(forecast=net.forecast("rtx-4090"), share=0.5, reserve=10**9).spare
        assert bool(spare.expr >= 0) is fits
    with pytest.raises(SymbolError, match="share must be above 0"):
        ImageFit(forecast=f, share=0)


# the command line


def test_the_command_line_says_what_the_library_does() -> None:
    f = NET.forecast("rtx-4090")
    found = answered("forecast", *ON)
    assert found["ttft_s"] == float(f.ttft) == found["latency_s"]
    assert found["memory_bytes"] == f.memory.expr
    assert found["capacity_bytes"] == {"weights": f.memory.expr, "activations": 2**27}
    assert found["energy_j"] == float(f.energy)
    assert (found["fits"], found["tpot_s"], found["kv"]) == (True, None, None)
    asked = [*ON, "--metric", "ttft"]
    assert answered("sensitivity", *asked)["value"] == float(f.ttft)
    most = answered("design", *asked, "--over", "batch", "--at-most", "0.1")
    assert most["achieved"] <= 0.1 < most["next_misses"]
    counted = answered("count", "unet", "--image-height", "512", "--image-width", "512")
    assert counted["parameters"] == NET.parameters
    assert counted["matmul_flops"] == 2 * NET.macs
    assert "kv_bytes_per_token" not in counted
    assert answered("fit", *ON)["images"] == ImageFit(forecast=f).images.expr


def test_every_option_of_a_network() -> None:
    """Each reaches the network that it makes."""
    options = {
        "image_channels": 3,
        "channels": 8,
        "classes": 5,
        "levels": 2,
        "width_multiplier": 2,
        "separable": True,
        "depth_multiplier": 2,
        "norm": False,
        "upsampling": "nearest",
        "batch": 3,
    }
    words = "--image-channels 3 --channels 8 --classes 5 --levels 2 --width-multiplier 2"
    words += " --separable --depth-multiplier 2 --norm none --upsampling nearest --batch 3"
    f = ls.unet(512, 512, **options).forecast("rtx-4090")  # type: ignore[arg-type]
    found = answered("forecast", *ON, *words.split())
    assert (found["ttft_s"], found["memory_bytes"]) == (float(f.ttft), f.memory.expr)


def test_a_formula_of_every_dimension() -> None:
    words = ["unet", "--metric", "flops", "--format", "json"]
    net = ls.unet(image_channels=1, channels=64, classes=2, batch=sym.batch)
    assert json.loads(run("derive", *words).stdout)["expr"] == str(2 * net.macs)
    legend = json.loads(run("derive", *words, "--symbolic").stdout)["legend"]
    names = {row["symbol"] for row in legend}
    assert names >= {"height", "width", "channels", "image_channels", "classes", "batch"}


def test_a_width_is_that_of_a_text_and_an_images_width_says_so() -> None:
    words = ["derive", *ON, "--metric", "ttft", "--format", "latex"]
    wide, narrow = (run(*words, "--width", width).stdout for width in ("900", "100"))
    assert len(narrow.splitlines()) > len(wide.splitlines())
    refused = run("count", *ON[:1], *ON[3:], "--width", "512")
    assert refused.returncode == 2
    assert "--width" in refused.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["forecast", *ON[:-2]], "--image-width: a U-Net takes images; say how large"),
        (["forecast", *ON, "--prompt", "64"], "--prompt is of language models"),
        (["forecast", *ON, "--kv", "int8"], "--kv is of language models"),
        (["sensitivity", *ON, "--draft", "self"], "--draft is of language models"),
        (["count", *ON[:1], *ON[3:], "--new", "3"], "--new is of language models"),
        (["fit", *ON, "--block", "16"], "--block is of language models"),
        (
            ["forecast", *ON[:3], "--image-height", "500", "--image-width", "512"],
            "height = 500 is not a multiple",
        ),
        (["sensitivity", *ON, "--metric", "tpot"], "generates no tokens"),
        (
            ["derive", "llama-2-7b", "--metric", "ttft", "--image-height", "64"],
            "--image-height is of U-Nets: llama-2-7b is none",
        ),
        (["forecast", "llama-2-7b", "--on", "v100", "--generate", "2"], "--prompt: llama-2-7b"),
        (["derive", "llama-2-7b", "--metric", "tpot", "--levels", "3"], "--levels is of U-Nets"),
    ],
)
def test_what_is_of_the_other_kind_is_refused(words: list[str], why: str) -> None:
    assert why in refused(*words)
