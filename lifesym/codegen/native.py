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
from pathlib import Path
from typing import Any

import numpy as np

from lifesym.codegen import blocked
from lifesym.codegen.c import loop
from lifesym.codegen.program import Program

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
_SYMBOL = "lifesym_loop"
_PROCESSOR = {"vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU part"}


class NoCompilerWarning(UserWarning):
    """Nothing could be compiled: NumPy does the work."""


def evaluate(program: Program, values: Sequence[Any], threads: int = 1) -> list[Any]:
    """As `lifesym.codegen.blocked.evaluate`, in compiled loops."""
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    varying = tuple(array.ndim > 0 for array in arrays)
    run = _compiled(program, varying) if any(varying) else None
    if run is None:
        return blocked.evaluate(program, values)
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    inputs = [
        np.ascontiguousarray(np.broadcast_to(array, shape)) if each else array
        for array, each in zip(arrays, varying, strict=True)
    ]
    outputs = [np.empty(shape) for _ in program.outputs]
    _split(run, inputs, outputs, varying, threads)
    return outputs


def _split(
    run: Any, inputs: list[Any], outputs: list[Any], varying: tuple[bool, ...], threads: int
) -> None:
    """Call the loop on one piece a thread; ctypes lets other threads run meanwhile."""
    total = outputs[0].size
    bounds = [total * i // threads for i in range(threads + 1)]

    def piece(start: int, stop: int) -> None:
        pointers = [
            array.ctypes.data + (8 * start if each else 0)
            for array, each in zip(inputs, varying, strict=True)
        ]
        pointers += [array.ctypes.data + 8 * start for array in outputs]
        run(ctypes.c_long(stop - start), *(ctypes.c_void_p(each) for each in pointers))

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
