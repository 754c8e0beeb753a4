"""The table of transformers' classes in docs/architectures.md, from ``specs/transformers.toml``.

    python tests/coverage_table.py

writes it anew; a test keeps it up to date.
"""

from collections import defaultdict
from pathlib import Path

from lifesym.families import MODEL_TYPES
from lifesym.families.classes import classes
from lifesym.multimodal import WRAPPERS

FILE = Path(__file__).parents[1] / "docs" / "architectures.md"
MARKS = ("<!-- coverage -->\n", "<!-- /coverage -->")


def table() -> str:
    """Counts by year, and every class that is refused with its reason."""
    known, stored = {*MODEL_TYPES, *WRAPPERS}, classes()
    years: dict[int, list[str]] = defaultdict(list)
    for kind, year in stored.causal.items():
        years[year].append(kind)
    rows = [
        ("not said" if year == 0 else str(year), kinds) for year, kinds in sorted(years.items())
    ]
    rows.append(("all causal", list(stored.causal)))
    rows.append(("2024 to 2026", [k for year in (2024, 2025, 2026) for k in years[year]]))
    rows.append(("image-text-to-text", stored.multimodal))
    lines = [f"Classes of transformers {stored.release} by the year of their copyright line:", ""]
    lines += ["| year | known | of |", "|---|---|---|"]
    lines += [f"| {name} | {len(known & set(kinds))} | {len(kinds)} |" for name, kinds in rows]
    lines += ["", "| refused | why |", "|---|---|"]
    reasons: dict[str, list[str]] = defaultdict(list)
    for kind in sorted({*stored.causal, *stored.multimodal} - known):
        reasons[stored.refused.get(kind, "not read yet")].append(kind)
    lines += [f"| {', '.join(kinds)} | {why} |" for why, kinds in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The document with the table of now."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + table() + MARKS[1] + rest.split(MARKS[1])[1]


def main() -> None:
    """Write the document."""
    FILE.write_text(written(FILE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
