"""What a command was asked: its options as models, devices, forecasts and what is served."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sympy import Expr, Symbol

from lifesym import symbols as sym
from lifesym.capacity import in_slots
from lifesym.cli.rows import (
    DEVICE,
    IMAGES,
    NAMED,
    OFF,
    ROWS,
    SERVING,
    check,
    check_kind,
    is_given,
    parsed,
)
from lifesym.convnet import ConvForecast, UNet, unet
from lifesym.devices import load_hardware, typical
from lifesym.efficiencies import read_own
from lifesym.errors import SpecError
from lifesym.forecasting import OF_IMAGES, forecast
from lifesym.from_options import accepted_of, keywords_of, rewrites_of
from lifesym.hardware import Hardware
from lifesym.huggingface import load_model
from lifesym.inference import Forecast
from lifesym.model import Model
from lifesym.serving import (
    at_contexts,
    backlog,
    balanced_shares,
    disaggregate,
    mixed_pass,
    piggyback,
    pipeline,
    prefix_hits,
    read_groups,
    speculate,
)
from lifesym.symbols import exact
from lifesym.timed import Timed
from lifesym.workload import Keywords

_KEYWORDS = tuple(
    name for name in Keywords.__annotations__ if name in NAMED and not NAMED[name].rewrite
)
"""Options that are keywords of `lifesym.forecast` as they are."""
_DRAFT = (
    *("batch", "past", "prefix", "fusion", "tile", "tensor_parallel", "all_reduce"),
    *("data_parallel", "sequence_parallel", "engine", "overlap", "causal", "mla", "routing"),
    *("prompt", "generate", "probabilities", "imbalance", "images", "image_size", "audio"),
)
"""Options that the draft model shares: how it runs, but not its formats, adapters or cache."""
RUNNING = {n: sym.resolve(NAMED[n].symbol) for n in ("context", "new", "price")}
"""What formulas depend on that is no number of a forecast, by the options that give it."""
NETWORK = "unet"
"""The model that reads images: no name of a file, but a function of sizes."""
USUAL_GENERATION = 128
"""Tokens generated where a question depends on them and nothing says how many."""


@dataclass(frozen=True)
class Request:
    """The arguments of a command by name.

    Attributes:
        options: what was given, or its default.
        about: symbols that the question is about: options of theirs need no number.
        generates: whether the question depends on how many tokens are generated.
        loaded: the model, where it is not simply that of its name.
    """

    options: Mapping[str, Any]
    about: tuple[Symbol, ...] = ()
    generates: bool = True
    loaded: Model | None = None

    def __post_init__(self) -> None:
        """What a command does not take is not given."""
        usual = {row.name: row.default for row in ROWS}
        object.__setattr__(self, "options", {**usual, **self.options})

    def but(self, **changes: Any) -> "Request":
        """The same with some options changed."""
        return replace(self, options={**self.options, **changes})

    @cached_property
    def model(self) -> Model | UNet:
        """The model; of a family with every dimension a symbol where that is asked for."""
        name = self.options["model"]
        if self.loaded is not None:
            return self.loaded
        if name == NETWORK:
            return self._network()
        return Model.symbolic(name) if self.options.get("symbolic") else load_model(name)

    @property
    def text(self) -> Model:
        """The language model.

        Raises:
            SpecError: there is none, but a network of images.
        """
        model = self.model
        if isinstance(model, UNet):
            raise SpecError(f"{model.name} reads images: this is asked of language models")
        return model

    def _network(self) -> UNet:
        """The U-Net; with dimensions that are not given as symbols where that is asked for."""
        check_kind(self.options, of_images=True)
        check(self.options)
        given: dict[str, Any] = {}
        for row in (NAMED["batch"], *(row for row in ROWS if row.panel == IMAGES)):
            value = self.options[row.name]
            symbol = sym.resolve(row.symbol) if row.symbol else None
            if symbol is not None and (
                (value is None and symbol in self.about)
                or (self.options.get("symbolic") and not is_given(row, self.options))
            ):
                value = symbol
            if value is None:
                raise SpecError(f"{row.spelt}: a U-Net takes images; say how large they are")
            given[row.symbol or row.name] = value
        return unet(**{**given, "norm": given["norm"] == "batch"})

    @cached_property
    def hardware(self) -> Hardware:
        """The device."""
        named = self.options.get("on")
        return self.device("symbolic" if named is None else named)

    def device(self, name: str) -> Hardware:
        """A device, with its class's usual efficiencies and the numbers given, if any."""
        asked = {n: self.options.get("power" if n == "static_power" else n) for n in Hardware.opens}
        given = {name: value for name, value in asked.items() if value is not None}
        device = Hardware.symbolic() if name == "symbolic" else load_hardware(name)
        changed = (typical(device) if self.options["typical"] else device).with_(**given)
        if self.options["efficiency"] is not None:
            for key, value in read_own(self.options["efficiency"]).items():
                part, _, kind = key.rpartition(".")
                changed = changed.with_efficiency(part, **{kind: value})
        links = self.options["links"]
        if links is None:
            return changed
        if not given.keys().isdisjoint({"link_bandwidth", "link_latency"}):
            raise SpecError(
                "--links have bandwidths and latencies: leave out those of a single one"
            )
        return changed.with_links(*links)

    def forecast(self, hardware: Hardware | None = None, **changes: Any) -> Forecast:
        """The plain forecast, on another device or with other options.

        Raises:
            LifesymError: what `lifesym.forecast` raises, or an option that needs another one.
        """
        o = {**self.options, **changes}
        model = self.text
        check_kind(o, of_images=False)
        check(o)
        o |= dict.fromkeys(self.supposed, 1)
        device = hardware or self.hardware
        keywords = {name: o[name] for name in _KEYWORDS if o.get(name) is not None}
        keywords |= keywords_of(o, model, device.memories)
        sizes = [o["prompt"], self._generated(o), o["batch"], o["past"]]
        made = {row.rewrite: o[row.name] for row in ROWS if row.rewrite and is_given(row, o)}
        return forecast(model, device, *sizes, plan=rewrites_of(made), **keywords)

    @cached_property
    def unserved(self) -> Forecast:
        """The language model's forecast, which what is served is made of."""
        return self.forecast()

    def plain(self) -> Forecast | ConvForecast:
        """The forecast of the model itself, whatever is served beside it."""
        if not isinstance(self.model, UNet):
            return self.unserved
        given = {n: self.options[n] for n in OF_IMAGES if self.options[n] is not None}
        return self.model.forecast(self.hardware, **given)

    @cached_property
    def supposed(self) -> tuple[str, ...]:
        """Options that are off and asked about: the number that stands in means nothing."""
        off = (row for row in OFF if self.options[row.name] is None)
        return tuple(row.name for row in off if sym.resolve(row.symbol) in self.about)

    def running(self) -> dict[Symbol, Expr]:
        """What formulas depend on that is no number of a forecast, as far as it is given.

        Raises:
            SymbolError: a context that the model has no positions for.
        """
        given = {name: o for name in RUNNING if (o := self.options[name]) is not None}
        if "context" in given:
            self.text.check_length(exact(given["context"]) + 1)
        return {RUNNING[name]: exact(value) for name, value in given.items()}

    def _generated(self, options: Mapping[str, Any]) -> Any:
        given = options["generate"]
        if given is not None:
            return given
        if not self.text.generates:
            return 0
        served = any(row.panel == SERVING and is_given(row, options) for row in ROWS)
        asked = self.generates or served or sym.generated in self.about
        return USUAL_GENERATION if asked else 1

    def forms(self) -> dict[str, Timed]:
        """What is served besides the plain forecast, by the option that asks for it.

        Raises:
            LifesymError: what the forms raise.
        """
        o, made = self.options, dict[str, Timed]()
        if o["draft"] is not None:
            made["speculative"] = self._speculation()
        if o["pipeline"] is not None or o["stages_on"] is not None:
            made["pipeline"] = self._pipeline()
        if o["slots"] is not None:
            state, n = in_slots(self.unserved, o["slots"], o["preempted"] or 0), o["requests"]
            made["backlog" if n else "continuous"] = backlog(state, n) if n else state
        if o["contexts"] is not None:
            made["contexts"] = at_contexts(self.unserved, o["contexts"])
        if o["mixed"] is not None:
            made["mixed"] = mixed_pass(self.unserved, read_groups(o["mixed"]))
        if o["piggyback"] is not None:
            made["piggyback"] = piggyback(self.unserved, o["piggyback"], o["piggyback_context"])
        if o["hit_rate"] is not None:
            miss = self.forecast(prefix=None, hit_rate=None)
            made["prefix_cache"] = prefix_hits(miss, o["prefix"], o["hit_rate"])
        if o["decode_on"] is not None:
            decode = self.forecast(self.device(o["decode_on"]))
            link = o["transfer_bandwidth"], o["transfer_latency"]
            made["disaggregated"] = disaggregate(self.unserved, decode, *link)
        return made

    def form(self) -> Timed:
        """The one thing that a question is asked of: what is served, or the plain forecast.

        Raises:
            SpecError: several things are served, or a batch where they say how many sequences.
        """
        made = self.forms()
        if len(made) > 1:
            raise SpecError(f"a question is asked of one form, not of {' and '.join(made)}")
        said = next((n for n in ("slots", "contexts", "mixed") if self.options[n] is not None), "")
        if said and isinstance(batch := self.options["batch"], int) and batch != 1:
            raise SpecError(f"--batch: --{said} says how many sequences there are: leave it out")
        return next(iter(made.values())) if made else self.plain()

    def _speculation(self) -> Timed:
        o = self.options
        self.unserved.generates()
        own = o["draft"] == "self"
        shared = {
            row.name: o[row.name] for row in ROWS if row.name in _DRAFT or row.panel == DEVICE
        }
        usual = {row.name: row.default for row in ROWS if row.name not in shared}
        draft = None if own else self.but(**usual, **shared, model=o["draft"]).forecast()
        return speculate(self.unserved, draft, **accepted_of(o))

    def _pipeline(self) -> Timed:
        o = self.options
        if o["pipeline"] is not None and o["stages_on"] is not None:
            raise SpecError("--stages-on has a stage a device: leave out --pipeline")
        cut = {"microbatches": o["microbatches"] or 1, "overlap_sends": o["overlap_sends"]}
        if o["stages_on"] is None and o["shares"] is None:
            return pipeline(self.unserved, o["pipeline"], by_chunk=o["by_chunk"], **cut)
        if o["stages_on"] is None:
            stages = [self.unserved] * o["pipeline"]
        else:
            stages = [self.forecast(self.device(name)) for name in o["stages_on"]]
        shares = o["shares"]
        if shares == "balanced":  # those with which the stages' prefills take as long
            shares = list(balanced_shares([stage.ttft.expr for stage in stages]))
        return pipeline(stages, shares=shares, by_chunk=o["by_chunk"], **cut)


def changes_of(text: str, where: str) -> dict[str, Any]:
    """The options that a set such as ``weights=int4-g128,kv=int8,on=v100`` changes.

    Raises:
        SpecError: not NAME=VALUE pairs, an unknown name, or a value of the wrong kind.
    """
    pairs, aside = [], {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, value = map(str.strip, pair.partition("="))
        if not equals:
            raise SpecError(f"{where}: {pair!r} is not NAME=VALUE")
        if name in ("on", "model"):
            aside[name] = value
        else:
            pairs.append((name, value))
    return aside | parsed(where, pairs)


def symbolic_sizes(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with a symbol for each size of its model that is not given."""
    words = ("height", "width") if options["model"] == NETWORK else ("prompt", "generated")
    sizes = {row.name: row.symbol for row in ROWS if row.symbol in ("batch", *words)}
    return {n: sym.resolve(sizes[n]) if v is None and n in sizes else v for n, v in options.items()}
