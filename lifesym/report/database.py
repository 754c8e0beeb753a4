"""What is in the database, with sources, as plain data."""

from collections.abc import Mapping
from typing import Any

from sympy import Expr

from lifesym.devices import aliases, load_hardware
from lifesym.engines import load_engine
from lifesym.errors import SpecError, nearest
from lifesym.families import FAMILIES, MODEL_TYPES
from lifesym.families.classes import classes
from lifesym.formats import known_formats
from lifesym.hardware import Hardware
from lifesym.huggingface import example, load_model
from lifesym.metrics import METRICS
from lifesym.report.structure import sections, structure
from lifesym.report.units import quantity
from lifesym.specs import names, read_json, root
from lifesym.units import shown_bytes

_FIGURES = (
    "capacity",
    "link_bandwidth",
    "link_latency",
    "static_power",
    "compute_efficiency",
    "memory_efficiency",
    "dispatch_time",
    "multiprocessors",
)


def everything() -> dict[str, Any]:
    """All entries by kind."""
    models = {}
    for name in names("models"):
        config = read_json(root() / "models" / f"{name}.json")
        inner = config.get("text_config") or config
        models[name] = {"family": inner.get("model_type"), "source": config.get("_source", "")}
    devices = {}
    for name in names("hardware"):
        device = load_hardware(name)
        devices[name] = {
            "name": device.name,
            "kind": device.kind,
            "bandwidth": int(device.bandwidth),
            "peaks": _peaks(device),
            "sources": dict(device.sources),
        }
    formats = {name: float(kind.bits_per_value) for name, kind in known_formats().items()}
    engines = {name: load_engine(name).meaning for name in names("engines")}
    families = {kind: FAMILIES[name].example for kind, name in sorted(MODEL_TYPES.items())}
    return {
        "models": models,
        "hardware": devices,
        "engines": engines,
        "formats": formats,
        "families": families,
    }


def entry(name: str) -> dict[str, Any]:
    """One model, device, engine, format or family; or all metrics.

    Raises:
        SpecError: it has no such entry.
    """
    if name in names("models"):
        return {"kind": "model", **read_json(root() / "models" / f"{name}.json")}
    if name in names("hardware") or name in aliases():
        device = load_hardware(name)
        return {**figures(device), "sources": dict(device.sources)}
    if name in names("engines"):
        engine = load_engine(name)
        return {
            "kind": "engine",
            **{
                field: _plain_number(value) if isinstance(value, Expr) else value
                for field, value in vars(engine).items()
                if value
            },
        }
    if name in known_formats():
        stored = known_formats()[name]
        return {"kind": "format", "bits": float(stored.bits_per_value), "native": stored.native}
    spelt = name if name in MODEL_TYPES else f"{name}_text"  # the language model of several
    if spelt in MODEL_TYPES:
        family = FAMILIES[MODEL_TYPES[spelt]]
        model = example(MODEL_TYPES[spelt])
        own = load_model(family.example).family == model.family
        return {
            "kind": "family",
            "supports": " ".join(str(family.build.__doc__).split()),
            "model types": [MODEL_TYPES[spelt], *family.kin],
            "compared with": _compared(spelt),
            "example": family.example if own else f"{family.example}, read as one",
            "sections": sections(model),
            **structure(model),
            "keys": ", ".join(family.config.__struct_fields__),
        }
    known = [*names("models"), *names("hardware"), *aliases(), *names("engines")]
    known += [*known_formats(), *MODEL_TYPES]
    if name == "metrics":
        return {metric: row.meaning for metric, row in METRICS.items()}
    raise SpecError(f"{name!r} is not in the database{nearest(name, known)}")


def figures(device: Hardware) -> dict[str, Any]:
    """A device's numbers, in SI units; what is not known is null, and a formula is text."""
    known = {name: getattr(device, name) for name in _FIGURES}
    return {
        "kind": device.kind,
        "device": device.name,
        "peaks": _peaks(device),
        "bandwidth": _plain_number(device.bandwidth),
        **{name: None if x is None else _plain_number(x) for name, x in known.items()},
        "matrix engine": _engine(device),
    }


def _compared(kind: str) -> str:
    """What a type was last counted against."""
    known = classes()
    wrapper = kind.removesuffix("_model").removesuffix("_text")
    if kind in known.causal or wrapper in known.multimodal:
        return f"its class in transformers {known.release}"
    return "the code in its checkpoints, or a class of the same arithmetic"


def _peaks(device: Hardware) -> dict[str, float | str]:
    vector = {f"vector {kind}": _plain_number(rate) for kind, rate in device.vector.items()}
    return {kind: _plain_number(rate) for kind, rate in device.matrix.items()} | vector


def _engine(device: Hardware) -> str:
    if not device.matrix_known:
        return "peak not known"
    return "peaks above" if device.matrix else "none"


def _plain_number(value: Expr) -> float | str:
    """A whole number where it is one, as JSON has it; a formula as text."""
    if value.free_symbols:
        return str(value)
    return int(value) if float(value).is_integer() else float(value)


def shown_entry(found: Mapping[str, Any]) -> list[list[str]]:
    """An entry's keys and values in words and with units."""
    shown = _with_unit if "device" in found else _plain
    return [[key, shown(value, key)] for key, value in found.items()]


def _plain(value: Any, _: str = "") -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {inner}" for key, inner in value.items())
    if value is None:
        return "not known"
    if isinstance(value, list):
        shown = dict.fromkeys(map(str, value))
        return ("\n" if any(": " in text for text in shown) else ", ").join(shown)
    return str(value)


_UNITS = {
    "peak": "FLOP/s",
    "bandwidth": "byte/s",
    "link_bandwidth": "byte/s",
    "link_latency": "s",
    "static_power": "W",
    "dispatch_time": "s",
}


def _with_unit(value: Any, key: str) -> str:
    """A figure of a device as a data sheet writes it."""
    if isinstance(value, dict) and key == "peaks":
        return _plain({kind: _with_unit(rate, "peak") for kind, rate in value.items()})
    if value is None or isinstance(value, str):
        return _plain(value)
    if key == "capacity":
        return shown_bytes(value)
    return quantity(value, _UNITS[key]) if key in _UNITS else _plain(value)


def shown_everything(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]], int]]:
    """Tables of the database: title, header, rows, and how many columns are numbers."""
    families: dict[str, list[str]] = {}
    for name, row in found["models"].items():
        families.setdefault(str(row["family"]), []).append(name)
    models = [
        [family, "yes" if family in found["families"] else "not yet", ", ".join(names)]
        for family, names in sorted(families.items())
    ]
    devices = [
        [
            name,
            row["kind"],
            quantity(max(row["peaks"].values()), "FLOP") + "/s",
            quantity(row["bandwidth"], "byte/s"),
        ]
        for name, row in found["hardware"].items()
    ]
    engines = [[name, meaning] for name, meaning in found["engines"].items()]
    formats = [[name, f"{bits:g}"] for name, bits in found["formats"].items()]
    return [
        ("Models by family", ["family", "supported", "names"], models, 0),
        ("Devices", ["name", "kind", "highest peak", "bandwidth"], devices, 2),
        ("Engines", ["name", "meaning"], engines, 0),
        ("Number formats", ["name", "bits a value"], formats, 1),
    ]
