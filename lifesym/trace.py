"""The trace of one forward pass: an ordered list of counted operators."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from sympy import Add, Expr

from lifesym.cost import FIELDS, Cost
from lifesym.display import Tabular
from lifesym.formats import Format, Matrix, Precision
from lifesym.operators import KVAppend, Operator, Routing
from lifesym.operators.base import by_role
from lifesym.operators.fused import Fused

Logits = Literal["last", "all", "none"]
MLA = Literal["expand", "decompressed", "absorbed"]
Causal = Literal["full", "exact"]
_LAYERS = re.compile(r"(layers|blocks)(_\d+)?$")
"""How the names of sections end that are layers, and no ends, towers' heads or links."""


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """The shape of one forward pass, as every block sees it.

    Attributes:
        batch: sequences computed together.
        new: new tokens of each sequence.
        past: tokens of each sequence already in the cache.
        logits: positions the LM head is applied to.
        mla: convention of latent attention.
        causal: ``full`` counts the whole rectangle of scores, ``exact`` what the mask leaves.
        windows: layers with a sliding window read and keep no token outside it; or else they
            compute like layers without one, and only mask what is outside. So do layers whose
            queries choose their keys.
        routing: how tokens choose experts.
        encode: an encoder runs too, and cross-attention caches its keys and values.
        earlier: new tokens of the layers before, where only the last one goes on; None: all do.
        idle: what no pass of text runs is in it, too, run zero times: for its weights.
    """

    batch: Expr
    new: Expr
    past: Expr
    logits: Logits = "last"
    mla: MLA = "absorbed"
    causal: Causal = "full"
    windows: bool = True
    routing: Routing = field(default_factory=Routing)
    encode: bool = True
    earlier: Expr | None = None
    idle: bool = False

    @property
    def tokens(self) -> Expr:
        """All new tokens of the batch."""
        return self.batch * self.new

    @property
    def logit_tokens(self) -> Expr:
        """Tokens whose logits are computed."""
        return {"all": self.tokens, "last": self.batch, "none": self.batch * 0}[self.logits]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a trace: an operator, how often it runs, and where it stands.

    Attributes:
        section: the part of the model (``layers``, ``sliding_layers``, ``head`` ...).
        name: the operator's name there (``attn_q``, ``mlp_down``, ``lm_head`` ...).
        count: how many times it runs in the pass: the number of layers of its section.
        operator: the operator itself.
        copies: how many sets of weights it has: ``count``, or 1 where layers share them.
        origin: the rewrite that made or changed the row; empty for the model's own.
        among: of layers that share a cache, whether the row is of those with a cache of their own
            or of those that borrow one; empty where it is of all of them.
        launches: kernels that an engine launches for it, where they are not the operator's.
        by_tokens: each of several devices does it whole, token by token.
    """

    section: str
    name: str
    count: Expr
    operator: Operator
    copies: Expr
    origin: str = ""
    among: Literal["", "owners", "borrowers"] = ""
    launches: Expr | None = None
    by_tokens: bool = field(default=False, compare=False)

    @property
    def path(self) -> str:
        """Section and name, joined by a dot."""
        return f"{self.section}.{self.name}"

    def once(self, precision: Precision) -> Cost:
        """The cost of one execution."""
        cost = self.operator.cost(precision)
        return cost if self.launches is None else replace(cost, dispatches=self.launches)

    def cost(self, precision: Precision) -> Cost:
        """The cost of all its executions."""
        total: Cost = self.count * self.once(precision)
        return total


@dataclass(frozen=True)
class Trace(Tabular):
    """An immutable sequence of entries; rewrites take one and give another.

    Attributes:
        entries: the rows.
        part: the trace of one of so many devices that share every layer; only a pass that is a
            model's own knows it.
    """

    entries: tuple[Entry, ...]
    part: Callable[[Expr], "Trace"] | None = field(default=None, compare=False, repr=False)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def cost(
        self,
        weights: str | Format = "bf16",
        activations: str | Format = "bf16",
        kv: str | Format = "bf16",
    ) -> Cost:
        """The total cost in the given formats.

        Raises:
            SpecError: an unknown format name.
        """
        return self.cost_at(Precision.of(weights, activations, kv))

    def cost_at(self, precision: Precision) -> Cost:
        """The total cost at a precision."""
        costs = [entry.cost(precision) for entry in self.entries]
        return Cost(**{name: Add(*(getattr(cost, name) for cost in costs)) for name in FIELDS})

    def table(
        self,
        weights: str | Format = "bf16",
        activations: str | Format = "bf16",
        kv: str | Format = "bf16",
    ) -> list[dict[str, str | Expr]]:
        """A row an operator, in the given formats; `lifesym.report.operator_table` prints it.

        Raises:
            SpecError: an unknown format name.
        """
        return self.table_at(Precision.of(weights, activations, kv))

    def table_at(self, precision: Precision) -> list[dict[str, str | Expr]]:
        """A row an operator: where it is, how often it runs, its operations and bytes in all."""
        rows: list[dict[str, str | Expr]] = []
        for entry in self.entries:
            cost = entry.cost(precision)
            row = {"section": entry.section, "operator": entry.name, "count": entry.count}
            rows.append(row | {"operations": cost.flops, "bytes": cost.bytes})
        return rows

    def having(self, kind: type[Operator], **fields: Any) -> Self:
        """The trace in which every operator of a kind has these values of its fields."""
        return type(self)(
            tuple(
                replace(entry, operator=replace(entry.operator, **fields))
                if isinstance(entry.operator, kind)
                else entry
                for entry in self
            )
        )

    def filter(
        self,
        keep: Callable[[Entry], bool] | None = None,
        *,
        family: str | None = None,
        name: str | None = None,
        section: str | None = None,
    ) -> Self:
        """The entries that satisfy every condition given."""

        def wanted(entry: Entry) -> bool:
            return (
                (keep is None or keep(entry))
                and family in (None, entry.operator.family)
                and name in (None, entry.name)
                and section in (None, entry.section)
            )

        return type(self)(tuple(entry for entry in self.entries if wanted(entry)))

    def group_by(
        self, key: Literal["family", "name", "section", "path", "origin"]
    ) -> dict[str, Self]:
        """Sub-traces by family, name, section, path or origin, in order of appearance."""
        groups: dict[str, list[Entry]] = {}
        for entry in self.entries:
            source = entry.operator if key == "family" else entry
            groups.setdefault(getattr(source, key), []).append(entry)
        return {label: type(self)(tuple(rows)) for label, rows in groups.items()}

    def layers(self) -> dict[str, Expr]:
        """How many layers each section has; ends, and what stands between layers, have none."""
        first = {entry.section: entry.count for entry in reversed(self.entries)}
        return {name: first[name] for name in reversed(first) if _LAYERS.search(name)}

    def matrices(self) -> tuple[Matrix, ...]:
        """Learned values by shape and role, of all the layers."""
        return tuple(
            matrix.times(entry.copies)
            for entry in self.entries
            for matrix in entry.operator.matrices
        )

    def weight_roles(self) -> dict[str, Expr]:
        """Learned values by role: an operator's name, ``embedding``, ``lm_head``, ``vector`` ..."""
        return by_role(self.matrices())

    def cache_elements(self, tokens: Expr) -> Expr:
        """Cached elements of one sequence of so many tokens, from what each layer appends."""
        return Add(
            *(
                entry.count * entry.operator.held(tokens)
                for entry in self.entries
                if isinstance(entry.operator, KVAppend | Fused)
            )
        )

    def state_bytes(self, precision: Precision) -> Expr:
        """Bytes of one sequence's states of constant size: those of recurrent layers."""
        return Add(*(entry.count * entry.operator.state_bytes(precision) for entry in self.entries))

    def by_name(self, field: str = "matmul_flops", **formats: Any) -> dict[str, Expr]:
        """One field of the cost by operator name, names without it left out."""
        totals = {
            name: getattr(part.cost(**formats), field)
            for name, part in self.group_by("name").items()
        }
        return {name: value for name, value in totals.items() if value != 0}
