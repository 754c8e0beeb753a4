"""Encoders against real model code, with their masked-LM heads and without."""

from random import Random
from typing import Any

import pytest

import lifesym as ls

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

FAMILIES = (
    *("bert", "roberta", "xlm-roberta", "albert", "distilbert"),
    *("camembert", "data2vec-text", "ernie"),
)


def config_of(family: str, rng: Random) -> dict[str, Any]:
    """A tiny encoder; DistilBERT spells its keys otherwise."""
    heads = rng.choice([1, 2, 4])
    config = {
        "model_type": family,
        "vocab_size": rng.randint(40, 90),
        "hidden_size": heads * rng.choice([4, 8]),
        "num_hidden_layers": rng.randint(1, 3),
        "num_attention_heads": heads,
        "intermediate_size": rng.randint(10, 50),
        "max_position_embeddings": 66,
        "type_vocab_size": rng.choice([1, 2]),
        "pad_token_id": 0,
        "tie_word_embeddings": rng.random() < 0.6,
    }
    if family == "albert":
        config["embedding_size"] = rng.choice([6, 12])
        config["num_hidden_groups"] = rng.randint(1, config["num_hidden_layers"])
        config["inner_group_num"] = rng.randint(1, 2)
    if family != "distilbert":
        return config
    names = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
    }
    config.pop("type_vocab_size")
    return {names.get(key, key): value for key, value in config.items()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_encoders_equal_the_real_code(family: str, bare: bool, seed: int) -> None:
    config = config_of(family, Random(f"{family} {seed}"))
    settings = {key: value for key, value in config.items() if key != "model_type"}
    parsed = transformers.AutoConfig.for_model(family, **settings)
    auto = transformers.AutoModel if bare else transformers.AutoModelForMaskedLM
    real = auto.from_config(parsed, attn_implementation="eager").eval()
    model = ls.Model.from_hf(config).encoder(bare=bare)
    assert int(model.parameters) == real.num_parameters(), config
    for batch, new in ((1, 9), (3, 25), (2, 1)):
        ids = torch.randint(1, config["vocab_size"], (batch, new))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            real(input_ids=ids)
        trace = model.forward(batch, new, logits="none" if bare else "all")
        assert int(trace.cost().matmul_flops) == counter.get_total_flops(), config
