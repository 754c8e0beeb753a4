"""LIFE's tables beside lifesym's: every row of ``specs/published/life.csv``, computed.

LIFE: arXiv 2508.00904v1. ``python gallery/life.py`` writes the tables of docs/life.md anew.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from base import GALLERY, SAID, Number
from sympy import Add, Expr, Max, Symbol

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cost import Cost
from lifesym.specs import root
from lifesym.trace import Logits, Trace
from lifesym.transforms import Lora, Spills

TERA, GIGA = 10**12, 10**9
GIB, MIB = 2**30, 2**20
LINEAR = ("attn_q", "attn_k", "attn_v", "attn_o", "mlp_gate", "mlp_up", "mlp_down")
PRODUCTS = {"GEMM": (*LINEAR, "lm_head"), "BMM": ("attn_qk", "attn_av")}
ATTENTION = (*LINEAR[:4], "attn_rope", "kv_append", "attn_core", "attn_k_spread", "attn_v_spread")
"""What LIFE's table 11 is of: attention with its projections."""
AFTER = 1999
"""Tokens in the cache between the first decode step and the 2000th."""


@dataclass(frozen=True)
class Row:
    """A figure of LIFE's; fields are columns of the table."""

    table: str
    quantity: str
    case: str
    tokens: int
    weights: str
    kv: str
    unit: str
    published: str
    measured: str
    note: str

    def forecast(self, engine: str, **options: Any) -> ls.Forecast:
        """A prompt of so many tokens and two more, in LIFE's formats; its tables stay in bf16."""
        name, _, device = self.case.partition(", life-")
        half = "fp16" if self.weights == "fp16" else "bf16"
        formats = {"weights": self.weights, "activations": half, "kv": self.kv}
        spec = root() / "published" / f"life-{device}.toml" if device else "a100"
        model = self.model(name)
        held = model.forward().weight_roles()
        tables = {role: half for role in ("embedding", "tied_embedding") if role in held}
        given: dict[str, Any] = {"engine": engine, "roles": tables, **formats}
        if self.case.endswith("fused"):  # scores spilled by a prefill would be 16 GiB alone
            given |= {"fusion": "full", "plan": [Spills()]}
        return ls.forecast(model, spec, self.tokens, 2, **given | options)

    def model(self, name: str) -> ls.Model:
        """The model; one layer of Llama-2-7B with other heads of keys; without its limit."""
        if not name.endswith("of keys"):
            return ls.load_model(name.partition(",")[0]).limited(10**5)
        return ls.Model.from_hf(
            {
                "model_type": "llama",
                "vocab_size": 32000,
                "hidden_size": 4096,
                "intermediate_size": 11008,
                "num_hidden_layers": 1,
                "num_attention_heads": 32,
                "num_key_value_heads": int(name.partition(" ")[0]),
            }
        ).limited(10**5)


def rows(table: int | None = None) -> list[Row]:
    """Those of a table, or all."""
    text = (root() / "published" / "life.csv").read_text(encoding="utf-8").splitlines()
    found = [Row(**{**each, "tokens": int(each["tokens"])}) for each in csv.DictReader(text)]
    return [row for row in found if table is None or row.table == str(table)]


# what lifesym gives for each, under an engine


def prefill(row: Row, engine: str, logits: Logits = "all", **options: Any) -> Trace:
    return row.forecast(engine, **options).trace(row.tokens, 0, logits)


def step(row: Row, engine: str, after: int = 0, **options: Any) -> Cost:
    f = row.forecast(engine, **options)
    return f.trace(1, row.tokens + after).cost_at(f.precision)


def operations(row: Row, engine: str) -> Any:
    return prefill(row, engine).cost().flops / TERA


def share(row: Row, engine: str) -> Any:
    trace = prefill(row, engine)
    flops = trace.by_name()
    of = sum(flops.get(name, 0) for name in PRODUCTS[row.quantity.split()[-1]])
    return 100 * of / trace.cost().flops


def cache(row: Row, engine: str) -> Any:
    f = row.forecast(engine)
    return f.model.kv_bytes_per_token(f.precision.kv) * row.tokens / GIB


