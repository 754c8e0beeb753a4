"""Pages of the site that the package itself says: names, symbols, operators, options, commands.

`PAGES` has a function for each; `write` puts what they return into a folder. Nothing here needs
Sphinx, so that tests can ask what the pages hold.
"""

import ast
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import fields
from functools import cache
from importlib import import_module
from inspect import cleandoc, getdoc, getsource, isclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Union, get_args, get_origin
from unittest import mock

import msgspec

import lifesym as ls
from lifesym import devices, engines, operators
from lifesym.cli import main
from lifesym.cli.commands import COMMANDS
from lifesym.cli.rows import ROWS, Row, shown_rows
from lifesym.families import FAMILIES, MODEL_TYPES
from lifesym.formats import Precision, known_formats, symbolic_format
from lifesym.metrics import METRICS
from lifesym.operators import Operator
from lifesym.report.database import everything
from lifesym.report.units import quantity
from lifesym.specs import names, read_toml, root
from lifesym.symbol_table import BY_NAME, TABLE
from lifesym.symbols import Size
from lifesym.units import shown_bytes

AREAS = {
    "lifesym": "What most programs need",
    "lifesym.analysis": "Questions asked of formulas",
    "lifesym.plots": "Figures",
    "lifesym.report": "Equations and tables",
    "lifesym.serving": "What is served",
    "lifesym.training": "Steps of training",
    "lifesym.calibration": "Fits to measurements",
    "lifesym.transforms": "Rewrites",
    "lifesym.codegen": "Compiled formulas",
}
"""Packages whose ``__all__`` is what users import."""
BENEATH = {
    "lifesym.calibration.accuracy": "How well forecasts hold",
    "lifesym.capacity": "What a memory holds",
    "lifesym.convnet": "Networks of images",
    "lifesym.cost": "Costs of operators",
    "lifesym.engines": "Engines",
    "lifesym.explore": "Pages to play with",
    "lifesym.formats": "Number formats",
    "lifesym.hardware": "Devices",
    "lifesym.intervals": "Intervals of fitted devices",
    "lifesym.levels": "Other memories",
    "lifesym.memories": "Other memories as text",
    "lifesym.metrics": "Metrics",
    "lifesym.model": "Models",
    "lifesym.nodes": "Nodes of formulas",
    "lifesym.paper": "Formulas on paper",
    "lifesym.peft": "Files of adapters",
    "lifesym.precisions": "Which formats a forecast has",
    "lifesym.quantities": "Numbers with units",
    "lifesym.report.effects": "What optimizations change",
    "lifesym.results": "Results",
    "lifesym.roofline": "Times of operators",
    "lifesym.specs": "The database",
    "lifesym.spelling": "Notations",
    "lifesym.sweeps": "Sweeps",
    "lifesym.symbol_table": "How symbols are found and bound",
    "lifesym.timed": "What every form of serving has",
    "lifesym.trace": "Traces of passes",
}
"""Modules of which users meet all that they define and do not hide."""
_TYPES = """\
Every name that users import, by module. In signatures `Size` is an integer or an expression,
`Number` any exact or decimal number or an expression, and `By[X]` has an X for each of some
symbols, which are named by their words or are the symbols themselves.
"""
_CONTENTS = "<!-- reference: generated -->"


def public(module: str) -> list[str]:
    """The names of a module that users import."""
    home = import_module(module)
    if module in AREAS or hasattr(home, "__all__"):
        return list(home.__all__)
    return [
        name
        for name, value in vars(home).items()
        if not name.startswith("_") and _is_ours(value) and value.__module__ == module
    ]


def _is_ours(value: Any) -> bool:
    """Whether a value is a class or a function of the package; one that is cached is a function."""
    return callable(value) and str(getattr(value, "__module__", "")).startswith("lifesym")


@cache
def homes() -> dict[str, str]:
    """The public home of every public object, by where it is defined and by every other name."""
    found: dict[str, str] = {}
    for module in (*AREAS, "lifesym.operators", *BENEATH):
        for name in public(module):
            value = getattr(import_module(module), name)
            if not _is_ours(value):
                continue
            defined = f"{value.__module__}.{value.__qualname__}"
            home = found.setdefault(defined, f"{module}.{name}")
            found[f"{module}.{name}"] = home
    return found


