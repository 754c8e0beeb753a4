"""Derivatives of a program as a program: from each result back to the arguments (reverse mode).

Every register passes what it counts for the result on to those that it reads, so that all
derivatives of a result cost a few times its value, however many there are. Registers that no
wanted argument moves are left out, and equal registers are one, also of several results.

A rounded quotient is flat: its derivative is 0 (almost everywhere; at a step, too). Of a maximum
or minimum the active branch counts; where k lines tie, each counts 1/k. A `Crossing` in a sum
follows its number of terms where all of them are negative, and is flat elsewhere. A sum has the
derivative of its terms; in an argument that moves its last index other than by rounded quotients
it has none: between whole numbers it is flat, and at each of them it jumps.
"""

from collections.abc import Iterator, Sequence

from sympy import Symbol

from lifesym.codegen.folded import Folded
from lifesym.codegen.program import Op, Program, pruned, trimmed
from lifesym.codegen.reciprocals import shared
from lifesym.errors import SymbolError

_FLAT = frozenset({"const", "ceil", "floor", "cross"})


def differentiated(program: Program, wanted: Sequence[int]) -> Program:
    """The program with the derivatives of its results in some of its arguments.

    Args:
        program: registers of values.
        wanted: places of arguments.

    Returns:
        A program whose outputs are those of the given one and then, result by result, the
        derivatives in the wanted arguments.

    Raises:
        SymbolError: a sum's last index moves with a wanted argument.
    """
    made = _Slopes(program, wanted)
    zero = made.const(0)
    slopes = [made.slopes(register) for register in program.outputs]
    outputs = (*program.outputs, *(each.get(i, zero) for each in slopes for i in wanted))
    return pruned(shared(pruned(Program(program.args, tuple(made.ops), outputs))))


