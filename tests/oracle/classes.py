"""Which classes transformers has, as stored in ``specs/transformers.toml``.

``python tests/oracle/classes.py`` reads them anew: the types of causal language models, each with
the year of its copyright line, and the multimodal types. Reasons of refusals stay as they are.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import transformers
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from lifesym.specs import read_toml, root

FILE = root() / "transformers.toml"


def year(kind: str) -> int:
    """The year of a class's copyright line; 0 where it has none."""
    name = CONFIG_MAPPING[kind].__module__.removeprefix("transformers.").replace(".", "/")
    source = Path(transformers.__file__).parent / f"{name}.py"
    found = re.search(r"Copyright (?:\(c\) )?(\d{4})", source.read_text(encoding="utf-8"))
    return int(found.group(1)) if found else 0


def _quoted(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(names)) + "]"


def main() -> None:
    """Read and write."""
    reasons = read_toml(FILE)["refused"]
    lines = [
        "# Classes of transformers: `python tests/oracle/classes.py` writes this file.",
        f'release = "{transformers.__version__}"',
        f"multimodal = {_quoted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)}",
        "",
        "# Causal language models by type, with the year of the class's copyright line (0: none).",
        "[causal]",
        *(f'"{kind}" = {year(kind)}' for kind in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)),
        "",
        "# Why a type is refused, by hand.",
        "[refused]",
        *(f'"{kind}" = "{why}"' for kind, why in sorted(reasons.items())),
    ]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
