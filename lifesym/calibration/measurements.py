"""Measurements as lifesym sees them: what was measured of which model, format and device."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from lifesym.calibration.rates import backend, hardware

Phase = Literal["decode", "prefill", "request"]
SOFTWARE = (
    *("llama.cpp", "tensorrt-llm", "vllm", "fastertransformer", "deepspeed", "exllamav2"),
    *("autoawq", "lmdeploy", "mlc llm", "fastflowlm"),
)
"""Kinds of software; in the order in which a name is searched for them."""
Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One measured time.

    Attributes:
        phase: ``decode`` (seconds a step), ``prefill`` (seconds of the prompt) or ``request``
            (seconds from the prompt to the last token, of the whole batch).
        seconds: what was measured.
        device: the device's name in the table.
        peak: its published matrix peak in FLOP/s; 0 where not given.
        bandwidth: its published bandwidth in byte/s; 0 where not given.
        framework: the software, as written.
        model: the model's name in the database.
        bits: bits a weight of the file.
        kv_bits: bits a cached value.
        batch: sequences.
        devices: how many devices.
        prompt: prompt tokens; for decode 0 where the table does not say.
        past: tokens cached before the prompt.
        generate: generated tokens; 0 but for requests.
        context: mean cached tokens of a decode step.
        source: where it was published.
        line: where it stands in its file.
        chunk: prompt tokens computed at once; 0 for the software's default.
        split: how several devices share a model where the software offers more than one way:
            ``layer`` (one after another) or ``row`` (parts of every product).
        pipeline: stages of pipeline parallelism, into which ``devices`` are divided.
        experts: devices that experts are spread over, of those of a stage.
        flash: whether attention is fused; None where not said.
        peak_type: what the table calls that peak, as ``fp16 dense`` or ``fp32 vector``.
        power: watts drawn by all devices, measured; 0 where not given.
        released: year and month of the software as ``2024-05``; empty where not said.
    """

    phase: Phase
    seconds: float
    device: str
    peak: float
    bandwidth: float
    framework: str
    model: str
    bits: float
    kv_bits: float
    batch: int
    devices: int
    prompt: int
    past: int
    generate: int
    context: float
    source: str
    line: int
    chunk: int = 0
    split: Literal["", "layer", "row"] = ""
    pipeline: int = 1
    experts: int = 1
    flash: bool | None = None
    peak_type: str = ""
    power: float = 0.0
    released: str = ""

    @property
    def kind(self) -> str:
        """The class of device: gpu, igpu, cpu, npu, soc or asic."""
        return hardware(self).kind

    @property
    def quantized(self) -> bool:
        """Whether weights are stored in fewer than 16 bits."""
        return self.bits < 15

    @property
    def software(self) -> str:
        """The software without its release and options."""
        name = self.framework.lower()
        return next((known for known in SOFTWARE if known in name), name.split()[0])

    @property
    def maker(self) -> str:
        """Who makes the device, as far as its name says: a back end's usual maker."""
        where = backend("", self.device)
        return {"CUDA": "NVIDIA", "Metal": "Apple"}.get(where, where)

    @cached_property
    def place(self) -> str:
        """The software on what computes."""
        return f"{self.software} on {backend(self.framework, self.device)}"


def gathered(
    observations: Iterable[Observation], key: Callable[[Observation], Key]
) -> dict[Key, list[int]]:
    """The places of the observations of each key, in order."""
    found: dict[Key, list[int]] = {}
    for i, o in enumerate(observations):
        found.setdefault(key(o), []).append(i)
    return found
