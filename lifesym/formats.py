"""Number formats, and the precision of a forward pass: which role is stored in which format."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Literal, Self, get_args

import msgspec
from sympy import Add, Expr, Integer, S, sympify

from lifesym import symbols as sym
from lifesym.cost import Cost, bytes_of
from lifesym.errors import SpecError, nearest, one_of
from lifesym.nodes import FloorDiv, Minimum
from lifesym.specs import convert, read_toml, root
from lifesym.symbols import Number, Size, exact


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Learned values of one shape: matrices with one row an output, tables, or vectors.

    Attributes:
        role: what they are for: an operator's name, ``embedding``, ``vector`` ...
        rows: outputs of a matrix, entries of a table; 1 for vectors.
        columns: inputs of a matrix: values in a row, one after the other in memory.
        count: how many there are of the shape.
        part: ``gate``, ``up`` or ``down`` where a role has several matrices.
    """

    role: str
    rows: Expr
    columns: Expr
    count: Expr = S.One
    part: str = ""

    @property
    def elements(self) -> Expr:
        """All of their values."""
        return self.count * self.rows * self.columns

    def times(self, count: Size) -> "Matrix":
        """So many times as many of them."""
        return replace(self, count=self.count * count)


def vectors(elements: Size, role: str = "vector") -> tuple[Matrix, ...]:
    """So many learned values in vectors; none where there are none."""
    number = sympify(elements)
    return () if number.is_zero else (Matrix(role=role, rows=S.One, columns=number),)


DataType = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4"]
"""What hardware has peaks for."""
DATA_TYPES: tuple[DataType, ...] = get_args(DataType)

_NUMBERS = ("bits", "group_size", "scale_bits", "zero_bits", "row_bits", "matrix_bits")


@dataclass(frozen=True, kw_only=True)
class Format:
    r"""How a number is stored: its bits, and the scale and zero point of its group.

    $b = \mathit{bits} + (\mathit{scale\_bits} + \mathit{zero\_bits}) / \mathit{group\_size}$

    Scales of rows and of whole matrices are counted where the matrix is known (`bits_of`); those
    of blocks are those of groups as large, of which a part counts as its share.

    Attributes:
        name: the name in ``specs/formats.toml``, or of your own.
        bits: stored bits of one value.
        group_size: values that share a scale; 0 for one scale a tensor or channel, not counted.
        scale_bits: bits of a group's scale.
        zero_bits: bits of a group's zero point; 0 for symmetric formats.
        compute: the data type whose peak counts where activations have the format; the format's
            own name unless given.
        row_bits: bits of the scale that each output of a matrix has, beside those of groups.
        matrix_bits: bits of the scales of a whole matrix.
        multiple: a row must be a multiple of so many values, or is stored in ``narrow``.
        narrow: the format of rows that are not.
        parts: formats of shares of the layers, in mixes that differ by layer.
        roles: other formats for single weight roles, in mixes such as Q4_K_M.
        native: hardware computes with it as stored; others are dequantized first, unless the
            activations have the same format.
        asked: a symbol that formulas have in place of ``bits``; what is decided by the bits is
            decided by the number.
        serial: bit-serial units compute in it, where a device has them: a plane of bits at a time.
    """

    name: str
    bits: Expr
    group_size: Expr = S.Zero
    scale_bits: Expr = S.Zero
    zero_bits: Expr = S.Zero
    native: bool = False
    compute: str = ""
    row_bits: Expr = S.Zero
    matrix_bits: Expr = S.Zero
    multiple: int = 1
    narrow: "Format | None" = None
    parts: tuple[tuple[Expr, "Format"], ...] = ()
    roles: tuple[tuple[str, "Format"], ...] = ()
    asked: Expr | None = field(default=None, compare=False)
    serial: bool = False

    def __post_init__(self) -> None:
        """Make every number exact."""
        for name in _NUMBERS:
            object.__setattr__(self, name, exact(getattr(self, name), f"{self.name}.{name}"))

    @property
    def data_type(self) -> str:
        """The data type that hardware computes in where activations have the format."""
        return self.compute or self.name

    @property
    def bits_per_value(self) -> Expr:
        """Stored bits a value, its share of the group's scale and zero point included.

        >>> load_format("int4-g128").bits_per_value
        133/32
        """
        if self.group_size.is_zero:
            return self.planes
        return self.planes + (self.scale_bits + self.zero_bits) / self.group_size

    @property
    def planes(self) -> Expr:
        """Bits that a value has of its own: what bit-serial units take one after another."""
        return self.bits if self.asked is None else self.asked

    @property
    def all_asked(self) -> tuple[Expr | None, ...]:
        """What it and the formats within it are asked as."""
        inner = [fmt for _, fmt in (*self.parts, *self.roles)]
        if self.narrow is not None:
            inner.append(self.narrow)
        return (self.asked, *(each for fmt in inner for each in fmt.all_asked))

    def bits_of(self, matrix: Matrix) -> Expr:
        """Stored bits of matrices, the scales of their rows included.

        >>> fp8 = Format(name="fp8", bits=8, row_bits=16)
        >>> fp8.bits_of(Matrix(role="attn_q", rows=Integer(64), columns=Integer(100)))
        52224
        """
        if self.parts:
            return Add(*(share * part.bits_of(matrix) for share, part in self.parts))
        if (narrow := self._narrowed(matrix)) is not None:
            return narrow.bits_of(matrix)
        scales = matrix.count * (matrix.rows * self.row_bits + self.matrix_bits)
        return matrix.elements * self.bits_per_value + scales

    def dequant_ops_of(self, matrix: Matrix) -> Expr:
        """Operations that turn the stored values of matrices into computed ones."""
        if self.parts:
            return Add(*(share * part.dequant_ops_of(matrix) for share, part in self.parts))
        if (narrow := self._narrowed(matrix)) is not None:
            return narrow.dequant_ops_of(matrix)
        return matrix.elements * self.dequant_ops_per_value

    def _narrowed(self, matrix: Matrix) -> "Format | None":
        """What rows of another length than the format's are stored in; symbols are multiples."""
        odd = matrix.columns.is_Integer and matrix.columns % self.multiple != 0
        return self.narrow if odd else None

    @property
    def dequant_ops_per_value(self) -> Expr:
        """One multiplication by the scale, one more to subtract a zero point; 0 if native."""
        if self.native:
            return S.Zero
        return S.One if self.zero_bits.is_zero else Integer(2)


