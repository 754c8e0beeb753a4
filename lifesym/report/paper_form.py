"""The paper form as text, LaTeX and Markdown: rates, the equation, and what its names stand for."""

from collections.abc import Iterable, Mapping

from sympy import Expr, S

from lifesym.checks import checked
from lifesym.paper import Paper
from lifesym.printing import latex
from lifesym.report.breaking import INDENT, TEXT_WIDTH, broken, width_of
from lifesym.report.equations import display, left_hand_side, signed
from lifesym.report.tables import Format
from lifesym.spelling import spelt
from lifesym.summands import Row
from lifesym.tau import roofline


@checked
def paper_form(
    form: Paper, fmt: Format = "text", width: float = TEXT_WIDTH, label: str = ""
) -> str:
    r"""A formula in the paper form, with the sentences that define its names.

    In LaTeX it needs amsmath; no line is wider than ``width`` points. With a ``label`` the equation
    has a number, to refer to as ``\eqref{label}``.
    """
    return _text(form) if fmt == "text" else _latex(form, fmt, width, label)


def _text(form: Paper) -> str:
    lines = [f"{form.name} [{form.unit}] ="]
    for count, summands in form.groups:
        for sign, printed in signed([Row(count * each, "") for each in summands], str, "(%s)"):
            lead = "    " if len(lines) == 1 and sign == "+" else f"  {sign} "
            lines.append(lead + printed)
    lines.append("where")
    named_parts = {name: " + ".join(map(str, part)) for name, part in form.parts.items()}
    for name, part in named_parts.items():
        said = ", ".join(form.operators.get(name, ()))
        lines.append(f"    {name} = {part}" + (f"    # {said}" if said else ""))
    sizes = {**form.sizes, **form.rates}
    lines += [f"    {name} = {value}" for name, value in sizes.items()]
    if form.rooflines:
        arguments, value = roofline()
        lines.append(f"    tau({', '.join(arguments)}) = {value}")
    return "\n".join(lines)


def _latex(form: Paper, fmt: Format, width: float, label: str) -> str:
    parts = [_rates(form)] if form.rates else []
    parts.append(display(_equation(form, width), fmt, label))
    if form.sizes:
        sizes = ", ".join(f"${definition(name, size)}$" for name, size in form.sizes.items())
        parts.append(f"with {sizes}" + (" and" if form.parts else "."))
    if form.parts:
        parts.append(display(_definitions(form.parts, width), fmt))
    # a displayed equation in Markdown is a paragraph of its own
    return ("\n\n" if fmt == "markdown" else "\n").join(parts)


def _rates(form: Paper) -> str:
    named_rates = sorted(form.rates.items())
    rates = ", ".join(f"${definition(name, rate)}$" for name, rate in named_rates)
    said = f"Let {rates} (attained rates)"
    if not form.rooflines:
        return f"{said}."
    arguments, value = roofline()
    head = f"\\tau({', '.join(arguments)})"
    others = any(tau.others for tau in form.rooflines)
    more = r" (a rate above $\tau$ takes the place of the one of its kind)" if others else ""
    return f"{said} and ${head} = {plain(latex(value, fold_short_frac=True))}${more}. Then"


def definition(name: str, value: Expr) -> str:
    """A name's definition in the line of a text."""
    return f"{spelt(name)} = {plain(latex(value, fold_short_frac=True))}"


def plain(text: str) -> str:
    """LaTeX with factors side by side, and fences as high as letters where nothing is higher."""
    text = text.replace(r"\,", " ")
    return text if "frac" in text else text.replace(r"\left(", "(").replace(r"\right)", ")")


def _equation(form: Paper, width: float) -> list[str]:
    """The lines of the equation."""
    head = f"{left_hand_side(form.name, form.unit, form.expr)} ={{}} "
    brackets: list[str] = []
    for count, summands in form.groups:
        if count is S.One or len(summands) == 1:
            brackets += [plain(latex(count * each)) for each in summands]
        else:
            factor = f"({latex(count)})" if count.is_Add else plain(latex(count))
            brackets.append(f"{factor} ({joined(plain(latex(each)) for each in summands)})")
    return lines_of(head, joined(brackets), width)


def lines_of(head: str, body: str, width: float) -> list[str]:
    """An equation's lines, aligned after its sign of equality."""
    first, *more = broken(body, width - max(width_of(head), INDENT))
    return [f"{head}&{first}", *(f"&{line}" for line in more)]


def joined(printed: Iterable[str]) -> str:
    """A sum of what is printed, also where some of it begins with a minus sign."""
    return " + ".join(printed).replace("+ - ", "- ")


def _definitions(parts: Mapping[str, Iterable[Expr]], width: float) -> list[str]:
    """The definitions of names, aligned at their signs of equality."""
    heads = {name: f"{spelt(name)} ={{}} " for name in parts}
    room = width - max(map(width_of, heads.values()))
    lines = []
    for name, summands in parts.items():
        first, *more = broken(joined(_packed(summands, room)), room)
        lines += [f"{heads[name]}&{first}", *(f"&{line}" for line in more)]
    return lines


def _packed(summands: Iterable[Expr], room: float) -> list[str]:
    """Summands in LaTeX, moved so that few lines hold them: each into the first with room."""
    lines: list[list[str]] = []
    for each in summands:
        printed = plain(latex(each, fold_short_frac=True))
        wide = width_of(f" + {printed}")
        fits = (line for line in lines if sum(width_of(f" + {p}") for p in line) + wide < room)
        line = next(fits, None)
        if line is None:
            lines.append([printed])
        else:
            line.append(printed)
    return [printed for line in lines for printed in line]
