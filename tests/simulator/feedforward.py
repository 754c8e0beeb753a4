"""Feed-forward blocks: an MLP, or routed and shared experts."""

from fractions import Fraction

from simulator.kernels import Number, Read, Tensor
from simulator.options import Options, RefusedError
from simulator.shapes import OPERATIONS, Experts
from simulator.walk import Target, Walk


def mlp(walk: Walk, x: Tensor) -> Tensor:
    """Up (and gate), activation, down."""
    s, hidden = walk.shape, walk.shape.hidden
    wide = walk.part(s.wide, "the MLP")
    if s.joint_gate_up:
        outputs = {"mlp_gate_up_fused": 2 * wide}
    else:
        outputs = {"mlp_gate": wide} if s.gated else {}
        outputs["mlp_up"] = wide
    made = {name: walk.linear(name, x, hidden, n, bias=s.mlp_bias) for name, n in outputs.items()}
    walk.adapted([Target(name, x, hidden, outputs[name], made[name]) for name in made])
    sources = list(made.values())
    middle = walk.activation("mlp_act", sources, walk.tokens * wide)
    result = walk.linear("mlp_down", middle, wide, hidden, bias=s.mlp_bias)
    walk.all_reduce("mlp_down", walk.tokens * hidden)
    walk.adapted([Target("mlp_down", middle, wide, hidden, result)])
    return walk.after("mlp_down", result)


def chosen(options: Options, e: Experts, tokens: int) -> Fraction:
    """The expected number of distinct experts that so many tokens choose."""
    if options.routing == "all":
        return Fraction(e.count)
    if options.routing == "active":
        return Fraction(e.chosen)
    chances = options.probabilities or (Fraction(e.chosen, e.count),) * e.count
    return sum((1 - (1 - p) ** tokens for p in chances), Fraction(0))


def experts(walk: Walk, e: Experts, x: Tensor) -> Tensor:
    """Router, the experts that tokens choose, their weighted sum, and the shared experts."""
    s, o, hidden, tokens = walk.shape, walk.options, walk.shape.hidden, walk.tokens
    devices = o.expert_devices
    if e.count % devices:
        raise RefusedError(f"{e.count} experts over {devices} devices")
    wide = walk.part(e.wide, "the experts")
    scores = walk.linear("moe_router", x, hidden, e.count, bias=e.router_bias, role="router")
    ranked = tokens * e.count
    each = OPERATIONS["sigmoid"] if e.sigmoid else 5
    walk.emit("moe_topk", vector=(each + 1) * ranked, reads=[Read(scores, ranked)])
    moved = Fraction(tokens * e.chosen * hidden * (devices - 1), devices)
    if devices > 1:
        walk.exchange("moe_dispatch", moved, devices - 1)
    matrices = 3 if s.gated else 2
    biases = (matrices - 1) * wide + hidden if e.bias else 0

    def weights(count: Fraction) -> dict[str, Number]:
        found: dict[str, Number] = {"experts": count * matrices * hidden * wide}
        return found | ({"vector": count * biases} if e.bias else {})

    walk.hold(weights(Fraction(e.count, devices)))
    copies = tokens * e.chosen * o.imbalance
    between = (matrices - 1) * wide
    operations = (OPERATIONS[s.activation] + matrices - 2) * wide + biases + 2 * hidden
    made = Tensor(tokens * hidden)
    walk.emit(
        "moe_experts",
        matmul=2 * copies * matrices * hidden * wide,
        vector=copies * operations,
        weights=weights(chosen(o, e, tokens * devices) / devices),
        aside=copies * (hidden + between + wide + hidden),
        writes=[Tensor(copies * (between + wide + hidden)), made],
        launches=matrices + 2,
    )
    walk.all_reduce("moe_experts", tokens * hidden)
    if devices > 1:
        walk.exchange("moe_combine", moved, devices - 1)
    result = walk.after("moe_experts", made)
    return result if e.shared is None else _shared(walk, e, x, result)


def _shared(walk: Walk, e: Experts, x: Tensor, routed: Tensor) -> Tensor:
    """An MLP of every token, a gate of its sum in some, and the sum with the routed experts."""
    hidden, tokens, name = walk.shape.hidden, walk.tokens, "moe_shared"
    wide = walk.part(e.shared or 0, "the shared experts")
    sources = [walk.linear(name, x, hidden, wide) for _ in range(2 if walk.shape.gated else 1)]
    middle = walk.activation(name, sources, tokens * wide)
    result = walk.linear(name, middle, wide, hidden)
    walk.all_reduce(name, tokens * hidden)
    if e.shared_gate:
        gate = walk.linear(name, x, hidden, 1)
        walk.map(name, [gate], tokens, OPERATIONS["sigmoid"])
    return walk.map(name, [result, routed], tokens * hidden, 1)
