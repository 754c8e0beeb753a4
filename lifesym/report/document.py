"""A complete LaTeX document of a forecast: equations, legend, operator table."""

from lifesym.inference import Forecast, Result
from lifesym.printing import latex, legend
from lifesym.report.equations import rows
from lifesym.report.tables import legend_table, operator_table

_HEAD = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath,booktabs}
\allowdisplaybreaks
\begin{document}
"""


def document(forecast: Forecast, title: str) -> str:
    """LaTeX source, compiled by any installation with amsmath and booktabs.

    TTFT and TPOT are printed with one operator a line and the operator's name at the margin; the
    legend names every symbol used; the table gives each operator's work in one decode step.
    """
    results = (forecast.ttft, forecast.tpot)
    used = legend(*(result.expr for result in results))
    parts = [_HEAD, f"\\section*{{{title}}}"]
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
    for i, row in enumerate(rows(result)):
        sign = "" if i == 0 else "+"
        label = row.label.replace("_", r"\_")
        lines.append(f"&{sign}\\; {latex(row.value)} &&\\text{{\\scriptsize {label}}}")
    body = " \\\\\n".join(lines)
    return f"{{\\small\\begin{{align*}}\n{body}\n\\end{{align*}}}}"