def moved(row: Row, engine: str, **options: Any) -> Any:
    f = row.forecast(engine, **options)
    cost = f.trace(row.tokens, 0, "all").cost_at(f.precision)
    read = cost.weight_bytes + cost.activation_read_bytes + cost.kv_read_bytes
    written = cost.activation_write_bytes + cost.kv_write_bytes
    return (read if row.quantity.startswith("read") else written) / GIB


def growth(row: Row, engine: str) -> Any:
    return step(row, engine, AFTER).bytes / step(row, engine).bytes


def attention(row: Row, engine: str) -> Any:
    f = row.forecast(engine, fusion="flash")
    kept = f.trace(1, row.tokens).filter(lambda entry: entry.name in ATTENTION)
    return kept.cost_at(f.precision).bytes / MIB


def merged(row: Row, engine: str) -> Any:
    lora = Lora(rank=128, targets=LINEAR, merged="inline")
    with_, without = (prefill(row, engine, **more).cost() for more in ({"lora": lora}, {}))
    return (with_.flops - without.flops) / GIGA


def ttft(row: Row, engine: str) -> Any:
    """With the logits of all tokens, which are in LIFE's operations."""
    f = row.forecast(engine, overlap="pass")
    return Add(*(term.time for term in f.timed(f.trace(row.tokens, 0, "all"))))


def efficiency(row: Row, engine: str) -> Any:
    """The forecast at the device's peak over what was measured."""
    (forecast,) = (other for other in rows(6) if other.measured)
    peak = row.forecast(engine).hardware.compute_efficiency
    return 100 * peak * ttft(row, engine) / float(forecast.measured)


def tps(row: Row, engine: str) -> Any:
    return row.forecast(engine, overlap="pass").tps.expr


FIGURES: dict[str, Callable[[Row, str], Any]] = {
    "operations of a prefill": operations,
    "share of GEMM": share,
    "share of BMM": share,
    "cache": cache,
    "read by a prefill": moved,
    "written by a prefill": moved,
    "TTFT": ttft,
    "efficiency": efficiency,
    "operations of a decode step": lambda row, engine: step(row, engine).flops / GIGA,
    "bytes of a decode step": lambda row, engine: step(row, engine).bytes / GIB,
    "dispatches of a decode step": lambda row, engine: step(row, engine).dispatches,
    "growth over 2000 tokens": growth,
    "tokens a second": tps,
    "bytes of fused attention": attention,
    "merging LoRA in line": merged,
}


def figure(row: Row, engine: str = "life") -> float:
    """What lifesym gives for a row, in the row's unit."""
    return float(FIGURES[row.quantity](row, engine).doit())


# tables of the page


def digits(row: Row) -> int:
    """Decimals that LIFE prints."""
    return len(row.published.partition(".")[2])


def relative(found: float, row: Row) -> float:
    return found / float(row.published) - 1


def difference(found: float, row: Row) -> str:
    """In per cent of LIFE's figure, or that it rounds to what LIFE prints."""
    same = abs(found - float(row.published)) <= 10 ** -digits(row) / 2
    return "as printed" if same else f"{100 * relative(found, row):+.2f} %"


def shown(found: float, row: Row) -> str:
    """With a decimal more than LIFE prints, where there can be one."""
    return f"{found:.{digits(row) + (row.unit != 'calls')}f}"


def name(row: Row) -> str:
    case = row.case.replace("llama-2-7b", "").strip(", ")
    formats = "" if row.weights == row.kv == "bf16" else f"{row.weights}, cache {row.kv}"
    parts = (row.quantity, case, f"{row.tokens} tokens", formats)
    return ", ".join(part for part in parts if part) + f" ({row.unit})"


