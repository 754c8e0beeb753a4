"""Generated parts of the documentation are what the code generates; its examples are right."""

import doctest
import io
import json
import re
import shlex
from contextlib import redirect_stdout
from fractions import Fraction
from importlib import import_module
from inspect import getdoc, ismodule
from pathlib import Path

import generated
import pytest
from command_line import CommandLine
from sympy import Expr, Rational, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cli.commands import COMMANDS
from lifesym.cli.rows import ROWS
from lifesym.metrics import METRICS
from lifesym.report.effects import COLUMNS, REWRITES, effects, effects_table

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "optimizations.md"
PAGES = sorted(DOCS.glob("*.md"))
PROGRAM = re.compile(
    r"^```python\n((?!>>> ).*?)^```\n(\n```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE
)
ELSEWHERE = {
    "lifesym explore": "test_explore.py makes pages and moves their sliders",
    "lifesym validate": "minutes; test_measurements.py::test_validate",
    "lifesym calibrate": "test_measurements.py::test_calibrate_writes_an_overlay",
    "forecast Qwen2.5-0.5B-Instruct-Q4_K_M.gguf --on rtx-4090 --prompt 512 --generate 128": (
        "a download; test_gguf_files.py reads headers of such files"
    ),
}
"""Commands that are not run here, each with the reason."""
START, END = "<!-- effects -->\n", "<!-- /effects -->"


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of a language of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_table_of_effects(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    fresh = f"{before}{START}{effects_table()}\n{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert text == fresh, "pytest --update-golden writes it anew"


def test_every_option_is_in_the_table() -> None:
    table = PAGE.read_text(encoding="utf-8").partition(START)[0]
    assert [row.spelt for row in ROWS if not re.search(rf"`{row.spelt}[ `]", table)] == []


def test_no_option_or_metric_is_unknown() -> None:
    """A word of a command line in the documentation that no command has."""
    known = {row.spelt for command in COMMANDS.values() for row in command.rows}
    known |= {
        "--help",
        "--help-all",
        "--install-completion",
        "--show-completion",
        "--update-golden",
        "--hypothesis-seed",
    }
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) <= known, page.name
        assert set(re.findall(r"--metric (\w+)", text)) <= set(METRICS), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_print_what_is_shown(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False, verbose=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_run(page: Path) -> None:
    """Blocks of Python without prompts, which print what the block of text after them shows."""
    text = page.read_text(encoding="utf-8")
    for source, _, shown in PROGRAM.findall(text):
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(source, page.name, "exec"), {})  # noqa: S102 (our own text)
        assert printed.getvalue() == shown or not shown


COMMAND_LINES = [
    (page, line)
    for page in PAGES
    for block in blocks(page, "bash") + blocks(page, "console")
    for line in block.replace("\\\n", " ").strip().split("\n")
]


