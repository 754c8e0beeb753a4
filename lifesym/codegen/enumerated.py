"""One C function for several models or devices, which an enumeration tells apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifesym.checks import checked
from lifesym.codegen.c import comment, guarded, unguarded
from lifesym.codegen.functions import compile as compiled
from lifesym.codegen.inputs import Ranges, expression
from lifesym.errors import SymbolError
from lifesym.identifiers import identifier, plain_name
from lifesym.symbols import resolve


@checked
def enumerated(
    choices: Mapping[str, Any],
    args: Sequence[str],
    *,
    name: str,
    precision: str = "double",
    ranges: Ranges | None = None,
    docs: Mapping[str, str] | None = None,
    doc: str = "",
) -> str:
    """A C header with a function for each choice, and ``NAME(choice, ...)`` that calls one.

    Args:
        choices: what `lifesym.compile` takes, by what it is of: results, or mappings of the same
            names to results.
        args: the arguments in order; a choice that does not depend on one is not given it.
        name: of the function.
        precision: ``double`` or ``float``.
        ranges: as of `lifesym.compile`.
        docs: lines on each choice.
        doc: lines on all of them.

    Raises:
        SymbolError: what `lifesym.compile` raises, choices of different results, or two of one
            name.
    """
    labels = [plain_name(choice) for choice in choices]
    if len(set(labels)) != len(labels):
        raise SymbolError(f"two of {', '.join(choices)} are one identifier: {', '.join(labels)}")
    fields = [list(each) if isinstance(each, Mapping) else [] for each in choices.values()]
    if any(each != fields[0] for each in fields):
        raise SymbolError("every choice must have the same results")
    real = "float" if precision == "float" else "double"
    kind = f"{name}_results" if fields[0] else real
    body = [*comment(doc.splitlines())] if doc else []
    members = ", ".join(_member(name, each) for each in labels)
    body += [f"typedef enum {{ {members} }} {name}_choice;"]
    if fields[0]:
        body += [f"typedef struct {{ {real} {', '.join(fields[0])}; }} {kind};"]
    calls = []
    for label, (choice, quantity) in zip(labels, choices.items(), strict=True):
        own, used = identifier(f"{name}_{label}", "function name"), _used(quantity, args)
        text = compiled(
            quantity,
            used,
            target="c",
            name=own,
            precision=precision,  # type: ignore[arg-type]  # checked there
            ranges={key: ends for key, ends in (ranges or {}).items() if _name(key) in used},
            doc=(docs or {}).get(choice, choice),
        )
        body += ["", unguarded(text).replace(_MATH, "")]
        call = f"{own}({', '.join(used)})"
        calls.append(f"    case {_member(name, label)}:")
        if fields[0]:
            values = ", ".join(f"r.{field}" for field in fields[0])
            calls.append(f"        {{ const {own}_results r = {call};")
            calls.append(f"          return ({kind}){{{values}}}; }}")
        else:
            calls.append(f"        return {call};")
    given = ", ".join([f"const {name}_choice choice", *(f"const {real} {each}" for each in args)])
    none = f"({kind}){{{', '.join('NAN' for _ in fields[0])}}}" if fields[0] else "NAN"
    body += ["", f"static inline {kind} {name}({given})", "{", "    switch (choice) {", *calls]
    body += ["    }", f"    return {none};", "}"]
    return guarded(name, [_MATH.strip(), "", *body])


_MATH = "#include <math.h>\n\n"


def _member(name: str, label: str) -> str:
    return f"{name}_{label}".upper()


def _name(key: Any) -> str:
    return str(resolve(key).name)


def _used(quantity: Any, args: Sequence[str]) -> list[str]:
    """The arguments that a choice depends on."""
    parts = quantity.values() if isinstance(quantity, Mapping) else [quantity]
    free = set().union(*(expression(part).free_symbols for part in parts))
    return [name for name in map(_name, args) if name in {symbol.name for symbol in free}]
