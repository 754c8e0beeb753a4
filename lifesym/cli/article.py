"""``lifesym article``: a LaTeX article of a forecast, in a folder."""

from collections.abc import Mapping
from typing import Any

from lifesym.article import write_article
from lifesym.cli.output import note
from lifesym.cli.request import Request
from lifesym.spelling import notation


def article(options: Mapping[str, Any]) -> None:
    """The folder, and what is in it to the errors."""
    form = Request(options).form()
    with notation(options["notation"] or ""):
        path = write_article(
            form, options["output"], columns=options["columns"], keep=options["keep"]
        )
    note(f"wrote {path} and, beside it, what it includes")
