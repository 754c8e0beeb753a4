"""Every block of README runs and prints what README says."""

import contextlib
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from command_line import CommandLine

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_blocks_print_what_is_shown() -> None:
    names: dict[str, Any] = {}
    printed = []
    for source in blocks("python"):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(source, "README.md", "exec"), names)  # noqa: S102 (our own text)
        printed.append(output.getvalue())
    assert printed == blocks("text")


def test_console_blocks_print_what_is_shown(run: CommandLine) -> None:
    for block in blocks("console"):
        command, _, shown = block.partition("\n")
        assert command.startswith("$ lifesym ")
        result = run(*shlex.split(command.removeprefix("$ lifesym ")))
        assert result.stdout == shown


def test_the_two_commands(run: CommandLine) -> None:
    first, second = blocks("bash")
    install, _, main_job = first.strip().partition(" && ")
    assert install == "pip install ."
    assert run(*shlex.split(main_job.removeprefix("lifesym "))).returncode == 0
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert second.strip() == "pip install -e '.[test]' && pytest -n 2 -m fast"
    assert "test" in extras["optional-dependencies"]
