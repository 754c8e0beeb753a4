"""What ``lifesym forecast`` was asked: its devices, and its forecast with some options changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lifesym.cli.build import build

if TYPE_CHECKING:
    from lifesym.hardware import Hardware
    from lifesym.inference import Forecast
    from lifesym.model import Model

_NUMBERS = (
    *("compute_efficiency", "memory_efficiency", "dispatch_time"),
    *("link_bandwidth", "link_latency"),
)
"""What takes the place of a device's own numbers; of every device that is named."""
_QUESTIONS = (
    *("pipeline", "stages_on", "draft", "slots", "contexts", "mixed", "piggyback", "hit_rate"),
    *("decode_on", "price"),
)
"""What asks for more than one forecast says."""
_COMPARED = ("pipeline", "stages_on", "draft")
"""Those that give the measures of a comparison in place of the forecast's."""
_REFINE = {
    "microbatches": ("pipeline", "stages_on"),
    "shares": ("pipeline", "stages_on"),
    "draft_tokens": ("draft",),
    "acceptance": ("draft",),
    "accepted_rate": ("draft",),
    "position_rates": ("draft",),
    "tokens_per_step": ("draft",),
    "piggyback_context": ("piggyback",),
    "hit_rate": ("prefix",),
    "transfer_bandwidth": ("decode_on",),
    "transfer_latency": ("decode_on",),
}
"""Options that say nothing without one of some others."""
_ASIDE = frozenset(
    {"model", "on", "prompt", "generate", "json", "compare", "typical", "links"}
    | {*_NUMBERS, *_QUESTIONS, *_REFINE}
)
"""Arguments of the command that are no options of a forecast."""
_DRAFT = frozenset(
    {
        *(
            "batch",
            "past",
            "prefix",
            "fusion",
            "tile",
            "tensor_parallel",
            "all_reduce",
            "data_parallel",
        ),
        *("sequence_parallel", "overlap", "causal", "mla", "routing"),
    }
)
"""Options that the draft model shares: how it runs, but not its formats, adapters or cache."""


@dataclass(frozen=True)
class Setting:
    """The arguments of the command by name; None where one was not given."""

    options: Mapping[str, Any]

    @cached_property
    def model(self) -> "Model":
        """The model."""
        from lifesym.huggingface import load_model  # noqa: PLC0415 (SymPy only where needed)

        return load_model(self.options["model"])

    @property
    def workload(self) -> tuple[int, int]:
        """Prompt and generated tokens; none of the latter where the model gives none.

        Raises:
            SpecError: a model that generates, and not said how much.
        """
        from lifesym.errors import SpecError  # noqa: PLC0415

        prompt, generate = self.options["prompt"], self.options["generate"]
        if generate is None and self.model.generates:
            raise SpecError(f"--generate: {self.model.name} generates tokens; say how many")
        return prompt, generate or 0

    @cached_property
    def hardware(self) -> "Hardware":
        """The device."""
        return self.device(self.options["on"])

    @property
    def base(self) -> dict[str, Any]:
        """The options of the forecast."""
        return {name: value for name, value in self.options.items() if name not in _ASIDE}

    def device(self, name: str) -> "Hardware":
        """A device, with its class's usual efficiencies and the numbers given, if any."""
        from lifesym.devices import load_hardware, typical  # noqa: PLC0415

        given = {n: self.options[n] for n in _NUMBERS if self.options[n] is not None}
        device = load_hardware(name)
        changed = (typical(device) if self.options["typical"] else device).with_(**given)
        links = self.options["links"]
        return changed if links is None else changed.with_links(*_links(links))

    def with_(self, changes: Mapping[str, Any]) -> "Setting":
        """The same with some arguments changed."""
        return Setting({**self.options, **changes})

    def forecast(self, hardware: "Hardware | None" = None, **changes: Any) -> "Forecast":
        """The forecast, on another device or with other options."""
        return build(
            self.model, hardware or self.hardware, *self.workload, {**self.base, **changes}
        )

    def draft(self) -> "Forecast | None":
        """The draft model's forecast; None where the model drafts for itself."""
        from lifesym.huggingface import load_model  # noqa: PLC0415

        if self.options["draft"] == "self":
            return None
        shared = {name: value for name, value in self.base.items() if name in _DRAFT}
        return build(load_model(self.options["draft"]), self.hardware, *self.workload, shared)

    def check(self) -> None:
        """Refuse what would be left out without a word.

        Raises:
            SpecError: an option that cannot be compared, or that needs another one.
        """
        from lifesym.errors import SpecError  # noqa: PLC0415

        given = {name for name, value in self.options.items() if value is not None}
        for name in _QUESTIONS:
            if self.options["compare"] and name in given and name not in _COMPARED:
                raise SpecError(f"{_spelt(name)} cannot be compared: leave out --compare")
        for name, needed in _REFINE.items():
            if name in given and given.isdisjoint(needed):
                raise SpecError(f"{_spelt(name)} needs {' or '.join(map(_spelt, needed))}")
        if "links" in given and not given.isdisjoint({"link_bandwidth", "link_latency"}):
            raise SpecError(
                "--links have bandwidths and latencies: leave out those of a single one"
            )
        if self.options["compare"] and "draft" in given and not given.isdisjoint(_COMPARED[:2]):
            raise SpecError("a pipeline and a draft are not forecast together: compare one of them")
        if {"pipeline", "stages_on"} <= given:
            raise SpecError("--stages-on has a stage a device: leave out --pipeline")


def _links(text: str) -> list[tuple[float, float]]:
    """Pairs of a bandwidth and a latency, such as ``1e9:0.005,2e8:0``."""
    from lifesym.errors import SpecError  # noqa: PLC0415

    try:
        pairs = [[float(number) for number in part.split(":")] for part in text.split(",")]
    except ValueError:
        pairs = [[]]
    if any(len(pair) != 2 for pair in pairs):
        raise SpecError(f"--links: {text!r} is not a list of BANDWIDTH:LATENCY")
    return [(rate, latency) for rate, latency in pairs]


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"
