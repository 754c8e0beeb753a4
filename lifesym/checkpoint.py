"""The bytes of a checkpoint by role, from the headers of its safetensors files.

A header lists every tensor with its type, shape and place; the data is not read. Layout: eight
bytes of length and a JSON object, ``README.md`` of safetensors.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path

from sympy import Add, Expr, Integer, S

from lifesym.errors import SpecError
from lifesym.formats import TOWERS, Format, Stored, load_format
from lifesym.model import Model
from lifesym.quantization import module_names
from lifesym.specs import read_json

INDEX = "model.safetensors.index.json"
_ALIKE = 0.005
"""Share by which the size in an index may differ: scales and buffers that are not modelled."""
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
_TOWERS = tuple(f"{label}_" for label in TOWERS)
_MTP = re.compile(r"(?:^|\.)(?:mtp)\.")
_ONE_EACH = frozenset({"BF16", "F16", "F32", "F8_E4M3", "F8_E5M2", "I8"})
"""Types of tensors that have one number for every value."""
_NAMES = {
    **{"BF16": "bf16", "F16": "fp16", "F32": "fp32"},
    **{"F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8"},
}
"""Our names of the types whose numbers are the values of a matrix, one by one."""
_ENDS = frozenset({"vector", "embedding", "tied_embedding", "lm_head"})
_NARROWEST, _WIDEST = 1, 33
"""Bits of a stored value that can be: others mean that a tensor was taken for another's."""


def with_checkpoint(model: Model, folder: Path) -> Model:
    """The model with the bytes that the files in a folder hold for every role.

    Where a tensor's role is not known, or values are missing, it is as it was, with a note that
    says so; without files it is compared with the size that their index says.

    Raises:
        SpecError: a damaged header.
    """
    files = _files(folder)
    if not files:
        return _as_indexed(model, folder)
    wanted = _elements(model)
    tails = dict(_tails(wanted))
    held: dict[str, list[Expr]] = {}
    plain: dict[str, list[Expr]] = {}
    kinds: dict[str, tuple[Expr, str]] = {}
    layers = _depth(model)
    for path in files:
        for name, size, kind, shape in read_sizes(path):
            shares = _roles(name, wanted, tails, layers, flat=len(shape) < 2)
            if shares is None:
                return _unread(model, f"tensor {name!r} is not known")
            for role, share in shares:
                held.setdefault(role, []).append(share * size)
                plain.setdefault(role, []).append(_counted(name, kind, share * prod(shape)))
                if name.endswith(".weight"):
                    kinds[role] = max(kinds.get(role, (S.Zero, "")), (share * size, kind))
    measured = {role: Add(*sizes) * 8 / wanted[role] for role, sizes in held.items()}
    if missing := [role for role in wanted if role not in measured]:
        return _unread(model, f"they have no {missing[0]}")
    # what is not packed has a number for every value: neither layers are missing nor twice
    counts = {role: Add(*values) for role, values in plain.items() if role != "vector"}
    for role, bits in measured.items():
        if counts.get(role, S.Infinity) not in (wanted[role], S.Infinity):
            return _unread(model, f"{counts[role]} values of {role}, not {wanted[role]}")
        if not (bits.is_Rational and _NARROWEST <= bits <= _WIDEST):
            return _unread(model, f"{role} has not the size that the config says")
    return _stored(model, measured, {role: kind for role, (_, kind) in kinds.items()})


def _unread(model: Model, reason: str) -> Model:
    note = f"the safetensors files are not used ({reason}): weights are as the config says"
    return replace(model, notes=(*model.notes, note))


def _as_indexed(model: Model, folder: Path) -> Model:
    """The model, with a note if an index without its files says another size."""
    index = folder / INDEX
    said = read_json(index).get("metadata") if index.is_file() else None
    total = said.get("total_size") if isinstance(said, Mapping) else None
    expected = model.weight_bytes()
    if not isinstance(total, int | float) or not expected.is_Rational:
        return model
    if abs(total - float(expected)) <= _ALIKE * float(expected):
        return model
    note = (
        f"{INDEX} says {total / 1e9:.3g} GB of tensors, the config {float(expected) / 1e9:.3g} GB: "
        "weights are as the config says"
    )
    return replace(model, notes=(*model.notes, note))


def _counted(name: str, kind: str, values: Expr) -> Expr:
    """The learned values of a tensor: infinitely many where they are packed, none of scales."""
    if name.endswith((".qweight", ".weight_packed", "_blocks")):
        return S.Infinity
    if not name.endswith(".weight"):
        return S.Zero
    return values if kind in _ONE_EACH else S.Infinity


def _files(folder: Path) -> list[Path]:
    """The files of the checkpoint, those of its index if it has one; none if some are missing."""
    index = folder / INDEX
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


def read_sizes(path: Path) -> Iterator[tuple[str, int, str, tuple[int, ...]]]:
    """Every tensor of a safetensors file with its bytes, its type and its shape.

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
                yield (
                    name,
                    int(end) - int(start),
                    str(tensor["dtype"]),
                    tuple(map(int, tensor["shape"])),
                )
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
    name: str,
    wanted: Mapping[str, Expr],
    tails: Mapping[str, tuple[str, ...]],
    layers: int,
    *,
    flat: bool,
) -> list[tuple[str, Expr]] | None:
    """The roles of a tensor with their shares of it; none of what is not run, None if unknown."""
    if _TOWER.search(name):
        towers = [role for role in wanted if role.startswith(_TOWERS)]
        return _shares(["vector"] if flat and towers else towers, wanted)
    placed = _LAYER.search(name)
    if _MTP.search(name) or (placed and int(placed[1]) >= layers):
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
    return _shares(found, wanted)


def _shares(roles: Iterable[str], wanted: Mapping[str, Expr]) -> list[tuple[str, Expr]]:
    """Roles with their parts of what they share, by their values."""
    total = Add(*(wanted[role] for role in roles))
    return [(role, wanted[role] / total) for role in roles]


def _stored(model: Model, measured: Mapping[str, Expr], kinds: Mapping[str, str]) -> Model:
    """The model with so many bits for the values of each role.

    A role that the config does not call quantized has the name of the type in the files.
    """
    said = model.stored or Stored(weights=load_format("bf16"))
    roles = dict(said.weights.roles)
    found: dict[str, Format] = {}
    for role, bits in measured.items():
        fmt = roles.get(role, said.weights)
        if fmt.native and kinds.get(role) in _NAMES:
            fmt = load_format(_NAMES[kinds[role]])
        plain = Format(name=fmt.name, bits=bits, native=fmt.native, compute=fmt.compute)
        found[role] = replace(plain, zero_bits=fmt.zero_bits)  # it is subtracted, too
    usual = said.weights
    if usual.native:  # nothing is quantized, says the config: what most matrices are in
        names = Counter(fmt.name for role, fmt in found.items() if role not in _ENDS)
        usual = load_format(names.most_common(1)[0][0]) if names else usual
    origin = said.base_source or ("default" if model.stored is None else f"from {said.source}")
    stored = replace(
        said,
        weights=replace(usual, roles=tuple((roles | found).items())),
        base=said.base or said.weights,
        source="the safetensors files",
        base_source=origin,
    )
    return replace(model, stored=stored)
