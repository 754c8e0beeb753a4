"""Programs as source text: all languages share one emitter.

A register that is read once is written in place; the others, and the operands of comparisons, get
a name. No operation is written twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count

import numpy as np

from lifesym.codegen.program import Op, Program


@dataclass(frozen=True)
class Language:
    """How a language spells things.

    Attributes:
        declare: before the name of a new register.
        end: after a statement.
        ternary: pattern of a choice: condition, then, else.
        functions: names of ceil, floor, pow and log.
        single: literals in single precision, with the suffix ``F``.
        either: the operator between two conditions.
        extrema: names of functions for maximum and minimum; comparisons without.
        variable: before the name of a register that changes in a loop.
        loop: the head of a loop and its end; the head of NumPy's asks for any point.
        goes_on: pattern of the condition under which a loop goes on: index, last, total.
        comment: pattern of a comment at the end of a line; none unless given.
        stepwise: a statement for every operation.
    """

    declare: str
    end: str
    ternary: str
    functions: dict[str, str]
    single: bool = False
    either: str = "||"
    extrema: tuple[str, str] | None = None
    variable: str = ""
    loop: tuple[str, str] = ("while ({0}) {{", "}")
    goes_on: str = "{0} <= {1} && {2} == {2}"
    comment: str = ""
    stepwise: bool = False

    def literal(self, value: Fraction) -> str:
        """A constant: the nearest number of the format, never an integer literal."""
        number = np.float32(float(value)) if self.single else float(value)
        text = repr(float(str(number))) if self.single else repr(number)
        if "e" not in text and "." not in text:
            text += ".0"
        text = f"{text}F" if self.single else text
        return f"({text})" if value < 0 else text


_MATH = {"ceil": "ceil", "floor": "floor", "pow": "pow", "log": "log"}
PYTHON = Language(
    "",
    "",
    "({1} if {0} else {2})",
    _MATH,
    either="or",
    loop=("while {0}:", ""),
    goes_on="{0} <= {1} and {2} == {2}",
)
_IN_C = " /* {} */"
C_DOUBLE = Language(
    "const double ", ";", "({0} ? {1} : {2})", _MATH, variable="double ", comment=_IN_C
)
C_FLOAT = Language(
    "const float ",
    ";",
    "({0} ? {1} : {2})",
    {k: f"{v}f" for k, v in _MATH.items()},
    single=True,
    variable="float ",
    goes_on="{0} <= {1} && {2} == {2} && {0} < 16777216.0F",  # counting ends there
    comment=_IN_C,
)
NUMPY = Language(
    "",
    "",
    "np.where({0}, {1}, {2})",
    {"ceil": "np.ceil", "floor": "np.floor", "pow": "np.power", "log": "np.log"},
    extrema=("np.maximum", "np.minimum"),
    loop=("while np.any({0}):", ""),
    goes_on="({0} <= {1}) & ({2} == {2})",
)
JAVASCRIPT = Language(
    "const ",
    ";",
    "({0} ? {1} : {2})",
    {k: f"Math.{v}" for k, v in _MATH.items()},
    variable="let ",
)
_TO_END = " // {}"
CPP = replace(C_DOUBLE, functions={k: f"math::{v}" for k, v in _MATH.items()}, comment=_TO_END)
RUST = Language(
    "let ",
    ";",
    "(if {0} {{ {1} }} else {{ {2} }})",
    _MATH,
    variable="let mut ",
    comment=_TO_END,
    loop=("while {0} {{", "}"),
)
GO = Language(
    "var ",
    "",
    "choose({0}, {1}, {2})",
    {"ceil": "math.Ceil", "floor": "math.Floor", "pow": "math.Pow", "log": "math.Log"},
    variable="var ",
    comment=_TO_END,
    loop=("for {0} {{", "}"),
)
KOTLIN = Language(
    "val ",
    "",
    "(if ({0}) {1} else {2})",
    {
        "ceil": "kotlin.math.ceil",
        "floor": "kotlin.math.floor",
        "pow": "pow",
        "log": "kotlin.math.ln",
    },
    variable="var ",
    comment=_TO_END,
)
SWIFT = Language(
    "let ",
    "",
    "({0} ? {1} : {2})",
    _MATH,
    variable="var ",
    comment=_TO_END,
    loop=("while {0} {{", "}"),
    stepwise=True,  # the compiler takes long to infer the types of long expressions
)
_SIGNS = {"add": "+", "mul": "*", "div": "/"}


@dataclass(frozen=True)
class Text:
    """Statements, and the expressions of the results."""

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
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.program, self.language = program, language
        self.numbers = count() if numbers is None else numbers
        self.texts: list[str] = []
        self.uses = program.uses()
        compared = {r for op in program.ops for r in _compared(op)}
        self.named = [
            op.kind not in ("const", "arg", "sum")
            and (
                language.stepwise
                or self.uses[i] > 1
                or i in compared
                or bool(language.comment and op.label)
            )
            for i, op in enumerate(program.ops)
        ]
        self.names = names
        self.taken = {*names}
        self.may, self.must = _undefined(program)

    def write(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        statements = tuple(self._statements())
        return statements, tuple(self.texts[r] for r in self.program.outputs)

    def _statements(self) -> Iterator[str]:
        for i, op in enumerate(self.program.ops):
            if op.body:
                text = self._name()
                yield from self._loop(op.body, text, *(self.texts[r] for r in op.reads))
            else:
                text = self._text(op)
            if self.named[i]:
                name, said = self._name(), ""
                if op.label and self.language.comment:
                    name = self._named_for(op.label[0])
                    said = self.language.comment.format(", ".join(op.label))
                yield f"{self.language.declare}{name} = {text}{self.language.end}{said}"
                text = name
            self.texts.append(text)

    def _name(self) -> str:
        return f"t{next(self.numbers)}"

    def _named_for(self, operator: str) -> str:
        """A name for an operator's time that nothing else has."""
        base = re.sub(r"\W+", "_", operator).strip("_")[:24] or "operator"
        name = next(n for k in count() if (n := f"{base}_time{k or ''}") not in self.taken)
        self.taken.add(name)
        return name

    def _loop(self, body: Program, total: str, last: str, *given: str) -> Iterator[str]:
        """A sum in a variable, compensated (Kahan); NaN where the last index is not finite."""
        language, end = self.language, self.language.end
        lost, index, step, raised = (self._name() for _ in range(4))
        zero, one = (language.literal(Fraction(n)) for n in (0, 1))
        condition = language.goes_on.format(index, last, total)
        inner = _Writer(body, [index, *given], language, self.numbers)
        statements, (value,) = inner.write()
        if language.extrema:  # NumPy: points that have ended add nothing
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
            yield f"    {line}"
        if language.loop[1]:
            yield language.loop[1]

    def _text(self, op: Op) -> str:
        if op.kind == "const":
            return self.language.literal(
                op.value if isinstance(op.value, Fraction) else Fraction(0)
            )
        if op.kind == "arg":
            return self.names[int(op.value or 0)]
        parts = [self.texts[r] for r in op.reads]
        choose, call = self.language.ternary.format, self.language.functions
        if op.kind == "rest":
            return f"({parts[0]} - {parts[1]})"
        if op.kind in _SIGNS:
            return f"({parts[0]} {_SIGNS[op.kind]} {parts[1]})"
        if op.kind in ("max", "min"):
            return self._extremum(op, *parts)
        if op.kind in ("ceil", "floor"):
            return f"{call[op.kind]}({parts[0]} / {parts[1]})"
        if op.kind == "cross":
            zero, one = (self.language.literal(Fraction(n)) for n in (0, 1))
            return f"{call['ceil']}({parts[0]} / {choose(f'{parts[1]} > {zero}', parts[1], one)})"
        if op.kind == "pick":
            zero = self.language.literal(Fraction(0))
            return choose(f"{parts[0]} > {zero}", parts[1], parts[2])
        return f"{call[op.kind]}({', '.join(parts)})"

    def _extremum(self, op: Op, a: str, b: str) -> str:
        """The larger or smaller of two, undefined (NaN) where one of them is.

        A comparison with NaN is false and gives the second: that is the one to be NaN.
        """
        if self.language.extrema:
            return f"{self.language.extrema[op.kind == 'min']}({a}, {b})"
        sign = ">" if op.kind == "max" else "<"
        first, second = op.reads
        if self.may[first] <= self.must[second]:
            return self.language.ternary.format(f"{a} {sign} {b}", a, b)
        if self.may[second] <= self.must[first]:
            return self.language.ternary.format(f"{b} {sign} {a}", b, a)
        both = f"{a} {sign} {b} {self.language.either} {a} != {a}"
        return self.language.ternary.format(both, a, b)


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
