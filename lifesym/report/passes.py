r"""What optimizations change that leave the layer as it is and run other passes of it.

The layer is one of a symbolic Llama, for experts one of a Mixtral. Beside N new tokens of B
sequences after T cached ones:

- a cache shared by two layers: the mean of the two;
- a prompt in chunks: N/C passes of C tokens, which divide N, in place of one;
- data parallel: a replica's passes, of $\lceil B/n \rceil$ sequences;
- pipeline: an n-th of the layers on a device, which sends the residual stream on once for all L;
  microbatches, $n_{\mu}$ of them, which divide B, each read the weights;
- expert parallel: a device's passes over its own tokens, N of each of B sequences as before;
- speculation: a pass over $\gamma + 1$ tokens in place of $E = (1 - \alpha^{\gamma + 1})/(1 -
  \alpha)$ steps of one token, all at context T; drafting them comes on top;
- offload: a share $\sigma_{\mathrm{off}}$ of the weights and of the cache in another memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from sympy import Add, Dummy, Expr, Integer, S

from lifesym import symbols as sym
from lifesym.formats import Precision
from lifesym.hardware import Hardware
from lifesym.huggingface import example
from lifesym.levels import Level
from lifesym.nodes import CeilDiv
from lifesym.sums import sum_over
from lifesym.symbols import index
from lifesym.trace import Trace
from lifesym.traffic import works
from lifesym.transforms import CachePolicy, ExpertParallel

COLUMNS = (
    "FLOPs",
    "weight bytes",
    "activation bytes",
    "KV bytes",
    "dispatches",
    "link bytes",
    "bytes of another memory",
    "memory",
)
BF16 = Precision.of()
EXPECTED = Dummy("expected_tokens", positive=True)
"""Stands for the tokens that a speculative step gives, so that they can be factored out."""

Values = tuple[Expr, ...]


def layer(family: str = "llama", count: int = 1, **shape: Expr) -> Trace:
    """One layer of a symbolic model: ``batch``, ``new`` and ``past`` tokens, symbols by default."""
    return one_pass(family, count, **shape).filter(section="layers")


def one_pass(family: str = "llama", count: int = 1, **shape: Expr) -> Trace:
    """The same layer with both ends."""
    model = replace(example(family), values={sym.layers: Integer(count)}, context_limit=None)
    given = {"batch": sym.batch, "new": sym.new, "past": sym.past} | shape
    return model.forward(**given)


def measures(
    trace: Trace,
    precision: Precision = BF16,
    *,
    batch: Expr = sym.batch,
    tokens: Expr = sym.past + sym.new,
) -> Values:
    """Each of `COLUMNS` of a trace, in memory so many cached tokens of so many sequences."""
    cost = trace.cost_at(precision)
    weights = Add(*(precision.weight_bytes(matrix) for matrix in trace.matrices()))
    cache = precision.kv_bytes(batch * trace.cache_elements(tokens))
    return (
        cost.flops,
        cost.weight_bytes,
        cost.activation_read_bytes + cost.activation_write_bytes,
        cost.kv_read_bytes + cost.kv_write_bytes,
        cost.dispatches,
        cost.network_bytes,
        S.Zero,
        weights + cache,
    )


def _shared() -> Values:
    two = measures(CachePolicy(share=2)(layer(count=2)))
    return _change((value / 2 for value in two), measures(layer()))


def _chunked() -> Values:
    count = sym.new / sym.chunk
    body = layer(new=sym.chunk, past=sym.past + index * sym.chunk)
    *one, _ = measures(body)
    summed = [sum_over(value, count) for value in one]
    *before, held = measures(layer())
    return _change((*summed, held), (*before, held))


def _data() -> Values:
    mine = CeilDiv(sym.batch, sym.devices)
    return _change(measures(layer(batch=mine), batch=mine), measures(layer()))


def _pipelined() -> Values:
    whole = measures(layer())
    part = [value / sym.devices for value in whole]
    sent = BF16.activation_bytes(sym.batch * sym.new * sym.hidden) / sym.layers
    part[COLUMNS.index("link bytes")] += sent
    return _change(part, whole)


def _microbatched() -> Values:
    piece = sym.batch / sym.microbatches
    one = measures(layer(batch=piece), batch=piece)
    *work, _ = (sym.microbatches * value for value in one)
    *before, held = measures(layer())
    return _change((*work, held), (*before, held))


def _experts() -> Values:
    plain = layer("mixtral")
    return _change(measures(ExpertParallel(devices=sym.devices)(plain)), measures(plain))


def _speculated() -> Values:
    checked = sym.draft + 1
    after = measures(layer(new=checked), tokens=sym.past + checked)
    *steps, held = measures(layer(new=S.One), tokens=sym.past + 1)
    return _change(after, (*(EXPECTED * value for value in steps), held))


def _offloaded() -> Values:
    trace = layer()
    cost = trace.cost_at(BF16)
    there = Level(name="there", bandwidth=1, weights=sym.offloaded, kv=sym.offloaded)
    costs = [entry.operator.cost(BF16) for entry in trace]
    moved = zip(trace, works(trace, costs, BF16, Hardware.symbolic(), (there,)), strict=True)
    served = Add(*(entry.count * other.bytes for entry, (_, other) in moved))
    whole = dict(zip(COLUMNS, measures(layer()), strict=True))
    away = {
        "weight bytes": -sym.offloaded * cost.weight_bytes,
        "KV bytes": -sym.offloaded * (cost.kv_read_bytes + cost.kv_write_bytes),
        "bytes of another memory": served,
        "memory": -sym.offloaded * whole["memory"],
    }
    return tuple(away.get(name, S.Zero) for name in COLUMNS)


def _change(after: Iterable[Expr], before: Iterable[Expr]) -> Values:
    return tuple(new - old for new, old in zip(after, before, strict=True))


PASSES: dict[str, Callable[[], Values]] = {
    "KV shared by two layers": _shared,
    "a prompt of N tokens in chunks of C": _chunked,
    "data parallel": _data,
    "pipeline": _pipelined,
    "a batch in microbatches": _microbatched,
    "expert parallel": _experts,
    "a speculative step": _speculated,
    "offload": _offloaded,
}
"""The change of each of `COLUMNS`, by optimization."""
