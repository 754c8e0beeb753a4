"""Divisions by one register as products with its reciprocal: a division takes many products' time.

A quotient then has two roundings in place of one; rounded quotients keep their exact division.
"""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

from lifesym.codegen.program import Op, Program

_WORTH = 3
"""Divisions by one register from which on its reciprocal is taken."""


def shared(program: Program) -> Program:
    """The program with the reciprocal of every register that divides several others."""
    counts = Counter(op.reads[1] for op in program.ops if op.kind == "div")
    often = {register for register, count in counts.items() if count >= _WORTH}
    if not often:
        return program
    one = Op("const", (), Fraction(1))
    ops: list[Op] = [one]
    place: dict[int, int] = {}
    inverse: dict[int, int] = {}
    for i, op in enumerate(program.ops):
        moved = replace(op, reads=tuple(place[r] for r in op.reads))
        if op.kind == "div" and op.reads[1] in often:
            above, below = op.reads
            if program.constant(above) == 1:
                place[i] = inverse[below]
                continue
            reads = tuple(sorted((place[above], inverse[below])))
            moved = replace(op, kind="mul", reads=reads)
        place[i] = len(ops)
        ops.append(moved)
        if i in often:
            inverse[i] = len(ops)
            ops.append(Op("div", (0, place[i])))
    return Program(program.args, tuple(ops), tuple(place[r] for r in program.outputs))
