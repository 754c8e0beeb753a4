"""Without an optional package: one line that names it and its extra, never a traceback."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import sobol
from lifesym.calibration import Rows, fit, summary
from lifesym.extras import EXTRAS, needed, optional

ROOT = Path(__file__).parent.parent
ORDER = ("sweep", "gsa", "validate", "explore")
SWEEP = ("sweep", "llama-2-7b", "--on", "v100", "--prompt", "8,9", "--generate", "2")
COMMANDS = [
    ("scipy", ("validate", "published")),
    ("scipy", ("calibrate", "published", "--on", "rtx-4090")),
    ("xarray", (*SWEEP, "-o", "x.nc")),
    ("dask", (*SWEEP, "-o", "x.nc", "--chunks", "1")),
    ("distributed", (*SWEEP, "-o", "x.nc", "--chunks", "1", "--scheduler", "tcp://127.0.0.1:1")),
    ("h5netcdf", (*SWEEP, "-o", "x.nc")),
    ("xarray", (*SWEEP, "-o", "x.csv")),
]


def blocked(package: str, *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which cannot import a package."""
    program = (
        f"import sys; sys.modules[{package!r}] = None; "
        "from lifesym.cli import main; sys.argv[0] = 'lifesym'; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )


@pytest.mark.parametrize(("package", "command"), COMMANDS)
def test_a_command_without_its_package(
    package: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    result = blocked(package, *command, folder=tmp_path)
    line = f"lifesym: error: this needs {package}: pip install 'lifesym[{EXTRAS[package]}]'\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", line)
    assert not list(tmp_path.iterdir())


def test_functions_without_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules, "SALib", "scipy"]:
        if name.partition(".")[0] in ("SALib", "scipy"):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ls.LifesymError, match=r"needs SALib: pip install 'lifesym\[gsa\]'"):
        sobol(sym.batch * sym.past, {"batch": (1, 2)}, {"past": 1})
    with pytest.raises(ls.LifesymError, match=r"needs scipy: pip install 'lifesym\[validate\]'"):
        fit(Rows.of([]))
    assert summary([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])["kendall_tau"] == pytest.approx(1 / 3)


def test_a_package_that_nobody_has_is_none() -> None:
    assert optional("lifesym_no_such_package") is None
    assert needed("scipy.stats") is sys.modules["scipy.stats"]


def test_every_package_is_in_the_extra_that_is_named() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for package, extra in EXTRAS.items():
        needs = [re.split(r"[\[>=]", need)[0] for need in extras[extra]]
        # dask[distributed] brings distributed
        assert package in needs or f"dask[{package}]" in "".join(extras[extra])
        assert importlib.util.find_spec(package)
    assert extras["all"] == [f"lifesym[{','.join(ORDER)}]"]
    assert {*ORDER} == {*EXTRAS.values()}


def test_optional_packages_are_imported_at_one_place() -> None:
    statement = re.compile(rf"^\s*(from|import) ({'|'.join(EXTRAS)}|torch)\b", re.MULTILINE)
    for path in (ROOT / "lifesym").rglob("*.py"):
        found = [line.group(0).strip() for line in statement.finditer(path.read_text("utf-8"))]
        allowed = ["from xarray"] if path.name == "sweeps.py" else []  # for annotations only
        assert found == allowed, path
