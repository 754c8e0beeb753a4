"""Numbers of a case left as symbols: of the load, the model, the device and the options."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from simulator import asked
from simulator.draws import Case
from sympy import Expr, Integer, Symbol

from lifesym import symbols as sym
from lifesym.hardware import symbolic_numbers

Symbols = tuple[dict[str, Any], dict[Symbol, Expr]]
"""Arguments of `lifesym.forecast` that hold symbols, and the symbols' values."""

DEVICE = (
    *(sym.bandwidth, sym.compute_efficiency, sym.memory_efficiency, sym.dispatch_time),
    *(sym.flop_energy, sym.byte_energy, sym.static_power),
)


class _Chooser:
    """Which numbers become symbols, each at its own chance."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.values: dict[Symbol, Expr] = {}

    def __call__(self, value: Any, symbol: Symbol, tenths: int) -> Any:
        """The symbol or the number; a symbol stands for one number only."""
        if value is None or symbol in self.values or self.draw(st.integers(0, 9)) >= tenths:
            return value
        self.values[symbol] = Integer(value)
        return symbol


@st.composite
def symbols_of(draw: st.DrawFn, case: Case) -> Symbols:
    """Symbols for a case; where nothing says so the dimensions of its model are numbers."""
    choose, load = _Chooser(draw), case.simulation.load
    changes: dict[str, Any] = {
        "batch": choose(load.batch, sym.batch, 6),
        "prompt": choose(load.prompt, sym.prompt, 6),
        "generate": choose(load.generate, sym.generated, 6),
        "chunk": choose(case.simulation.options.chunk, sym.chunk, 6),
    }
    given = asked.arguments(case.simulation.options)
    for name in ("tensor_parallel", "data_parallel", "expert_parallel"):
        if given[name] != 1:
            changes[name] = choose(given[name], sym.devices, 3)
    _inside(given, changes, choose)
    model = asked.model(case)
    free = [d for d in model.values if d not in choose.values and draw(st.integers(0, 9)) < 3]
    choose.values |= {d: model.values[d] for d in free}
    changes["model"] = model.lift(*free) if free else model
    hardware = asked.hardware(case.simulation.machine)
    rates = [s for s in DEVICE if draw(st.integers(0, 9)) < 3]
    choose.values |= {s: getattr(hardware, s.name) for s in rates}
    changes["hardware"] = symbolic_numbers(hardware, rates)
    return changes, choose.values


def _inside(given: dict[str, Any], changes: dict[str, Any], choose: _Chooser) -> None:
    """Symbols in what a policy or an adapter is made of."""
    if "cache" in given:
        policy = given["cache"]
        sizes = {name: getattr(sym, name) for name in ("budget", "page", "rank")}
        found = {name: choose(getattr(policy, name), s, 4) for name, s in sizes.items()}
        changes["cache"] = replace(policy, **found)
    if "lora" in given and given["lora"].rank:
        lora = given["lora"]
        changes["lora"] = replace(lora, rank=choose(lora.rank, sym.rank, 4))
