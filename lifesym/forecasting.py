"""`forecast`: every option of a workload checked and put together."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from sympy import Add, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.devices import as_hardware
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, Precision, Stored, load_format
from lifesym.gguf_mixes import fitted
from lifesym.hardware import Hardware
from lifesym.huggingface import as_model
from lifesym.inference import Forecast
from lifesym.levels import Level, check_names, chosen
from lifesym.model import Model
from lifesym.nodes import Maximum
from lifesym.operators import Routing
from lifesym.operators.collective import Algorithm
from lifesym.operators.experts import RoutingKind
from lifesym.roofline import Overlap
from lifesym.symbols import Size, exact, size
from lifesym.tower import see, told
from lifesym.trace import MLA, Causal
from lifesym.traffic import check_computed
from lifesym.transforms import (
    Bottleneck,
    CachePolicy,
    ExpertParallel,
    Fusion,
    Lora,
    SequenceParallel,
    TensorParallel,
)
from lifesym.transforms.fusion import Rule


@checked
def forecast(
    model: Model | str | Path,
    hardware: Hardware | str | Path,
    prompt: Size = sym.prompt,
    generate: Size = sym.generated,
    batch: Size = 1,
    past: Size = 0,
    *,
    weights: str | Format | None = None,
    activations: str | Format | None = None,
    kv: str | Format | None = None,
    roles: Mapping[str, str | Format] | None = None,
    unfused_dequant: bool = False,
    overlap: Overlap = "operator",
    mla: MLA = "absorbed",
    causal: Causal = "full",
    routing: Routing | RoutingKind = "uniform",
    chunk: Size | None = None,
    lora: Lora | Size | None = None,
    fusion: str | Iterable[Rule] = "none",
    tile: Size | None = None,
    cache: CachePolicy | None = None,
    tensor_parallel: Size = 1,
    all_reduce: Algorithm = "ring",
    expert_parallel: Size = 1,
    data_parallel: Size = 1,
    sequence_parallel: bool = False,
    adapter: Bottleneck | Size | None = None,
    levels: Iterable[Level] = (),
    images: Size = 0,
    image_size: int | tuple[int, int] | None = None,
    audio: Size = 0,
) -> Forecast:
    """Derive the speed of a model on a device: numbers where sizes are numbers, else formulas.

    Args:
        model: the model, or its name or path (see `lifesym.load_model`).
        hardware: the device, or its name or path (see `lifesym.load_hardware`).
        prompt: prompt tokens of each sequence; for an encoder-decoder whose source has no fixed
            length they are the source, and its decoder starts with one token.
        generate: tokens generated a sequence; the first one comes from the prefill. None of an
            encoder, whose forecast is that of one pass over the prompt (``ttft``).
        batch: sequences computed together.
        past: tokens already cached before the prompt.
        weights: format of the weights; that of the model's files unless given, or else the
            activations'.
        activations: format that is computed in; the weights' if that is a 16- or 32-bit float,
            else the first of bf16, fp16 and fp32 that the device has a peak for.
        kv: format of the KV cache; what the model's files say unless given, or else the
            activations' if those are floats of 16 or 32 bits, or the device's default.
        roles: other formats for single kinds of weights (see `lifesym.formats.Precision`).
        unfused_dequant: weights are dequantized by kernels of their own, through memory.
        overlap: how operators overlap memory and compute (see `lifesym.roofline`).
        mla: convention of latent attention.
        causal: which scores are counted.
        routing: how tokens choose experts, or the name of a rule.
        chunk: tokens of a prefill chunk; the whole prompt at once unless given.
        lora: low-rank adapters, or their rank on the attention projections.
        fusion: a named set of fusion rules, or the rules (see `lifesym.transforms.fusion`).
        tile: queries a tile of a fused attention kernel, each of which reads the cache.
        cache: which cached tokens are kept, and in what form.
        tensor_parallel: devices that split every layer.
        all_reduce: the algorithm of their all-reduce (see `lifesym.operators.collective`).
        expert_parallel: devices that split the experts.
        data_parallel: replicas that share the batch.
        sequence_parallel: the devices of tensor parallelism also split norms and residuals.
        adapter: bottleneck adapters, or their size after both blocks of every layer.
        levels: other memories and what they serve (see `lifesym.levels`); those of the device
            that serve something by default are there unless one of the same name is given.
        images: images in each prompt: the vision tower sees them in the prefill, and their tokens
            are added to ``prompt``, which is the text's alone.
        image_size: rows and columns of an image's pixels, or the side of a square one; the size
            that the tower was made for, where it has one.
        audio: pieces of audio in each prompt, as long as the audio tower takes at once (30 s of
            Whisper's encoder); their tokens are added to ``prompt`` in the same way.

    Raises:
        SpecError: an unknown name, format, or one the device has no peak for.
        SymbolError: a size that is not a valid integer, an unknown option, one that the model has
            nothing for, more tokens than the model has positions for, or a memory too small for
            what it serves.
    """
    model, hardware = as_model(model), as_hardware(hardware)
    if not model.generates:
        if generate not in (0, sym.generated):
            raise SpecError(f"{model.silent} (generate=0)")
        generate = 0
    if "decoder" not in model.kind and (cache is not None or chunk is not None):
        raise SpecError(
            f"{model.name} is an encoder: it keeps no cache and reads its input at once"
        )
    if model.kind == "encoder-decoder":
        plain = fusion == "none" and cache is None and chunk is None
        if not plain or adapter or (tensor_parallel, expert_parallel) != (1, 1):
            raise SpecError(f"{model.name} has an encoder: of the rewrites only LoRA is modelled")
        if sym.source not in model.values:
            source = model.with_source(prompt)
            model, prompt = source, 1 if model.generates else prompt
    seen = (
        *see(model.name, model.towers, "vision", images, image_size),
        *see(model.name, model.towers, "audio", audio),
    )
    if seen:
        prompt = size(prompt, "prompt") + Add(*(part.pieces * part.grid.tokens for part in seen))
        model = replace(model, notes=(*model.notes, *map(told, seen)))
    if sequence_parallel and all_reduce != "ring":
        raise SymbolError("sequence parallelism has ring collectives: leave out all_reduce")
    asked = tuple(levels)
    placed = chosen(hardware.memories, asked)
    sizes = {
        "prompt": size(prompt, "prompt"),
        "generate": size(generate, "generate", minimum=1 if model.generates else 0),
        "batch": size(batch, "batch"),
        "past": size(past, "past", minimum=0),
    }
    for name, value in sizes.items():
        if name not in ("past",) and sym.past in value.free_symbols:
            raise SymbolError(f"{name} cannot depend on 'past', the running context of TPOT")
    # the last token generated is read by no pass, so it needs no position
    fed_back = Maximum(sizes["generate"] - 1, S.Zero)
    model.check_length(sizes["past"] + sizes["prompt"] + fed_back)
    fused = Fusion(rules=fusion, tile=tile)
    made = Forecast(
        model=model,
        hardware=hardware,
        precision=replace(
            fitted(choose_precision(hardware, weights, activations, kv, model.stored), model),
            roles={role: load_format(kind) for role, kind in (roles or {}).items()},
            unfused_dequant=unfused_dequant,
        ),
        **sizes,
        overlap=overlap,
        mla=mla,
        causal=causal,
        routing=Routing(kind=routing) if isinstance(routing, str) else routing,
        chunk=None if chunk is None else size(chunk, "chunk"),
        rewrites=(
            *(() if cache is None else (cache,)),
            *(() if lora is None else (lora if isinstance(lora, Lora) else Lora(rank=lora),)),
            *(() if adapter is None else (_bottleneck(adapter),)),
            TensorParallel(devices=tensor_parallel, algorithm=all_reduce),
            *((SequenceParallel(devices=tensor_parallel),) if sequence_parallel else ()),
            ExpertParallel(devices=expert_parallel),
            fused,
        ),
        seen=seen,
        tower_rewrites=(fused,),
        levels=placed,
        replicas=size(data_parallel, "data_parallel"),
        devices=size(tensor_parallel, "tensor_parallel") * size(data_parallel, "data_parallel"),
    )
    _check_roles(made)
    if asked:  # what a device comes with serves as much as a model has
        check_names(asked, made.one_token, made.model.name)
        check_computed(asked, made.one_token, made.precision, made.model.name)
    for level in placed:
        _check_level(made, level)
    return made


def _check_roles(made: Forecast) -> None:
    """Refuse formats of weights that the model does not have, and skewed routing to no experts."""
    asked, routing = set(made.precision.roles), made.routing
    skewed = bool(routing.probabilities) or routing.imbalance != 1
    if not asked and not skewed:
        return
    known = dict.fromkeys(made.one_token.weight_roles())
    known |= dict.fromkeys(tower.label for tower in made.model.towers)
    for role in sorted(asked - set(known)):
        raise SymbolError(
            f"{made.model.name} has no weights of role {role!r} (it has {', '.join(known)})"
        )
    if skewed and "experts" not in known:
        raise SymbolError(f"{made.model.name} has no experts that tokens could choose unevenly")


def _check_level(made: Forecast, level: Level) -> None:
    if level.capacity is None:
        return
    beyond = made.level_bytes(level) - exact(level.capacity, "capacity")
    if beyond.is_number and beyond > 0:
        raise SymbolError(f"{level.name}: what it serves is {float(beyond):.3g} bytes too large")


def _bottleneck(adapter: Bottleneck | Size) -> Bottleneck:
    return adapter if isinstance(adapter, Bottleneck) else Bottleneck(width=adapter)


def choose_precision(
    hardware: Hardware,
    weights: str | Format | None,
    activations: str | Format | None,
    kv: str | Format | None,
    stored: Stored | None = None,
) -> Precision:
    """The formats of a forecast, with the defaults that `forecast` documents.

    16-bit weights of a file are cast where the device computes in the other 16-bit float only.
    What files say of quantized activations counts where the device has a peak for it.
    """
    asked = None if weights is None else load_format(weights)
    held = None if asked is not None or stored is None else stored
    base = None if held is None else held.base or held.weights
    default, origin = hardware.default_format, "device default"
    if activations is not None:
        computed, origin = load_format(activations), "option"
    elif asked is not None and asked.native:
        computed, origin = asked, "as the weights"
    elif base is not None and hardware.computes(base):
        computed, origin = base, (held.base_source if held else "") or _from(held)
    else:
        computed = default
    files = None if held is None else _cast(held, computed, hardware)
    chosen = asked or (computed if files is None else files)
    said = stored.kv if stored is not None else None
    cached = computed if computed.native else default
    of_cache = "as the activations" if computed.native else "device default"
    compute = held.compute if held is not None and activations is None else None
    return Precision(
        weights=chosen,
        activations=computed,
        kv=(said or cached) if kv is None else load_format(kv),
        compute=compute if compute is not None and hardware.computes(compute) else None,
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
