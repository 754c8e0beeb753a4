"""Number formats, read from the database, and which weights are stored in which."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "specs" / "formats.toml"
UNQUANTIZED = ("vector", "adapter", "low_rank")
"""What stays in the activations' format where the weights are quantized."""


@dataclass(frozen=True)
class Format:
    """Bits of a stored value with its part of the group's scale, and what it takes to compute."""

    name: str
    bits: Fraction
    native: bool
    operations: int
    computed_as: str
    roles: tuple[tuple[str, "Format"], ...] = ()


def _single(name: str, table: Mapping[str, Any]) -> Format:
    group = table.get("group_size", 0)
    scale, zero = (Fraction(str(table.get(key, 0))) for key in ("scale_bits", "zero_bits"))
    return Format(
        name=name,
        bits=Fraction(str(table["bits"])) + ((scale + zero) / group if group else 0),
        native=table.get("native", False),
        operations=0 if table.get("native", False) else 2 if zero else 1,
        computed_as=table.get("compute", "") or name,
    )


def _shared(names: list[str], known: Mapping[str, Format]) -> Format:
    """Several formats that hold equal parts of the values."""
    parts = [known[name] for name in names]
    name = "+".join(names)
    bits = sum(part.bits for part in parts) / len(parts)
    return Format(name, Fraction(bits), False, max(part.operations for part in parts), name)


@cache
def formats() -> Mapping[str, Format]:
    """Every format by name, the mixes too."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    mixes = tables.pop("mix", {})
    known = {name: _single(name, table) for name, table in tables.items()}
    for name, mix in mixes.items():
        base = known[mix["default"]]
        roles = tuple(
            (role, known[kind] if isinstance(kind, str) else _shared(kind, known))
            for role, kind in mix["roles"].items()
        )
        known[name] = Format(name, base.bits, base.native, base.operations, base.computed_as, roles)
    return known


@dataclass(frozen=True)
class Precision:
    """The formats of a forecast."""

    weights: str = "bf16"
    activations: str = "bf16"
    kv: str = "bf16"
    roles: Mapping[str, str] = field(default_factory=dict)
    activation_roles: Mapping[str, str] = field(default_factory=dict)
    unfused_dequant: bool = False

    @property
    def computed_as(self) -> str:
        """The data type whose peaks count."""
        return formats()[self.activations].computed_as

    def read_by(self, role: str) -> Format:
        """The format of what a dense product with such weights reads, and computes in."""
        return formats()[self.activation_roles.get(role, self.activations)]

    def of(self, role: str) -> Format:
        """The format of a role's weights: its own, the mix's, or that of all weights."""
        known, stored = formats(), formats()[self.weights]
        special = dict(stored.roles) | {r: known[name] for r, name in self.roles.items()}
        for name in (role, "embedding" if role == "tied_embedding" else role):
            if name in special:
                return special[name]
        if role in UNQUANTIZED and not stored.native:
            return known[self.activations]
        return stored

    def weight_bytes(self, role: str, elements: Fraction) -> Fraction:
        return elements * self.of(role).bits / 8

    def weight_operations(self, role: str, elements: Fraction) -> Fraction:
        """Dequantization: none of what is stored as it is computed with."""
        stored = self.of(role)
        same = stored.name == self.read_by(role).name
        return Fraction(0) if same else elements * stored.operations

    def activation_bytes(self, elements: Fraction, role: str = "") -> Fraction:
        """Of activations, or of those that a dense product with weights of a role reads."""
        return elements * self.read_by(role).bits / 8

    def cache_bytes(self, elements: Fraction) -> Fraction:
        return elements * formats()[self.kv].bits / 8

    def cache_operations(self, elements: Fraction) -> Fraction:
        """Dequantization of cached values that are read."""
        same = self.kv == self.activations
        return Fraction(0) if same else elements * formats()[self.kv].operations

    def store_operations(self, elements: Fraction) -> Fraction:
        """Scaling and rounding of values that are cached in a format that is not native."""
        return Fraction(0) if formats()[self.kv].native else 2 * elements
