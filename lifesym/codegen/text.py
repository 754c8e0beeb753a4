"""Programs as source text: all languages share one emitter.

A register that is read once is written in place; the others, the operands of comparisons, and what
would make a line too long get a name. No operation is written twice. A long sum has a line for each
of its terms, in the order in which they are added: a + (b + (c + d)) is c + d + b + a, to the bit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count

from lifesym.codegen import lines
from lifesym.codegen.lines import LONG
from lifesym.codegen.program import Op, Program
from lifesym.codegen.spelling import Language

_SIGNS = {"mul": "*", "div": "/", "rest": "-"}
_TERM = 72
"""Columns of what is written in place."""


@dataclass(frozen=True)
class Text:
    """Lines of statements, and the expressions of the results, a line each."""

    statements: tuple[str, ...]
    results: tuple[str, ...]


def write(program: Program, names: list[str], language: Language) -> Text:
    """The program in a language, its arguments called by the given names."""
    return Text(*_Writer(program, names, language).write())


class _Writer:
    def __init__(
        self,
        program: Program,
        names: list[str],
        language: Language,
        outer: "_Writer | None" = None,
    ) -> None:
        self.program, self.language, self.names = program, language, names
        self.numbers: Iterator[int] = outer.numbers if outer else count()
        self.taken: set[str] = outer.taken if outer else {*names}
        self.texts: list[str] = []
        self.sums: dict[int, list[int]] = {}
        self.uses = program.uses()
        compared = {r for op in program.ops for r in _compared(op)}
        if language.wrapped:
            compared |= {r for op in program.ops if op.kind in ("pow", "pick") for r in op.reads}
            calls = ("ceil", "floor", "cross")
            compared |= {i for i, op in enumerate(program.ops) if op.kind in calls}
        self.named = [
            bool(op.reads)
            and not op.body
            and (
                language.stepwise
                or self.uses[i] > 1
                or i in compared
                or bool(language.comment and op.label and op.label.of == "time")
            )
            for i, op in enumerate(program.ops)
        ]
        self.may, self.must = _undefined(program)

    def write(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        statements = tuple(self._lines())
        return statements, tuple(_bare(self.texts[r]) for r in self.program.outputs)

    def _lines(self) -> Iterator[str]:
        for i, op in enumerate(self.program.ops):
            if op.body:
                total = self._name()
                yield from self._loop(op.body, total, *(self.texts[r] for r in op.reads))
                self.texts.append(total)
                continue
            if op.kind == "add":
                self.sums[i] = self._terms(*op.reads)
            self.texts.append(self._text(op, i))
            if op.reads and not self.language.stepwise:
                yield from self._shortened(i, op)
            if self.named[i]:
                yield from self._statement(i)
        for r in self.program.outputs:
            if r in self.sums and (len(self.texts[r]) > LONG or any(self._said(r))):
                yield from self._statement(r, "total")

    def _terms(self, a: int, b: int) -> list[int]:
        """Those of a sum: one of the two that is a sum itself, written in place, and the other.

        Of two others a number below zero comes last, where it is taken away.
        """
        for first, last in ((a, b), (b, a)):
            if first in self.sums:
                return [*self.sums.pop(first), last]
        number = self.program.constant(a)
        return [b, a] if number is not None and number < 0 else [a, b]

    def _shortened(self, i: int, op: Op) -> Iterator[str]:
        """Names for operands, the longest first, until what is written in place fits a line."""
        parts = self.sums.get(i, op.reads)
        while True:
            longest = max(parts, key=lambda r: len(self.texts[r]))
            text = self.texts[longest] if i in self.sums else self.texts[i]
            if len(text) <= _TERM or not self._in_place(longest):
                return
            yield from self._statement(longest)
            self.texts[i] = self._text(op, i)

    def _in_place(self, register: int) -> bool:
        """Whether an operation is written in place."""
        return bool(self.program.ops[register].reads) and not self.named[register]

    def _statement(self, i: int, base: str = "") -> Iterator[str]:
        """A register's name, and what it is."""
        language, label = self.language, self.program.ops[i].label
        said = ""
        if label and language.comment:
            one = label.of == "time" or self.uses[i] == 1
            base = base or (f"{_identifier(label.operators[0])}_{label.of}" if one else "")
            several = label.operators != (_identifier(label.operators[0]),)
            said = ", ".join(label.operators) if label.of == "time" and several else ""
        name = self._free(base) if base else self._name()
        head = f"{language.declare}{name} = "
        comments = self._said(i)
        text = head + _bare(self.texts[i]) + language.end
        if len(text) > LONG and (choice := self._choice(self.program.ops[i])):
            tall = f"{head}{language.tall.format(*choice)}{language.end}".split("\n")
            yield from lines.commented(language, tall[0], said, before=True)
            yield from tall[1:]
        elif i not in self.sums or (len(text) <= LONG and not any(comments)):
            yield from lines.commented(language, text, said, before=language.wrapped)
        else:
            terms = list(map(self._term, self.sums[i]))
            yield from lines.summed(language, head, terms, comments)
        self.sums.pop(i, None)
        self.texts[i], self.named[i] = name, True

    def _said(self, i: int) -> list[str]:
        """Comments of the terms of a sum that are written in place."""
        said = []
        for r in self.sums.get(i, ()):
            label = self.program.ops[r].label
            shown = label and self.language.comment and self._in_place(r)
            said.append(f"{', '.join(label.operators)}: {label.of}" if label and shown else "")
        return said

    def _name(self) -> str:
        return f"t{next(self.numbers)}"

    def _free(self, base: str) -> str:
        """A name that nothing else has."""
        name = next(n for k in count() if (n := f"{base}{k or ''}") not in self.taken)
        self.taken.add(name)
        return name

    def _loop(self, body: Program, total: str, last: str, *given: str) -> Iterator[str]:
        """A sum in a variable, compensated (Kahan); NaN where the last index is not finite."""
        language, end = self.language, self.language.end
        lost, index, step, raised = (self._name() for _ in range(4))
        zero, one = (language.literal(Fraction(n)) for n in (0, 1))
        condition = language.goes_on.format(index, last, total)
        inner = _Writer(body, [index, *given], language, self)
        statements = tuple(inner._lines())
        value = inner.texts[body.outputs[0]]
        if "max" in language.functions:  # NumPy: points that have ended add nothing
            value = language.ternary.format(condition, value, zero)
        yield f"{language.variable}{total} = {last} - {last}{end}"
        yield f"{language.variable}{lost} = {zero}{end}"
        yield f"{language.variable}{index} = {zero}{end}"
        yield language.loop[0].format(condition)
        for line in (
            *statements,
            f"{language.declare}{step} = {value} - {lost}{end}",
            f"{language.declare}{raised} = {total} + {step}{end}",
            f"{lost} = ({raised} - {total}) - {step}{end}",
            f"{total} = {raised}{end}",
            f"{index} = {index} + {one}{end}",
        ):
            yield f"{language.indent}{line}"
        if language.loop[1]:
            yield language.loop[1]

    def _text(self, op: Op, i: int) -> str:
        """An operation as an operand of others."""
        if op.kind == "const":
            return self.language.literal(
                op.value if isinstance(op.value, Fraction) else Fraction(0)
            )
        if op.kind == "arg":
            return self.names[int(op.value or 0)]
        parts = [self.texts[r] for r in op.reads]
        choose, call = self.language.ternary.format, self.language.functions
        if op.kind == "add":
            return f"({lines.joined([*map(self._term, self.sums[i])])})"
        if op.kind in _SIGNS:
            return f"({parts[0]} {_SIGNS[op.kind]} {parts[1]})"
        if choice := self._choice(op):
            return self.language.ternary.format(*choice)
        if op.kind in ("max", "min"):  # NumPy's
            return f"{call[op.kind]}({', '.join(parts)})"
        if op.kind in ("ceil", "floor"):
            return f"{call[op.kind]}({parts[0]} / {parts[1]})"
        if op.kind == "cross":
            zero, one = (self.language.literal(Fraction(n)) for n in (0, 1))
            return f"{call['ceil']}({parts[0]} / {choose(f'{parts[1]} > {zero}', parts[1], one)})"
        return f"{call[op.kind]}({', '.join(map(self._argument, op.reads))})"

    def _argument(self, register: int) -> str:
        """An operand between commas or the signs of a choice."""
        choice = self.program.ops[register].kind in ("max", "min", "pick")
        keeps = choice and not self.language.blocks
        return self.texts[register] if keeps else _bare(self.texts[register])

    def _term(self, register: int) -> str:
        """An operand of a sum."""
        product = self.program.ops[register].kind in ("mul", "div")
        bare = product and self._in_place(register) and not self.language.wrapped
        return _bare(self.texts[register]) if bare else self.texts[register]

    def _choice(self, op: Op) -> tuple[str, str, str] | None:
        """What is chosen between, and the condition of the first.

        The larger or smaller of two is undefined (NaN) where one of them is: a comparison with NaN
        is false and gives the second, which has to be the one that is NaN.
        """
        if op.kind == "pick":
            condition, a, b = map(self._argument, op.reads)
            return f"{condition} > {self.language.literal(Fraction(0))}", a, b
        if op.kind not in ("max", "min") or op.kind in self.language.functions:
            return None
        sign = ">" if op.kind == "max" else "<"
        first, second = op.reads
        a, b = self.texts[first], self.texts[second]
        if self.may[first] <= self.must[second]:
            return f"{a} {sign} {b}", a, b
        if self.may[second] <= self.must[first]:
            return f"{b} {sign} {a}", b, a
        return f"{a} {sign} {b} {self.language.either} {a} != {a}", a, b


