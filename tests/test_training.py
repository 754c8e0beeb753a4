"""Steps of training, against published formulas, simulated schedules and sums by hand."""

from fractions import Fraction
from functools import cache

import pytest
from sympy import Integer, Rational, simplify

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Precision, load_format
from lifesym.operators import (
    Backward,
    Collective,
    CrossEntropy,
    Dropout,
    Experts,
    Linear,
    Norm,
    OptimizerStep,
    Residual,
)
from lifesym.training import TrainingStep, training_step

GPT = ls.Model.symbolic("gpt2")
DEVICE = ls.Hardware.symbolic()
s, b, h, a = sym.sequence, sym.batch, sym.hidden, sym.heads
L, V, t, p, v = sym.layers, sym.vocab, sym.devices, sym.stages, sym.model_chunks
PAPERS_OWN = {sym.head_dim: h / a, sym.intermediate: 4 * h}
"""What GPT's formulas take for granted."""


def gpt(**options: object) -> TrainingStep:
    """A step of GPT with kernels for every operator, and scores of all pairs."""
    return training_step(GPT, DEVICE, s, b, engine="eager", causal="full", **options)


def kept_of_a_layer(**options: object) -> object:
    """Bytes that a layer keeps, over s b h."""
    step = gpt(dropout=True, **options)
    sizes = {s: 64, b: 3, h: 48, a: 12, t: 4, sym.devices: 4}
    layers = step.held_by_place["layers"] / L
    return simplify(layers.xreplace(PAPERS_OWN).subs(sizes).doit() / (64 * 3 * 48))


ATTENTION = Rational(5 * 12 * 64, 48)
"""5 a s / h at these sizes."""


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ({}, 34 + ATTENTION),
        ({"tensor_parallel": t}, 10 + Rational(24, 4) + ATTENTION / 4),
        ({"tensor_parallel": t, "sequence_parallel": True}, Rational(34, 4) + ATTENTION / 4),
        (
            {"tensor_parallel": t, "sequence_parallel": True, "recompute": "selective"},
            Rational(34, 4),
        ),
        ({"recompute": "full"}, 2),
        ({"tensor_parallel": t, "sequence_parallel": True, "recompute": "full"}, Rational(2, 4)),
    ],
)
def test_activations_of_a_layer_are_the_published_ones(options: dict, published: object) -> None:
    """Korthikanti et al., arXiv 2205.05198, Eq. 1 to 4 and table 2."""
    assert kept_of_a_layer(**options) == published


def test_activations_of_the_head_are_the_published_ones() -> None:
    """Korthikanti et al., section 4.3: 4 s b h (1 + v / h) of norm, head and logits."""
    head = gpt().held_by_place["head"]
    assert (head - 4 * s * b * h * (1 + V / h)).expand() == 0


def test_a_fused_attention_kernel_keeps_a_sum_a_row() -> None:
    """Without masks and probabilities 34 - 2 of s b h are left, and 4 bytes a row and head."""
    step = training_step(GPT, DEVICE, s, b)
    layer = (step.held_by_place["layers"] / L).xreplace(PAPERS_OWN)
    assert (layer - 32 * s * b * h - 4 * s * b * a).expand() == 0


def test_operations_are_the_published_ones() -> None:
    """Narayanan et al., arXiv 2104.04473, Eq. 3, with all layers computed again."""
    m = sym.microbatches
    step = gpt(recompute="full", microbatches=m)
    published = 96 * m * b * s * L * h**2 * (1 + s / (6 * h) + V / (16 * L * h))
    assert (step.flops.expr.xreplace(PAPERS_OWN) - published).expand() == 0
    published = 72 * m * b * s * L * h**2 * (1 + s / (6 * h) + V / (12 * L * h))
    assert (step.model_flops.expr.xreplace(PAPERS_OWN) - published).expand() == 0
    assert (gpt(microbatches=m).flops.expr.xreplace(PAPERS_OWN) - published).expand() == 0


