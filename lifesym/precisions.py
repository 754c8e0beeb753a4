"""Which number formats a forecast is in: what was asked for, what files say, what a device has."""

from dataclasses import replace

from lifesym.formats import Format, Precision, Stored, load_format
from lifesym.hardware import Hardware


def choose_precision(
    hardware: Hardware,
    weights: str | Format | None,
    activations: str | Format | None,
    kv: str | Format | None = None,
    stored: Stored | None = None,
    products: Format | None = None,
) -> Precision:
    """The formats of a forecast, with the defaults that `lifesym.workload.Formats` documents.

    Products with quantized weights are computed in ``products``, if that is given and neither the
    files nor an option say otherwise.

    16-bit weights of a file are cast where the device computes in the other 16-bit float only.
    What files say of quantized activations counts where the device has a peak for it.
    """
    asked = None if weights is None else load_format(weights)
    held = None if asked is not None or stored is None else stored
    base = None if held is None else held.base or held.weights
    origin = "device default"
    if activations is not None:
        computed, origin = load_format(activations), "option"
    elif asked is not None and asked.native:
        computed, origin = asked, "as the weights"
    elif base is not None and hardware.computes(base):
        computed, origin = base, (held.base_source if held else "") or _from(held)
    else:
        computed = hardware.default_format
    files = None if held is None else _cast(held, computed, hardware)
    chosen = asked or (computed if files is None else files)
    said = stored.kv if stored is not None else None
    of_cache = "as the activations" if computed.native else "device default"
    compute = held.compute if held is not None and activations is None else None
    if compute is not None and not hardware.computes(compute):
        compute = None
    if compute is None and activations is None:
        compute = products
    if kv is None:
        cached = said or (computed if computed.native else hardware.default_format)
    else:
        cached = load_format(kv)
    return Precision(
        weights=chosen,
        activations=computed,
        kv=cached,
        compute=compute,
        origins={
            "weights": "option" if asked else origin if held is None else _loaded(held, chosen),
            "activations": origin,
            "kv": "option" if kv is not None else _from(stored) if said else of_cache,
        },
    )


def _from(stored: Stored | None) -> str:
    return "" if stored is None else f"from {stored.source}"


def _loaded(stored: Stored, chosen: Format) -> str:
    """Where the format of the weights comes from, and what the files hold where it is cast."""
    if chosen.name == stored.weights.name:
        return _from(stored)
    return f"{stored.weights.name} {_from(stored)}"


def _cast(stored: Stored, computed: Format, hardware: Hardware) -> Format:
    """The weights as they are loaded: 16-bit floats that the device lacks in the one it has."""
    halves = {"bf16", "fp16"}

    def loaded(fmt: Format) -> Format:
        lacking = {fmt.name, computed.name} <= halves and not hardware.computes(fmt)
        return computed if lacking else fmt

    roles = tuple((role, loaded(fmt)) for role, fmt in stored.weights.roles)
    return replace(loaded(stored.weights), roles=roles)
