"""Bad input: one line on stderr that names file and key, exit status 2, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

GOOD = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
DEVICE = """
name = "Test device"
vendor = "Test"
kind = "gpu"
[peak.matrix]
fp16 = 1e12
source = "test"
[memory]
bandwidth = 1e11
source = "test"
"""


def refused(result: Any, *fragments: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("lifesym: error: ")
    assert result.stderr.count("\n") == 1
    for fragment in fragments:
        assert fragment in result.stderr


def changed(**changes: Any) -> str:
    config = GOOD | changes
    return json.dumps({key: value for key, value in config.items() if value != "absent"})


CONFIGS = {
    "not json": ("{hidden", ["not JSON"]),
    "empty": ("", ["not JSON"]),
    "array": ("[1, 2]", ["JSON object"]),
    "string size": (changed(hidden_size="64"), ["hidden_size", "int"]),
    "boolean size": (changed(hidden_size=True), ["hidden_size"]),
    "float size": (changed(hidden_size=64.5), ["hidden_size"]),
    "list size": (changed(hidden_size=[64]), ["hidden_size"]),
    "missing key": (changed(hidden_size="absent"), ["hidden_size"]),
    "missing layers": (changed(num_hidden_layers="absent"), ["num_hidden_layers"]),
    "missing model_type": (changed(model_type="absent"), ["model_type"]),
    "unknown model_type": (changed(model_type="lama"), ["lama", "did you mean 'llama'"]),
    "numeric model_type": (changed(model_type=5), ["model_type"]),
    "zero size": (changed(hidden_size=0), ["hidden_size", ">= 1"]),
    "negative size": (changed(vocab_size=-5), ["vocab_size", ">= 1"]),
    "nan": (changed(hidden_size=float("nan")), ["'hidden_size': nan"]),
    "nan in a list": (
        changed(model_type="mistral", layer_types=[[float("nan")]]),
        ["'layer_types': nan"],
    ),
    "too large": (
        changed().replace('"vocab_size": ', '"vocab_size": 1e999, "x": '),
        ["'vocab_size': inf"],
    ),
    "infinity": (changed(hidden_size=float("inf")), ["'hidden_size': inf"]),
    "huge number": (changed(hidden_size=1).replace(": 1,", ": " + "9" * 5000 + ","), ["number"]),
    "duplicate key": ('{"model_type": "llama", "model_type": "llama"}', ["given twice"]),
    "not divisible": (changed(hidden_size=63, num_key_value_heads=4), ["hidden_size", "divisible"]),
    "kv heads": (changed(num_key_value_heads=3), ["num_key_value_heads"]),
    "activation": (changed(hidden_act="snake"), ["hidden_act", "snake"]),
    "layer types": (
        changed(model_type="mistral", sliding_window=8, layer_types=["full_attention"]),
        ["layer_types"],
    ),
    "deep nesting": ("[" * 10_000 + "]" * 10_000, ["nested"]),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_bad_config(run: CommandLine, tmp_path: Path, case: str) -> None:
    text, fragments = CONFIGS[case]
    path = tmp_path / "config.json"
    path.write_text(text)
    refused(run("count", str(path)), str(path), *fragments)


@pytest.mark.parametrize("size", [3_000_000, 10_000_000])
def test_a_large_file_of_nesting(run: CommandLine, tmp_path: Path, size: int) -> None:
    path = tmp_path / "config.json"
    path.write_text("[" * size)
    refused(run("count", str(path)), str(path))


def test_bytes_that_are_not_text(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00\x01")
    refused(run("count", str(path)), str(path), "UTF-8")


def test_no_such_file_and_a_folder(run: CommandLine, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    refused(run("count", str(missing)), str(missing), "no such file")
    refused(run("count", str(tmp_path)), str(tmp_path), "folder")
    refused(run("count", "llama-2-7"), "llama-2-7", "did you mean")


def test_unknown_keys_are_one_warning(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(changed(my_key=1, other_key=2))
    result = run("count", str(path), "--json")
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert "my_key, other_key" in result.stderr
    json.loads(result.stdout)


HARDWARE = {
    "syntax": (DEVICE + "x =", ["TOML"]),
    "typo": (DEVICE.replace("vendor", "vender"), ["vender", "did you mean 'vendor'"]),
    "typo in a table": (
        DEVICE.replace("bandwidth", "bandwith"),
        ["memory.bandwith", "did you mean 'bandwidth'"],
    ),
    "missing bandwidth": (DEVICE.replace("bandwidth = 1e11", ""), ["bandwidth"]),
    "missing source": (DEVICE.replace('source = "test"', "", 1), ["source"]),
    "wrong type": (DEVICE.replace("1e12", '"fast"'), ["fp16"]),
    "nan": (DEVICE.replace("1e12", "nan"), ["fp16"]),
    "inf": (DEVICE.replace("1e11", "inf"), ["bandwidth"]),
    "negative": (DEVICE.replace("1e12", "-1e12"), ["fp16", "above 0"]),
    "zero": (DEVICE.replace("1e11", "0"), ["bandwidth", "above 0"]),
    "kind": (DEVICE.replace('"gpu"', '"toaster"'), ["kind"]),
    "efficiency": (DEVICE + '[efficiency]\nmemory = 1.5\nsource = "t"\n', ["efficiency.memory"]),
    "huge exponent": (DEVICE.replace("1e11", "1e999999999"), ["memory.bandwidth", "digits"]),
    "tiny exponent": (DEVICE.replace("1e11", "1e-999999999"), ["memory.bandwidth", "digits"]),
    "long integer": (DEVICE.replace("1e11", "9" * 5000), ["a number too long"]),
    "no peak": (DEVICE.replace("fp16 = 1e12", ""), ["peak"]),
}


@pytest.mark.parametrize("case", HARDWARE)
def test_bad_hardware(run: CommandLine, tmp_path: Path, case: str) -> None:
    text, fragments = HARDWARE[case]
    path = tmp_path / "device.toml"
    path.write_text(text)
    command = ["forecast", "llama-2-7b", "--on", str(path), "--prompt", "8", "--generate", "2"]
    refused(run(*command), str(path), *fragments)


def test_a_good_device_file_works(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text(DEVICE)
    command = ["forecast", "llama-2-7b", "--on", str(path), "--prompt", "8", "--generate", "2"]
    assert run(*command, "--json").returncode == 0


FORECAST = ["forecast", "llama-2-7b", "--prompt", "8", "--generate", "2", "--on"]


@pytest.mark.parametrize(
    ("args", "fragments"),
    [
        (["count", "llama-2-7b", "--batch", "0"], ["--batch"]),
        (["count", "llama-2-7b", "--batch", "-1"], ["--batch"]),
        (["count", "llama-2-7b", "--new", "nan"], ["--new"]),
        (["count", "llama-2-7b", "--new", "1e-3"], ["--new"]),
        (["count", "llama-2-7b", "--new", "9" * 400], ["--new"]),
        (["count", "llama-2-7b", "--logits", "some"], ["--logits"]),
        (["count", "llama-2-7b", "--frobnicate"], ["--frobnicate"]),
        (["count"], ["MODEL"]),
        (["conut", "llama-2-7b"], ["conut"]),
        (["count", "llama-2-7b", "--weights", "int5"], ["int5"]),
        (["count", "llama-2-7b", "--weights", ""], ["unknown number format ''"]),
        (["count", "llama-2-7b", "--kv", ""], ["unknown number format ''"]),
        (["count", ""], ["a model is a name or the path"]),
        ([*FORECAST, ""], ["a hardware is a name or the path"]),
        (["derive", "llama-2-7b", "--metric", "speed"], ["--metric"]),
        (["derive", "llama-2-7b", "--metric", "tpot", "--lift", "hiden"], ["hiden", "hidden"]),
        (["derive", "lama", "--symbolic", "--metric", "tpot"], ["lama", "llama"]),
        (["specs", "llama-2-8b"], ["llama-2-8b"]),
        ([*FORECAST, "v10"], ["v10", "did you mean 'v100'"]),
        ([*FORECAST, "v100", "--weights", "bf16"], ["no peak for bf16", "fp16"]),
        (
            [*FORECAST, "v100", "--activations", "fp8"],
            ["v100-sxm2-16gb.toml: key 'peak.matrix.fp8'", "no peak for fp8"],
        ),
        ([*FORECAST, "v100", "--memory-efficiency", "1.5"], ["memory_efficiency"]),
        ([*FORECAST, "v100", "--dispatch-time", "-1"], ["dispatch_time"]),
        ([*FORECAST, "v100", "--dispatch-time", "nan"], ["dispatch_time"]),
        ([*FORECAST, "v100", "--tensor-parallel", "3"], ["3 devices"]),
        ([*FORECAST, "rtx-4090", "--tensor-parallel", "2"], ["no link bandwidth"]),
    ],
)
def test_bad_arguments(run: CommandLine, args: list[str], fragments: list[str]) -> None:
    refused(run(*args), *fragments)