@pytest.mark.parametrize(
    ("page", "line"),
    COMMAND_LINES,
    ids=[f"{page.stem}-{i}" for i, (page, _) in enumerate(COMMAND_LINES)],
)
def test_commands_run(
    page: Path, line: str, run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, *words = shlex.split(line.rpartition("&& ")[2].removeprefix("$ "), comments=True)
    assert program == "lifesym", page.name
    if f"lifesym {words[0]}" in ELSEWHERE or " ".join(words) in ELSEWHERE:
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    (tmp_path / "specs").symlink_to(DOCS.parent / "specs")
    result = run(*words)
    assert result.returncode == 0, result.stderr


def test_every_block_has_a_language_that_is_tested() -> None:
    """Other than text, TOML, of which `test_hardware` loads the files, and exported functions.

    Those are of `test_languages`, which makes them anew.
    """
    known = {"python", "bash", "console", "text", "toml"}
    for page in PAGES:
        found = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        made = {"cpp", "rust", "go", "kotlin", "swift"} if page.name == "compile.md" else set()
        assert set(found[::2]) <= known | made, page.name
        assert set(found[1::2]) <= {""}, f"{page.name}: a block that does not end"


def source_of(page: Path) -> str:
    """The text of a page, or the cells of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        return text
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


IMPORTS = re.compile(r"from (lifesym[\w.]*) import (\([^)]*\)|[\w, ]+)")


def test_what_pages_import_is_in_the_reference() -> None:
    """And every package that says what it offers, but for the parts that models are made of."""
    listed = {*generated.AREAS, *generated.BENEATH, "lifesym.operators"}
    for package in (Path(ls.__file__).parent).glob("*/__init__.py"):
        module = f"lifesym.{package.parent.name}"
        if hasattr(import_module(module), "__all__"):
            assert module in listed | {"lifesym.blocks"}
    root = DOCS.parent
    pages = [*root.glob("docs/**/*.md"), root / "README.md", *root.glob("notebooks/*.ipynb")]
    for page in pages:
        for module, words in IMPORTS.findall(source_of(page)):
            for name in re.findall(r"\w+", words.partition(" as ")[0]):
                value = getattr(import_module(module), name)
                home = f"{getattr(value, '__module__', module)}.{name}"
                known = name in generated.public(module) if module in listed else False
                assert known or home in generated.homes() or ismodule(value), (page, module, name)


def test_every_name_of_the_reference_says_what_it_is() -> None:
    for full, home in generated.homes().items():
        module, _, name = home.rpartition(".")
        assert getdoc(getattr(import_module(module), name)), full


def test_every_optimization_changes_something() -> None:
    table = effects()
    assert set(REWRITES) <= set(table)
    for changes in table.values():
        assert len(changes) == len(COLUMNS)
        assert any(change != 0 for change in changes)


SIZES = {"hidden": 48, "heads": 6, "kv_heads": 3, "head_dim": 8, "intermediate": 80}
CONFIG = {
    "model_type": "llama",
    "vocab_size": 50,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 1,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
}


def work(batch: int, new: int, past: int) -> list[Expr]:
    """FLOPs, weight bytes, activation bytes, KV bytes and dispatches of a real layer's pass."""
    cost = ls.Model.from_hf(CONFIG).forward(batch, new, past).filter(section="layers").cost()
    moved = cost.activation_read_bytes + cost.activation_write_bytes
    kept = cost.kv_read_bytes + cost.kv_write_bytes
    return [cost.flops, cost.weight_bytes, moved, kept, cost.dispatches]


def added(*passes: list[Expr]) -> list[Expr]:
    return [sum(values) for values in zip(*passes, strict=True)]


@pytest.mark.parametrize(
    ("name", "after", "before"),
    [
        (
            "a prompt of N tokens in chunks of C",
            added(*(work(4, 5, 7 + at) for at in range(0, 20, 5))),
            work(4, 20, 7),
        ),
        ("data parallel", work(2, 20, 7), work(4, 20, 7)),
        ("a batch in microbatches", added(work(2, 20, 7), work(2, 20, 7)), work(4, 20, 7)),
        (
            "a speculative step",
            work(4, 4, 7),  # less 1 + 1/2 + 1/4 + 1/8 steps
            [Rational(15, 8) * value for value in work(4, 1, 7)],
        ),
    ],
)
def test_changes_of_passes_are_those_of_real_passes(
    name: str, after: list[Expr], before: list[Expr]
) -> None:
    numbers = SIZES | {"batch": 4, "new_tokens": 20, "past": 7, "chunk": 5, "devices": 3}
    numbers |= {"microbatches": 2, "draft": 3, "acceptance": Fraction(1, 2)}
    found = [sym.bind(change, numbers) for change in effects()[name]]
    assert found[:5] == [new - old for new, old in zip(after, before, strict=True)]


def test_what_is_elsewhere_is_not_here() -> None:
    """Of an offloaded share, and of the experts on the other devices."""
    table = effects()
    row = dict(zip(COLUMNS, table["offload"], strict=True))
    gone = row["weight bytes"] + row["KV bytes"] + row["bytes of another memory"]
    assert expand(gone) == 0
    experts = dict(zip(COLUMNS, table["expert parallel"], strict=True))
    matrices = 6 * sym.experts * sym.hidden * sym.expert_intermediate
    assert expand(experts["memory"] - matrices * (1 / sym.devices - 1)) == 0
