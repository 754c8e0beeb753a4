"""The commands: what each takes, and the function that answers, imported when it is called."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import Parameter, Signature, cleandoc
from typing import Annotated, Any

import typer

from lifesym.cli.rows import (
    DEVICE,
    JSON,
    MEMORIES,
    MODEL,
    ON,
    ROWS,
    SERVING,
    SPECULATION,
    Row,
    check,
    needing,
)
from lifesym.kinds import PERCENT, SIZE, SWITCH, TOKENS, number, one_device, text, words

_METRIC = "What is asked about: ttft, tpot, memory, or another of 'lifesym specs metrics'."
METRIC = Row("metric", text("METRIC"), _METRIC, "tpot", common=True)
OVER = Row("over", text("SYMBOL"), "The symbol that varies.", required=True)
PLOT = Row("plot", text("FILE"), "Draw it: .png, .pdf or .svg.", common=True)
WIDTH = needing("plot", Row("width", SIZE, "Its points across, with text of 8: 240 is a column."))
LIFT = Row("lift", text("NAME,..."), "Other numbers that are symbols: hidden, chunk, rank ...", "")
RANGE = (
    Row("from_", text("X"), "Where the range begins (SI unit).", common=True),
    Row("to", text("X"), "Where the range ends.", common=True),
)
_RANGE = Row("range_", text("NAME=A:B", many=True), "Values that a symbol may have.")
NOTATION = Row("notation", text("NAME|A=B,..."), "megatron, pope, kaplan; letters: d=h.")
_TABLES = ("table", "fixed", "numpy-table")
_GROUPS = words("role", "regime", "phase", "term")
_TO = words(
    *("c", "float", "cpp", "rust", "go", "kotlin", "swift"),
    *(*_TABLES, "auto", "python", "numpy", "js"),
)
_CHARTS = words("bars", "tornado", "map", "roofline", "throughput", "memory")
_DATA = "Measurements; 'published' for the shipped ones."
DATA = Row("data", text("CSV"), _DATA, argument=True, required=True)
OUTPUT = Row("output", text("FILE"), "File; standard output unless given.", short="-o")


@dataclass(frozen=True)
class Command:
    """One command: what it does, first in a line, and its arguments and options.

    The module of its name has the function that answers. One that ``fits`` solves thousands of
    small systems, in which NumPy's threads do little but wait for each other: it has one, unless
    the environment says how many.
    """

    help: str
    rows: tuple[Row, ...]
    fits: bool = False


def _own(*rows: Row) -> tuple[Row, ...]:
    """Rows of a command alone, which plain help lists."""
    return tuple(replace(row, common=True) for row in rows)


def _asks(*own: Row, after: Iterable[Row] = ()) -> tuple[Row, ...]:
    """The rows of a command that asks a formula, around its own."""
    return (MODEL, ON, *_own(*own), *_own(METRIC, LIFT), *ROWS, *_own(PLOT, *WIDTH, *after), JSON)


def _but(*without: str, bare: str = "", symbols: bool = False) -> tuple[Row, ...]:
    """The options that shape a formula, but some, or those of a panel; one without a default.

    With ``symbols`` for sizes that are not given.
    """
    rows = []
    for row in (row for row in ROWS if not {row.name, row.panel} & {*without}):
        if symbols and row.symbol in ("prompt", "generated", "batch", "height", "width"):
            rows.append(replace(row, default=None, help=f"{row.help[:-1]}; else a symbol."))
        else:
            rows.append(replace(row, default=None) if row.name == bare else row)
    return tuple(rows)


def _axes() -> Iterable[Row]:
    """The same as axes of a sweep: a list of values wherever one is single."""
    for row in ROWS:
        if row.kind.axis:
            metavar = "A:B:N|A,B" if row.kind.metavar == "N" else "A,B,..."
            default = None if row.default is None else str(row.default)
            yield replace(row, kind=text(metavar), default=default)
        else:
            yield row


_FORMATS = {"weights": "int4-g128", "kv": "int8"}
_CHOICE = "To choose from, beside what is used without it."
_SERVED = (
    *("pipeline", "stages_on", "shares", "microbatches", "overlap_sends", "by_chunk"),
    *(SPECULATION, *(row.name for row in ROWS if row.panel == SERVING and row.name != "price")),
)
"""Options of what is served beside a plain forecast."""
_TIMED = ("overlap", DEVICE, SERVING, *_SERVED)
"""Options of times and of what is served, which a count and a fit do not depend on."""
_PROMPTED = (
    *("prompt", "generate", "context", "prefix", "chunk", "whole_chunks"),
    *("images", "image_size", "audio"),
)
"""Options of a prompt and what follows it, which a single pass does not know."""

COMMANDS = {
    "count": Command(
        """Count operations, bytes and dispatches of a pass, exactly.

        Prefill is --new S; a decode step is --new 1 --past T. Part of a byte is rounded up.

        weight_bytes are those that the pass reads.""",
        (
            MODEL,
            *_own(
                Row("source", TOKENS, "Positions of the encoder, where a model has one."),
                Row("logits", words("last", "all", "none"), "Positions of the LM head.", "last"),
                *(replace(row, default=1) for row in ROWS if row.name == "new"),
                *(row for row in ROWS if row.name in ("batch", "past")),
            ),
            *_but("new", "batch", "past", *_PROMPTED, MEMORIES, *_TIMED),
            JSON,
        ),
    ),
    "forecast": Command(
        """Forecast TTFT, TPOT, TPS, latency, memory and energy.

        Without efficiencies the device runs at its peaks, operator by operator: a bound on its
        speed in the type that is multiplied in (--activations). --engine says whose kernels run
        instead; those of roofline, one kernel a layer, bound all others.""",
        (
            MODEL,
            ON,
            *_but("context", "new", bare="prompt"),
            *_own(Row("compare", text("NAME=VALUE,...", many=True), "With these options changed.")),
            *_own(Row("interval", number("PERCENT"), "Intervals, on a device that was fitted.")),
            JSON,
        ),
    ),
    "derive": Command(
        """Derive the closed form of a metric, with a legend.

        FLOPs and bytes are those of one forward pass of 'new' tokens after 'past'.

        weight_bytes are all the weights as they are stored, tied ones once.

        kv_bytes are the cache of 'past' tokens; memory is the weights and the
        cache of all prompt and generated tokens.""",
        (
            MODEL,
            *_own(
                replace(METRIC, required=True),
                LIFT,
                Row("symbolic", SWITCH, "MODEL is a family: every dimension is a symbol."),
                replace(ON, required=False, default="symbolic", help="A device, or 'symbolic'."),
                Row("format", words("text", "latex", "markdown", "json"), "Of the text.", "text"),
                Row("width", SIZE, "Points of a line: a column's are 240, an article's 345."),
                Row(
                    "form", words("terms", "paper", "full"), "An operator a row, or named.", "terms"
                ),
                Row("within", PERCENT, "Shorten: the largest error, proved over --range."),
                Row("keep", SIZE, "Or: groups that are kept."),
                *needing("within keep", _RANGE, Row("group", _GROUPS, "What is dropped.", "role")),
                Row("digits", SIZE, "Numbers with so many digits and units."),
                NOTATION,
                *needing("format=latex", Row("label", text("NAME"), "Number the equation.")),
                *needing("digits", Row("siunitx", SWITCH, "Units in LaTeX by that package.")),
            ),
            *_but(symbols=True),
        ),
    ),
    "article": Command(
        """Write a LaTeX article of TTFT and TPOT, to paste from.

        Formulas, short forms with certified errors, symbols, a table of operators, a figure and
        BibTeX of the sources.""",
        (
            MODEL,
            ON,
            *_own(
                replace(OUTPUT, help="A folder.", required=True),
                Row("columns", words("one", "two"), "Columns of a page.", "two"),
                NOTATION,
                Row("keep", SIZE, "Groups of terms in a short form.", 3),
            ),
            *_but(),
        ),
    ),
    "sensitivity": Command(
        """Rank what a metric depends on, by exact elasticities.

        An elasticity of -0.9 in bandwidth means: 1 % more bandwidth, 0.9 % less time; at a tie
        both sides are told. "If free" is what is left when the symbol costs nothing at all. --plot
        draws the elasticities, or with --chart a tornado, a map by device, the roofline, tokens a
        second against TPOT, or what the memory holds, both over the batch.""",
        _asks(
            after=(
                *needing("plot", Row("chart", _CHARTS, "What is drawn.", "bars")),
                *needing(
                    "chart=tornado", Row("swing", number(), "Part that symbols move by.", 0.1)
                ),
                *needing(
                    "chart=map chart=roofline chart=throughput",
                    Row("devices", text("HW,..."), "More devices of it.", ""),
                ),
            )
        ),
    ),
    "regimes": Command(
        """Show what each operator is bound by, along a symbol.

        Compute, memory, dispatch or link. Of two symbols a grid of 200 x 200 is listed by area;
        --from and --to belong to the first.""",
        _asks(replace(OVER, kind=text("X[,Y]"), help="The symbol, or two for a map."), *RANGE),
    ),
    "crossover": Command(
        """Find where a bottleneck changes, or two options meet.

        With --against: where two configurations take the same time, such as these options and
        weights=int4-g128, on=a100-sxm4-80gb or model=qwen3-8b.""",
        _asks(
            OVER,
            *RANGE,
            Row("against", text("NAME=VALUE,..."), "Compare with these options changed."),
            Row("parts", text("A,B"), "Compare operators whose names begin so: attn,mlp.", ""),
        ),
    ),
    "design": Command(
        """Solve for the value of a symbol that meets a target.

        Everything but the symbol that is asked for is as given, or the device's own. The answer is
        put back exactly; of a size, the next whole number is checked to miss the target.""",
        _asks(
            OVER,
            *RANGE,
            Row("at_most", text("X"), "Target: at most this, such as 20ms."),
            Row("at_least", text("X"), "Target: at least this."),
        ),
    ),
    "export": Command(
        """Write a formula as a function in C, C++, Rust, Go, Python and others.

        The arguments are symbols such as past, prompt, batch, bandwidth; all else is bound. The
        metric step is the pass of a server, of prompt tokens beside sequences that decode.""",
        (
            MODEL,
            replace(ON, help="A device, or 'symbolic'."),
            *_own(
                Row("args", text("NAME,..."), "The function's arguments; else all that is left."),
                replace(METRIC, help=f"{METRIC.help[:-1]}; several: a struct of them."),
                Row("to", _TO, "C, another language, a table, or auto: the cheapest in C.", "c"),
                OUTPUT,
                Row("correct", SWITCH, "In C: with scales that measured passes correct."),
                *needing("correct", Row("scales", text("FILE"), "Those of 'fit-log' to begin.")),
                Row("check", text("FILE"), "Alone: whether FILE is what its command gives now."),
                Row("name", text("NAME"), "Of the function; METRIC, in C METRIC_MODEL, else."),
                _RANGE,
                Row("unit", text("NAME=X", many=True), "A table's unit of an argument."),
                *needing(
                    " ".join(f"to={each}" for each in (*_TABLES, "auto")),
                    Row("error", number(), "Largest relative error of a table.", 0.01),
                ),
                *needing(
                    "to=auto",
                    Row("core", text("CORE"), "Where: cortex-m0, cortex-m4f, x86-64 ..."),
                    Row("by", words("speed", "size"), "What is to be least there.", "speed"),
                ),
            ),
            *_but(symbols=True),
        ),
    ),
    "explore": Command(
        """Write a page to play with: sliders, charts and the formula, in one file.

        It works offline. Its menus have the models, the devices, formats beside the stored ones,
        chunked prefill, and devices in parallel; all other options are as given.""",
        (
            replace(MODEL, name="models", kind=text("MODEL...", many=True)),
            replace(ON, kind=text("HW,..."), help="Devices to choose from."),
            replace(OUTPUT, help="An .html file.", required=True),
            *(
                replace(row, kind=text("FMT,..."), default=_FORMATS[row.name], help=_CHOICE)
                if row.name in _FORMATS
                else row
                for row in _but("new", "whole_chunks", *_SERVED)
            ),
        ),
    ),
    "sweep": Command(
        """Forecast over lists and ranges of options, to a file.

        MODEL may be several names, separated by commas, and every option several values. 1:4096:50
        is 50 values from 1 to 4096, rounded to whole numbers. tpot is a step at --context, else
        the first one, and tpot_mean the mean over a generation. With --chunks the file is written
        while it is computed: it may be larger than memory, and the points may be computed by the
        workers of a Dask scheduler.""",
        (
            MODEL,
            replace(ON, kind=text("HW,..."), help="Devices."),
            replace(OUTPUT, help="A .nc or .csv file.", required=True),
            *_own(
                replace(METRIC, name="metrics", kind=text("NAME,..."), default="ttft,tpot_mean"),
                Row("chunks", SIZE, "Points a side of a Dask chunk."),
                *needing("chunks", Row("scheduler", text("ADDRESS"), "Of a Dask scheduler.")),
                *(PLOT, *WIDTH),
            ),
            *_axes(),
        ),
    ),
    "fit": Command(
        """Say how many sequences, tokens, adapters a memory holds.

        A sequence is --prompt and --generate tokens after --past. What is left of the memory after
        weights, activations and reserves is the cache's.""",
        (
            MODEL,
            ON,
            *_own(
                Row("memory_share", number(), "Share of the memory that may be used.", 1),
                Row("block", TOKENS, "Tokens of a block of the cache."),
                Row("reserve", number("B"), "Bytes of graphs, buffers, other programs.", 0),
                Row("communication", number("B"), "Bytes of buffers between devices.", 0),
                Row("batched", TOKENS, "Most tokens of a prefill pass; else the prompts'."),
                Row("cache_memory", number("B"), "Bytes for caches, in place of what is left."),
            ),
            *_but("context", "new", *(name for name in _TIMED if name != "pipeline")),
            JSON,
        ),
    ),
    "validate": Command(
        """Compare forecasts with measured times.

        The forecast is a closed form in a few physical parameters, fitted to the measurements most
        like each row (release, software, kind of device). Beside it stand the roofline with one
        efficiency and the bandwidth alone, fitted to the same rows.""",
        (
            DATA,
            *_own(
                Row("fit", text("CSV"), "To what, or shipped; else to DATA less each device."),
                Row("leave_out", words("device", "model"), "What a fit leaves out.", "device"),
                replace(PLOT, help="Draw forecast against measured: .png, .pdf or .svg."),
                *WIDTH,
            ),
            JSON,
        ),
        fits=True,
    ),
    "calibrate": Command(
        """Fit a device's efficiencies to its measurements, or with DATA shipped to its kin's.

        Its launch times, too, all with intervals. The spec that is written extends the device of
        the database: use it as any other device, as in lifesym forecast MODEL --on FILE.""",
        (
            DATA,
            ON,
            *_own(
                Row("framework", text("NAME"), "Only this software, e.g. 'llama.cpp'."),
                replace(OUTPUT, help="Write a hardware spec."),
            ),
            JSON,
        ),
        fits=True,
    ),
    "fit_log": Command(
        """Fit scales of a formula's parts to a server's own log of passes.

        LOG is a CSV file with a column of seconds, and one for each argument of the metric: of a
        step prefilled, prefilled_past, decodes and contexts. export --correct takes the scales.""",
        (
            replace(DATA, name="log", kind=text("LOG"), help="A CSV file of passes."),
            MODEL,
            ON,
            *_own(
                replace(METRIC, default="step"),
                replace(OUTPUT, help="Write the scales as JSON."),
            ),
            *_but(symbols=True),
            JSON,
        ),
    ),
    "measure": Command(
        """Measure this machine; write it as a hardware spec.""",
        _own(
            OUTPUT,
            Row("seconds", number("S"), "Time to spend.", 8.0),
            Row("name", text("NAME"), "Of the machine."),
        ),
    ),
    "specs": Command(
        """List models, devices, formats, families; or show one.""",
        (
            Row(
                "name",
                text("[NAME]"),
                "An entry, 'metrics', 'symbols' or 'options'.",
                argument=True,
            ),
            JSON,
        ),
    ),
}