def is_inner(target: str) -> bool:
    """Whether an annotation names what has no page: another package's, or a type of ours inside."""
    return not target.startswith("lifesym.") or target not in homes()


# Tables and headings, as Markdown has them.


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what would end a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    cells = ((cell.replace("|", r"\|").replace("\n", " ") for cell in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def _code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


def anchor(kind: str, word: str) -> str:
    """What the word is linked to by: ``symbol-weight-bits``."""
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', word.lower()).strip('-')}"


def _target(kind: str, word: str) -> str:
    """A word that can be linked to."""
    return f"[`{word}`]{{#{anchor(kind, word)}}}"


def _first(text: str | None) -> str:
    """The first sentence of a docstring, on a line."""
    paragraph = " ".join((text or "").partition("\n\n")[0].split())
    return re.sub(r"(?<=[^.])\.(?: .*|)$", ".", paragraph)


def _said(text: str) -> str:
    """Plain text of ours in Markdown: no emphasis, tags, links or dashes by accident."""
    escaped = re.sub(r"([*_<>\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w`-])--[a-z][a-z-]*", r"`\g<0>`", escaped)


# Names.


def api_index() -> str:
    """All public names in a list, by module, each with its first sentence."""
    parts = ["# Python names\n", _TYPES]
    for area, modules in (("Packages", AREAS), ("Modules beneath them", BENEATH)):
        parts.append(f"## {area}\n")
        rows = [
            [f"[`{module}`](api/{module}.rst)", meaning, ", ".join(map(_code, public(module)))]
            for module, meaning in modules.items()
        ]
        parts.append(_table(["module", "", "names"], rows))
    parts.append("Operators have [a page of their own](operators.rst).\n")
    pages = "\n".join(f"api/{module}" for module in (*AREAS, *BENEATH))
    parts.append(f"```{{toctree}}\n:hidden:\n\n{pages}\n```\n")
    return "\n".join(parts)


def _api(module: str) -> str:
    """The reference of a module: each of its public names from its docstring."""
    home = import_module(module)
    parts = [_title(module, "="), f".. py:module:: {module}\n", _rst_text(cleandoc(getdoc(home)))]
    for name in public(module):
        parts.append(_entry(module, name, getattr(home, name)))
    return "\n".join(parts)


def _entry(module: str, name: str, value: Any) -> str:
    """What Sphinx writes of a name: its docstring, or where that stands."""
    full = f"{module}.{name}"
    if isinstance(value, ModuleType):
        return f".. py:data:: {name}\n\n   {_first(getdoc(value))} See :doc:`../symbols`.\n"
    kind = "class" if isclass(value) else "function" if _is_ours(value) else "data"
    if homes().get(full, full) != full:
        return f".. py:{kind}:: {name}\n\n   The same as `{homes()[full]}`.\n"
    if kind == "class":
        return f".. autoclass:: {full}\n   :members:\n"
    if kind == "function":
        return f".. autofunction:: {full}\n"
    words = ", ".join(f"``{word}``" for word in get_args(value))
    text = f"One of {words}." if words else _rst_text(_below(module, name))
    return f".. py:data:: {name}\n\n   {text}\n"


def _below(module: str, name: str) -> str:
    """The string below an assignment, in the module that a package has the name from."""
    body = ast.parse(getsource(import_module(module))).body
    for before, after in pairwise(body):
        if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            target = before.target if isinstance(before, ast.AnnAssign) else before.targets[0]
            if getattr(target, "id", "") == name and isinstance(after.value, ast.Constant):
                return " ".join(str(after.value.value).split())
    for node in body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _below(str(node.module), name)
    return ""


def _rst_text(text: str) -> str:
    """A module's docstring outside of autodoc: its dollars become a role, its example a block."""
    return (
        re.sub(
            r"(``.*?``)|(?<![\w$])\$([^$]+)\$(?![\w$])",
            lambda found: found[1] or f":math:`{' '.join(found[2].split())}`",
            text,
            flags=re.DOTALL,
        )
        + "\n"
    )


def _title(text: str, under: str) -> str:
    return f"{text}\n{under * len(text)}\n"


# Symbols.


def symbols() -> str:
    """The table of symbols."""
    rows = [
        [
            _target("symbol", each.word),
            f"${each.latex}$",
            _said(each.unit),
            _said(each.meaning),
            _range(each.minimum, each.maximum, each.kind),
        ]
        for each in TABLE.values()
    ]
    return (
        "# Symbols\n\n"
        "Every symbol of a formula is a row of this table, `lifesym.symbols` in Python: "
        "`lifesym.symbols.past` has the word `past`. "
        "`lifesym specs symbols` prints the table, `--notation` and `ls.notation` change the "
        "letters, and `ls.symbol` makes [further ones](../analysis.md#symbols-of-ones-own).\n\n"
        + _table(["word", "symbol", "unit", "meaning", "values"], rows)
    )


def _range(low: object, high: object, kind: str) -> str:
    ends = "above 0" if low is None else f"from {low}"
    if high is not None:
        ends += f" to {high}"
    return ends + (", whole" if kind in ("size", "bits") else "")


# Operators.

_CHOSEN = {"function": "silu", "activation": "silu", "pattern": "all_reduce"}
"""Words that stand for the others where an operator's constants depend on one."""
_OF_OTHERS = ("parts", "of")


def operator_page() -> str:
    """Every operator by family, with the formulas of its cost."""
    families: dict[str, list[type[Operator]]] = {}
    for name in operators.__all__:
        kind = getattr(operators, name)
        if issubclass(kind, Operator) and kind is not Operator:
            families.setdefault(kind.family, []).append(kind)
    parts = [
        _title("Operators", "="),
        "What each operator counts, from its `cost`: operations, bytes by role and dispatches of "
        "one execution. Sizes are letters of the :doc:`symbols` where one of them has the word, "
        "else the field's own word; :math:`b_w`, :math:`b_a` and :math:`b_{kv}` stand for the bits "
        "of a weight, an activation and a cached value. Optional fields have their defaults.\n",
        ".. py:module:: lifesym.operators\n",
    ]
    for family, kinds in sorted(families.items()):
        parts.append(_title(family.replace("_", " ").capitalize(), "-"))
        parts += map(_operator, kinds)
    others = [
        name
        for name in operators.__all__
        if (kind := getattr(operators, name)) is Operator or not issubclass(kind, Operator)
    ]
    parts.append(_title("What operators are made of", "-"))
    parts += [_entry("lifesym.operators", name, getattr(operators, name)) for name in others]
    return "\n".join(parts)


@contextmanager
def _own_symbols() -> Iterator[None]:
    """Symbols that are made inside are gone afterwards."""
    before = [(table, dict(table)) for table in (TABLE, BY_NAME)]
    try:
        yield
    finally:
        for table, rows in before:
            table.clear()
            table.update(rows)


def _operator(kind: type[Operator]) -> str:
    """An operator: docstring, what is counted, from where, and its formulas."""
    parts = [
        _title(kind.__name__, "~"),
        f".. autoclass:: lifesym.operators.{kind.__name__}\n",
        f":Counted: {kind.counted}",
        f":Source: {kind.reference}\n",
    ]
    costs = formulas(kind)
    if costs is None:
        return "\n".join([*parts, "Its cost is made of those of the operators it has.\n"])
    if not costs:
        return "\n".join([*parts, "In formats of any one width it costs nothing.\n"])
    lines = [".. list-table::", "   :class: formulas", "   :widths: auto", ""]
    for field, text in costs.items():
        lines += [f"   * - {field.replace('_', ' ')}", rf"     - :math:`\displaystyle {text}`"]
    return "\n".join([*parts, *lines, ""])


def formulas(kind: type[Operator]) -> dict[str, str] | None:
    """The cost of an operator in LaTeX by field, what is zero left out; None of one of others."""
    known = fields(kind)
    if any(field.name in _OF_OTHERS for field in known):
        return None
    with _own_symbols():
        sizes = {field.name: _size(field.name) for field in known if field.type == Size}
        chosen = {f.name: _CHOSEN[f.name] for f in known if f.name in _CHOSEN}
        bits = Precision.of(*(symbolic_format(role) for role in ("weight", "activation", "kv")))
        cost = kind(**sizes, **chosen).cost(bits)
        return {field: ls.latex(value) for field, value in cost.items() if value != 0}


def _size(word: str) -> Any:
    """The table's symbol for a field's word, or one that is spelt as the field."""
    if word in BY_NAME:
        return BY_NAME[word]
    spelt = word.replace("_", r"\_")
    return ls.symbol(
        f"size_{word}", latex=rf"\mathrm{{{spelt}}}", meaning=word, kind="size", minimum=0
    )


# The command line.


def options() -> str:
    """Every option that shapes a formula, by panel."""
    shown = shown_rows()
    parts = [
        "# Options\n",
        "Each means the same in every command that takes it; [optimizations](../optimizations.md) "
        'says what they change. `lifesym specs options` prints this list. "All" are the '
        "commands that ask about a model; the others have options of their own, which "
        "their [help](commands.md) lists.\n",
    ]
    for panel in dict.fromkeys(row.panel for row in ROWS):
        rows = [_option(row, shown[row.spelt]) for row in ROWS if row.panel == panel]
        parts.append(f"## {panel}\n")
        parts.append(_table(["option", "value", "default", "meaning", "commands"], rows))
    return "\n".join(parts)


def _option(row: Row, shown: Mapping[str, str | None]) -> list[str]:
    needs = " or ".join(map(_code, (shown["needs"] or "").split(" or ")))
    return [
        _target("option", row.spelt),
        _code(shown["value"] or ""),
        _code(shown["default"] or ""),
        _said(row.help) + (f" Needs {needs}." if needs else ""),
        _taking(row),
    ]


def _taking(row: Row) -> str:
    """The commands that take an option, of those that take any of them."""
    options = {each.name for each in ROWS}
    taken = {
        name.replace("_", "-"): {each.name for each in command.rows}
        for name, command in COMMANDS.items()
    }
    asking = [name for name, rows in taken.items() if len(rows & options) > 1]
    missing = [name for name in asking if row.name not in taken[name]]
    if len(missing) > len(asking) / 2:
        return ", ".join(name for name in asking if name not in missing)
    return f"all but {', '.join(missing)}" if missing else "all"


def commands() -> str:
    """The help of every command, as it prints it."""
    parts = [
        "# Commands\n",
        "As `lifesym COMMAND --help` prints it; `--help-all` lists [all options](options.md).\n",
    ]
    for name in (each.replace("_", "-") for each in COMMANDS):
        help_text = _help(name)
        lines = "\n".join(line.rstrip() for line in help_text.strip("\n").split("\n"))
        parts.append(f"## lifesym {name}\n\n```text\n{lines.strip()}\n```\n")
    return "\n".join(parts)


def _help(command: str) -> str:
    """What a command prints with ``--help``, at the width of a page."""
    out = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lifesym", command, "--help"]),
        mock.patch.dict(os.environ, {"COLUMNS": "90", "NO_COLOR": "1", "TERM": "dumb"}),
        redirect_stdout(out),
        suppress(SystemExit),
    ):
        main()
    return out.getvalue()


def metrics() -> str:
    """Every metric."""
    rows = [
        [_target("metric", name), _said(row.meaning), "yes" if row.generation else ""]
        for name, row in METRICS.items()
    ]
    return (
        "# Metrics\n\nWhat `--metric` takes in every command and `lifesym.metrics.measure` in "
        "Python; `lifesym specs metrics` prints this list.\n\n"
        + _table(["metric", "meaning", "depends on how many tokens are generated"], rows)
    )


# The database.


def device_page() -> str:
    """Every device with its figures."""
    rows = []
    for name in names("hardware"):
        device = ls.load_hardware(name)
        peaks = [
            f"{kind} {quantity(rate, 'FLOP')}/s"
            for kind, rate in (device.matrix or device.vector).items()
        ]
        rows.append(
            [
                _target("device", name),
                _said(device.name),
                device.kind,
                ", ".join(peaks),
                quantity(device.bandwidth, "byte/s"),
                "" if device.capacity is None else shown_bytes(device.capacity),
            ]
        )
    header = ["name", "device", "kind", "dense peaks", "bandwidth", "memory"]
    return (
        f"# Devices\n\nThe {len(rows)} devices of the database. Peaks are those of the matrix "
        "engine, or of the vector units where there is none. `lifesym specs NAME` has the rest "
        "of the figures and the source of each; [devices](../devices.md) says how to write a file "
        "for another one.\n\n" + _table(header, rows)
    )


def engine_page() -> str:
    """Every engine with its conventions."""
    parts = [
        "# Engines\n",
        "An engine says how operators become kernels (`--engine`, `engine=`). What a table "
        "leaves out is a kernel an operator, and no copies. Keys of a file of your own are "
        "[here](toml.md#engines).\n",
    ]
    plain = engines.Engine()
    for name in names("engines"):
        engine = engines.load_engine(name)
        rows = [
            [_code(field.name), _code(_plain(getattr(engine, field.name)))]
            for field in fields(engine)
            if field.name not in ("name", "meaning", "sources")
            and getattr(engine, field.name) != getattr(plain, field.name)
        ]
        parts.append(
            f"({anchor('engine', name)})=\n## {name}\n\n{_said(engine.meaning).capitalize()}.\n"
        )
        if rows:
            parts.append(_table(["convention", ""], rows))
        sources = [[_code(table), _said(source)] for table, source in engine.sources.items()]
        parts.append(_table(["table of the file", "source"], sources))
    return "\n".join(parts)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def format_page() -> str:
    """Every number format."""
    rows = [
        [
            _target("format", name),
            f"{float(each.bits_per_value):g}",
            str(each.group_size) if each.group_size else "",
            "yes" if each.native else "",
            "a mix of formats by role" if each.roles else "",
        ]
        for name, each in sorted(known_formats().items())
    ]
    return (
        "# Number formats\n\nWhat `--weights`, `--activations`, `--kv` and `--roles` take, beside "
        "names such as `shared-m5-e5-g64` (`lifesym.formats.shared_exponent`). Formats that are "
        "not native are dequantized before they are multiplied. Sources are in "
        "`specs/formats.toml`; [files](../files.md) says what the GGUF mixes are.\n\n"
        + _table(["name", "bits a value", "values of a group", "native", ""], rows)
    )


def model_page() -> str:
    """Every model and every type of models."""
    found = everything()
    types = [
        [
            _target("type", kind),
            _code(MODEL_TYPES[kind]),
            _said(" ".join(_first(getdoc(FAMILIES[MODEL_TYPES[kind]].build)).split())),
            _code(example),
        ]
        for kind, example in found["families"].items()
    ]
    models = [
        [_target("model", name), _code(row["family"]), _said(row["source"])]
        for name, row in found["models"].items()
    ]
    return (
        "# Models\n\n[Architectures](../architectures.md) says what is modelled of them, and "
        "[files](../files.md) what else a model may be given as.\n\n"
        "## Configs in the database\n\n"
        + _table(["name", "type", "source"], models)
        + "\n## Types of models\n\n"
        + _table(["`model_type`", "family", "", "example"], types)
    )


def toml() -> str:
    """The keys of the files of devices and of engines."""
    return "\n".join(
        [
            "# Keys of TOML files\n",
            "Unknown keys are refused; one is needed where the table that it is in is given. "
            "An example is the first file of the database that has "
            "the key. A figure is a number in SI units, or text with the unit of a data sheet.\n",
            "## Devices\n",
            "What they mean is told in [devices](../devices.md); `extends` in place of the "
            "first keys starts from a device of the database.\n",
            _keys(devices._HardwareSpec, "hardware", {}),
            "## Engines\n",
            _keys(engines._EngineSpec, "engines", _meanings(engines.Engine)),
        ]
    )


def _keys(spec: type[msgspec.Struct], folder: str, meanings: Mapping[str, str]) -> str:
    """The keys of a file, tables inside it with their own."""
    files = {name: read_toml(root() / folder / f"{name}.toml") for name in names(folder)}
    header = ["key", "value", "needed", *(["meaning"] if meanings else []), "example"]
    rows = []
    for path, inner in _leaves(spec):
        field = inner.name
        row = [_target(folder, ".".join(path)), _type(inner.type), _needed(inner)]
        if meanings:
            row.append(_said(meanings.get(field, "")))
        rows.append([*row, _example(path, files)])
    return _table(header, rows)


def _leaves(
    spec: type[msgspec.Struct], before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key that has a value, below the tables it is in."""
    for field in msgspec.structs.fields(spec):
        path = (*before, field.encode_name)
        table = next((kind for kind in _kinds(field.type) if _is_struct(kind)), None)
        if table is None:
            yield path, field
        else:
            yield from _leaves(table, path)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types inside an annotation."""
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _is_struct(kind: Any) -> bool:
    return isclass(kind) and issubclass(kind, msgspec.Struct)


_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "figure"}


def _type(annotation: Any) -> str:
    """A type in words."""
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if annotation in _NAMES:
        return _NAMES[annotation]
    if get_origin(annotation) in (list, tuple):
        return f"list of {_type(inner[0])}"
    if get_origin(annotation) is dict:
        return f"table of {_type(inner[1])}"
    if not inner:
        return "number"
    if all(isinstance(kind, str) for kind in inner):
        return ", ".join(map(_code, inner))
    kinds = dict.fromkeys(_type(kind) for kind in inner)
    return " or ".join(kinds) if get_origin(annotation) in (Union, type(int | str)) else "text"


def _needed(field: Any) -> str:
    missing = (field.default, field.default_factory) == (msgspec.NODEFAULT, msgspec.NODEFAULT)
    return "yes" if missing else ""


def _example(path: tuple[str, ...], files: Mapping[str, Mapping[str, Any]]) -> str:
    for name, table in files.items():
        value: Any = table
        for key in path:
            value = value[0] if isinstance(value, list) and value else value
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            text = str(value) if not isinstance(value, bool) else str(value).lower()
            return f"{_code(text if len(text) <= 40 else text[:37] + '...')} ({name})"
    return ""


def _meanings(kind: type) -> dict[str, str]:
    """The attributes of a class by name, from its docstring."""
    _, _, listed = cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", listed, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


PAGES: dict[str, tuple[str, Callable[[], str]]] = {
    "api.md": ("Python names", api_index),
    "symbols.md": ("Symbols", symbols),
    "operators.rst": ("Operators", operator_page),
    "metrics.md": ("Metrics", metrics),
    "options.md": ("Options", options),
    "commands.md": ("Commands", commands),
    "toml.md": ("Keys of TOML files", toml),
    "models.md": ("Models", model_page),
    "devices.md": ("Devices", device_page),
    "engines.md": ("Engines", engine_page),
    "formats.md": ("Number formats", format_page),
}
"""Pages by file, with their titles."""


def write(folder: Path) -> None:
    """Every page as a file, and no other; what has not changed is left as it is."""
    texts = {folder / file: make() for file, (_, make) in PAGES.items()}
    texts |= {folder / "api" / f"{module}.rst": _api(module) for module in (*AREAS, *BENEATH)}
    for path in set(folder.rglob("*.*")) - set(texts):
        path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def with_contents(landing: str) -> str:
    """The landing page with the generated pages, and with its lists as tables of contents."""
    listed = "\n".join(f"- [{title}](reference/{file})" for file, (title, _) in PAGES.items())
    page = landing.replace(_CONTENTS, listed)
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    return "".join(part + _toctree(part) for part in parts)


def _toctree(part: str) -> str:
    """The pages that a part of the landing page lists, as Sphinx has them."""
    heading = part.partition("\n")[0].removeprefix("## ")
    pages = re.findall(r"^- \[([^]]*)\]\(([^)#]+?)\.(?:md|rst|ipynb)\)", part, re.MULTILINE)
    if not part.startswith("## ") or not pages:
        return ""
    listed = "\n".join(f"{title} <{page}>" for title, page in pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{listed}\n```\n\n"
