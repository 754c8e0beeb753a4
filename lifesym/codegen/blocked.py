"""NumPy evaluation in pieces that stay in the cache.

A block of every argument goes through all operations before the next block is read, in buffers
that are reused: no temporary of the arrays' size is ever made. Operations that depend on scalars
alone are done once.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan, prod
from typing import Any

import numpy as np

from lifesym.codegen.program import Op, Program

Array = Any
BLOCK = 16384
"""Elements a block: 128 KiB a buffer in doubles, so that ten buffers stay in a core's cache."""

_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "pow": np.power,
    "power": np.power,
    "log": np.log,
}


def evaluate(program: Program, values: Sequence[Array]) -> list[Array]:
    """The outputs for arguments that are scalars or arrays of shapes that broadcast."""
    arrays = [np.asarray(value) for value in values]
    wanted = [i for i, array in enumerate(arrays) if array.ndim]
    plan = _plan(program, frozenset(wanted))
    scalars = _scalars(plan, arrays)
    if not wanted:
        return [np.float64(scalars[r]) for r in program.outputs]
    count = len(program.outputs)
    dtypes: Any = [np.float64] * (len(wanted) + count)
    roles: Any = [*[["readonly"]] * len(wanted), *[["writeonly", "allocate"]] * count]
    operands: list[Any] = [*(arrays[i] for i in wanted), *[None] * count]
    iterator: Any = np.nditer(
        operands,
        flags=["external_loop", "buffered", "delay_bufalloc", "zerosize_ok"],
        op_flags=roles,
        op_dtypes=dtypes,
        casting="same_kind",
        buffersize=BLOCK,
    )
    points = prod(np.broadcast_shapes(*(arrays[i].shape for i in wanted)))
    buffers = [np.empty(min(BLOCK, points)) for _ in range(plan.buffers)]
    with iterator:
        iterator.reset()
        for pieces in iterator:
            _block(program, plan, scalars, buffers, pieces)
        return [iterator.operands[len(wanted) + i] for i in range(count)]


@dataclass(frozen=True)
class _Plan:
    """Which registers vary, and where each of them is written.

    Attributes:
        constants: values of registers that are numbers, nan of others.
        fixed: others that do not vary.
        given: registers of arguments that vary, in the order of these.
        steps: others that vary: each one, its operation, its function if that has one, and the
            number of the buffer it is written to; those of results, which need no copy, follow.
        buffers: how many there are.
        result: the number of the output that a register is written to at once.
    """

    constants: tuple[float, ...]
    fixed: tuple[tuple[int, Op], ...]
    given: tuple[int, ...]
    steps: tuple[tuple[int, Op, Callable[..., Any] | None, int], ...]
    buffers: int
    result: dict[int, int]


@lru_cache(maxsize=4096)
def _plan(program: Program, wanted: frozenset[int]) -> _Plan:
    varies: list[bool] = []
    for op in program.ops:
        mine = op.kind == "arg" and op.value in wanted
        varies.append(mine or any(varies[r] for r in op.reads))
    last: list[int | None] = [None] * len(program.ops)
    for i, op in enumerate(program.ops):
        for r in op.reads:
            last[r] = i
    for r in program.outputs:
        last[r] = len(program.ops)
    result = {r: k for k, r in enumerate(program.outputs) if varies[r] and program.ops[r].reads}
    home: list[int | None] = [None] * len(program.ops)
    free: list[int] = []
    fresh = itertools.count()
    for i, op in enumerate(program.ops):
        if op.kind in ("arg", "const") or not varies[i]:
            continue
        if i in result:
            free.extend(_ended(op, i, last, home))
            continue
        # a pick writes its result before it has read all operands: it needs a buffer of its own
        reusable = [] if op.kind in ("pick", "cross", "sum") else _ended(op, i, last, home)
        if reusable:
            home[i] = reusable[0]
            free.extend(reusable[1:])
        else:
            home[i] = free.pop() if free else next(fresh)
            free.extend(_ended(op, i, last, home))
    constants = (float(op.value or 0) if op.kind == "const" else nan for op in program.ops)
    number = {int(op.value or 0): i for i, op in enumerate(program.ops) if op.kind == "arg"}
    buffers = next(fresh)
    for register, k in result.items():
        home[register] = buffers + k
    steps = (
        (i, op, _UFUNCS.get(op.kind), at)
        for i, (op, at) in enumerate(zip(program.ops, home, strict=True))
        if at is not None
    )
    given = tuple(number[each] for each in sorted(wanted))
    fixed = ((i, op) for i, op in enumerate(program.ops) if not varies[i] and op.kind != "const")
    return _Plan(tuple(constants), tuple(fixed), given, tuple(steps), buffers, result)


