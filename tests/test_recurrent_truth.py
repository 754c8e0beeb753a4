"""Recurrent and hybrid families against counts of their real code.

`tests/data/recurrent.json` holds tiny models of every family, counted by `oracle/recurrent.py`:
parameters, bytes that a sequence keeps, and matrix FLOPs around the scan's chunk length.

A prompt of one token is a step of the recurrence here; that code scans a whole chunk for it, as for
several tokens, which would make the cost of every decode step depend on whether there is a past.
MiniMax's code is the other way round: after a past it takes several tokens one by one, where blocks
are counted here.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sympy import Expr, Integer, S

import lifesym as ls
from lifesym import symbols as sym
from lifesym.operators.recurrent import several

TRUTH = json.loads((Path(__file__).parent / "data" / "recurrent.json").read_text(encoding="utf-8"))


def in_blocks(model: ls.Model, batch: int, new: int) -> int:
    """The products of scores inside the blocks, twice a score and channel, of lightning layers."""
    values = model.values
    length, width = (int(values[s]) for s in (sym.scan_chunk, sym.head_dim))
    layers = int(
        (sym.layers - sym.full_layers).xreplace({s: Integer(v) for s, v in values.items()})
    )
    scores = sum(min(length, new - first) ** 2 for first in range(0, new, length))
    return 4 * batch * layers * int(values[sym.heads]) * width * scores


@pytest.mark.parametrize("name", TRUTH["configs"])
def test_counts_equal_the_real_code(name: str) -> None:
    model = ls.Model.from_hf(TRUTH["configs"][name], strict=True)

    @cache
    def flops(logits: str) -> Expr:
        trace = model.forward(sym.batch, sym.new, sym.past, logits=logits, mla="expand")
        return trace.cost().matmul_flops

    def check(row: dict[str, Any]) -> None:
        if row["kind"] == "params":
            assert int(model.parameters) == row["params_unique"]
        elif row["kind"] == "state":
            assert int(model.kv_bytes(0)) == row["recent_bytes"] + row["state_bytes"]
            assert int(model.kv_bytes_per_token()) == row["kv_bytes_per_token"]
        else:
            shape = {sym.batch: row["batch"], sym.new: row["seq"], sym.past: row["past"]}
            values = {symbol: Integer(value) for symbol, value in shape.items()}
            if (row["seq"], row["past"]) == (1, 0):
                values = {several(sym.new): S.One} | values
            counted = int(flops(row["logits"]).xreplace(values))
            if model.family == "minimax" and row["past"] and row["seq"] > 1:
                counted -= in_blocks(model, row["batch"], row["seq"])
            assert counted == row["flops_total"], row

    rows = [row for row in TRUTH["records"] if row["model"] == name]
    assert len(rows) > 10
    for row in rows:
        check(row)
