"""Attention over a cache: grouped queries, or latents in their three conventions."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from simulator.kernels import Fetch, Read, Tensor
from simulator.options import Group, Policy, RefusedError
from simulator.shapes import Chooser, Latent, Layer, up
from simulator.walk import Target, Walk


def kept_of(policy: Policy, tokens: int, window: int | None) -> int:
    """Cached tokens kept of so many: the window's, a share of these, a budget of these."""
    kept = tokens if window is None else min(tokens, window - 1)
    kept = up(policy.keep * kept)
    return kept if policy.budget is None else min(kept, policy.budget)


def paged(policy: Policy, tokens: int) -> int:
    return policy.page * up(Fraction(tokens, policy.page))


def pairs_of(layer: Layer, group: Group, kept: int, causal: str) -> int:
    """Scores of one head: the rectangle, or what the mask leaves of the kept and the new tokens.

    The kept tokens are the most recent ones. Each query is placed, and what it sees is counted.
    """
    if causal == "full":
        return group.new * (kept + group.new)
    pairs = 0
    for at in range(group.past, group.past + group.new):
        first = 0
        if layer.window is not None:
            first = at - at % layer.window if layer.chunked else max(0, at - layer.window + 1)
        old = group.past - max(first, group.past - kept)
        pairs += max(0, old) + at + 1 - max(first, group.past)
    return pairs


def attended(walk: Walk, layer: Layer, group: Group) -> tuple[int, int]:
    """Keys of one sequence that a pass reads, and scores of one head.

    Of keys that queries choose none is read twice, and no more than there are.
    """
    policy, causal, chooser = walk.options.policy, walk.options.causal, walk.shape.chooser
    if chooser is None or not layer.choice:
        kept = kept_of(policy, group.past, layer.window)
        return kept + group.new, pairs_of(layer, group, kept, causal)
    if policy != Policy():
        raise RefusedError("a cache policy: queries choose among all keys")
    chosen = chosen_by(group, chooser, causal)
    return min(group.past + group.new, chosen), chosen


def seen_by(group: Group, causal: str) -> Sequence[int]:
    """Keys that each query of a sequence sees."""
    keys = group.past + group.new
    return range(group.past + 1, keys + 1) if causal == "exact" else [keys] * group.new


def chosen_by(group: Group, chooser: Chooser, causal: str) -> int:
    """Keys that the queries of a sequence choose: those they see, or the best of them.

    A query's own block ends with the query, where the mask is counted.
    """
    block, others, total = chooser.block, chooser.top - 1, 0
    for seen in seen_by(group, causal):
        before = (seen - 1) // block
        own = seen - before * block if causal == "exact" else block
        total += min(seen, own + min(before, others) * block)
    return total


@dataclass(frozen=True, kw_only=True)
class Core:
    """Shapes of scores and values on one device: ``shared`` key elements are all heads'."""

    heads: int
    key_heads: int
    key: int
    value: int
    shared: int = 0
    cached: bool = True
    in_keys: bool = False


def core(walk: Walk, layer: Layer, shape: Core, queries: Tensor) -> Tensor:
    """Scores, softmax and values; keys and values come from the cache, or were just made."""
    policy = walk.options.policy
    keys, values, scores, outputs = [], [], 0, 0
    for group in walk.groups:
        reached, pairs = attended(walk, layer, group)
        read = group.batch * paged(policy, reached)
        part = Tensor(0)
        wide = shape.key_heads * shape.key + shape.shared
        keys.append(Fetch(part, read * wide, group.new))
        place = part if shape.in_keys else Tensor(0)
        values.append(Fetch(place, read * shape.key_heads * shape.value, group.new))
        scores += group.batch * shape.heads * pairs
        outputs += group.batch * group.new * shape.heads * shape.value
    if walk.options.tile is not None and (layer.choice or not shape.cached):
        raise RefusedError("tile: the keys are not in a cache, or each query's own")
    width = shape.key + shape.shared
    current = Tensor(scores)

    def source(fetches: list[Fetch]) -> dict[str, object]:
        """Where keys or values come from, beside the kernel's other input."""
        return {"fetches": fetches} if shape.cached else {"aside": sum(f.elements for f in fetches)}

    walk.emit(
        "attn_qk",
        matmul=2 * scores * width,
        vector=scores,
        reads=[Read(queries, walk.tokens * shape.heads * width)],
        writes=[current],
        **source(keys),
    )
    if walk.shape.capped_scores:
        current = walk.map("attn_softcap", [current], scores, 3)
    if walk.shape.alibi:
        current = walk.map("attn_alibi", [current], scores, 1)
    if policy.scored:
        walk.emit("kv_ranking", vector=2 * scores, reads=[Read(current, scores)])
    sinks = {"vector": shape.heads if walk.shape.sinks else 0}
    walk.hold(sinks)
    chances = Tensor(scores)
    walk.emit(
        "attn_softmax",
        vector=5 * scores,
        weights=sinks,
        reads=[Read(current, scores)],
        writes=[chances],
    )
    result = Tensor(outputs)
    walk.emit(
        "attn_av",
        matmul=2 * scores * shape.value,
        reads=[Read(chances, scores)],
        writes=[result],
        **source(values),
    )
    return result


