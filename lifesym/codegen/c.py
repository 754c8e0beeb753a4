"""C99: a header for embedded use."""

import re
from collections.abc import Sequence

from sympy import Symbol

from lifesym.codegen.program import Program
from lifesym.codegen.ranges import DOUBLE, FLOAT, Box
from lifesym.codegen.reserved import reserved
from lifesym.codegen.scaling import fitted
from lifesym.codegen.text import C_DOUBLE, C_FLOAT, write
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE


def identifier(name: str, what: str) -> str:
    """A name that is valid in every target.

    Raises:
        SymbolError: not a C identifier, a reserved word, or one of the emitter's own names.
    """
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name)
        or re.fullmatch(r"t\d+", name)
    ):
        raise SymbolError(f"{what} {name!r} is not a plain identifier of at most 31 characters")
    if reserved(name):
        raise SymbolError(f"{what} {name!r} is a reserved word of a target language")
    return name


def header(
    program: Program,
    name: str,
    names: list[str],
    *,
    doc: list[str],
    box: Box,
    single: bool,
) -> str:
    """A header with one static inline function; ``NAME_CHECKED`` makes it check its ranges.

    Raises:
        SymbolError: an argument without a range, or a value that leaves the format in the box.
    """
    language, kind = (C_FLOAT, FLOAT) if single else (C_DOUBLE, DOUBLE)
    program, bound = fitted(program, box, kind)
    text = write(program, names, language)
    real, guard = kind.name, f"LIFESYM_{name.upper()}_H"
    lines = [
        *doc,
        f"{bound} for arguments in these ranges.",
        f"With {name.upper()}_CHECKED defined, arguments outside them give a quiet NaN.",
    ]
    checks = [
        f"    if (!({names[i]} >= {_real(low, single)} && {names[i]} <= {_real(high, single)})) "
        "return NAN;"
        for i, (low, high) in enumerate(box[symbol] for symbol in program.args)
    ]
    body = [
        f"#ifndef {guard}",
        f"#define {guard}",
        "#include <math.h>",
        "",
        *comment(lines),
        f"static inline {real} {name}({', '.join(f'const {real} {each}' for each in names)})",
        "{",
        f"#ifdef {name.upper()}_CHECKED",
        *checks,
        "#endif",
        *(f"    {line}" for line in text.statements),
        *(f"    (void){each};" for each in _unused(program, names)),
        f"    return {text.results[0]};",
        "}",
        "",
        "#endif",
    ]
    return "\n".join(body) + "\n"


def describe(symbols: tuple[Symbol, ...], names: list[str], box: Box) -> list[str]:
    """A line for every argument: name, meaning, unit, range."""
    lines = []
    for symbol, name in zip(symbols, names, strict=True):
        row = TABLE[symbol]
        line = f"{name}: {row.meaning} ({row.unit})"
        if symbol in box:
            low, high = box[symbol]
            line += f", {low:g} to {high:g}"
        lines.append(line)
    return lines


def _unused(program: Program, names: list[str]) -> list[str]:
    uses = program.uses()
    return [
        names[int(op.value or 0)]
        for i, op in enumerate(program.ops)
        if op.kind == "arg" and not uses[i]
    ]


def _real(value: float, single: bool) -> str:
    text = repr(float(value))
    return f"{text}F" if single else text


def comment(lines: Sequence[str]) -> list[str]:
    """Lines as a block comment of C or JavaScript: no line ends it, or looks like another."""
    clean = [each for line in lines for each in line.splitlines()]
    for sign in ("*/", "/*", "??"):
        clean = [" ".join(sign).join(line.split(sign)) for line in clean]
    return ["/*", *(f" * {line}".rstrip().rstrip("\\") for line in clean), " */"]
