"""The device database, and what a hardware file may say."""

from fractions import Fraction
from pathlib import Path

import pytest
from sympy import Expr, Float, Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.devices import aliases
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import load_format
from lifesym.levels import Level
from lifesym.memories import parse_level
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


@pytest.mark.parametrize("name", DEVICES)
def test_memory_is_of_whole_gibibytes(name: str) -> None:
    """Memory chips have a power of two of bytes: what a maker calls 24 GB are 24 GiB.

    Error correction in the same memory takes a sixteenth of them.
    """
    hardware = ls.load_hardware(name)
    if hardware.capacity is not None:
        whole = hardware.capacity * (Rational(16, 15) if hardware.inline_ecc else 1)
        assert (whole / 2**30).is_Integer


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_says_what_its_matrix_engine_is(name: str) -> None:
    hardware = ls.load_hardware(name)
    assert hardware.sources["peak.matrix"]
    assert hardware.default_format.name in ("bf16", "fp16")
    assert bool(hardware.notes) == (not hardware.matrix_known)
    if hardware.matrix:  # 16-bit products are no slower on it than on the vector units
        peak = hardware.matrix_peak(hardware.default_format)
        assert all(peak >= hardware.vector[t] for t in ("fp32", "fp16") if t in hardware.vector)


@pytest.mark.parametrize(
    ("name", "types"),
    [
        # NVIDIA DGX Spark data sheet: 1 PFLOP of fp4 with sparsity; a quarter of the half in fp16
        ("dgx-spark", {"bf16": 125, "fp8": 250, "fp4": 500}),
        # GA102 white paper: 512 operations a cycle and SM with fp32 accumulation, 2,048 of int8
        ("rtx-3080-ti", {"fp16": 68.2, "int8": 272.8}),
        ("rtx-3070-mobile", {"fp16": 31.9, "int8": 127.8}),
        # Jetson AGX Orin technical brief: 170 TOPS of int8 with sparsity on the GPU
        ("jetson-agx-orin", {"fp16": 42.6, "int8": 85.2}),
        # GPUOpen: 1,024 and 512 fp16 operations a cycle and compute unit of RDNA 4 and 3
        ("rx-9070-xt", {"fp16": 194.6, "int8": 389.3}),
        ("rx-7900-xtx", {"fp16": 122.8, "int8": 122.8}),
        ("strix-halo", {"fp16": 59.4}),
        # Intel, Architecture Day 2021: 2,048 (Xe-HPG), 4,096 (Xe-HPC) fp16 operations a Xe-core
        ("arc-a770", {"fp16": 157.2, "int8": 314.5}),
        ("intel-max-1550", {"bf16": 419.4, "int8": 838.8}),  # one of two stacks
        ("intel-max-1100", {"bf16": 355.5}),
        # Hot Chips 2024: Gaudi 3, SN40L
        ("gaudi-2", {"bf16": 432, "fp8": 865}),
        ("gaudi-3", {"bf16": 1835, "fp8": 1835}),
        ("sn40l", {"bf16": 638}),
    ],
)
def test_dense_matrix_peaks(name: str, types: dict[str, float]) -> None:
    hardware = ls.load_hardware(name)
    assert hardware.bounded
    for kind, tera in types.items():
        assert hardware.matrix[kind] == Rational(str(tera)) * 10**12


def test_two_cards_of_one_name() -> None:
    """NVIDIA's product brief and data sheet: 250 W and 400 W; measurements are of the SXM card."""
    pcie, sxm = ls.load_hardware("a100-pcie-40gb"), ls.load_hardware("a100-sxm-40gb")
    assert (pcie.static_power, sxm.static_power) == (250, 400)
    assert pcie.matrix == sxm.matrix
    assert ls.load_hardware("a100-40gb") == sxm


MEASURED_ON_GB10 = [
    # 0xBakeer/inference-atlas pull request 141: prefill of 10,130 tokens in 1.620 s
    ("qwen3.5-35b-a3b", 10130, 1.620),
    # spark-bench-reproducers: 2,048 tokens of a 27B model in NVFP4 in 0.618 s
    ("qwen3.5-27b", 2048, 0.618),
]


