"""The one family of errors that bad input raises."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


class LifesymError(ValueError):
    """Input that lifesym cannot use; the message names what, where and what would be right."""


class SpecError(LifesymError):
    """A spec file (model config, hardware, format) that is missing, malformed or unsupported."""


class SymbolError(LifesymError):
    """A symbol name that is not in the table, or a value outside its range."""


class InfeasibleError(LifesymError):
    """A target that no value of a symbol meets; the message says how close one comes, and why."""


def one_of(word: object, known: Iterable[str], what: str) -> None:
    """Refuse a word that is not one of those that an option may have.

    Raises:
        SymbolError: it is not; the message lists them.
    """
    words = list(known)
    if word not in words:
        hint = nearest(word, words) if isinstance(word, str) else ""
        raise SymbolError(f"{what} must be one of {', '.join(words)}, not {word!r}{hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint ``; did you mean 'x'?`` for a misspelt name, or an empty string.

    Case and the signs between words do not count; where no name is close, a word of it that is a
    name is taken for it.

    >>> nearest("v10", ["v100", "a100"])
    "; did you mean 'v100'?"
    >>> nearest("Tesla V100", ["v100", "a100"])
    "; did you mean 'v100'?"
    >>> nearest("zzz", ["v100"])
    ''
    """
    plain = {_plain(each): each for each in known}
    asked = _plain(name)
    words = [word for word in asked.split("-") if word in plain]
    close = (
        get_close_matches(asked, list(plain), n=1, cutoff=0.8)
        or words[-1:]
        or get_close_matches(asked, list(plain), n=1, cutoff=0.5)
    )
    return f"; did you mean {plain[close[0]]!r}?" if close else ""


def misspelt(name: str, known: Iterable[str]) -> str:
    """A hint ``; did you mean 'x'?`` for a name that can only be a misspelling of a known one.

    Other digits, another number of words, or other letters at the ends make another name: a model
    type with a suffix mostly has an arithmetic of its own.

    >>> misspelt("lama", ["llama", "gemma"])
    "; did you mean 'llama'?"
    >>> misspelt("glm4v", ["glm4"]), misspelt("deepseek_v32", ["deepseek_v3"])
    ('', '')
    """
    asked = _plain(name)
    for each in known:
        plain = _plain(each)
        if asked.replace("-", "") == plain.replace("-", ""):
            return f"; did you mean {each!r}?"
    for each in known:
        plain = _plain(each)
        alike = _shape(asked) == _shape(plain) and len(plain) >= _SHORT
        if alike and _edits(asked, plain) <= (1 if len(plain) < _LONG else 2):
            return f"; did you mean {each!r}?"
    return ""


_SHORT, _LONG = 5, 9
"""Letters of a name in which one of them may be wrong, or two."""


def _shape(name: str) -> tuple[object, ...]:
    """What two spellings of one name have in common: digits, and the ends of every word."""
    return re.findall(r"\d+", name), [(word[:1], word[-1:]) for word in name.split("-")]


def _edits(one: str, other: str) -> int:
    """Letters to insert, leave out or change to make one word of the other."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            kept = above if letter == wanted else above + 1
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, kept)
    return row[-1]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
