"""Heads that draft for a target model: EAGLE, EAGLE-3 and Medusa, whose configs say other types.

They are drafts (`lifesym.serving.speculate`), and own what is not the target's.
Sources: EAGLE, arXiv 2401.15077, section 4, and EAGLE-3, 2503.01840, section 3 (code:
SafeAILab/EAGLE ``cnets1.py``, SpecForge ``llama3_eagle.py``); Medusa, 2401.10774, section 2.1, in
vLLM's layout (``models/medusa.py``).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lifesym import symbols as sym
from lifesym.blocks import Block, DecoderLayer, DraftLayer, Embed, Head, JoinedStates, ParallelHead
from lifesym.errors import SpecError
from lifesym.families.base import Config
from lifesym.families.decoder import once, sized
from lifesym.families.parts import RMS, TABLE, attention, layer, mlp
from lifesym.model import Model, Section

_STATES = 3
"""Layers of the target whose states an EAGLE-3 head reads: low, middle and high."""


def eagle(c: Config) -> Model:
    """EAGLE: embedding and state of a token are joined, a layer without a norm before it.

    Its output is the next state, to which the target's head is applied.
    """
    head = Head(hidden=sym.hidden, vocab=sym.vocab, tied=False, norm=None)
    joined = JoinedStates(inputs=2 * sym.hidden, hidden=sym.hidden, bias=c.bias)
    each = replace(_layer(c), mixer_norm=None)
    layers, end = _layers(each), once("head", head, shared=True, copies=0)
    sections = (_embedding(), once("joined", joined), layers, end)
    return _noted(sized(c, sections), "EAGLE draft head: embedding and LM head are")


def eagle3(c: Config) -> Model:
    """EAGLE-3: three states of the target become one, which the layer reads beside the embedding.

    The projection runs on the target's states alone: once a step, not for each drafted token.
    """
    wide = c.target_hidden_size not in (None, c.hidden_size)
    width = sym.target_hidden if wide else sym.hidden
    joined = JoinedStates(inputs=_STATES * width, hidden=sym.hidden)
    head = Head(hidden=sym.hidden, vocab=sym.draft_vocab, tied=False, norm=RMS)
    each = DraftLayer(layer=_layer(c, hidden=2 * sym.hidden, output=sym.hidden), norm=RMS)
    sections = (_embedding(), once(ONCE, joined), _layers(each), once("head", head))
    vocab = c.draft_vocab_size or c.vocab_size
    model = sized(c, sections, draft_vocab=vocab, target_hidden=c.target_hidden_size)
    return _noted(model, "EAGLE-3 draft head: the embedding is")


ONCE = "states"
"""The section that reads the target's states, once a step of speculation."""


def medusa(c: Config) -> Model:
    """Medusa: heads that read the target's last state, each for one token further."""
    head = ParallelHead(
        hidden=sym.hidden,
        vocab=sym.vocab if c.original_lm_head else sym.draft_vocab,
        layers=c.num_hidden_layers,
        bias=c.medusa_fc_bias,
        shared=c.original_lm_head,
    )
    model = sized(
        c,
        (Section(label="head", count=sym.draft_heads, block=head),),
        draft_heads=c.num_heads,
        draft_vocab=c.truncated_vocab_size or c.vocab_size,
    )
    return replace(model, notes=("Medusa heads: they draft for a target, all at once",))


def _embedding() -> Section:
    """The target's table, which the draft reads and does not own."""
    return once("embed", Embed(**TABLE), shared=True, copies=0)


def _layer(c: Config, **options: Any) -> DecoderLayer:
    """A layer of a Llama, its attention with these options."""
    return layer(attention(c, **options), mlp(c))


def _layers(each: Block) -> Section:
    return Section(label="layers", count=sym.layers, block=each)


def _noted(model: Model, shared: str) -> Model:
    return replace(model, notes=(f"{shared} the target's, and not counted here",))


ASSISTANTS = ("gemma4_assistant", "gemma4_unified_assistant")
"""Drafts whose config has a ``text_config`` around which they are built."""
_EAGLE3 = re.compile(r"(?i).*eagle-?3.*")
_EAGLE = re.compile(r"(?i).*eagle.*")
_MODULE = re.compile(r"(?i).*(_mtp|MTP|MTPModel|NextNModel|ForCausalLMNextN)|mtp|mlp_speculator")


def unwrapped(config: dict[str, Any]) -> dict[str, Any]:
    """A draft's own config where it is in a key of its own."""
    text = config.get("text_config")
    if config.get("model_type") in ASSISTANTS and isinstance(text, dict):
        rest = {key: value for key, value in config.items() if key != "text_config"}
        return {**text, "tie_word_embeddings": True, **rest}
    inner = config.get("transformer_layer_config")
    if not isinstance(inner, dict):
        return config
    outer = {key: value for key, value in config.items() if key != "transformer_layer_config"}
    kept = ("architectures", "draft_vocab_size", "target_hidden_size")
    return inner | {key: outer[key] for key in kept if outer.get(key) is not None}


def drafts_as(config: Mapping[str, Any], where: str) -> str:
    """Which draft heads a config is of; empty where it is of none.

    Raises:
        SpecError: heads of a kind, or of a model, that is not modelled.
    """
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    kind = str(config.get("model_type") or "")
    if kind == "medusa" or name == "MedusaModel":
        return "medusa"
    if "medusa_num_heads" in config:
        base = config.get("base_model_name_or_path")
        raise SpecError(
            f"{where}: Medusa heads of {base!r}: add its 'hidden_size' and 'vocab_size', and"
            " 'model_type': 'medusa'"
        )
    if _MODULE.fullmatch(kind) or _MODULE.fullmatch(name):
        raise SpecError(
            f"{where}: {name or kind!r} is a prediction module of another model: forecast that"
            " one, which drafts for itself (draft 'self')"
        )
    third = _EAGLE3.match(name) or _EAGLE3.match(kind) or "draft_vocab_size" in config
    if not (third or _EAGLE.match(name) or _EAGLE.match(kind)):
        return ""
    if kind != "llama" or "Gated" in name:
        raise SpecError(
            f"{where}: {name or kind!r} is an EAGLE draft head, of which those with a layer of a"
            " Llama are modelled ('model_type': 'llama')"
        )
    return "eagle3" if third else "eagle"
