"""Stand-alone Python: plain arithmetic with no imports but `math`, or NumPy's functions."""

from collections.abc import Callable, Sequence
from math import isinf
from typing import Any

from lifesym.codegen.program import Program
from lifesym.codegen.spelling import NUMPY, PYTHON
from lifesym.codegen.text import write

Bounds = Sequence[tuple[str, float, float]]
"""Arguments that are checked, with their smallest and largest values."""


def between(low: float, high: float) -> str:
    """What a value in a range is, in words."""
    return f"at least {low:g}" if isinf(high) else f"between {low:g} and {high:g}"


def docstring(lines: Sequence[str]) -> str:
    """Lines as the inside of a docstring."""
    return "\n    ".join(lines).replace("\\", "\\\\").replace('"""', "'''")


def source(program: Program, name: str, names: list[str], doc: str, bounds: Bounds) -> str:
    """The text of a module with one function; arguments outside their bounds are refused."""
    text = write(program, names, PYTHON)
    body = [f'    """{doc}"""']
    for each, low, high in bounds:
        end = "" if isinf(high) else f" <= {high!r}"
        body.append(f"    if not {low!r} <= {each}{end}:")
        body.append(f'        raise ValueError("{each} must be {between(low, high)}")')
    body += [f"    {line}" for line in text.statements]
    results = ", ".join(text.results)
    lines = [f"def {name}({', '.join(names)}):", *body, f"    return {results}"]
    code = "\n".join(lines) + "\n"
    used = [fn for fn in ("ceil", "floor", "log", "pow") if f"{fn}(" in code]
    header = f"from math import {', '.join(used)}\n\n\n" if used else ""
    return header + code


def numpy_source(program: Program, name: str, names: list[str], doc: str) -> str:
    """The text of a module with one function of NumPy arrays, computed in doubles."""
    text = write(program, names, NUMPY)
    body = [
        f'    """{doc}"""',
        *(f"    {each} = np.asarray({each}, dtype=np.float64)" for each in names),
        *(f"    {line}" for line in text.statements),
        f"    return {', '.join(text.results)}",
    ]
    lines = ["import numpy as np", "", "", f"def {name}({', '.join(names)}):", *body]
    return "\n".join(lines) + "\n"


def function(
    program: Program, name: str, names: list[str], doc: str, bounds: Bounds
) -> Callable[..., Any]:
    """The function itself, its text as ``source``."""
    text = source(program, name, names, doc, bounds)
    scope: dict[str, Any] = {}
    exec(compile(text, f"<{name}>", "exec"), scope)  # noqa: S102 (our own text, checked names)
    made: Callable[..., Any] = scope[name]
    made.source = text  # type: ignore[attr-defined]
    return made
