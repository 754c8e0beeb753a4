"""A forecast from the options of the command line, and the sets of options that are compared."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifesym.cli.routing import chosen_routing

if TYPE_CHECKING:
    from lifesym.hardware import Hardware
    from lifesym.inference import Forecast
    from lifesym.model import Model

Chosen = Mapping[str, Any]


def _whole(text: str) -> int:
    if not (text.isdecimal() and text.isascii()) or len(text) > 15:
        raise ValueError("a whole number")
    return int(text)


def _positive(text: str) -> int:
    number = _whole(text) if text.strip("0") else 0
    if number == 0:
        raise ValueError("a whole number above 0")
    return number


def _switch(text: str) -> bool:
    known = {"yes": True, "no": False}
    if text not in known:
        raise ValueError("yes or no")
    return known[text]


def _fraction(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number") from None


OPTIONS: dict[str, Callable[[str], Any]] = {
    "weights": str,
    "activations": str,
    "kv": str,
    "chunk": _whole,
    "lora": _whole,
    "lora-targets": str,
    "lora-adapters": _whole,
    "lora-merged": _switch,
    "adapter": _whole,
    "fusion": str,
    "tile": _whole,
    "unfused-dequant": _switch,
    "kv-budget": _whole,
    "kv-keep": _fraction,
    "kv-scored": _switch,
    "kv-rank": _whole,
    "kv-share": _whole,
    "kv-page": _whole,
    "prefix": _whole,
    "tensor-parallel": _whole,
    "all-reduce": str,
    "sequence-parallel": _switch,
    "expert-parallel": _whole,
    "data-parallel": _whole,
    "pipeline": _positive,
    "microbatches": _positive,
    "draft": str,
    "draft-tokens": _positive,
    "acceptance": _fraction,
    "offload-weights": _fraction,
    "offload-experts": _fraction,
    "offload-kv": _fraction,
    "offload-activations": _fraction,
    "offload-bandwidth": _fraction,
    "offload-capacity": _fraction,
    "batch": _whole,
    "overlap": str,
    "mla": str,
    "routing": str,
    "imbalance": _fraction,
    "causal": str,
    "images": _whole,
    "image-size": str,
}
"""What a compared set may change, spelt as on the command line, and how its text is read."""


def parse_set(text: str) -> dict[str, Any]:
    """The options of one ``--compare``, such as ``weights=int4-g128,kv=int8``.

    Raises:
        SpecError: not NAME=VALUE pairs, an unknown name, or a value of the wrong kind.
    """
    from lifesym.errors import SpecError, nearest  # noqa: PLC0415

    chosen: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, value = map(str.strip, pair.partition("="))
        if not equals:
            raise SpecError(f"--compare: {pair!r} is not NAME=VALUE")
        if name not in OPTIONS:
            raise SpecError(f"--compare: unknown option {name!r}{nearest(name, OPTIONS)}")
        try:
            chosen[name.replace("-", "_")] = OPTIONS[name](value)
        except ValueError as error:
            raise SpecError(f"--compare: {name} must be {error}, not {value!r}") from None
    return chosen


def build(
    model: "Model", hardware: "Hardware", prompt: int, generate: int, chosen: Chosen
) -> "Forecast":
    """The forecast under some options; those left out have their defaults.

    Raises:
        LifesymError: what `lifesym.forecast` raises.
    """
    from lifesym.forecasting import forecast  # noqa: PLC0415
    from lifesym.serving import with_prefix  # noqa: PLC0415

    plain = dict(chosen)
    _check(plain)
    options: dict[str, Any] = {
        "cache": _cache(plain),
        "image_size": _image_size(plain),
        "levels": _levels(plain),
        "lora": _lora(plain, model),
        "roles": roles(plain.pop("format", None) or []),
        "routing": chosen_routing(plain),
    }
    prefix = plain.pop("prefix", None)
    options |= {name: value for name, value in plain.items() if value is not None}
    result = forecast(model, hardware, prompt, generate, **options)
    return result if prefix is None else with_prefix(result, prefix)


def roles(pairs: list[str]) -> dict[str, str]:
    """Formats of single kinds of weights, from ROLE=FORMAT pairs.

    Raises:
        SpecError: not such a pair.
    """
    from lifesym.errors import SpecError  # noqa: PLC0415

    chosen = {}
    for pair in pairs:
        role, equals, name = map(str.strip, pair.partition("="))
        if not (role and equals and name):
            raise SpecError(f"--format: {pair!r} is not ROLE=FMT")
        chosen[role] = name
    return chosen


def _check(options: dict[str, Any]) -> None:
    """Refuse options that would do nothing without another one."""
    from lifesym.errors import SpecError  # noqa: PLC0415

    needs = (
        ("sequence_parallel", "tensor_parallel", (None, 1), "--tensor-parallel"),
        ("all_reduce", "tensor_parallel", (None, 1), "--tensor-parallel"),
        ("tile", "fusion", (None, "none", "layer"), "--fusion flash or full"),
        ("lora_targets", "lora", (None,), "--lora"),
        ("lora_adapters", "lora", (None,), "--lora"),
        ("lora_merged", "lora", (None,), "--lora"),
    )
    for name, other, without, wanted in needs:
        if options.get(name) and options.get(other) in without:
            raise SpecError(f"--{name.replace('_', '-')} needs {wanted}")


def _lora(options: dict[str, Any], model: "Model") -> Any:
    from lifesym.peft import read_adapter  # noqa: PLC0415
    from lifesym.transforms import Lora  # noqa: PLC0415

    rank = options.pop("lora", None)
    targets = options.pop("lora_targets", None)
    more = {
        "adapters": options.pop("lora_adapters", None),
        "targets": None if targets is None else tuple(targets.replace("+", ",").split(",")),
        "merged": options.pop("lora_merged", None),
    }
    if rank is None:
        return None
    given = {name: value for name, value in more.items() if value is not None}
    if isinstance(rank, str):
        return replace(read_adapter(rank, model), **given)
    return Lora(rank=rank, **given)


def _image_size(options: dict[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of pixels, from ``HxW`` or one number for both."""
    from lifesym.errors import SpecError  # noqa: PLC0415

    text = options.pop("image_size", None)
    if text is None:
        return None
    rows, by, columns = text.lower().partition("x")
    try:
        return _positive(rows), _positive(columns if by else rows)
    except ValueError:
        raise SpecError(f"--image-size: {text!r} is not HxW or one number of pixels") from None


def _cache(options: dict[str, Any]) -> Any:
    from lifesym.transforms import CachePolicy  # noqa: PLC0415

    names = ("budget", "keep", "scored", "rank", "share", "page")
    given = {name: options.pop(f"kv_{name}", None) for name in names}
    policy = {name: value for name, value in given.items() if not (value is None or value is False)}
    return CachePolicy(**policy) if policy else None


def _levels(options: dict[str, Any]) -> list[Any]:
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.levels import Level  # noqa: PLC0415

    memory = {name: options.pop(f"offload_{name}", None) for name in ("bandwidth", "capacity")}
    roles = ("weights", "experts", "kv", "activations")
    given = {role: options.pop(f"offload_{role}", None) for role in roles}
    shares = {role: value for role, value in given.items() if value is not None}
    for name, value in memory.items():
        if not shares and value is not None:
            raise SpecError(f"--offload-{name} needs a share to offload, such as --offload-kv")
    if not shares:
        return []
    if memory["bandwidth"] is None:
        raise SpecError("offloading needs --offload-bandwidth, in bytes a second")
    return [Level(name="offload", **memory, **shares)]
