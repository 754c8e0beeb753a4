"""C99: a header for embedded use."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from math import isinf

from sympy import Symbol

from lifesym.codegen.plain_math import C
from lifesym.codegen.program import Program
from lifesym.codegen.ranges import DOUBLE, FLOAT, Box, ErrorBound
from lifesym.codegen.scaling import fitted
from lifesym.codegen.spelling import C_DOUBLE, C_FLOAT, Language
from lifesym.codegen.squarings import MOST
from lifesym.codegen.text import write
from lifesym.errors import SymbolError
from lifesym.symbols import TABLE

USEFUL = 0.01
"""The largest part of a result that a stated bound of its error may be."""
_MANY = 100.0


def header(
    program: Program,
    name: str,
    names: list[str],
    *,
    doc: list[str],
    box: Box,
    single: bool,
    fields: Sequence[str] = (),
) -> str:
    """A header with one static inline function; ``NAME_CHECKED`` makes it check its ranges.

    With a range of every argument its comment has a proved bound of the arithmetic's error, one for
    each of several results, which are the ``fields`` of a struct.

    Raises:
        SymbolError: an argument without a range in single precision, or a value that leaves the
            format in the box.
    """
    language, kind = (C_FLOAT, FLOAT) if single else (C_DOUBLE, DOUBLE)
    missing = [symbol for symbol in program.args if symbol not in box]
    if not missing or single:  # a constant may leave single precision: nothing is left unproved
        program, proved = fitted(program, box, kind)
        for each in proved:
            _check(each, kind.name)
        whose = [f"{field}: " for field in fields] or [""]
        said = [f"{who}{each}" for who, each in zip(whose, proved, strict=True)]
        bounds = [f"{each} for arguments in these ranges." for each in said]
    else:
        words = ", ".join(TABLE[symbol].word for symbol in missing)
        bounds = [f"No bound of the arithmetic's error is proved without a range of {words}."]
    named = replace(language, functions=language.functions | {"power": f"{name}_power"})
    text = write(program, names, named)
    real = kind.name
    power = any(op.kind == "power" for op in program.ops)
    if power:
        bounds.append("Exponents of powers count: a fraction of one is dropped.")
    lines = [
        *doc,
        *bounds,
        f"With {name.upper()}_CHECKED defined, arguments outside their ranges give a quiet NaN.",
    ]
    kept = f"{name}_results" if fields else real
    fails = f"({kept}){{{', '.join('NAN' for _ in fields)}}}" if fields else "NAN"
    given = [f"    return {text.results[0]};"]
    if fields:
        pairs = zip(fields, text.results, strict=True)
        given = [
            f"    {kept} results;",
            *(f"    results.{field} = {value};" for field, value in pairs),
            "    return results;",
        ]
    checks = [
        f"    if (!({names[i]} >= {_real(box[symbol][0], single)} && "
        f"{names[i]} <= {_real(box[symbol][1], single)})) return {fails};"
        for i, symbol in enumerate(program.args)
        if symbol in box
    ]
    body = [
        "#include <math.h>",
        "",
        *comment(lines),
        *([f"typedef struct {{ {real} {', '.join(fields)}; }} {kept};"] if fields else []),
        *(_power(name, real, language) if power else []),
        f"static inline {kept} {name}({', '.join(f'const {real} {each}' for each in names)})",
        "{",
        f"#ifdef {name.upper()}_CHECKED",
        *checks,
        "#endif",
        *(f"    {line}" for line in text.statements),
        *(f"    (void){each};" for each in _unused(program, names)),
        *given,
        "}",
    ]
    return guarded(name, body)


def _power(name: str, real: str, language: Language) -> list[str]:
    numbers = {"zero": 0, "one": 1, "most": MOST}
    spelt = {key: language.literal(Fraction(number)) for key, number in numbers.items()}
    return [*C["power"].strip("\n").format(name=name, real=real, **spelt).split("\n"), ""]


def guarded(name: str, body: Sequence[str]) -> str:
    """A header that may be included again, with a guard of its own.

    It is made of the text: of two headers with a function of one name neither vanishes silently,
    but the compiler refuses the second definition.
    """
    text = "\n".join(body)
    guard = f"LIFESYM_{name.upper()}_{sha256(text.encode()).hexdigest()[:12].upper()}_H"
    return f"#ifndef {guard}\n#define {guard}\n{text}\n\n#endif\n"


def unguarded(header: str) -> str:
    """What a header has between its guards, to stand in another one."""
    return header.split("\n", 2)[2].removesuffix("\n\n#endif\n")


def _check(bound: ErrorBound, name: str) -> None:
    """Refuse a bound that says nothing.

    Raises:
        SymbolError: it is more than a hundredth of the result somewhere.
    """
    if bound.share <= USEFUL:
        return
    size = f"{100 * bound.share:.3g} %" if bound.share < _MANY else "many times the size"
    other = "give none, for a function without a bound" if name == "double" else "take double"
    raise SymbolError(
        f"the bound of the arithmetic's error in {name}, {bound.value:.2g}, is {size} of the "
        f"result somewhere in these ranges: narrow them, or {other}"
    )


def describe(symbols: tuple[Symbol, ...], names: list[str], box: Box) -> list[str]:
    """A line for every argument: name, meaning, unit, and its range or what it can be at all."""
    lines = []
    for symbol, name in zip(symbols, names, strict=True):
        row = TABLE[symbol]
        line = f"{name}: {row.meaning} ({row.unit})"
        if symbol in box:
            low, high = box[symbol]
            line += f", at least {low:g}" if isinf(high) else f", {low:g} to {high:g}"
        else:
            line += ", above 0" if row.minimum is None else f", at least {row.minimum}"
            line += "" if row.maximum is None else f", at most {row.maximum}"
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
