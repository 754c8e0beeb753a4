"""Which classes transformers has, and why some are refused: ``specs/transformers.toml``."""

from functools import cache

import msgspec

from lifesym.specs import convert, read_toml, root


class Classes(msgspec.Struct, forbid_unknown_fields=True):
    """The classes of one release.

    Attributes:
        release: of transformers; the families are compared with its classes.
        causal: types of causal language models, with the year of their copyright (0: not known).
        multimodal: types that make text of images and text.
        refused: why a type is not read.
    """

    release: str
    causal: dict[str, int]
    multimodal: list[str]
    refused: dict[str, str]


@cache
def classes() -> Classes:
    """What the file holds."""
    path = root() / "transformers.toml"
    return convert(read_toml(path), Classes, str(path))


def why_refused(kind: object) -> str:
    """The reason that a type is refused for, as the end of an error; empty if none is known."""
    reason = classes().refused.get(str(kind))
    return f" is not modelled: {reason}" if reason else ""
