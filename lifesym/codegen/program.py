"""The intermediate form of every target: a list of operations, each computed once.

An expression becomes registers in order of need (`lifesym.codegen.lowering`). Equal sub-expressions
are one register; rational constants stay exact until a target prints them. There is a handful of
kinds:

========================  ==========================================================
kind                      value
========================  ==========================================================
``const``, ``arg``        a rational; an argument
``add``, ``mul``, ``div`` of two registers
``max``, ``min``          of two registers
``ceil``, ``floor``       of a quotient of two registers: division, then rounding
``cross``                 the same, rounded up, where the divisor may be zero: the result is unused
``rest``                  the first less the second, a remainder: at least the value (0 or 1), and
                          at most that plus the third less 1
``pow``, ``log``          with an exponent that is no integer; the natural logarithm
``power``                 with an exponent that counts, by squarings (`lifesym.codegen.squarings`)
``pick``                  the second register where the first is above 0, else the third; its value
                          is 1 where a result is the same whichever is taken at 0
``sum``                   over i = 0, 1, ... up to the first register (nothing where it is below 0)
                          of the body, a program of i and the other registers
========================  ==========================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from sympy import Expr

COMMUTATIVE = frozenset({"add", "mul", "max", "min"})


class Label(NamedTuple):
    """What a register is: the ``time`` of operators, or what of it is bound by one side.

    Attributes:
        operators: whose it is.
        of: ``time``, ``compute`` or ``memory``.
    """

    operators: tuple[str, ...]
    of: str


@dataclass(frozen=True)
class Op:
    """One register: its kind, what it reads, a constant's or argument's value, a sum's body.

    ``label`` says what it is, where operators are known; it makes no difference.
    """

    kind: str
    reads: tuple[int, ...] = ()
    value: Fraction | int | None = None
    body: "Program | None" = None
    label: Label | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Program:
    """Registers in order, and those that are results.

    ``args`` is what the arguments stand for: symbols, or in a sum's body parts of the formula and
    their slopes.
    """

    args: tuple[Expr, ...]
    ops: tuple[Op, ...]
    outputs: tuple[int, ...]

    @cached_property
    def _hashed(self) -> int:
        return hash((self.args, self.ops, self.outputs))

    def __hash__(self) -> int:
        """That of its parts, taken once: plans and compiled loops are looked up by program."""
        return self._hashed

    def uses(self) -> list[int]:
        """How often each register is read, results included."""
        counts = [0] * len(self.ops)
        for op in self.ops:
            for register in op.reads:
                counts[register] += 1
        for register in self.outputs:
            counts[register] += 1
        return counts

    def constant(self, register: int) -> Fraction | None:
        """The value of a constant register."""
        value = self.ops[register].value
        return value if isinstance(value, Fraction) else None


def pruned(program: Program) -> Program:
    """Without registers that nothing reads; arguments stay."""
    needed = set(program.outputs)
    for i in reversed(range(len(program.ops))):
        if i in needed:
            needed.update(program.ops[i].reads)
    return _only(
        program, [i for i, op in enumerate(program.ops) if i in needed or op.kind == "arg"]
    )


def trimmed(program: Program) -> tuple[Program, list[int]]:
    """A sum's body without arguments that nothing reads, and the places of those that stay.

    The first, its index, stays.
    """
    program = pruned(program)
    read = [used or op.value == 0 for op, used in zip(program.ops, program.uses(), strict=True)]
    return _with_own(
        program, [i for i, op in enumerate(program.ops) if read[i] or op.kind != "arg"]
    )


def chosen(program: Program, numbers: Iterable[int]) -> tuple[Program, list[int]]:
    """The program of some of its results alone, and the places of the arguments that it needs."""
    outputs = tuple(program.outputs[number] for number in numbers)
    needed, left = set(outputs), [*outputs]
    while left:
        reads = set(program.ops[left.pop()].reads) - needed
        needed |= reads
        left += reads
    return _with_own(replace(program, outputs=outputs), sorted(needed))


def _with_own(program: Program, kept: list[int]) -> tuple[Program, list[int]]:
    """Some registers, with those arguments alone that are among them, and the places of these."""
    places = sorted(int(op.value or 0) for op in (program.ops[i] for i in kept) if op.kind == "arg")
    number = {old: new for new, old in enumerate(places)}
    made = _only(program, kept)
    ops = tuple(
        replace(op, value=number[int(op.value or 0)]) if op.kind == "arg" else op for op in made.ops
    )
    return Program(tuple(program.args[k] for k in places), ops, made.outputs), places


def _only(program: Program, kept: list[int]) -> Program:
    """Some registers, in order; all that they read are among them."""
    place = {old: new for new, old in enumerate(kept)}
    ops = tuple(
        Op(op.kind, tuple(place[r] for r in op.reads), op.value, op.body, op.label)
        for op in (program.ops[i] for i in kept)
    )
    return Program(program.args, ops, tuple(place[r] for r in program.outputs))
