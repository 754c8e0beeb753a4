"""A newcomer: what pages show as typed is typed, into one shell and one Python, in order.

Blocks of ``console`` are of the shell: lines that begin with ``$``, each followed by what it
prints. Blocks of ``python`` with prompts are of a Python session that stays open. Blocks of ``c``
are files, whose name ends the line before. `typed` gives the page with what is printed now.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

BLOCK = re.compile(
    r"^(?:[^\n]*`(?P<file>[\w.]+)`:\n\n)?```(?P<language>console|python|c)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_END = "\x04end of the answer"
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Session:
    """A program that reads what is typed and answers."""

    def __init__(self, command: list[str], folder: Path, end: str) -> None:
        """Start it; ``end`` makes it print that it is done."""
        here = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        known = {"PATH": here, "COLUMNS": "80", "PYTHONUNBUFFERED": "1", "MPLBACKEND": "agg"}
        unknown = {"FORCE_COLOR", "CI", "PYTEST_CURRENT_TEST"}
        self.end = end
        self.program = subprocess.Popen(
            command,
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k not in unknown} | known,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def answer(self, text: str) -> str:
        """What it prints when a text is typed."""
        into, out = _open(self.program.stdin), _open(self.program.stdout)
        into.write(f"{text}\n{self.end}\n")
        into.flush()
        lines = []
        for line in out:
            if _END in line:
                return "".join([*lines, line.partition(_END)[0]])
            lines.append(line)
        raise AssertionError(f"the session ended at {text!r}: {''.join(lines)}")

    def close(self) -> None:
        """No more is typed."""
        self.program.communicate()


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def typed(page: str, folder: Path) -> str:
    """A page whose blocks show what is printed when they are typed in a folder."""
    shell = Session(["bash"], folder, f"printf '{_END}\\n'")
    python = Session([sys.executable, "-i", "-q"], folder, f"print({_END!r})")
    python.answer("import sys; sys.ps1 = sys.ps2 = ''")
    try:
        return BLOCK.sub(lambda block: _block(block, folder, shell, python), page)
    finally:
        shell.close()
        python.close()


def _block(block: re.Match[str], folder: Path, shell: Session, python: Session) -> str:
    text = block["text"]
    if block["language"] == "c":
        (folder / block["file"]).write_text(text, encoding="utf-8")
        return block[0]
    if block["language"] == "console":
        shown = _COMMAND.sub(lambda each: f"$ {each[1]}\n{_shown(shell.answer(each[1]))}", text)
    elif ">>> " in text:
        parsed = doctest.DocTestParser().parse(text)
        shown = "".join(_example(part, python) for part in parsed)
    else:
        return block[0]
    return block[0].replace(text, shown)


def _example(part: Any, python: Session) -> str:
    """A piece of a Python block: text as it is, or a statement with its answer."""
    if isinstance(part, str):
        return part
    first, *rest = part.source.splitlines()
    lines = [f">>> {first}", *(f"... {line}".rstrip() for line in rest)]
    return "\n".join(lines) + "\n" + _shown(python.answer(f"{part.source}\n"))


def _shown(answer: str) -> str:
    """An answer without the empty lines around it, which would end an example."""
    text = answer.strip("\n")
    return f"{text}\n" if text else ""