def _ended(op: Op, i: int, last: list[int | None], home: list[int | None]) -> list[int]:
    """Buffers of operands that nothing reads after this operation."""
    ended = (home[r] for r in dict.fromkeys(op.reads) if last[r] == i)
    return [buffer for buffer in ended if buffer is not None]


def _scalars(plan: _Plan, arrays: list[Array]) -> list[float]:
    """Values of the registers that do not vary; nan for the others."""
    values = list(plan.constants)
    for i, op in plan.fixed:
        if op.kind == "arg":
            values[i] = float(arrays[int(op.value or 0)])
        else:
            values[i] = float(_apply(op, [values[r] for r in op.reads], None))
    return values


def _block(
    program: Program,
    plan: _Plan,
    scalars: list[float],
    buffers: list[Array],
    pieces: Sequence[Array],
) -> None:
    size = pieces[0].size
    results = pieces[len(plan.given) :]
    outs = [*(buffer[:size] for buffer in buffers), *results]
    values: list[Any] = list(scalars)
    for register, piece in zip(plan.given, pieces, strict=False):
        values[register] = piece
    for i, op, function, at in plan.steps:
        if function is None:
            values[i] = _apply(op, [values[r] for r in op.reads], outs[at])
        elif len(op.reads) == 2:
            left, right = op.reads
            values[i] = function(values[left], values[right], out=outs[at])
        else:
            values[i] = function(values[op.reads[0]], out=outs[at])
    for k, register in enumerate(program.outputs):
        if plan.result.get(register) != k:
            results[k][...] = values[register]


def _apply(op: Op, parts: list[Any], out: Array | None) -> Any:
    """One operation, into a buffer where there is one."""
    kind = op.kind
    if kind in _UFUNCS:
        return _UFUNCS[kind](*parts, out=out) if out is not None else _UFUNCS[kind](*parts)
    if kind in ("ceil", "floor"):
        quotient = _UFUNCS["div"](*parts, out=out)
        rounding = np.ceil if kind == "ceil" else np.floor
        return rounding(quotient, out=out)
    if kind == "rest":
        return np.subtract(parts[0], parts[1], out=out)
    if kind == "cross":
        divisor = np.where(np.greater(parts[1], 0), parts[1], 1.0)
        return np.ceil(np.divide(parts[0], divisor, out=out), out=out)
    if op.body:
        chosen = _summed(op.body, *parts)
    else:
        chosen = np.where(np.greater(parts[0], 0), parts[1], parts[2])
    if out is None:
        return chosen
    out[...] = chosen
    return out


def _summed(body: Program, last: Any, *given: Any) -> Any:
    """A sum up to an index that may differ from point to point, compensated (Kahan).

    Many terms are computed at once, along a last axis. An index that is not finite gives NaN.
    """
    with np.errstate(all="ignore"):  # terms beyond a point's last are computed and thrown away
        total, lost = np.subtract(last, last), 0.0
        finite = np.where(total == 0, last, -1.0)
        count = int(np.max(finite, initial=-1.0)) + 1
        points = max(1, *map(np.size, (finite, *given)))
        together = max(1, BLOCK // points)  # terms times points are a block
        along = [part[..., None] if np.ndim(part) else part for part in given]
        for begin in range(0, count, together):
            i = np.arange(begin, min(begin + together, count), dtype=float)
            (value,) = evaluate(body, [i, *along])
            terms = np.where(np.asarray(finite)[..., None] >= i, value, 0.0)
            step = terms.sum(axis=-1) - lost
            raised = total + step
            lost = (raised - total) - step
            total = raised
    return total
