"""Objects that notebooks show: what they show is made above, in `lifesym.notebook`."""

from importlib import import_module


class Tabular:
    """Something that a notebook shows as a table.

    The module that makes it is imported when one is shown: it knows every class, and none of them
    knows it.
    """

    def _repr_html_(self) -> str:
        made: str = import_module("lifesym.notebook").html(self)
        return made


class Equational:
    """Something that a notebook shows as an equation."""

    def _repr_markdown_(self) -> str:
        made: str = import_module("lifesym.notebook").markdown(self)
        return made
