"""Options of ``lifesym forecast`` that put several forecasts together, against the Python calls."""

import json
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

import lifesym as ls
from lifesym.cli import main
from lifesym.serving import Group, balanced_shares, disaggregate, expected_ttft, mixed_step
from lifesym.serving import pipeline as in_stages

Here = Callable[..., tuple[int, str, str]]
BASE = ("forecast", "tinyllama-1.1b", "--on", "v100", "--prompt", "96", "--generate", "6")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command line in this process: exit status, standard output and error."""

    def call(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lifesym", *args])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.fixture
def data(here: Here) -> Callable[..., dict[str, Any]]:
    def call(*options: str) -> dict[str, Any]:
        status, out, err = here(*BASE, *options, "--json")
        assert status == 0, err
        return dict(json.loads(out))

    return call


Data = Callable[..., dict[str, Any]]


def forecast(hardware: str = "v100", **options: Any) -> ls.Forecast:
    return ls.forecast(
        ls.load_model("tinyllama-1.1b"), ls.load_hardware(hardware), 96, 6, **options
    )


def test_mixed_passes(data: Data) -> None:
    found = data("--mixed", "7x1@200, 1x32@64:none", "--kv", "int8", "--fusion", "flash")["mixed"]
    groups = [Group(batch=7, past=200), Group(new=32, past=64, logits="none")]
    expected = mixed_step(forecast(kv="int8", fusion="flash"), groups)
    assert found["step_s"] == found["tpot_s"] == float(expected)
    assert found["tokens"] == 39


def test_decodes_in_the_chunks_of_a_prefill(data: Data) -> None:
    """int4 weights, LoRA, chunks and two devices together, beside a loop over the chunks."""
    options = {"weights": "int4-g128", "lora": 8, "chunk": 40, "tensor_parallel": 2}
    spelt = [t for k, v in options.items() for t in (f"--{k.replace('_', '-')}", str(v))]
    found = data(*spelt, "--piggyback", "5", "--piggyback-context", "30")["piggyback"]
    f = forecast(**options)
    passes = [(40, 0, "none"), (40, 40, "none"), (16, 80, "last")]
    loop = sum(
        mixed_step(f, [Group(new=n, past=t, logits=out), Group(batch=5, past=30 + i)]).expr
        for i, (n, t, out) in enumerate(passes)
    )
    assert found["ttft_s"] == float(loop)
    assert (found["passes"], found["tpot_s"]) == (3, pytest.approx(float(loop) / 3))
    assert data("--chunk", "40", "--piggyback", "0")["piggyback"]["slowdown"] == 1


def test_hits_and_misses_of_a_prefix_cache(data: Data) -> None:
    found = data("--prefix", "64", "--hit-rate", "0.75")
    expected = float(expected_ttft(forecast(), 64, 0.75))
    assert found["prefix_cache"]["ttft_s"] == pytest.approx(expected)
    decode = found["latency_s"] - found["ttft_s"]
    assert found["prefix_cache"]["latency_s"] == pytest.approx(expected + decode)


def test_prefill_and_decode_on_two_devices(data: Data) -> None:
    link = ("--transfer-bandwidth", "1e10", "--transfer-latency", "1e-3")
    found = data("--decode-on", "a100", *link)["disaggregated"]
    split = disaggregate(forecast(), forecast("a100"), 10**10, 0.001)
    assert found["latency_s"] == float(split.latency)
    assert found["transfer_s"] == float(split.transfer)
    assert found["prefill_per_decode_device"] == float(split.ratio)
    assert found["tpot_s"] == float(forecast("a100").tpot)


def test_stages_on_different_devices(data: Data) -> None:
    two = [forecast(batch=4), forecast("a100", batch=4)]
    spread = ("--batch", "4", "--stages-on", "v100,a100", "--microbatches", "2")
    found = data(*spread, "--shares", "1/3,2/3")["pipeline"]
    piped = in_stages(two, microbatches=2, shares=[Fraction(1, 3), Fraction(2, 3)])
    assert found["ttft_s"] == float(piped.ttft)
    balanced = data(*spread, "--shares", "balanced")["pipeline"]
    assert balanced["shares"] == [float(s) for s in balanced_shares([f.ttft.expr for f in two])]
    assert balanced["ttft_s"] < data(*spread)["pipeline"]["ttft_s"]


def test_activations_in_another_memory(data: Data, here: Here) -> None:
    plain = data()
    fast, slow = (
        data("--offload-activations", "1", "--offload-bandwidth", rate) for rate in ("1e13", "1e9")
    )
    assert fast["ttft_s"] < plain["ttft_s"] < slow["ttft_s"]
    assert fast["memory_bytes"] == plain["memory_bytes"]
    assert plain["capacity_bytes"]["activations"] > fast["capacity_bytes"]["activations"] == 0
    small = ("--offload-kv", "1", "--offload-bandwidth", "1e9", "--offload-capacity", "1e6")
    assert "do not fit in the 0.001 GB (0.001 GB) of offload" in here(*BASE, *small)[2]


def test_the_slowest_of_several_links_counts(data: Data) -> None:
    shared = ("--tensor-parallel", "2")
    slow = data(*shared, "--link-bandwidth", "1e8", "--link-latency", "1e-3")
    fast = data(*shared, "--link-bandwidth", "1e10", "--link-latency", "1e-4")
    both = data(*shared, "--links", "1e10:1e-4,1e8:1e-3")
    assert fast["tpot_s"] < slow["tpot_s"] == both["tpot_s"]


def test_tables_name_every_section(here: Here) -> None:
    shared = ("--mixed", "2x1@9", "--piggyback", "2", "--decode-on", "a100", "--chunk", "40")
    status, out, _ = here(*BASE, *shared, "--transfer-bandwidth", "1e9", "--prefix", "4")
    assert status == 0
    for title in ("of a mixed pass", "prefill with decodes", "decode on another device"):
        assert title in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mixed", "3x1"], "'3x1' is not BxN@T"),
        (["--mixed", "3x0@4"], "'3x0@4' is not BxN@T"),
        (["--hit-rate", "0.5"], "--hit-rate needs --prefix"),
        (["--prefix", "9", "--hit-rate", "2"], "hit_rate must be between 0 and 1"),
        (["--transfer-latency", "1"], "--transfer-latency needs --decode-on"),
        (["--decode-on", "nothing"], "unknown hardware 'nothing'"),
        (["--decode-on", "a100", "--generate", "1"], "the first token comes from the prefill"),
        (["--piggyback-context", "3"], "--piggyback-context needs --piggyback"),
        (["--shares", "1"], "--shares needs --pipeline or --stages-on"),
        (["--pipeline", "2", "--shares", "a,b"], "not a list of numbers, nor 'balanced'"),
        (["--pipeline", "2", "--shares", "0.5,0.6"], "add up to 1"),
        (["--pipeline", "2", "--shares", "1.5,-0.5"], "add up to 1"),
        (["--pipeline", "2", "--stages-on", "v100,a100"], "leave out --pipeline"),
        (["--all-reduce", "ring"], "--all-reduce needs --tensor-parallel"),
        (["--links", "1e9"], "is not BANDWIDTH:LATENCY"),
        (["--links", "0:1"], "link_bandwidth"),
        (["--links", "1:0", "--link-latency", "1"], "leave out those of a single one"),
        (["--draft-tokens", "4"], "--draft-tokens needs --draft"),
        (["--stages-on", "v100", "--compare", "pipeline=2"], "leave out --pipeline"),
        (["--offload-capacity", "4"], "--offload-capacity needs --offload-weights"),
    ],
)
def test_bad_options_are_one_line(here: Here, options: list[str], message: str) -> None:
    status, out, err = here(*BASE, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
