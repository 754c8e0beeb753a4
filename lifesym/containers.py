"""What a model may be given as: a config, a folder, a GGUF file, the name of a Hub repository.

Anything else is refused in one line that says what it looks like.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from lifesym.checkpoint import with_checkpoint
from lifesym.errors import SpecError
from lifesym.gguf_header import MAGIC
from lifesym.gguf_model import read_gguf, with_tensors
from lifesym.model import Model
from lifesym.quantization import QUANTIZED
from lifesym.specs import find, meant, names, read_json, root

CONFIG, ADAPTER = "config.json", "adapter_config.json"
_HUB = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/\s]+/[^/\s?#]+)")
_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SOURCE = re.compile(r"\bHub ([\w.-]+/[\w.-]*[\w-])")
_BETWEEN = re.compile(r"[-_]")
_VARIANT = re.compile(
    r"instruct|chat|base|thinking|hf|it|meta|gguf|awq|gptq|bnb|mlx|dynamic|quantized|v\d\S*|\d{4}"
    r"|fp8|bf16|fp16|nvfp4|mxfp4|int[48]|[2-8]bits?|w\d+a\d+|q\d\w*|[kms]"
)
_LOOKS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(keys.split()), words)
    for keys, words in (
        ("weight_map", "the index of weight files: give the config.json beside it, or the folder"),
        ("producer quantization", "a quantization alone: give the folder with its config.json"),
        ("bits group_size", "a quantization alone: give the folder with its config.json"),
        ("tokenizer_class", "the config of a tokenizer: give the model's config.json"),
        ("added_tokens model", "a tokenizer: give the model's config.json"),
        ("image_processor_type", "the config of a preprocessor: give the model's config.json"),
        ("feature_extractor_type", "the config of a preprocessor: give the model's config.json"),
        ("learning_rate", "training arguments: give the model's config.json"),
        ("zero_optimization", "a training config: give the model's config.json"),
        ("train_batch_size", "a training config: give the model's config.json"),
        ("dim n_layers n_heads", "a params.json: give the config.json of its Hub repository"),
        ("framework task", "ModelScope's configuration: give the model's config.json"),
        ("max_new_tokens", "a generation config: give the model's config.json"),
        ("do_sample", "a generation config: give the model's config.json"),
        ("_from_model_config", "a generation config: give the model's config.json"),
        ("experts_per_token num_experts", "the config of OpenAI's own code: its Hub config.json"),
    )
)
"""Keys that give away what a JSON file is."""


def load(name_or_path: str | Path, *, strict: bool = False) -> Model:
    """The model of a name in the database, a Hub id, or a path (see `open_model`).

    Raises:
        SpecError: none of these, or one that cannot be used.
    """
    path = _located(name_or_path)
    if path.parent == root() / "models" and path.is_file():
        return _shipped(path, path.stat().st_mtime_ns, bool(strict))
    return open_model(path, strict=strict)


@lru_cache(maxsize=128)
def _shipped(path: Path, changed: int, strict: bool) -> Model:
    """A model of the database, read once."""
    return open_model(path, strict=strict)


def open_model(path: Path, *, strict: bool = False) -> Model:
    """The model in a folder or a file.

    Raises:
        SpecError: neither a config nor a GGUF file, or one that cannot be used.
    """
    if path.is_dir():
        return _open_folder(path, strict)
    if _starts(path, MAGIC):
        data, header = read_gguf(path)
        return with_tensors(_read(data, path, path.stem, strict), header)
    _refuse_weights(path)
    data, name = read_json(path), path.stem
    if path.name == CONFIG:
        data, name = _with_beside(data, path), path.parent.name or name
    return _read(data, path, name, strict)


def _open_folder(folder: Path, strict: bool) -> Model:
    config = folder / CONFIG
    name = folder.resolve().name
    if config.is_file():
        _refuse_weights(config)
        data = _with_beside(read_json(config), config)
        return with_checkpoint(_read(data, config, name, strict), folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    models = [p for p in files if p.suffix == ".gguf" and not p.name.startswith("mmproj")]
    firsts = [p for p in models if not re.search(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", p.name)]
    if len(firsts) == 1:
        return open_model(firsts[0], strict=strict)
    if firsts:
        listed = ", ".join(path.name for path in firsts)
        raise SpecError(f"{folder}: holds several GGUF files: give one of {listed}")
    if (folder / ADAPTER).is_file():
        raise SpecError(f"{folder}: {looks_like(read_json(folder / ADAPTER))}")
    held = ", ".join(path.name for path in files[:5]) or "no files"
    raise SpecError(f"{folder}: a folder without {CONFIG} (it has {held})")


def _with_beside(data: dict[str, Any], config: Path) -> dict[str, Any]:
    """A config with what ModelOpt's file beside it says of formats, which older exports have."""
    beside = config.with_name(QUANTIZED)
    return data | {QUANTIZED: read_json(beside)} if beside.is_file() else data


