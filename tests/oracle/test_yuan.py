"""Yuan 2 and its mixture of experts, M32, against their arithmetic in torch.

Their code is in the files of their checkpoints. It is written here anew, after ``yuan_hf_model.py``
of IEITYuan/Yuan2-2B-hf and, for M32, ``models/yuan2_m32`` of a pull request to transformers, but
without rotations, and with several new tokens after a past, where the published code takes one.
"""

from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")

from counting import PASSES, Pass  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = pytest.mark.oracle

EXPERTS = {
    "moe_num_experts": 5,
    "moe_top_k": 2,
    "norm_topk_prob": True,
    "ffn_hidden_size": 11,
    "gated_linear_unit": True,
}
CONFIGS: list[dict[str, Any]] = [
    {"hidden_size": 24, "num_attention_heads": 4, "intermediate_size": 40},
    {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 9},
    {"hidden_size": 16, "num_attention_heads": 2, "attention_projection_size": 24}
    | {"moe_config": EXPERTS},
    {"hidden_size": 16, "num_attention_heads": 2}
    | {"moe_config": EXPERTS | {"moe_top_k": 1, "gated_linear_unit": False}},
]
SIZES = {"model_type": "yuan", "num_hidden_layers": 3, "vocab_size": 70}
State = list[Any]


class Norm(nn.Module):
    """RMSNorm."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Any) -> Any:
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Filter(nn.Module):
    """Two convolutions over two tokens, padded on both sides; the sum with the input, a norm."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(size, size // 2, (2, 1), padding=(1, 0))
        self.second = nn.Conv2d(size // 2, size, (2, 1), padding=(1, 0))
        self.norm = Norm(size)

    def forward(self, x: Any, last: Any) -> Any:
        seen = x if last is None else torch.cat([last, x], dim=1)
        inner = self.first(seen.transpose(1, 2).unsqueeze(-1))
        # of a past, the output of its first token and zeros is dropped; so is what is after the end
        inner = inner[:, :, 0 if last is None else 1 : -1]
        outer = self.second(inner)[:, :, 0 if last is None else 1 : -1]
        return self.norm(outer.squeeze(-1).transpose(1, 2) + x)


class MLP(nn.Module):
    """A gated MLP."""

    def __init__(self, c: dict[str, Any]) -> None:
        super().__init__()
        size, wide = c["hidden_size"], c["intermediate_size"]
        self.up, self.gate = (nn.Linear(size, wide, bias=False) for _ in range(2))
        self.down = nn.Linear(wide, size, bias=False)

    def forward(self, x: Any) -> Any:
        return self.down(self.gate(x) * nn.functional.silu(self.up(x)))


class Experts(nn.Module):
    """Each token's best experts, by scores that attend to each other."""

    def __init__(self, c: dict[str, Any]) -> None:
        super().__init__()
        size, chosen = c["hidden_size"], c["moe_config"]
        every, wide = chosen["moe_num_experts"], chosen["ffn_hidden_size"]
        self.active, self.gated = chosen["moe_top_k"], chosen["gated_linear_unit"]
        self.router = nn.ModuleList([nn.Linear(size, every, bias=False) for _ in range(3)])
        into = wide * (2 if self.gated else 1)
        self.into = nn.ModuleList([nn.Linear(size, into, bias=False) for _ in range(every)])
        self.out = nn.ModuleList([nn.Linear(wide, size, bias=False) for _ in range(every)])

    def forward(self, x: Any) -> Any:
        flat = x.flatten(0, 1)
        query, key, value = (each(flat).unsqueeze(-1) for each in self.router)
        scores = torch.matmul(torch.matmul(query, key.transpose(1, 2)).softmax(-1), value)
        weights, chosen = scores.squeeze(-1).softmax(-1).topk(self.active, dim=-1)
        total = torch.zeros_like(flat)
        for expert, (into, out) in enumerate(zip(self.into, self.out, strict=True)):
            rows, place = torch.where(chosen == expert)
            wide = into(flat[rows])
            if self.gated:
                gate, up = wide.chunk(2, dim=-1)
                wide = nn.functional.silu(gate) * up
            else:
                wide = nn.functional.silu(wide)
            total.index_add_(0, rows, out(wide) * weights[rows, place, None])
        return total.unflatten(0, x.shape[:2])


class Layer(nn.Module):
    """Filtered attention, and an MLP or experts."""

    def __init__(self, c: dict[str, Any]) -> None:
        super().__init__()
        size = c["hidden_size"]
        wide = c.get("attention_projection_size", size)
        self.heads = c["num_attention_heads"]
        self.filter = Filter(size)
        self.q, self.k, self.v = (nn.Linear(size, wide, bias=False) for _ in range(3))
        self.o = nn.Linear(wide, size, bias=False)
        self.feed = Experts(c) if "moe_config" in c else MLP(c)
        self.before, self.between = Norm(size), Norm(size)

    def split(self, x: Any) -> Any:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Any, state: State) -> Any:
        inputs = self.before(x)
        filtered = self.filter(inputs, state[2])
        keys, values = self.split(self.k(filtered)), self.split(self.v(inputs))
        if state[0] is not None:
            keys, values = (torch.cat(pair, 2) for pair in ((state[0], keys), (state[1], values)))
        last = torch.zeros_like(inputs[:, :1]) if state[2] is None else state[2]
        state[:] = [keys, values, torch.cat([last, inputs], dim=1)[:, -2:]]
        scores = torch.matmul(self.split(self.q(filtered)), keys.transpose(2, 3))
        new, seen = scores.shape[2:]
        later = torch.ones(new, seen, dtype=torch.bool).triu(seen - new + 1)
        mixed = torch.matmul(scores.masked_fill(later, -torch.inf).softmax(-1), values)
        x = x + self.o(mixed.transpose(1, 2).flatten(2))
        return x + self.feed(self.between(x))


