"""How many random arithmetic mutants the test suite lets live.

    python benchmarks/mutants.py --seed 1 --mutants 60 [--jobs 2] [--begin 1]

A mutant is a copy of the package with one operator or number changed in `operators`, `transforms`,
`blocks`, `serving` or `codegen`. Fast tests that name what its module defines run first, and fast
ones that look at all arithmetic; then all of both, then all others; a mutant is dead with the first
that fails. Survivors are printed with their line: a test is missing, or the change makes no
difference (say which, and add the test).
"""

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("operators", "transforms", "blocks", "serving", "codegen")
SWAPS = {"+": "-", "-": "+", "*": "+", "/": "*", "//": "*", "**": "*", "%": "*"}
SWAPS |= {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
FIRST = (
    *("test_model_records", "test_error_rules", "test_tables", "test_headers"),
    *("test_brute_force", "test_truth", "test_simulator", "test_operators", "test_two_derivations"),
    *("test_rewrites", "test_option_pairs", "test_invariants", "test_sanity", "test_codegen"),
    *("test_serving", "test_simulated_serving", "test_recurrent_brute_force", "test_collectives"),
)
"""Modules of tests that kill most."""
NEAREST = 4
"""How many of the modules that name a mutant's own are asked first."""
NO_TESTS = pytest.ExitCode.NO_TESTS_COLLECTED
LONGEST = 1800
"""Seconds of a run of tests, of which no part takes a third: a mutant that hangs is dead."""


@dataclass(frozen=True)
class Mutant:
    """One change of one line."""

    path: Path
    line: int
    before: str
    after: str
    text: str


def changes(path: Path) -> Iterator[Mutant]:
    """Every arithmetic change of a module; doctests and names are left alone."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw = source.encode()

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def mutant(node: ast.expr, low: int, high: int, after: str) -> Mutant:
        before = raw[low:high].decode()
        text = (raw[:low] + after.encode() + raw[high:]).decode()
        return Mutant(path, node.lineno, before, after, text)

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp):
            pairs = [(node.left, node.right)]
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            pairs = [(node.left, node.comparators[0])]
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            low, high = at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)
            yield mutant(node, low, high, str(node.value + 1))
            continue
        else:
            continue
        for left, right in pairs:
            low, high = (
                at(left.end_lineno, left.end_col_offset),
                at(right.lineno, right.col_offset),
            )
            gap = raw[low:high].decode()
            sign = gap.strip(" \n()")
            if sign in SWAPS:
                begin = low + len(gap[: gap.index(sign)].encode())
                yield mutant(node, begin, begin + len(sign), SWAPS[sign])


def naming(path: Path) -> list[str]:
    """Test modules that name the module, or what it defines; those that do so most come first."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.ClassDef | ast.FunctionDef
    words = {node.name for node in tree.body if isinstance(node, kinds)} | {path.stem}
    found = {}
    for test in sorted((ROOT / "tests").glob("test_*.py")):
        said = re.findall(r"\w+", test.read_text(encoding="utf-8"))
        if times := sum(word in words for word in said):
            found[f"tests/{test.name}"] = times
    return sorted(found, key=lambda name: -found[name])


def survives(mutant: Mutant, jobs: int) -> bool:
    """Whether every test passes on a copy with the change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(ROOT, copy, ignore=ignored)
        (copy / mutant.path.relative_to(ROOT)).write_text(mutant.text, encoding="utf-8")
        named, first = naming(mutant.path), [f"tests/{name}.py" for name in FIRST]
        common = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        environment = os.environ | {"PYTHONPATH": str(copy)}
        every = "not oracle and not fuzz and not notebook"
        stages = [("fast", first), (every, first), (every, [])]
        if named:
            stages = [("fast", named[:NEAREST]), stages[0], (every, named), *stages[1:]]
        for marks, tests in stages:
            command = [*common, "-m", marks, "-n", str(jobs), *tests]
            options = {"cwd": copy, "env": environment, "capture_output": True}
            try:
                done = subprocess.run(command, check=False, timeout=LONGEST, **options)
            except subprocess.TimeoutExpired:
                return False
            if done.returncode not in (0, NO_TESTS):
                return False
    return True


def main() -> None:
    """Draw mutants, run the suite on each, print a line for each and a sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutants", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--begin", type=int, default=1, help="number of the first that is run")
    given = parser.parse_args()
    paths = [path for room in ROOMS for path in sorted((ROOT / "lifesym" / room).glob("*.py"))]
    known = [mutant for path in paths for mutant in changes(path)]
    drawn = random.Random(given.seed).sample(known, given.mutants)  # noqa: S311 (no secret)
    alive, rest = 0, drawn[given.begin - 1 :]
    for number, mutant in enumerate(rest, given.begin):
        begin = monotonic()
        lives = survives(mutant, given.jobs)
        alive += lives
        place = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
        word = "SURVIVED" if lives else "dead"
        change = f"{mutant.before!r} -> {mutant.after!r}"
        print(f"{number:3} {word:8} {place} {change} ({monotonic() - begin:.0f} s)", flush=True)
    print(f"{alive} of {len(rest)} mutants survived")


if __name__ == "__main__":
    main()
