"""Anything given where another kind of value belongs is refused in one line, whatever is called."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest
from sympy import Integer, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.analysis import (
    approximate,
    delta_method,
    design,
    local_elasticities,
    regime_map,
    regimes,
    tornado,
)
from lifesym.analysis.uncertainty import GlobalIndices
from lifesym.formats import load_format
from lifesym.plots import Roof
from lifesym.serving import Group, Spoke, pipeline, speculate, steady_state
from lifesym.specs import root
from lifesym.transforms import Fusion

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
EXPERTS = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}
MODULES = ("", ".serving", ".analysis", ".transforms", ".report", ".plots", ".codegen")
NOT_ASKED = {"Verdict", "symbols", "FUSIONS"}
"""Names that are not there to be called."""


def public() -> Iterator[tuple[str, Any]]:
    """Every function of the public modules, and every class whose objects are options."""
    for suffix in MODULES:
        module = import_module(f"lifesym{suffix}")
        for name in module.__all__:
            made = getattr(module, name)
            options = suffix in (".serving", ".transforms") or name in ("Hardware", "Model")
            if inspect.isfunction(made) or (inspect.isclass(made) and options):
                yield f"{module.__name__}.{name}", made


PUBLIC = {name: made for name, made in public() if name.split(".")[-1] not in NOT_ASKED}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A value that every parameter takes, by its name; of a function's own before it."""
    model = ls.Model.from_hf(CONFIG)
    v100 = ls.load_hardware("v100").with_(link_bandwidth=10**10, link_latency=0)
    forecast = ls.forecast(model, v100, 8, 4, batch=4)
    open_batch = ls.forecast(model, v100, 8, 4, batch=sym.batch)
    at = {"batch": 4, "past": 8}
    box = {sym.batch: (Integer(1), Integer(9)), sym.past: (Integer(1), Integer(9))}
    tpot = open_batch.tpot
    latency = ls.forecast(model, v100, 8, sym.generated).latency
    experts = ls.forecast(ls.Model.from_hf(CONFIG | EXPERTS), v100, 8, 4)
    spoke = Spoke(hardware=v100, down=10**9, up=10**9, experts=4)
    measured = SimpleNamespace(seconds=1.0, software="one", context=8, prompt=8)
    return {
        "model": model,
        "hardware": v100,
        "forecast": forecast,
        "forecasts": forecast,
        "form": forecast,
        "target": forecast,
        "speculate.target": forecast,
        "compile.target": "numpy",
        "sweep.target": "numpy",
        "sweep.forecast": open_batch,
        "prefill": forecast,
        "decode": forecast,
        "draft": None,
        "expected_tokens.draft": 2,
        "quantity": tpot,
        "first": tpot.expr,
        "mine": tpot.expr.xreplace({sym.past: Integer(4)}),
        "theirs": tpot.expr,
        "second": tpot.expr + 1,
        "equality.points": 2,
        "expr": tpot.expr,
        "exprs": tpot.expr,
        "result": tpot,
        "part": tpot.terms[0].time,
        "rest": tpot.expr,
        "args": ["batch", "past"],
        "at": at,
        "values": {sym.batch: Integer(4), sym.past: Integer(8)},
        "stacked_time.values": [1, 2, 3],
        "box": box,
        "over": "batch",
        "regime_map.over": ("batch", "past"),
        "certify.over": {"batch": (1, 9), "past": (1, 9)},
        "certify.of": tpot,
        "paper_form.form": tpot.paper(),
        "short": approximate(tpot, box, {}, keep=2),
        "folder": tmp_path_factory.mktemp("article"),
        "x": [1, 2],
        "y": [1, 2],
        "between": (1, 9),
        "of": ["batch"],
        "deviations": {"batch": Fraction(1, 4)},
        "ranges": {"batch": (1, 9), "past": (1, 9)},
        "design.at_most": 1,
        "approximate.share": 0.5,
        "approximate.at": at,
        **{
            f"{name}.at": at
            for name in ("regimes", "stacked_time", "threshold", "crossover", "design")
        },
        "which": "attn",
        "names": {"x": tpot.expr},
        "word": "snr",
        "meaning": "signal-to-noise ratio of a link",
        "options": {"one": (1, 2), "two": (2, 1)},
        "error": 0.1,
        "samples": 16,
        "trace": forecast.trace(Integer(8), Integer(0)),
        "rules": "flash",
        "rewrite": Fusion(rules="flash"),
        "devices": 2,
        "rank": 8,
        "width": 8,
        "height": 32,
        "unet.width": 32,
        "title": "A title",
        "rows": local_elasticities(tpot, at),
        "legend_table.rows": tpot.legend(),
        "source": tpot.terms,
        "name_or_path": "llama-2-7b",
        "load_hardware.name_or_path": "v100",
        "compute": "fp16",
        "prompt": 8,
        "generate": 4,
        "prefix": 2,
        "hit_rate": Fraction(1, 2),
        "slots": 4,
        "contexts": [4, 5],
        "groups": [Group(batch=2, new=1, past=8)],
        "decodes": 2,
        "stages": 2,
        "pipeline.stages": 2,
        "times": [Integer(1), Integer(3)],
        "shares": [Fraction(1, 2), Fraction(1, 2)],
        "axes": {"batch": [1, 2], "past": [1, 2]},
        "metrics": ["tpot"],
        "text": "2x1@9",
        "layer": 17,
        "processors": 84,
        "load_engine.name_or_path": "eager",
        "chart": regime_map(tpot, ("batch", "past"), [1, 2], [1, 2]),
        "answer": design(open_batch.ttft, "batch", at_most=1),
        "against_target.quantity": open_batch.ttft,
        "unit": "s",
        "name": "T",
        "bars": tornado(tpot, at),
        "table": {"one": {sym.batch: Integer(1)}},
        "compile.table": {},
        "regimes": [{"a": "memory"}],
        "found": {"decode": ([measured], [1.0])},
        "figure_caption.of": forecast,
        "memory_by_role.values": [1, 2, 3],
        "forms": {"one": forecast},
        "batches": [1, 2],
        "roofs": {"one": Roof(quantity=tpot, at=at, peak=1e14, bandwidth=1e12)},
        "indices": GlobalIndices(
            first={sym.batch: 0.5},
            total={sym.batch: 0.6},
            first_interval={sym.batch: 0.1},
            total_interval={sym.batch: 0.1},
        ),
        "spread_band.values": [1, 2],
        "answers": [delta_method(tpot, at, {"batch": 1}) for _ in range(2)],
        "dataset": ls.sweep(open_batch, {"batch": [1, 2]}, ["ttft"]),
        "metric": "ttft",
        "sweep_curves.over": "batch",
        "pareto_front.names": ("one", "two"),
        "units": ("s", "s"),
        "peak": 1e14,
        "bandwidth": 9e11,
        "Hardware.bandwidth": Integer(10) ** 12,
        "made": plt.figure(),
        "path": tmp_path_factory.mktemp("plots") / "plot.png",
        "curves": {"a": tpot.expr.xreplace({sym.past: Integer(4)})},
        "symbol": sym.batch,
        "ends": (1, 9),
        "meetings": (),
        "boundaries": regimes(tpot, "batch", (1, 9), {"past": 8}),
        "kind": "gpu",
        "Model.kind": "decoder",
        "conditional.draft": 2,
        "tokens": Fraction(7, 4),
        "rates": [Fraction(3, 4), Fraction(1, 2)],
        "matrix": {"fp16": Integer(10) ** 14},
        "vector": {},
        "family": "llama",
        "expected.quantity": latency,
        "expected.over": {"generated": {4: Fraction(1, 2), 8: Fraction(1, 2)}},
        "kinds": [(Fraction(1, 2), tpot.expr), (Fraction(1, 2), tpot.expr)],
        "fast": Integer(1),
        "slow": Integer(5),
        "goal": Integer(4),
        "by": 3,
        "capacity": 10**6,
        "mean": Integer(1),
        "lower": Integer(1),
        "upper": Integer(2),
        "Hub.forecast": experts,
        "around_hub.forecast": experts,
        "Hub.spokes": (spoke,),
        "spokes": [spoke],
        "down": 10**9,
        "up": 10**9,
        "time": Integer(1),
        "parts": (Integer(1), Integer(2)),
        "state": steady_state(forecast, 4),
        "requests": 8,
        "loads": [Integer(1), Integer(2)],
        "busiest.tokens": 4,
        "experts": 4,
        "active": 2,
        "computed": [load_format("fp16")],
        "sections": model.sections,
        "Model.values": model.values,
    }


