"""Command lines as people type them: names, numbers, nothing at all, an option twice."""

import subprocess
import sys

import pytest
from command_line import CommandLine


def test_nothing_at_all_shows_the_help(run: CommandLine) -> None:
    bare = run()
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == run("--help").stdout
    assert "\n  forecast" in bare.stdout


def test_the_package_runs(run: CommandLine) -> None:
    asked = [sys.executable, "-m", "lifesym", "--version"]
    result = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert result.stdout == run("--version").stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lifesym fore", ["forecast"]),
        ("lifesym forecast --caus", ["--causal"]),
        ("lifesym forecast --causal ", ["full", "exact"]),
    ],
)
def test_a_shell_completes(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, words: str, found: list[str]
) -> None:
    monkeypatch.setenv("_LIFESYM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert run().stdout.split() == found
