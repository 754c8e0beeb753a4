"""C++, Rust, Go, Kotlin and Swift: a program's text in a function of each language's own kind.

A text stands alone and brings no names along but its function's, and those of what it gives where
that is several values: what it needs besides lies in the function. Names are spelled as the
language does, and arguments outside their ranges are refused as it refuses.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sympy import Symbol

from lifesym.codegen import c, frames, spelling, text
from lifesym.codegen.program import Program

Box = Mapping[Symbol, tuple[float, float]]


def module(
    target: str,
    program: Program,
    name: str,
    box: Box,
    doc: Sequence[str],
    results: Mapping[str, str],
) -> str:
    """A source file with one function in one of `TARGETS`.

    Args:
        target: the language.
        program: its operations.
        name: of the function, a C identifier.
        box: arguments that are checked, by symbol.
        doc: lines on where the formula is from.
        results: what each of several values is, by name; nothing for one.
    """
    dialect = TARGETS[target]
    names: list[str] = []
    for symbol in program.args:
        names.append(dialect.free(dialect.variable(symbol.name), names))
    fields: list[str] = []
    for each in results:
        fields.append(dialect.free(dialect.field(each), fields))
    written = text.write(program, names, dialect.language)
    code = "\n".join((*written.statements, *written.results))
    uses = program.uses()
    return dialect.frame(
        frames.Parts(
            name=dialect.free(dialect.function(name)),
            values=f"{name}_results" if target == "cpp" else f"{_upper_camel(name)}Results",
            names=names,
            unused=[
                names[int(op.value or 0)]
                for op, used in zip(program.ops, uses, strict=True)
                if op.kind == "arg" and not used
            ],
            bounds=[
                (each, *box[symbol])
                for each, symbol in zip(names, program.args, strict=True)
                if symbol in box
            ],
            doc=_harmless([*doc, *c.describe(program.args, names, dict(box))]),
            statements=written.statements,
            results=dict(zip(fields or [""], written.results, strict=True)),
            meanings=_harmless([" ".join(each.split()) for each in results.values()]) or [""],
            called=[
                kind for kind, name in dialect.language.functions.items() if f"{name}(" in code
            ],
        )
    )


def _harmless(lines: Sequence[str]) -> list[str]:
    """Lines that end no comment."""
    return [line[3:] for line in c.comment(lines)[1:-1]]


def _upper_camel(name: str) -> str:
    """An underscore stays between digits, which would run together."""
    parts = re.split(r"(?<![0-9])_+|_+(?![0-9_])", name)
    return "".join(part[:1].upper() + part[1:] for part in parts)


def _lower_camel(name: str) -> str:
    name = _upper_camel(name)
    return name[:1].lower() + name[1:]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True)
class Dialect:
    """A language's spelling, its frame, and its names.

    Attributes:
        language: how operations are spelled.
        frame: puts the text together.
        function: the function's name, from a C identifier.
        variable: an argument's.
        field: a field's.
        words: what nothing can be called.
    """

    language: spelling.Language
    frame: Callable[[frames.Parts], str]
    function: Callable[[str], str]
    variable: Callable[[str], str]
    field: Callable[[str], str]
    words: frozenset[str]

    def free(self, name: str, others: Sequence[str] = ()) -> str:
        """A name that is none of the language's words, the program's own, nor another's."""
        while name in self.words or name in others or re.fullmatch(r"t\d+", name):
            name += "_"
        return name


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


TARGETS = {
    "cpp": Dialect(spelling.CPP, frames.cpp, str, str, str, frozenset()),
    "rust": Dialect(
        spelling.RUST,
        frames.rust,
        _snake,
        _snake,
        _snake,
        _words("""
            abstract as async await become box break const continue core crate do dyn else enum
            extern false final fn for gen if impl in let loop macro match mod move mut override priv
            pub ref return self Self static struct super trait true try type typeof unsafe unsized
            use virtual where while yield"""),
    ),
    "go": Dialect(
        spelling.GO,
        frames.go,
        _upper_camel,
        _lower_camel,
        _upper_camel,
        _words("""
            bool break case chan choose const continue default defer else error errors fallthrough
            float64 for func go goto if import interface map math nil package range return select
            struct switch type var"""),
    ),
    "kotlin": Dialect(
        spelling.KOTLIN,
        frames.kotlin,
        _lower_camel,
        _lower_camel,
        _lower_camel,
        _words("""
            Double as break class continue do else false for fun if in interface is kotlin null
            object package pow require return super this throw true try typealias typeof val var
            when while"""),
    ),
    "swift": Dialect(
        spelling.SWIFT,
        frames.swift,
        _lower_camel,
        _lower_camel,
        _lower_camel,
        _words("""
            Any Double actor as associatedtype break case catch class continue default defer deinit
            do else enum extension fallthrough false fileprivate for func guard if import in init
            inout internal is let nil open operator precedencegroup precondition private protocol
            public repeat rethrows return self Self static struct subscript super switch throw
            throws true try typealias var where while"""),
    ),
}
"""The languages, by target."""
