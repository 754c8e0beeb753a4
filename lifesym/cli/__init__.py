"""The command line: parses, calls, prints; no formulas.

Bad input ends with one line on standard error and exit status 2. Nothing heavy is imported before
a command runs, so that ``--help`` answers at once.
"""

import errno
import gc
import os
import sys
import warnings
from typing import Annotated, Any

import typer

import lifesym
from lifesym.cli import commands
from lifesym.errors import LifesymError

NOTES: list[str] = []
"""Lines on standard error, for when a command has answered: where it fails its error is alone."""
_WHAT = "Closed-form formulas for the speed of LLM inference."


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lifesym {lifesym.__version__}")
        raise typer.Exit


_VERSION = typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")


def _main(version: Annotated[bool, _VERSION] = False) -> None:
    pass


def application(words: list[str]) -> typer.Typer:
    """The command line, with the options of those commands that are among some words."""
    made = typer.Typer(
        name="lifesym",
        help=_WHAT,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    completing = "_LIFESYM_COMPLETE" in os.environ  # of words that the shell tells later
    for name in commands.COMMANDS:
        made.command()(commands.function(name, completing or name.replace("_", "-") in words))
    made.callback(help=_WHAT)(_main)
    return made


def main() -> None:
    """Run the command line; the only place where errors become exit statuses."""
    gc.set_threshold(50_000)  # formulas are many small objects, hardly any of them in a cycle
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        words = commands.read(sys.argv[1:])
        group: Any = typer.main.get_command(application(words))
        for command in group.commands.values():
            command.rich_markup_mode = "rich"  # option panels, where the import is worth its time
        status = group.main(words, standalone_mode=False) or 0
        sys.stderr.write("".join(NOTES))
        sys.exit(status)
    except LifesymError as error:
        _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("".join(NOTES))
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail(f"standard output: {error.strerror}")
    except typer.exceptions.TyperException as error:
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message().replace("Value error, ", ""))
    finally:
        NOTES.clear()


def _fail(message: str) -> None:
    line = " ".join(message.split())
    sys.stderr.write(f"lifesym: error: {line}\n")
    sys.exit(2)


def _show_warning(message: Warning | str, *_: Any) -> None:
    NOTES.append(f"lifesym: warning: {' '.join(str(message).split())}\n")
