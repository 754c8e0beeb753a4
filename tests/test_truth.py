"""Truth: counts of real model code, every one equal to the formula's integer.

`tests/data/truth.json` was counted by running transformers' own classes (see its ``source``). The
formula is derived once for each model and choice of logits, as one expression in batch, new and
past tokens, and evaluated at every record.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sympy import Expr, Integer, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.families import FAMILIES

TRUTH = json.loads((Path(__file__).parent / "data" / "truth.json").read_text(encoding="utf-8"))
CONFIGS: dict[str, dict[str, Any]] = TRUTH["configs"]
RECORDS: list[dict[str, Any]] = TRUTH["records"]

LATER: set[str] = set()
"""Families in the file that are not modelled yet."""

MODELS = [name for name, config in CONFIGS.items() if config["model_type"] not in LATER]
SPLIT_UNRELIABLE = {"GPT-2"}
"""Models whose totals were counted, but not which operator the FLOPs belong to."""

CONVENTIONS = {
    "flops_total": "expand",
    "derived_flops_total_if_cache_decompressed": "decompressed",
    "derived_flops_total_if_absorbed": "absorbed",
}
"""The three ways of latent attention, which are one for every other model."""

BARE = {
    "BERT-base (base model, no LM head)": {"architectures": ["BertModel"]},
    "ALBERT-base-v2 (base model, no LM head)": {"architectures": ["AlbertModel"]},
}
"""Configs that the file gives twice: which of the two models is the caller's choice."""

Difference = tuple[str, Any, Any]


def values_of(record: dict[str, Any]) -> dict[Symbol, Expr]:
    """The workload of a record."""
    return {
        sym.batch: Integer(record["batch"]),
        sym.new: Integer(record["seq"]),
        sym.past: Integer(record["past"]),
    }


def compare(name: str) -> tuple[int, int, list[Difference]]:
    """Records and numbers compared for a model, and those that differ: what, formula, truth."""
    model = ls.Model.from_hf(CONFIGS[name] | BARE.get(name, {}))
    records = [record for record in RECORDS if record.get("model") == name]
    pairs = [pair for record in records for pair in _pairs(model, record, _derive(model))]
    return len(records), len(pairs), [pair for pair in pairs if pair[1] != pair[2]]


def _derive(model: ls.Model) -> Any:
    @cache
    def derive(logits: str, mla: str) -> tuple[Expr, dict[str, Expr]]:
        trace = model.forward(sym.batch, sym.new, sym.past, logits=logits, mla=mla)
        return trace.cost().matmul_flops, trace.by_name()

    return derive


def _pairs(model: ls.Model, record: dict[str, Any], derive: Any) -> Iterator[Difference]:
    kind = record["kind"]
    if kind == "params":
        yield "parameters", int(model.parameters), record["params_unique"]
    elif kind == "kv_cache":
        stored = {"bfloat16": "bf16", "float32": "fp32"}[record["dtype"]]
        yield "KV a token", int(model.kv_bytes_per_token(stored)), record["bytes_per_token"]
        for tokens, counted in record.get("bytes_at_len", {}).items():
            yield f"KV of {tokens}", int(model.kv_bytes(int(tokens), stored)), counted
        if "state_bytes_total_per_sequence" in record:
            yield "state", int(model.kv_bytes(1, stored)), record["state_bytes_total_per_sequence"]
        if "decompressed_bytes_per_token_analytic" in record:
            decompressed = int(model.kv_bytes_per_token(stored, mla="decompressed"))
            yield "decompressed KV", decompressed, record["decompressed_bytes_per_token_analytic"]
    elif kind == "mla_absorbed_core":
        _, by_name = derive("last", "absorbed")
        core = sum(by_name[name] for name in ("attn_kv_b", "attn_qk", "attn_av"))
        yield "absorbed core", int(core.xreplace(values_of(record))), record["flops_all_layers"]
    else:
        where = f"{record['phase']} {record['batch']}x{record['seq']}+{record['past']}"
        for key, mla in CONVENTIONS.items():
            if key in record:
                total, _ = derive(record["logits"], mla)
                yield f"{where} {key}", int(total.xreplace(values_of(record))), record[key]
        if record["model"] not in SPLIT_UNRELIABLE:
            _, by_name = derive(record["logits"], "expand")
            split = {key: int(e.xreplace(values_of(record))) for key, e in by_name.items()}
            yield f"{where} by operator", split, record["by_class"]


compare_once = cache(compare)


@pytest.mark.parametrize("name", MODELS)
def test_every_count_of_the_real_code(name: str) -> None:
    records, numbers, different = compare_once(name)
    assert different == []
    assert 0 < records <= numbers


def test_no_record_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    results = [compare_once(name) for name in MODELS]
    records, numbers = sum(r[0] for r in results), sum(r[1] for r in results)
    assert records == sum(record.get("model") in MODELS for record in RECORDS)
    differ = sum(len(result[2]) for result in results)
    with capsys.disabled():
        print(f"\ntruth: {numbers} numbers of {records} records compared, {differ} differ")
    assert differ == 0


def test_what_is_left_for_later_is_not_there_yet() -> None:
    assert {config["model_type"] for config in CONFIGS.values()} >= LATER
    assert not LATER & set(FAMILIES), "empty LATER: these families exist"
