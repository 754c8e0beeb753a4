"""Sources as BibTeX: the entries of ``specs/references.toml`` that texts name.

An operator's row ``reference``, or any other text, names a source by its arXiv number or by words.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Annotated

import msgspec

from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.specs import convert, read_toml, root

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\d{4}[a-z0-9]+$")]
_Year = Annotated[int, msgspec.Meta(ge=1900, le=2100)]
_Arxiv = Annotated[str, msgspec.Meta(pattern=r"^(\d{4}\.\d{4,5})?$")]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""A source, as BibTeX reads it: an article if it is in a journal, ``@misc`` otherwise.

    Attributes:
        key: what ``\cite`` takes: surname, year and a word of the title.
        author: the authors, as ``Surname, Given and Surname, Given``.
        title: the title.
        year: the year; of a preprint, that of its first version.
        arxiv: its arXiv number, by which texts name it.
        named: the words by which texts name it, if it has no number.
        journal: the journal, of an article.
        volume: its volume.
        number: its issue.
        pages: its pages.
        howpublished: what it is, if it is neither an article nor a preprint.
        doi: its DOI.
        url: its address; of a preprint, that of its abstract.
    """

    key: _Key
    author: _Text
    title: _Text
    year: _Year
    arxiv: _Arxiv = ""
    named: str = ""
    journal: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""
    howpublished: str = ""
    doi: str = ""
    url: str = ""

    @property
    def bibtex(self) -> str:
        r"""The entry as text; the title in braces of its own, so that styles keep its capitals.

        >>> print(cited(["Vaswani et al., arXiv 1706.03762, Eq. 1"])[0].bibtex.split(" and")[0])
        @misc{vaswani2017attention,
          author = {Vaswani, Ashish
        """
        fields = {
            "author": self.author,
            "title": f"{{{self.title}}}",
            "year": str(self.year),
            "journal": self.journal,
            "volume": self.volume,
            "number": self.number,
            "pages": self.pages,
            "howpublished": self.howpublished,
            "doi": self.doi,
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
            "url": f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url,
        }
        kind = "article" if self.journal else "misc"
        rows = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items() if text)
        return f"@{kind}{{{self.key},\n{rows}\n}}\n"


@cache
def entries() -> dict[str, Entry]:
    """Every source by what texts name it: its arXiv number, or its words.

    Raises:
        SpecError: a row that is wrong, or two of one name.
    """
    path = root() / "references.toml"
    found: dict[str, Entry] = {}
    for key, row in read_toml(path).items():
        where = f"{path}, {key}"
        if not isinstance(row, dict):
            raise SpecError(f"{where}: must be a table, not {row!r}")
        entry = convert({**row, "key": key}, Entry, where)
        if bool(entry.arxiv) == bool(entry.named):
            raise SpecError(
                f"{where}: must have one of 'arxiv' and 'named', by which texts name it"
            )
        name = entry.arxiv or entry.named
        if name in found:
            raise SpecError(f"{where}: {name} is {found[name].key} already")
        found[name] = entry
    return found


@cache
def _names() -> re.Pattern[str]:
    """Any source's name, as words of their own; a preprint's may have its version."""
    names = "|".join(map(re.escape, entries()))
    return re.compile(rf"(?<!\w)({names})(?:v\d+)?(?!\w)")


@checked
def cited(texts: Iterable[str]) -> list[Entry]:
    """The sources that texts name, each once, in the order of their first mention.

    What has no entry is left out.

    >>> [entry.key for entry in cited(["LIFE, arXiv 2508.00904, Eq. 7; Hu et al., 2106.09685"])]
    ['patwari2025forecasting', 'hu2021lora']

    Raises:
        SpecError: ``specs/references.toml`` is wrong.
    """
    named = (name for text in texts for name in _names().findall(text))
    return [entries()[name] for name in dict.fromkeys(named)]


@checked
def bibtex(texts: Iterable[str]) -> str:
    """The BibTeX of the sources that texts name; see `cited`.

    >>> bibtex(["vLLM, mamba_mixer2", "arXiv 1805.02867"]).count("@misc")
    2

    Raises:
        SpecError: ``specs/references.toml`` is wrong.
    """
    return "\n".join(entry.bibtex for entry in cited(texts))
