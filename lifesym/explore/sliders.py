"""The numbers that are moved on a page."""

from dataclasses import dataclass
from typing import Any

from lifesym.symbols import TABLE, resolve

_LENGTH = 131072


@dataclass(frozen=True, kw_only=True)
class Slider:
    """A number that is moved.

    Attributes:
        word: of its symbol.
        place: among which controls it stands.
        ends: of the slider; around the device's own number where there are none.
        log: whether equal steps are equal ratios.
        length: whether the model's positions end it.
        label: what it is called, unless it is the word.
    """

    word: str
    place: str = "device"
    ends: tuple[float, float] | None = None
    log: bool = True
    length: bool = False
    label: str = ""

    def data(self) -> dict[str, Any]:
        """What the page must know of it."""
        row = TABLE[resolve(self.word)]
        low, high = self.ends or (0, 1)
        return {
            "name": row.symbol.name,
            "label": self.label or row.word.replace("_", " "),
            "meaning": row.meaning,
            "unit": row.unit,
            "whole": row.whole,
            "least": float(row.minimum or 0),
            "most": None if row.maximum is None else float(row.maximum),
            "place": self.place,
            "low": low,
            "high": high,
            "around": self.ends is None,
            "log": self.log,
            "length": self.length,
        }


SLIDERS = (
    Slider(word="prompt", place="workload", ends=(1, _LENGTH), length=True),
    Slider(
        word="past", place="workload", ends=(0, _LENGTH), log=False, length=True, label="context"
    ),
    Slider(word="generated", place="workload", ends=(2, 8192), length=True),
    Slider(word="batch", place="workload", ends=(1, 1024)),
    Slider(word="chunk", place="workload", ends=(16, _LENGTH)),
    Slider(word="peak"),
    Slider(word="vector_peak"),
    Slider(word="bandwidth"),
    Slider(word="compute_efficiency", ends=(0.01, 1), log=False),
    Slider(word="memory_efficiency", ends=(0.01, 1), log=False),
    Slider(word="dispatch_time", ends=(0, 5e-5), log=False),
    Slider(word="link_bandwidth"),
    Slider(word="link_latency", ends=(0, 5e-5), log=False),
    Slider(word="static_power"),
    Slider(word="hourly_price", ends=(0, 100), log=False),
)
