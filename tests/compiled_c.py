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


def library(tmp_path: Path, header: str, count: int, real: str) -> Any:
    """The header compiled strictly, behind a loop."""
    (tmp_path / "formula.h").write_text(header)
    pointers = ", ".join(f"const {real} *a{i}" for i in range(count))
    values = ", ".join(f"a{i}[k]" for i in range(count))
    (tmp_path / "loop.c").write_text(
        f'#include "formula.h"\nvoid run(long n, {pointers}, {real} *o);\n'
        f"void run(long n, {pointers}, {real} *o)\n"
        f"{{ for (long k = 0; k < n; k++) {{ o[k] = formula({values}); }} }}\n"
    )
    made = tmp_path / "loop.so"
    command = [GCC, *STRICT, "-O2", "-fPIC", "-shared", "-o", made, tmp_path / "loop.c", "-lm"]
    subprocess.run([str(part) for part in command], check=True)
    return ctypes.CDLL(str(made)).run


def called(tmp_path: Path, header: str, columns: Any, real: str = "double") -> np.ndarray:
    """What a header's function gives at some points."""
    kind = {"double": np.float64, "float": np.float32}[real]
    arrays = [np.ascontiguousarray(column, kind) for column in columns]
    out = np.empty(arrays[0].size, kind)
    run = library(tmp_path, header, len(arrays), real)
    addresses = [array.ctypes.data for array in (*arrays, out)]
    run(ctypes.c_long(out.size), *map(ctypes.c_void_p, addresses))
    return out