class Model(nn.Module):
    """Embedding, layers, norm and a tied head."""

    def __init__(self, c: dict[str, Any]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = Norm(c["hidden_size"])

    def forward(self, ids: Any, states: list[State], logits: str) -> Any:
        x = self.embedding(ids)
        for layer, state in zip(self.layers, states, strict=True):
            x = layer(x, state)
        kept = {"all": slice(None), "last": slice(-1, None), "none": slice(0, 0)}[logits]
        return nn.functional.linear(self.norm(x)[:, kept], self.embedding.weight)

    def filled(self, batch: int, tokens: int) -> list[State]:
        """States after so many tokens."""
        states: list[State] = [[None, None, None] for _ in self.layers]
        if tokens:
            self(torch.zeros((batch, tokens), dtype=torch.long), states, "none")
        return states

    def flops(self, step: Pass) -> int:
        """Matrix FLOPs of a pass."""
        states = self.filled(step.batch, step.past)
        ids = torch.zeros((step.batch, step.new), dtype=torch.long)
        with FlopCounterMode(display=False) as counter:
            self(ids, states, step.logits)
        return counter.get_total_flops()


@pytest.mark.parametrize("sizes", CONFIGS)
def test_yuan_is_counted_as_it_computes(sizes: dict[str, Any]) -> None:
    config = SIZES | sizes
    real = Model(config).requires_grad_(False)
    model = ls.Model.from_hf(config, strict=True)
    assert int(model.parameters) == sum(p.numel() for p in real.parameters())
    for step in PASSES:
        trace = model.forward(step.batch, step.new, step.past, logits=step.logits)
        assert int(trace.cost().matmul_flops) == real.flops(step), step
    for tokens in (1, 4, 30):
        held = sum(t.numel() * t.element_size() for s in real.filled(1, tokens) for t in s)
        assert int(model.kv_bytes(tokens, "fp32")) == held


@pytest.mark.parametrize("sizes", CONFIGS)
def test_passes_of_several_tokens_give_what_single_ones_do(sizes: dict[str, Any]) -> None:
    """So the states are those that the arithmetic needs."""
    torch.manual_seed(0)
    real = Model(SIZES | sizes).requires_grad_(False).double()
    ids = torch.randint(0, 70, (2, 7))
    single, several = real.filled(2, 0), real.filled(2, 0)
    steps = [real(ids[:, i : i + 1], single, "all") for i in range(7)]
    parts = [real(ids[:, :3], several, "all"), real(ids[:, 3:], several, "all")]
    assert torch.allclose(torch.cat(steps, dim=1), torch.cat(parts, dim=1))
