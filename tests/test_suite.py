"""README's test command: quick, and with something of every module."""

import shlex
from pathlib import Path

import pytest
from selection import FAST, SLOW

ROOT = Path(__file__).parent.parent


def test_what_is_called_slow_is_there() -> None:
    for name in SLOW:
        module, _, function = name.partition("::")
        text = (ROOT / "tests" / module).read_text(encoding="utf-8")
        assert f"def {function}(" in text, name


def test_readmes_command_selects_what_is_fast() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("<!-- test command -->")[2].split("```")[1].partition(" && ")[2]
    program, *options = shlex.split(command)
    assert program == "pytest"
    assert options[-2:] == ["-m", "fast"]


def test_something_of_every_module_is_fast(request: pytest.FixtureRequest) -> None:
    files = request.config.stash[FAST]
    modules = {f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py")}
    if not modules <= set(files):
        pytest.skip("not all modules were collected")
    fast = {name for name, marked in files.items() if marked}
    assert modules <= fast
    assert sum(name.startswith("lifesym/") for name in fast) > 40  # modules with doctests
    assert not any(name.startswith("tests/oracle/") for name in fast)
