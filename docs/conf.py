"""The documentation as a site: `sphinx-build -W -n --keep-going -q -c docs . build/site`.

The sources are the pages of `docs/`, README and the changelog as they stand in the repository, the
notebooks with their outputs, and pages that `docs/generated.py` makes of the package into
`docs/reference`. The site loads nothing from elsewhere: MathJax comes from a package.
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers.shell import BashSessionLexer
from sphinx.application import Sphinx
from sphinx.roles import XRefRole
from sphinx.util.fileutil import copy_asset

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import generated  # noqa: E402 (it lies beside this file)

from lifesym import __version__  # noqa: E402

project = "lifesym"
version = release = __version__
copyright = "the authors of lifesym, Apache-2.0"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]

root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/tutorials/*.md",
    "docs/reference/**",
    "gallery/*.ipynb",
    "notebooks/*.ipynb",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["build", ".*", "tests", "specs", "lifesym", "batch", "none"]

nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # outputs have tables and formulas, too
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # the code of widgets would be fetched
myst_enable_extensions = ["dollarmath", "attrs_inline", "deflist"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.header",  # pages begin below their title where a forge shows them so
    "mystnb.mime_priority",  # an output has one of the forms that HTML can show
]

smartquotes_action = "D"  # dashes alone
default_role = "name"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"exclude-members": "__init__, __new__"}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"lifesym {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_extra"]
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

mathjax_path = "mathjax.js"
mathjax3_config = {
    "tex": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]]},
    "options": {"enableMenu": False},  # which would load more files
    "svg": {"fontCache": "global"},
}


def _mathjax(app: Sphinx, error: Exception | None) -> None:
    """MathJax with its fonts in one file, which also works from a folder."""
    package = find_spec("sphinx-mathjax-offline")
    if error is None and package is not None and package.origin is not None:
        file = Path(package.origin).parent / "static" / "mathjax" / "tex-svg-full.js"
        copy_asset(file, app.outdir / "_static")
        (app.outdir / "_static" / file.name).rename(app.outdir / "_static" / mathjax_path)


class _Console(BashSessionLexer):
    """The shell, where words in brackets at the beginning of an answer are no prompt."""

    _venv = re.compile("(?!)")


def _page(_: Sphinx, docname: str, source: list[str]) -> None:
    """Blocks without the empty line before their end that doctests need; and the contents.

    The lists of pages under the headings of `docs/index.md` are the tables of contents.
    """
    source[0] = re.sub(r"\n\n```$", "\n```", source[0], flags=re.MULTILINE)
    if docname == root_doc:
        source[0] = generated.with_contents(source[0])


_MATH = re.compile(r"(``.*?``)|(?<![\w$])\$([^$]+)\$(?![\w$])", re.DOTALL)


def _docstring(*args: Any) -> None:
    """Dollars around formulas, as the docstrings have them, as Sphinx's role has them."""
    lines = args[-1]
    text = "\n".join(lines)
    if "$" not in text:
        return
    lines[:] = _MATH.sub(_as_role, text).split("\n")


def _as_role(found: re.Match[str]) -> str:
    return found[1] or f":math:`{' '.join(found[2].split())}`"


_NUMBER = "int | float | ~fractions.Fraction | ~decimal.Decimal | ~sympy.core.expr.Expr"
_MAPPING = r"~collections\.abc\.Mapping"
_SYMBOL = r"~sympy\.core\.symbol\.Symbol"
_BY = re.compile(
    rf"{_MAPPING}\[str, (.+?)\] \| {_MAPPING}\[{_SYMBOL}, \1\] \| "
    rf"{_MAPPING}\[str \| {_SYMBOL}, \1\]"
)


def _readable(types: str | None) -> str | None:
    """Types by their names, and defaults that are made anew as an ellipsis."""
    if types is None:
        return None
    text = types.replace("<factory>", "...").replace(_NUMBER, "Number")
    return _BY.sub(r"By[\1]", text.replace("int | ~sympy.core.expr.Expr", "Size"))


def _signature(*args: Any) -> tuple[str | None, str | None]:
    """A signature, and what it returns, that can be read."""
    return _readable(args[-2]), _readable(args[-1])


def _missing(app: Sphinx, env: Any, node: nodes.Element, content: nodes.Element) -> Any:
    """A name by its public home; a word between backquotes that names nothing is a word."""
    target, domain = node.get("reftarget", ""), env.get_domain("py")
    if node.get("refdomain") == "py":
        for name in (generated.homes().get(target, target), f"lifesym.{target}"):
            where = env, node["refdoc"], app.builder, "obj"
            found = domain.resolve_xref(*where, name, node, content)
            if found is not None:
                return found
    return content if node.get("reftype") == "name" or generated.is_inner(target) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    generated.write(HERE / "reference")
    app.add_role_to_domain("py", "name", XRefRole())
    app.connect("build-finished", _mathjax)
    app.connect("source-read", _page)
    app.add_lexer("console", _Console)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _missing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