def test_selective_recomputation_adds_the_core_of_attention() -> None:
    """Korthikanti et al., appendix A: 72 B s L h^2 (1 + s/(3h) ...) less what is not repeated."""
    more = (gpt(recompute="selective").flops.expr - gpt().flops.expr).xreplace(PAPERS_OWN)
    assert (more - 4 * b * s**2 * L * h).expand() == 0


@pytest.mark.parametrize(
    ("sharded", "published"),
    [
        ("nothing", lambda n: 16),
        ("optimizer", lambda n: 4 + Fraction(12, n)),
        ("gradients", lambda n: 2 + Fraction(14, n)),
        ("weights", lambda n: Fraction(16, n)),
    ],
)
def test_states_are_those_of_zero(sharded: str, published) -> None:
    """Rajbhandari et al., arXiv 1910.02054, section 5: bytes a parameter on each of N devices."""
    model, n = ls.load_model("gpt2"), 64
    step = training_step(
        model, DEVICE, 128, data_parallel=n, sharded=sharded, gradients="fp16", weights="fp16",
        activations="fp16",
    )  # fmt: skip
    parts = {part.name: part.value for part in step.stages_held[0].parts}
    states = sum(parts[name] for name in ("weights", "gradients", "optimizer"))
    assert states == int(model.parameters) * Rational(published(n))


@cache
def simulated(
    stages: int, microbatches: int, forward: int, backward: int, pieces: int, one_by_one: bool
) -> tuple[Fraction, list[int]]:
    """The end of a schedule, and the most pieces of microbatches that each stage keeps.

    Every stage does its passes in the order that the papers give; a pass begins when the stage is
    free and what it needs is there. Times of a piece are those of a stage over the pieces.
    """
    total = microbatches * pieces

    def piece(step: int, back: bool) -> tuple[int, int]:
        group, inside = divmod(step, stages * pieces)
        which, offset = divmod(inside, stages)
        number = group * stages + offset
        return number, pieces - 1 - which if back else which

    def order(stage: int) -> list[tuple[str, int]]:
        if pieces > 1:
            warm = min(total, 2 * (stages - stage - 1) + (pieces - 1) * stages)
        else:
            warm = min(total, stages - stage - 1) if one_by_one else total
        steps = [("f", i) for i in range(warm)]
        for i in range(total - warm):
            steps += [("f", warm + i), ("b", i)]
        return steps + [("b", i) for i in range(total - warm, total)]

    done: dict[tuple, Fraction] = {}
    queues = [order(stage) for stage in range(stages)]
    clocks, kept, most = [Fraction(0)] * stages, [0] * stages, [0] * stages
    cost = {"f": Fraction(forward, pieces), "b": Fraction(backward, pieces)}
    while any(queues):
        for stage, queue in enumerate(queues):
            if not queue:
                continue
            way, step = queue[0]
            number, part = piece(step, way == "b") if pieces > 1 else (step, 0)
            before = None
            if way == "f" and (stage, part) != (0, 0):
                before = ("f", number, *((stage - 1, part) if stage else (stages - 1, part - 1)))
            if way == "b":
                last = (stage, part) == (stages - 1, pieces - 1)
                after = (stage + 1, part) if stage < stages - 1 else (0, part + 1)
                before = ("f", number, stage, part) if last else ("b", number, *after)
            if before is not None and before not in done:
                continue
            queue.pop(0)
            clocks[stage] = max(clocks[stage], done.get(before, Fraction(0))) + cost[way]
            done[way, number, stage, part] = clocks[stage]
            kept[stage] += 1 if way == "f" else -1
            most[stage] = max(most[stage], kept[stage])
    return max(clocks), most