def append(walk: Walk, layer: Layer, elements: int) -> None:
    """The new tokens' entries into the cache, which keeps what the window and the policy leave."""
    n, policy = walk.tokens * elements, walk.options.policy
    walk.emit("kv_append", reads=[Read(Tensor(n), n)], appended=n)

    def held(tokens: int) -> Fraction:
        return Fraction(paged(policy, kept_of(policy, tokens, layer.window)) * elements)

    walk.caches.append((walk.place, held))


def per_head(walk: Walk, name: str, role: str, heads: int, inputs: int, outputs: int) -> Tensor:
    """A matrix of its own for every head."""
    n, weights = walk.tokens * heads, {role: heads * inputs * outputs}
    walk.hold(weights)
    result = Tensor(n * outputs)
    walk.emit(
        name,
        matmul=2 * n * inputs * outputs,
        weights=weights,
        reads=[Read(Tensor(n * inputs), n * inputs)],
        writes=[result],
    )
    return result


def rope(walk: Walk, heads: int, rotated: int) -> None:
    """Rotation of so many heads' queries and keys; a row of angles a token is read, too."""
    elements = walk.tokens * heads * rotated
    walk.map("attn_rope", [Tensor(elements)], elements, 3, aside=walk.tokens * rotated)


def output(walk: Walk, source: Tensor, inputs: int, *, bias: bool) -> Tensor:
    """The projection of all heads' outputs, and what follows it."""
    hidden = walk.shape.hidden
    result = walk.linear("attn_o", source, inputs, hidden, bias=bias)
    walk.all_reduce("attn_o", walk.tokens * hidden)
    walk.adapted([Target("attn_o", source, inputs, hidden, result)])
    return walk.after("attn_o", result)