class _MixSpec(msgspec.Struct, forbid_unknown_fields=True):
    default: str
    roles: dict[str, str | list[str]]
    source: str


class _FormatSpec(msgspec.Struct, forbid_unknown_fields=True):
    bits: int | Decimal
    source: str
    group_size: int = 0
    scale_bits: int | Decimal = 0
    zero_bits: int | Decimal = 0
    native: bool = False
    compute: str = ""


@cache
def known_formats() -> Mapping[str, Format]:
    """Every format of ``specs/formats.toml`` by name."""
    path = root() / "formats.toml"
    tables = read_toml(path)
    mixes = tables.pop("mix", {})
    formats = {}
    for name, table in tables.items():
        spec = convert(table, _FormatSpec, f"{path}: [{name}]")
        formats[name] = Format(
            name=name,
            bits=exact(spec.bits),
            group_size=exact(spec.group_size),
            scale_bits=exact(spec.scale_bits),
            zero_bits=exact(spec.zero_bits),
            native=spec.native,
            compute=spec.compute,
        )
    for name, table in mixes.items():
        mix = convert(table, _MixSpec, f"{path}: [mix.{name}]")
        roles = tuple((role, _shared(kinds, formats)) for role, kinds in mix.roles.items())
        formats[name] = replace(formats[mix.default], name=name, roles=roles)
    return formats