def read(words: list[str]) -> list[str]:
    """The words of a command line, with one device in them; nothing asks for help.

    A file that is checked says itself what made it.
    """
    if words[:1] == ["export"] and any(word.partition("=")[0] == "--check" for word in words):
        words = import_module("lifesym.provenance").checking(words)
    return one_device(words, words[:1] == ["forecast"]) or ["--help"]


def function(name: str, asked: bool) -> Callable[..., None]:
    """The command as Typer takes it: a function with a parameter for each row, if it is asked."""
    command = COMMANDS[name]

    def run(**given: Any) -> None:
        given.pop("help_all", None)
        check(given, [row for row in command.rows if row not in ROWS])
        if command.fits:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read where NumPy is imported
        getattr(import_module(f"lifesym.cli.{name}"), name)(given)

    parameters = []
    for row in sorted(command.rows if asked else (), key=lambda row: not row.argument):
        annotation, default = row.parameter()
        empty = Parameter.empty if row.required else default
        parameters.append(_parameter(row.name, empty, annotation))
    if asked and not all(row.common or row.required or row.argument for row in command.rows):
        parameters.append(_parameter("help_all", False, _HELP_ALL))
    run.__name__ = run.__qualname__ = name
    paragraphs = cleandoc(command.help).split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def _parameter(name: str, default: Any, annotation: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _show_all(context: typer.Context, asked: bool) -> None:
    """The help with every option."""
    if asked:
        for parameter in context.command.params:
            parameter.hidden = False  # type: ignore[attr-defined]
        typer.echo(context.get_help())
        raise typer.Exit


_HELP_ALL = Annotated[
    bool,
    typer.Option("--help-all", callback=_show_all, is_eager=True, help="Show every option."),
]
