"""Weight bytes of Llama-2-7B against the sizes of published GGUF files, to the metadata."""

import pytest

import lifesym as ls

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
