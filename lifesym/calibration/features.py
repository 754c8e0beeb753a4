r"""The closed form that is fitted: a forecast in a few physical parameters.

A decode step of L layers takes

$$L\,t_L + \sum_{\text{weights, attention}} \max\left(\frac{Q}{e_m \mathit{BW}},\;
\frac{\sum_f c_f n_f}{P_v} + \frac{F}{e_c P}\right)$$

once for the weights and once for the cache: Q bytes at the memory efficiency $e_m$; beside them, on
the vector units, $c_f$ operations for each of the $n_f$ multiply-adds with values stored in format
f (unpacking, converting, multiplying: a matrix-vector product has no matrix engine), and, for a
batch, F FLOPs on the matrix engine at the efficiency $e_c$. $t_L$ is the time of a layer's
launches. A prefill takes

$$k L\,t_L + \frac{F}{e_c P} + c_s \frac{Q_s}{\mathit{BW}} + \frac{k\,c_d\,n_d}{P_v}$$

F FLOPs of the projections, $Q_s$ bytes of scores as attention derives them (two bytes each), $c_s$
passes over them, k pieces of the prompt, and $c_d$ operations to unpack each of $n_d$ stored
values, once a piece. Efficiencies are between 0 and 1, times and counts are not negative.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lifesym import symbols as sym
from lifesym.calibration.measurements import Observation
from lifesym.devices import load_hardware
from lifesym.errors import SpecError
from lifesym.huggingface import load_model

PIECE = 512
"""Prompt tokens computed at once, llama.cpp's default."""
SPLIT_LAYERS = "llama.cpp"
"""Software that gives each of several devices some layers, one after another."""
DECODE = ("memory", "layer", "stored_quantized", "stored_16", "compute", "collective")
PREFILL = ("compute", "scores", "unpack", "layer", "collective")
Columns = tuple[dict[str, float], ...]
LOWER = {"memory": 1.0, "compute": 1.0}
"""Inverse efficiencies are at least 1; everything else at least 0."""


@dataclass(frozen=True)
class Device:
    """The three rates of a device."""

    bandwidth: float
    matrix: float
    vector: float


@cache
def device(name: str, peak: float, bandwidth: float) -> Device:
    """A device's rates: the table's own where given, the database's otherwise.

    Raises:
        SpecError: neither knows the bandwidth.
    """
    spec: Any = None
    for candidate in (name, name.lower().replace(" ", "-"), _slug(name)):
        try:
            spec = load_hardware(candidate)
            break
        except SpecError:
            continue
    rate = bandwidth or (float(spec.bandwidth) if spec else 0.0)
    if not rate:
        raise SpecError(f"{name}: its bandwidth is not known")
    matrix = peak or (float(max({**spec.vector, **spec.matrix}.values())) if spec else 0.0)
    vector = 0.0
    if spec is not None:
        fp32 = spec.vector.get("fp32")
        vector = float(fp32 if fp32 is not None else min(spec.matrix.values()))
    vector = vector or matrix / 4  # what GPUs of the last years have, where nothing is known
    return Device(rate, matrix or vector, vector or math.inf)


def _slug(name: str) -> str:
    text = name.lower().replace("(", "").replace(")", "").replace(" cpu", "")
    return text.replace(" gpu", "-gpu").replace(" ", "-")


@dataclass(frozen=True)
class Shape:
    """What a model does for one token: from its symbolic forward pass."""

    layers: int
    values: float
    kv_values: float
    attention: float
    heads: float
    matrix_flops: float


@cache
def shape(model: str, batch: int) -> Shape:
    """The numbers of one decode step; weights are those read for the batch."""
    loaded = load_model(model)
    layers = int(loaded.values.get(sym.layers, 0)) or _depth(loaded)
    step = loaded.forward(batch, 1, 0)
    values = float(step.cost(weights="int8").weight_bytes)
    kv = float(loaded.kv_bytes_per_token("int8"))
    short, long = (float(loaded.forward(1, 1, n).cost().matmul_flops) for n in (128, 129))
    heads = float(loaded.values.get(sym.heads, 1))
    flops = float(loaded.forward(1, 1, 0).cost().matmul_flops)
    return Shape(layers, values, kv, (long - short) / 2, heads, flops)


def _depth(model: Any) -> int:
    return sum(int(part.count) for part in model.bound if part.label not in ("embed", "head"))


def decode_columns(o: Observation) -> Columns:
    """The factors of each parameter of a decode step: of the weights, of the cache."""
    d, s = device(o.device, o.peak, o.bandwidth), shape(o.model, o.batch)
    n = 1 if o.family == SPLIT_LAYERS else o.devices
    vector, matrix, bandwidth = d.vector * n, d.matrix * n, d.bandwidth * n
    alone = o.batch == 1
    products = s.attention * o.context * o.batch
    weights = {
        "memory": s.values * o.bits / 8 / bandwidth,
        "layer": float(s.layers),
        "stored_quantized": s.values / vector if alone and o.quantized else 0.0,
        "stored_16": s.values / vector if alone and not o.quantized else 0.0,
        "compute": 0.0 if alone else s.matrix_flops * o.batch / matrix,
        "collective": float(s.layers) if n > 1 else 0.0,
    }
    attention = {
        "memory": s.kv_values * o.context * o.batch * o.kv_bits / 8 / bandwidth,
        "stored_16": products / vector if alone else 0.0,
        "compute": 0.0 if alone else 2 * products / matrix,
    }
    return weights, attention


def prefill_columns(o: Observation) -> Columns:
    """The factors of each parameter of a prefill, all of which add up."""
    d, s = device(o.device, o.peak, o.bandwidth), shape(o.model, o.batch)
    if not d.matrix:
        raise SpecError(f"{o.device}: no peak is known")
    n = 1 if o.family == SPLIT_LAYERS else o.devices
    pieces = -(-o.prompt // PIECE)
    tokens = o.prompt * o.batch
    pairs = o.prompt * (o.past + (o.prompt + min(PIECE, o.prompt)) / 2) * o.batch
    scores = 2 * pairs * s.heads * s.layers
    return (
        {
            "compute": s.matrix_flops * tokens / (d.matrix * n),
            "scores": scores / (d.bandwidth * n),
            "unpack": pieces * s.values / (d.vector * n) if o.quantized else 0.0,
            "layer": float(pieces * s.layers),
            "collective": float(pieces * s.layers) if n > 1 else 0.0,
        },
    )


def predict(phase: str, columns: Any, theta: Any) -> Any:
    """Seconds, for columns of shape (rows, parts, parameters) and a parameter vector."""
    terms = columns * theta
    if phase == "prefill":
        return terms.sum(axis=(1, 2))
    at = {name: i for i, name in enumerate(DECODE)}
    work = terms[..., [at["stored_quantized"], at["stored_16"], at["compute"]]].sum(axis=2)
    launches = terms[..., at["layer"]] + terms[..., at["collective"]]
    return (launches + np.maximum(terms[..., at["memory"]], work)).sum(axis=1)
