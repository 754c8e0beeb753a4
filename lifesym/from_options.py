"""What options mean that are no keyword as they are: caches, memories, adapters, routing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from lifesym.errors import SpecError
from lifesym.levels import Level
from lifesym.memories import parse_level
from lifesym.model import Model
from lifesym.operators import Routing
from lifesym.peft import read_adapter
from lifesym.specs import read_fractions
from lifesym.transforms import CachePolicy, Lora


def keywords_of(o: Mapping[str, Any], model: Model, known: Sequence[Level]) -> dict[str, Any]:
    """The keywords of `lifesym.forecast` that several options together mean.

    Raises:
        SpecError: options that do not go together, or a value that cannot be read.
    """
    return {
        "cache": cache_of(o),
        "levels": levels_of(o, known),
        "lora": lora_of(o, model),
        **{name: roles_of(o[name] or [], name) for name in ("roles", "activation_roles")},
        "routing": routing_of(o),
    }


def roles_of(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Formats of single kinds of weights, or of what their products read, from ROLE=FORMAT pairs.

    Raises:
        SpecError: something else, or a role that has two formats.
    """
    spelt = f"--{option.replace('_', '-')}"
    chosen: dict[str, str] = {}
    for pair in pairs:
        role, equals, name = map(str.strip, pair.partition("="))
        if not (role and equals and name):
            raise SpecError(f"{spelt}: {pair!r} is not ROLE=FMT")
        if chosen.get(role, name) != name:
            raise SpecError(f"{spelt}: {role} has two formats, {chosen[role]} and {name}")
        chosen[role] = name
    return chosen


def lora_of(o: Mapping[str, Any], model: Model) -> Lora | None:
    """The adapters of a rank or of their file, if there are any."""
    if o["lora"] is None:
        return None
    targets = o["lora_targets"]
    given = {
        "adapters": o["lora_adapters"],
        "targets": None if targets is None else tuple(targets.replace("+", ",").split(",")),
        "merged": "inline" if o["lora_inline"] else o["lora_merged"] or None,
    }
    more: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if isinstance(o["lora"], str):
        return replace(read_adapter(o["lora"], model), **more)
    return Lora(rank=o["lora"], **more)


def cache_of(o: Mapping[str, Any]) -> CachePolicy | None:
    """The cache policy of the options, if they have one."""
    names = ("budget", "keep", "scored", "rank", "share", "page")
    given = {name: o[f"kv_{name}"] for name in names if o[f"kv_{name}"] not in (None, False)}
    return CachePolicy(**given) if given else None


def levels_of(o: Mapping[str, Any], known: Sequence[Level]) -> list[Level]:
    """The memories of the options.

    Raises:
        SpecError: a share to offload without a bandwidth.
    """
    levels = [parse_level(text, known) for text in o["memory"] or []]
    roles = ("weights", "experts", "kv", "activations")
    shares = {role: o[f"offload_{role}"] for role in roles if o[f"offload_{role}"] is not None}
    if shares:
        if o["offload_bandwidth"] is None:
            raise SpecError("offloading needs --offload-bandwidth, in bytes a second")
        memory = {"bandwidth": o["offload_bandwidth"], "capacity": o["offload_capacity"]}
        levels.append(Level(name="offload", **memory, **shares))
    return levels


def routing_of(o: Mapping[str, Any]) -> Routing:
    """The rule that ``routing``, ``probabilities`` and ``imbalance`` describe."""
    kind, listed = o["routing"], o["probabilities"]
    imbalance = 1 if o["imbalance"] is None else o["imbalance"]
    if listed is None:
        return Routing(kind=kind, imbalance=imbalance)
    if kind != "uniform":
        raise SpecError(f"--probabilities are a routing of their own: leave out --routing {kind}")
    return Routing(
        kind="skewed", probabilities=read_fractions(listed, "--probabilities"), imbalance=imbalance
    )


def rewrites_of(given: Mapping[str, Any]) -> list[Any]:
    """The rewrites of classes' paths, each with a field at its end: fields of one make it."""
    made: dict[str, dict[str, Any]] = {}
    for path, value in given.items():
        kind, _, field = path.rpartition(".")
        made.setdefault(kind, {})[field] = value
    return [
        getattr(import_module(kind.rpartition(".")[0]), kind.rpartition(".")[2])(**fields)
        for kind, fields in made.items()
    ]


def accepted_of(o: Mapping[str, Any]) -> dict[str, Any]:
    """Drafted tokens, and how they are accepted."""
    names = ("acceptance", "accepted_rate", "tokens_per_step", "position_rates")
    accepted = {name: o[name] for name in names if o[name] is not None} or {"acceptance": 0.8}
    usual = len(accepted["position_rates"]) if "position_rates" in accepted else 4
    return {"tokens": usual if o["draft_tokens"] is None else o["draft_tokens"], **accepted}
