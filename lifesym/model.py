"""A model: sections of blocks with symbolic counts, and the numbers its symbols stand for."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Self, get_args

from sympy import Add, Basic, Expr, S, Symbol, sympify

from lifesym import symbols as sym
from lifesym.blocks import Block, Emitted
from lifesym.checks import checked, checked_fields
from lifesym.cost import bytes_of
from lifesym.display import Tabular
from lifesym.errors import SymbolError, nearest, one_of
from lifesym.formats import Format, Matrix, Precision, Stored, load_format
from lifesym.gguf_mixes import resolve as resolve_mix
from lifesym.operators import (
    Conv1d,
    Embedding,
    HeadLinear,
    KVAppend,
    Linear,
    Routing,
)
from lifesym.operators.experts import RoutingKind
from lifesym.symbols import Size, resolve, size
from lifesym.tower import Grid, Tower, is_tower
from lifesym.trace import MLA, Causal, Entry, ForwardPass, Logits, Trace


@dataclass(frozen=True, kw_only=True)
class Section:
    """A block and how many times it runs.

    ``shared`` blocks own their weights once; ``copies`` of them take turns where there are more,
    and none are their own where another section has them. An ``encoder`` section computes the
    source, in the pass that starts a sequence. Of a pass whose last logits alone are wanted a
    ``last`` section sees the last token of each sequence only: nothing after it needs the others.
    An ``idle`` one is held and not run: what only images make use of.
    """

    label: str
    count: Size
    block: Block
    shared: bool = False
    copies: Size = 1
    encoder: bool = False
    last: bool = False
    idle: bool = False


@checked_fields
@dataclass(frozen=True, kw_only=True)
class Model(Tabular):
    """A stack of sections whose sizes are symbols, with the values they have in one config.

    The structure is symbolic always; ``values`` binds it. So a formula is derived once, and
    `lift` only takes values away.

    Attributes:
        name: what to call it.
        family: the Hugging Face ``model_type``.
        sections: blocks with their counts, in order.
        values: the value of every symbol that is not free.
        kind: what it is run as; an encoder computes whole sequences and keeps no cache.
        stored: the formats of its files, where they say so.
        task: the class that its files name, where that has no LM head; it is run as one pass.
        context_limit: rows of a learned position table: no longer sequence can be computed.
        towers: what makes tokens of images or audio: in memory always, run where there are any.
        notes: what an answer about the model must say, a line each.
    """

    name: str
    family: str
    sections: tuple[Section, ...]
    values: Mapping[Symbol, int | Expr]
    context_limit: Size | None = None
    kind: Literal["decoder", "encoder", "bare encoder", "encoder-decoder"] = "decoder"
    stored: Stored | None = None
    task: str = ""
    towers: tuple[Tower, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def from_hf(cls, config: Mapping[str, Any] | str | Path, *, strict: bool = False) -> "Model":
        """The model of a Hugging Face config, given as a dict or as the path of a JSON file.

        Raises:
            SpecError: an unreadable file, an unknown ``model_type``, a missing or invalid key,
                or a key whose value changes the arithmetic in a way that is not modelled.
        """
        from lifesym.huggingface import read_config  # noqa: PLC0415 (it builds models itself)

        return read_config(config, strict=strict)

    @classmethod
    @checked
    def symbolic(cls, family: str) -> "Model":
        """The model of a family, or of its kin, with every dimension a symbol.

        >>> Model.symbolic("llama").parameters.free_symbols >= {resolve("hidden")}
        True

        Raises:
            SpecError: an unknown family.
        """
        from lifesym.huggingface import example  # noqa: PLC0415

        model = example(family)
        return replace(model, name=family, values={}, context_limit=None)

    @checked
    def lift(self, *names: str | Symbol) -> Self:
        """Turn the named dimensions back into symbols; those that are symbols already stay so.

        Raises:
            SymbolError: a name that is not one of the model's dimensions.
        """
        symbols = {resolve(name) for name in names}
        for symbol in symbols - self.dimensions:
            known = sorted(each.name for each in self.dimensions)
            raise SymbolError(
                f"{self.name} has no dimension {symbol.name!r} to lift"
                f"{nearest(symbol.name, known)} (it has {', '.join(known)})"
            )
        kept = {s: v for s, v in self.values.items() if s not in symbols}
        return replace(self, values=kept)

    @cached_property
    def dimensions(self) -> set[Symbol]:
        """The symbols of its sizes, known or not."""
        return {*self.values, *_symbols(self.sections)}

    @checked
    def limited(self, positions: Size) -> Self:
        """The same model with a hard limit of positions."""
        return replace(self, context_limit=positions)

    @property
    def generates(self) -> bool:
        """Whether it gives tokens, one after the other."""
        return "decoder" in self.kind and not self.task

    @property
    def silent(self) -> str:
        """Why it generates no tokens, for errors."""
        what = f"a {self.task}, which has no LM head" if self.task else "an encoder"
        return f"{self.name} is {what}: it generates no tokens"

    @checked
    def with_source(self, tokens: Size) -> Self:
        """The same model with so many encoder positions.

        Raises:
            SymbolError: the model has no encoder beside its decoder, or one of fixed length.
        """
        if self.kind != "encoder-decoder" or sym.source in self.values:
            raise SymbolError(f"{self.name} has no encoder whose length can be chosen")
        return replace(self, values={**self.values, sym.source: size(tokens, "source")})

    @checked
    def encoder(self, *, bare: bool = False) -> Self:
        """The same model as an encoder; ``bare`` without its masked-LM head."""
        return replace(self, kind="bare encoder" if bare else "encoder")

    @cached_property
    def bound(self) -> tuple[Section, ...]:
        """The sections with their known sizes put in."""
        values = {symbol: sympify(value) for symbol, value in self.values.items()}
        return tuple(_bind(section, values) for section in self.sections)

    @checked
    def forward(
        self,
        batch: Size = 1,
        new: Size = 1,
        past: Size = 0,
        logits: Logits = "last",
        mla: MLA = "absorbed",
        causal: Causal = "full",
        routing: Routing | RoutingKind = "uniform",
        encode: bool | None = None,
        *,
        windows: bool = True,
        idle: bool = False,
    ) -> Trace:
        """The operators of one forward pass: ``new`` tokens of each sequence after ``past``.

        Prefill is ``new=S, past=0``; a decode step ``new=1, past=T``; chunk i ``new=C, past=i*C``.
        An encoder-decoder also encodes its source with ``encode``, or by default if ``past`` is 0.
        Without ``windows`` layers that have one compute and keep what layers without one do, and
        sparse attention computes all pairs. With ``idle`` what is held and never run is in it, too,
        as rows that run zero times: for their weights.

        Raises:
            SymbolError: a size that is not a valid integer, an unknown option, or more tokens
                than the model has positions for.
        """
        one_of(logits, get_args(Logits), "logits")
        one_of(mla, get_args(MLA), "mla")
        one_of(causal, get_args(Causal), "causal")
        step = ForwardPass(
            batch=size(batch, "batch"),
            new=size(new, "new"),
            past=size(past, "past", minimum=0),
            logits=logits,
            mla=mla,
            causal=causal,
            windows=windows,
            routing=Routing(kind=routing) if isinstance(routing, str) else routing,
            encode=past == 0 if encode is None else encode,
            idle=idle,
        )
        if "decoder" not in self.kind and step.past.is_number and step.past != 0:
            raise SymbolError(f"{self.name} is an encoder: it has no past tokens")
        self.check_length(step.new + step.past)
        return replace(self._trace(step), part=partial(self._part_of, step))

    @checked
    def part(self, devices: Size) -> Self:
        """What one of so many devices has where they share every layer; towers stay whole.

        Its passes are those of smaller blocks, with the collectives that join them.

        Raises:
            SymbolError: heads, channels or the intermediate size do not divide, or a block that it
                is not known how to share.
        """
        n = size(devices, "devices")
        sections = (replace(part, block=part.block.part(n)) for part in self.bound)
        return self if n is S.One else replace(self, sections=tuple(sections))

    def _part_of(self, step: ForwardPass, devices: Expr) -> Trace:
        return self.part(devices)._trace(step)

    def _trace(self, step: ForwardPass) -> Trace:
        if self.task:  # what is not a head of logits works on every token
            step = replace(step, logits="all")
        return Trace(
            tuple(
                Entry(
                    section=section.label,
                    name=name,
                    count=sympify(0 if section.idle else section.count),
                    operator=operator,
                    copies=sympify(section.copies if section.shared else section.count),
                    by_tokens=name in section.block.by_tokens,
                )
                for section in self.bound
                if (step.encode or not section.encoder) and (step.idle or not section.idle)
                for name, operator in _named(section.block.operators(self._seen(section, step)))
            )
        )

    def _seen(self, section: Section, step: ForwardPass) -> ForwardPass:
        """The pass as a section sees it: an encoder computes the whole source at once."""
        if section.last and step.logits == "last":
            past = step.past + step.new - 1
            return replace(step, new=S.One, past=past, earlier=step.new)
        if not section.encoder:
            return step
        return replace(step, new=sympify(self.values.get(sym.source, sym.source)), past=S.Zero)

    @checked
    def check_length(self, length: Expr) -> None:
        """Refuse sequences of more tokens than the model has positions for, where both are known.

        Raises:
            SymbolError: its table has fewer rows.
        """
        if self.context_limit is not None and length.is_Integer and length > self.context_limit:
            raise SymbolError(
                f"{self.name} has a table of {self.context_limit} positions, "
                f"so {length} tokens cannot be computed"
            )

    @cached_property
    def weight_roles(self) -> dict[str, Expr]:
        """Learned values by role (see `Trace.weight_roles`), the LM head's included."""
        return self.whole.weight_roles()

    @checked
    def matrices(self, logits: Logits = "all") -> tuple[Matrix, ...]:
        """Learned values by shape and role of what a pass with such logits runs, and of towers."""
        return self._with_towers(logits).matrices()

    def _with_towers(self, logits: Logits) -> Trace:
        """The operators of one token after none, and of towers."""
        parts = (self._one_token(logits), *(self.tower_trace(tower) for tower in self.towers))
        return Trace(tuple(entry for part in parts for entry in part))

    def _one_token(self, logits: Logits, mla: MLA = "absorbed") -> Trace:
        step = ForwardPass(batch=S.One, new=S.One, past=S.Zero, logits=logits, mla=mla, idle=True)
        return self._trace(step)

    @checked
    def tower_trace(self, tower: Tower, images: Size = 1, grid: Grid | None = None) -> Trace:
        """The operators of a tower's pass over so many images.

        The sizes that an image decides are symbols without one (see `lifesym.tower.Grid`).
        """
        seen = size(images, "images")
        values = {**self.values, **(grid.values if grid else {})}
        bound = {symbol: sympify(value) for symbol, value in values.items()}
        entries = []
        for stage in (_bind(stage, bound) for stage in tower.stages):
            step = ForwardPass(
                batch=seen * stage.sequences, new=sympify(stage.positions), past=S.Zero
            )
            count = sympify(stage.count)
            place = {"section": f"{tower.label} {stage.label}", "count": count, "copies": count}
            entries += [
                Entry(name=name, operator=operator, **place)
                for name, operator in _named(stage.block.operators(step), f"{tower.label}_")
            ]
        return Trace(tuple(entries))

    @cached_property
    def whole(self) -> Trace:
        """The operators of one token after none, and of towers: every weight is in one of them."""
        return self._with_towers("none" if self.kind == "bare encoder" else "all")

    @property
    def parameters(self) -> Expr:
        """Learned values of the language model, tied and shared ones counted once.

        Those of towers are `tower_parameters`; memory and `weight_bytes` have both.
        """
        language = self.whole.filter(lambda entry: not is_tower(entry.section))
        return Add(*language.weight_roles().values())

    @property
    def tower_parameters(self) -> Expr:
        """Learned values of the towers beside the language model."""
        towers = self.whole.filter(lambda entry: is_tower(entry.section))
        return Add(*towers.weight_roles().values())

    @checked
    def weight_bytes(self, weights: str | Format | None = None) -> Expr:
        """Bytes of all the weights, tied and shared ones counted once.

        They are in the formats of the model's files unless one is given, in bf16 if those say none.
        A mix of a GGUF file is resolved for the model (see `lifesym.gguf_mixes`).
        """
        held = "bf16" if self.stored is None else self.stored.weights
        chosen = resolve_mix(held if weights is None else weights, self)
        precision = Precision.of(weights=chosen)
        return Add(*(precision.weight_bytes(matrix) for matrix in self.whole.matrices()))

    @checked
    def kv_bytes(
        self, tokens: Size, kv: str | Format = "bf16", batch: Size = 1, mla: MLA = "absorbed"
    ) -> Expr:
        """Bytes of the KV cache of ``batch`` sequences of so many tokens each, and their state."""
        length = size(tokens, "tokens", minimum=0)
        stored = load_format(kv)
        trace = self._one_token("none", mla)
        state = trace.state_bytes(Precision.of(kv=stored))
        return bytes_of(batch * trace.cache_elements(length), stored.bits_per_value) + batch * state

    @checked
    def kv_bytes_per_token(self, kv: str | Format = "bf16", mla: MLA = "absorbed") -> Expr:
        """Bytes that one more token of a sequence adds to the cache, below every window."""
        appends = (
            (entry.count, entry.operator)
            for entry in self._one_token("none", mla)
            if isinstance(entry.operator, KVAppend)
        )
        elements = Add(*(count * each.grown for count, each in appends))
        return bytes_of(elements, load_format(kv).bits_per_value)


