"""Command lines of every kind against what they said when they were recorded.

Where an answer changes on purpose, ``python tests/record_commands.py`` shows what changed, and
records it anew.
"""

import shlex
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from record_commands import answer, commands, differences, recorded

from lifesym.cli import application

GROUPS = commands()
RECORDED = recorded()


def lines(group: str) -> pytest.MarkDecorator:
    found = GROUPS[group]
    return pytest.mark.parametrize("line", found, ids=[f"{i + 1}" for i in range(len(found))])


Same = Callable[[str], None]


@pytest.fixture
def same(tmp_path: Path) -> Same:
    def check(line: str) -> None:
        found = list(differences(RECORDED[line], answer(line, tmp_path)))
        assert not found, "\n".join([f"lifesym {line}", *found])

    return check


@lines("count")
def test_count(line: str, same: Same) -> None:
    same(line)


@lines("forecast")
def test_forecast(line: str, same: Same) -> None:
    same(line)


@lines("formats")
def test_formats(line: str, same: Same) -> None:
    same(line)


@lines("cache")
def test_cache(line: str, same: Same) -> None:
    same(line)


@lines("adapters")
def test_adapters(line: str, same: Same) -> None:
    same(line)


@lines("devices")
def test_devices(line: str, same: Same) -> None:
    same(line)


@lines("offload")
def test_offload(line: str, same: Same) -> None:
    same(line)


@lines("speculation")
def test_speculation(line: str, same: Same) -> None:
    same(line)


@lines("pipeline")
def test_pipeline(line: str, same: Same) -> None:
    same(line)


@lines("serving")
def test_serving(line: str, same: Same) -> None:
    same(line)


@lines("compare")
def test_compare(line: str, same: Same) -> None:
    same(line)


@lines("derive")
def test_derive(line: str, same: Same) -> None:
    same(line)


@lines("sensitivity")
def test_sensitivity(line: str, same: Same) -> None:
    same(line)


@lines("regimes")
def test_regimes(line: str, same: Same) -> None:
    same(line)


@lines("crossover")
def test_crossover(line: str, same: Same) -> None:
    same(line)


@lines("design")
def test_design(line: str, same: Same) -> None:
    same(line)


@lines("export")
def test_export(line: str, same: Same) -> None:
    same(line)


@lines("sweep")
def test_sweep(line: str, same: Same) -> None:
    same(line)


@lines("options")
def test_options(line: str, same: Same) -> None:
    same(line)


@lines("fit")
def test_fit(line: str, same: Same) -> None:
    same(line)


@lines("images")
def test_images(line: str, same: Same) -> None:
    same(line)


@lines("fits")
def test_fits(line: str, same: Same) -> None:
    same(line)


@lines("specs")
def test_specs(line: str, same: Same) -> None:
    same(line)


@lines("wrong")
def test_wrong(line: str, same: Same) -> None:
    same(line)


def test_every_line_is_run_and_recorded() -> None:
    run = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(GROUPS) <= run
    every = [line for group in GROUPS.values() for line in group]
    assert len(every) >= 200
    assert every == list(RECORDED)


def test_every_option_is_in_two_lines() -> None:
    """Of the commands in the file; an option in a set that is compared counts, too."""
    used: Counter[str] = Counter()
    called: set[str] = set()
    for words in (shlex.split(line) for group in GROUPS.values() for line in group):
        called.add(words[0])
        sets = [text for word, text in pairwise(words) if word in ("--compare", "--against")]
        named = {f"--{pair.partition('=')[0]}" for text in sets for pair in text.split(",")}
        used.update(named | {word for word in words if word.startswith("-")})
    known = typer.main.get_command(application([*called])).commands  # type: ignore[attr-defined]
    options = {
        tuple(option.opts)
        for name in called
        for option in known[name].params
        if option.param_type_name == "option"
    }
    rare = {opts for opts in options if sum(used[word] for word in opts) < 2}
    # a scheduler is another process, a help no answer, and --check stands alone with its file
    assert rare == {("--scheduler",), ("--help-all",), ("--check",)}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": [1, 2.0]}, {"a": [1, 2.0 * (1 + 1e-13)]}, []),
        ({"a": [1, 2.0]}, {"a": [1, 2.0 * (1 + 1e-11)]}, ["$.a[1]: 2.00000000002, was 2.0"]),
        ({"a": 10**15}, {"a": 10**15 + 1}, ["$.a: 1000000000000001, was 1000000000000000"]),
        ({"a": 1}, {"a": 1.0}, ["$.a: 1.0, was 1"]),
        ({"a": 1}, {"a": True}, ["$.a: true, was 1"]),
        ({"a": None}, {"b": "x"}, ["$.a: gone, was null", '$.b: new, is "x"']),
        ({"a": [1]}, {"a": [1, 2]}, ["$.a: 2 items, were 1"]),
    ],
)
def test_differences_are_found(old: object, new: object, found: list[str]) -> None:
    assert list(differences(old, new)) == found
