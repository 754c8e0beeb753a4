"""Li et al., LLM Inference Acceleration: a Comprehensive Hardware Perspective (arXiv 2410.04466).

Read: the authors' workbook ``data/data202505.xlsx`` (Kimho666/LLM_Hardware_Survey, commit 91a5956),
which does not state the models and lengths of its rows; those of GPUs are taken to be Llama-2-7B,
one sequence, 128 tokens in and out. Its rows of other machines are shown as what they imply, and
are not forecast.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass

from base import GALLERY, Number

import lifesym as ls

WORK = "Li et al. (2410.04466)"
MODEL = "llama-2-7b"


@dataclass(frozen=True)
class Entry:
    """A row of the workbook that a device of lifesym's has."""

    row: str
    entry: str
    device: str
    weights: str
    token_per_s: float
    watt: float
    token_per_joule: float

    def forecast(self) -> ls.Forecast:
        """At what devices of its class attain."""
        return ls.forecast(MODEL, ls.typical(self.device), 128, 128, weights=self.weights)


def entries() -> list[Entry]:
    """The rows of ``data/hardware_survey.csv``."""
    numbers = ("token_per_s", "watt", "token_per_joule")
    with (GALLERY / "data" / "hardware_survey.csv").open(encoding="utf-8") as file:
        return [
            Entry(**{**row, **{name: float(row[name]) for name in numbers}})
            for row in csv.DictReader(file)
        ]


def at_the_watts(entry: Entry) -> float:
    """Tokens a joule at the power that the workbook states."""
    return float(entry.forecast().tps) / entry.watt


def _number(entry: Entry, unit: str, published: float, mine: Callable[[], float]) -> Number:
    return Number(
        work=WORK,
        where="data202505.xlsx",
        what=f"{entry.entry} ({unit})",
        published=published,
        mine=mine,
        within=0.27,
        reason="model and lengths of the row are not stated; efficiencies are those of the class",
    )


NUMBERS = tuple(
    number
    for entry in entries()
    for number in (
        _number(entry, "token/s", entry.token_per_s, lambda e=entry: float(e.forecast().tps)),
        _number(entry, "token/J", entry.token_per_joule, lambda e=entry: at_the_watts(e)),
    )
)
