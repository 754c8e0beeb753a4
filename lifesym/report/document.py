"""A complete LaTeX document of a forecast: equations, legend, operator table."""

from sympy import Expr

from lifesym.inference import Forecast
from lifesym.nodes import Maximum
from lifesym.printing import latex, legend
from lifesym.report.equations import left_hand_side, rows, signed
from lifesym.report.tables import escape, legend_table, operator_table
from lifesym.results import Result

_HEAD = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}%
  {\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\allowdisplaybreaks
\begin{document}
"""


_LONGEST = 200
"""Characters of LaTeX that fit a line of this document, found by eye and held by a test."""


def document(forecast: Forecast, title: str) -> str:
    """LaTeX source, for any installation with amsmath (booktabs is used where it is found).

    TTFT and TPOT are printed with one operator a line and the operator's name at the margin; the
    legend names every symbol used; the table gives each operator's work in one decode step.
    """
    results = (forecast.ttft, forecast.tpot)
    used = legend(*(result.expr for result in results))
    parts = [_HEAD, f"\\section*{{{escape(title, 'latex')}}}"]
    for result in results:
        parts.append(f"\\subsection*{{{result.name}}}\n{_listed(result)}")
    parts.append(f"\\subsection*{{Symbols}}\n\\noindent\n{legend_table(used, 'latex')}")
    trace = forecast.trace(new=1, past=forecast.past + forecast.prompt)
    table = operator_table(trace, "latex", forecast.precision)
    parts.append(
        f"\\subsection*{{Work of one decode step}}\n{{\\scriptsize\n\\noindent\n{table}\n}}"
    )
    return "\n\n".join([*parts, "\\end{document}\n"])


def _listed(result: Result) -> str:
    """The summands one a line, each with what it stands for, in a small font."""
    lines = []
    listed = rows(result)
    for i, (sign, printed) in enumerate(signed(listed, _broken)):
        lead = f"{left_hand_side(result)} ={sign.strip('+')}" if i == 0 else sign
        label = escape(listed[i].label, "latex")
        lines.append(f"&{lead}\\; {printed} &&\\text{{\\scriptsize {label}}}")
    body = " \\\\\n".join(lines)
    return f"{{\\small\\begin{{align*}}\n{body}\n\\end{{align*}}}}"


def _broken(value: Expr) -> str:
    """A summand's LaTeX; a maximum too long for a line has one argument a line."""
    printed = latex(value)
    outside, maximum = value.as_independent(Maximum, as_Add=False)
    if len(printed) <= _LONGEST or not isinstance(maximum, Maximum):
        return printed
    factor = "" if outside == 1 else latex(outside) + r"\,"
    arguments = ", \\\\\n&\\qquad ".join(latex(argument) for argument in maximum.args)
    return rf"{factor}\max\Bigl({arguments}\Bigr)"
