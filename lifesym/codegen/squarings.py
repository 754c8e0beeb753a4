"""Powers with whole exponents as products, so that a core without one links no ``pow``.

The part of the experts that a batch reaches is $1 - (1 - k/E)^B$: its exponent counts. Single
precision's ``powf`` takes 2.4 kB on a Cortex-M4F, a loop of squarings 76 bytes (`docs/compile.md`).
"""

from dataclasses import replace

from lifesym.codegen.program import Program, pruned
from lifesym.codegen.ranges import Box, ranges
from lifesym.codegen.running import Arithmetic
from lifesym.errors import SymbolError

MOST = 2.0**32
"""An exponent below it is an ``unsigned long`` of every compiler."""


def squared(program: Program, box: Box, kind: Arithmetic) -> Program:
    """The program with each power whose exponent counts in the box as one by squarings.

    An exponent counts if it is exact, which whole numbers alone are (`lifesym.codegen.rules`), and
    at least 0. In the terms of a sum powers stay as they are.
    """
    ops = tuple(
        replace(op, kind="power")
        if op.kind == "pow" and _counts(program, op.reads[1], box, kind)
        else op
        for op in program.ops
    )
    return program if ops == program.ops else replace(program, ops=ops)


def _counts(program: Program, register: int, box: Box, kind: Arithmetic) -> bool:
    part = pruned(replace(program, outputs=(register,)))
    try:
        found = ranges(part, box, kind)[part.outputs[0]]
    except SymbolError:  # of an exponent that has no range nothing is known
        return False
    return found.error == 0 and found.low >= 0 and found.high < MOST
