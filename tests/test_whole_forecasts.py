"""Chunked prompts and mean steps of whole forecasts against loops, exactly, under every rule.

A loop adds up single passes, each with all its operators; the last one of a prompt has the logits.
"""

from fractions import Fraction
from functools import cache
from random import Random
from typing import get_args

import pytest
from exact_values import Exact, Number
from sympy import Expr, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.huggingface import example
from lifesym.roofline import Overlap
from lifesym.transforms import CachePolicy

SHAPE = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
MODELS = {
    "full": {"model_type": "llama"},
    "window": {"model_type": "mistral", "sliding_window": 13},
    "experts": {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
}
OPTIONS: dict[str, dict[str, object]] = {
    "full": {"weights": "int4-g128", "lora": 2, "fusion": "full"},
    "window": {"kv": "int8"},
    "experts": {"cache": CachePolicy(budget=9)},
}
KINDS = [(kind, overlap) for overlap in get_args(Overlap) for kind in MODELS]
CASES = 700
"""For each kind of model, and so more than 2,000 for each overlap rule."""


def forecast(kind: str, overlap: Overlap, chunk: Expr | None = None) -> ls.Forecast:
    model = ls.Model.from_hf(SHAPE | MODELS[kind])
    return ls.forecast(
        model,
        ls.Hardware.symbolic(),
        batch=sym.batch,
        past=sym.past,
        chunk=chunk,
        overlap=overlap,
        engine="eager",
        **OPTIONS[kind],
    )


@cache
def one_pass(kind: str, overlap: Overlap, logits: str) -> Exact:
    """The time of `symbols.new` tokens after `symbols.past`."""
    f = forecast(kind, overlap)
    return Exact(sum(term.time for term in f.timed(f.trace(sym.new, sym.past, logits))))


def device(random: Random, case: int) -> dict[Symbol, Number]:
    """Rates at which operators, and whole passes, cross from one bound to the other.

    Most are one over a whole number, so that times are whole and a loop of them is quick.
    """
    over = 1 if case % 10 else Fraction(random.randint(1, 9), 7)
    return {
        sym.peak: over * Fraction(1, random.randint(1, 800)),
        sym.vector_peak: over * Fraction(1, random.randint(1, 2000)),
        sym.bandwidth: over * Fraction(1, random.randint(1, 2000)),
        sym.compute_efficiency: Fraction(1, random.randint(1, 3)),
        sym.memory_efficiency: Fraction(1, 2),
        sym.dispatch_time: random.randint(0, 20_000),
        sym.batch: random.randint(1, 3),
    }


@pytest.mark.parametrize(("kind", "overlap"), KINDS)
def test_chunked_prompts_equal_the_loop(kind: str, overlap: Overlap) -> None:
    random = Random(kind + overlap)
    closed = Exact(forecast(kind, overlap, sym.chunk).ttft.expr)
    whole, head = (one_pass(kind, overlap, logits) for logits in ("none", "last"))
    for case in range(CASES):
        chunk, cached = random.randint(1, 9), random.choice([0, 0, 5, 14])
        prompt = random.randint(1, 30) if case % 3 else chunk * random.randint(1, 5)
        numbers = device(random, case)
        expected: Number = 0
        for at in range(0, prompt, chunk):
            new = min(chunk, prompt - at)
            step = head if at + new == prompt else whole
            expected += step({**numbers, sym.new: new, sym.past: cached + at})
        workload = {sym.prompt: prompt, sym.chunk: chunk, sym.past: cached}
        assert closed({**numbers, **workload}) == expected, (numbers, workload)


@pytest.mark.parametrize(("kind", "overlap"), KINDS)
def test_mean_steps_equal_the_loop(kind: str, overlap: Overlap) -> None:
    random = Random(overlap + kind)
    closed = Exact(forecast(kind, overlap).tpot.mean.expr)
    step = one_pass(kind, overlap, "last")
    for case in range(CASES):
        prompt, generate = random.randint(1, 20), random.randint(2, 14)
        cached, numbers = random.choice([0, 3]), device(random, case)
        steps = [
            step({**numbers, sym.new: 1, sym.past: cached + prompt + i})
            for i in range(generate - 1)
        ]
        workload = {sym.prompt: prompt, sym.generated: generate, sym.past: cached}
        assert closed({**numbers, **workload}) == Fraction(sum(steps)) / len(steps), (
            numbers,
            workload,
        )


@pytest.mark.parametrize("overlap", get_args(Overlap))
def test_a_chunk_of_the_whole_prompt_is_no_chunk(overlap: Overlap) -> None:
    """The formulas are the same, not only their values."""
    model, hardware = example("llama"), ls.Hardware.symbolic()
    plain = ls.forecast(model, hardware, overlap=overlap)
    chunked = ls.forecast(model, hardware, overlap=overlap, chunk=sym.prompt)
    assert chunked.ttft.expr == plain.ttft.expr
