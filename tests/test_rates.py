"""What rows of measurements say of the device and of the software, against their sources."""

from pathlib import Path

import pytest
from measured import FILE
from sympy import Rational

from lifesym.calibration import Observation, load
from lifesym.calibration.rates import PCIE, hardware, named
from lifesym.calibration.tables import Unmapped
from lifesym.devices import load_hardware
from lifesym.errors import SpecError

HEADER = (
    "source,hardware,peak_tflops,peak_dtype,mem_bw_gbs,framework,model,weight_bits,kv_bits,batch,"
    "n_gpus,prompt,output_or_ctx,ttft_ms,tpot_ms,notes"
)
ROW = {
    "source": "somewhere",
    "hardware": "RTX 4090",
    "framework": "llama.cpp",
    "model": "llama-2-7b",
    "batch": "1",
    "n_gpus": "1",
    "prompt": "512",
    "output_or_ctx": "128",
    "tpot_ms": "20",
}


@pytest.fixture
def rows(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Observations of a table of one row, beside what is not mapped of it."""

    def read(**cells: str) -> tuple[list[Observation], list[Unmapped]]:
        extra = [name for name in cells if name not in HEADER.split(",")]
        header = [*HEADER.split(","), *extra]
        row = ROW | cells
        path = tmp_path / "one.csv"
        path.write_text(f"{','.join(header)}\n{','.join(row.get(n, '') for n in header)}\n")
        return load(path)

    return read


def test_the_batch_of_llama_bench_is_of_prompt_tokens() -> None:
    """One sequence generates no slower by it, and its prompt takes a pass for each piece.

    With pieces of one token, 128 + 128 tokens take about what 256 decode steps do.
    """
    found = [
        o
        for o in load(FILE)[0]
        if "All_results" in o.source and o.framework == "llama.cpp" and o.devices == 1
    ]
    assert {(o.batch, o.chunk) for o in found} == {(1, 1), (1, 16), (1, 64)}
    assert {(o.flash, o.released) for o in found} == {(False, "2024-09")}
    case = {
        o.chunk: o.seconds
        for o in found
        if (o.device, o.model, o.prompt) == ("A100 40GB", "llama-2-7b", 128)
    }
    for chunk in (16, 64):
        assert case[1] / case[chunk] == pytest.approx(256 / (128 + 128 / chunk), rel=0.02)


@pytest.mark.parametrize(
    ("cells", "fields"),
    [
        ({"notes": "fa 1; n_ubatch 2048"}, {"chunk": 2048, "flash": True, "batch": 1}),
        ({"notes": "fa0 (ub512)"}, {"chunk": 512, "flash": False}),
        ({"notes": "pipeline; batch 1"}, {"chunk": 0, "flash": None, "split": ""}),
        (
            {"n_gpus": "2", "framework": "llama.cpp (Dec 2023)"},
            {"split": "row", "released": "2023-12"},
        ),
        (
            {"n_gpus": "2", "framework": "llama.cpp (May 2024)"},
            {"split": "layer", "released": "2024-05"},
        ),
        ({"n_gpus": "2", "notes": "-sm row; Jun 2025"}, {"split": "row", "released": "2025-06"}),
        ({"n_gpus": "2"}, {"split": "", "released": ""}),
        ({"n_gpus": "2", "framework": "vLLM (May 2024)"}, {"split": ""}),
        ({"n_gpus": "4", "pipeline": "2", "power_w": "612.5"}, {"pipeline": 2, "power": 612.5}),
        ({"n_gpus": "4", "expert_parallel": "4"}, {"devices": 4, "experts": 4, "pipeline": 1}),
        ({"batch": "16", "notes": "llama-batched-bench"}, {"batch": 16, "chunk": 0}),
    ],
)
def test_what_rows_say(rows, cells: dict[str, str], fields: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    (o,), unmapped = rows(**cells)
    assert not unmapped
    assert {name: getattr(o, name) for name in fields} == fields


def test_rows_that_are_set_aside(rows) -> None:  # type: ignore[no-untyped-def]
    cloud = {"source": "LLM-Inference-Bench", "framework": "sambaflow"}
    for cells, reason in (
        (cloud, "cloud service"),
        ({"notes": "REJECT: odd"}, "its source's own notes"),
        ({"tpot_ms": "", "power_w": "300"}, "beside its power"),
    ):
        mapped, (one,) = rows(**cells)
        assert not mapped
        assert reason in one.reason
    with pytest.raises(SpecError, match="line 2: 4 devices cannot be 3 stages"):
        rows(n_gpus="4", pipeline="3")


def test_a_table_gives_the_peak_and_the_bandwidth(rows) -> None:  # type: ignore[no-untyped-def]
    (o,), _ = rows(peak_tflops="330.1", peak_dtype="fp16 dense", mem_bw_gbs="1008.5")
    found, own = hardware(o), load_hardware("rtx-4090")
    assert found.matrix["fp16"] == found.matrix["bf16"] == Rational("330.1") * 10**12
    assert found.matrix["fp8"] == own.matrix["fp8"]
    assert found.bandwidth == Rational("1008.5") * 10**9
    assert (found.vector, found.capacity) == (own.vector, own.capacity)
    assert found.link_bandwidth == PCIE
    assert "stand in" in found.sources["link"]
    assert hardware(o) is found


@pytest.mark.parametrize(
    ("device", "peak", "kind", "matrix", "vector"),
    [
        ("H100 SXM 80GB", "1979", "fp8 dense", {"fp16": 989, "fp8": 1979}, {"fp32": 67}),
        ("M1 (7-core GPU)", "2.3", "fp16 dense", {}, {"fp16": Rational("2.3")}),
        ("RX 580", "6.17", "fp32 vector", {}, {"fp32": Rational("6.17")}),
        ("nobody's", "100", "fp16 dense", {"fp16": 100}, {}),
        ("nobody's", "100", "fp32 vector", {}, {"fp32": 100}),
    ],
)
def test_whose_peak_a_table_gives(  # type: ignore[no-untyped-def]
    rows, device: str, peak: str, kind: str, matrix: dict[str, int], vector: dict[str, int]
) -> None:
    (o,), _ = rows(hardware=device, peak_tflops=peak, peak_dtype=kind, mem_bw_gbs="900")
    found = hardware(o)
    assert {name: found.matrix[name] / 10**12 for name in matrix} == matrix
    assert {name: found.vector[name] / 10**12 for name in vector} == vector
    assert bool(found.matrix) == bool(matrix)
    if device == "nobody's":
        assert found.capacity is None
        with pytest.raises(SpecError, match="bandwidth is not known"):
            hardware(rows(hardware="somebody's")[0][0])


def test_a_rank_sees_one_die(rows) -> None:  # type: ignore[no-untyped-def]
    """A card of two dies: its figures are halved, those of a die are not."""
    die = load_hardware("mi250-gcd")
    for bandwidth, peak in (("3276.8", "362.1"), ("1638.4", "181.05")):
        (o,), _ = rows(hardware="MI250", mem_bw_gbs=bandwidth, peak_tflops=peak)
        assert hardware(o).bandwidth == Rational("1638.4") * 10**9
        assert hardware(o).matrix["fp16"] == die.matrix["fp16"]


def test_error_correction_in_the_same_memory(rows) -> None:  # type: ignore[no-untyped-def]
    """A sixteenth of the bandwidth and the capacity, of a table's figure too."""
    card = load_hardware("l40s")
    assert card.inline_ecc
    assert (card.bandwidth, card.capacity) == (810 * 10**9, 45 * 2**30)
    (o,), _ = rows(hardware="L40S", mem_bw_gbs="864")
    assert hardware(o).bandwidth == 810 * 10**9
    assert not load_hardware("rtx-4090").inline_ecc


def test_every_device_of_the_tables_has_a_spec() -> None:
    """And none of a chip without a matrix engine computes at a part of its peak."""
    fresh = FILE.with_name("fresh.csv")
    for o in [*load(FILE)[0], *load(fresh)[0]]:
        assert named(o.device), o.device
        found = hardware(o)
        assert found.matrix or found.vector.get("fp32")
