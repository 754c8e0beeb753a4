"""The bytes of a checkpoint by role, from the headers of its safetensors files.

A header lists every tensor with its type, shape and place; the data is not read. Layout: eight
bytes of length and a JSON object, ``README.md`` of safetensors.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from sympy import Add, Expr, Integer, S

from lifesym.errors import SpecError
from lifesym.formats import Format, Stored, load_format
from lifesym.model import Model
from lifesym.quantization import module_names
from lifesym.specs import read_json

_LONGEST = 100_000_000
"""Bytes of a header: the format's own limit."""
_LEAF = re.compile(
    r"""\.(?:weight|qweight|qzeros|scales|g_idx|weight_(?:packed|shape|scale|scale_inv|scale_2
    |zero_point|g_idx|global_scale)|input_(?:scale|global_scale)|k_scale|v_scale|biases
    |SCB|weight_format|weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|SCB
    |quant_state\.\w+))$|_(?:blocks|scales)$""",
    re.VERBOSE,
)
"""What follows a module's name in the names of the tensors of its matrix."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in)$")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out)$")
_VECTOR = re.compile(r"(?:norm|ln_\w+|layernorm)\d?$|sinks$|e_score_correction_bias$")
_TOWER = re.compile(r"(?:^|\.)(?:visual|vision\w*|audio\w*|multi_modal\w*|mm_\w+)\.")
_MTP = re.compile(r"(?:^|\.)(?:mtp)\.")
_ONE_EACH = frozenset({"BF16", "F16", "F32", "F8_E4M3", "F8_E5M2", "I8"})
"""Types of tensors that have one number for every value."""
_NARROWEST, _WIDEST = 1, 33
"""Bits of a stored value that can be: others mean that a tensor was taken for another's."""


def with_checkpoint(model: Model, folder: Path) -> Model:
    """The model with the bytes that the files in a folder hold for every role.

    It is as it was where there are no files, or where a tensor's role is not known.

    Raises:
        SpecError: a damaged header.
    """
    files = _files(folder)
    wanted = _elements(model)
    tails = dict(_tails(wanted))
    held: dict[str, list[Expr]] = {}
    plain: dict[str, list[Expr]] = {}
    layers = _depth(model)
    for path in files:
        for name, size, kind, values in read_sizes(path):
            shares = _roles(name, wanted, tails, layers)
            if shares is None:
                return model
            for role, share in shares:
                held.setdefault(role, []).append(share * size)
                plain.setdefault(role, []).append(_counted(name, kind, share * values))
    measured = {role: Add(*sizes) * 8 / wanted[role] for role, sizes in held.items()}
    whole = set(measured) == set(wanted) and all(
        bits.is_Rational and _NARROWEST <= bits <= _WIDEST for bits in measured.values()
    )
    # what is not packed has a number for every value: neither layers are missing nor twice
    counts = {role: Add(*values) for role, values in plain.items() if role != "vector"}
    whole = whole and all(n in (wanted[role], S.Infinity) for role, n in counts.items())
    return _stored(model, measured) if whole else model


def _counted(name: str, kind: str, values: Expr) -> Expr:
    """The learned values of a tensor: infinitely many where they are packed, none of scales."""
    if name.endswith((".qweight", ".weight_packed", "_blocks")):
        return S.Infinity
    if not name.endswith(".weight"):
        return S.Zero
    return values if kind in _ONE_EACH else S.Infinity


def _files(folder: Path) -> list[Path]:
    """The files of the checkpoint, those of its index if it has one; none if some are missing."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        placed = read_json(index).get("weight_map")
        names = placed.values() if isinstance(placed, Mapping) else ()
        files = [folder / Path(str(name)).name for name in sorted(set(map(str, names)))]
    else:
        files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    here = all(path.is_file() and not _pointer(path) for path in files)
    return files if here else []


def _pointer(path: Path) -> bool:
    """Whether a file only says where Git LFS has it."""
    with path.open("rb") as file:
        return file.read(19) == b"version https://git"


def read_sizes(path: Path) -> Iterator[tuple[str, int, str, int]]:
    """Every tensor of a safetensors file with its bytes, its type and its number of values.

    Raises:
        SpecError: a damaged header.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(length) if length <= _LONGEST else b""
        header = json.loads(text)
        for name, tensor in header.items():
            if name != "__metadata__":
                start, end = tensor["data_offsets"]
                yield name, int(end) - int(start), str(tensor["dtype"]), prod(tensor["shape"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpecError(f"{path}: a damaged safetensors header") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None


def _elements(model: Model) -> dict[str, Expr]:
    found: dict[str, list[Expr]] = {}
    for matrix in model.whole.matrices():
        name = f"{matrix.role}_{matrix.part}" if matrix.part else matrix.role
        found.setdefault(name, []).append(matrix.elements)
    return {role: Add(*elements) for role, elements in found.items()}


def _depth(model: Model) -> int:
    """Layers of the model: those after them predict further tokens."""
    labels = (s for s in model.bound if "layers" in (s.label[:6], s.label[-6:]))
    return sum(int(section.count) for section in labels)


def _tails(wanted: Mapping[str, Expr]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What the modules of roles are called in a layer, with all the roles of the name."""
    found: dict[str, list[str]] = {}
    for role in wanted:
        for name in module_names(role):
            found.setdefault(name, []).append(role)
            joint = re.sub(r"experts\.0\.(?:gate|up)_proj", "experts.gate_up_proj", name)
            if joint != name:  # all experts in one tensor
                found.setdefault(joint, []).append(role)
    for name, roles in found.items():
        yield name, tuple(roles)


def _roles(
    name: str, wanted: Mapping[str, Expr], tails: Mapping[str, tuple[str, ...]], layers: int
) -> list[tuple[str, Expr]] | None:
    """The roles of a tensor with their shares of it; none of what is not run, None if unknown."""
    placed = _LAYER.search(name)
    if _TOWER.search(name) or _MTP.search(name) or (placed and int(placed[1]) >= layers):
        return []
    module = _LEAF.sub("", name)
    if name.endswith((".bias", "_bias")) or _VECTOR.search(module):
        return [("vector", Integer(1))]
    for pattern, roles in (
        (_EMBEDDING, ("embedding", "tied_embedding")),
        (_HEAD, ("lm_head",)),  # none of its own where it is the embedding
    ):
        if pattern.search(module):
            return [(role, Integer(1)) for role in roles if role in wanted][:1]
    if placed is None:
        return None
    tail = re.sub(r"\bexperts\.\d+\.", "experts.0.", name[placed.end() :])
    found = tails.get(_LEAF.sub("", tail))
    if found is None:
        return None
    total = Add(*(wanted[role] for role in found))
    return [(role, wanted[role] / total) for role in found]


def _stored(model: Model, measured: Mapping[str, Expr]) -> Model:
    said = model.stored or Stored(weights=load_format("bf16"))
    roles = dict(said.weights.roles)
    found: dict[str, Format] = {}
    for role, bits in measured.items():
        fmt = roles.get(role, said.weights)
        plain = Format(name=fmt.name, bits=bits, native=fmt.native, compute=fmt.compute)
        found[role] = replace(plain, zero_bits=fmt.zero_bits)  # it is subtracted, too
    weights = replace(said.weights, roles=tuple((roles | found).items()))
    return replace(model, stored=replace(said, weights=weights, source="the safetensors files"))