class _Slopes(Folded):
    """A program's registers, and after them those of derivatives."""

    def __init__(self, program: Program, wanted: Sequence[int]) -> None:
        super().__init__()
        self.ops = list(program.ops)
        for i, op in enumerate(program.ops):
            self.known.setdefault(op, i)
        self.place = {op.value: i for i, op in enumerate(program.ops) if op.kind == "arg"}
        self.moved: list[frozenset[int]] = []
        for i in range(len(program.ops)):
            self.moved.append(self._movers(i, frozenset(wanted)))
        self.found: dict[int, dict[int, int]] = {}
        self.loops: dict[int, dict[int, int]] = {}

    def _movers(self, i: int, wanted: frozenset[int]) -> frozenset[int]:
        """The wanted arguments that a register may have a derivative in."""
        op = self.ops[i]
        if op.kind == "arg":
            return wanted & {int(op.value or 0)}
        if op.kind in _FLAT:
            return frozenset()
        reads = op.reads[1:] if op.kind == "pick" else op.reads
        if op.kind == "rest":
            reads = op.reads[:2]
        return frozenset().union(*(self.moved[r] for r in reads))

    def slopes(self, register: int) -> dict[int, int]:
        """The registers of a register's derivatives, by argument; those that are 0 are left out."""
        if register not in self.found:
            self.found[register] = self._slopes(register)
        return self.found[register]

    def _slopes(self, register: int) -> dict[int, int]:
        counts, found = {register: self.const(1)}, {}
        for i in range(register, -1, -1):
            if i not in counts or not self.moved[i]:
                continue
            op, count = self.ops[i], counts[i]
            if op.kind == "arg":
                found[int(op.value or 0)] = count
                continue
            for read, part in self._parts(i, op, count):
                before = counts.get(read)
                counts[read] = part if before is None else self.pair("add", before, part)
        return {i: count for i, count in found.items() if self.number(count) != 0}

    def _parts(self, i: int, op: Op, count: int) -> Iterator[tuple[int, int]]:
        """What a register counts, shared out among those that it reads and that move."""
        if op.kind in ("max", "min"):
            shares = self._branches(op)
        elif op.body:
            shares = ((self.place[k], slope) for k, slope in self._loop(i, op, op.body).items())
        elif op.kind == "pick":
            yield from self._picked(op, count)
            return
        elif op.kind == "div":
            above, below = op.reads
            part = self.quotient(count, below)
            if self.moved[above]:
                yield above, part
            if self.moved[below]:
                yield below, self.negative(self.pair("mul", i, part))
            return
        else:
            shares = self._smooth(i, op)
        for read, share in shares:
            yield read, self.pair("mul", count, share)

    def _smooth(self, i: int, op: Op) -> Iterator[tuple[int, int]]:
        """Derivatives of a sum, a difference, a product, a power, a logarithm."""
        one = self.const(1)
        a, b = op.reads[0], op.reads[-1]
        if op.kind == "mul":
            parts = {0: b, 1: a}
        elif op.kind == "add":
            parts = {0: one, 1: one}
        elif op.kind == "rest":
            parts = {0: one, 1: self.const(-1)}
        elif op.kind == "log":
            parts = {0: self.quotient(one, a)}
        else:
            parts = {}
            if self.moved[a]:
                parts[0] = self.pair("mul", b, self.power(a, self.pair("add", self.const(-1), b)))
            if self.moved[b]:
                parts[1] = self.pair("mul", i, self.put(Op("log", (a,))))
        yield from ((op.reads[k], part) for k, part in parts.items() if self.moved[op.reads[k]])

    def _picked(self, op: Op, count: int) -> Iterator[tuple[int, int]]:
        condition, yes, no = op.reads
        zero = self.const(0)
        if self.moved[yes]:
            yield yes, self.put(Op("pick", (condition, count, zero)))
        if self.moved[no]:
            yield no, self.put(Op("pick", (condition, zero, count)))

    def _branches(self, op: Op) -> Iterator[tuple[int, int]]:
        """The share of each line of a maximum or minimum, nested ones taken together."""
        crossing = self._crossing(op)
        if crossing:
            count, (negative, step) = crossing  # of a line p + step*i the first value is -negative
            end = self.pair("mul", step, self.pair("add", self.const(-1), count))
            below = self.pair("add", negative, self.negative(end))
            yield count, self.active(below, self.const(0))
            return
        lines = list(dict.fromkeys(self._lines(op)))
        if len(lines) == 1:
            yield lines[0], self.const(1)
            return
        heights = lines if op.kind == "max" else [self.negative(line) for line in lines]
        shares: list[int] = []
        for k, line in enumerate(lines):
            if not self.moved[line]:
                continue
            if len(shares) == len(lines) - 1:  # what the others leave
                others = self.chain("add", shares)
                share = self.pair("add", self.const(1), self.negative(others))
            else:
                share = self.active(heights[k], *heights[:k], *heights[k + 1 :])
            shares.append(share)
            yield line, share

    def _lines(self, op: Op) -> Iterator[int]:
        for read in op.reads:
            inner = self.ops[read]
            if inner.kind == op.kind and self._crossing(inner) is None:
                yield from self._lines(inner)
            else:
                yield read

    def _crossing(self, op: Op) -> tuple[int, tuple[int, ...]] | None:
        """Of min(n, max(0, cross)): n, and what is divided for the index of the crossing.

        Both are whole numbers, often the same one: which is smaller does not say which counts.
        """
        for count, clipped in (op.reads, op.reads[::-1]) if op.kind == "min" else ():
            if self.ops[clipped].kind == "max":
                for read in self.ops[clipped].reads:
                    if self.ops[read].kind == "cross":
                        return count, self.ops[read].reads
        return None

    def _loop(self, i: int, op: Op, body: Program) -> dict[int, int]:
        """Derivatives of a sum, by argument: each a sum of the derivatives of its terms."""
        if i in self.loops:
            return self.loops[i]
        last, *given = op.reads
        if self.moved[last]:
            raise SymbolError("a sum without a closed form has no derivative in its bounds")
        inner = _Slopes(body, [k for k, read in enumerate(given, 1) if self.moved[read]])
        terms = inner.slopes(body.outputs[0])
        made: dict[int, int] = {}
        for wanted in sorted(self.moved[i]):
            args, reads = list(body.args), list(op.reads)
            parts = []
            for k, slope in terms.items():
                outer = self.slopes(given[k - 1]).get(wanted)
                if outer is None:
                    continue
                number = self.number(outer)
                if number is not None:
                    parts.append(inner.pair("mul", inner.const(number), slope))
                    continue
                if outer not in reads[1:]:
                    args.append(Symbol(f"slope_{outer}"))
                    reads.append(outer)
                place = inner.put(Op("arg", (), reads.index(outer, 1)))
                parts.append(inner.pair("mul", place, slope))
            if parts:
                total = inner.chain("add", parts)
                whole = Program(tuple(args), tuple(inner.ops), (total,))
                made[wanted] = self._summed(whole, reads)
        self.loops[i] = made
        return made

    def _summed(self, body: Program, reads: Sequence[int]) -> int:
        """The register of a sum; what its terms do not need is not read."""
        body, kept = trimmed(shared(pruned(body)))
        return self.put(Op("sum", tuple(reads[k] for k in kept), body=body))
