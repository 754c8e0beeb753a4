"""Generated headers compiled strictly on this machine."""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GCC = shutil.which("gcc")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion"]
STRICT += ["-pedantic", "-Werror"]
needs_gcc = pytest.mark.skipif(GCC is None, reason="gcc is not installed")


Function = tuple[str, int, str]
"""A header, how many arguments its function has, and their type."""


def library(folder: Path, functions: dict[str, Function]) -> Any:
    """Functions by name, compiled strictly and in one go; each has a loop ``run_NAME``."""
    lines = []
    for name, (header, count, real) in functions.items():
        (folder / f"{name}.h").write_text(header)
        pointers = ", ".join(f"const {real} *a{i}" for i in range(count))
        values = ", ".join(f"a{i}[k]" for i in range(count))
        head = f"void run_{name}(long n, {pointers}, {real} *o)"
        body = f"{{ for (long k = 0; k < n; k++) {{ o[k] = {name}({values}); }} }}"
        lines += [f'#include "{name}.h"', f"{head};", head, body]
    (folder / "loops.c").write_text("\n".join([*lines, ""]))
    made = folder / "loops.so"
    command = [GCC, *STRICT, "-O1", "-fPIC", "-shared", "-o", made, folder / "loops.c", "-lm"]
    subprocess.run([str(part) for part in command], check=True)
    return ctypes.CDLL(str(made))


def run(made: Any, name: str, columns: Any, real: str) -> np.ndarray:
    """What a function of a library gives at some points."""
    kind = {"double": np.float64, "float": np.float32, "uint32_t": np.uint32}[real]
    arrays = [np.ascontiguousarray(column, kind) for column in columns]
    out = np.empty(arrays[0].size, kind)
    addresses = [array.ctypes.data for array in (*arrays, out)]
    made[f"run_{name}"](ctypes.c_long(out.size), *map(ctypes.c_void_p, addresses))
    return out


def called(folder: Path, header: str, columns: Any, real: str = "double") -> np.ndarray:
    """What one header's function gives at some points; a folder takes one header."""
    made = library(folder, {"formula": (header, len(columns), real)})
    return run(made, "formula", columns, real)