@pytest.mark.parametrize("microbatches", [4, 8, 12])
@pytest.mark.parametrize(
    ("schedule", "pieces"), [("1f1b", 1), ("gpipe", 1), ("interleaved", 2), ("interleaved", 3)]
)
def test_schedules_are_those_of_a_simulation(schedule: str, pieces: int, microbatches: int) -> None:
    """Makespan and activations in flight of equal stages: a model without ends would have them."""
    stages, forward, backward = 4, 6, 12
    end, most = simulated(stages, microbatches, forward, backward, pieces, schedule != "gpipe")
    bubble = Fraction((stages - 1) * (forward + backward), pieces)
    assert end == microbatches * (forward + backward) + bubble
    step = gpt(schedule=schedule, model_chunks=pieces, pipeline=stages, microbatches=microbatches)
    first, last = (each.doit() for each in step.in_flight)
    assert [first, last] == [Rational(most[0], pieces), Rational(most[-1], pieces)]


def test_the_bubble_of_equal_stages() -> None:
    """(p - 1) / v of a microbatch's time on a stage, where the ends are nothing."""
    for pieces, schedule in ((1, "1f1b"), (4, "interleaved")):
        step = gpt(pipeline=8, microbatches=16, schedule=schedule, model_chunks=pieces)
        parts = {part.name: part.value for part in step.time.parts}
        no_ends = {V: 0, sym.positions: 0, sym.link_latency: 0, sym.link_bandwidth: 10**30}
        values = {h: 64, a: 4, sym.head_dim: 16, sym.intermediate: 256, L: 8, s: 32, b: 1}
        bound = {name: value.subs({**values, **no_ends}) for name, value in parts.items()}
        fraction = bound["bubble"] / bound["microbatches"]
        rates = dict.fromkeys(fraction.free_symbols, 1)
        found = float(fraction.subs(rates).doit())
        assert found == pytest.approx(7 / (16 * pieces), rel=0.02)


def test_gradients_are_exchanged_in_a_ring() -> None:
    model = ls.load_model("gpt2")
    step = training_step(model, "h100-sxm-80gb", 128, data_parallel=4)
    values = int(model.parameters)
    device = ls.load_hardware("h100-sxm-80gb")
    latency = device.link_latency or 0
    exchange = {part.name: part.value for part in step.time.parts}["exchange of gradients"]
    assert exchange == 6 * latency + Rational(3, 2) * 4 * values / device.link_bandwidth
    hidden = training_step(
        model, "h100-sxm-80gb", 1024, 64, data_parallel=4, overlap_gradients=True
    )
    assert {part.name: part.value for part in hidden.time.parts}["exchange of gradients"] == 0


def test_split_weights_exchange_half_as_much_again() -> None:
    """Rajbhandari et al., section 7: 3 of the weights' size for 2, in one format."""
    asked = {"data_parallel": 8, "gradients": "bf16", "between": (10**9, 0)}
    times = [
        {p.name: p.value for p in training_step("gpt2", DEVICE, 64, sharded=x, **asked).time.parts}
        for x in ("optimizer", "weights")
    ]
    two, three = (each["exchange of gradients"] for each in times)
    assert three / two == Rational(3, 2)


def test_gradients_of_operators_by_hand() -> None:
    """Counted from the two products, and from what each kernel reads and writes."""
    plain = Precision.of()
    rows, n, m = 5, 7, 3
    product = Backward(of=Linear(tokens=rows, in_features=n, out_features=m)).cost(plain)
    upward = sum(2 for _ in range(rows) for _ in range(n) for _ in range(m))
    assert product.matmul_flops == 2 * upward
    # the gradient of the output twice, the input once; weights, and fp32 gradients added to
    assert product.activation_read_bytes == 2 * (2 * rows * m + rows * n)
    assert product.activation_write_bytes == 2 * rows * n
    assert product.weight_bytes == 2 * n * m + 2 * 4 * n * m
    assert product.dispatches == 2
    norm = Backward(of=Norm(rows=rows, features=n)).cost(plain)
    assert norm.vector_flops == 2 * 4 * rows * n
    assert norm.activation_read_bytes == 2 * 2 * rows * n
    total = Backward(of=Residual(elements=n)).cost(plain)
    assert total.vector_flops == n
    loss = CrossEntropy(tokens=rows, vocab=n)
    assert loss.cost(plain).vector_flops == sum(5 for _ in range(rows * n))
    assert loss.saved(plain) == sum(4 for _ in range(rows * n))
    masked = Dropout(elements=n, for_product=True)
    assert (masked.cost(plain).vector_flops, masked.saved(plain)) == (2 * n, 3 * n)
    update = OptimizerStep(values=n).cost(plain)
    # read: gradient, weight, two means; written: weight, two means, and the weight in bf16
    assert update.weight_bytes == n * (4 * 4 + 3 * 4 + 2)
    assert update.vector_flops == sum(15 for _ in range(n))


