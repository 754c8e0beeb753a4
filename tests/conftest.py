"""Shared options and fixtures."""

import gc
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from command_line import CommandLine, run_apart, run_here
from selection import FAST, mark_fast

from lifesym.symbol_table import BY_NAME
from lifesym.symbols import TABLE  # and with it every row, before what any test adds

sys.path.append(str(Path(__file__).parent.parent / "docs"))  # `generated`, the reference's pages


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden instead of comparing"
    )


class _TableAsShipped:
    """Takes the symbols that a test or doctest makes out of the table again."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        before = [(table, dict(table)) for table in (TABLE, BY_NAME)]
        try:
            return (yield)
        finally:
            for table, rows in before:
                table.clear()
                table.update(rows)


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(50_000)  # as the command line does
    # as commands that fit do: on two cores threads of both workers wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    config.pluginmanager.register(_TableAsShipped())  # hooks here are of tests/ alone


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[FAST] = mark_fast(items)


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


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts that name no engine count as PyTorch does: a kernel an operator, all scores."""
    import lifesym.forecasting  # noqa: F401 (what is imported later would keep the name for good)

    for module in ("hardware", "devices"):
        monkeypatch.setattr(f"lifesym.{module}.IDEAL", "eager")
