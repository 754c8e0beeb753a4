"""Counts of real recurrent and hybrid models, as stored in ``tests/data/recurrent.json``.

``python tests/oracle/recurrent.py`` counts all configs of that file anew and writes it.
"""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

FILE = Path(__file__).parents[1] / "data" / "recurrent.json"
KEYS = {"cache", "past_key_values", "cache_params", "state"}

Json = dict[str, Any]


def passes(config: Json) -> list[tuple[str, int, int, int, str]]:
    """Phase, batch, new tokens, past tokens, logits: around the chunk's length and the kernel's.

    Batched decode steps are left out for RWKV, whose code in transformers 5.23 broadcasts the
    last tokens of the batch against each other and computes every sequence batch times.
    """
    chunk = config.get("chunk_size", config.get("block_size", 64))
    prefill = [(1, 5), (2, 8), (1, 16), (3, 37), (1, 2), (1, 64), (2, 65), (1, chunk)]
    prefill += [(1, 2 * chunk + 1), (1, 3), (1, 1)]
    decode = [(1, 7), (1, 20), (1, 70)] if config["model_type"] == "rwkv" else []
    decode = decode or [(1, 7), (2, 20), (3, 70)]
    shapes = [("prefill", batch, new, 0) for batch, new in dict.fromkeys(prefill)]
    shapes += [("decode", batch, 1, past) for batch, past in decode]
    shapes += [("chunked_prefill", 2, 6, 9), ("chunked_prefill", 1, 40, 30)]
    return [
        (phase, batch, new, past, "all" if phase == "prefill" and new % 2 else "last")
        for phase, batch, new, past in shapes
    ]


def build(config: Json, dtype: torch.dtype) -> Any:
    """The real model with random weights."""
    parsed = AutoConfig.for_model(**config)
    parsed._experts_implementation = "eager"  # the grouped kernel is not counted
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(parsed, attn_implementation="eager")
    return model.to(dtype).eval()


def filled(model: Any, batch: int, tokens: int) -> Json:
    """The cache after so many tokens, as the keyword that takes it."""
    out = model(input_ids=tokens_of(model, batch, tokens), use_cache=True)
    return {key: out[key] for key in KEYS & set(out)}


def tokens_of(model: Any, batch: int, count: int) -> torch.Tensor:
    """Random tokens."""
    return torch.randint(0, model.config.vocab_size, (batch, count))


def flops(model: Any, shape: tuple[str, int, int, int, str]) -> Json:
    """One pass."""
    phase, batch, new, past, logits = shape
    cache = filled(model, batch, past) if past else {}
    with FlopCounterMode(display=False) as counter:
        keep = 1 if logits == "last" else 0
        ids = tokens_of(model, batch, new)
        model(input_ids=ids, use_cache=True, logits_to_keep=keep, **cache)
    row = {"kind": "flops", "phase": phase, "batch": batch, "seq": new, "past": past}
    return row | {"logits": logits, "flops_total": counter.get_total_flops()}


def state(config: Json) -> Json:
    """Bytes that one sequence keeps in a bf16 model: recent inputs, states, keys and values."""
    model = build(config, torch.bfloat16)
    recent = kept = cached = 0
    tokens = 9
    for cache in filled(model, 1, tokens).values():
        if isinstance(cache, list):
            recent, kept = _bytes(cache[:2]), _bytes(cache[2:])
            continue
        recent += sum(_bytes(layer) for layer in getattr(cache, "linear_cache", ()))
        for layer in cache.layers:
            recent += _bytes(getattr(layer, "conv_states", {}).values())
            kept += _bytes(getattr(layer, "recurrent_states", {}).values())
            cached += _bytes((getattr(layer, "keys", None), getattr(layer, "values", None)))
    return {
        "kind": "state",
        "recent_bytes": recent,
        "state_bytes": kept,
        "kv_bytes_per_token": cached // tokens,
    }


def _bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if t is not None)


@torch.no_grad()
def records(config: Json) -> list[Json]:
    """Everything that is counted of a config."""
    model = build(config, torch.float32)
    unique = {id(p): p.numel() for p in model.parameters()}
    rows = [{"kind": "params", "params_unique": sum(unique.values())}, state(config)]
    return rows + [flops(model, shape) for shape in passes(config)]


def main() -> None:
    """Count and write."""
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    stored |= {"torch": torch.__version__, "transformers": transformers.__version__}
    stored["records"] = [
        {"model": name} | row
        for name, config in stored["configs"].items()
        for row in records(config)
    ]
    FILE.write_text(json.dumps(stored, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