def table(number: int) -> str:
    """A table in Markdown: LIFE's figures, lifesym's under two engines, and the difference."""
    found = rows(number)
    measured = any(row.measured for row in found)
    heads = ["", "LIFE", "`eager`", "`life`", "difference", *(["measured"] if measured else [])]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in found:
        plain, like = (figure(row, engine) for engine in ("eager", "life"))
        cells = [name(row), row.published, shown(plain, row), shown(like, row)]
        cells += [difference(like, row), *([row.measured] if measured else [])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bytes_of_table_7(row: Row) -> float:
    """LIFE's own bytes of a decode step, in its unit: they are a line in the tokens cached."""
    few, many = (
        (each.tokens, float(each.published))
        for each in rows(7)
        if each.quantity.startswith("bytes")
        and each.weights.startswith("int4") == row.weights.startswith("int4")
    )
    return few[1] + (row.tokens - few[0]) * (many[1] - few[1]) / (many[0] - few[0])


def divided(row: Row) -> tuple[float, float]:
    """A row of table 10 from LIFE's own figures: with its bytes as GiB taken for GB, and as GiB."""
    hardware = row.forecast("life").hardware
    rate = float(hardware.bandwidth * hardware.memory_efficiency) / bytes_of_table_7(row)
    return rate / GIGA, rate / GIB


def slip() -> str:
    """Table 10 from LIFE's own bytes, in Markdown."""
    lines = [
        "| | LIFE | bytes by its table 7 | GB/s by GiB | GB/s by GB | measured |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows(10):
        wrong, right = divided(row)
        cells = [name(row), row.published, f"{bytes_of_table_7(row):.2f} GiB"]
        lines.append(f"| {' | '.join(cells)} | {wrong:.2f} | {right:.2f} | {row.measured} |")
    return "\n".join(lines)


# LIFE's equations, in its own symbols

TOPS, BW = (Symbol(rf"\mathrm{{{word}}}", positive=True) for word in ("TOPS", "BW"))


def its(letter: str, family: str) -> Symbol:
    """LIFE's symbol of a family: O operations, M bytes, ec and em, n dispatches of t each."""
    word = family.replace("_", r"\ ")
    return Symbol(rf"{letter}_{{\mathrm{{{word}}}}}", positive=True)


def equations(families: Iterable[str]) -> dict[str, Expr]:
    """Eq. 1 to 6 over operators of so many families, n of each with a dispatch of its own."""
    several = tuple(families)
    dispatch = Add(*(its("n", f) * its("t", f) for f in several))
    compute = Add(*(its("O", f) / (its("ec", f) * TOPS) for f in several)) + dispatch
    memory = Add(*(its("M", f) / (its("em", f) * BW) for f in several)) + dispatch
    return {
        "t_c": compute,
        "t_m": memory,
        "TTFT": Max(Symbol("t_c"), Symbol("t_m")),
        "TPOT": memory,
        "TPS": 1 / Symbol("TPOT"),
    }


LETTERS = {"compute_efficiency": "ec", "memory_efficiency": "em", "dispatch_time": "t"}


def in_lifes_symbols(expr: Expr, families: Iterable[str]) -> Expr:
    """An expression of lifesym's with LIFE's symbols: one rate for every operation."""
    known = {
        f"{word}_{family}": its(letter, family)
        for word, letter in LETTERS.items()
        for family in families
    } | {"peak": TOPS, "vector_peak": TOPS, "bandwidth": BW}
    return expr.xreplace({s: known.get(s.name, s) for s in expr.free_symbols})


def in_lifesyms(expr: Expr, of: ls.Forecast) -> Expr:
    """An expression of LIFE's with the symbols of a forecast."""
    (term,) = of.ttft.terms
    known = {
        s.name: s for part in (term.compute, term.memory, term.dispatch) for s in part.free_symbols
    }
    names = {TOPS: "peak", BW: "bandwidth"}
    families = {
        name.removeprefix("dispatch_time_") for name in known if name.startswith("dispatch")
    }
    names |= {its(letter, f): f"{word}_{f}" for word, letter in LETTERS.items() for f in families}
    return expr.xreplace({theirs: known[name] for theirs, name in names.items() if name in known})


@lru_cache
def passed(past: int | None = None) -> tuple[ls.Forecast, dict[str, Expr], dict[str, Expr]]:
    """A forecast of a prefill or a step, what lifesym says of it in LIFE's symbols, and LIFE.

    Efficiencies and dispatch times are any, by family of operators.
    """
    model = ls.load_model("llama-2-7b")
    new, before = (sym.prompt, 0) if past is None else (1, past)
    trace = model.forward(1, new, before)
    families = sorted({entry.operator.family for entry in trace})
    keys = [f"{f}.{number}" for f in families for number in ("compute", "memory", "dispatch")]
    device = ls.Hardware.symbolic(*keys)
    given = {"weights": "bf16", "activations": "bf16", "overlap": "pass", "engine": "eager"}
    f = ls.forecast(model, device, sym.prompt if past is None else past, 2, **given)
    counted = {}
    for family in families:
        cost = trace.filter(lambda e, family=family: e.operator.family == family).cost("bf16")
        values = {"O": cost.flops, "M": cost.bytes, "n": cost.dispatches}
        counted |= {its(letter, family): value for letter, value in values.items()}
    result = f.ttft if past is None else f.tpot.first
    (term,) = result.terms
    mine = {"t_c": term.compute + term.dispatch, "t_m": term.memory + term.dispatch}
    mine["time"] = result.expr
    theirs = equations(families)
    return (
        f,
        {name: in_lifes_symbols(expr, families) for name, expr in mine.items()},
        {name: expr.xreplace(counted) for name, expr in theirs.items()},
    )


TABLES = tuple(dict.fromkeys(int(row.table) for row in rows()))

# what the gallery says of each row

WITHIN = {
    ("4", "operations of a prefill"): (5e-4, ""),
    ("4", "share of GEMM"): (1e-3, ""),
    ("4", "share of BMM"): (3e-3, ""),
    ("4", "cache"): (0.0, ""),
    ("5", "read by a prefill"): (2e-3, ""),
    ("5", "written by a prefill"): (2e-2, "half a GiB of writes is not accounted for by LIFE"),
    ("5", "cache"): (0.0, ""),
    ("6", "TTFT"): (3e-3, ""),
    ("6", "efficiency"): (2e-3, ""),
    ("7", "operations of a decode step"): (7e-3, ""),
    ("7", "bytes of a decode step"): (
        7e-2,
        "LIFE's bytes of 4-bit weights have tables and scales that it does not state",
    ),
    ("8", "dispatches of a decode step"): (0.0, ""),
    ("9", "bytes of a decode step"): (2e-2, "its bytes of table 7"),
    ("9", "growth over 2000 tokens"): (1.5e-2, "its bytes of table 7"),
    ("10", "tokens a second"): (6e-2, "LIFE divides GB/s by GiB: 7.4 % too fast"),
    ("11", "bytes of fused attention"): (1.1e-2, "within 1 MiB, of which LIFE prints no digit"),
    ("12", "merging LoRA in line"): (1e-5, ""),
}
"""How near each is to what LIFE prints, beside half of its last digit, and why no nearer."""


def number(row: Row) -> Number:
    """A row as the gallery has it."""
    within, reason = WITHIN[row.table, row.quantity]
    if row.case.endswith("fused") and row.quantity.endswith("by a prefill"):
        within, reason = 1.5, "LIFE does not state what this prefill fuses"
    digit = 10 ** -digits(row) / 2 / float(row.published)
    return Number(
        work="LIFE (2508.00904)",
        where=f"table {row.table}",
        what=name(row),
        published=float(row.published),
        mine=lambda: figure(row),
        within=within + digit,
        reason=reason or ("LIFE prints no more digits" if within + digit > SAID else ""),
    )


NUMBERS = tuple(map(number, rows()))

PAGE = GALLERY.parent / "docs" / "life.md"


def page() -> str:
    """docs/life.md with the tables of now.

    Raises:
        ValueError: a table has no place in it.
    """
    text = PAGE.read_text(encoding="utf-8")
    made = {f"table {n}": table(n) for n in TABLES}
    for what, lines in {**made, "slip": slip()}.items():
        before, start, rest = text.partition(f"<!-- {what} -->\n")
        _, end, after = rest.partition(f"<!-- /{what} -->\n")
        if not (start and end):
            raise ValueError(f"{PAGE.name}: no place for {what}")
        text = f"{before}{start}{lines}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