@pytest.mark.parametrize(("model", "prompt", "seconds"), MEASURED_ON_GB10)
def test_tensor_cores_bound_what_was_measured_on_them(
    model: str, prompt: int, seconds: float
) -> None:
    forecast = ls.forecast(
        ls.load_model(model),
        ls.load_hardware("dgx-spark"),
        prompt=prompt,
        generate=1,
        weights="nvfp4",
        activations="fp8",
        kv="bf16",
        causal="exact",
        fusion="layer",
    )
    assert 0 < forecast.ttft.expr < seconds


def test_the_documented_file_loads(tmp_path: Path) -> None:
    page = (root().parent / "docs" / "devices.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    hardware = ls.load_hardware(written(tmp_path, example))
    assert (hardware.capacity, hardware.bandwidth) == (24 * 2**30, 1008 * 10**9)
    refused = example.replace('"1,008 GB/s"', "900")
    with pytest.raises(SpecError, match="900 B/s is too small for a device; did you mean '900 GB/"):
        ls.load_hardware(written(tmp_path, refused))
    assert "900 B/s is too small for a device; did you mean '900 GB/s'?" in page
    assert (hardware.static_power, hardware.memories[0].link) == (330, 25 * 10**9)
    energies = page.split("```toml\n")[2].split("```")[0]
    with_them = ls.load_hardware(written(tmp_path, example + energies))
    assert (with_them.static_power, 8 * with_them.flop_energy) == (0, Rational(4, 10**12))
    text = page.split("(`lifesym.memories.parse_level`) it is `")[1].split("`")[0]
    assert parse_level(text).holds == {"lm_head": 1}


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
        ("bandwidth = 1.555e12", "bandwidth = '1'", "'memory.bandwidth': '1' has no unit"),
        ("bandwidth = 1.555e12", "bandwidth = '936 GB'", "unit 'GB' is not one of it"),
        ("bandwidth = 1.555e12", "bandwidth = true", "must be a number or text with a unit"),
        ("bandwidth = 1.555e12", "bandwidth = 900", "900 B/s is too .* did you mean '900 GB/s'"),
        ("bandwidth = 1.555e12", "bandwidth = 3.35", "did you mean '3.35 TB/s'"),
        ("bandwidth = 1.555e12", "bandwidth = 936000", "did you mean '936000 MB/s'"),
        ("bandwidth = 1.555e12", "bandwidth = '900 B/s'", "900 B/s is too small for a device$"),
        ("bandwidth =", "capacity = 24\nbandwidth =", "24 bytes is .* did you mean '24 GiB'"),
        ("bandwidth =", "capacity = 81920\nbandwidth =", "did you mean '81920 MiB'"),
        ("fp16 = 312e12", "fp16 = 312", r"matrix\.fp16': 312 FLOP/s .* did you mean '312 TFLOPS'"),
        ("fp16 = 312e12", "fp16 = 312e24", "too large for a device$"),
        ("fp32 = 19.5e12", "fp32 = 19500", "did you mean '19500 GFLOPS'"),
        ("fp16 =", "engine = 'none'\nfp16 =", "'none' and a peak cannot both be"),
        ("fp32 =", "engine = 'none'\nfp32 =", "peak.vector.engine': is of the table 'peak.matr"),
        ("bandwidth = 1.555e12\n", "", "missing key 'memory.bandwidth'"),
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


NO_ENGINE = 'engine = "none"'
NOT_KNOWN = 'engine = "unknown"'


def test_figures_with_the_units_of_a_data_sheet(tmp_path: Path) -> None:
    text = SPEC.replace("312e12", '"312 TFLOPS"').replace("19.5e12", '"19.5 TFLOP/s"')
    text = text.replace("1.555e12", '"1,555 GB/s"\ncapacity = "40 GiB"')
    text += """
[link]
bandwidth = "300GB/s"
latency = "1.5 us"
source = "a data sheet"
[power]
tdp = "250 W"
source = "a data sheet"
[efficiency]
compute = "70 %"
source = "a data sheet"
[dispatch]
time = "5 µs"
source = "a data sheet"
"""
    hardware = ls.load_hardware(written(tmp_path, text))
    assert hardware.matrix == {"fp16": 312 * 10**12}
    assert hardware.vector == {"fp32": 195 * 10**11}
    assert (hardware.bandwidth, hardware.capacity) == (1555 * 10**9, 40 * 2**30)
    assert (hardware.link_bandwidth, hardware.static_power) == (300 * 10**9, 250)
    assert (hardware.link_latency, hardware.dispatch_time) == (
        Rational(15, 10**7),
        Rational(5, 10**6),
    )
    assert hardware.compute_efficiency == Rational(7, 10)


def test_no_matrix_engine_and_one_that_is_not_known_are_different(tmp_path: Path) -> None:
    without = ls.load_hardware(written(tmp_path, SPEC.replace("fp16 = 312e12", NO_ENGINE)))
    assert (without.notes, without.bounded, without.matrix_known) == ((), True, True)
    with pytest.raises(SpecError, match="has no peak for fp8"):
        without.matrix_peak(load_format("fp8"))
    unknown = ls.load_hardware(written(tmp_path, SPEC.replace("fp16 = 312e12", NOT_KNOWN)))
    silent = SPEC.replace('[peak.matrix]\nfp16 = 312e12\nsource = "a data sheet"', "")
    left_out = ls.load_hardware(written(tmp_path, silent))
    for hardware in (unknown, left_out):
        assert not hardware.matrix_known
        assert not hardware.bounded
        assert hardware.notes == (
            "the matrix peak of Test is not known: times are those of its vector units, and no"
            " bound",
        )
        for name in ("fp16", "bf16", "fp8", "int8", "fp32"):  # its vector units stand in
            assert hardware.matrix_peak(load_format(name)) == hardware.vector["fp32"]
    integers = ls.load_hardware(written(tmp_path, SPEC.replace("fp16 = 312e12", "int8 = 600e12")))
    assert integers.notes[0].startswith("the matrix peak of Test in 16-bit floats is not known")
    assert integers.matrix_peak(load_format("int8")) == 600 * 10**12
    assert integers.matrix_peak(load_format("fp16")) == integers.vector["fp32"]
    cpu = ls.load_hardware(written(tmp_path, silent.replace('"gpu"', '"cpu"')))
    assert (cpu.matrix_known, cpu.notes) == (True, ())


def test_vector_units_compute_with_16_bit_floats_as_such_or_in_fp32(tmp_path: Path) -> None:
    hardware = ls.load_hardware(written(tmp_path, SPEC.replace("fp16 = 312e12", NO_ENGINE)))
    assert hardware.default_format.name == "fp16"  # stored in 16 bits, not in 32 in silence
    assert hardware.matrix_peak(load_format("fp16")) == hardware.vector["fp32"]
    slow = ls.load_hardware("tesla-p40")  # its fp16 units do 1/64 of its fp32 units' rate
    assert slow.default_format.name == "fp16"
    assert slow.matrix_peak(load_format("fp16")) == slow.vector["fp32"]
    empty = SPEC.replace("fp16 = 312e12", "").replace("fp32 = 19.5e12", "")
    with pytest.raises(SpecError, match="key 'peak': no peak for any data type"):
        ls.load_hardware(written(tmp_path, empty))


def test_the_default_is_the_faster_16_bit_format(tmp_path: Path) -> None:
    both = SPEC.replace("fp16 = 312e12", "fp16 = 312e12\nbf16 = 312e12")
    assert ls.load_hardware(written(tmp_path, both)).default_format.name == "bf16"
    half = SPEC.replace("fp16 = 312e12", "fp16 = 184.6e12\nbf16 = 92.3e12")
    assert ls.load_hardware(written(tmp_path, half)).default_format.name == "fp16"
    slow = SPEC.replace("fp16 = 312e12", "bf16 = 1e12\nfp32 = 2e12")
    assert ls.load_hardware(written(tmp_path, slow)).default_format.name == "bf16"
    cpu = slow.replace('"gpu"', '"cpu"')  # a measured CPU may be faster in fp32
    assert ls.load_hardware(written(tmp_path, cpu)).default_format.name == "fp32"


def test_a_device_with_efficiencies_is_estimated_not_bounded() -> None:
    hardware = ls.load_hardware("rtx-4090")
    assert hardware.bounded
    assert not hardware.with_(memory_efficiency=Fraction(9, 10)).bounded
    assert not hardware.with_(dispatch_time=Fraction(1, 10**6)).bounded


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
        with pytest.raises(SpecError, match=r"not 70; did you mean '70 %'"):
            ls.load_hardware(written(tmp_path, text.replace("0.7", "70")))
    if part in ("dispatch", "link"):
        slow = text.replace("5e-6", "5").replace("1e-6", "5")
        with pytest.raises(SpecError, match="5 s is too large for a device; did you mean '5 us'"):
            ls.load_hardware(written(tmp_path, slow))
    with pytest.raises(SpecError, match=r"missing key '\w+\.source'"):
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


MEMORIES = """
[[memories]]
name = "host"
bandwidth = "150 GB/s"
link = "19.5 GB/s"
latency = "10 us"
capacity = "256 GiB"
byte_energy = "20 pJ/byte"
experts = 1
kv = "50 %"
computes = ["attn"]
peaks = { bf16 = "2 TFLOPS" }
source = "a data sheet"

[[memories]]
name = "sram"
bandwidth = 1e13
capacity = "16 MiB"
holds = { adapter = 1 }
static_power = "2 mW"
source = "a data sheet"

[[memories]]
name = "flash"
bandwidth = "3 GB/s"
source = "a data sheet"
"""


def test_memories_that_a_device_comes_with(tmp_path: Path) -> None:
    device = ls.load_hardware(written(tmp_path, SPEC + MEMORIES))
    host, sram, _ = device.memories
    assert host == Level(
        name="host",
        bandwidth=150 * 10**9,
        link=195 * 10**8,
        latency=Rational(1, 10**5),
        capacity=256 * 2**30,
        byte_energy=Rational(2, 10**11),
        experts=1,
        kv=Rational(1, 2),
        computes=("attn",),
        peaks={"bf16": 2 * 10**12},
    )
    assert (sram.capacity, sram.static_power) == (16 * 2**20, Rational(2, 1000))
    assert device.sources["memories.flash"] == "a data sheet"
    sparse = ls.load_model("mixtral-8x7b")
    f = ls.forecast(sparse, device, 10, 5, weights="fp16", activations="bf16", lora=8)
    assert f.levels == (host, sram)  # what serves nothing by default waits to be asked
    fast = Level(name="host", bandwidth=10**12, kv=1)
    assert ls.forecast(sparse, device, 10, 5, lora=8, levels=[fast]).levels == (sram, fast)
    plain = ls.forecast("mamba-2.8b", device, 10, 5)  # no experts, adapters or attention
    assert set(plain.memories) == {"device", "host", "sram"}
    assert plain.memories["sram"].expr == 0
    asked = parse_level("name=flash,experts=1", device.memories)
    assert (asked.bandwidth, asked.experts) == (3 * 10**9, 1)
    assert ls.load_hardware("v100").memories == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('bandwidth = "150 GB/s"\n', "", r"missing key 'memories\[0\].bandwidth'"),
        ("latency", "latncy", r"unknown key 'memories\[0\].latncy'; did you mean 'latency'"),
        ('"150 GB/s"', "150", "memory 'host': key 'bandwidth': 150 B/s is too small"),
        ('kv = "50 %"', "kv = 50", "memory 'host': key 'kv': .* did you mean '50 %'"),
        ("adapter = 1", "kv = 1", "memory 'sram': sram: kv is a share of its own"),
        ("bf16 =", "bf61 =", "memory 'host': host: peaks: 'bf61' is no data type"),
        ('"20 pJ/byte"', '"20 pJ"', "key 'byte_energy': unit 'pJ' is not one of it"),
        ('"20 pJ/byte"', "-1", "key 'byte_energy': must be a number above 0, not -1"),
        ('"2 mW"', '"2 mV"', "memory 'sram': key 'static_power': unit 'mV' is not one of it"),
        ('["attn"]', '"attn"', r"key 'memories\[0\].computes': Expected `array`"),
        ('source = "a data sheet"', "", "missing key 'memories"),
    ],
)
def test_a_wrong_memory_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        ls.load_hardware(written(tmp_path, SPEC + MEMORIES.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_energies_of_bytes_and_operations(tmp_path: Path) -> None:
    """HBM2 at 3.9 pJ/bit is Anda's (HPCA 2025); idle power stays beside them, a TDP does not."""
    source = 'source = "a data sheet"\n'
    energy = f'[energy]\nbyte = "3.9 pJ/bit"\nflop = 0.5e-12\n{source}'
    power = f'[power]\ntdp = "250 W"\nidle = 40\n{source}'
    device = ls.load_hardware(written(tmp_path, SPEC + energy + power))
    assert device.byte_energy == Rational(312, 10**13)
    assert (device.flop_energy, device.static_power) == (Rational(1, 2 * 10**12), 40)
    assert device.sources["energy"] == "a data sheet"
    f = ls.forecast("llama-2-7b", device, 10, 5, weights="fp16")
    shapes = [(10, 0), *((1, 10 + i) for i in range(4))]
    passes = [f.trace(Integer(new), Integer(past)) for new, past in shapes]
    costs = [each.cost_at(f.precision) for each in passes]
    moved = device.byte_energy * sum(cost.bytes for cost in costs)
    done = device.flop_energy * sum(cost.flops for cost in costs)
    assert f.energy.expr == moved + done + 40 * f.latency.expr
    alone = ls.load_hardware(written(tmp_path, SPEC + energy))
    assert alone.static_power == 0
    assert ls.forecast("llama-2-7b", alone, 10, 5, weights="fp16").energy.expr == moved + done


def test_the_stated_power_is_the_typical_one_or_the_tdp(tmp_path: Path) -> None:
    """Joules at it over the forecast's time, and no bound: a run may take longer."""

    def power(table: str) -> Expr | None:
        text = f'{SPEC}\n[power]\n{table}\nsource = "a data sheet"\n'
        return ls.load_hardware(written(tmp_path, text)).static_power

    assert power('tdp = "250 W"') == 250
    assert power('tdp = "250 W"\ntypical = "180 W"') == 180
    assert power("typical = 180\nidle = 20") == 180
    for table, message in {
        "": "missing key 'power.tdp'",
        "idle = 20": "key 'power.idle': needs the table 'energy'",
        "typical = -1": "key 'power.typical': must be a number above 0, not -1",
        'typical = "many"': "key 'power.typical': 'many' has no unit",
    }.items():
        with pytest.raises(SpecError, match=message):
            power(table)


@pytest.mark.parametrize(
    ("key", "figure", "message"),
    [
        ("byte", "-1e-12", "key 'energy.byte': must be a number above 0, not -1E-12"),
        ("byte", "20", "20 J/byte is too large for a device; did you mean '20 pJ/byte'"),
        ("flop", '"0.5 pJ"', "key 'energy.flop': unit 'pJ' is not one of it: .*'0.5 pJ/FLOP'"),
        ("flop", '"little"', "key 'energy.flop': 'little' has no unit"),
        ("flop", "true", "key 'energy.flop': must be a number or text with a unit, not True"),
        ("flops", "1e-12", "unknown key 'energy.flops'; did you mean 'flop'"),
    ],
)
def test_wrong_energies(tmp_path: Path, key: str, figure: str, message: str) -> None:
    text = f'{SPEC}\n[energy]\n{key} = {figure}\nsource = "a data sheet"\n'
    with pytest.raises(SpecError, match=message) as caught:
        ls.load_hardware(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match=r"missing key 'energy.byte' or 'energy.flop'"):
        ls.load_hardware(written(tmp_path, f'{SPEC}\n[energy]\nsource = "a data sheet"\n'))
