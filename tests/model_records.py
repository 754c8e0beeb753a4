"""What is recorded of every model of the database: digests of its structure, work and shares.

    python tests/model_records.py

writes `tests/data/models.json` anew and says which parts of which models differ from before.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sympy import sympify

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import LifesymError
from lifesym.formats import Precision
from lifesym.model import Model
from lifesym.specs import names
from lifesym.trace import Trace
from lifesym.transforms import TensorParallel

FILE = Path(__file__).parent / "data" / "models.json"
STORED = Precision.of("int4-g32", "bf16", "int8")
SHARES = (2, 4, 8)


def digest(lines: Iterable[Any]) -> str:
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()[:12]


def rows(trace: Trace) -> Iterable[str]:
    """Every operator of a trace with its place, its number of runs and its costs."""
    for entry in trace:
        cost = entry.operator.cost(STORED)
        costs = " ".join(f"{name}={value}" for name, value in sorted(vars(cost).items()))
        kind = type(entry.operator).__name__
        yield f"{entry.path} {kind} {entry.count} {entry.copies} {entry.among} {costs}"


def shared(trace: Trace, devices: int) -> str:
    """One device's part of a trace, if there is one."""
    try:
        return digest(rows(TensorParallel(devices=devices)(trace)))
    except LifesymError:
        return "refused"


def facts(name: str) -> dict[str, Any]:
    """What is recorded of a model."""
    model = ls.load_model(name)
    if not isinstance(model, Model):
        return {"work": digest(rows(model.trace(1)))} if hasattr(model, "trace") else {}
    values: Mapping[Any, Any] = model.values
    numbers = sorted(f"{symbol}={value}" for symbol, value in values.items())
    structure = [f"{s.label} {s.count} {s.shared} {s.copies} {s.last}" for s in model.sections]
    lifted = model.lift(*sorted(symbol.name for symbol in model.values if symbol in sym.TABLE))
    limit = sympify(model.context_limit or 10_000).xreplace(values)
    far = min(9000, int(limit) - 24)
    found: dict[str, Any] = {
        "parameters": int(model.parameters),
        "values": digest([*numbers, model.context_limit, model.kind, *model.notes]),
        "structure": digest([*structure, lifted.parameters]),
        "prefill": digest(rows(model.forward(2, 24, 0))),
        "chunk": digest(rows(model.forward(1, 16, far))) if model.generates else "",
        "decode": digest(rows(model.forward(3, 1, far))) if model.generates else "",
    }
    held = ls.forecast(model, "h100-sxm-80gb", 100, 20 if model.generates else 0)
    kept = [model.kv_bytes(100, "int8"), model.kv_bytes_per_token("int8")]
    found["memory"] = digest([held.memory.expr, *(kept if model.generates else ())])
    for phase, trace in (("prefill", (2, 24, 0)), ("decode", (3, 1, min(400, far)))):
        if phase == "prefill" or model.generates:
            for n in SHARES:
                found[f"{phase} on {n}"] = shared(model.forward(*trace), n)
    return found


def recorded() -> dict[str, dict[str, Any]]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def main() -> None:
    before = recorded() if FILE.exists() else {}
    found = {name: facts(name) for name in names("models")}
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name, made in found.items():
        parts = [part for part in made if before.get(name, {}).get(part) != made[part]]
        if parts:
            print(f"{name}: {', '.join(parts)}")
    print(f"recorded {len(found)} models")


if __name__ == "__main__":
    main()
