r"""The closed forms that are fitted: forecasts in a few physical parameters.

Every phase is a sum of parts, and a part takes

$$t = n\,(\text{launches} + \max(\text{memory}, \text{work}))$$

- memory: Q bytes at the memory efficiency, $Q / (e_m \mathit{BW})$;
- work, what it overlaps with: F FLOPs on the matrix engine at the compute efficiency,
  $F / (e_c P)$, and operations on the vector units, $c\,n / P_v$, where the matrix engine cannot
  help: c operations for each of n stored values (unpacking a format, a matrix-vector product) or
  each of n multiply-adds of attention;
- launches: a time for each layer, for each of its two collectives (a latency for each of
  $\log_2 n$ messages, and bytes over the link), and for each sequence.

A **decode step** has two parts, the weights and the cache. With one sequence the cache's work is a
time for each layer and cached token: one block of threads walks along a head's context. A
**prefill** has two parts: F and c_s passes over the bytes of attention's scores, and the unpacking
of stored values for a product in 16 bits, which reads them and writes them (b/8 + 2 bytes). F are
the FLOPs of whole waves of blocks (`Shape.quantized_flops`). A **request** is a prefill and G - 1
decode steps; a batch whose cache does not fit (nine tenths of the memory less the weights) is
computed in turns. Efficiencies are between 0 and 1, times and counts are not negative.
"""

import math
from typing import Any

import numpy as np

from lifesym.calibration.measurements import Observation
from lifesym.calibration.rates import Device, device
from lifesym.calibration.workload import Shape, attended, shape
from lifesym.errors import SpecError

PIECE = 512
"""Prompt tokens that llama.cpp computes at once unless told otherwise."""
CACHE_SHARE = 0.9
"""Of a device's memory, for weights and cache: the default of vLLM and of TensorRT-LLM."""
MEMORY = ("memory",)
WORK = ("compute", "scores", "unpack", "stored_quantized", "stored_16", "products", "serial")
LAUNCHES = ("layer", "sequence", "collective", "link")
NAMES: dict[str, tuple[str, ...]] = {
    "decode": (
        *("memory", "layer", "stored_quantized", "stored_16", "serial"),
        *("compute", "products", "collective", "link"),
    ),
    "prefill": ("compute", "scores", "memory", "unpack", "layer", "collective", "link"),
    "request": ("memory", "compute", "layer", "sequence", "products", "collective", "link"),
}
"""The parameters of each phase."""
UNITS = {
    "memory": "of the bandwidth",
    "compute": "of the peak",
    "layer": "s a layer",
    "sequence": "s a sequence and step",
    "collective": "s a message",
    "link": "of the link's time, inverse",
    "serial": "s a layer and cached token",
    "scores": "passes over the scores",
    "unpack": "operations a value",
    "stored_quantized": "operations a value",
    "stored_16": "operations a value",
    "products": "operations a multiply-add of attention",
}
EFFICIENCIES = ("memory", "compute")
"""Fitted as their inverses, which are at least 1; everything else is at least 0."""
Part = dict[str, float]


def columns(o: Observation) -> tuple[Part, Part, Part]:
    """The factor of each parameter in the three parts of an observation's closed form.

    Raises:
        SpecError: the device's bandwidth or peak is not known, or the form of parallelism.
    """
    if o.pipeline > 1 or o.experts > 1:
        raise SpecError("pipeline and expert parallelism are not known to the form")
    d = device(o.device, o.peak, o.bandwidth)
    if not d.matrix and o.phase != "decode":
        raise SpecError(f"{o.device}: no peak is known")
    return {"decode": _decode, "prefill": _prefill, "request": _request}[o.phase](o, d)


def predict(phase: str, factors: Any, theta: Any) -> Any:
    """Seconds, for factors of shape (rows, parts, parameters) and a parameter vector."""
    return (active(phase, factors, theta) * theta).sum(axis=(1, 2))


def active(phase: str, factors: Any, theta: Any) -> Any:
    """The factors of the branch that each part's maximum takes: the exact Jacobian, by parts."""
    memory, work = (
        np.array([name in group for name in NAMES[phase]], dtype=float) for group in (MEMORY, WORK)
    )
    terms = factors * theta
    bound = (terms @ memory >= terms @ work)[..., None]
    return factors * np.where(bound, 1 - work, 1 - memory)


