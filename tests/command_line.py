"""The command line as the tests call it: in this process, or in one of its own."""

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from lifesym.cli import main

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
QUIET_BY_DEFAULT = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def run_here(*args: object) -> subprocess.CompletedProcess[str]:
    """The command in this process, with the streams, warnings and status of one of its own.

    Raises:
        Exception: what a process of its own would have ended with a traceback.
    """
    command = ["lifesym", *map(str, args)]
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with (
        mock.patch.object(sys, "argv", command),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("always")
        for category in QUIET_BY_DEFAULT:
            warnings.simplefilter("ignore", category)
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    return subprocess.CompletedProcess(command, int(str(status)), out.getvalue(), err.getvalue())


def run_apart(*args: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which has imported and cached nothing."""
    command = [sys.executable, "-m", "lifesym", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
