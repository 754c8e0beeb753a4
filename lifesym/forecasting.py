"""`forecast`: every option of a workload checked and put together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Unpack, get_args, overload

from sympy import Add, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.convnet import ConvForecast, UNet
from lifesym.devices import as_hardware
from lifesym.efficiencies import check_words
from lifesym.engines import Engine, as_engine
from lifesym.errors import SpecError, SymbolError, one_of
from lifesym.formats import load_format
from lifesym.gguf_mixes import fitted
from lifesym.hardware import Hardware
from lifesym.huggingface import as_model
from lifesym.inference import Forecast
from lifesym.levels import check_names
from lifesym.levels import chosen as placed
from lifesym.model import Model
from lifesym.nodes import Maximum
from lifesym.operators import HeadLinear, Linear, LMHead, Routing
from lifesym.operators.collective import HALVED
from lifesym.operators.fused import leaves_of
from lifesym.passes import Rewrite
from lifesym.precisions import choose_precision
from lifesym.roofline import Overlap
from lifesym.symbols import Size, size
from lifesym.tower import see, told
from lifesym.trace import MLA
from lifesym.traffic import check_computed
from lifesym.transforms import (
    KERNELS,
    Bottleneck,
    ExpertParallel,
    Fusion,
    Lora,
    SequenceParallel,
    TensorParallel,
    order,
)
from lifesym.workload import Formats, Keywords, Workload

_REWRITES: Mapping[str, Callable[[Any, Mapping[str, Any]], Rewrite]] = {
    "cache": lambda policy, _: policy,
    "lora": lambda lora, _: lora if isinstance(lora, Lora) else Lora(rank=lora),
    "adapter": lambda width, _: width if isinstance(width, Bottleneck) else Bottleneck(width=width),
    "tensor_parallel": lambda devices, more: TensorParallel(
        devices=size(devices, "tensor_parallel"), algorithm=more.get("all_reduce", "ring")
    ),
    "sequence_parallel": lambda _, more: SequenceParallel(devices=more["tensor_parallel"]),
    "expert_parallel": lambda devices, _: ExpertParallel(devices=size(devices, "expert_parallel")),
    "fusion": lambda rules, more: Fusion(rules=rules, tile=more.get("tile")),
}
"""What each keyword is short for in a plan."""
_PLAIN: Mapping[str, Any] = {"tensor_parallel": 1, "expert_parallel": 1}
"""Rewrites that every forecast has, if only to leave the trace as it is."""
OF_IMAGES = ("weights", "activations", "overlap")
"""Keywords of the forecasts of image networks."""


@overload
def forecast(
    model: UNet, hardware: Hardware | str | Path, **keywords: Unpack[Keywords]
) -> ConvForecast: ...


@overload
def forecast(
    model: Model | str | Path,
    hardware: Hardware | str | Path,
    prompt: Size | Workload = sym.prompt,
    generate: Size | None = None,
    batch: Size | None = None,
    past: Size | None = None,
    *,
    formats: Formats | None = None,
    plan: Iterable[Rewrite] = (),
    **keywords: Unpack[Keywords],
) -> Forecast: ...


@checked
def forecast(
    model: Model | UNet | str | Path,
    hardware: Hardware | str | Path,
    prompt: Size | Workload = sym.prompt,
    generate: Size | None = None,
    batch: Size | None = None,
    past: Size | None = None,
    *,
    formats: Formats | None = None,
    plan: Iterable[Rewrite] = (),
    **keywords: Unpack[Keywords],
) -> Forecast | ConvForecast:
    """Derive the speed of a model on a device: numbers where sizes are numbers, else formulas.

    What is asked has joints: a `Workload`, `Formats`, and a plan of rewrites. Each field of the
    first two, and each rewrite, is also a keyword here.

    Args:
        model: the model, or its name or path (see `lifesym.load_model`); or a `lifesym.unet`, whose
            images and their number are its own: it takes formats and ``overlap`` alone.
        hardware: the device, or its name or path (see `lifesym.load_hardware`).
        prompt: a workload; or prompt tokens of each sequence, with the next three.
        generate: tokens generated a sequence; the first one comes from the prefill. None of an
            encoder, whose forecast is that of one pass over the prompt (``ttft``).
        batch: sequences computed together.
        past: tokens already cached before the prompt.
        formats: number formats, instead of ``weights``, ``activations``, ``kv``, ``roles``,
            ``activation_roles`` and ``unfused_dequant`` (see `Formats`).
        plan: rewrites of the trace, each a function of a trace that gives one: those of
            `lifesym.transforms`, in any order, and your own, which come before fusion.
        keywords: fields of a workload (``prefix``, ``images``, ``image_size``, ``audio``) and of
            formats; and

            - engine: how operators become kernels: an `lifesym.engines.Engine`, its name or path.
              It gives fusion, overlap, mla, causal and chunk unless they are given, and what no
              other option says.
            - overlap: how operators overlap memory and compute (see `lifesym.roofline`).
            - mla: convention of latent attention; ``by_phase`` is ``expand`` in prefills and
              ``absorbed`` in decode steps.
            - causal: which scores are counted.
            - routing: how tokens choose experts, or the name of a rule.
            - whole_chunks: the chunk divides the prompt, which halves the formula; refused of
              numbers of which it does not.
            - chunk: tokens of a prefill chunk; the engine's, or the whole prompt at once, unless
              given.
            - levels: other memories and what they serve (see `lifesym.levels`); those of the
              device that serve something by default are there unless one of the same name is given.
            - data_parallel: replicas that share the batch.
            - cache: which cached tokens are kept, and in what form.
            - lora: low-rank adapters, or their rank on the attention projections.
            - adapter: bottleneck adapters, or their size after both blocks of every layer.
            - tensor_parallel: devices that split every layer; all_reduce: the algorithm of their
              all-reduce (see `lifesym.operators.collective`).
            - sequence_parallel: the devices of tensor parallelism also split norms and residuals.
            - expert_parallel: devices that split the experts.
            - fusion: a named set of fusion rules, or the rules (see `lifesym.transforms.fusion`);
              tile: queries a tile of a fused attention kernel, each of which reads the cache.

    Raises:
        SpecError: an unknown name, format, or one the device has no peak for.
        SymbolError: a size that is not a valid integer, an unknown option, one that the model has
            nothing for, the same said twice, or more tokens than the model has positions for.
    """
    given: dict[str, Any] = dict(keywords)
    sizes = {"generate": generate, "batch": batch, "past": past}
    if isinstance(model, UNet):
        more = {"prompt": prompt, "formats": formats, "plan": tuple(plan), **sizes}
        return _seen(model, hardware, more, given)
    model, hardware = as_model(model), as_hardware(hardware)
    engine = as_engine(given.get("engine") or hardware.engine)
    load = _joined(Workload, prompt, given, {k: v for k, v in sizes.items() if v is not None})
    stored = _joined(Formats, formats, given, {})
    rewrites = _planned(plan, given, engine, hardware)
    conventions = ("overlap", "mla", "causal")
    chosen: dict[str, Any] = {name: given.get(name, getattr(engine, name)) for name in conventions}
    one_of(chosen["overlap"], get_args(Overlap), "overlap")
    one_of(chosen["mla"], (*get_args(MLA), "by_phase"), "mla")
    routing = given.get("routing", "uniform")
    chosen["routing"] = routing if isinstance(routing, Routing) else Routing(kind=routing)
    chunk = given.get("chunk", engine.chunk if model.kind == "decoder" else None)
    asked: Any = load.generate
    if not model.generates:
        if asked not in (0, sym.generated):
            raise SpecError(f"{model.silent} (generate=0)")
        asked = 0
    text = load.prompt
    if "decoder" not in model.kind and (given.get("cache") is not None or chunk is not None):
        raise SpecError(
            f"{model.name} is an encoder: it keeps no cache and reads its input at once"
        )
    if model.kind == "encoder-decoder":
        if chunk is not None or not all(map(_encodes, rewrites)):
            raise SpecError(
                f"{model.name} has an encoder: of the rewrites only LoRA, tensor parallelism, "
                "fusion and those of engines are modelled"
            )
        if sym.source not in model.values:
            source = model.with_source(text)
            model, text = source, 1 if model.generates else text
    seen = (
        *see(model.name, model.towers, "vision", load.images, load.image_size),
        *see(model.name, model.towers, "audio", load.audio),
    )
    if seen:
        text = size(text, "prompt") + Add(*(part.pieces * part.grid.tokens for part in seen))
        model = replace(model, notes=(*model.notes, *map(told, seen)))
    asked_levels = tuple(given.get("levels", ()))
    levels = placed(hardware.memories, asked_levels)
    checked_sizes = {
        "prompt": size(text, "prompt"),
        "generate": size(asked, "generate", minimum=1 if model.generates else 0),
        "batch": size(load.batch, "batch"),
        "past": size(load.past, "past", minimum=0),
    }
    for name, value in checked_sizes.items():
        if name != "past" and sym.past in value.free_symbols:
            raise SymbolError(f"{name} cannot depend on 'past', the running context of TPOT")
    # the last token generated is read by no pass, so it needs no position
    fed_back = Maximum(checked_sizes["generate"] - 1, S.Zero)
    model.check_length(checked_sizes["past"] + checked_sizes["prompt"] + fed_back)
    made = Forecast(
        model=model,
        hardware=hardware,
        precision=replace(
            fitted(
                choose_precision(
                    *(hardware, stored.weights, stored.activations, stored.kv, model.stored),
                    engine.computes_in(hardware),
                ),
                model,
            ),
            unpack=engine.unpack,
            unpack_row=engine.unpack_row,
            load=engine.load,
            roles={role: load_format(kind) for role, kind in (stored.roles or {}).items()},
            activation_roles={
                role: load_format(kind) for role, kind in (stored.activation_roles or {}).items()
            },
            unfused_dequant=stored.unfused_dequant,
        ),
        **checked_sizes,
        **chosen,
        chunk=None if chunk is None else size(chunk, "chunk"),
        whole_chunks=given.get("whole_chunks", False),
        rewrites=rewrites,
        seen=seen,
        tower_rewrites=tuple(rewrite for rewrite in rewrites if isinstance(rewrite, Fusion)),
        levels=levels,
        replicas=size(given.get("data_parallel", 1), "data_parallel"),
        engine=engine,
    )
    _check_chunks(made)
    _check_roles(made)
    if asked_levels:  # what a device comes with serves as much as a model has
        check_names(asked_levels, made.one_token, made.model.name)
        check_computed(asked_levels, made.one_token, made.precision, made.model.name)
    traces = (made.one_token, *made.tower_traces) if hardware.own else ()
    check_words(hardware.own, [entry.name for each in traces for entry in each], model.name)
    return made if load.prefix == 0 else made.prefixed(load.prefix)


def _seen(
    net: UNet, hardware: Hardware | str | Path, sizes: Mapping[str, Any], given: Mapping[str, Any]
) -> ConvForecast:
    """The pass of a network over its images.

    Raises:
        SymbolError: an option of language models.
    """
    usual = {"prompt": sym.prompt, "generate": 0}
    others = [name for name, value in sizes.items() if value not in (None, (), usual.get(name))]
    for name in (*others, *given):
        if name not in OF_IMAGES:
            known = ", ".join(OF_IMAGES)
            raise SymbolError(f"{net.name} has images of its own: it takes {known}, not {name}")
    return net.forecast(hardware, **given)


def _joined(kind: type[Any], joint: Any, given: Mapping[str, Any], sizes: Mapping[str, Any]) -> Any:
    """A joint as it is given, or made of the keywords that are its fields.

    Raises:
        SymbolError: both.
    """
    names = {field.name for field in fields(kind)}
    own = {name: value for name, value in given.items() if name in names} | dict(sizes)
    if isinstance(joint, kind):
        if own:
            raise SymbolError(f"{next(iter(own))} is given beside {kind.__name__}: put it in there")
        return joint
    return kind(**own) if joint is None else kind(prompt=joint, **own)


def _planned(
    plan: Iterable[Rewrite], given: Mapping[str, Any], engine: Engine, hardware: Hardware
) -> tuple[Rewrite, ...]:
    """The rewrites of a plan, the keywords and the engine, in the order in which they are applied.

    Those of a plan and of keywords are in place of the engine's of their kind.

    Raises:
        SymbolError: one that is given twice, or that does nothing without another.
    """
    if given.get("sequence_parallel") and given.get("all_reduce", "ring") not in HALVED:
        halved = " or ".join(HALVED)
        raise SymbolError(f"sequence parallelism halves an all-reduce: all_reduce must be {halved}")
    rewrites = list(plan)
    planned = [type(rewrite) for rewrite in rewrites]
    usual = {**_PLAIN, "fusion": engine.fusion}
    others = {"tensor_parallel": 1, **given}
    if "fusion" not in given:
        others.setdefault("tile", engine.tile)
    for name, make in _REWRITES.items():
        value = given.get(name, usual.get(name))
        if value is None or value is False:
            continue
        rewrite = make(value, others)
        if type(rewrite) not in planned:
            rewrites.append(rewrite)
        elif name in given:
            raise SymbolError(f"{name} is given twice: in the plan and as a keyword")
    rewrites += (each for each in engine.rewrites(hardware) if type(each) not in planned)
    return tuple(sorted(rewrites, key=order))


def _encodes(rewrite: Rewrite) -> bool:
    """Whether a rewrite is modelled for models with an encoder beside the decoder."""
    plain = [_REWRITES[name](value, {}) for name, value in _PLAIN.items()]
    return isinstance(rewrite, (Lora, Fusion, TensorParallel, *KERNELS)) or rewrite in plain


def _check_chunks(made: Forecast) -> None:
    """Refuse whole chunks without a chunk, and of numbers of which one does not divide the other.

    Raises:
        SpecError: what is not so.
    """
    if made.whole_chunks and made.chunk is None:
        raise SpecError("whole_chunks needs a chunk")
    made.chunks.check()


def _check_roles(made: Forecast) -> None:
    """Refuse formats of weights that the model does not have, and skewed routing to no experts."""
    _check_inputs(made)
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


def _check_inputs(made: Forecast) -> None:
    """Refuse formats of the inputs of dense products that the model does not have."""
    asked = made.precision.activation_roles
    if not asked:
        return
    leaves = (leaf for entry in made.one_token for leaf in leaves_of(entry.operator))
    dense = (leaf for leaf in leaves if isinstance(leaf, Linear | HeadLinear | LMHead))
    known = dict.fromkeys(m.role for leaf in dense for m in leaf.matrices_read)
    known.pop("vector", None)
    for role in asked:
        if role not in known:
            raise SymbolError(
                f"activation_roles: {made.model.name} has no dense product with weights of role "
                f"{role!r} (it has {', '.join(known)})"
            )
