"""The rates of a measured device: the table's own where given, else the database's."""

import re
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

from lifesym.devices import aliases, load_hardware
from lifesym.errors import SpecError
from lifesym.specs import names

PCIE = 32e9
"""Bytes a second between devices whose link is not known: sixteen lanes of PCIe 4."""
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


@dataclass(frozen=True)
class Device:
    """A device as calibration sees it, in SI units.

    Attributes:
        kind: the class of device (``gpu``, ``igpu``, ``cpu``, ``npu``, ``soc``, ``asic``).
        bandwidth: of its memory.
        matrix: its matrix peak.
        vector: its vector peak in fp32.
        capacity: bytes of its memory; infinite where not known.
        link: bytes a second to a peer.
        multiprocessors: blocks of a product computed at once; 0 where not known.
    """

    kind: str
    bandwidth: float
    matrix: float
    vector: float
    capacity: float
    link: float
    multiprocessors: int


@cache
def device(name: str, peak: float, bandwidth: float) -> Device:
    """The rates of a device by the name that a table of measurements gives it.

    Raises:
        SpecError: neither the table nor the database knows the bandwidth.
    """
    spec = _spec(name)
    rate = bandwidth or (float(spec.bandwidth) if spec else 0.0)
    if not rate:
        raise SpecError(f"{name}: its bandwidth is not known")
    matrix = peak or _peak(spec)
    vector = 0.0
    if spec is not None:
        fp32 = spec.vector.get("fp32")
        vector = float(fp32 if fp32 is not None else min(spec.matrix.values(), default=0.0))
    vector = vector or matrix / 4  # what GPUs of the last years have, where nothing is known
    return Device(
        kind=spec.kind if spec else ("cpu" if backend("", name) == "CPU" else "gpu"),
        bandwidth=rate,
        matrix=matrix or vector,
        vector=vector or inf,
        capacity=float(spec.capacity) if spec and spec.capacity else inf,
        link=float(spec.link_bandwidth) if spec and spec.link_bandwidth else PCIE,
        multiprocessors=int(spec.multiprocessors) if spec and spec.multiprocessors else 0,
    )


def _peak(spec: Any) -> float:
    """The peak of products in 16 bits, in which the measured software computes."""
    known = {**spec.vector, **spec.matrix} if spec else {}
    for name in ("fp16", "bf16", "tf32", "fp32"):
        if name in known:
            return float(known[name])
    return float(max(known.values(), default=0.0))


def _spec(name: str) -> Any:
    found = named(name)
    return load_hardware(found) if found else None


@cache
def named(name: str) -> str:
    """The database's name for a device as tables write it; empty where it has none."""
    plain = name.lower()
    for candidate in (name, STAND_INS.get(plain, _slug(plain)), plain.replace(" ", "-")):
        found = aliases().get(candidate, candidate)
        if found in names("hardware"):
            return found
    return ""


def _slug(name: str) -> str:
    text = re.sub(r"^((nvidia|amd|apple|intel|geforce)\s+)+", "", name)
    text = text.replace("(", "").replace(")", "").replace(" cpu", "").replace("+", "plus")
    return text.replace(" ", "-")


def backend(framework: str, name: str) -> str:
    """What computes: the back end that the software names, else the maker's usual one."""
    for pattern, found in _BACKENDS:
        if re.search(pattern, framework.lower()):
            return found
    for pattern, found in _MAKERS:
        if re.search(pattern, name.lower()):
            return found
    return "CUDA"
