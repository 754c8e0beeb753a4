"""Murthy et al., MobileAIBench (arXiv 2406.10290): small models on an iPhone 14.

Read: the abstract, and four reviews of its submission to ICLR (a copy in a public repository),
which restate three of its claims. Its tables of times, memory and battery could not be read. Beside
it stands the output of llama.cpp's own phone app on an Apple M5 (ggml-org/llama.cpp, pull request
16634, comment of 2025-10-25). Both are of llama.cpp; ratios of times that memory bounds need no
figure of any device. No maker's figure of the iPhone 14's bandwidth was found, so it is no device
of the database.
"""

from functools import cache

from base import Number
from sympy import Expr, Integer, Rational, solve

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import branch_at
from lifesym.hardware import Hardware

WORK = "MobileAIBench (2406.10290)"
APP = "llama.cpp, pull request 16634"
REVIEWS = "reviews of the submission"
ROWS = {
    "mistral-7b-v0.1": (3.83, 7.24, 26.59),
    "phi-2": (1.49, 2.78, 64.11),
    "tinyllama-1.1b": (0.59, 1.10, 149.69),
}
"""Of each Q4_0 file: GiB, parameters (10⁹) and tokens a second of 128 after an empty prompt."""
MEMORY = 6 * 10**9
"""Bytes of an iPhone 14 (MacRumors, 2022-09-08, as Apple Wiki's page of the A16 quotes it)."""


@cache
def device() -> Hardware:
    """One that memory bounds; its bandwidth and the time a layer are symbols."""
    fast = Integer(10) ** 18
    return Hardware(
        name="memory-bound",
        kind="soc",
        matrix={},
        vector={"fp16": fast, "fp32": fast},
        bandwidth=sym.bandwidth,
        layer_time=sym.layer_time,
        engine="ideal",
    )


@cache
def step(model: str, weights: str) -> Expr:
    """Seconds of a decode step on average over 128 tokens: where memory bounds every operator."""
    formats = {"weights": weights, "activations": "fp16", "kv": "fp16"}
    mean = ls.forecast(model, device(), 1, 128, **formats).tpot.mean.expr
    there = {sym.bandwidth: Integer(10) ** 11, sym.layer_time: Rational(1, 20_000)}
    return branch_at(mean, there).expr


def bound(model: str, weights: str) -> Expr:
    """The same without a time a layer, over the bandwidth: bytes a token."""
    return (step(model, weights) * sym.bandwidth).subs(sym.layer_time, 0).expand()


@cache
def fitted() -> dict[Expr, Expr]:
    """Bandwidth and time a layer with which the two larger models take what they were measured."""
    times = [
        step(name, "gguf-q4_0") - 1 / Rational(str(ROWS[name][2]))
        for name in ("mistral-7b-v0.1", "phi-2")
    ]
    (found,) = solve(times, [sym.bandwidth, sym.layer_time], dict=True)
    return dict(found)


def predicted(model: str) -> Expr:
    """Tokens a second with them."""
    return 1 / step(model, "gguf-q4_0").subs(fitted())


def size(model: str, weights: str) -> Expr:
    """Bytes of a file's weights."""
    f = ls.forecast(model, device(), 1, 128, weights=weights, activations="fp16", kv="fp16")
    return f.model.weight_bytes(f.precision.weights)


def largest(weights: str) -> Expr:
    """Parameters (10⁹) of the largest model like Llama-2-7B whose weights fill all the memory."""
    parameters = ls.load_model("llama-2-7b").parameters
    return parameters * MEMORY / size("llama-2-7b", weights) / 10**9


def faster(model: str, than: str, weights: str, against: str) -> Expr:
    """How many times as fast one is as the other, by bytes."""
    return bound(than, against) / bound(model, weights)


_BITS = "a CPU's kernels of 3 bits are not bound by memory: bytes alone say that they are faster"
_BYTES = "bytes alone say the contrary: 2.78 against 2.51 · 10⁹ weights are read for a token"

NUMBERS = (
    *(
        Number(
            work=APP,
            where="comment of 2025-10-25",
            what=f"{name} in Q4_0, GiB",
            published=gib,
            mine=lambda name=name: size(name, "gguf-q4_0") / 2**30,
            within=0.004,
        )
        for name, (gib, _, _) in ROWS.items()
    ),
    *(
        Number(
            work=APP,
            where="comment of 2025-10-25",
            what=f"{name}, parameters, 10⁹",
            published=billions,
            mine=lambda name=name: ls.load_model(name).parameters / 10**9,
            within=0.001,
        )
        for name, (_, billions, _) in ROWS.items()
    ),
    *(
        Number(
            work=APP,
            where="comment of 2025-10-25",
            what=f"speed of {name} over TinyLlama's, by bytes",
            published=ROWS[name][2] / ROWS["tinyllama-1.1b"][2],
            mine=lambda name=name: faster(name, "tinyllama-1.1b", "gguf-q4_0", "gguf-q4_0"),
            within=0.17,
            reason="a time a layer, which bytes do not have: TinyLlama's 22 layers are small",
        )
        for name in ("mistral-7b-v0.1", "phi-2")
    ),
    Number(
        work=APP,
        where="comment of 2025-10-25",
        what="TinyLlama, tokens a second, from the two larger models",
        published=ROWS["tinyllama-1.1b"][2],
        mine=lambda: predicted("tinyllama-1.1b"),
        within=0.01,
    ),
    Number(
        work=WORK,
        where=REVIEWS,
        what="the largest model of an iPhone 14, 10⁹ parameters",
        published=7,
        mine=lambda: largest("gguf-q4_k_m"),
        within=0.45,
        reason="all 6 GB at 4 bits; what the system leaves to an app is not known",
    ),
    *(
        Number(
            work=WORK,
            where=REVIEWS,
            what=f"{name}: speed at 3 bits over 4 (claim: no gain)",
            published=1,
            mine=lambda name=name: faster(name, name, "gguf-q3_k_m", "gguf-q4_k_m"),
            within=0.24,
            reason=_BITS,
            refuted=True,
        )
        for name in ("llama-2-7b", "phi-2")
    ),
    *(
        Number(
            work=WORK,
            where=REVIEWS,
            what=f"Phi-2's speed over Gemma-2B's in {weights} (claim: above 1)",
            published=1,
            mine=lambda weights=weights: faster("phi-2", "gemma-2b", weights, weights),
            within=0.07,
            reason=_BYTES,
            refuted=True,
        )
        for weights in ("gguf-q8_0", "gguf-q4_k_m", "gguf-q3_k_m")
    ),
)
