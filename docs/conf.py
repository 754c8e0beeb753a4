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
myst_enable_extensions = ["dollarmath", "attrs_inline", "deflist"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.header",  # pages begin below their title where a forge shows them so
    "mystnb.mime_priority",  # an output has one of the forms that HTML can show
]

smartquotes = False  # pages are full of options with two hyphens
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


def _landing(_: Sphinx, docname: str, source: list[str]) -> None:
    """The table of contents: the lists of pages under the headings of `docs/index.md`."""
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


def _signature(*args: Any) -> tuple[str, str] | None:
    """A signature that can be read as Python where a default is made anew each time."""
    signature, result = args[-2:]
    return (signature.replace("<factory>", "..."), result) if signature else None


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
    app.connect("source-read", _landing)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _missing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
