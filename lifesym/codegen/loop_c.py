"""C for this machine: a program over rows of arrays (`lifesym.codegen.layout`).

Whether an argument changes along a row is known when the loop is compiled, so that what depends on
the others alone is computed once a row, and the rest is vectorised.
"""

from lifesym.codegen.program import Program
from lifesym.codegen.text import C_DOUBLE, write

MOST_AXES = 64
"""Axes of a NumPy array."""


def loop(program: Program, name: str, varying: tuple[bool, ...]) -> str:
    """A function of rows ``start`` to ``stop``; inputs step through memory as they broadcast."""
    count, results = len(varying), len(program.outputs)
    moved = [f"p{i} += steps[d * {count} + {i}];" for i in range(count)]
    back = [f"p{i} -= shape[d] * steps[d * {count} + {i}];" for i in range(count)]
    begun = [f"p{i} += at[d] * steps[d * {count} + {i}];" for i in range(count)]
    ends = [f"o[{i}] + r * width" for i in range(results)]
    lines = [
        "#include <math.h>",
        *_row(program, varying),
        f"void {name}(long start, long stop, long n, long width, int depth, const long *shape,",
        "    const long *steps, const double *const *a, double *const *o)",
        "{",
        f"    long at[{MOST_AXES}] = {{0}}, left = start;",
        *(f"    const double *p{i} = a[{i}];" for i in range(count)),
        "    for (int d = depth - 1; d >= 0; d--) {",
        "        at[d] = left % shape[d];",
        "        left /= shape[d];",
        *(f"        {line}" for line in begun),
        "    }",
        "    for (long r = start; r < stop; r++) {",
        f"        row(n, {', '.join([*(f'p{i}' for i in range(count)), *ends])});",
        "        for (int d = depth - 1; d >= 0; d--) {",
        *(f"            {line}" for line in moved),
        "            if (++at[d] < shape[d]) break;",
        "            at[d] = 0;",
        *(f"            {line}" for line in back),
        "        }",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _row(program: Program, varying: tuple[bool, ...]) -> list[str]:
    """One row: the arguments that vary along it are read in the loop, the others before."""
    names = [f"x{i}" for i in range(len(varying))]
    text = write(program, names, C_DOUBLE)
    pointers = [f"const double *restrict a{i}" for i in range(len(varying))]
    outputs = [f"double *restrict o{i}" for i in range(len(text.results))]
    before = [f"    const double x{i} = a{i}[0];" for i, each in enumerate(varying) if not each]
    inside = [f"        const double x{i} = a{i}[k];" for i, each in enumerate(varying) if each]
    silent = [f"    (void)x{i};" for i, each in enumerate(varying) if not each]
    return [
        f"static void row(long n, {', '.join(pointers + outputs)})",
        "{",
        *before,
        *silent,
        "    for (long k = 0; k < n; k++) {",
        *inside,
        *(f"        {line}" for line in text.statements),
        *(f"        o{i}[k] = {result};" for i, result in enumerate(text.results)),
        "    }",
        "}",
    ]
