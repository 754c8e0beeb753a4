"""The device database, and what a hardware file may say."""

from fractions import Fraction
from pathlib import Path

import pytest
from sympy import Expr, Float, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.devices import aliases
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import load_format
from lifesym.specs import names, read_toml, root

DEVICES = names("hardware")


def numbers(hardware: ls.Hardware) -> list[Expr]:
    """Every figure of a device."""
    optional = (
        hardware.capacity,
        hardware.link_bandwidth,
        hardware.link_latency,
        hardware.static_power,
    )
    known = [value for value in optional if value is not None]
    return [
        *hardware.matrix.values(),
        *hardware.vector.values(),
        hardware.bandwidth,
        hardware.compute_efficiency,
        hardware.memory_efficiency,
        *known,
    ]


def test_the_database_is_large() -> None:
    assert len(DEVICES) >= 40


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_loads_with_its_sources(name: str) -> None:
    hardware = ls.load_hardware(name)
    figures = numbers(hardware)
    assert all(figure.is_Rational and figure > 0 and not figure.has(Float) for figure in figures)
    assert hardware.dispatch_time >= 0
    assert hardware.default_format.native
    assert hardware.sources["memory"]
    assert set(hardware.sources) & {"peak.matrix", "peak.vector"}
    assert all(len(source) > 8 for source in hardware.sources.values())
    assert hardware.kind in ("cpu", "gpu", "igpu", "npu", "soc", "asic")


@pytest.mark.parametrize("name", DEVICES)
def test_figures_are_in_si_units(name: str) -> None:
    """A peak of 50 GFLOP/s to 100 PFLOP/s, bytes a second from 1 GB/s to 100 TB/s, 1 to 20 kW."""
    hardware = ls.load_hardware(name)
    assert all(5 * 10**10 <= peak <= 10**17 for peak in hardware.matrix.values())
    assert all(10**9 <= peak <= 10**15 for peak in hardware.vector.values())
    assert 10**9 <= hardware.bandwidth <= 10**14
    if hardware.static_power is not None:
        assert 1 <= hardware.static_power <= 20_000
    if hardware.capacity is not None:
        assert 10**8 <= hardware.capacity <= 10**13


def test_names_and_aliases_are_unique() -> None:
    listed: list[str] = list(DEVICES)
    for name in DEVICES:
        listed += read_toml(root() / "hardware" / f"{name}.toml").get("aliases", [])
    assert sorted(listed) == sorted(set(listed))
    for alias, name in aliases().items():
        assert ls.load_hardware(alias) == ls.load_hardware(name)
    titles = [ls.load_hardware(name).name for name in DEVICES]
    assert len(set(titles)) == len(titles)


SPEC = """
name = "Test"
vendor = "Test"
kind = "gpu"
[peak.matrix]
fp16 = 312e12
source = "a data sheet"
[peak.vector]
fp32 = 19.5e12
source = "a data sheet"
[memory]
bandwidth = 1.555e12
source = "a data sheet"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "device.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    hardware = ls.load_hardware(written(tmp_path, SPEC))
    assert hardware.bandwidth == 1555 * 10**9
    assert hardware.matrix_peak(load_format("fp16")) == 312 * 10**12
    assert hardware.vector_peak(load_format("fp16")) == 195 * 10**11
    assert hardware.default_format.name == "fp16"
    assert (hardware.capacity, hardware.static_power, hardware.dispatch_time) == (None, None, 0)
    with pytest.raises(SpecError, match=r"Test has no peak for int8 \(it has fp16, fp32\)"):
        hardware.matrix_peak(load_format("int8"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fp16 =", "fp17 =", "unknown key 'peak.matrix.fp17'; did you mean 'fp1?[48]?6?'"),
        ("bandwidth =", "bandwith =", "unknown key 'memory.bandwith'; did you mean 'bandwidth'"),
        ("bandwidth = 1.555e12", "bandwidth = -1", "key 'memory.bandwidth': must be a number abo"),
        ("bandwidth = 1.555e12", "bandwidth = nan", "'memory.bandwidth': must be finite, not NaN"),
        ("bandwidth = 1.555e12", "bandwidth = '1'", "key 'memory.bandwidth': Expected"),
        ("bandwidth = 1.555e12\n", "", "missing required field `bandwidth`"),
        ('kind = "gpu"', 'kind = "toaster"', "key 'kind': Invalid enum value 'toaster'"),
        ('name = "Test"', "name = 3", "key 'name': Expected `str`"),
        ('vendor = "Test"', 'vendro = "Test"', "unknown key 'vendro'; did you mean 'vendor'"),
        ('name = "Test"', "name = ", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = written(tmp_path, SPEC.replace(old, new, 1))
    with pytest.raises(SpecError, match=message) as caught:
        ls.load_hardware(path)
    assert "\n" not in str(caught.value)


def test_a_device_without_a_matrix_engine_computes_on_its_vector_units(tmp_path: Path) -> None:
    hardware = ls.load_hardware(written(tmp_path, SPEC.replace("fp16 = 312e12", "")))
    assert hardware.default_format.name == "fp32"
    assert hardware.matrix_peak(load_format("fp32")) == hardware.vector["fp32"]
    empty = SPEC.replace("fp16 = 312e12", "").replace("fp32 = 19.5e12", "")
    with pytest.raises(SpecError, match="key 'peak': no peak for any data type"):
        ls.load_hardware(written(tmp_path, empty))


@pytest.mark.parametrize("part", ["efficiency", "dispatch", "link", "power"])
def test_optional_tables(tmp_path: Path, part: str) -> None:
    tables = {
        "efficiency": "compute = 0.7\nmemory = 0.8",
        "dispatch": "time = 5e-6",
        "link": "bandwidth = 300e9\nlatency = 1e-6",
        "power": "tdp = 400",
    }
    text = f'{SPEC}\n[{part}]\nsource = "a data sheet"\n{tables[part]}\n'
    hardware = ls.load_hardware(written(tmp_path, text))
    assert hardware.sources[part] == "a data sheet"
    if part == "efficiency":
        efficiencies = (hardware.compute_efficiency, hardware.memory_efficiency)
        assert efficiencies == (Rational(7, 10), Rational(4, 5))
        with pytest.raises(SpecError, match=r"efficiency\.compute.*at most 1"):
            ls.load_hardware(written(tmp_path, text.replace("0.7", "1.1")))
    with pytest.raises(SpecError, match=r"missing required field `source`"):
        ls.load_hardware(written(tmp_path, f"{SPEC}\n[{part}]\n{tables[part]}\n"))


def test_unknown_devices_have_a_hint() -> None:
    with pytest.raises(SpecError, match="unknown hardware 'no-such-device'"):
        ls.load_hardware("no-such-device")
    with pytest.raises(SpecError, match="no such file"):
        ls.load_hardware("no/such/device.toml")


def test_the_symbolic_device() -> None:
    hardware = ls.Hardware.symbolic()
    assert hardware.matrix_peak(load_format("int4")) is sym.peak
    assert hardware.vector_peak(load_format("int4")) is sym.vector_peak
    tuned = hardware.with_(compute_efficiency=Fraction(7, 10), dispatch_time=0.1)
    assert (tuned.compute_efficiency, tuned.dispatch_time) == (Rational(7, 10), Rational(1, 10))
    with pytest.raises(SymbolError, match="compute_efficiency must be above 0 and at most 1"):
        hardware.with_(compute_efficiency=2)
