"""Views of finished expressions: equations, tables and documents."""

from lifesym.report.equations import equation
from lifesym.report.paper_form import paper_form
from lifesym.report.rounded import rounded
from lifesym.report.short_form import short_form
from lifesym.report.tables import function_table, legend_table, operator_table
from lifesym.report.work_table import work_table

__all__ = [
    "equation",
    "function_table",
    "legend_table",
    "operator_table",
    "paper_form",
    "rounded",
    "short_form",
    "work_table",
]
