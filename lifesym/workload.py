"""What is asked of a model: the workload, the number formats, and the keywords of `forecast`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from lifesym import symbols as sym
from lifesym.checks import checked_fields
from lifesym.engines import Engine, Latents
from lifesym.formats import Format
from lifesym.levels import Level
from lifesym.operators import Routing
from lifesym.operators.collective import Algorithm
from lifesym.operators.experts import RoutingKind
from lifesym.roofline import Overlap
from lifesym.symbols import Size
from lifesym.trace import Causal
from lifesym.transforms import Bottleneck, CachePolicy, Lora
from lifesym.transforms.fusion import Rule


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Workload:
    """Requests of one shape.

    Attributes:
        prompt: prompt tokens of each sequence; for an encoder-decoder whose source has no fixed
            length they are the source, and its decoder starts with one token.
        generate: tokens generated a sequence; the first one comes from the prefill.
        batch: sequences computed together.
        past: tokens already cached before the prompt.
        prefix: first tokens of the prompt that are cached too.
        images: images in each prompt: the vision tower sees them in the prefill, and their tokens
            are added to ``prompt``, which is the text's alone.
        image_size: rows and columns of an image's pixels, or the side of a square one; the size
            that the tower was made for, where it has one.
        audio: pieces of audio in each prompt, as long as the audio tower takes at once (30 s of
            Whisper's encoder); their tokens are added to ``prompt`` in the same way.
    """

    prompt: Size = sym.prompt
    generate: Size = sym.generated
    batch: Size = 1
    past: Size = 0
    prefix: Size = 0
    images: Size = 0
    image_size: int | tuple[int, int] | None = None
    audio: Size = 0


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Formats:
    """Number formats; what is left out is what the model's files and the device say.

    Attributes:
        weights: format of the weights; that of the model's files unless given, or else the
            activations'.
        activations: format that is computed in; the weights' if that is a 16- or 32-bit float,
            else the first of bf16, fp16 and fp32 that the device has a peak for.
        kv: format of the KV cache; what the model's files say unless given, or else the
            activations' if those are floats of 16 or 32 bits, or the device's default.
        roles: other formats for single kinds of weights (see `lifesym.formats.Precision`).
        activation_roles: other formats for the activations that single dense products read, by
            the role of their weights (``attn_o``, ``mlp_down``): they are computed in, too.
        unfused_dequant: weights are dequantized by kernels of their own, through memory.
    """

    weights: str | Format | None = None
    activations: str | Format | None = None
    kv: str | Format | None = None
    roles: Mapping[str, str | Format] | None = None
    activation_roles: Mapping[str, str | Format] | None = None
    unfused_dequant: bool = False


class Keywords(TypedDict, total=False):
    """The keywords of `lifesym.forecast`, one for each field, convention and rewrite."""

    prefix: Size
    images: Size
    image_size: int | tuple[int, int] | None
    audio: Size
    weights: str | Format | None
    activations: str | Format | None
    kv: str | Format | None
    roles: Mapping[str, str | Format] | None
    activation_roles: Mapping[str, str | Format] | None
    unfused_dequant: bool
    engine: Engine | str | Path
    overlap: Overlap | Literal["dataflow"]
    mla: Latents
    causal: Causal
    routing: Routing | RoutingKind
    chunk: Size | None
    whole_chunks: bool
    levels: Iterable[Level]
    data_parallel: Size
    cache: CachePolicy | None
    lora: Lora | Size | None
    adapter: Bottleneck | Size | None
    tensor_parallel: Size
    all_reduce: Algorithm
    sequence_parallel: bool
    expert_parallel: Size
    fusion: str | Iterable[Rule]
    tile: Size | None
