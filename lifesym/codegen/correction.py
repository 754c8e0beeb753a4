r"""A C function that is corrected by measured times while it runs.

The time is a sum over groups of operators, $t(x) = \sum_g s_g t_g(x)$, each with a scale that is 1
until passes are measured. A measured pass of $\tau$ seconds is one equation of relative errors,
$\sum_g s_g t_g / \tau = 1$, and recursive least squares solve them as they come, in constant
memory: the same scales as those of `lifesym.calibration.fit_log` to all passes at once.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sympy import Expr

from lifesym.checks import checked
from lifesym.codegen.c import guarded, unguarded
from lifesym.codegen.functions import compile as compiled
from lifesym.codegen.inputs import Ranges
from lifesym.errors import SymbolError
from lifesym.operator_groups import LEAST, NOISE, SPREAD
from lifesym.symbols import resolve


@checked
def corrected(
    groups: Mapping[str, Expr],
    args: Sequence[str],
    *,
    name: str,
    precision: str = "double",
    ranges: Ranges | None = None,
    scales: Mapping[str, float] | None = None,
    doc: str = "",
) -> str:
    """A C header with ``NAME``, ``NAME_begin`` and ``NAME_update``.

    Args:
        groups: seconds of each group of operators (`lifesym.operator_groups.times_by_group`).
        args: the arguments in order.
        name: of the function.
        precision: of the times of the groups; scales are doubles.
        ranges: as of `lifesym.compile`.
        scales: those to begin with, by group; 1 unless given.
        doc: lines for its comment.

    Raises:
        SymbolError: what `lifesym.compile` raises, a scale of no group, or one that is not above 0.
    """
    begin = dict.fromkeys(groups, 1.0) | dict(scales or {})
    for group, scale in begin.items():
        if group not in groups:
            raise SymbolError(f"a scale of {group!r}: the groups are {', '.join(groups)}")
        if not 0 < scale < math.inf:
            raise SymbolError(f"the scale of {group} must be a number above 0, not {scale}")
    options: dict[str, Any] = {"precision": precision, "ranges": ranges, "doc": doc}
    fields = {identifier_of(group): time for group, time in groups.items()}
    times = compiled(fields, args, target="c", name=f"{name}_times", **options)
    names = [resolve(arg).name for arg in args]
    real = "float" if precision == "float" else "double"
    return guarded(
        name, [unguarded(times), *_functions(name, list(fields), names, real, begin.values())]
    )


def identifier_of(group: str) -> str:
    """A group's name in a program."""
    return group.replace("-", "_").replace(" ", "_")


def _functions(
    name: str, fields: Sequence[str], names: Sequence[str], real: str, begin: Any
) -> list[str]:
    """The state, its beginning, the corrected time, and what a measured pass changes."""
    n = len(fields)
    given = ", ".join(f"const {real} {each}" for each in names)
    passed = ", ".join(names)
    kind = f"{name}_correction"
    times = f"    const {name}_times_results t = {name}_times({passed});"
    double = "" if real == "double" else "(double)"
    terms = [f"c->scale[{i}] * {double}t.{field}" for i, field in enumerate(fields)]
    return [
        "",
        f"/* Scales of {', '.join(fields)}, and how far they may be off. */",
        f"typedef struct {{ double scale[{n}]; double spread[{n}][{n}]; }} {kind};",
        "",
        "/* Before anything is measured. */",
        f"static inline {kind} {name}_begin(void)",
        "{",
        f"    {kind} c = {{{{{', '.join(map(repr, begin))}}}, {{{{0.0}}}}}};",
        f"    for (int i = 0; i < {n}; i++) c.spread[i][i] = {SPREAD**2!r};",
        "    return c;",
        "}",
        "",
        "/* The time of a pass in seconds, with the scales. */",
        f"static inline double {name}(const {kind} *c, {given})",
        "{",
        times,
        f"    return {terms[0]}",
        *(f"        + {term}" for term in terms[1:-1]),
        f"        + {terms[-1]};" if n > 1 else "        ;",
        "}",
        "",
        "/* A measured pass: recursive least squares of relative errors. */",
        f"static inline void {name}_update({kind} *c, {given}, const double seconds)",
        "{",
        times,
        f"    double x[{n}] = {{{', '.join(f'{double}t.{field}' for field in fields)}}};",
        f"    double px[{n}], total = {NOISE**2!r}, error = 1.0;",
        "    if (!(seconds > 0.0)) return;",
        f"    for (int i = 0; i < {n}; i++) x[i] /= seconds;",
        f"    for (int i = 0; i < {n}; i++) {{",
        "        px[i] = 0.0;",
        f"        for (int j = 0; j < {n}; j++) px[i] += c->spread[i][j] * x[j];",
        "        total += x[i] * px[i];",
        "        error -= x[i] * c->scale[i];",
        "    }",
        "    if (!(total < 1e300)) return; /* times that are no numbers say nothing */",
        f"    for (int i = 0; i < {n}; i++) {{",
        "        c->scale[i] += px[i] * error / total;",
        f"        if (c->scale[i] < {LEAST!r}) c->scale[i] = {LEAST!r};",
        f"        for (int j = 0; j < {n}; j++) c->spread[i][j] -= px[i] * px[j] / total;",
        "    }",
        "}",
    ]
