"""Chunked prefill and mean steps against loops over every chunk and every step, exactly."""

from fractions import Fraction
from functools import cache
from random import Random

import pytest
from exact_values import Exact
from sympy import Expr, Integer, Rational, S, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.nodes import Maximum
from lifesym.roofline import Term
from lifesym.sums import SumMax

CONFIGS = {
    "full": {"model_type": "llama"},
    "window": {"model_type": "mistral", "sliding_window": 13},
}
SHAPE = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CASES = 2000
SUBSTITUTED = 100
"""Cases that SymPy evaluates as well, as a user would."""


def device() -> ls.Hardware:
    return ls.Hardware.symbolic().with_(compute_efficiency=1, memory_efficiency=1, dispatch_time=0)


@cache
def forecast(kind: str, chunk: bool) -> ls.Forecast:
    model = ls.Model.from_hf(SHAPE | CONFIGS[kind])
    return ls.forecast(model, device(), batch=1, chunk=sym.chunk if chunk else None, engine="eager")


def rates(random: Random) -> dict[Symbol, Expr]:
    """Peaks around the bandwidth: attention crosses from one bound to the other on the way."""
    return {
        sym.peak: Integer(random.randint(1, 400)),
        sym.vector_peak: Integer(random.randint(1, 400)),
        sym.bandwidth: Rational(random.randint(1, 400), random.choice([1, 3])),
    }


def core(terms: tuple[Term, ...]) -> Expr:
    """The time of the terms that grow with the context."""
    return sum((t.time for t in terms if t.name in ("attn_qk", "attn_av")), S.Zero)


@cache
def chunk_time(kind: str) -> Expr:
    """One pass over a chunk of `symbols.new` tokens after `symbols.past`."""
    f = forecast(kind, False)
    return core(f.timed(f.trace(sym.new, sym.past, logits="none")))


def chunks(prompt: int, chunk: int) -> list[tuple[int, int]]:
    """New and past tokens of every chunk."""
    return [(min(chunk, prompt - at), at) for at in range(0, prompt, chunk)]


@pytest.mark.parametrize("kind", CONFIGS)
def test_chunks_equal_the_loop(kind: str) -> None:
    random = Random(kind)
    closed, one = core(forecast(kind, True).ttft.terms), Exact(chunk_time(kind))
    values, crossings = Exact(closed), 0
    for case in range(CASES):
        chunk = random.randint(1, 9)
        prompt = random.randint(1, 30) if case % 3 else chunk * random.randint(1, 5)
        numbers = rates(random)
        exact = {rate: Fraction(str(number)) for rate, number in numbers.items()}
        workload = {sym.prompt: Integer(prompt), sym.chunk: Integer(chunk)}
        expected = sum(
            one({**exact, sym.new: new, sym.past: past}) for new, past in chunks(prompt, chunk)
        )
        assert values({**exact, sym.prompt: prompt, sym.chunk: chunk}) == expected, workload
        if case < SUBSTITUTED:
            assert closed.xreplace(numbers | workload).doit() == expected, (numbers, workload)
        crossings += prompt > 3 * chunk
    assert crossings > CASES // 5


@pytest.mark.parametrize("kind", CONFIGS)
def test_mean_steps_equal_the_loop(kind: str) -> None:
    random = Random(kind)
    f = forecast(kind, False)
    closed, step = core(f.tpot.mean.terms), Exact(core(f.tpot.terms))
    values = Exact(closed)
    for case in range(CASES):
        prompt, generate = random.randint(1, 20), random.randint(2, 14)
        numbers = rates(random)
        exact = {rate: Fraction(str(number)) for rate, number in numbers.items()}
        workload = {sym.prompt: Integer(prompt), sym.generated: Integer(generate)}
        steps = [step({**exact, sym.past: prompt + i}) for i in range(generate - 1)]
        expected = Fraction(sum(steps)) / len(steps)
        assert values({**exact, sym.prompt: prompt, sym.generated: generate}) == expected, workload
        if case < SUBSTITUTED:
            assert closed.xreplace(numbers | workload).doit() == expected, (numbers, workload)


@pytest.mark.parametrize("kind", CONFIGS)
def test_ties_of_a_chunked_prompt(kind: str) -> None:
    """Rates at which some chunk's compute and memory times are equal; remainders included."""
    random = Random(3)
    closed, one = Exact(core(forecast(kind, True).ttft.terms)), Exact(chunk_time(kind))
    f = forecast(kind, False)
    terms = f.timed(f.trace(sym.new, sym.past, logits="none"))
    term = next(term for term in terms if term.name == "attn_qk")
    compute, memory = Exact(term.compute), Exact(term.memory)
    ones = {sym.peak: 1, sym.vector_peak: 1, sym.bandwidth: 1}
    for _ in range(CASES):
        chunk = random.randint(1, 6)
        passes = chunks(random.randint(chunk + 1, 6 * chunk), chunk)
        new, past = random.choice(passes)
        at = {sym.new: new, sym.past: past}
        busy = compute(ones | at)
        tie = {sym.peak: busy, sym.vector_peak: busy, sym.bandwidth: memory(ones | at)}
        assert compute(tie | at) == memory(tie | at)
        expected = sum(one({**tie, sym.new: n, sym.past: p}) for n, p in passes)
        prompt = sum(n for n, _ in passes)
        assert closed({**tie, sym.prompt: prompt, sym.chunk: chunk}) == expected


