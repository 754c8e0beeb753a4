"""Yuan et al., MoE-Lens: MoE serving under resource constraints (HPDC 2026, arXiv 2504.09345).

Read: sections 1 to 5.2 as converted text, with tables 1 and 2 and Eq. 1 to 4. Sections 5.3 to 8 are
known through public reading notes (those of uni042/llm-paper-summary, and a digest in Chinese),
which have Eq. 5 and 7 and say in words what the second stage counts. Eq. 6 and Eq. 8 to 14 could
not be read. Numbers of the notes are marked as such.
"""

import io
import json
import sys
from contextlib import redirect_stdout
from functools import cache
from typing import Any
from unittest import mock

from base import Number
from sympy import Add, Expr, Integer, Rational

import lifesym as ls
from lifesym.capacity import in_slots
from lifesym.cli import main
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.serving import Group, backlog, mixed_pass
from lifesym.serving.backlog import Backlog
from lifesym.serving.batching import SteadyState

WORK = "MoE-Lens (2504.09345)"
NOTES = "notes on the paper"
LINK, DRAM = 195 * 10**8, 150 * 10**9
"""Bytes a second, as the paper measured them: PCIe to an A40, and a socket's memory."""
TOKEN = 131_072
"""Bytes of keys and values of a token: 32 layers x 2 x 8 heads x 128 x 2 bytes."""
SATURATING = 18_500
"""Tokens of a pass that saturate their A40 in practice, by the notes: fewer than Eq. 2 says."""
LENGTHS = ((98, 32), (98, 64), (98, 128), (98, 256), (926, 128), (128, 512))
"""Prompt and generated tokens: MTBench at four limits, RAG, AIME 2024."""
CASES = tuple((p, g, gb) for p, g in LENGTHS for gb in (70, 210))
GPUS = {"A40": (150, 19_200, 614), "L40": (181, 23_200, 741), "A100": (312, 40_000, 1277)}
"""Table 2: TFLOP/s, tokens that saturate, GB of cache at 256 tokens a sequence; at 512 twice."""
MODELS = {"mixtral-8x7b": 94, "mixtral-8x22b": 282, "dbrx": 264}
"""GB of weights."""
HELD = 2 * 46_702_792_704
"""Bytes of Mixtral-8x7B's weights."""
ATTENTION = 2 * 4096 * 4096 + 2 * 4096 * 1024
EXPERT = 3 * 4096 * 14336
ACTIVE = 32 * (ATTENTION + 2 * EXPERT)
"""Weights that a token is multiplied with, embedding and head left out."""


def command(*words: object) -> dict[str, Any]:
    """What a command answers, as JSON."""
    out = io.StringIO()
    asked = ["lifesym", *map(str, words), "--json"]
    with mock.patch.object(sys, "argv", asked), redirect_stdout(out):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
    return dict(json.loads(out.getvalue()))


def asked(prompt: int, generate: int, gb: int) -> tuple[object, ...]:
    """The words of a case: weights behind PCIe, the cache where a CPU computes attention."""
    return (
        *("forecast", "mixtral-8x7b", "--on", "a40", "--prompt", prompt, "--generate", generate),
        *("--slots", "fit", "--overlap", "pass", "--fusion", "full"),
        *("--memory", "name=pcie,bandwidth=19.5e9,weights=1,experts=1"),
        *("--memory", f"name=ddr,bandwidth=150e9,kv=1,capacity={gb}e9"),
    )


@cache
def throughput(prompt: int, generate: int, gb: int) -> float:
    """Generated tokens a second, from the command line."""
    return float(command(*asked(prompt, generate, gb))["continuous"]["tps"])


def bound(prompt: int, generate: int, gb: int) -> float:
    """Eq. 3 and 4: min(PME M/delta, T_GPU), of generated tokens."""
    p, g = prompt, generate
    efficiency = Rational(2 * (p + g), (2 * p + g) * g)
    tokens = Integer(gb) * 10**9 / TOKEN
    fastest = Integer(150) * 10**12 / (2 * ACTIVE)
    return float(min(efficiency * tokens / (Rational(HELD, LINK)), fastest) * g / (p + g))


def saturating(flops: int) -> Expr:
    """Eq. 2 with all products: tokens at which computing takes as long as 32 GB/s of weights."""
    layer = 2 * (ATTENTION + 8 * EXPERT)
    return Integer(flops) * 10**12 / (2 * (ATTENTION + 2 * EXPERT)) * layer / (32 * 10**9)


def levels(gb: int) -> list[Level]:
    """The memories of a case."""
    cache = Level(name="ddr", bandwidth=DRAM, kv=1, capacity=gb * 10**9)
    return [Level(name="pcie", bandwidth=LINK, weights=1, experts=1), cache]


@cache
def attained() -> Expr:
    """The compute efficiency with which 18,500 tokens take as long as the weights need."""
    (term,) = mixed_pass(served(98, 32, 70, Integer(1)), [Group(batch=SATURATING)]).tpot.terms
    return Rational(round(10**4 * float(term.compute / term.memory)), 10**4)


def served(prompt: int, generate: int, gb: int, efficiency: Expr) -> Forecast:
    """Mixtral-8x7B on an A40 that computes at an efficiency."""
    device = ls.load_hardware("a40").with_(compute_efficiency=efficiency)
    given = {"levels": levels(gb), "overlap": "pass", "fusion": "full"}
    return ls.forecast("mixtral-8x7b", device, prompt, generate, **given)


