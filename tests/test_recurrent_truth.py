"""Recurrent and hybrid families against counts of their real code.

`tests/data/recurrent.json` holds tiny models of every family, counted by `oracle/recurrent.py`:
parameters, bytes that a sequence keeps, and matrix FLOPs around the scan's chunk length.

transformers convolves more positions than are needed where it continues a sequence with several
tokens or starts one shorter than the kernel. `CausalConv` leaves them out and says so; here they
are added back, so that the counts are equal. A prompt of one token, which that code pads to a
whole chunk, is left out.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sympy import Expr, Integer

import lifesym as ls
from lifesym import symbols as sym
from lifesym.operators import CausalConv

TRUTH = json.loads((Path(__file__).parent / "data" / "recurrent.json").read_text(encoding="utf-8"))


def dropped(model: ls.Model, row: dict[str, Any]) -> int:
    """FLOPs of positions that the code convolves and drops."""
    batch, new, past = row["batch"], row["seq"], row["past"]
    total = 0
    for entry in model.forward(batch, new, past).entries:
        if isinstance(conv := entry.operator, CausalConv) and new > 1:
            extra = conv.kernel if past else max(0, conv.kernel - new)
            total += 2 * batch * entry.count * conv.channels * conv.kernel * extra
    return int(total)


@pytest.mark.parametrize("name", TRUTH["configs"])
def test_counts_equal_the_real_code(name: str) -> None:
    model = ls.Model.from_hf(TRUTH["configs"][name], strict=True)

    @cache
    def flops(logits: str) -> Expr:
        trace = model.forward(sym.batch, sym.new, sym.past, logits=logits)
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
            counted = int(flops(row["logits"]).xreplace(values)) + dropped(model, row)
            assert counted == row["flops_total"], row

    rows = [row for row in TRUTH["records"] if row["model"] == name]
    checked = [row for row in rows if (row.get("seq"), row.get("past")) != (1, 0)]
    assert len(checked) > 10
    for row in checked:
        check(row)
