"""Weight bytes of Llama-2-7B against the sizes of published GGUF files, to the metadata."""

from dataclasses import replace

import pytest
from sympy import Rational

import lifesym as ls
from lifesym.formats import load_format

PUBLISHED = {
    "gguf-q4_0": (3_825_807_040, 741_056),
    "gguf-q8_0": (7_161_089_728, 741_056),
    "q4_k_m": (4_081_004_224, 741_056),
    "gguf-f16": (13_478_104_576, 740_864),
}
"""File size and what of it is no tensor: the header, the vocabulary, the tensors' names, padding.

Q4_0, Q8_0 and Q4_K_M: files of the Hub repository TheBloke/Llama-2-7B-GGUF, as its file listing
gives them (Q4_0 also as Ollama's manifest of ``llama2`` does); F16: a file listing after a
conversion with an earlier llama.cpp, whose header is a little shorter.
"""


@pytest.mark.parametrize("name", PUBLISHED)
def test_weights_are_the_file_but_for_its_metadata(name: str) -> None:
    size, metadata = PUBLISHED[name]
    assert int(ls.load_model("llama-2-7b").weight_bytes(name)) == size - metadata
    assert metadata < 2e-4 * size


BITS = {"gguf-q4_0": "6.5625", "q4_k_m": "6.5625", "q5_k_m": "6.5625", "gguf-q8_0": "8.5"}
"""What the output matrix is stored in: q6_k, but for q8_0, which keeps its own."""


@pytest.mark.parametrize("name", BITS)
def test_a_tied_embedding_is_stored_as_the_output(name: str) -> None:
    mix, shared = load_format(name), 128256 * 2048
    plain = replace(mix, roles=(*mix.roles, ("tied_embedding", load_format("fp16"))))
    sizes = [ls.load_model("llama-3.2-1b").weight_bytes(weights) for weights in (mix, plain)]
    assert sizes[1] - sizes[0] == shared * (16 - Rational(BITS[name])) / 8