@pytest.mark.parametrize("kind", CONFIGS)
def test_whole_forecasts_equal_the_loop(kind: str) -> None:
    """All operators, the logits of the last chunk included."""
    random = Random(kind)
    model = ls.Model.from_hf(SHAPE | CONFIGS[kind])
    for prompt, chunk in ((20, 5), (23, 5), (4, 9), (30, 30), (31, 1)):
        f = ls.forecast(model, device(), prompt=prompt, chunk=chunk, generate=2)
        numbers = rates(random)
        expected = S.Zero
        for new, past in chunks(prompt, chunk):
            last = past + new == prompt
            trace = f.trace(new, past, logits="last" if last else "none")
            expected += sum(term.time for term in f.timed(trace))
        got = f.ttft.expr.xreplace(numbers).doit()
        assert got == expected.xreplace(numbers)


def nodes(expr: Expr) -> int:
    return sum(1 for _ in expr.atoms(Maximum, SumMax)) + expr.count_ops()


def test_size_does_not_depend_on_the_number_of_chunks_or_steps() -> None:
    model = ls.load_model("llama-2-7b")
    hardware = ls.Hardware.symbolic()
    sizes = set()
    for prompt in (1024, 65536, 2**22):
        f = ls.forecast(model, hardware, prompt=prompt, generate=prompt, chunk=256)
        sizes.add((nodes(f.ttft.expr), nodes(f.tpot.mean.expr)))
    assert len(sizes) == 1


WHOLE = {
    "dense": ("tinyllama-1.1b", {}),
    "windows": ("gemma-3-1b", {"batch": 3}),
    "experts": ("qwen3-30b-a3b", {"batch": 2, "fusion": "full"}),
    "latents": ("deepseek-v2-lite", {"overlap": "pass"}),
    "recurrent": ("mamba-130m", {}),
    "devices": ("tinyllama-1.1b", {"tensor_parallel": 2, "weights": "int8"}),
    "prefix": ("tinyllama-1.1b", {"prefix": 128}),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_chunks_are_the_same_where_the_chunk_divides(kind: str) -> None:
    """Every result, exactly, for numbers and for symbols that are bound to them."""
    name, options = WHOLE[kind]
    numbers = {"prompt": 512, "generate": 3}
    plain, whole = (
        ls.forecast(name, "a100-sxm-80gb", chunk=128, whole_chunks=assumed, **numbers, **options)
        for assumed in (False, True)
    )
    for metric in ("ttft", "latency", "traffic", "flops", "energy", "memory"):
        one, other = (getattr(each, metric).expr.doit() for each in (plain, whole))
        assert one == other, metric
    opened = ls.forecast(name, "a100-sxm-80gb", chunk=128, whole_chunks=True, generate=3, **options)
    assert opened.ttft.bind({"prompt": 512}) == plain.ttft.expr.doit()


def test_whole_chunks_halve_the_formula() -> None:
    plain, whole = (
        ls.forecast("llama-2-7b", "v100", chunk=512, whole_chunks=assumed)
        for assumed in (False, True)
    )
    assert len(whole.ttft.terms) <= len(plain.ttft.terms) / 2 + 2
    assert whole.ttft.expr.count_ops() <= plain.ttft.expr.count_ops() / 2


def test_what_is_not_in_whole_chunks_is_refused() -> None:
    whole = ls.forecast("llama-2-7b", "v100", chunk=512, whole_chunks=True)
    with pytest.raises(ls.SymbolError, match="prompt/512 must be a whole number, not 125/64"):
        whole.ttft.bind({"prompt": 1000})
    with pytest.raises(ls.SpecError, match="a chunk of 512 tokens does not divide 1000"):
        ls.forecast("llama-2-7b", "v100", prompt=1000, chunk=512, whole_chunks=True)
    with pytest.raises(ls.SpecError, match="does not divide 924"):
        ls.forecast("llama-2-7b", "v100", prompt=1024, chunk=512, prefix=100, whole_chunks=True)
    with pytest.raises(ls.SpecError, match="needs a chunk"):
        ls.forecast("llama-2-7b", "v100", prompt=1000, whole_chunks=True)
