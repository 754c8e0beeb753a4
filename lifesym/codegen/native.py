"""C compiled on this machine and called through ctypes."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lifesym.codegen import blocked
from lifesym.codegen.layout import Layout, layout
from lifesym.codegen.loop_c import loop
from lifesym.codegen.program import Program

FLAGS = (
    *("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"),
    *("-fprefetch-loop-arrays", "-fPIC", "-shared"),  # arrays come from memory, once
)
_SYMBOL = "lifesym_loop"
_PROCESSOR = {"vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part"}


class NoCompilerWarning(UserWarning):
    """Nothing could be compiled: NumPy does the work."""


def evaluate(program: Program, values: Sequence[Any], threads: int = 1) -> list[Any]:
    """As `lifesym.codegen.blocked.evaluate`, in compiled loops."""
    if not any(np.ndim(value) for value in values):
        return blocked.evaluate(program, values)
    rows = layout(values)
    run = _compiled(program, rows.varying)
    if run is None:
        return blocked.evaluate(program, values)
    outputs = [np.empty(rows.shape) for _ in program.outputs]
    if outputs[0].size:
        _split(run, rows, outputs, threads)
    return outputs


def _split(run: Any, rows: Layout, outputs: list[Any], threads: int) -> None:
    """Call the loop on one piece a thread; ctypes lets other threads run meanwhile.

    A piece is some of the rows, or, where those are too few, a part of each of them.
    """
    shape = (ctypes.c_long * len(rows.outer))(*rows.outer)
    steps = (ctypes.c_long * (len(rows.steps) * len(rows.arrays)))(*chain(*rows.steps))
    whole = rows.rows < threads
    total = rows.length if whole else rows.rows
    bounds = [total * i // threads for i in range(threads + 1)]

    def piece(low: int, high: int) -> None:
        (start, stop), (first, last) = (0, rows.rows), (low, high)
        if not whole:
            (start, stop), (first, last) = (low, high), (0, rows.length)
        given = [
            array.ctypes.data + (8 * first if each else 0)
            for array, each in zip(rows.arrays, rows.varying, strict=True)
        ]
        made = [array.ctypes.data + 8 * first for array in outputs]
        run(
            *map(ctypes.c_long, (start, stop, last - first, rows.length)),
            ctypes.c_int(len(rows.outer)),
            shape,
            steps,
            (ctypes.c_void_p * len(given))(*given),
            (ctypes.c_void_p * len(made))(*made),
        )

    if threads == 1:
        piece(0, total)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, bounds[:-1], bounds[1:]))


@cache
def _compiled(program: Program, varying: tuple[bool, ...]) -> Any:
    """The loop from the cache or the compiler; None where there is neither."""
    source = loop(program, _SYMBOL, varying)
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return _without("no C compiler was found")
    content = "\0".join((source, compiler, _machine(), *FLAGS))
    key = hashlib.sha256(content.encode()).hexdigest()[:24]
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            library = folder / f"{key}.so"
            if not library.exists():
                _build(compiler, source, library)
            return ctypes.CDLL(str(library))[_SYMBOL]
        except OSError:
            continue  # a folder that cannot be written, or a full disk: try the next one
        except subprocess.CalledProcessError as error:
            first = error.stderr.decode(errors="replace").strip().splitlines()[:1]
            return _without(f"the C compiler failed: {' '.join(first)}")
    return _without("no folder for compiled code can be written")


@cache
def _machine() -> str:
    """This processor: code for it may not run on another that shares the folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    first = lines[: lines.index("")] if "" in lines else lines
    fixed = [line for line in first if line.split(":")[0].strip() in _PROCESSOR]
    return "\n".join([platform.machine(), platform.processor(), *fixed])


def _folders() -> list[Path]:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [Path(home) / "lifesym", Path(tempfile.gettempdir()) / f"lifesym-{os.getuid()}"]


def _build(compiler: str, source: str, library: Path) -> None:
    """Compile next to the library, then rename: no other process sees half a file."""
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        text, made = Path(work) / "loop.c", Path(work) / "loop.so"
        text.write_text(source, encoding="ascii")
        command = [compiler, *FLAGS, "-o", str(made), str(text), "-lm"]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 (our own source)
        made.replace(library)


def _without(why: str) -> None:
    warnings.warn(f"{why}: NumPy is used instead", NoCompilerWarning, stacklevel=5)
