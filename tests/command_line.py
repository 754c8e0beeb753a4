"""The type of the `run` fixture."""

import subprocess
from collections.abc import Callable

CommandLine = Callable[..., subprocess.CompletedProcess[str]]