@cache
def state(prompt: int, generate: int, gb: int) -> SteadyState:
    """The steady state in as many slots as fit, at the efficiency that was attained."""
    return in_slots(served(prompt, generate, gb, attained()), "fit")


@cache
def batch(generate: int, requests: int, gb: int = 70) -> Backlog:
    """A batch of requests of MTBench, from the first to the last."""
    return backlog(state(98, generate, gb), requests)


def utilization(made: Backlog) -> float:
    """The share of the time of all passes in which the GPU computes."""
    computing = Add(*(term.compute for term in made.beginning.terms))
    return float(computing) / float(made.latency)


@cache
def host() -> tuple[Expr, Expr]:
    """Seconds of a pass over the link, and in a memory that 210 GB of cache are read from, too."""
    return Rational(HELD, LINK), (HELD + Integer(210) * 10**9) / DRAM


def sent() -> Expr:
    """MB that a layer sends to the CPU for 18,500 tokens: queries, and new keys and values."""
    level = Level(
        name="host",
        bandwidth=DRAM,
        link=LINK,
        kv=1,
        computes=("attn",),
        peaks=10**13,
    )
    given = {"levels": [level], "overlap": "pass", "fusion": "full"}
    f = ls.forecast("mixtral-8x7b", "a40", 98, 2, SATURATING, **given)
    (term,) = f.tpot.first.terms
    queries = term.work[1].sent_bytes / 2  # as many bytes of outputs come back
    return (queries + SATURATING * TOKEN) / 32 / 10**6


def _of_gpus() -> list[Number]:
    rows = []
    for name, (flops, tokens, cache_gb) in GPUS.items():
        rows += [
            Number(
                work=WORK,
                where="Eq. 2, table 2",
                what=f"tokens that saturate an {name}",
                published=tokens,
                mine=lambda flops=flops: saturating(flops),
                within=0.105,
                reason="print takes 1 T as 1024 G (2.4 %) and leaves attention out (8.7 %)",
            ),
            Number(
                work=WORK,
                where="Eq. 2, table 2",
                what=f"tokens that saturate an {name}, experts alone and 1 T = 1024 G",
                published=tokens,
                mine=lambda flops=flops: Rational(flops * 1024, 32) * Rational(8, 2),
                within=0.002,
            ),
        ]
        for length in (256, 512):
            rows.append(
                Number(
                    work=WORK,
                    where="table 2, cache",
                    what=f"GB of cache of the printed tokens, {name}, {length} a sequence",
                    published=cache_gb * length // 256,
                    mine=lambda n=tokens, length=length: Integer(n) * length * TOKEN / 10**9,
                    within=0.055,
                    reason="print divides bytes by 1000 MiB: mixed units, 4.9 %",
                )
            )
    return rows


NUMBERS: tuple[Number, ...] = (
    *(
        Number(
            work=WORK,
            where="section 7",
            what=f"weights of {name}, GB",
            published=published,
            mine=lambda name=name: ls.load_model(name).weight_bytes("bf16") / Integer(10) ** 9,
            within=0.01,
        )
        for name, published in MODELS.items()
    ),
    *_of_gpus(),
    *(
        Number(
            work=WORK,
            where="Eq. 3 and 4, evaluated",
            what=f"generated token/s, {p} + {g} tokens, {gb} GB of cache",
            published=bound(p, g, gb),
            mine=lambda case=(p, g, gb): throughput(*case),
            within=0.007,
        )
        for p, g, gb in CASES
    ),
    Number(
        work=WORK,
        where="Eq. 7",
        what="cache gained by prefill and decode in one pass, 98 + 256 tokens",
        published=1.57,
        mine=lambda: Rational(98 + 256) / (98 + Rational(255, 2)),
        within=0.01,
    ),
    Number(
        work=WORK,
        where=NOTES,
        what="seconds in which the weights cross PCIe (about)",
        published=5,
        mine=lambda: host()[0],
        within=0.05,
        reason="about 5 s were measured; 93.4 GB at 19.5 GB/s",
    ),
    Number(
        work=WORK,
        where=NOTES,
        what="the same beside 210 GB of cache that the CPU reads (about)",
        published=6,
        mine=lambda: max(host()),
        within=0.21,
        reason="by Eq. 5 the memory is busy for 2.0 of 4.8 s: the contention that was measured is "
        "not one of bandwidths that add up",
        refuted=True,
    ),
    Number(
        work=WORK,
        where=NOTES,
        what="MB that a layer's 18,500 tokens send to the CPU (about)",
        published=200,
        mine=sent,
        within=0.15,
        reason="2 n (d + 2 d/s), which the notes give for it, is 227 MB, as lifesym has",
    ),
    Number(
        work=WORK,
        where=NOTES,
        what="PME of 98 + 32 tokens",
        published=0.056,
        mine=lambda: Rational(2 * (98 + 32), (2 * 98 + 32) * 32),
        within=0.37,
        reason="a digest's own evaluation of Eq. 3, which gives 0.0356",
        refuted=True,
    ),
    Number(
        work=WORK,
        where=NOTES,
        what="GPU utilization of 25,000 requests of 98 + 32 tokens with 70 GB (about)",
        published=0.9,
        mine=lambda: utilization(batch(32, 25_000)),
        within=0.06,
        reason="K/q + G - 1 passes, of which 18,500 tokens are the full one; pages, lengths that "
        "vary and preemptions are left out",
    ),
)
