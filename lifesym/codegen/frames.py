"""What stands around a program in C++, Rust, Go, Kotlin, Swift: comment, head, checks, result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from textwrap import indent

from lifesym.codegen import c, plain_math
from lifesym.codegen.python import between


@dataclass(frozen=True)
class Parts:
    """What a language puts its frame around.

    Attributes:
        name: of the function, as the language spells it.
        values: of the type of several values.
        names: the arguments'.
        unused: those that nothing depends on.
        bounds: arguments that are checked: name, smallest, largest.
        doc: lines of its comment.
        statements: those of the program.
        results: its expressions, by name; one alone has none.
        meanings: what each of several is.
        called: the functions of `lifesym.codegen.spelling.Language` that are called.
    """

    name: str
    values: str
    names: Sequence[str]
    unused: Sequence[str]
    bounds: Sequence[tuple[str, float, float]]
    doc: Sequence[str]
    statements: Sequence[str]
    results: Mapping[str, str]
    meanings: Sequence[str]
    called: Sequence[str]

    @property
    def several(self) -> bool:
        """Whether its results have names."""
        return "" not in self.results

    def arguments(self, pattern: str) -> str:
        """The arguments, each in a pattern."""
        return ", ".join(map(pattern.format, self.names))

    def fields(self, pattern: str) -> list[str]:
        """The results: name, expression and meaning in a pattern."""
        results = zip(self.results.items(), self.meanings, strict=True)
        return [pattern.format(name, text, meaning) for (name, text), meaning in results]

    def checks(self, both: str, above: str, refuse: Callable[[str, str], str]) -> list[str]:
        """A statement for every argument that is checked.

        Args:
            both: pattern of a condition with two ends: name, smallest, largest.
            above: of one without a largest.
            refuse: the statement, from the condition that must hold and what to say.
        """
        return [
            refuse(
                (above if isinf(high) else both).format(name, repr(low), repr(high)),
                f"{name} must be {between(low, high)}",
            )
            for name, low, high in self.bounds
        ]


def _inside(lines: Sequence[str], by: str = "    ") -> list[str]:
    return [indent(line, by) for line in lines]


def cpp(parts: Parts) -> str:
    """A header with a function that may be constant; its helpers are a class inside it."""
    helpers = "".join(plain_math.CPP[name] for name in _needed(parts.called)).strip("\n")
    includes = ["#include <limits>"] if "log(" in helpers else []
    includes += ["#include <stdexcept>"] if parts.bounds else []
    kind = parts.values if parts.several else "double"
    results = ", ".join(parts.results.values())
    body = [
        *includes,
        *([""] if includes else []),
        *(
            [f"struct {kind} {{", *_inside(parts.fields("double {0};  ///< {2}")), "};", ""]
            if parts.several
            else []
        ),
        *(f"/// {line}".rstrip() for line in parts.doc),
        f"constexpr {kind} {parts.name}({parts.arguments('const double {0}')})",
        "{",
        *(["    struct math {", *_inside([helpers], " " * 8), "    };"] if helpers else []),
        *_inside(
            [
                *parts.checks(
                    "{0} >= {1} && {0} <= {2}",
                    "{0} >= {1}",
                    lambda holds, said: f'if (!({holds}))\n    throw std::out_of_range("{said}");',
                ),
                *parts.statements,
                *(f"static_cast<void>({name});" for name in parts.unused),
                f"return {{{results}}};" if parts.several else f"return {results};",
            ]
        ),
        "}",
    ]
    return c.guarded(parts.name, body)


def _needed(called: Sequence[str]) -> list[str]:
    """Functions of `plain_math`, with those that they call."""
    return list(dict.fromkeys(name for each in called for name in plain_math.NEEDS[each]))


def rust(parts: Parts) -> str:
    """A function, its helpers inside it, that gives a ``Result`` where arguments are checked."""
    helpers = "".join(plain_math.RUST[name] for name in _needed(parts.called)).strip("\n")
    values = [f"{parts.values} {{", *_inside(parts.fields("{0}: {1},")), "}"]
    value = "\n".join(values) if parts.several else parts.results[""]
    kind = parts.values if parts.several else "f64"
    given = f"Result<{kind}, &'static str>" if parts.bounds else kind
    lines = [
        *(
            [
                "/// Values of the function below.",
                "#[derive(Clone, Copy, Debug, PartialEq)]",
                f"pub struct {kind} {{",
                *_inside(parts.fields("/// {2}\npub {0}: f64,")),
                "}",
                "",
            ]
            if parts.several
            else []
        ),
        *(f"/// {line}".rstrip() for line in parts.doc),
        *(
            ["///", "/// # Errors", "///", "/// An argument outside its range."]
            if parts.bounds
            else []
        ),
        "#[allow(clippy::all, non_snake_case)]",
        f"pub fn {parts.name}({parts.arguments('{0}: f64')}) -> {given} {{",
        *_inside(
            [
                *([helpers] if helpers else []),
                *parts.checks(
                    "({1}..={2}).contains(&{0})",
                    "({1}..).contains(&{0})",
                    lambda holds, said: f'if !{holds} {{\n    return Err("{said}");\n}}',
                ),
                *parts.statements,
                *(f"let _ = {name};" for name in parts.unused),
                f"Ok({value})" if parts.bounds else value,
            ]
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def go(parts: Parts) -> str:
    """A file of a package; an error where arguments are checked. A choice is a function."""
    code = "\n".join((*parts.statements, *parts.results.values()))
    kind = parts.values if parts.several else "float64"
    given = f"({kind}, error)" if parts.bounds else kind
    listed = ", ".join(parts.results.values())
    value = f"{kind}{{{listed}}}" if parts.several else listed
    nothing = f"{kind}{{}}" if parts.several else "0"
    arguments = f"{', '.join(parts.names)} float64"
    longest = max(map(len, parts.results))
    imports = ['"errors"'] if parts.bounds else []
    imports += ['"math"'] if parts.called else []
    choose = """\
