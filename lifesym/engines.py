"""Engines: how the operators of a model become kernels, and what these do besides.

An engine is a set of conventions: what is fused, which scores are computed, how latents become keys
and values in each phase, what is copied of the cache, how products are rounded. It gives defaults
to `lifesym.forecast`, and rewrites that no option of a forecast has; an option that is given wins.
Engines are tables of ``specs/engines``, each with its sources.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
from sympy import Expr

from lifesym.checks import checked_fields
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import Format, load_format
from lifesym.hardware import EAGER, Hardware
from lifesym.operators.linear import Stationary
from lifesym.roofline import Overlap
from lifesym.specs import convert, find, names, read_toml
from lifesym.symbols import Size, exact
from lifesym.trace import MLA, Causal
from lifesym.transforms import (
    Apart,
    Approximated,
    Buffers,
    CacheCopies,
    Launches,
    ScoreBlocks,
    ScorePasses,
    Spills,
    Tiles,
    WeightCopies,
    WholeTables,
)
from lifesym.transforms.copies import Repeated
from lifesym.transforms.fusion import Rule, rules_of
from lifesym.units import BUFFER

Gates = Literal["joined", "apart"]
Tables = Literal["rows", "whole"]
Latents = MLA | Literal["by_phase"]
"""A convention of latent attention; by phase: expanded in a prefill, absorbed in a decode step."""


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Engine:
    """How operators become kernels; what is left out is a kernel an operator, and no copies.

    Attributes:
        name: what it is called.
        meaning: what it stands for, in a line.
        fusion: a named set of fusion rules, or the rules (see `lifesym.transforms.fusion`).
        tile: queries a tile of a fused attention kernel.
        causal: which scores are computed.
        windows: layers with a sliding window keep and read no token outside it.
        mla: convention of latent attention, which may differ by phase.
        score_passes: kernels between the products of attention that read and write all scores.
        score_blocks: attention of one query starts a block of threads for each score, where it is
            a kernel apart.
        spilled: how often a fused attention kernel writes and reads all scores.
        concatenated: the cache is copied to append to it.
        repeated: how keys and values are written out for the query heads.
        gates: whether the product with a gate is a kernel of the activation's or one apart.
        activations: what is computed in place of activation functions: a ``table`` of lines, or a
            polynomial of this degree (see `lifesym.transforms.Approximated`); None: themselves.
        tables: what an embedding reads: the rows it looks up, or all of its table.
        overlap: how kernels overlap memory and compute (see `lifesym.roofline`).
        chunk: tokens of a prefill chunk.
        tokens: rows of a tile of a product; with outputs, products take whole tiles and waves.
        outputs: columns of one.
        products: the data type that products with quantized weights are computed in.
        unpack: operations that unpack a stored weight, where they are not those of its format.
        unpack_row: the same in a dense product of one row, whose kernels are others. Products of
            experts and of other operators are as those of many rows.
        load: operations that load a weight of the computed format in a dense product of one row.
        unpacked_from: tokens of a dense product from which on its weights are unpacked by a kernel
            of their own; None: never.
        buffer: bytes on the chip that operands of products are kept in; what streams past them is
            read again (see `lifesym.transforms.buffers`). None: everything is read once.
        stationary: of which operand of a product the buffer keeps a panel.
        launches: launches of a layer, where they are not one an operator.
        ends: launches of embedding and head together, likewise.
        sources: where this is from, by table of the spec.
    """

    name: str = EAGER
    meaning: str = ""
    fusion: str | tuple[Rule, ...] = "none"
    tile: Size | None = None
    causal: Causal = "full"
    windows: bool = True
    mla: Latents = "absorbed"
    score_passes: Size = 1
    score_blocks: bool = False
    spilled: Size = 0
    concatenated: bool = False
    repeated: Repeated = "none"
    gates: Gates = "joined"
    activations: Literal["table"] | int | None = None
    tables: Tables = "rows"
    overlap: Overlap = "operator"
    chunk: Size | None = None
    tokens: Size | None = None
    outputs: Size | None = None
    products: str | None = None
    unpack: Expr | None = None
    unpack_row: Expr | None = None
    load: Expr | None = None
    unpacked_from: Size | None = None
    buffer: Size | None = None
    stationary: Stationary = "inputs"
    launches: Size | None = None
    ends: Size | None = None
    sources: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def rewrites(self, hardware: Hardware) -> Iterator[Any]:
        """What it does to a trace beside fusion, on a device.

        Products are not rounded on a device of which no number of multiprocessors is known.
        """
        beside = (
            CacheCopies(concatenated=self.concatenated, repeated=self.repeated),
            ScorePasses(passes=self.score_passes),
            ScoreBlocks(each=self.score_blocks),
            Spills(passes=self.spilled),
        )
        yield from (rewrite for rewrite in beside if rewrite != type(rewrite)())
        if self.gates == "apart":
            yield Apart()
        if self.activations is not None:
            yield Approximated(by=self.activations)
        if self.tables == "whole":
            yield WholeTables()
        if self.tokens is not None and self.outputs is not None and hardware.multiprocessors:
            tile = {"rows": self.tokens, "columns": self.outputs}
            yield Tiles(processors=hardware.multiprocessors, **tile)
        if self.unpacked_from is not None:
            yield WeightCopies(least=self.unpacked_from)
        if self.buffer is not None:
            yield Buffers(capacity=self.buffer, stationary=self.stationary)
        if self.launches is not None:
            yield Launches(layer=self.launches, ends=self.ends)

    def computes_in(self, hardware: Hardware) -> Format | None:
        """What products with quantized weights are computed in, where the device has a peak."""
        chosen = None if self.products is None else load_format(self.products)
        return chosen if chosen is not None and hardware.computes(chosen) else None


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    source: str


class _Attention(_Table):
    causal: Causal | None = None
    windows: bool | None = None
    mla: Literal["expand", "decompressed", "absorbed", "by_phase"] | None = None
    score_passes: int | None = None
    score_blocks: bool | None = None
    spilled: int | None = None


class _Fusion(_Table, rename={"fusion": "rules"}):
    fusion: str | tuple[Rule, ...] | None = None
    tile: int | None = None


class _Cache(_Table):
    concatenated: bool | None = None
    repeated: Repeated | None = None


class _Kernels(_Table):
    gates: Gates | None = None
    activations: Literal["table"] | int | None = None
    tables: Tables | None = None


class _Time(_Table):
    overlap: Overlap | None = None
    chunk: int | None = None


class _Products(_Table, rename={"products": "type"}):
    tokens: int | None = None
    outputs: int | None = None
    products: str | None = None
    unpack: int | Decimal | None = None
    unpack_row: int | Decimal | None = None
    load: int | Decimal | None = None
    unpacked_from: int | None = None


class _Buffer(_Table, rename={"buffer": "capacity"}):
    buffer: Any
    stationary: Stationary | None = None


class _Launches(_Table, rename={"launches": "layer"}):
    launches: int
    ends: int | None = None


class _EngineSpec(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    meaning: str
    source: str
    fusion: _Fusion | None = None
    attention: _Attention | None = None
    cache: _Cache | None = None
    kernels: _Kernels | None = None
    time: _Time | None = None
    products: _Products | None = None
    buffer: _Buffer | None = None
    launches: _Launches | None = None


def load_engine(name_or_path: str | Path) -> Engine:
    """The engine of a name in ``specs/engines``, or of the path of a TOML file.

    >>> load_engine("ideal").mla
    'by_phase'

    Raises:
        SpecError: an unknown name, or a file with a wrong, missing or unknown key.
    """
    path = find("engines", name_or_path, ".toml", "engine")
    where = path.name if name_or_path in names("engines") else str(name_or_path)
    spec = convert(read_toml(path), _EngineSpec, where)
    given: dict[str, Any] = {"name": spec.name, "meaning": spec.meaning}
    sources = {"engine": spec.source}
    for table in (
        *("fusion", "attention", "cache", "kernels", "time", "products", "buffer", "launches"),
    ):
        found = getattr(spec, table)
        if found is None:
            continue
        values = msgspec.structs.asdict(found)
        sources[table] = values.pop("source")
        given |= {key: value for key, value in values.items() if value is not None}
    if "buffer" in given:
        given["buffer"] = BUFFER.read(given["buffer"], f"{where}: key 'buffer.capacity'")
    for key in [key for key in ("unpack", "unpack_row", "load") if key in given]:
        given[key] = exact(given[key])
        if given[key] < 0:
            raise SpecError(f"{where}: key 'products.{key}' must be at least 0, not {given[key]}")
    try:
        engine = Engine(**given, sources=sources)
        rules_of(engine.fusion, engine.tile)
        if engine.activations is not None:
            Approximated(by=engine.activations)
    except SymbolError as error:
        raise SpecError(f"{where}: {error}") from None
    return engine


def as_engine(engine: Engine | str | Path) -> Engine:
    """An engine as it is, or that of a name or path (see `load_engine`)."""
    return engine if isinstance(engine, Engine) else load_engine(engine)