def test_gradients_of_experts_are_those_of_the_ones_that_were_read() -> None:
    few = Experts(tokens=1, experts=8, active=2, hidden=4, intermediate=3, activation="silu")
    made = Backward(of=few, gradient=load_format("bf16"))
    assert made.gradient_bytes() == 2 * 2 * 3 * 4 * 3


def test_collectives_come_back() -> None:
    step = training_step("gpt2", DEVICE, 64, tensor_parallel=4)
    count = {
        way: sum(term.cost.network_bytes for term in terms if term.family == Collective.family)
        for way, terms in {"there": step.forward_terms, "back": step.backward_terms}.items()
    }
    assert count["there"] == count["back"] != 0
    # two a layer and one of the embedding: 2 (n - 1) / n of the stream, each way
    assert count["there"] == (2 * 12 + 1) * Rational(3, 2) * 64 * 768 * 2


def test_utilization_is_of_all_devices() -> None:
    step = training_step("gpt2", "a100-80gb", 1024, 4, data_parallel=2, tensor_parallel=2)
    assert step.devices == 4
    peak = ls.load_hardware("a100-80gb").matrix_peak(load_format("bf16"))
    assert step.mfu.expr == step.model_flops.expr / (step.time.expr * 4 * peak)
    assert float(step.hfu) > float(step.mfu) > 0  # fused attention computes scores again
    assert float(step.tokens_per_second) == float(2 * 4 * 1024 / step.time.expr)


def test_an_encoder_and_latent_attention_train() -> None:
    for name in ("bert-base", "deepseek-v2-lite", "mamba-2.8b"):
        step = training_step(name, "h100-sxm-80gb", 256, 2)
        once = sum(term.cost.matmul_flops for term in step.forward_terms)
        assert step.model_flops.expr == 3 * once
        assert not any(term.cost.kv_write_bytes for term in step.forward_terms if "kv" in term.name)
        assert float(step.memory) > 16 * int(ls.load_model(name).parameters)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"schedule": "interleaved"}, "two or more"),
        ({"model_chunks": 2}, "two or more"),
        (
            {"schedule": "interleaved", "model_chunks": 2, "pipeline": 4, "microbatches": 6},
            "a multiple of 4 microbatches, not 6",
        ),
        ({"schedule": "zigzag"}, "schedule"),
        ({"sharded": "everything"}, "sharded"),
        ({"recompute": "some"}, "recompute"),
        ({"fusion": "layer"}, "whole layers"),
        ({"cache": 1}, "unknown option 'cache'"),
        ({"pipeline": 0}, "stages"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, said: str) -> None:
    with pytest.raises(SymbolError, match=said):
        training_step("gpt2", DEVICE, 64, **options)


def test_encoder_decoders_are_refused() -> None:
    with pytest.raises(SpecError, match="encoder and a decoder"):
        training_step("t5-base", DEVICE, 64)


def test_a_formula_is_that_of_its_numbers() -> None:
    """Sizes bound afterwards give what they give from the start."""
    made = training_step("gpt2", "a100-80gb", s, b, microbatches=sym.microbatches, pipeline=4)
    values = {"sequence": 512, "batch": 2, "microbatches": 8}
    plain = training_step("gpt2", "a100-80gb", 512, 2, microbatches=8, pipeline=4)
    for metric in ("time", "memory", "flops", "mfu"):
        whole = getattr(plain, metric).expr
        assert simplify(getattr(made, metric).bind(values) - whole) == Integer(0), metric
