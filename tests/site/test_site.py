"""The built documentation, `build/site`: nothing is missing, no link dead, nothing fetched."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import generated
import pytest

import lifesym as ls
from lifesym import operators
from lifesym.cli.commands import COMMANDS
from lifesym.cli.rows import ROWS
from lifesym.formats import known_formats
from lifesym.metrics import METRICS
from lifesym.own_symbols import _OURS
from lifesym.specs import names
from lifesym.symbols import TABLE

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "build" / "site"
pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(
        not SITE.exists(),
        reason="not built: sphinx-build -W -n --keep-going -q -c docs . build/site",
    ),
]
LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src"}
"""What a page fetches by itself."""


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]):
            self.loads.append(given[LOADED[tag]])


@cache
def pages() -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in sorted(SITE.rglob("*.html"))}


def anchors(page: str) -> set[str]:
    return pages()[SITE / "docs" / "reference" / page].anchors


def dead(path: Path, link: str) -> Iterator[str]:
    """Why a link within the site leads nowhere."""
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        yield f"{path.relative_to(SITE)}: no file {link}"
    elif (
        parts.fragment
        and target.suffix == ".html"
        and (unquote(parts.fragment) not in pages()[target].anchors)
    ):
        yield f"{path.relative_to(SITE)}: no anchor {link}"


def test_no_link_is_dead() -> None:
    inner = [
        (path, link)
        for path, page in pages().items()
        for link in page.links + page.loads
        if not urlsplit(link).scheme
    ]
    assert len(inner) > 1000
    assert [reason for path, link in inner for reason in dead(path, link)] == []


def test_links_to_elsewhere_are_well_formed() -> None:
    for path, page in pages().items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme in ("https", "http", "mailto"), (path, link)
                assert re.fullmatch(r"[\w.-]+\.\w+", parts.netloc), (path, link)


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path, page in pages().items():
        assert [link for link in page.loads if urlsplit(link).scheme not in ("", "data")] == [], (
            path
        )
    for style in SITE.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import )['\"]?(\w+:[^)'\"]+)", style.read_text("utf-8"))
        assert [link for link in found if not link.startswith("data:")] == [], style


def test_every_public_name_is_there() -> None:
    missing = [
        f"{module}.{name}"
        for module in (*generated.AREAS, *generated.BENEATH)
        for name in generated.public(module)
        if f"{module}.{name}" not in anchors(f"api/{module}.html")
    ]
    page = anchors("operators.html")
    missing += [name for name in operators.__all__ if f"lifesym.operators.{name}" not in page]
    assert missing == []


def test_what_users_type_is_there() -> None:
    """Symbols, metrics, options, commands, and the names of the database."""
    found = {
        "symbol": [row.word for row in TABLE.values() if row.word in _OURS],
        "metric": METRICS,
        "option": [row.spelt for row in ROWS],
        "device": names("hardware"),
        "engine": names("engines"),
        "format": known_formats(),
        "model": names("models"),
    }
    for kind, words in found.items():
        expected = {generated.anchor(kind, word) for word in words}
        assert expected - anchors(f"{kind}s.html") == set(), kind
    typed = {f"lifesym-{name.replace('_', '-')}" for name in COMMANDS}
    assert typed <= anchors("commands.html")


def test_every_operator_has_its_formulas() -> None:
    text = (SITE / "docs" / "reference" / "operators.html").read_text(encoding="utf-8")
    for name in operators.__all__:
        kind = getattr(operators, name)
        if issubclass(kind, operators.Operator) and kind is not operators.Operator:
            assert kind.reference.split(",")[0].split(";")[0] in text.replace("&amp;", "&")
            for formula in (generated.formulas(kind) or {}).values():
                assert formula.replace("&", "&amp;").replace("<", "&lt;") in text, name


def test_every_page_is_reached_and_found() -> None:
    """From the first page, and by the search, which reads one file."""
    reached = {SITE / "index.html"}
    queue = [SITE / "index.html"]
    while queue:
        path = queue.pop()
        for link in pages()[path].links:
            target = (path.parent / unquote(urlsplit(link).path)).resolve()
            if not urlsplit(link).scheme and target in pages() and target not in reached:
                reached.add(target)
                queue.append(target)
    assert set(pages()) - reached - {SITE / "search.html"} == set()
    index = (SITE / "searchindex.js").read_text(encoding="utf-8")
    written = sorted(SITE.glob("docs/**/*.html"))
    assert all(f'"{path.relative_to(SITE).with_suffix("")}"' in index for path in written)


def test_the_site_is_of_this_package() -> None:
    assert f"lifesym {ls.__version__}" in (SITE / "docs" / "index.html").read_text("utf-8")