choose := func(condition bool, first, second float64) float64 {
\tif condition {
\t\treturn first
\t}
\treturn second
}"""
    lines = [
        "package lifesym",
        "",
        *(["import (", *_inside(imports, "\t"), ")", ""] if imports else []),
        *(
            [
                f"// {kind} are the values of {parts.name}.",
                f"type {kind} struct {{",
                *_inside(parts.fields(f"{{0:{longest}}} float64 // {{2}}"), "\t"),
                "}",
                "",
            ]
            if parts.several
            else []
        ),
        *(f"// {line}".rstrip() for line in (f"{parts.name}: {parts.doc[0]}", *parts.doc[1:])),
        f"func {parts.name}({arguments}) {given} {{",
        *_inside(
            [
                *([choose] if "choose(" in code else []),
                *parts.checks(
                    "{0} >= {1} && {0} <= {2}",
                    "{0} >= {1}",
                    lambda holds, said: (
                        f'if !({holds}) {{\n\treturn {nothing}, errors.New("{said}")\n}}'
                    ),
                ),
                *parts.statements,
                f"return {value}, nil" if parts.bounds else f"return {value}",
            ],
            "\t",
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def kotlin(parts: Parts) -> str:
    """A file of a package; an exception refuses arguments."""
    kind = parts.values if parts.several else "Double"
    listed = ", ".join(parts.results.values())
    power = "fun pow(base: Double, exponent: Double): Double = base.pow(exponent)"
    has_pow = "pow" in parts.called
    fields = ",\n".join(_inside(parts.fields("// {2}\nval {0}: Double")))
    arguments = ", ".join(
        (f'@Suppress("UNUSED_PARAMETER") {name}' if name in parts.unused else name) + ": Double"
        for name in parts.names
    )
    lines = [
        "package lifesym",
        "",
        *(["import kotlin.math.pow", ""] if has_pow else []),
        *(
            [f"/** Values of [{parts.name}]. */", f"data class {kind}(", fields, ")", ""]
            if parts.several
            else []
        ),
        "/**",
        *c.comment(parts.doc)[1:],
        f"fun {parts.name}({arguments}): {kind} {{",
        *_inside(
            [
                *([power] if has_pow else []),
                *parts.checks(
                    "{0} in {1}..{2}",
                    "{0} >= {1}",
                    lambda holds, said: f'require({holds}) {{ "{said}" }}',
                ),
                *parts.statements,
                f"return {kind}({listed})" if parts.several else f"return {listed}",
            ]
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def swift(parts: Parts) -> str:
    """A file; arguments outside their ranges are the caller's mistake."""
    kind = parts.values if parts.several else "Double"
    value = f"{kind}({', '.join(parts.fields('{0}: {1}'))})"
    rounded = {"ceil": ".up", "floor": ".down"}
    foundation = any(name not in rounded for name in parts.called)
    lines = [
        *(["import Foundation", ""] if foundation else []),
        *(
            [
                f"/// Values of `{parts.name}`.",
                f"public struct {kind} {{",
                *_inside(parts.fields("/// {2}\npublic let {0}: Double")),
                "}",
                "",
            ]
            if parts.several
            else []
        ),
        *(f"/// {line}".rstrip() for line in parts.doc),
        f"public func {parts.name}({parts.arguments('{0}: Double')}) -> {kind} {{",
        *_inside(
            [
                *(
                    f"func {name}(_ x: Double) -> Double {{ return x.rounded({rounded[name]}) }}"
                    for name in parts.called
                    if name in rounded
                ),
                *parts.checks(
                    "({1}...{2}).contains({0})",
                    "{0} >= {1}",
                    lambda holds, said: f'precondition(\n    {holds},\n    "{said}"\n)',
                ),
                *parts.statements,
                f"return {value if parts.several else parts.results['']}",
            ]
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"
