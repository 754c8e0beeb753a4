"""Published cases, from the command line alone."""

import json
from typing import Any

import pytest
from command_line import run_here as run

GIB = 2**30


def answer(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_moe_lens_two_memories() -> None:
    """MoE-Lens (arXiv 2504.09345): Mixtral on an A40, weights behind PCIe at 19.5 GB/s, 70 GB of
    cache in the host's memory at 150 GB/s, 98 prompt and 32 generated tokens.

    The cache holds 70 GB / 131,072 bytes = 534,058 tokens, of which a sequence has 98 + 31/2 on
    average: 4,705 of them. Eq. 4 gives 978 tokens a second.
    """
    slots = round(70e9 / 131072 / (98 + 31 / 2))
    assert slots == 4705
    found = answer(
        *("forecast", "mixtral-8x7b", "--on", "a40", "--prompt", 98, "--generate", 32),
        *("--slots", slots, "--overlap", "pass", "--fusion", "full"),
        *("--memory", "name=pcie,bandwidth=19.5e9,weights=1,experts=1"),
        *("--memory", "name=ddr,bandwidth=150e9,kv=1"),
    )
    assert found["continuous"]["tps"] == pytest.approx(983, abs=0.5)
    assert found["continuous"]["tps"] == pytest.approx(978, rel=6e-3)
    assert found["memories"]["pcie"]["bytes"] == 2 * 46_702_792_704  # the parameters in bf16


def test_tokens_that_a_cache_holds() -> None:
    """llm-d-benchmark issue 345: llama-3.3-70b's cache of 53.20 GiB has 174,336 tokens, in blocks.

    A token is 80 layers x 8 heads x 128 x 2 (keys and values) x 2 bytes = 327,680.
    """
    held = round(53.20 * GIB)
    call = ("fit", "llama-3.3-70b", "--on", "h100", "--prompt", 512, "--generate", 512)
    found = answer(*call, "--cache-memory", held)
    assert found["cached_tokens"] == held // 327_680 == 174_325


def test_a_share_of_the_memory_and_blocks_on_two_cards() -> None:
    """qwen2.5-14b in bf16 on two RTX 4090 with 0.9 of 24 GiB and blocks of 16 tokens, by hand.

    A card has half of every layer, head and embedding, and whole norms; a token's cache is 48
    layers x 4 of 8 heads x 128 x 2 x 2 bytes = 98,304 bytes. No link is timed, and none is needed.
    """
    found = answer(
        *("fit", "qwen2.5-14b", "--on", "rtx-4090", "--prompt", 512, "--generate", 512),
        *("--tensor-parallel", 2, "--memory-share", 0.9, "--block", 16),
    )
    parts = found["parts_bytes"]
    assert parts["granted"] == pytest.approx(0.9 * 24 * GIB, abs=1)
    room = sum(parts.values())
    assert found["room_for_caches"] == pytest.approx(room, abs=1)
    assert found["blocks"] == room // (16 * 98_304)
    assert found["sequences"] == room // (64 * 16 * 98_304)
    halves = 14_770_033_664 - 48 * (2 * 5120) - 5120  # all parameters but the norms' weights
    assert -parts["weights"] == 2 * (halves // 2 + 48 * 2 * 5120 + 5120)
