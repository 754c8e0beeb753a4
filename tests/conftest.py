"""Shared options and fixtures."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine, run_apart, run_here


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden instead of comparing"
    )


SLOW: frozenset[str] = frozenset()
"""Tests of which even one case takes longer than a second or so: none of theirs is fast."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what README's command runs: the first case of each test, a doctest of each module.

    Real models and long random searches are for CI alone, as is what `SLOW` lists.
    """
    seen = set()
    for item in items:
        function = item.nodeid.partition("[")[0]
        kind = str(item.path) if isinstance(item, pytest.DoctestItem) else function
        apart = any(item.get_closest_marker(name) for name in ("oracle", "fuzz"))
        if kind not in seen and not apart and function.removeprefix("tests/") not in SLOW:
            item.add_marker(pytest.mark.fast)
        seen.add(kind)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a golden file, or write it with --update-golden."""
    folder = Path(__file__).parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, f"{name} changed: --update-golden?"

    return check


@pytest.fixture
def run() -> CommandLine:
    """The command line, in this process: starting one costs more than most commands."""
    return run_here


@pytest.fixture
def run_process() -> CommandLine:
    """The command line in a process of its own."""
    return run_apart
