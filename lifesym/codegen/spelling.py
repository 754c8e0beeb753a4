"""How languages spell operations: names, signs, choices, loops, comments."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Language:
    """How a language spells things.

    Attributes:
        declare: before the name of a new register.
        end: after a statement.
        ternary: pattern of a choice: condition, then, else.
        tall: that of one over several lines.
        functions: names of ceil, floor, pow and log, and of max and min; comparisons without.
        single: literals in single precision, with the suffix ``F``.
        either: the operator between two conditions.
        variable: before the name of a register that changes in a loop.
        loop: the head of a loop and its end; the head of NumPy's asks for any point.
        goes_on: pattern of the condition under which a loop goes on: index, last, total.
        comment: pattern of a comment at the end of a line; none unless given.
        stepwise: a statement for every operation.
        indent: of lines within others.
        trailing: in a sum over several lines the sign stands at a line's end, not at its beginning.
        around: what stands around such a sum.
        blocks: the sides of a choice are blocks, in which nothing stands in parentheses.
        wrapped: products keep their parentheses in sums, and a call's arguments are names, so that
            Go's formatter takes no blanks out of them.
    """

    declare: str
    end: str
    ternary: str
    functions: dict[str, str]
    single: bool = False
    either: str = "||"
    tall: str = "{0}\n    ? {1}\n    : {2}"
    variable: str = ""
    loop: tuple[str, str] = ("while ({0}) {{", "}")
    goes_on: str = "{0} <= {1} && {2} == {2}"
    comment: str = ""
    stepwise: bool = False
    indent: str = "    "
    trailing: bool = False
    around: tuple[str, str] | None = None
    blocks: bool = False
    wrapped: bool = False

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
    around=("(", ")"),
    tall="(\n    {1}\n    if {0}\n    else {2}\n)",
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
    {
        "ceil": "np.ceil",
        "floor": "np.floor",
        "pow": "np.power",
        "log": "np.log",
        "max": "np.maximum",
        "min": "np.minimum",
    },
    loop=("while np.any({0}):", ""),
    goes_on="({0} <= {1}) & ({2} == {2})",
    around=("(", ")"),
    tall="np.where(\n    {0},\n    {1},\n    {2},\n)",
)
JAVASCRIPT = Language(
    "const ",
    ";",
    "({0} ? {1} : {2})",
    {k: f"Math.{v}" for k, v in _MATH.items()},
    variable="let ",
    indent="  ",
    tall="{0}\n  ? {1}\n  : {2}",
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
    blocks=True,
    tall="if {0} {{\n    {1}\n}} else {{\n    {2}\n}}",
)
GO = Language(
    "var ",
    "",
    "choose({0}, {1}, {2})",
    {"ceil": "math.Ceil", "floor": "math.Floor", "pow": "math.Pow", "log": "math.Log"},
    variable="var ",
    comment=_TO_END,
    loop=("for {0} {{", "}"),
    indent="\t",
    trailing=True,
    wrapped=True,
    tall="choose(\n\t{0},\n\t{1},\n\t{2},\n)",
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
    trailing=True,
    tall="if ({0})\n    {1}\nelse\n    {2}",
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
