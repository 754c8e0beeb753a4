"""What a function costs on a core: bytes of flash and cycles, operation by operation.

A model, from figures of a few functions of one operation each (``specs/cores.toml``): software
floats are routines that are in flash once and take a mean number of instructions; a cycle is an
instruction, but for those that the core waits for. Waits for memory and for branches are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log2
from typing import Any

import numpy as np

from lifesym.codegen import blocked
from lifesym.codegen.program import Program
from lifesym.codegen.ranges import Box
from lifesym.errors import one_of
from lifesym.specs import convert, read_toml, root

_PARTS: Mapping[str, tuple[str, ...]] = {
    "max": ("compare",),
    "min": ("compare",),
    "pick": ("compare",),
    "rest": ("sub",),
    "ceil": ("div", "round"),
    "floor": ("div", "round"),
    "cross": ("compare", "div", "round"),
    "power": ("compare", "compare", "sub"),  # software takes 2**31 away to make a count of it
}
"""Operations of a program that are others of a core."""
_STEP = ("mul", "mul", "compare")
"""What a power by squarings does for every binary digit of its exponent."""
_TERM = ("add", "add", "add", "add", "add", "compare", "compare")
"""What a loop does for every term besides its body."""


@dataclass(frozen=True)
class Operation:
    """One operation: its instructions, bytes where it stands, cycles more, routines it calls."""

    instructions: int
    code: int
    waits: int = 0
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lookup:
    """A table's function: instructions of a step, an axis and an interpolation, and its bytes.

    ``split`` is what an argument that is taken in pieces costs besides.
    """

    step: int
    axis: int
    mix: int
    shell: int
    side: int
    corner: int
    split: Operation
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Core:
    """What operations cost.

    Attributes:
        what: the core in words.
        source: of the figures.
        routines: bytes of the library's functions.
        double: operations in double precision.
        single: in single precision.
        tables: the two kinds of tables, in single precision (``float``) and integers (``fixed``).
    """

    what: str
    source: str
    routines: Mapping[str, int]
    double: Mapping[str, Operation]
    single: Mapping[str, Operation]
    tables: Mapping[str, Lookup]


@dataclass(frozen=True)
class Cost:
    """What a function takes: bytes of flash, and instructions and cycles of a call."""

    flash: int
    instructions: int
    cycles: int

    def __str__(self) -> str:
        return f"{self.flash} bytes and {self.cycles} cycles"


@cache
def cores() -> Mapping[str, Core]:
    """The cores of ``specs/cores.toml`` by name."""
    path = root() / "cores.toml"
    return {
        name: convert(table, Core, f"{path.name}: {name}")
        for name, table in read_toml(path).items()
    }


def core_named(name: Any) -> Core:
    """A core by its name.

    Raises:
        SymbolError: none of that name.
    """
    one_of(name, cores(), "core")
    return cores()[name]


def formula_cost(program: Program, on: Core, single: bool, box: Box) -> Cost:
    """A formula's; a loop has as many terms as in the middle of the ranges."""
    operations = on.single if single else on.double
    count = _Count(operations)
    count.add("call")
    count.program(program, [(low + high) / 2 for low, high in (box[s] for s in program.args)])
    return count.cost(on)


def table_cost(kind: str, sizes: Sequence[int], on: Core, *, split: bool = False) -> Cost:
    """That of a table with so many knots along each axis; of one argument in pieces, if so."""
    lookup = on.tables[kind]
    steps = sum(ceil(log2(max(size - 1, 1))) for size in sizes)
    corners = 2 ** len(sizes)
    instructions = lookup.step * steps + lookup.axis * len(sizes) + lookup.mix * (corners - 1)
    numbers = sum(sizes) + int(np.prod(sizes))
    code = lookup.shell + lookup.side * len(sizes) + lookup.corner * corners
    needs, waits = {*lookup.needs}, 0
    if split:
        instructions, code = instructions + lookup.split.instructions, code + lookup.split.code
        needs, waits = needs.union(lookup.split.needs), lookup.split.waits
    flash = code + 4 * numbers + sum(on.routines[each] for each in needs)
    return Cost(flash, instructions, instructions + waits)


class _Count:
    """Operations added up."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self.operations = operations
        self.code = 0
        self.instructions = self.cycles = 0.0
        self.needs: set[str] = set()

    def add(self, name: str, times: float = 1) -> None:
        """An operation that stands once and runs so many times."""
        operation = self.operations[name]
        self.code += operation.code
        self.instructions += times * operation.instructions
        self.cycles += times * (operation.instructions + operation.waits)
        self.needs.update(operation.needs)

    def program(self, program: Program, point: Sequence[float], times: float = 1) -> None:
        """A program's operations, at the values of its arguments there."""
        every = Program(program.args, program.ops, tuple(range(len(program.ops))))
        values = blocked.evaluate(every, point)
        for op in program.ops:
            for register in op.reads:
                if program.ops[register].kind == "const":
                    self.add("const", times)
            if op.body:
                last, *given = (float(values[register]) for register in op.reads)
                terms = times * max(0, int(last) + 1)
                self.program(op.body, [last / 2, *given], terms)
                for name in _TERM:
                    self.add(name, terms)
            elif op.kind not in ("arg", "const"):
                below = any((program.constant(register) or 0) < 0 for register in op.reads)
                kind = "sub" if op.kind == "add" and below else op.kind
                for name in _PARTS.get(kind, (kind,)):
                    self.add(name, times)
                if kind == "power":
                    steps = int(values[op.reads[1]]).bit_length()
                    for name in _STEP:
                        self.add(name, times * steps)

    def cost(self, on: Core) -> Cost:
        flash = self.code + sum(on.routines[each] for each in self.needs)
        return Cost(flash, round(self.instructions), round(self.cycles))
