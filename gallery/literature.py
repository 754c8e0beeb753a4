"""The page docs/literature.md: every work, what was compared, and the verdict.

    python gallery/literature.py

writes it anew; a test keeps it up to date.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from statistics import median

from base import GALLERY, Number, Published, numbers, works
from formulas import FORMULAS

from lifesym.analysis.agreement import compare

PAGE = GALLERY.parent / "docs" / "literature.md"
HEAD = """# The literature, checked

What lifesym derives from operators, beside what papers print. `pytest gallery` asserts every row;
`python gallery/literature.py` writes this page. A formula is *equal* where the difference is proved
to be zero, *equal under* conventions that are named, or *differs* by a share that is certified over
a box. Of numbers the median and the largest difference stand here, each with its reason in the
notebook. What could not be read of a work is said there, too.

"""


def formula_rows(rows: Iterable[Published]) -> list[str]:
    """A line for each formula."""
    lines = ["| work | where | formula | verdict |", "|---|---|---|---|"]
    for row in rows:
        verdict = str(compare(row.mine, row.theirs, row.over or None))
        reason = f": {row.reason}" if row.reason else ""
        what = row.what.replace("|", "\\|")
        lines.append(f"| {row.work} | {row.where} | {what} | {verdict}{reason} |")
    return lines


def number_rows(work: str) -> list[str]:
    """A line for each place in a work."""
    places: dict[tuple[str, str], list[Number]] = {}
    for number in numbers(work):
        places.setdefault((number.work, number.where), []).append(number)
    if not places:
        name = import_module(work.replace("-", "_")).WORK
        return [
            f"| {name} | | 0 | no number of it could be read | [{work}](../gallery/{work}.ipynb) |"
        ]
    return [
        f"| {name} | {where} | {len(rows)} | {verdict(rows)} | [{work}](../gallery/{work}.ipynb) |"
        for (name, where), rows in places.items()
    ]


def verdict(rows: list[Number]) -> str:
    """How far lifesym's numbers are from those of one place."""
    off = [abs(row.off()) for row in rows]
    refuted = sum(row.refuted for row in rows)
    said = "equal" if max(off) < 1e-9 else f"{share(median(off))}, at most {share(max(off))}"
    reasons = list(dict.fromkeys(row.reason for row in rows if row.reason))
    if reasons:
        said += f": {'; '.join(reasons)}"
    return said if not refuted else f"{said} ({refuted} claims do not hold)"


def share(part: float) -> str:
    """A share in per cent, in two digits; what rounding leaves is none."""
    return "0 %" if part < 5e-9 else f"{100 * part:.2g} %"


def page() -> str:
    """The whole page."""
    lines = ["## Formulas", "", *formula_rows(FORMULAS), "", "## Numbers", ""]
    lines += ["| work | where | numbers | difference | notebook |", "|---|---|---:|---|---|"]
    lines += [line for work in works() for line in number_rows(work)]
    total = sum(len(numbers(work)) for work in works())
    lines += ["", f"{len(FORMULAS)} formulas and {total} numbers of {len(works())} notebooks."]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    Path(PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