def _shared(kinds: str | list[str], formats: Mapping[str, Format]) -> Format:
    """One format, or the average of several that hold equal shares of the values."""
    if isinstance(kinds, str):
        return formats[kinds]
    parts = [formats[kind] for kind in kinds]
    zeros = max((part.zero_bits for part in parts), key=lambda bits: bits != 0)
    return Format(
        name="+".join(kinds),
        bits=Add(*(part.bits_per_value for part in parts)) / len(parts),
        zero_bits=zeros,
    )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The formats in which a model's files hold its weights, and say that it is run.

    Attributes:
        weights: of the weights, with other formats for single roles.
        kv: of the KV cache, where the files say so.
        compute: the data type that products are computed in, where it is not the activations'.
        base: the 16- or 32-bit float of what is not quantized, and of the activations.
        source: the file that says so, for the first line of an answer.
        base_source: where ``base`` comes from, if that is not the same; empty if it is.
    """

    weights: Format
    kv: Format | None = None
    compute: Format | None = None
    base: Format | None = None
    source: str = "the config"
    base_source: str = ""


def shared_exponent(
    mantissa_bits: Number, exponent_bits: Number, group_size: Number, compute: str = "int8"
) -> Format:
    r"""A block format: a sign and mantissa a value, one exponent a group.

    $b = 1 + m + e / g$. The mantissa's length may be a symbol, or differ by role. Activations in
    it are multiplied as integers: on a device with bit-serial units at their peak over 1 + m, else
    at the peak of the data type ``compute``. The name ``shared-m5-e5-g64`` stands for it wherever
    a format is named. Source: Anda, arXiv 2411.15982, section III.

    >>> shared_exponent(sym.mantissa_bits, 5, 64).bits_per_value
    mantissa_bits + 69/64
    """
    return Format(
        name=f"shared-m{mantissa_bits}-e{exponent_bits}-g{group_size}",
        bits=1 + exact(mantissa_bits),
        group_size=exact(group_size),
        scale_bits=exact(exponent_bits),
        compute=compute,
        serial=True,
    )


def _shared_exponent(name: str) -> Format | None:
    """The block format of a name such as ``shared-m5-e5-g64``; None of one that begins otherwise.

    Raises:
        SpecError: one that begins so and goes on otherwise, or whose group is empty.
    """
    if not name.startswith("shared"):
        return None
    numbers = re.fullmatch(r"shared-m(\d{1,3})-e(\d{1,3})-g(\d{1,6})", name)
    if numbers is None or int(numbers[3]) == 0:
        raise SpecError(
            f"number format {name!r}: a shared exponent is written shared-m5-e5-g64: mantissa "
            "bits, exponent bits, and the values of a group, at least 1"
        )
    mantissa, exponent, group = map(int, numbers.groups())
    return shared_exponent(mantissa, exponent, group)


def load_format(name: str | Format) -> Format:
    """The format of that name; a `Format` is returned as it is.

    Raises:
        SpecError: no format of that name.
    """
    if isinstance(name, Format):
        return name
    if not isinstance(name, str):
        raise SpecError(f"a number format is a name or a Format, not {name!r}")
    known = known_formats()
    plain = name.lower()
    if (shared := _shared_exponent(plain)) is not None:
        return shared
    # a file may be named with the prefix even where no block type has its name
    found = known.get(plain) or known.get(plain.removeprefix("gguf-"))
    if found is None or (found.name != plain and not found.roles):
        raise SpecError(f"unknown number format {name!r}{nearest(plain, known)}")
    return found


def symbolic_format(role: str, bits: Number | None = None) -> Format:
    """A native format whose width is a symbol: ``weight_bits``, ``activation_bits``, ``kv_bits``.

    >>> symbolic_format("kv").bits_per_value
    kv_bits

    Raises:
        SymbolError: another role.
    """
    known = {"weight": sym.weight_bits, "activation": sym.activation_bits, "kv": sym.kv_bits}
    one_of(role, known, "role")
    return Format(name="symbolic", bits=known[role] if bits is None else exact(bits), native=True)


_FLOAT_BITS = 16
"""Numbers of fewer bits are quantized."""
UNQUANTIZED = frozenset({"vector", "adapter", "low_rank"})
"""Weight roles in the activations' format where the weights are quantized, unless it is given.

QLoRA, arXiv 2305.14314, section 3, and S-LoRA, 2311.03285, keep adapters in 16 bits.
"""
TOWERS = ("vision", "audio")
"""Roles of towers begin so; the word alone means all of a tower's.

