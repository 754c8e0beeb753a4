"""The cost of an operator: an additive record of operations, bytes by role, and dispatches."""

from dataclasses import dataclass, fields
from typing import Self

from sympy import Expr, S, sympify

from lifesym.symbols import Size

FLOPS_PER_MAC = 2
"""One multiply-add is two operations, here and nowhere else."""

BITS_PER_BYTE = 8


def bytes_of(elements: Size, bits: Size) -> Expr:
    """The bytes that so many elements of so many bits fill: the only such conversion.

    >>> from lifesym.symbols import hidden, weight_bits
    >>> bytes_of(hidden**2, weight_bits)
    hidden**2*weight_bits/8
    """
    return sympify(elements) * bits / BITS_PER_BYTE


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one forward pass of an operator does, before any hardware.

    Attributes:
        matmul_flops: dense matrix products and convolutions, a multiply-add counting 2.
        vector_flops: elementwise work, by each operator's stated constant.
        dequant_ops: operations that turn stored values into computed ones.
        weight_bytes: parameters read, once a pass.
        activation_read_bytes: inputs read, other than weights and the KV cache.
        activation_write_bytes: outputs written, other than the KV cache.
        kv_read_bytes: cached keys and values (or recurrent state) read.
        kv_write_bytes: keys and values (or recurrent state) written.
        dispatches: kernel launches or command submissions.
        network_bytes: bytes each device sends over its link.
        messages: messages each device sends over its link.
    """

    matmul_flops: Expr = S.Zero
    vector_flops: Expr = S.Zero
    dequant_ops: Expr = S.Zero
    weight_bytes: Expr = S.Zero
    activation_read_bytes: Expr = S.Zero
    activation_write_bytes: Expr = S.Zero
    kv_read_bytes: Expr = S.Zero
    kv_write_bytes: Expr = S.Zero
    dispatches: Expr = S.Zero
    network_bytes: Expr = S.Zero
    messages: Expr = S.Zero

    def __add__(self, other: Self) -> Self:
        return type(self)(**{n: getattr(self, n) + getattr(other, n) for n in FIELDS})

    def __rmul__(self, count: Size) -> Self:
        return type(self)(**{n: count * getattr(self, n) for n in FIELDS})

    @property
    def flops(self) -> Expr:
        """All operations: matrix, elementwise and dequantization."""
        return self.matmul_flops + self.vector_flops + self.dequant_ops

    @property
    def bytes(self) -> Expr:
        """All memory traffic; link traffic is not in it."""
        return (
            self.weight_bytes
            + self.activation_read_bytes
            + self.activation_write_bytes
            + self.kv_read_bytes
            + self.kv_write_bytes
        )

    @property
    def arithmetic_intensity(self) -> Expr:
        """Operations a byte of memory traffic."""
        return self.flops / self.bytes

    def items(self) -> list[tuple[str, Expr]]:
        """Field names and values, in the order of the class."""
        return [(name, getattr(self, name)) for name in FIELDS]


FIELDS = tuple(field.name for field in fields(Cost))
ZERO = Cost()
