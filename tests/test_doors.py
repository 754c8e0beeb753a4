"""The same question at every door gives the same answer, or is refused in one line."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_here as run

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import design
from lifesym.errors import InfeasibleError
from lifesym.levels import Level
from lifesym.metrics import measure
from lifesym.serving import piggyback, pipeline
from lifesym.transforms import CachePolicy

MODEL = "tinyllama-1.1b"


def answer(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def refusal(*words: str) -> str:
    result = run(*words)
    assert result.returncode == 2, result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    return str(result.stderr)


def swept(folder: Path, *words: str) -> list[dict[str, str]]:
    path = folder / "out.csv"
    result = run("sweep", MODEL, "--on", "a100", *words, "-o", str(path))
    assert result.returncode == 0, result.stderr
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize(
    "words",
    [
        ["--typical"],
        ["--memory", "name=host,bandwidth=1e10,weights=0.5"],
        ["--roles", "lm_head=int8"],
        ["--tensor-parallel", "2", "--sequence-parallel"],
        ["--stages-on", "a100,h100", "--shares", "balanced"],
        ["--generate", "1"],
        ["--chunk", "8,none"],
    ],
)
def test_a_cell_of_a_sweep_is_its_own_forecast(words: list[str], tmp_path: Path) -> None:
    rows = swept(tmp_path, "--prompt", "12,24", "--generate", "3", *words)
    assert {row["prompt"] for row in rows} == {"12", "24"}
    for row in rows:
        sizes = ["--prompt", row["prompt"], "--generate", row["generated"]]
        rest = [word for word in words if word not in ("--generate", "1")]
        if "--chunk" in rest:
            rest = [] if row["chunk"] == "None" else ["--chunk", row["chunk"]]
        found = answer("forecast", MODEL, "--on", "a100", *sizes, *rest)
        found = found.get("pipeline", found)
        assert float(row["ttft"]) == pytest.approx(found["ttft_s"], rel=1e-9)
        assert float(row["tpot_mean"]) == pytest.approx(found["tpot_s"], rel=1e-9)


def test_a_sweep_refuses_what_a_forecast_does(tmp_path: Path) -> None:
    asked = ["sweep", MODEL, "--on", "a100", "-o", str(tmp_path / "out.csv")]
    assert "leaves none of 50" in refusal(*asked, "--prefix", "100", "--prompt", "50,200")
    cut = ["--pipeline", "2", "--microbatches", "2", "--batch", "4,3"]
    assert "a batch of 3 is not cut" in refusal(*asked, *cut)
    held = ["--offload-kv", "1", "--offload-bandwidth", "1e10", "--offload-capacity", "1e8"]
    rows = swept(tmp_path, "--batch", "1,64", *held)
    assert [row["fits"] for row in rows] == ["True", "False"]
    assert "give --price" in refusal(*asked, "--metrics", "cost")
    assert "give --new" in refusal(*asked, "--metrics", "flops", "--context", "9")


def test_a_sweep_of_prices_and_of_passes(tmp_path: Path) -> None:
    (row,) = swept(tmp_path, "--price", "2", "--metrics", "cost", "--generate", "4")
    found = answer(
        "forecast", MODEL, "--on", "a100", "--prompt", "512", "--generate", "4", "--price", "2"
    )
    assert float(row["cost"]) == pytest.approx(found["cost_per_million_tokens"], rel=1e-9)
    (row,) = swept(
        tmp_path, "--new", "3", "--context", "9", "--metrics", "flops", "--engine", "eager"
    )
    counted = answer("count", MODEL, "--new", "3", "--past", "9")
    assert float(row["flops"]) == counted["matmul_flops"]


def test_every_served_form_has_its_cost() -> None:
    asked = ["forecast", MODEL, "--on", "a100", "--prompt", "12", "--generate", "4"]
    found = answer(*asked, "--price", "3.6", "--slots", "2")
    part = found["continuous"]
    tokens = 2 * 4  # of the slots, in the latency
    expected = 0.001 * part["latency_s"] / tokens * 1e6
    assert part["cost_per_million_tokens"] == pytest.approx(expected, rel=1e-9)


def test_what_is_off_has_no_number() -> None:
    """A rank or chunk that is asked about stands for nothing unless it is given."""
    asked = ["sensitivity", MODEL, "--on", "a100", "--metric", "ttft"]
    assert "ttft depends on chunk: give --chunk" in refusal(*asked, "--lift", "chunk")
    assert answer(*asked, "--lift", "chunk", "--chunk", "16")["at"]["chunk"] == 16
    asked = ["design", MODEL, "--on", "a100", "--metric", "memory", "--at-most", "3e9"]
    assert 0 < answer(*asked, "--over", "keep", "--prompt", "9000")["answer"] <= 1
    assert "give a device that has it" in refusal("sensitivity", MODEL, "--on", "symbolic")


def test_questions_suppose_the_usual_generation() -> None:
    """Where the answer depends on it: that of a served form, and one that is asked about."""
    found = answer("sensitivity", MODEL, "--on", "a100", "--slots", "8")
    shown = answer(
        "forecast", MODEL, "--on", "a100", "--prompt", "512", "--generate", "128", "--slots", "8"
    )
    assert found["at"]["generated"] == 128
    assert found["value"] == pytest.approx(shown["continuous"]["tpot_s"], rel=1e-9)
    lifted = answer("sensitivity", MODEL, "--on", "a100", "--metric", "tpot", "--lift", "generated")
    assert "generated" not in lifted["at"]


def test_one_token_has_no_decode_steps_to_vary() -> None:
    """Formulas in a number of generated tokens are those of two or more."""
    f = ls.forecast(MODEL, "a100", 24, 1)
    assert sym.generated not in f.point
    for metric in ("tpot_mean", "tpot_last", "tps", "latency"):
        opened = measure(f.open(), metric).expr.xreplace(f.point).doit()
        assert opened == measure(f, metric).expr.doit()
    words = ["sensitivity", MODEL, "--on", "a100", "--generate", "1", "--metric", "tpot_mean"]
    assert answer(*words)["value"] == pytest.approx(
        float(f.open().tpot.mean.bind(f.point | {sym.prompt: 512}))
    )


def test_a_prompt_in_one_chunk_stays_so_with_an_open_prefix() -> None:
    f = ls.forecast(MODEL, "a100", 24, 4, prefix=3)
    opened = f.open("prefix")
    assert opened.chunks.before == 0
    for metric in ("ttft", "latency", "memory"):
        assert measure(opened, metric).expr.xreplace(f.point).doit() == measure(f, metric).expr


def test_open_sums_of_chunks_beside_decodes() -> None:
    """A mean over steps that are all alike leaves the index of a sum over chunks alone."""
    host = Level(name="host", bandwidth=20 * 10**9, kv=0.5)
    f = ls.forecast(MODEL, "a100", 100, 9, 2, chunk=16, causal="exact", levels=[host])
    form = piggyback(f, 2)
    opened = form.open()
    for metric in ("tpot_mean", "tps", "energy"):
        closed = measure(form, metric).expr.doit()
        again = measure(opened, metric).expr.xreplace(form.point).doit()
        assert float(again) == pytest.approx(float(closed), rel=1e-12)


def test_sends_between_stages_beside_other_memories() -> None:
    host = Level(name="host", bandwidth=20 * 10**9, weights=0.5, byte_energy=1e-11)
    f = ls.forecast(MODEL, "a100", 24, 4, levels=[host])
    assert pipeline(f, 2).energy.expr - pipeline(f, 1).energy.expr > 0
    moved = {part.name: part.value for part in pipeline(f, 2).traffic.parts}
    assert moved["host"] == {p.name: p.value for p in f.traffic.parts}["host"]


def test_a_prefix_ends_before_its_prompt() -> None:
    asked = ["design", MODEL, "--on", "a100", "--metric", "ttft", "--prompt", "64"]
    assert answer(*asked, "--over", "prefix", "--at-most", "1")["answer"] == 63
    beyond = refusal(*asked, "--over", "prefix", "--at-most", "1", "--to", "64")
    assert "prefix is at most 63 here" in beyond
    low = ["regimes", MODEL, "--on", "a100", "--metric", "ttft", "--over", "prompt"]
    assert answer(*low, "--prefix", "20")["regimes"][0]["from"] == 21


def test_designs_keep_to_a_table_of_positions() -> None:
    """GPT-2 has 1024 positions; the last generated token needs none."""
    asked = ["design", "gpt2", "--on", "a100", "--metric", "memory", "--at-most", "1e12"]
    assert answer(*asked, "--over", "prompt", "--generate", "5")["answer"] == 1020
    assert answer(*asked, "--over", "generated", "--prompt", "24")["answer"] == 1001
    fits = ["forecast", "gpt2", "--on", "a100", "--prompt", "1020", "--generate"]
    assert run(*fits, "5").returncode == 0
    assert "1024 positions" in refusal(*fits, "6")


def test_designs_of_what_has_no_limit_or_no_closed_sum() -> None:
    f = ls.forecast("pythia-1.4b", "v100", 24, 4, cache=CachePolicy(rank=16), lora=2)
    with pytest.raises(InfeasibleError, match="no rank brings capacity to 5"):
        design(f.open("rank").capacity, "rank", f.point, at_most=5)
    paged = ls.forecast(MODEL, "v100", 24, 4, cache=CachePolicy(page=8))
    energy = float(paged.energy)
    found = design(
        paged.open("page").energy, "page", paged.point, at_most=energy * 1.001, between=(1, 64)
    )
    assert found.achieved <= energy * 1.001


def test_compared_sets_that_are_refused_or_lack_a_metric() -> None:
    asked = ["forecast", MODEL, "--on", "a100", "--prompt", "24", "--generate", "4"]
    cached = ["forecast", "mamba-130m", "--on", "a100", "--prompt", "9", "--generate", "2"]
    kept = refusal(*cached, "--kv-budget", "2", "--compare", "slots=2")
    assert "keeps no keys and values" in kept
    result = run(*asked, "--mixed", "1x1@100", "--compare", "mixed=none")
    assert result.returncode == 0, result.stderr
    both = answer(*asked, "--compare", "on=rtx-4090", "--typical")["compared"]
    assert all(row["efficiencies"].startswith("efficiencies: compute") for row in both)


def test_stages_of_several_devices_say_whose_efficiencies() -> None:
    asked = ["forecast", MODEL, "--on", "v100", "--prompt", "24", "--generate", "4", "--typical"]
    said = answer(*asked, "--stages-on", "v100,m4-max")["efficiencies"]
    assert "NVIDIA V100 SXM2 16GB: efficiencies: compute" in said
    assert "Apple M4 Max: efficiencies: compute" in said


def test_a_roofline_is_of_one_device(tmp_path: Path) -> None:
    drawn = ["--chart", "roofline", "--plot", str(tmp_path / "a.png")]
    several = ["sensitivity", MODEL, "--on", "a100", "--stages-on", "a100,h100"]
    assert "a roofline is of one device" in refusal(*several, *drawn)


def test_stages_of_a_symbolic_model_and_their_number() -> None:
    result = run("derive", "llama", "--symbolic", "--metric", "memory", "--pipeline", "2")
    assert result.returncode == 0, result.stderr
    asked = ["design", "llama-2-7b", "--on", "a100", "--pipeline", "2", "--metric", "memory"]
    found = answer(*asked, "--over", "stages", "--at-most", "4e9", "--prompt", "24")
    f = ls.forecast("llama-2-7b", "a100", 24, 128)
    assert float(pipeline(f, found["answer"]).memory) <= 4e9
    assert float(pipeline(f, found["answer"] - 1).memory) > 4e9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forecast", "--prompt", "4", "--generate", "4", "--acceptance", "0"], "needs --draft"),
        (["sensitivity", "--chart", "tornado"], "--chart needs --plot"),
        (["sensitivity", "--swing", "0.2", "--plot", "a.png"], "--swing needs --chart tornado"),
        (["sensitivity", "--devices", "h100", "--plot", "a.png"], "--devices needs --chart map"),
        (["export", "--args", "past", "--error", "0.1"], "--error needs --to table"),
        (["export", "--args", "prompt", "--prompt", "512", "--metric", "ttft"], "is an argument"),
        (["export", "--args", "past", "--metric", "flops"], "flops depends on new: give --new"),
    ],
)
def test_an_option_that_would_do_nothing(words: list[str], message: str) -> None:
    assert message in refusal(words[0], MODEL, "--on", "a100", *words[1:])


def test_a_pass_knows_no_prompt() -> None:
    for word in ("--chunk", "--images", "--prefix"):
        assert "No such option" in refusal("count", MODEL, word, "4")


def test_an_exported_function_says_what_it_was_given() -> None:
    asked = ["export", MODEL, "--on", "a100", "--args", "batch", "--to", "python"]
    assert "with prompt 512." in run(*asked, "--metric", "ttft", "--prompt", "512").stdout


def test_what_fits_says_how_long_a_sequence_is() -> None:
    assert answer("fit", MODEL, "--on", "a100")["tokens_of_a_sequence"] == 512 + 128


def test_derived_json_says_the_efficiencies() -> None:
    asked = ["derive", MODEL, "--on", "a100", "--metric", "tpot", "--format", "json", "--typical"]
    found = json.loads(run(*asked).stdout)
    assert found["efficiencies"].startswith("efficiencies: compute")


def test_a_design_proposes_what_a_forecast_takes() -> None:
    """Batches that microbatches divide, and microbatches that divide the batch."""
    cut = ["--on", "a100", "--prompt", "24", "--generate", "4", "--pipeline", "2"]
    asked = ["design", MODEL, *cut, "--microbatches", "4", "--batch", "12"]
    found = answer(*asked, "--over", "batch", "--at-most", "0.0024")
    batch = found["answer"]
    assert batch % 4 == 0
    times = [
        answer("forecast", MODEL, *cut, "--microbatches", "4", "--batch", str(n))["pipeline"]
        for n in (batch, batch + 4)
    ]
    assert found["next_misses"] > 0.0024 >= found["achieved"]
    assert times[0]["tpot_s"] < times[1]["tpot_s"]
    found = answer(*asked, "--over", "microbatches", "--metric", "ttft", "--at-most", "0.004")
    assert 12 % found["answer"] == 0
    assert found["next_misses"] > 0.004 >= found["achieved"]
    heads = ["design", MODEL, "--on", "a100", "--prompt", "24", "--over", "devices"]
    devices = answer(*heads, "--at-most", "0.00045")["answer"]
    assert answer("forecast", MODEL, "--on", "a100", "--prompt", "24", "--generate", "4",
                  "--tensor-parallel", str(devices))["tpot_first_s"] <= 0.00045  # fmt: skip


@pytest.mark.parametrize(
    "form", [["--slots", "4"], ["--contexts", "10,20"], ["--mixed", "2x1@9,1x8@0:none"]]
)
def test_a_batch_is_refused_where_a_form_says_how_many(form: list[str], tmp_path: Path) -> None:
    asked = ["--on", "a100", "--prompt", "24", "--generate", "4", *form]
    why = "--batch: --" + form[0][2:] + " says how many sequences there are"
    metric = ["--metric", "tpot_mean"]
    assert why in refusal("sensitivity", MODEL, *asked, *metric, "--batch", "2")
    assert why in refusal("derive", MODEL, *asked, *metric, "--batch", "2")
    assert why in refusal("forecast", MODEL, *asked, "--compare", "batch=2")
    sweep = ["sweep", MODEL, *asked, "--metrics", "tps", "-o", str(tmp_path / "out.csv")]
    assert why in refusal(*sweep, "--batch", "1,2")
    assert run("derive", MODEL, *asked, *metric).returncode == 0
    assert answer("forecast", MODEL, *asked, "--batch", "2")["latency_s"]  # of the plain one beside


def test_an_error_is_alone() -> None:
    """What was said before it on the way is not."""
    asked = ["forecast", MODEL, "--on", "a100", "--prompt", "9", "--generate", "3"]
    large = [*asked, "--batch", "100000000"]
    assert "do not fit" in run(*large, "--json").stderr
    assert refusal(*large, "--compare", "on=nothing").startswith("lifesym: error: ")
    assert run(*asked, "--json").stderr == ""  # nothing is left of it