def _identifier(operator: str) -> str:
    return re.sub(r"\W+", "_", operator).strip("_")[:24] or "operator"


def _bare(text: str) -> str:
    """Without parentheses around all of it."""
    if not text.startswith("("):
        return text
    depth = 0
    for i, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return text[1:-1] if i == len(text) - 1 else text
    return text


def _undefined(program: Program) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
    """For every register the arguments that may make it NaN, and those that surely do."""
    may: list[frozenset[int]] = []
    must: list[frozenset[int]] = []
    for op in program.ops:
        own = frozenset({int(op.value or 0)} if op.kind == "arg" else ())
        may.append(own.union(*(may[r] for r in op.reads)))
        if op.kind == "pick":
            must.append(must[op.reads[1]] & must[op.reads[2]])
        elif op.kind == "pow":
            must.append(frozenset())  # pow(1, NaN) is 1
        elif op.kind == "power":
            must.append(must[op.reads[1]])  # pow(NaN, 0) is 1
        elif op.body:
            must.append(must[op.reads[0]])  # there may be no terms
        else:
            must.append(own.union(*(must[r] for r in op.reads)))
    return may, must


def _compared(op: Op) -> tuple[int, ...]:
    """Registers that a statement mentions more than once."""
    if op.kind in ("max", "min") or op.body:
        return op.reads
    if op.kind == "cross":
        return op.reads[1:]
    return op.reads[:1] if op.kind == "pick" else ()
