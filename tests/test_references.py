"""Sources of operators as BibTeX: every one is there, as BibTeX itself reads it."""

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from lifesym import operators, references
from lifesym.errors import SpecError, SymbolError
from lifesym.operators import Operator
from lifesym.references import Entry, bibtex, cited, entries

KINDS = [getattr(operators, name) for name in operators.__all__]
OPERATORS = [kind for kind in KINDS if issubclass(kind, Operator) and hasattr(kind, "reference")]
ALL = list(entries().values())
TOOLS = [shutil.which(name) for name in ("pdflatex", "bibtex")]


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_source_of_an_operator_has_an_entry(operator: type[Operator]) -> None:
    numbers = re.findall(r"\d{4}\.\d{4,5}", operator.reference)
    found = cited([operator.reference])
    assert [entry.arxiv for entry in found if entry.arxiv] == numbers
    assert len(found) == len(operator.reference.split(";")), "each of its sources"


def test_every_entry_is_a_source_of_an_operator() -> None:
    found = cited(operator.reference for operator in OPERATORS)
    assert {entry.key for entry in found} == {entry.key for entry in ALL}
    assert len(found) == len(ALL) == len({entry.key for entry in ALL})


def _plain(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(re.findall(r"[a-z0-9]", unicodedata.normalize("NFKD", text).lower()))


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_keys_are_surname_year_and_a_word_of_the_title(entry: Entry) -> None:
    surname = _plain(re.split(r",| and ", entry.author)[0])
    words = [_plain(word) for word in entry.title.removeprefix("A ").split()]
    assert entry.key == f"{surname}{entry.year}{words[0]}"
    if entry.arxiv:
        assert entry.year == 2000 + int(entry.arxiv[:2])


def test_sources_come_once_in_the_order_of_their_mention() -> None:
    texts = ["transformers 5.24; arXiv 1706.03762v7, Eq. 1", "arXiv 1706.03762; vLLM", "of my own"]
    keys = ["wolf2020transformers", "vaswani2017attention", "kwon2023vllm"]
    assert [entry.key for entry in cited(texts)] == keys
    assert re.findall(r"@misc\{(\w+),", bibtex(texts)) == keys
    assert bibtex([]) == ""


def test_a_name_inside_of_a_word_is_none() -> None:
    assert cited(["mytransformers", "vLLMs", "11706.03762", "1706.037621"]) == []


def test_a_text_alone_is_refused() -> None:
    with pytest.raises(SymbolError, match="bibtex: texts must be a list, each a string, not"):
        bibtex("arXiv 1706.03762")


ROW = 'author = "Doe, Jane"\ntitle = "Of it"\nyear = 2020\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[doe2020of]\n{ROW}", "doe2020of: must have one of 'arxiv' and 'named'"),
        (f'[doe2020of]\n{ROW}arxiv = "2001.00001"\nnamed = "it"', "must have one of"),
        (f'[doe2020of]\n{ROW}arxiv = "2001.1"', "key 'arxiv': Expected"),
        (f'[doe2020of]\n{ROW}arxive = "2001.00001"', "unknown key 'arxive'"),
        (f'[Doe]\n{ROW}named = "it"', "key 'key': Expected"),
        ('[doe2020of]\nauthor = "Doe, Jane"\nyear = 2020\nnamed = "it"', "missing key 'title'"),
        (f'[doe2020of]\n{ROW}named = "it"\n[doe2020on]\n{ROW}named = "it"', "it is doe2020of"),
        ("doe2020of = 1", "must be a table, not 1"),
    ],
)
def test_rows_that_are_wrong_are_refused(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "references.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(references, "root", lambda: tmp_path)
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        entries.__wrapped__()
    assert "references.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_braces_balance_and_text_is_ascii(entry: Entry) -> None:
    depth = 0
    for character in entry.bibtex:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert entry.bibtex.isascii(), "old BibTeX sorts bytes"


@pytest.mark.skipif(None in TOOLS, reason="pdflatex or bibtex is not installed")
@pytest.mark.parametrize("style", ["plain", "unsrt", "alpha"])
def test_bibtex_and_latex_read_every_entry(style: str, tmp_path: Path) -> None:
    (tmp_path / "all.bib").write_text(
        bibtex(operator.reference for operator in OPERATORS), encoding="ascii"
    )
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\\usepackage{url}\\begin{document}\\nocite{*}"
        f"\\bibliographystyle{{{style}}}\\bibliography{{all}}\\end{{document}}",
        encoding="ascii",
    )

    def done(*command: str) -> str:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    latex = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex")
    done(*latex)
    assert "Warning" not in done("bibtex", "all")
    printed = (tmp_path / "all.bbl").read_text(encoding="ascii")
    assert printed.count("\\bibitem") == len(ALL)
    done(*latex)
