"""Views of finished expressions: equations, tables and documents."""

from lifesym.report.document import document
from lifesym.report.equations import equation
from lifesym.report.tables import function_table, legend_table, operator_table

__all__ = ["document", "equation", "function_table", "legend_table", "operator_table"]
