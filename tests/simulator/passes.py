"""One pass through a model on one device, under every option."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from simulator import attention, feedforward
from simulator.fusion import fused
from simulator.kernels import Kernel, Read, Tensor
from simulator.options import Group, Options
from simulator.shapes import Layer, Shape, up
from simulator.walk import Walk


@dataclass(frozen=True)
class Pass:
    """Kernels in order, weights held and caches kept, each by its place in the model."""

    kernels: Sequence[Kernel]
    held: Sequence[tuple[str, str, Fraction]]
    caches: Sequence[tuple[str, Callable[[int], Fraction]]]


def run(shape: Shape, options: Options, groups: Sequence[Group]) -> Pass:
    """The pass of groups of sequences; the options' rules fuse its kernels at the end.

    Raises:
        RefusedError: sizes that the devices do not divide, or an option that does nothing.
    """
    walk = Walk(shape, options, groups)
    x = embed(walk)
    seen: Counter[Layer] = Counter()
    for i, layer in enumerate(shape.layers):
        walk.place = f"layer {i}"
        x = run_layer(walk, layer, x, owner=seen[layer] % options.policy.share == 0)
        seen[layer] += 1
    walk.place = "head"
    head(walk, x)
    kernels = fused(walk.kernels, options.rules, options.tile)
    return Pass(kernels, walk.held, walk.caches)


def run_module(shape: Shape, options: Options, groups: Sequence[Group]) -> Pass:
    """A prediction module: norms of two streams, a projection of both, a layer, the head.

    The layer is like the model's last one, with a cache of its own; the head is the model's.
    """
    walk = Walk(shape, options, groups, place="layer")
    hidden = shape.hidden
    streams, rows = Tensor(2 * walk.tokens * hidden), 2 * walk.tokens
    both = walk.norm("mtp_norm", streams, rows=rows, kind="rms", split=False, sets=2)
    x = walk.linear("mtp_proj", both, 2 * hidden, hidden)
    x = run_layer(walk, shape.layers[-1], x, owner=True)
    held = list(walk.held)
    walk.place = "head"
    head(walk, x)
    return Pass(fused(walk.kernels, options.rules, options.tile), held, walk.caches)


def embed(walk: Walk) -> Tensor:
    """Look-up and what follows it; a device holds its rows of the table."""
    s, n, tokens = walk.shape, walk.options.tensor, walk.tokens
    width = s.embedding_width or s.hidden
    role = "tied_embedding" if s.tied else "embedding"
    walk.hold({role: up(Fraction(s.vocab, n)) * width})
    x = Tensor(tokens * width)
    walk.emit("embedding", weights={role: tokens * width}, writes=[x])
    walk.all_reduce("embedding", tokens * width)
    if s.embedding_scaled:
        x = walk.map("embedding_scale", [x], walk.own(tokens * width), 1)
    if s.embedding_width:
        x = walk.linear("other_proj", x, width, s.hidden)
    if s.positions:
        elements = tokens * s.hidden
        walk.hold({"positions": s.positions * s.hidden})
        sums = Tensor(elements)
        walk.emit(
            "positions",
            vector=elements,
            weights={"positions": elements},
            reads=[Read(x, elements)],
            writes=[sums],
        )
        x = sums
    return walk.norm("embedding_norm", x) if s.embedding_norm else x


def run_layer(walk: Walk, layer: Layer, x: Tensor, *, owner: bool) -> Tensor:
    """Norms, attention, feed-forward block and residual sums."""
    s = walk.shape
    y = walk.norm("attn_norm", x)
    if s.latent is None:
        mixed = attention.grouped(walk, layer, y, owner=owner)
    else:
        mixed = attention.latent(walk, layer, s.latent, y)
    if s.post_norms:
        mixed = walk.norm("attn_post_norm", mixed)
    if not s.parallel:
        x = walk.residual("attn_residual", x, mixed)
    z = walk.norm("mlp_norm", x) if s.mlp_norm else y
    if layer.experts and s.experts is not None:
        made = feedforward.experts(walk, s.experts, z)
    else:
        made = feedforward.mlp(walk, z)
    if s.post_norms:
        made = walk.norm("mlp_post_norm", made)
    return walk.residual("mlp_residual", x, *([mixed] if s.parallel else []), made)


def head(walk: Walk, x: Tensor) -> None:
    """Final norm of every token, and logits of those that want them."""
    s, n = walk.shape, walk.options.tensor
    if s.final_norm:
        x = walk.norm("final_norm", x)
    width = s.embedding_width or s.hidden
    if s.embedding_width:
        x = walk.linear("other_proj", x, s.hidden, width)
    if all(group.logits == "none" for group in walk.groups):
        return
    tokens, rows = sum(group.logit_tokens for group in walk.groups), up(Fraction(s.vocab, n))
    role = "tied_embedding" if s.tied else "lm_head"
    weights = {role: width * rows} | ({"vector": rows} if s.head_bias else {})
    walk.hold({r: count for r, count in weights.items() if r != "tied_embedding"})
    walk.emit(
        "lm_head",
        matmul=2 * tokens * width * rows,
        vector=tokens * rows if s.head_bias else 0,
        weights=weights,
        reads=[Read(x, tokens * width)],
        writes=[Tensor(tokens * rows)],
        sampled=tokens,
    )
    logits = tokens * s.vocab
    if n > 1:
        walk.exchange("lm_head_all_gather", Fraction(logits * (n - 1), n), n - 1)
    if s.capped_logits:
        walk.map("logits_softcap", [Tensor(logits)], logits, 3)