def shared(o: Observation) -> int:
    """Devices that compute together; llama.cpp gives each some layers, one after another."""
    return 1 if o.software == "llama.cpp" else o.devices


def _decode(o: Observation, d: Device) -> tuple[Part, Part, Part]:
    s, n = shape(o.model, o.batch), shared(o)
    weights = _step_weights(o, d, s, o.batch)
    if o.batch == 1:
        weights["compute"] = 0.0
        weights["stored_quantized" if o.quantized else "stored_16"] = s.stored / d.vector / n
    cache = _step_cache(o, d, o.batch, o.context)
    if o.batch == 1:
        cache["serial"] = s.layers * o.context
        cache["products"] = 0.0
    return weights, cache, {}


def _step_weights(o: Observation, d: Device, s: Shape, batch: float) -> Part:
    n = shared(o)
    return {
        "memory": s.stored * o.bits / 8 / d.bandwidth / n,
        "compute": (s.matrix_flops + s.head_flops) * batch / (d.matrix or math.inf) / n,
        "layer": float(s.layers),
        **_collectives(d, s, n, batch),
    }


def _step_cache(o: Observation, d: Device, batch: float, context: float) -> Part:
    n = shared(o)
    values, products = attended(o.model, round(context))
    return {
        "memory": values * batch * o.kv_bits / 8 / d.bandwidth / n,
        "products": products * batch / d.vector / n,
    }


def _collectives(d: Device, s: Shape, n: int, tokens: float) -> Part:
    """Two all-reduces a layer, each sending 2 (n-1)/n of the activations (Thakur et al. 2005)."""
    if n == 1:
        return {}
    sent = 2 * s.layers * 2 * (n - 1) / n * 2 * s.hidden * tokens
    return {"collective": 2 * s.layers * math.log2(n), "link": sent / d.link}


def _prefill(o: Observation, d: Device) -> tuple[Part, Part, Part]:
    s, n = shape(o.model, 1), shared(o)
    piece = _piece(o)
    pieces = -(-o.prompt // piece)
    last = o.prompt - (pieces - 1) * piece
    flops = (pieces - 1) * s.quantized_flops(piece * o.batch, d.multiprocessors)
    flops += s.quantized_flops(last * o.batch, d.multiprocessors) + s.head_flops * o.batch
    pairs = o.prompt * (o.past + (o.prompt + piece) / 2) * o.batch
    products = {
        "compute": flops / d.matrix / n,
        "scores": 2 * pairs * s.heads * s.layers / d.bandwidth / n,
        "layer": float(pieces * s.layers),
        **_collectives(d, s, n, o.prompt * o.batch),
    }
    if not o.quantized:
        return products, {}, {}
    stored = pieces * shape(o.model, o.prompt * o.batch).stored / n
    unpacking = {
        "memory": stored * (o.bits / 8 + 2) / d.bandwidth,
        "unpack": stored / d.vector,
    }
    return products, unpacking, {}


def _request(o: Observation, d: Device) -> tuple[Part, Part, Part]:
    s, n = shape(o.model, o.batch), shared(o)
    room = CACHE_SHARE * d.capacity * n - s.stored * o.bits / 8
    cached = attended(o.model, o.prompt + o.generate)[0] * o.kv_bits / 8
    together = min(o.batch, max(1.0, room / cached)) if cached else float(o.batch)
    turns = o.batch / together
    pieces = o.prompt / _piece(o)
    first = _times(pieces, _step_weights(o, d, s, together * _piece(o)))
    first["compute"] -= s.head_flops * together * (o.prompt - 1) / d.matrix / n
    steps = o.generate - 1
    weights = _step_weights(o, d, s, together)
    cache = _step_cache(o, d, together, o.context)
    cache["sequence"] = together
    return (
        _times(turns, first),
        _times(turns * steps, weights),
        _times(turns * steps, cache),
    )


def _piece(o: Observation) -> int:
    """Prompt tokens that are computed at once."""
    return min(o.chunk or PIECE, o.prompt) if o.software == "llama.cpp" else o.prompt


def _times(count: float, part: Part) -> Part:
    return {name: count * value for name, value in part.items()}
