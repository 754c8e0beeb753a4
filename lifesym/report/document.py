"""A complete LaTeX document of a forecast: equations, legend, operator table."""

from lifesym.checks import checked
from lifesym.inference import Forecast
from lifesym.printing import legend
from lifesym.report.equations import equation
from lifesym.report.tables import escape, legend_table, operator_table

_HEAD = r"""\documentclass{article}
\usepackage[a4paper,margin=2cm]{geometry}
\usepackage{amsmath,longtable}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}%
  {\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\allowdisplaybreaks
\begin{document}
"""


@checked
def document(forecast: Forecast, title: str) -> str:
    """LaTeX source, for any installation with amsmath and longtable (booktabs where it is found).

    TTFT and TPOT are printed with one operator a line and the operator's name at the margin; the
    legend names every symbol used; the table gives each operator's work in one decode step.
    """
    results = (forecast.ttft, forecast.tpot)
    used = legend(*(result.expr for result in results))
    parts = [_HEAD, f"\\section*{{{escape(title, 'latex')}}}"]
    for result in results:
        parts.append(f"\\subsection*{{{result.name}}}\n{equation(result, 'latex')}")
    parts.append(f"\\subsection*{{Symbols}}\n\\noindent\n{legend_table(used, 'latex')}")
    trace = forecast.trace(new=1, past=forecast.past + forecast.prompt)
    table = operator_table(trace, "latex", forecast.precision)
    parts.append(f"\\subsection*{{Work of one decode step}}\n{{\\footnotesize\n{table}\n}}")
    return "\n\n".join([*parts, "\\end{document}\n"])
