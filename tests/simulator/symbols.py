"""Numbers of a case left as symbols: of the load, the model, the device and the options."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from sympy import Expr, Integer, Symbol

from lifesym import symbols as sym
from lifesym.hardware import symbolic_numbers
from simulator import asked
from simulator.draws import Case

Symbols = tuple[dict[str, Any], dict[Symbol, Expr]]
"""Arguments of `lifesym.forecast` that hold symbols, and the symbols' values."""

DEVICE = (
    *(sym.bandwidth, sym.compute_efficiency, sym.memory_efficiency, sym.dispatch_time),
    *(sym.flop_energy, sym.byte_energy, sym.static_power),
)
MORE = [getattr(sym, name) for name in asked.MORE]


class _Chooser:
    """Which numbers become symbols, each at its own chance; without a draw all of them."""

    def __init__(self, draw: st.DrawFn | None) -> None:
        self.draw = draw
        self.values: dict[Symbol, Expr] = {}

    def left(self, tenths: int) -> bool:
        """Whether one of a chance becomes a symbol."""
        return self.draw is None or self.draw(st.integers(0, 9)) < tenths

    def __call__(self, value: Any, symbol: Symbol, tenths: int) -> Any:
        """The symbol or the number; a symbol stands for one number only."""
        if value is None or symbol in self.values or not self.left(tenths):
            return value
        self.values[symbol] = Integer(value)
        return symbol


def _sizes(case: Case, choose: _Chooser) -> dict[str, Any]:
    """Of the load and of the options."""
    load = case.simulation.load
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
    return changes


def all_symbols_of(case: Case) -> Symbols:
    """Every size of the load and the options; the model and the device in numbers."""
    choose = _Chooser(None)
    return _sizes(case, choose), choose.values


@st.composite
def symbols_of(draw: st.DrawFn, case: Case) -> Symbols:
    """Some of the sizes, the dimensions of the model, and the rates of the device."""
    choose = _Chooser(draw)
    changes = _sizes(case, choose)
    model = asked.model(case)
    free = [d for d in model.values if d not in choose.values and choose.left(3)]
    choose.values |= {d: model.values[d] for d in free}
    changes["model"] = model.lift(*free) if free else model
    hardware = asked.hardware(case.simulation.machine)
    known = hardware.numbers()
    parts = [s for s in known if sym.is_own(s.name) or s in MORE]
    rates = [s for s in (*DEVICE, *parts) if choose.left(3)]
    choose.values |= {s: known[s] for s in rates}
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
