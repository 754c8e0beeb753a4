"""Statements over lines: a line for each term of a long sum, and comments where there is room."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from lifesym.codegen.spelling import Language

LONG = 92
"""Columns of a statement, without what it stands in."""


def summed(
    language: Language, head: str, terms: Sequence[str], comments: Sequence[str]
) -> Iterator[str]:
    """A statement of a sum, a line for each of its terms, with its comment."""
    inner, last = language.indent, len(terms) - 1
    closing = language.end
    if language.around:
        yield head + language.around[0]
        head, closing = inner, language.around[1] + language.end
    signs = [*map(_signed, terms[1:])]
    for k, said in enumerate(comments):
        sign, term = signs[k - 1] if k else ("", terms[0])
        start = head if k == 0 else inner if language.trailing else f"{inner}{sign} "
        end = f" {signs[k][0]}" if language.trailing and k < last else ""
        if k == last and not language.around:
            end += closing
        yield from commented(language, f"{start}{term}{end}", said, "" if k == 0 else inner)
    if language.around:
        yield closing


def joined(terms: Sequence[str]) -> str:
    """A sum in a line."""
    first, *others = terms
    return " ".join([first, *(part for term in others for part in _signed(term))])


def _signed(term: str) -> tuple[str, str]:
    """A term that is not the first, with its sign: a number below zero is taken away."""
    number = re.fullmatch(r"\(-([^()]*)\)", term)
    return ("-", number[1]) if number else ("+", term)


def commented(
    language: Language, line: str, said: str, indent: str = "", *, before: bool = False
) -> Iterator[str]:
    """A line with a comment behind it, or before it: where it has no room, or is asked for.

    Go's formatter would put comments behind successive statements in one column.
    """
    behind = language.comment.format(said) if said else ""
    if len(line + behind) <= LONG and not before:
        yield line + behind
        return
    for part in textwrap.wrap(said, LONG - 8, break_long_words=False):
        yield indent + language.comment.format(part).strip()
    yield line
