"""Command lines as people type them: names, numbers, nothing at all, an option twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cli.rows import ROWS
from lifesym.containers import repositories
from lifesym.devices import aliases
from lifesym.specs import meant, names, root


def test_nothing_at_all_shows_the_help(run: CommandLine) -> None:
    bare = run()
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == run("--help").stdout
    assert "\n  forecast" in bare.stdout


def test_the_package_runs(run: CommandLine) -> None:
    asked = [sys.executable, "-m", "lifesym", "--version"]
    result = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert result.stdout == run("--version").stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lifesym fore", ["forecast"]),
        ("lifesym forecast --caus", ["--causal"]),
        ("lifesym forecast --causal ", ["full", "exact"]),
    ],
)
def test_a_shell_completes(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, words: str, found: list[str]
) -> None:
    monkeypatch.setenv("_LIFESYM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert run().stdout.split() == found


NAMES = [
    ("H100", "h100-sxm-80gb"),
    ("h100 pcie", "h100-pcie-80gb"),
    ("RTX 4090", "rtx-4090"),
    ("RTX4090", "rtx-4090"),
    ("NVIDIA GeForce RTX_4090", "rtx-4090"),
    ("Tesla V100", "v100-sxm2-16gb"),
    ("AMD Instinct MI300X", "mi300x"),
    ("Intel Arc A770", "arc-a770"),
    ("Apple M4 (10-core GPU)", "m4-10-core-gpu"),
    ("Llama-2-7B", "llama-2-7b"),
    ("Llama 3.1 8B", "llama-3.1-8b"),
    ("Llama-2-7b-hf", "llama-2-7b"),
    ("Qwen/Qwen3-8B", "qwen3-8b"),
    ("meta-llama/Llama-3.1-8B", "llama-3.1-8b"),
    ("meta-llama/llama_3.1_8b", "llama-3.1-8b"),
    ("meta-llama/Llama-3.2-11B-Vision", "llama-3.2-11b-vision"),
    ("gemma2-2b", "gemma-2-2b"),
    ("GPT-2", "gpt2"),
]


@pytest.mark.parametrize(("typed", "name"), NAMES)
def test_names_as_people_type_them(typed: str, name: str) -> None:
    if name in names("hardware"):
        assert ls.load_hardware(typed) == ls.load_hardware(name)
    else:
        assert ls.load_model(typed).name == name


def test_every_printed_spelling_of_a_name_is_that_name() -> None:
    """No two entries are spelt alike: upper case, spaces and underscores change nothing."""
    for kind, others in (("hardware", aliases()), ("models", repositories())):
        for name in [*names(kind), *others]:
            meaning = others.get(name, name)
            for typed in (name.upper(), name.replace("-", " "), name.replace("-", "_").title()):
                assert meant(kind, typed, kind, others) == meaning, typed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("A100 SXM", "hardware 'A100 SXM' may be any of a100-sxm-40gb, a100-sxm-80gb: say which"),
        ("rtx", "may be any of rtx-3060-12gb, rtx-3070, "),
        ("RTX 4070", "unknown hardware 'RTX 4070'"),  # not the Ti
        ("RTX 3060 24GB", "unknown hardware"),
        ("NVIDIA", "unknown hardware 'NVIDIA'"),
        ("h100.toml", "h100.toml: no such file"),
    ],
)
def test_devices_that_are_not_one(typed: str, said: str) -> None:
    with pytest.raises(ls.SpecError) as caught:
        ls.load_hardware(typed)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("mistral 7b", "model 'mistral 7b' may be any of mistral-7b-v0.1, mistral-7b-v0.3"),
        ("Qwen3", " more: say which"),
        ("Llama-27B", "unknown model 'Llama-27B'; did you mean 'llama-2-7b'?"),
        ("checkpoints/llama-2-7b", "checkpoints/llama-2-7b: no such file"),
        ("meta-llama/Llama-3.1-8B-Instruct", "give its config.json; did you mean 'llama-3.1-8b'?"),
    ],
)
def test_models_that_are_not_one(typed: str, said: str) -> None:
    with pytest.raises(ls.SpecError) as caught:
        ls.load_model(typed)
    assert said in str(caught.value)


def test_no_file_is_shadowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = (root() / "hardware" / "v100-sxm2-16gb.toml").read_text(encoding="utf-8")
    Path("RTX 4090").write_text(spec, encoding="utf-8")
    assert ls.load_hardware("RTX 4090").name == ls.load_hardware("v100").name
    config = (root() / "models" / "gpt2.json").read_text(encoding="utf-8")
    Path("Llama-2-7B").write_text(config, encoding="utf-8")
    assert ls.load_model("Llama-2-7B").parameters == ls.load_model("gpt2").parameters
    Path("Qwen").mkdir()
    Path("Qwen/Qwen3-8B").write_text(config, encoding="utf-8")
    assert ls.load_model("Qwen/Qwen3-8B").parameters == ls.load_model("gpt2").parameters


SIZES = ("--prompt", "64", "--generate", "8")


def test_commands_find_them(run: CommandLine) -> None:
    typed = run("forecast", "Qwen/Qwen3-8B", "--on", "RTX 4090", *SIZES, "--json")
    exact = run("forecast", "qwen3-8b", "--on", "rtx-4090", *SIZES, "--json")
    assert typed.returncode == 0
    assert json.loads(typed.stdout) == json.loads(exact.stdout)
    question = ("tpot", "--on", "Tesla V100", "--engine", "vLLM")
    assert run("derive", "GPT-2", "--metric", *question).returncode == 0
    calibrated = run("calibrate", "published", "--on", "RTX 4090", "--json")
    assert calibrated.returncode == 0


def test_lists_of_the_database(run: CommandLine) -> None:
    symbols = json.loads(run("specs", "symbols", "--json").stdout)["symbols"]
    assert set(symbols) == {row.word for row in sym.TABLE.values()}
    assert symbols["bandwidth"]["unit"] == "byte/s"
    options = json.loads(run("specs", "options", "--json").stdout)["options"]
    assert set(options) == {row.spelt for row in ROWS}
    assert options["--whole-chunks"]["needs"] == "--chunk"
    for name, word in (("symbols", "bandwidth"), ("options", "--prompt"), ("metrics", "ttft")):
        listed = run("specs", name)
        assert listed.returncode == 0
        assert word in listed.stdout
        assert max(map(len, listed.stdout.splitlines())) <= 80


def test_entries_under_other_spellings(run: CommandLine) -> None:
    for typed, name in (("H100", "h100"), ("Qwen3-8B", "qwen3-8b"), ("vLLM", "vllm")):
        found = json.loads(run("specs", typed, "--json").stdout)
        assert found | {"name": name} == json.loads(run("specs", name, "--json").stdout)
    assert json.loads(run("specs", "llama", "--json").stdout)["kind"] == "family"
    assert "'zzzz' is not in the database" in run("specs", "zzzz").stderr


def test_a_second_device_is_compared(run: CommandLine) -> None:
    asked = ("forecast", "llama-2-7b", "--on", "V100")
    for second in (["--on", "RTX 4090"], ["--on=RTX 4090"]):
        both = run(*asked, *second, *SIZES, "--json")
        assert both.returncode == 0
        apart = run(*asked, "--compare", "on=RTX 4090", *SIZES, "--json")
        assert json.loads(both.stdout) == json.loads(apart.stdout)


def test_a_second_device_of_another_command_is_refused(run: CommandLine) -> None:
    fitted = run("fit", "llama-2-7b", "--on", "v100", "--on", "a100")
    assert (fitted.returncode, fitted.stdout) == (2, "")
    assert "--on is given twice: compare by lifesym forecast --compare on=a100" in fitted.stderr


def test_of_other_options_the_last_one_counts(run: CommandLine) -> None:
    twice = run("count", "llama-2-7b", "--new", "8", "--new", "9", "--json")
    assert twice.stdout == run("count", "llama-2-7b", "--new", "9", "--json").stdout


NUMBERS = [
    ("--prompt 4k", "--prompt 4096"),
    ("--prompt 1.5e3", "--prompt 1500"),
    ("--prompt 64 --dispatch-time 5us", "--prompt 64 --dispatch-time 5e-6"),
    ("--prompt 64 --power 0.7kW", "--prompt 64 --power 700"),
    (
        "--prompt 64 --offload-weights 0.5 --offload-bandwidth 64GB/s --offload-capacity 24GiB",
        "--prompt 64 --offload-weights 0.5 --offload-bandwidth 64e9 --offload-capacity 25769803776",
    ),
    ("--prompt 64 --links 3GB/s:5us", "--prompt 64 --links 3e9:5e-6"),
]


@pytest.mark.parametrize(("typed", "plain"), NUMBERS)
def test_numbers_as_people_type_them(run: CommandLine, typed: str, plain: str) -> None:
    asked = ("forecast", "llama-2-7b", "--on", "v100", "--generate", "8", "--json")
    first, second = run(*asked, *typed.split()), run(*asked, *plain.split())
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--prompt 4kB", "'4kB' is not a whole number of at least 1"),
        ("--prompt 1.5", "'1.5' is not a whole number of at least 1"),
        ("--prompt 1e999", "'1e999' is not a whole number"),
        ("--batch 1k", "'1k' is not a whole number"),  # 1000 or 1024: nothing says which
        ("--dispatch-time 5GB", "'5GB' is not in s: write a number, or such as 20ms"),
        ("--link-bandwidth 400Gb/s", "'400Gb/s' is not in B/s: write a number, or such as 3TB/s"),
        ("--link-bandwidth 4GB", "'4GB' is not in B/s"),
        ("--compute-efficiency 5ms", "'5ms' is not a number"),
    ],
)
def test_numbers_in_other_units(run: CommandLine, typed: str, said: str) -> None:
    result = run("forecast", "llama-2-7b", "--on", "v100", "--generate", "8", *typed.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr


def test_targets_and_ranges_in_units(run: CommandLine) -> None:
    asked = ("design", "llama-2-7b", "--on", "a100", "--over", "bandwidth", "--json")
    typed = run(*asked, "--at-most", "20ms", "--from", "0.1TB/s", "--to", "3TB/s")
    plain = run(*asked, "--at-most", "0.02", "--from", "1e11", "--to", "3e12")
    assert typed.returncode == 0, typed.stderr
    assert json.loads(typed.stdout) == json.loads(plain.stdout)
    wrong = run(*asked, "--at-most", "20GB").stderr
    assert "--at-most: '20GB' is not in s: write a number, or such as 20ms" in wrong
    regimes = ("regimes", "llama-2-7b", "--on", "a100", "--metric", "ttft", "--over", "prompt")
    typed = run(*regimes, "--from", "1", "--to", "4k", "--json")
    assert typed.stdout == run(*regimes, "--from", "1", "--to", "4096", "--json").stdout
    assert typed.returncode == 0
