"""Kundu et al., Performance Modeling and Workload Analysis of Distributed Large Language Models.

arXiv 2407.14645. Read: the abstract, and the tables' data as a simulator of the same group keeps
them (gkarfakis19/Rapid-LLM, ``imec_data``, commit 317a2cb). The paper's own predictions and
equations could not be read; whether ``data/training_steps.csv`` holds what was measured or what the
paper predicts is not said there.
"""

import csv
from dataclasses import dataclass
from functools import cache

from base import GALLERY, Number
from measured import Compared, compared, number
from sympy import Expr

import lifesym as ls
from lifesym.training import TrainingStep

WORK = "Kundu et al. (2407.14645)"
KUNDU = "2407.14645"
SIZES = {
    "GPT 22B": (48, 6144, 64),
    "GPT 175B": (96, 12288, 96),
    "GPT 310B": (96, 16384, 128),
    "GPT 530B": (105, 20480, 128),
    "GPT 1T": (128, 25600, 160),
}
"""Layers, hidden size and heads: 12 L h^2 parameters are those of the name."""
EFFICIENCY = 0.79
"""Of the peak: the median of what the eleven steps imply."""
NODE_LINK = 25 * 10**9
"""Bytes a second between nodes: one 200 Gbit/s port a GPU, as DGX A100 has."""


@dataclass(frozen=True)
class Step:
    """A row of the training steps."""

    case: str
    model: str
    batch: int
    microbatches: int
    data_parallel: int
    tensor_parallel: int
    pipeline: int
    sequence_parallel: bool
    recompute: str
    seconds: float

    @property
    def name(self) -> str:
        """What tells it from the others."""
        devices = self.data_parallel * self.tensor_parallel * self.pipeline
        return f"{self.model} on {devices} A100, {self.recompute} recomputation"

    @cache  # noqa: B019 (there are eleven)
    def forecast(self, efficiency: float = 1) -> TrainingStep:
        """The step at a share of the peak, with 1F1B: the schedule is not in the file."""
        device = ls.load_hardware("a100-80gb").with_(compute_efficiency=efficiency)
        return ls.training_step(
            gpt(self.model),
            device,
            2048,
            self.batch // self.data_parallel // self.microbatches,
            microbatches=self.microbatches,
            pipeline=self.pipeline,
            tensor_parallel=self.tensor_parallel,
            data_parallel=self.data_parallel,
            sequence_parallel=self.sequence_parallel,
            recompute=self.recompute,
            dropout=True,
            causal="full",
            engine="eager",
            between=(NODE_LINK, 0),
        )


def gpt(name: str) -> ls.Model:
    """A GPT of the table, with Megatron's padded vocabulary."""
    layers, hidden, heads = SIZES[name]
    config = {"model_type": "gpt2", "n_embd": hidden, "n_head": heads, "n_layer": layers}
    return ls.Model.from_hf(config | {"vocab_size": 51200, "n_positions": 2048})


def steps() -> list[Step]:
    """The rows of ``data/training_steps.csv``."""
    whole = ("batch", "microbatches", "data_parallel", "tensor_parallel", "pipeline")
    with (GALLERY / "data" / "training_steps.csv").open(encoding="utf-8") as file:
        return [
            Step(
                **{
                    **row,
                    **{name: int(row[name]) for name in whole},
                    "sequence_parallel": row["sequence_parallel"] == "true",
                    "seconds": float(row["seconds"]),
                }
            )
            for row in csv.DictReader(file)
        ]


def forward(name: str) -> Expr:
    """Operations of the forward pass of 2048 tokens, with the logits of all."""
    return gpt(name).forward(1, 2048, 0, logits="all").cost().matmul_flops


def by_formula(name: str) -> int:
    """24 s L h^2 (1 + s/(6 h)) + 2 s h V of Narayanan et al. (2104.04473)."""
    layers, h, _ = SIZES[name]
    s, vocab = 2048, 51200
    return 24 * s * layers * h**2 + 4 * s**2 * layers * h + 2 * s * h * vocab


def inference() -> tuple[Compared, ...]:
    """The 22 requests of Llama 2 on A100 and H100, one sequence of 200 tokens in and 200 out."""
    return compared(KUNDU)


def _request(row: object) -> str:
    return f"{row.model} on {row.devices} {row.device}"  # type: ignore[attr-defined]


NUMBERS = (
    *(number(each, WORK, "NeMo latencies", _request, 0.165) for each in inference()),
    *(
        Number(
            work=WORK,
            where="training steps",
            what=f"{step.name} (s)",
            published=step.seconds,
            mine=lambda step=step: step.forecast(EFFICIENCY).time,
            within=0.22,
            reason=f"one compute efficiency of {EFFICIENCY} for all: small models attain less",
        )
        for step in steps()
    ),
    *(
        Number(
            work="Narayanan et al. (2104.04473)",
            where="appendix",
            what=f"{name}, operations of a forward pass of 2,048 tokens",
            published=by_formula(name),
            mine=lambda name=name: forward(name),
            within=0.0,
        )
        for name in SIZES
    ),
)
