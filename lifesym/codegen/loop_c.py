"""C for this machine: a program over rows of arrays (`lifesym.codegen.layout`).

Whether an argument changes along a row is known when the loop is compiled, so that what depends on
the others alone is computed once a row, and the rest is vectorised.

The results of long rows do not stay in the cache: where the processor can (AVX), they are written
past it, block by block, so that memory need not be read before it is written.
"""

from lifesym.codegen.program import Program
from lifesym.codegen.spelling import C_DOUBLE
from lifesym.codegen.text import write

MOST_AXES = 64
"""Axes of a NumPy array."""
LONG = 2**20
"""Numbers of a row whose results are written past the cache."""
_BLOCK = 512
"""Numbers that are computed before they are written so."""


def loop(program: Program, name: str, varying: tuple[bool, ...]) -> str:
    """A function of rows ``start`` to ``stop``; inputs step through memory as they broadcast."""
    count, results = len(varying), len(program.outputs)
    moved = [f"p{i} += steps[d * {count} + {i}];" for i in range(count)]
    back = [f"p{i} -= shape[d] * steps[d * {count} + {i}];" for i in range(count)]
    begun = [f"p{i} += at[d] * steps[d * {count} + {i}];" for i in range(count)]
    ends = [f"o[{i}] + r * width" for i in range(results)]
    given = ", ".join([*(f"p{i}" for i in range(count)), *ends])
    lines = [
        "#include <math.h>",
        *_row(program, varying),
        *_streamed(results, varying),
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
        "#ifdef __AVX__",
        f"        if (n >= {LONG}L) streamed(n, {given}); else",
        "#endif",
        f"        row(n, {given});",
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


def _streamed(results: int, varying: tuple[bool, ...]) -> list[str]:
    """A row in blocks, each of them computed in the cache and written past it, in whole lines.

    Results that do not begin alike in their lines are written as always.
    """
    pointers = [f"const double *a{i}" for i in range(len(varying))]
    outputs = [f"o{i}" for i in range(results)]
    given = ", ".join(f"a{i} + k" if each else f"a{i}" for i, each in enumerate(varying))
    blocks = [f"b{i}" for i in range(results)]
    there = ", ".join(f"{each} + k" for each in outputs)
    apart = " || ".join(f"LINE(o0) != LINE({each})" for each in outputs[1:]) or "0"
    return [
        "#ifdef __AVX__",
        "#include <immintrin.h>",
        "#define LINE(p) (((unsigned long)(p) & 63UL) / sizeof(double))",
        "static void put(const double *from, double *to)",
        "{",
        f"    for (long k = 0; k < {_BLOCK}; k += 4)",
        "        _mm256_stream_pd(to + k, _mm256_load_pd(from + k));",
        "}",
        f"static void streamed(long n, {', '.join(pointers + [f'double *{o}' for o in outputs])})",
        "{",
        *(f"    double {block}[{_BLOCK}] __attribute__((aligned(64)));" for block in blocks),
        f"    long k = {apart} ? n : (8 - LINE(o0)) % 8;",
        f"    row(k, {', '.join([*(f'a{i}' for i in range(len(varying))), *outputs])});",
        f"    for (; k + {_BLOCK} <= n; k += {_BLOCK}) {{",
        f"        row({_BLOCK}, {', '.join([given, *blocks])});",
        *(f"        put({b}, {o} + k);" for b, o in zip(blocks, outputs, strict=True)),
        "    }",
        f"    row(n - k, {given}, {there});",
        "    _mm_sfence();",
        "}",
        "#endif",
    ]