They are in 16 bits or more unless they are given their own: quantizers leave towers as they are,
and GGUF keeps them in a file of their own.
"""
_LIKE = {"tied_embedding": "embedding"}
"""Roles that have the format of another one unless they are given their own."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The formats of one forward pass.

    Attributes:
        weights: matrices, embeddings and the LM head.
        activations: what flows between operators; its type is also the compute type.
        kv: cached keys and values.
        activation_roles: other formats of the activations that single dense products read, by the
            role of their weights. What products write is in the activations' format.
        roles: other formats for single weight roles: an operator's name (``attn_v``,
            ``mlp_down``) or ``embedding``, ``tied_embedding`` (the embedding's unless given),
            ``lm_head``, ``experts``, ``router``, ``vector``, ``adapter`` and ``low_rank``.
        unfused_dequant: weights are dequantized by a kernel of its own, which writes them in the
            activations' format for the product to read.
        compute: what products with quantized weights are computed in, where activations are
            quantized on the way to them; None: the activations' format.
        unpack: operations that unpack a stored weight, where they are not the format's.
        unpack_row: the same in a dense product of one row, whose kernels are others (not in those
            of experts and of other operators); None: no other.
        load: operations that load a weight in such a product where it is stored as it is computed
            with; None: it takes none.
        origins: who chose the formats of weights, activations and cache, for people to read.
    """

    weights: Format
    activations: Format
    kv: Format
    roles: Mapping[str, Format] = field(default_factory=dict)
    activation_roles: Mapping[str, Format] = field(default_factory=dict)
    unfused_dequant: bool = False
    compute: Format | None = None
    unpack: Expr | None = None
    unpack_row: Expr | None = None
    load: Expr | None = None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        weights: str | Format = "bf16",
        activations: str | Format = "bf16",
        kv: str | Format = "bf16",
    ) -> Self:
        """A precision from format names.

        Raises:
            SpecError: an unknown format name.
        """
        return cls(
            weights=load_format(weights), activations=load_format(activations), kv=load_format(kv)
        )

    def __hash__(self) -> int:
        """That of the three formats: those of single roles are in a mapping."""
        return hash((self.weights, self.activations, self.kv))

    @property
    def asked(self) -> tuple[Expr | None, ...]:
        """What the formats are asked as, in which formats that are equal may differ."""
        by_role = (self.roles, self.activation_roles)
        own = (by[role] for by in by_role for role in sorted(by))
        all_of = (self.weights, self.activations, self.kv, self.compute, *own)
        return tuple(each for fmt in all_of if fmt is not None for each in fmt.all_asked)

    @property
    def described(self) -> str:
        """The three formats in words, who chose them, and those that single products read.

        >>> Precision.of("int4-g128").described
        'int4-g128 weights, bf16 activations, bf16 KV'
        """
        own = (f"{fmt.name} into {role}" for role, fmt in self.activation_roles.items())
        return ", ".join((self.words("weights", "activations", "kv"), *own))

    def words(self, *roles: str) -> str:
        """Some of the three formats in words, and who chose them."""
        origins = {key: f" ({origin})" for key, origin in self.origins.items()}
        said = {role: f"{role.replace('kv', 'KV')}{origins.get(role, '')}" for role in roles}
        return ", ".join(f"{getattr(self, role).name} {word}" for role, word in said.items())

    def weight_format(self, role: str, part: str = "") -> Format:
        """The format of a weight; vectors and adapters stay unquantized, as all tools keep them."""
        names = (f"{role}_{part}", role) if part else (role,)
        tower = next((label for label in TOWERS if role.startswith(f"{label}_")), None)
        for overrides in (self.roles, dict(self.weights.roles)):
            for name in (*names, _LIKE.get(role), tower):
                if name in overrides:
                    return overrides[name]
        if tower is not None:
            kinds = (self.weights, self.activations)
            wide = (kind for kind in kinds if (kind.bits - 16).is_nonnegative)
            return next(wide, load_format("bf16"))
        if self.weights.native or role not in UNQUANTIZED:
            return self.weights
        return self.activations

    def input_format(self, role: str, part: str = "") -> Format:
        """The format of the activations that a dense product with some weights reads."""
        for name in (f"{role}_{part}", role):
            if name in self.activation_roles:
                return self.activation_roles[name]
        return self.activations

    def input_bytes(self, elements: Size, role: str, part: str = "") -> Expr:
        """Bytes of so many activations that such a product reads."""
        return bytes_of(elements, self.input_format(role, part).bits_per_value)

    @property
    def computing(self) -> tuple[Format, ...]:
        """What is computed in: that of most products, of single ones, and of all else."""
        most = self.compute or self.activations
        return (most, *self.activation_roles.values(), self.activations)

    def computed_in(self, matrices: Iterable[Matrix]) -> Format:
        """The format whose peak counts for products with some weights."""
        matrices = [matrix for matrix in matrices if matrix.role != "vector"]
        if matrices and (read := self.input_format(matrices[0].role, matrices[0].part)) is not (
            self.activations
        ):
            return read
        if self.compute is None:
            return self.activations
        stored = (self.weight_format(m.role, m.part) for m in matrices)
        quantized = any(fmt.bits.is_number and fmt.bits < _FLOAT_BITS for fmt in stored)
        return self.compute if quantized else self.activations

    def weight_bytes(self, matrix: Matrix) -> Expr:
        """Bytes of matrices in the format of their role."""
        return bytes_of(S.One, self.weight_format(matrix.role, matrix.part).bits_of(matrix))

    def dequant_ops(self, matrix: Matrix) -> Expr:
        """Operations to dequantize matrices; 0 where their format is the compute format."""
        if self.is_computed_as_stored(matrix):
            return S.Zero
        if self.unpack is not None:
            return self.unpack * matrix.elements
        return self.weight_format(matrix.role, matrix.part).dequant_ops_of(matrix)

    def read_weights(
        self, matrices: Iterable[Matrix], rows: Size | None = None, copied_from: Size | None = None
    ) -> Cost:
        """The cost of reading weights, and of dequantizing them.

        What is dequantized by kernels of its own has one for all the matrices of a role.

        Args:
            matrices: what is read.
            rows: of a dense product; in one of a single row each weight of a matrix takes
                ``unpack_row`` or ``load`` operations. Other operators' products, those of experts
                among them, are without rows and take what the format says, as biases do.
            copied_from: rows from which on the product reads what a `WeightCopy` has written, more
                bytes than are stored; None: it never does.
        """
        total, apart = Cost(), set()
        for matrix in matrices:
            ops, stored = self.dequant_ops(matrix), self.weight_bytes(matrix)
            more = S.Zero if rows is None else self._of_a_row(matrix)
            if more != 0:  # 1 / rows rounded down: 1 of a single row, else 0
                more *= FloorDiv(S.One, rows)
            total += Cost(weight_bytes=stored, dequant_ops=ops + more)
            if self.is_computed_as_stored(matrix):
                continue
            moved = self.activation_bytes(matrix.elements)
            if rows is not None and copied_from is not None and matrix.role != "vector":
                copied = Minimum(S.One, FloorDiv(rows, copied_from))
                total += copied * Cost(activation_read_bytes=moved - stored, dequant_ops=-ops)
            elif self.unfused_dequant and ops != 0:
                total += Cost(
                    activation_write_bytes=moved,
                    activation_read_bytes=moved,
                    dispatches=S.Zero if matrix.role in apart else S.One,
                )
                apart.add(matrix.role)
        return total

    def is_computed_as_stored(self, matrix: Matrix) -> bool:
        """Whether a weight is not unpacked on its way to a product."""
        stored = self.weight_format(matrix.role, matrix.part)
        read = self.input_format(matrix.role, matrix.part)
        computed = (
            read is self.activations
            and self.compute is not None
            and stored.data_type == self.compute.data_type
        )
        return computed or stored == read or stored.dequant_ops_of(matrix) == 0

    def _of_a_row(self, matrix: Matrix) -> Expr:
        """Operations that a dense product of one row takes for its weights beside `dequant_ops`.

        What kernels of its own have dequantized is loaded as it is computed with.
        """
        if matrix.role == "vector":
            return S.Zero
        if self.is_computed_as_stored(matrix) or self.unfused_dequant:
            return S.Zero if self.load is None else self.load * matrix.elements
        if self.unpack_row is None:
            return S.Zero
        return self.unpack_row * matrix.elements - self.dequant_ops(matrix)

    def read_keys(self, elements: Size, *, cached: bool) -> Cost:
        """The cost of reading keys or values: from the cache, or as activations."""
        if cached:
            return self.read_cache(elements)
        return Cost(activation_read_bytes=self.activation_bytes(elements))

    def read_cache(self, elements: Size) -> Cost:
        """The cost of reading cached values, and of dequantizing them."""
        return Cost(
            kv_read_bytes=self.kv_bytes(elements), dequant_ops=self.kv_dequant_ops(elements)
        )

    def activation_bytes(self, elements: Size) -> Expr:
        """Bytes of so many activations."""
        return bytes_of(elements, self.activations.bits_per_value)

    def kv_bytes(self, elements: Size) -> Expr:
        """Bytes of so many cached keys or values."""
        return bytes_of(elements, self.kv.bits_per_value)

    def kv_dequant_ops(self, elements: Size) -> Expr:
        """Operations to dequantize so many cached keys or values; 0 in the compute format."""
        if self.kv == self.activations:
            return S.Zero
        return elements * self.kv.dequant_ops_per_value
