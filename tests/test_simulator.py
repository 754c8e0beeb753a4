"""Random models, machines and options: lifesym against a simulator, exactly (`simulator`)."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import asked
from simulator.clock import Machine
from simulator.configs import READERS, shape_of
from simulator.draws import Case, cases
from simulator.families import MAKERS, configs
from simulator.formats import Precision
from simulator.kernels import FIELDS
from simulator.options import Group, Lora, Options, Policy, RefusedError
from simulator.symbols import Symbols, all_symbols_of, symbols_of
from simulator.workload import Load, Simulation
from strategies import DENSE

import lifesym as ls
from lifesym.errors import LifesymError

PASSES = [(2, 5, "all"), (3, 9, "none")]
"""Passes that no forecast has, beside the prompt's and the first step's."""
MACHINE = Machine(
    matrix={"bf16": Fraction(1000)},
    vector={"fp32": Fraction(90)},
    bandwidth=Fraction(300),
    compute_efficiency=Fraction(1, 2),
    memory_efficiency=Fraction(3, 4),
    dispatch_time=Fraction(1, 3),
    links=((Fraction(70), Fraction(1, 7)),),
    flop_energy=Fraction(2),
    byte_energy=Fraction(3),
    static_power=Fraction(5),
    own={"weights.memory": Fraction(4, 5), "cache.memory": Fraction(2, 3)},
    layer_time=Fraction(2, 7),
    collective_latency=Fraction(3, 11),
    sampling_time=Fraction(5, 19),
    dequantization_rate=Fraction(40),
)
"""A device on which small models' operators are bound by either side."""


def said(o: Options) -> str:
    """The options that are not as usual."""
    usual = Options()
    changed = (n for n in vars(o) if getattr(o, n) != getattr(usual, n))
    return ", ".join(f"{n}={getattr(o, n)}" for n in changed) or "none"


def answer(case: Case) -> ls.Forecast | None:
    """The library's forecast; None if both refuse the case. Neither may refuse it alone."""
    try:
        case.simulation.step(case.simulation.start)
    except RefusedError:
        with pytest.raises(LifesymError):
            _ = asked.forecast(case).tpot.first.expr
        return None
    return asked.forecast(case)


def same(found: Mapping[str, Fraction], expected: Mapping[str, Fraction], what: str) -> None:
    """Equal, or say in what the library and the simulator differ."""
    wrong = {n: (found[n], expected[n]) for n in expected if found[n] != expected[n]}
    assert not wrong, f"{what}: (lifesym, simulator) {wrong}"


def compare_costs(case: Case, f: ls.Forecast) -> None:
    s = case.simulation
    shapes = [(s.load.prompt, s.load.past, "last"), (1, s.start, "last"), *PASSES]
    for new, past, logits in shapes:
        expected = s.cost(Group(s.batch, new, past, logits))
        cost = f.trace(new, past, logits).cost_at(f.precision)
        found = {name: asked.fraction(getattr(cost, name)) for name in FIELDS}
        same(found, expected, f"a pass of {new} tokens after {past}, logits {logits}")


def check(case: Case) -> None:
    """Every cost field of passes, then every quantity of the forecast."""
    f = answer(case)
    if f is None:
        return
    compare_costs(case, f)
    expected = case.simulation.results()
    found = {
        name: asked.fraction(expr)
        for name, expr in asked.results(f, case.simulation.load.generate > 1).items()
    }
    same(found, expected, "the forecast")


def compare_symbols(case: Case, left: Symbols) -> None:
    """The same forecast with some numbers left as symbols, bound afterwards."""
    if answer(case) is None:
        return
    changes, values = left
    f = asked.forecast(case, **changes)
    generates = case.simulation.load.generate > 1
    exprs = asked.results(f, generates)
    found = {name: asked.bound(expr, values) for name, expr in exprs.items()}
    same(found, case.simulation.results(), f"with symbols {sorted(map(str, values))}")


@given(case=cases(parts=True))
@settings(max_examples=60)
def test_forecasts_equal_the_simulator(case: Case) -> None:
    check(case)


SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
}
LATENTS = {
    "q_lora_rank": None,
    "kv_lora_rank": 6,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 2,
    "v_head_dim": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "num_key_value_heads": 4,
}
MODELS: dict[str, dict[str, object]] = {
    "llama": {"model_type": "llama"},
    "narrow": {"model_type": "llama", "intermediate_size": 4},
    "windows": {"model_type": "mistral", "sliding_window": 5},
    "some windows": {"model_type": "gemma3_text", "sliding_window": 5, "sliding_window_pattern": 3},
    "joint": {"model_type": "phi3", "sliding_window": None},
    "chunks": {
        **{"model_type": "llama4_text", "attention_chunk_size": 5, "intermediate_size_mlp": 8},
        **{"num_local_experts": 2, "no_rope_layer_interval": 3},
    },
    "latents": {"model_type": "deepseek_v2", **LATENTS},
    "no experts": {"model_type": "deepseek_v2", **LATENTS, "first_k_dense_replace": 3},
    "norm of all heads": {
        **{"model_type": "olmoe", "num_experts": 4, "num_experts_per_tok": 2},
        "num_hidden_layers": 1,
    },
    "chosen": {
        **{"model_type": "glm_moe_dsa", **LATENTS, "q_lora_rank": 6, "index_topk_freq": 2},
        **{"index_n_heads": 2, "index_head_dim": 4, "index_topk": 5},
    },
    "chosen blocks": {
        **{"model_type": "minimax_m3", "num_local_experts": 4, "num_experts_per_tok": 2},
        **{"dense_intermediate_size": 24, "shared_intermediate_size": 8, "rotary_dim": 2},
        "sparse_attention_config": {
            **{"sparse_attention_freq": [0, 1, 1], "sparse_num_index_heads": 2},
            **{"sparse_index_dim": 4, "sparse_block_size": 3, "sparse_topk_blocks": 2},
        },
    },
    "sinks": {
        **{"model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2},
        "sliding_window": 5,
    },
}
SMALL = {name: {**SIZES, **keys} for name, keys in MODELS.items()}
BUDGET, HALF = Policy(budget=2), Policy(keep=Fraction(1, 2))
MEETINGS: list[tuple[str, Options]] = [
    ("windows", Options(policy=HALF)),
    ("windows", Options(policy=Policy(keep=Fraction(2, 5), budget=3, page=2))),
    ("some windows", Options(policy=HALF, chunk=3)),
    ("latents", Options(mla="expand", policy=BUDGET)),
    ("latents", Options(mla="expand", policy=Policy(keep=Fraction(1, 3), page=4))),
    ("latents", Options(mla="expand", rules=("layer",), policy=BUDGET)),
    ("latents", Options(mla="expand", rules=("flash",), tile=2)),
    ("latents", Options(precision=Precision(weights="int8", unfused_dequant=True))),
    ("llama", Options(rules=("activation",), lora=Lora(rank=2, targets=("mlp_up",)))),
    ("llama", Options(rules=("gate_up", "activation"), lora=Lora(rank=2, targets=("mlp_gate",)))),
    ("narrow", Options(rules=("activation",), lora=Lora(rank=2, targets=("mlp_up",)))),
    ("joint", Options(rules=("activation",), lora=Lora(rank=2, targets=("mlp_gate_up_fused",)))),
    ("joint", Options(lora=Lora(rank=2, targets=("attn_qkv_fused",)), policy=Policy(share=2))),
    ("windows", Options(causal="exact", policy=BUDGET)),
    ("some windows", Options(causal="exact", policy=HALF, chunk=3)),
    ("llama", Options(causal="exact", policy=BUDGET, chunk=4)),
    ("chunks", Options(causal="exact", policy=BUDGET)),
    ("chunks", Options(causal="exact", policy=HALF, chunk=3)),
    ("chunks", Options(tensor=2, sequence=True)),
    ("some windows", Options(tensor=4)),
    ("norm of all heads", Options(tensor=2)),
    ("norm of all heads", Options(tensor=4)),
    ("llama", Options(rules=("qkv",), policy=Policy(share=2))),
    ("no experts", Options()),
    ("sinks", Options(rules=("flash",), tile=2)),
    ("chosen", Options(mla="expand", causal="exact", chunk=3)),
    ("chosen", Options(mla="decompressed", tensor=2)),
    ("chosen", Options(rules=("layer",))),
    ("chosen", Options(rules=("flash",), tile=2)),
    ("chosen", Options(policy=BUDGET)),
    ("chosen blocks", Options(causal="exact", chunk=3)),
    ("chosen blocks", Options(tensor=2, sequence=True)),
    ("chosen blocks", Options(rules=("flash",), lora=Lora(rank=2))),
]
"""Options that meet in what they change, each pair with a model that shows it."""
LOADS = [Load(1, 12, 6, 0), Load(2, 7, 3, 9)]


MET = [f"{model}, {said(options)}" for model, options in MEETINGS]


def met(model: str, options: Options, load: Load = LOADS[0]) -> Case:
    """A case of a small model."""
    return Case(SMALL[model], Simulation(shape_of(SMALL[model]), MACHINE, options, load))


@pytest.mark.parametrize(("model", "options"), MEETINGS, ids=MET)
def test_options_that_meet(model: str, options: Options) -> None:
    check(met(model, options))


@pytest.mark.parametrize(("model", "options"), MEETINGS, ids=MET)
def test_symbols_of_options_that_meet(model: str, options: Options) -> None:
    """The load, devices and what a policy is made of are symbols until the end."""
    case = met(model, options, LOADS[1])
    compare_symbols(case, all_symbols_of(case))


@pytest.mark.fuzz
@given(case=cases(parts=True))
@settings(max_examples=3000, derandomize=False)
def test_many_forecasts_equal_the_simulator(case: Case) -> None:
    check(case)


FAMILIES = sorted(READERS)


def test_every_family_is_drawn_and_walked() -> None:
    """All dense families, and a mixture of experts of every kind."""
    assert set(MAKERS) == set(READERS) > set(DENSE)


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(max_examples=30)
def test_plain_passes_equal_the_walk(family: str, data: st.DataObject) -> None:
    """Without options: every cost field of a pass, parameters and cache of any config."""
    config = data.draw(configs(family))
    batch, new = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 40))
    past = data.draw(st.sampled_from([0, 1, 17, 90]))
    logits = data.draw(st.sampled_from(["all", "last", "none"]))
    options = Options(precision=Precision(kv="fp32"))
    load = Load(batch, new, 1, past)
    s = Simulation(shape_of(config), MACHINE, options, load)
    model = ls.Model.from_hf(config, strict=True)
    assert model.family == family
    cost = model.forward(batch=batch, new=new, past=past, logits=logits).cost(kv="fp32")
    found = {name: asked.fraction(getattr(cost, name)) for name in FIELDS}
    same(found, s.cost(Group(batch, new, past, logits)), "a pass")
    assert model.parameters == sum(n for _, _, n in s.still.held)
    elements = sum(held(past + new) for _, held in s.still.caches)
    assert model.kv_bytes(past + new, batch=batch) == 2 * batch * elements
    first = sum(held(1) for _, held in s.still.caches)
    assert model.kv_bytes_per_token() == 2 * first


@st.composite
def symbolic_cases(draw: st.DrawFn) -> tuple[Case, Symbols]:
    case = draw(cases(parts=True))
    return case, draw(symbols_of(case))


@given(both=symbolic_cases())
@settings(max_examples=30)
def test_symbols_bound_afterwards_equal_the_simulator(both: tuple[Case, Symbols]) -> None:
    compare_symbols(*both)


@pytest.mark.fuzz
@given(both=symbolic_cases())
@settings(max_examples=1500, derandomize=False)
def test_many_symbols_bound_afterwards_equal_the_simulator(both: tuple[Case, Symbols]) -> None:
    compare_symbols(*both)