def _read(data: Mapping[str, Any], where: Path, name: str, strict: bool) -> Model:
    from lifesym.huggingface import read_config  # noqa: PLC0415 (it opens paths by this module)

    return replace(read_config(data, strict=strict, where=str(where)), name=name)


def _starts(path: Path, mark: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError:
        return False


def _refuse_weights(path: Path) -> None:
    """Refuse files that hold weights alone, and pointers to files."""
    if _starts(path, b"version https://git-lfs"):
        raise SpecError(f"{path}: a Git LFS pointer, not the file itself: fetch it (git lfs pull)")
    if path.suffix in {".safetensors", ".bin", ".pt", ".pth"} or _starts(path, b"PK\x03\x04"):
        raise SpecError(f"{path}: weights alone: give the folder, or its {CONFIG}")


def looks_like(data: Mapping[str, Any]) -> str:
    """What a JSON object without a model's type is, for an error's text."""
    missing = "missing key 'model_type'"
    if "peft_type" in data or {"base_model_name_or_path", "target_modules"} <= set(data):
        base = str(data.get("base_model_name_or_path"))
        known = hub_names().get(base.lower())
        called = f"{base} ({known} in the database)" if known else base
        return f"an adapter of {called}: give that model, and this file with --lora"
    for keys, words in _LOOKS:
        if keys <= set(data):
            return f"{missing}: this is {words}"
    if "architectures" in data:
        return f"{missing} beside 'architectures'"
    return missing


@cache
def hub_names() -> Mapping[str, str]:
    """Names in the database by the Hub id that their source says, in small letters."""
    found: dict[str, str] = {}
    for name in names("models"):
        text = (root() / "models" / f"{name}.json").read_text(encoding="utf-8")
        source = _SOURCE.search(json.loads(text).get("_source", ""))
        if source is not None:
            found.setdefault(source[1].lower(), name)
    return found


@cache
def repositories() -> Mapping[str, str]:
    """The same by Hub ids without their owners."""
    return {hub.partition("/")[2]: name for hub, name in hub_names().items()}


def _located(name: str | Path) -> Path:
    """The path that a name, a Hub id or a path means."""
    text = str(name).strip()
    if not isinstance(name, str) or text in names("models") or Path(text).exists():
        return _found(name)
    url = _HUB.match(text)
    hub = url[1] if url is not None else text
    if url is None and (not _ID.fullmatch(text) or Path(text).suffix[1:].isalpha()):
        known = meant("models", text, "model", repositories())
        return _found(name) if known is None else root() / "models" / f"{known}.json"
    owner, _, bare = hub.partition("/")
    known = hub_names().get(hub.lower())
    if known is None and owner.lower() in {each.partition("/")[0] for each in hub_names()}:
        known = meant("models", bare, "model", repositories())
    if known is not None:
        return root() / "models" / f"{known}.json"
    hint = _same_sizes(hub.rpartition("/")[2].lower())
    raise SpecError(f"{text}: no such file; as a Hub id: give its {CONFIG}{hint}")


def _same_sizes(asked: str) -> str:
    """A hint to a name in the database of which the one asked for is a variant.

    Its other words may say only what it was tuned for or how it is stored: another size, version
    or kind has another arithmetic.
    """
    words = _BETWEEN.split(asked)
    for name in sorted(names("models"), key=len, reverse=True):
        own = _BETWEEN.split(name)
        rest = [word for word in words if word not in own]
        if set(own) <= set(words) and all(map(_VARIANT.fullmatch, rest)):
            return f"; did you mean {name!r}?"
    return ""


def _found(name: str | Path) -> Path:
    """A name in the database, or an existing path."""
    if isinstance(name, str | Path) and str(name).strip() and Path(name).is_dir():
        return Path(name)
    return find("models", name, ".json", "model")