def key_heads(walk: Walk) -> int:
    """Of a device; devices that are more than the key heads hold one each."""
    n, whole = walk.options.tensor, walk.shape.kv_heads
    if whole % n and n % whole:
        raise RefusedError(f"{whole} key heads over {n} devices")
    return max(1, whole // n)


def grouped(walk: Walk, layer: Layer, x: Tensor, *, owner: bool) -> Tensor:
    """Attention of grouped queries; ``owner``: with a cache of its own, not another layer's."""
    s, policy = walk.shape, walk.options.policy
    heads, keys, size = walk.part(s.heads, "heads"), key_heads(walk), s.head_dim
    stored = policy.rank or size
    queries = _projections(walk, x, heads, keys * stored, owner=owner)
    if layer.norms in ("head", "plain"):
        kind = "bare_rms" if layer.norms == "plain" else "rms"
        norms = {"attn_q_norm": heads} | ({"attn_k_norm": keys} if owner else {})
        for name, count in norms.items():
            n = walk.tokens * count
            walk.norm(name, Tensor(n * size), rows=n, features=size, kind=kind, split=False)
    elif layer.norms == "all":
        norms = {"attn_q_norm": (heads, True)}
        norms |= {"attn_k_norm": (keys, keys != s.kv_heads)} if owner else {}
        for name, (count, split) in norms.items():
            source = Tensor(walk.tokens * count * size)
            walk.norm(name, source, features=count * size, kind="rms", split=False)
            if split:
                walk.all_reduce(name, walk.tokens)
    if layer.rotary:
        rope(walk, heads + (keys if owner else 0), layer.rotary)
    if layer.queries_scaled:
        elements = walk.tokens * heads * size
        queries = walk.map("attn_q_scale", [Tensor(elements)], elements, 1)
    if owner:
        append(walk, layer, 2 * keys * stored)
    if layer.choice == "own" and s.chooser is not None:
        choice_of_blocks(walk, s.chooser, x, keys)
    if policy.rank:
        queries = per_head(walk, "kv_low_rank", "low_rank", heads, size, policy.rank)
    shape = Core(heads=heads, key_heads=keys, key=stored, value=stored)
    result = core(walk, layer, shape, queries)
    if policy.rank:
        result = per_head(walk, "kv_low_rank", "low_rank", heads, policy.rank, size)
    return output(walk, result, heads * size, bias=s.out_bias)


def _projections(walk: Walk, x: Tensor, heads: int, kept: int, *, owner: bool) -> Tensor:
    """Of queries, and of keys and values in a layer that has its own; of all at once in some."""
    s = walk.shape
    wide, both = heads * s.head_dim, 2 * kept if owner else 0
    if s.joint_qkv:
        name = "attn_qkv_fused" if owner else "attn_q"
        result = walk.linear(name, x, s.hidden, wide + both, bias=s.qkv_bias)
        walk.adapted([Target("attn_qkv_fused", x, s.hidden, wide + both, result)])
        return result
    outputs = {"attn_q": wide} | ({"attn_k": kept, "attn_v": kept} if owner else {})
    made = {n: walk.linear(n, x, s.hidden, out, bias=s.qkv_bias) for n, out in outputs.items()}
    walk.adapted([Target(n, x, s.hidden, outputs[n], made[n]) for n in made])
    return made["attn_q"]


def latent(walk: Walk, layer: Layer, sizes: Latent, x: Tensor) -> Tensor:
    """Attention to latents: absorbed, expanded again in every pass, or decompressed once."""
    hidden, heads = walk.shape.hidden, walk.part(walk.shape.heads, "heads")
    key = sizes.plain + sizes.rotated

    def project(name: str, source: Tensor, inputs: int, outputs: int, bias: bool) -> Tensor:
        result = walk.linear(name, source, inputs, outputs, bias=bias)
        walk.adapted([Target(name, source, inputs, outputs, result)])
        return result

    low = x
    if sizes.queries is None:
        queries = project("attn_q", x, hidden, heads * key, False)
    else:
        low = project("attn_q_a", x, hidden, sizes.queries, sizes.bias)
        low = walk.norm("attn_q_a_norm", low, features=sizes.queries)
        queries = project("attn_q_b", low, sizes.queries, heads * key, False)
    project("attn_kv_a", x, hidden, sizes.rank + sizes.rotated, sizes.bias)
    latents = walk.norm("attn_kv_a_norm", Tensor(walk.tokens * sizes.rank), features=sizes.rank)
    rope(walk, heads + 1, sizes.rotated)
    if layer.choice == "own" and walk.shape.chooser is not None:
        choice(walk, walk.shape.chooser, sizes, x, low)
    convention = {"absorbed": _absorbed, "expand": _expanded, "decompressed": _decompressed}
    result = convention[walk.options.mla](walk, layer, sizes, heads, queries, latents)
    return output(walk, result, heads * sizes.value, bias=sizes.bias)


def index_keys(walk: Walk, size: int, heads: int, rotated: int) -> None:
    """Queries and the one head of keys are rotated; the keys are cached."""
    elements, kept = walk.tokens * (heads + 1) * rotated, walk.tokens * size
    walk.map("index_rope", [Tensor(elements)], elements, 3, aside=walk.tokens * rotated)
    walk.emit("index_append", reads=[Read(Tensor(kept), kept)], appended=kept)
    walk.caches.append((walk.place, lambda tokens: Fraction(tokens * size)))


def best(walk: Walk, found: Tensor, chosen: int) -> None:
    """So many of the scores that were found are chosen; their numbers are written and read."""
    n = found.elements
    reads = [Read(found, n)]
    walk.emit("index_top", vector=n, reads=reads, aside=chosen, writes=[Tensor(chosen)])


def choice(walk: Walk, chooser: Chooser, sizes: Latent, x: Tensor, low: Tensor) -> None:
    """Scores of all keys by heads of their own, which every device has whole, and the best ones.

    Queries come from the compressed ones. Keys are cached: one head of them. A sum over the heads,
    weighted token by token, is a product; the numbers of the chosen are written and read again.
    """
    n, heads, size = walk.tokens, chooser.heads, chooser.size
    queries = walk.linear("index_q", low, sizes.queries or 0, heads * size)
    keys = walk.linear("index_k", x, walk.shape.hidden, size)
    walk.norm("index_k_norm", keys, features=size, kind="layer")
    index_keys(walk, size, heads, sizes.rotated)
    weights = walk.linear("index_weights", x, walk.shape.hidden, heads)
    fetches, scores, chosen = [], 0, 0
    for group in walk.groups:
        fetches.append(Fetch(Tensor(0), group.batch * (group.past + group.new) * size, group.new))
        scores += group.batch * sum(seen_by(group, walk.options.causal))
        chosen += group.batch * chosen_by(group, chooser, walk.options.causal)
    found = Tensor(scores)
    walk.emit(
        "index_qk",
        matmul=2 * scores * heads * (size + 1),
        vector=scores * heads + n * heads,
        reads=[Read(queries, n * heads * size), Read(weights, n * heads)],
        fetches=fetches,
        writes=[found],
    )
    best(walk, found, chosen)


def choice_of_blocks(walk: Walk, chooser: Chooser, x: Tensor, heads: int) -> None:
    """The best score in each block of keys, and the best blocks, for each head of keys.

    A device has the heads of its keys; the indexer's own keys, one head of them, are everywhere.
    """
    n, size, hidden = walk.tokens, chooser.size, walk.shape.hidden
    queries = walk.linear("index_q", x, hidden, heads * size)
    keys = walk.linear("index_k", x, hidden, size)
    normed = walk.norm("index_q_norm", queries, rows=n * heads, features=size, split=False)
    walk.norm("index_k_norm", keys, features=size)
    index_keys(walk, size, heads, chooser.rotated)
    fetches, scores, blocks, chosen = [], 0, 0, 0
    for group in walk.groups:
        fetches.append(Fetch(Tensor(0), group.batch * (group.past + group.new) * size, group.new))
        for seen in seen_by(group, walk.options.causal):
            whole = up(Fraction(seen, chooser.block))
            scores += group.batch * heads * seen
            blocks += group.batch * heads * whole
            chosen += group.batch * heads * min(whole, chooser.top)
    found = Tensor(blocks)
    walk.emit(
        "index_qk",
        matmul=2 * scores * size,
        vector=scores,
        reads=[Read(normed, n * heads * size)],
        fetches=fetches,
        writes=[found],
    )
    best(walk, found, chosen)


def _absorbed(
    walk: Walk, layer: Layer, sizes: Latent, heads: int, queries: Tensor, latents: Tensor
) -> Tensor:
    """Scores against the latents themselves, of which the values are a part."""
    append(walk, layer, sizes.rank + sizes.rotated)
    queries = per_head(walk, "attn_kv_b", "attn_kv_b", heads, sizes.plain, sizes.rank)
    shape = Core(
        heads=heads, key_heads=1, key=sizes.rank + sizes.rotated, value=sizes.rank, in_keys=True
    )
    core(walk, layer, shape, queries)
    return per_head(walk, "attn_kv_b", "attn_kv_b", heads, sizes.rank, sizes.value)


def _decompressed(
    walk: Walk, layer: Layer, sizes: Latent, heads: int, queries: Tensor, latents: Tensor
) -> Tensor:
    """Keys and values of every head, made once and cached."""
    key = sizes.plain + sizes.rotated
    walk.linear("attn_kv_b", latents, sizes.rank, heads * (sizes.plain + sizes.value))
    append(walk, layer, heads * (key + sizes.value))
    shape = Core(heads=heads, key_heads=heads, key=key, value=sizes.value)
    return core(walk, layer, shape, queries)


def _expanded(
    walk: Walk, layer: Layer, sizes: Latent, heads: int, queries: Tensor, latents: Tensor
) -> Tensor:
    """Keys and values of every head from all latents that are attended, in this pass."""
    policy = walk.options.policy
    append(walk, layer, sizes.rank + sizes.rotated)
    fetches, tokens = [], 0
    for group in walk.groups:
        keys, _ = attended(walk, layer, group)
        tokens += group.batch * keys
        read = group.batch * paged(policy, keys) * (sizes.rank + sizes.rotated)
        fetches.append(Fetch(Tensor(0), read, group.new))
    wide = heads * (sizes.plain + sizes.value)
    weights = {"attn_kv_b": wide * sizes.rank}
    walk.hold(weights)
    walk.emit(
        "attn_kv_b",
        matmul=2 * tokens * wide * sizes.rank,
        weights=weights,
        fetches=fetches,
        writes=[Tensor(tokens * (wide + sizes.rotated))],
    )
    shape = Core(
        heads=heads,
        key_heads=heads,
        key=sizes.plain,
        value=sizes.value,
        shared=sizes.rotated,
        cached=False,
    )
    return core(walk, layer, shape, queries)
