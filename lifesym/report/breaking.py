r"""Line breaks inside printed formulas: between terms, arguments, and a fraction and its bar.

TeX breaks no displayed formula by itself. `broken` takes LaTeX as `lifesym.printing` makes it and
gives lines of at most a width, for ``align`` or ``array``: terms fill a line, what is too long
for one opens its fence (``\Bigl(``), is indented, and closes it; a fraction with too long a
numerator becomes ``\frac{1}{denominator}`` times it. Widths are estimates from Computer Modern's
at 10 points, a little above the truth.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

TEXT_WIDTH = 480
"""Points of a line unless another width is given: A4 with margins of 2 cm, a page of a report."""
INDENT = 10.0
"""Points of ``\\quad``, by which a line inside a fence is moved."""

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|\d+|.")
_WIDTHS = {"+": 12.3, "-": 12.3, "=": 13.4, ",": 4.6, "\\,": 1.7, "\\quad": 10, "\\max": 20}
_WIDTHS |= {"\\min": 20, "\\sum": 16, "\\ge": 13.4, "\\;": 2.8, "~": 3.4, "\\text": 0}
_FONTS = {"\\mathrm", "\\mathit", "\\overline", "\\text"}
_SCRIPT = 0.72
_FENCE = 7.5
_PLAIN = 3.9
_BESIDE = 0.5
"""What opens a fence stands in a line with what is inside if it takes less of the room."""


@dataclass(frozen=True)
class _Piece:
    """A part of a formula that stands in one line: its LaTeX and its width."""

    text: str
    width: float


@dataclass(frozen=True)
class _Fence(_Piece):
    """Something between a pair of fences that grow with it."""

    opening: str
    closing: str
    body: "_Row"


@dataclass(frozen=True)
class _Fraction(_Piece):
    """A fraction."""

    numerator: "_Row"
    denominator: "_Row"


@dataclass(frozen=True)
class _Row:
    """Pieces side by side."""

    pieces: tuple[_Piece, ...]

    @property
    def text(self) -> str:
        """Its LaTeX."""
        return "".join(piece.text for piece in self.pieces)

    @cached_property
    def width(self) -> float:
        """Its width in points."""
        return sum(piece.width for piece in self.pieces)

    def split(self, *at: str) -> list["_Row"]:
        """The rows between some pieces; an operator opens its row, a comma closes it."""
        rows: list[list[_Piece]] = [[]]
        for piece in self.pieces:
            found = piece.text.strip() in at
            if found and piece.text.strip() != "," and any(p.text.strip() for p in rows[-1]):
                rows.append([])
            rows[-1].append(piece)
            if found and piece.text.strip() == ",":
                rows.append([])
        return [_Row(tuple(row)) for row in rows if row]


def width_of(text: str) -> float:
    """Points that a formula takes in a line, about."""
    return _parsed(text).width


def broken(text: str, room: float) -> list[str]:
    r"""The lines of a formula, each at most so many points wide where it can be broken at all.

    >>> broken(r"a + b", 100)
    ['a + b']
    >>> broken(r"\frac{a + b}{c}", 25)
    ['\\frac{1}{c}\\,\\Bigl(', '\\quad a', '\\quad {}+ b \\Bigr)']
    """
    return _lines(_parsed(text), room)


def _lines(row: _Row, room: float) -> list[str]:
    if row.width <= room:
        return [row.text.strip()]
    terms = row.split("+", "-", ",")
    if len(terms) > 1:
        return list(_filled(terms, room))
    return _opened(row, room)


def _filled(terms: list[_Row], room: float) -> Iterator[str]:
    """Terms as many a line as fit, what is too long for one in lines of its own."""
    line, used = "", 0.0
    for i, term in enumerate(terms):
        text = term.text.strip()
        if line and used + term.width <= room:
            line, used = f"{line} {text}", used + term.width
            continue
        if line:
            yield line
        first, *more = [text] if term.width <= room else _opened(term, room)
        *above, line = [_continued(first) if i else first, *more]
        yield from above
        used = term.width  # above the room after a term that was opened: the next begins a line
    yield line


def _continued(line: str) -> str:
    """A line that begins with an operator: TeX spaces it as binary after an empty group."""
    if line.startswith("\\,"):
        return f"{{}}\\cdot {line[2:].strip()}"
    return f"{{}}{line}" if line.startswith(("+ ", "- ")) else line


def _opened(row: _Row, room: float) -> list[str]:
    """The lines of one term: its widest part opened, or its factors one after another."""
    widest = max(range(len(row.pieces)), key=lambda i: row.pieces[i].width)
    piece = row.pieces[widest]
    before = "".join(each.text for each in row.pieces[:widest])
    rest = widest + 1
    while rest < len(row.pieces) and row.pieces[rest].text.startswith(("^", "_")):
        rest += 1  # a script stays where it is
    scripts = "".join(each.text for each in row.pieces[widest + 1 : rest])
    tail = _Row(row.pieces[rest:])
    if isinstance(piece, _Fraction):
        body, opening, closing = piece.numerator, "", ""
        if len(body.split("+", "-")) > 1:
            opening, closing = "\\Bigl(", "\\Bigr)"
        before += f"\\frac{{1}}{{{piece.denominator.text}}}\\,{opening}"
    elif isinstance(piece, _Fence):
        body = piece.body
        tall = "frac" in piece.text
        before += f"\\Bigl{piece.opening}" if tall else piece.opening
        closing = f"\\Bigr{piece.closing}" if tall else piece.closing
    else:
        factors = row.split("\\,")
        return list(_filled(factors, room)) if len(factors) > 1 else [row.text.strip()]
    taken = width_of(before)
    if taken < _BESIDE * room:
        first, *inner = _lines(body, room - max(taken, INDENT) - _FENCE)
        inner = [before.strip() + first, *(f"\\quad {line}" for line in inner)]
        before = ""
    else:
        inner = [f"\\quad {line}" for line in _lines(body, room - INDENT - _FENCE)]
    inner[-1] += f"{' ' if closing.startswith(chr(92)) else ''}{closing}{scripts}".rstrip()
    if not tail.pieces or width_of(inner[-1]) + tail.width <= room:
        inner[-1] += tail.text.rstrip()
        return [*filter(None, [before.strip()]), *inner]
    following, *more = _lines(tail, room)
    return [*filter(None, [before.strip()]), *inner, _continued(following), *more]


def _parsed(text: str) -> _Row:
    return _row(_TOKEN.findall(text), 0, "")[0]


def _group(words: list[str], at: int) -> tuple[_Row, int]:
    """The row in braces, or the one word, that begins there, and where it ends."""
    if words[at] == "{":
        return _row(words, at + 1, "}")
    return _Row((_Piece(words[at], _width(words[at])),)), at + 1


def _row(words: list[str], at: int, end: str) -> tuple[_Row, int]:
    pieces: list[_Piece] = []
    while at < len(words):
        word = words[at]
        if word == end:
            return _Row(tuple(pieces)), at + 1
        if word == "\\frac":
            above, at = _group(words, at + 1)
            below, at = _group(words, at)
            text = f"\\frac{{{above.text}}}{{{below.text}}}"
            pieces.append(_Fraction(text, max(above.width, below.width) + 2.4, above, below))
        elif word == "\\left":
            body, after = _row(words, at + 2, "\\right")
            opening, closing = words[at + 1], words[after]
            text = f"\\left{opening}{body.text}\\right{closing}"
            width = body.width + 2 * _FENCE
            pieces.append(_Fence(text, width, opening, closing, body))
            at = after + 1
        elif word in ("_", "^"):
            body, at = _group(words, at + 1)
            pieces.append(_Piece(f"{word}{{{body.text}}}", _SCRIPT * body.width))
        elif word in _FONTS or word == "{":
            body, at = _group(words, at + (word != "{"))
            command = word if word != "{" else ""
            pieces.append(_Piece(f"{command}{{{body.text}}}", body.width))
        elif word == "(":
            body, at = _row(words, at + 1, ")")
            width = body.width + 2 * _PLAIN
            pieces.append(_Fence(f"({body.text})", width, "(", ")", body))
        else:
            pieces.append(_Piece(word, _width(word)))
            at += 1
    return _Row(tuple(pieces)), at


def _width(word: str) -> float:
    if word in _WIDTHS:
        return _WIDTHS[word]
    if word.isspace():
        return 0.0
    if word.startswith("\\"):
        return 7.0
    wide = {"m": 8.8, "w": 7.4}.get(word, 8.0 if word.isupper() else 5.4)
    return 5.0 * len(word) if word.isdigit() else wide
