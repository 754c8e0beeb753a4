"""The rates of a measured device: the table's own where given, else the database's."""

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sympy import Integer, Rational

from lifesym.devices import INLINE_ECC, aliases, load_hardware
from lifesym.errors import SpecError
from lifesym.hardware import Hardware
from lifesym.specs import names

if TYPE_CHECKING:
    from lifesym.calibration.measurements import Observation

PCIE = Integer(32 * 10**9)
"""Bytes a second between devices whose link is not known: sixteen lanes of PCIe 4."""
WHOLE_CARD = Rational(3, 2)
"""Times a die's rate: above it, a table's figure is that of a card of several dies."""
STAND_INS = {
    "ryzen ai (xdna2) npu": "ryzen-ai-7-350-npu",
    "ryzen ai (xdna2) igpu": "radeon-860m",
    "ryzen ai (xdna2) cpu": "ryzen-ai-7-350-cpu",
}
"""FastFlowLM's table of these rows was made on a Ryzen AI 7 350: FastFlowLM/FastFlowLM,
docs/docs/benchmarks/llama3_results.md, "Test System 1"."""
_BACKENDS = (
    (r"vulkan", "Vulkan"),
    (r"rocm|hip\b|rocwmma", "ROCm"),
    (r"sycl", "SYCL"),
)
_MAKERS = (
    (r"cpu|ryzen \d|threadripper|xeon|epyc", "CPU"),
    (r"npu", "NPU"),
    (r"^m\d|apple", "Metal"),
    (r"^rx |radeon|^mi\d|igpu", "AMD"),
    (r"arc |intel", "Intel"),
    (r"gaudi|sn40l", "ASIC"),
)


def hardware(o: "Observation") -> Hardware:
    """The device of an observation, as one rank of its software sees it.

    That is the database's, with the peak and bandwidth that the table gives in place of its own; of
    the table's numbers alone where the database has none. The table's are read as a maker's: those
    of a card of several dies are divided by them (`Hardware.dies`), and a bandwidth is less by what
    error correction in the same memory reads (`Hardware.inline_ecc`). What is not known is None,
    but for the link: sixteen lanes of PCIe 4 stand in for it, and ``sources`` says so.

    Raises:
        SpecError: neither the table nor the database knows the bandwidth.
    """
    return _hardware(o.device, o.peak, o.peak_type, o.bandwidth)


@cache
def _hardware(name: str, peak: float, peak_type: str, bandwidth: float) -> Hardware:
    found = named(name)
    spec = load_hardware(found) if found else None
    if spec is None and not bandwidth:
        raise SpecError(f"{name}: its bandwidth is not known")
    if spec is None:
        spec = Hardware(
            name=name,
            kind="cpu" if backend("", name) == "CPU" else "gpu",
            matrix={},
            vector={},
            bandwidth=_whole(bandwidth),
            matrix_known="vector" not in peak_type,
        )
    sources = dict(spec.sources)
    changes: dict[str, Any] = {}
    if bandwidth:
        own = _of_a_die(_whole(bandwidth), spec.bandwidth, spec)
        changes["bandwidth"] = own * (1 - INLINE_ECC) if spec.inline_ecc else own
        sources["memory"] = "given by the table of measurements"
    if peak:
        number = _of_a_die(_whole(peak), _peak(spec), spec)
        kind = re.match(r"\w+\d+", peak_type)
        types = (kind[0],) if kind and kind[0] not in ("fp16", "bf16") else ("fp16", "bf16")
        no_engine = spec.matrix_known and not spec.matrix and found
        engine = "vector" if "vector" in peak_type or no_engine else "matrix"
        known = getattr(spec, engine)
        given = [each for each in types if each in known] or types[:1]
        changes[engine] = {**known, **dict.fromkeys(given, number)}
        sources[f"peak.{engine}"] = "given by the table of measurements"
    if spec.link_bandwidth is None:
        changes["link_bandwidth"] = PCIE
        sources["link"] = "not known: sixteen lanes of PCIe 4 stand in"
    return replace(spec, **changes, sources=sources)


def _whole(rate: float) -> Any:
    """A table's rate without the rounding of a float: its units are millions a second at least."""
    return Integer(round(rate))


def _of_a_die(number: Any, own: Any, spec: Hardware) -> Any:
    """A table's figure of one die: a part of it where it is nearer to that of the whole card."""
    whole = spec.dies > 1 and own and number > WHOLE_CARD * own
    return number / spec.dies if whole else number


def _peak(spec: Hardware) -> Any:
    """The peak of products in 16 bits, in which the measured software computes."""
    known = {**spec.vector, **spec.matrix}
    for name in ("fp16", "bf16", "tf32", "fp32"):
        if name in known:
            return known[name]
    return max(known.values(), default=Integer(0))


@cache
def named(name: str) -> str:
    """The database's name for a device as tables write it; empty where it has none."""
    plain = name.lower()
    words = _slug(plain)
    for candidate in (
        *(name, STAND_INS.get(plain, words), words.replace("-cpu", "")),
        *(words.replace("instinct-", "").replace("tesla-", ""), plain.replace(" ", "-")),
    ):
        found = aliases().get(candidate, candidate)
        if found in names("hardware"):
            return found
    return ""


def _slug(name: str) -> str:
    """A name as the database writes it: without its maker, and without a count (x8)."""
    text = re.sub(r"^((nvidia|amd|apple|intel|habana|sambanova|geforce)\s+)+", "", name)
    text = re.sub(r"\s+x\d+$", "", text.replace("(", "").replace(")", "").replace("+", "plus"))
    return text.replace(" ", "-")


@cache
def backend(framework: str, name: str) -> str:
    """What computes: the back end that the software names, else the maker's usual one."""
    for pattern, found in _BACKENDS:
        if re.search(pattern, framework.lower()):
            return found
    for pattern, found in _MAKERS:
        if re.search(pattern, name.lower()):
            return found
    return "CUDA"
