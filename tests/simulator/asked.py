"""The same question put to lifesym."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sympy import Expr, Rational, Symbol

import lifesym as ls
from lifesym.levels import Level
from lifesym.operators import Routing
from lifesym.transforms import Bottleneck, CachePolicy, Lora
from simulator.clock import Machine
from simulator.draws import Case
from simulator.options import Options

MORE = ("layer_time", "sampling_time", "collective_latency", "dequantization_rate")
"""Numbers that most devices do not have."""


def rational(number: Fraction | int) -> Rational:
    return Rational(number)


def fraction(expr: Expr) -> Fraction:
    """The value of a formula without symbols, which must be exact."""
    value = expr.doit()
    assert value.is_Rational, value
    return Fraction(int(value.p), int(value.q))


def hardware(machine: Machine) -> ls.Hardware:
    device = ls.Hardware(
        name="drawn",
        kind="gpu",
        matrix={kind: rational(rate) for kind, rate in machine.matrix.items()},
        vector={kind: rational(rate) for kind, rate in machine.vector.items()},
        bandwidth=rational(machine.bandwidth),
        compute_efficiency=rational(machine.compute_efficiency),
        memory_efficiency=rational(machine.memory_efficiency),
        dispatch_time=rational(machine.dispatch_time),
        flop_energy=rational(machine.flop_energy),
        byte_energy=rational(machine.byte_energy),
        static_power=rational(machine.static_power),
        own={key: rational(number) for key, number in machine.own.items()},
        **{
            name: rational(number)
            for name in MORE
            if (number := getattr(machine, name)) is not None
        },
    )
    return device.with_links(*((rational(rate), rational(wait)) for rate, wait in machine.links))


def _policy(o: Options) -> CachePolicy:
    p = o.policy
    page = None if p.page == 1 else p.page
    return CachePolicy(
        budget=p.budget,
        keep=rational(p.keep),
        scored=p.scored,
        rank=p.rank,
        share=p.share,
        page=page,
    )


def arguments(o: Options) -> dict[str, Any]:
    """The options as `lifesym.forecast` takes them; those that are not set are left out."""
    p = o.precision
    asked: dict[str, Any] = {
        "weights": p.weights,
        "activations": p.activations,
        "kv": p.kv,
        "roles": p.roles,
        "activation_roles": p.activation_roles,
        "unfused_dequant": p.unfused_dequant,
        "overlap": o.overlap,
        "mla": o.mla,
        "causal": o.causal,
        "routing": Routing(
            kind=o.routing, probabilities=o.probabilities, imbalance=rational(o.imbalance)
        ),
        "chunk": o.chunk,
        "fusion": o.rules,
        "tile": o.tile,
        "tensor_parallel": o.tensor,
        "all_reduce": o.all_reduce,
        "expert_parallel": o.expert_devices,
        "data_parallel": o.replicas,
        "sequence_parallel": o.sequence,
    }
    if o.policy != Options().policy:
        asked["cache"] = _policy(o)
    if o.lora is not None:
        lora = o.lora
        asked["lora"] = Lora(
            rank=lora.rank, targets=lora.targets, adapters=lora.adapters, merged=lora.merged
        )
    if o.adapter is not None:
        asked["adapter"] = Bottleneck(width=o.adapter.width, after=o.adapter.after)
    asked["levels"] = [
        Level(
            name=level.name,
            bandwidth=rational(level.bandwidth),
            weights=rational(level.weights),
            experts=rational(level.experts),
            kv=rational(level.kv),
            activations=rational(level.activations),
            holds={} if level.embedding is None else {"embedding": rational(level.embedding)},
            link=None if level.link is None else rational(level.link),
            through=level.through,
            latency=rational(level.latency),
            byte_energy=rational(level.byte_energy),
            static_power=rational(level.static_power),
        )
        for level in o.levels
    ]
    return asked


def model(case: Case) -> ls.Model:
    return ls.Model.from_hf(case.config, strict=True)


def forecast(case: Case, **changes: Any) -> ls.Forecast:
    """The forecast of a case in numbers, with some arguments of another kind."""
    s = case.simulation
    load = {
        "prompt": s.load.prompt,
        "generate": s.load.generate,
        "batch": s.load.batch,
        "past": s.load.past,
    }
    asked = {"model": model(case), "hardware": hardware(s.machine)}
    asked |= load | arguments(s.options) | changes
    return ls.forecast(**asked)


def results(f: ls.Forecast, generates: bool) -> dict[str, Expr]:
    """The quantities that `Simulation.results` names."""
    found = {
        "ttft": f.ttft.expr,
        "latency": f.latency.expr,
        "memory": f.memory.expr,
        "capacity": f.capacity.expr,
        "energy": f.energy.expr,
        "cost": f.cost(3600).expr,
    }
    if generates:
        step = f.tpot
        found |= {"mean": step.mean.expr, "first": step.first.expr, "last": step.last.expr}
        found["tps"] = f.tps.expr
    return found


def bound(expr: Expr, values: Mapping[Symbol, Expr]) -> Fraction:
    """The value of a formula at a point."""
    return fraction(expr.xreplace(dict(values)))