def _named(emitted: Emitted, tower: str = "") -> Emitted:
    """Weights have the role of their operator's name, unless they have one of their own.

    A tower's have its name before it.
    """
    for name, operator in emitted:
        if isinstance(operator, Linear | HeadLinear) and operator.role == "linear":
            yield name, replace(operator, role=f"{tower}{name}")
        elif tower and isinstance(operator, Conv1d | Embedding):
            yield name, replace(operator, role=f"{tower}{operator.role}")
        else:
            yield name, operator


def _bind(node: Any, values: Mapping[Symbol, Expr]) -> Any:
    """A copy of nested dataclasses with every expression in them bound."""
    if isinstance(node, Expr):
        return node.xreplace(values)
    if isinstance(node, tuple):
        return tuple(_bind(item, values) for item in node)
    if is_dataclass(node) and not isinstance(node, type):
        bound = {f.name: _bind(getattr(node, f.name), values) for f in fields(node) if f.init}
        return type(node)(**bound)
    return node


def _symbols(part: object) -> set[Symbol]:
    """The symbols that the sizes in sections, blocks and what they hold are made of."""
    if isinstance(part, Basic):
        return {symbol for symbol in part.free_symbols if isinstance(symbol, Symbol)}
    held = part if isinstance(part, tuple) else getattr(part, "__dict__", {}).values()
    return {symbol for each in held for symbol in _symbols(each)}
