"""Chen et al., Pangu Embedded: a dual-system reasoner (arXiv 2505.22375), and its open model.

Read: the abstract; the model card, config, code and checkpoint index of openPangu-Embedded-7B-V1.1,
copied in GitHub wujing215/OpenPangu7B-on-NVIDIA (README_EN.md and config.json at b63fa03,
modular_openpangu_dense.py and model.safetensors.index.json at 1d101f9). No time of any request
could be read. The card gives lengths without a unit; they are taken for tokens. The device is the
Ascend 910B of the database, whose bandwidth is that of Huawei's paper 2506.12708.
"""

from functools import cache

from base import Number
from sympy import Expr, Integer

import lifesym as ls
from lifesym import symbols as sym
from lifesym.results import Result

WORK = "Pangu Embedded (2505.22375)"
CARD = "card of openPangu-Embedded-7B-V1.1"
MODEL, DEVICE, PROMPT = "openpangu-embedded-7b", "ascend-910b", 512
LENGTHS = {
    "CMMLU": (2574, 1338),
    "C-Eval": (2484, 1723),
    "AIME24": (48229, 49656),
    "LiveCodeBench": (58140, 59307),
}
"""Mean length of slow thinking and of adaptive switching (the card's second table)."""


@cache
def latency() -> Result:
    """Of one request, in its generated tokens."""
    return ls.forecast(MODEL, DEVICE, PROMPT, sym.generated).latency


def seconds(tokens: int) -> Expr:
    """Of a request of so many tokens."""
    return latency().bind({"generated": tokens})


def embeddings() -> Expr:
    """Parameters of both tables, of 153,376 words and 4,096 values."""
    return Integer(2 * 153_376 * 4096)


def stored() -> Expr:
    """Bytes of the checkpoint: two a parameter, and 64 single-precision frequencies a layer."""
    return 2 * ls.load_model(MODEL).parameters + 34 * 64 * 4


def saved(benchmark: str) -> Expr:
    """Time of adaptive switching over that of slow thinking, at their mean lengths."""
    slow, adaptive = LENGTHS[benchmark]
    return seconds(adaptive) / seconds(slow)


NUMBERS = (
    Number(
        work=WORK,
        where=CARD,
        what="parameters without embeddings, 10⁹",
        published=7,
        mine=lambda: (ls.load_model(MODEL).parameters - embeddings()) / 10**9,
        within=0.033,
        reason="a rounded name",
    ),
    Number(
        work=WORK,
        where="checkpoint index",
        what="bytes of the checkpoint",
        published=16_061_784_576,
        mine=stored,
        within=0,
    ),
    *(
        Number(
            work=WORK,
            where=CARD,
            what=f"adaptive over slow, {name} (published: of lengths; lifesym: of times)",
            published=adaptive / slow,
            mine=lambda name=name: saved(name),
            within=0.006,
        )
        for name, (slow, adaptive) in LENGTHS.items()
    ),
)
