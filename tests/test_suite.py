"""README's test command: quick, and with something of every module."""

import shlex
import subprocess
import sys
from pathlib import Path

from selection import SLOW

ROOT = Path(__file__).parent.parent


def test_what_is_called_slow_is_there() -> None:
    for name in SLOW:
        module, _, function = name.partition("::")
        text = (ROOT / "tests" / module).read_text(encoding="utf-8")
        assert f"def {function}(" in text, name


def test_readmes_command_selects_something_of_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("<!-- test command -->")[2].split("```")[1].partition(" && ")[2]
    program, *options = shlex.split(command)
    assert program == "pytest"
    listing = subprocess.run(
        [sys.executable, "-m", program, *options, "-n", "0", "--collect-only"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout
    selected = {line.partition("::")[0] for line in listing.splitlines() if "::" in line}
    assert {f"tests/{path.name}" for path in (ROOT / "tests").glob("test_*.py")} <= selected
    assert sum(name.startswith("lifesym/") for name in selected) > 40  # modules with doctests
    assert not any(name.startswith("tests/oracle/") for name in selected)
