"""Views of finished expressions: equations, tables and documents."""

from lifesym.report.document import document
from lifesym.report.equations import equation
from lifesym.report.tables import legend_table, operator_table

__all__ = ["document", "equation", "legend_table", "operator_table"]
