"""Tang et al., FusionAI: Decentralized Training and Deploying LLMs (arXiv 2309.01172).

Read: the abstract, in six copies. Its one number that could be read is that 50 RTX 3080 have
throughputs comparable to those of 4 H100. Everything else here is lifesym's.
"""

from functools import cache

from base import Number
from sympy import Expr

import lifesym as ls
from lifesym import symbols as sym
from lifesym.hardware import Hardware
from lifesym.serving import pipeline
from lifesym.serving.pipeline import Pipeline

WORK = "FusionAI (2309.01172)"
CARDS, CARD, ACCELERATORS = 50, "rtx-3080", 4
TOKENS = 1000
HALF = {"weights": "fp16", "activations": "fp16"}


def peak(device: str) -> Expr:
    """FLOP/s in 16 bits with sums in 32, dense."""
    return ls.load_hardware(device).matrix["fp16"]


def ratio(accelerator: str) -> Expr:
    """Peaks of the cards over those of the accelerators."""
    return CARDS * peak(CARD) / (ACCELERATORS * peak(accelerator))


def gpt3() -> ls.Model:
    """GPT-3's sizes; the file in the database ends at 1,024 positions."""
    return ls.load_model("gpt-175b").limited(2048)


@cache
def cards() -> Pipeline:
    """Prompts of 1,000 tokens through 50 cards, a prompt a microbatch, over any link."""
    card: Hardware = ls.load_hardware(CARD).with_links((sym.link_bandwidth, 0))
    f = ls.forecast(gpt3(), card, TOKENS, 1, 64, **HALF)
    return pipeline(f, CARDS, microbatches=64)


def per_second(made: Pipeline, bandwidth: float) -> float:
    """Prompts a second in the steady state, at a bandwidth in byte/s."""
    stage = max(made.prefill, key=lambda time: float(time.subs(sym.link_bandwidth, bandwidth)))
    return float(1 / stage.subs(sym.link_bandwidth, bandwidth))


NUMBERS = (
    Number(
        work=WORK,
        where="abstract",
        what="throughput of 50 RTX 3080 over 4 H100 PCIe, by peaks (comparable: 1)",
        published=1,
        mine=lambda: ratio("h100-pcie-80gb"),
        within=0.02,
        reason="the abstract says comparable; dense peaks in 16 bits of the PCIe card",
    ),
    Number(
        work=WORK,
        where="abstract",
        what="the same over 4 H100 SXM",
        published=1,
        mine=lambda: ratio("h100-sxm-80gb"),
        within=0.25,
        reason="the SXM card's peak is 1.31 times the PCIe card's: the claim fits the latter",
    ),
)
