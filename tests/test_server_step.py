"""A server's pass in four numbers, against passes of given groups and against recorded sums."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import SpecError, SymbolError
from lifesym.metrics import measure
from lifesym.serving import Group, mixed_pass, server_step

MODELS = ("llama-3.1-8b", "qwen3-30b-a3b", "gpt2", "falcon-7b", "deepseek-v3")
MORE = ("llama-4-scout", "gpt-oss-20b", "mamba-130m", "gemma-3-1b")
ENGINES = ("ideal", "vllm", "eager")


def _form(model: str, engine: str = "vllm", **more: object) -> ls.Forecast:
    return ls.forecast(model, "h100-sxm-80gb", 100, 8, 1, engine=engine, **more)


def _at(form: ls.Forecast, prefilled: int, past: int, decodes: int, contexts: int) -> float:
    point = {"prefilled": prefilled, "prefilled_past": past}
    return float(measure(form, "step").bind(point | {"decodes": decodes, "contexts": contexts}))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", MODELS)
def test_contexts_count_by_their_sum(model, engine):
    form = _form(model, engine)
    for prefilled, past, contexts in ((300, 128, (5, 700, 90)), (1, 0, (1, 1)), (64, 900, (33,))):
        groups = [Group(batch=1, new=prefilled, past=past)]
        groups += [Group(batch=1, new=1, past=each) for each in contexts]
        alone = float(mixed_pass(form, groups).beginning)
        found = _at(form, prefilled, past, len(contexts), sum(contexts))
        assert found == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b"])
def test_either_part_may_be_nothing(model):
    form = _form(model)
    decode = float(mixed_pass(form, [Group(batch=3, new=1, past=50)]).beginning)
    assert _at(form, 0, 0, 3, 150) == pytest.approx(decode, rel=1e-12)
    assert _at(form, 0, 77, 3, 150) == pytest.approx(decode, rel=1e-12)  # no prompt, no past
    chunk = float(mixed_pass(form, [Group(batch=1, new=256, past=512)]).beginning)
    assert _at(form, 256, 512, 0, 0) == pytest.approx(chunk, rel=1e-12)
    assert float(form.tpot.bind({"past": 90})) == pytest.approx(_at(form, 0, 0, 1, 90), rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=6), st.integers(0, 500))
def test_windows_are_bounded_from_above(contexts, prefilled):
    form = _form("gpt-oss-20b")
    groups = [Group(batch=1, new=1, past=each) for each in contexts]
    groups += [Group(batch=1, new=prefilled, past=100)] if prefilled else []
    alone = float(mixed_pass(form, groups).beginning)
    found = _at(form, prefilled, 100, len(contexts), sum(contexts))
    assert found >= alone * (1 - 1e-12)
    if len(set(contexts)) == 1:
        assert found == pytest.approx(alone, rel=1e-12)


def test_several_devices_and_options():
    form = _form("llama-3.1-8b", tensor_parallel=2, weights="int4-g128", kv="int8")
    groups = [Group(batch=1, new=200, past=10), Group(batch=4, new=1, past=25)]
    alone = float(mixed_pass(form, groups).beginning)
    assert _at(form, 200, 10, 4, 100) == pytest.approx(alone, rel=1e-12)


def test_memory_is_that_of_all_caches():
    step = server_step(_form("llama-3.1-8b"))
    values = {"prefilled": 200, "prefilled_past": 10, "decodes": 4, "contexts": 100}
    groups = [Group(batch=1, new=200, past=10), Group(batch=4, new=1, past=25)]
    assert step.memory.bind(values) == mixed_pass(step.forecast, groups).memory.expr


def test_what_has_no_step_says_so():
    with pytest.raises(SpecError, match="generate"):
        measure(ls.forecast("bert-base", "v100", 100, 0), "step")
    with pytest.raises(SymbolError, match="plain forecast"):
        measure(mixed_pass(_form("gpt2"), [Group()]), "step")
    free = measure(_form("llama-3.1-8b"), "step").expr.free_symbols
    assert free == {sym.prefilled, sym.prefilled_past, sym.decodes, sym.contexts}


@pytest.mark.parametrize(
    "model", [*MODELS, "llama-4-scout", "gpt-oss-20b", "mamba-130m", "gemma-3-1b"]
)
def test_a_pass_without_decodes_or_without_all_has_a_time(model):
    form = _form(model)
    chunk = float(mixed_pass(form, [Group(batch=1, new=300, past=0)]).beginning)
    assert _at(form, 300, 0, 0, 0) == pytest.approx(chunk, rel=0.02)
    step = measure(form, "step")
    names = sorted(symbol.name for symbol in step.expr.free_symbols)
    made = ls.compile(step, names)
    for empty in ({"decodes": 0.0, "contexts": 0.0}, {"prefilled": 0.0}):
        values = dict.fromkeys(names, 64.0) | {n: v for n, v in empty.items() if n in names}
        assert 0 < made(**values) < 1


@pytest.mark.parametrize("model", ["whisper-large-v3", "t5-base"])
def test_encoders_are_refused(model):
    with pytest.raises(SpecError, match="has an encoder"):
        measure(ls.forecast(model, "h100-sxm-80gb", 100, 8, 1), "step")
