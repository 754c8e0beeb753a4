"""Generated C on the cores it is for: built strictly, run in an emulator, measured."""

import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from itertools import combinations
from operator import le
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedded_cost import executed, flash, routines, stack

import lifesym as ls
from lifesym import symbols as sym
from lifesym.codegen.cores import cores, formula_cost, table_cost
from lifesym.codegen.lowering import lower
from lifesym.codegen.ranges import DOUBLE, FLOAT
from lifesym.codegen.scaling import fitted
from lifesym.decided import decided
from lifesym.symbols import resolve
from lifesym.transforms import CachePolicy

BOARD = Path(__file__).parent / "embedded"
CROSS, EMULATOR = shutil.which("arm-none-eabi-gcc"), shutil.which("qemu-system-arm")
GCC = shutil.which("gcc")
needs_cross = pytest.mark.skipif(CROSS is None, reason="gcc-arm-none-eabi is not installed")
needs_board = pytest.mark.skipif(
    CROSS is None or EMULATOR is None, reason="arm-none-eabi-gcc or qemu-system-arm is missing"
)
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion"]
STRICT += ["-pedantic", "-Werror"]
CORES = {
    "Cortex-M4F": ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    "Cortex-M0": ["-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"],
    "Cortex-M3": ["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
    "Cortex-M7": ["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
}
MACHINES = {
    "Cortex-M4F": "mps2-an386",
    "Cortex-M0": "microbit",
    "Cortex-M3": "mps2-an385",
    "Cortex-M7": "mps2-an500",
}
MEMORY = {core: "microbit.ld" if core == "Cortex-M0" else "mps2.ld" for core in CORES}
RANGES = {"past": (0, 4096), "bandwidth": (1e11, 1e12), "batch": (1, 32)}
UNITS = {"bandwidth": 1e9}
EXPERTS = "deepseek-v3"


@cache
def tpot(model: str = "llama-2-7b") -> Any:
    """A model's TPOT on a V100 whose bandwidth is a symbol."""
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    return ls.forecast(ls.load_model(model), device, batch=sym.batch).tpot


@pytest.fixture(scope="module")
def table() -> Any:
    return ls.compile(
        tpot(), list(RANGES), target="table", name="tpot", ranges=RANGES, units=UNITS, error=0.01
    )


@pytest.fixture(scope="module")
def sources(table: Any) -> dict[str, str]:
    options = {"target": "c", "name": "tpot", "ranges": RANGES}
    return {
        "double": ls.compile(tpot(), list(RANGES), **options),
        "float": ls.compile(tpot(), list(RANGES), precision="float", **options),
        "experts": ls.compile(tpot(EXPERTS), list(RANGES), precision="float", **options),
        "table": table.source(),
        "fixed": table.source("fixed"),
    }


POINTS = [(0, 1e11, 1), (4096, 1e12, 32), (1, 9e11, 1), (777, 3.33e11, 5), (2048, 5e11, 17)]
CALLS = {
    "double": ("double", "{0}.0, {1}.0, {2}.0", "(long long)(1e15 * {})"),
    "float": ("float", "{0}.0F, {1}.0F, {2}.0F", "(long long)(1e15F * {})"),
    "experts": ("float", "{0}.0F, {1}.0F, {2}.0F", "(long long)(1e15F * {})"),
    "table": ("float", "{0}.0F, {3}.0F, {2}.0F", "(long long)(1e15F * {})"),
    "fixed": ("uint32_t", "{0}U, {3}U, {2}U", "(long long){}"),
}


def program(kind: str) -> str:
    """A main that prints the results as whole numbers."""
    _, arguments, scaled = CALLS[kind]
    lines = ["#include <stdio.h>", '#include "tpot.h"', "int main(void)", "{"]
    for past, bandwidth, batch in POINTS:
        call = f"tpot({arguments.format(past, int(bandwidth), batch, int(bandwidth / 1e9))})"
        lines.append(f'    printf("%lld\\n", {scaled.format(call)});')
    return "\n".join([*lines, "    return 0;", "}", ""])


def check(kind: str, printed: str, table: Any) -> None:
    """The numbers that were printed, against the formula in doubles."""
    found = np.array([float(line) for line in printed.split()])
    found = found / (2.0 ** int(shift(table)) if kind == "fixed" else 1e15)
    model = EXPERTS if kind == "experts" else "llama-2-7b"
    true = ls.compile(tpot(model), list(RANGES))(*np.array(POINTS).T)
    bound = {"double": 1e-12, "table": table.error, "fixed": table.error + 1e-4}.get(kind, 1e-5)
    assert np.max(np.abs(found / true - 1)) <= bound


def shift(table: Any) -> str:
    match = re.search(r"TPOT_SHIFT \((\d+)\)", table.source("fixed"))
    assert match
    return match[1]


def run(command: list[Any], folder: Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return result.stdout


@pytest.mark.skipif(GCC is None, reason="gcc is not installed")
@pytest.mark.parametrize("kind", CALLS)
def test_clean_under_sanitizers(
    kind: str, sources: dict[str, str], table: Any, tmp_path: Path
) -> None:
    (tmp_path / "tpot.h").write_text(sources[kind])
    (tmp_path / "main.c").write_text(program(kind))
    flags = [*STRICT, "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    run([GCC, *flags, "main.c", "-o", "main", "-lm"], tmp_path)
    check(kind, run(["./main"], tmp_path), table)


@needs_board
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", CALLS)
def test_runs_on_the_core(
    kind: str, core: str, sources: dict[str, str], table: Any, tmp_path: Path
) -> None:
    """In QEMU, printing by semihosting: an MPS2 board with the M4F, a micro:bit with the M0."""
    (tmp_path / "tpot.h").write_text(sources[kind])
    (tmp_path / "main.c").write_text(program(kind))
    flags = [*CORES[core], *STRICT, "-Os", "--specs=rdimon.specs", "-T", BOARD / MEMORY[core]]
    flags += ["-Wno-pedantic", BOARD / "start.c", "-o", "main.elf"]
    run([CROSS, "main.c", *flags, "-lm"], tmp_path)
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    command = [EMULATOR, "-M", MACHINES[core], "-nographic", *semihosting, "-kernel", "main.elf"]
    check(kind, run(command, tmp_path), table)


def measured(kind: str, source: str, core: str, folder: Path) -> tuple[int, int, int]:
    """Bytes of flash and of stack, and instructions of a call as the emulator ran them."""
    (folder / "tpot.h").write_text(source)
    real, arguments, _ = CALLS[kind]
    names = ["past", "bandwidth", "batch"]
    given = ", ".join(f"{real} {name}" for name in names)
    body = f"{real} call({given}) {{ return tpot({', '.join(names)}); }}\n"
    (folder / "one.c").write_text(f'#include "tpot.h"\n{real} call({given});\n{body}')
    calls = [
        arguments.format(past, int(bandwidth), batch, int(bandwidth / 1e9))
        for past, bandwidth, batch in POINTS
    ]
    (folder / "main.c").write_text(
        f"#include <stdint.h>\n{real} call({given});\nvolatile {real} kept;\nint main(void)\n{{\n"
        + "".join(f"    kept = call({each});\n" for each in calls)
        + "    return 0;\n}\n"
    )
    flags = [*CORES[core], *STRICT, "-Os"]
    run([CROSS, *flags, "-c", "one.c"], folder)
    sections = run(["arm-none-eabi-size", "-A", "one.o"], folder).splitlines()
    constants = sum(int(line.split()[1]) for line in sections if line.startswith(".rodata"))
    board = ["-Wno-pedantic", "--specs=rdimon.specs", "-T", BOARD / MEMORY[core], BOARD / "start.c"]
    run([CROSS, "main.c", "one.o", *flags, *board, "-o", "main.elf", "-lm"], folder)
    image = routines(run(["arm-none-eabi-objdump", "-d", "main.elf"], folder))
    used = flash(image, "call") + constants, stack(image, "call")
    if EMULATOR is None:
        return *used, 0
    steps = ["-singlestep", "-d", "exec,nochain", "-D", "steps.log"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    command = [EMULATOR, "-M", MACHINES[core], "-nographic", *semihosting, "-kernel", "main.elf"]
    run([*command, *steps], folder)
    return *used, executed(image, "call", folder / "steps.log") // len(POINTS)


@pytest.fixture(scope="module")
def rows(sources: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Any]:
    """What every form takes on every core."""
    folder = tmp_path_factory.mktemp("measured")
    return {
        (kind, core): measured(kind, source, core, folder)
        for kind, source in sources.items()
        for core in CORES
    }


MOST = {
    ("float", "Cortex-M4F"): (200, 8, 40),
    ("float", "Cortex-M0"): (2400, 64, 3100),
    ("double", "Cortex-M4F"): (2200, 64, 2100),
    ("double", "Cortex-M0"): (5700, 112, 7000),
    ("experts", "Cortex-M4F"): (610, 8, 140),
    ("experts", "Cortex-M0"): (4300, 80, 9000),
    ("table", "Cortex-M4F"): (610, 48, 200),
    ("fixed", "Cortex-M0"): (1300, 168, 1700),
}
"""The figures of `docs/compile.md`, and a little for another version of the compiler."""


@needs_cross
def test_sizes_are_small(rows: dict[Any, Any], record_property: Any) -> None:
    for (kind, core), row in rows.items():
        record_property(f"{kind} on {core}", row)
    print({f"{kind}, {core}": row for (kind, core), row in rows.items()})
    for key, most in MOST.items():
        assert all(map(le, rows[key], most)), (key, rows[key], most)


def test_a_mixture_of_experts_links_no_power(sources: dict[str, str]) -> None:
    assert "tpot_power(" in sources["experts"]
    assert not re.search(r"\bpowf?\(", sources["experts"])


WITHIN = 1.35
"""How far off estimates may be; forms that differ by more are in order."""


@needs_board
@pytest.mark.parametrize("core", CORES)
def test_costs_are_as_estimated(core: str, rows: dict[Any, Any], table: Any) -> None:
    """Those of `lifesym.codegen.cores`, from functions of one operation, for a whole formula."""
    found, on = {}, cores()[core.lower()]
    for kind, number in (("double", DOUBLE), ("float", FLOAT), ("experts", FLOAT)):
        box = {resolve(name): ends for name, ends in RANGES.items()}
        formula = tpot(EXPERTS) if kind == "experts" else tpot()
        lowered = lower([decided(formula.expr, box)], tuple(box))
        program, _ = fitted(lowered, box, number)
        found[kind] = formula_cost(program, on, number is FLOAT, box)
    for kind, number in (("table", "float"), ("fixed", "fixed")):
        found[kind] = table_cost(number, [axis.size for axis in table.grid.axes], on)
    pairs = {
        "flash": {kind: (cost.flash, rows[kind, core][0]) for kind, cost in found.items()},
        "steps": {kind: (cost.instructions, rows[kind, core][2]) for kind, cost in found.items()},
    }
    print(core, pairs)
    for each in pairs.values():
        for estimate, true in each.values():
            assert true / WITHIN <= estimate <= true * WITHIN
        for (first, one), (second, two) in combinations(each.values(), 2):
            assert first < second or one * WITHIN >= two
            assert first > second or two * WITHIN >= one


@needs_board
@pytest.mark.parametrize("core", CORES)
def test_costs_of_pieces_are_as_estimated(core: str, tmp_path: Path) -> None:
    """Of a table that divides the past tokens into pages."""
    device = replace(ls.load_hardware("v100"), bandwidth=sym.bandwidth)
    model, cache = ls.load_model("llama-2-7b"), CachePolicy(page=48)
    paged = ls.forecast(model, device, batch=sym.batch, cache=cache).tpot
    options = {"name": "tpot", "ranges": RANGES, "units": UNITS, "error": 0.01}
    table = ls.compile(paged, [*RANGES], target="table", **options)
    sizes = [axis.size for axis in table.grid.axes]
    for kind, number in (("table", "float"), ("fixed", "fixed")):
        flash_, _, steps = measured(kind, table.source(number), core, tmp_path)
        found = table_cost(number, sizes, cores()[core.lower()], split=table.split is not None)
        assert flash_ / WITHIN <= found.flash <= flash_ * WITHIN
        assert steps / WITHIN <= found.instructions <= steps * WITHIN


def test_the_table_is_certified(table: Any) -> None:
    rng = np.random.default_rng(3)
    columns = [rng.uniform(low, high, 200_000) for low, high in RANGES.values()]
    true = ls.compile(tpot(), list(RANGES))(*columns)
    worst = np.max(np.abs(table(columns[0], columns[1] / 1e9, columns[2]) / true - 1))
    print(f"certified {table.error:.4f}, worst found {worst:.4f}, {4 * table.entries} bytes")
    assert worst <= table.error <= 0.01
    assert worst > table.error / 3  # the proof is not far from the truth
    assert 4 * table.entries <= 2048