def wrong(good: Mapping[str, Any]) -> list[Any]:
    """Values of every kind that someone may give by mistake."""
    forecast = good["forecast"]
    served = [pipeline(forecast, 2), speculate(forecast, None, 2, 0.5), steady_state(forecast, 4)]
    several = [[], [1], ["x"], [None], {}, {"x": 1}, {"batch": "x"}, {1: 2}, (1, 2), ("a", None)]
    several += [(sym.past, 9), (float("nan"), 9), [sym.past]]
    plain = [None, True, 0, -1, 5, 1.5, float("nan"), float("inf"), "", "x", "batch", b"x", 2j]
    objects = [object(), int, len, Path("none"), Symbol("x"), sym.batch, Fraction(1, 3)]
    own = [forecast, forecast.tpot, forecast.model, forecast.hardware, forecast.tpot.terms]
    return [*plain, *several, *objects, *own, *served, [forecast, 5], [served[0]]]


def arguments(name: str, made: Callable[..., Any], good: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each parameter that needs one."""
    given = {}
    for parameter in inspect.signature(made).parameters.values():
        own = f"{name.rsplit('.', maxsplit=1)[-1]}.{parameter.name}"
        required = parameter.default is parameter.empty
        if own in good or (required and parameter.kind is not parameter.VAR_KEYWORD):
            given[parameter.name] = good[own if own in good else parameter.name]
    return given


def called(made: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """A call with arguments by name; those of ``*names`` after one another."""
    shape = inspect.signature(made).bind_partial()
    for name, parameter in inspect.signature(made).parameters.items():
        if name in given and parameter.kind is parameter.VAR_POSITIONAL:
            shape.arguments[name] = (given[name],)
        elif name in given and parameter.kind is not parameter.VAR_KEYWORD:
            shape.arguments[name] = given[name]
    return made(*shape.args, **shape.kwargs)


def failures(made: Callable[..., Any], given: Mapping[str, Any], good: Mapping[str, Any]) -> str:
    """What is raised that is no refusal of one line, where single arguments are changed."""
    found = []
    for parameter in inspect.signature(made).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        values = wrong(good)
        if "Callable" in str(parameter.annotation):  # what it does when called is its own affair
            values = [value for value in values if not callable(value)]
        for value in values:
            try:
                called(made, {**given, parameter.name: value})
            except ls.LifesymError as refusal:
                text = str(refusal)
                assert "\n" not in text, text
                assert len(text) < 1000, text
            except Exception as problem:  # noqa: BLE001 (whatever it is, it is a failure)
                found.append(f"{parameter.name}={value!r:.60}: {problem!r:.200}")
            plt.close("all")
    return "; ".join(found)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writes into a folder of some name writes it elsewhere."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.filterwarnings("ignore")
def test_every_argument_of_every_public_function(name: str, good: dict[str, Any]) -> None:
    made = PUBLIC[name]
    given = arguments(name, made, good)
    called(made, given)  # what follows is refused for the one argument that is changed
    assert not failures(made, given, good)


@pytest.mark.parametrize("name", ["model", "hardware", "forecast", "tpot", "net", "compiled"])
@pytest.mark.filterwarnings("ignore")
def test_every_argument_of_every_public_method(name: str, good: dict[str, Any]) -> None:
    own = {
        "tpot": good["forecast"].tpot,
        "net": ls.unet(32, 32),
        "compiled": ls.compile(good["quantity"], ["batch", "past"]),
    }
    thing = own.get(name, good.get(name))
    names = [each for each in dir(type(thing)) if not each.startswith("_")]
    for each in names:
        method = getattr(type(thing), each)
        if not (inspect.isfunction(method) or inspect.ismethod(method)):
            continue
        bound = getattr(thing, each)
        needed = [
            p.name for p in inspect.signature(bound).parameters.values() if p.default is p.empty
        ]
        samples = {word: wrong(good)[0] for word in needed}
        assert not failures(bound, samples, good), each


def test_the_database_is_where_names_are_found() -> None:
    by_name = ls.forecast("llama-2-7b", "v100", 512, 128)
    by_object = ls.forecast(ls.load_model("llama-2-7b"), ls.load_hardware("v100"), 512, 128)
    by_path = ls.forecast(
        root() / "models" / "llama-2-7b.json",
        str(root() / "hardware" / "v100-sxm2-16gb.toml"),
        512,
        128,
    )
    assert by_name.ttft.expr == by_object.ttft.expr == by_path.ttft.expr
