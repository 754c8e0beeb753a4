"""What a function costs on a core, read from its linked image and from a run in the emulator.

Everything that the function reaches is counted, the compiler's own routines (long division,
software floats) among it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_HEAD = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
_LINE = re.compile(r"^ +([0-9a-f]+):\t([0-9a-f ]+)\t(.*)$")
_CALL = re.compile(r"^(?:bl?x?|b[a-z]{2})(?:\.[nw])?\t[0-9a-f]+ <([^>+]+)>")
_SAVED = re.compile(r"^(v?push|v?stmdb(?:\.w)?\tsp!,)\s*\{([^}]*)\}")
_LOWERED = re.compile(r"^sub(?:w|\.w)?\tsp, (?:sp, )?#(\d+)|\[sp, #-(\d+)\]!")
_TRACE = re.compile(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", re.MULTILINE)


@dataclass(frozen=True)
class Routine:
    """A function of an image: where it is, and its instructions."""

    start: int
    end: int
    code: tuple[str, ...]

    @property
    def frame(self) -> int:
        """Bytes of stack that it takes itself, if all of its pushes are on one path."""
        return sum(map(_taken, self.code))

    @property
    def calls(self) -> set[str]:
        """Functions that it calls or ends in."""
        return {match[1] for line in self.code if (match := _CALL.match(line))}


def routines(disassembly: str) -> dict[str, Routine]:
    """The functions of an image, by name."""
    found: dict[str, Routine] = {}
    name, start, end, code = "", 0, 0, []
    for line in [*disassembly.splitlines(), "ffffffff <end>:"]:
        if head := _HEAD.match(line):
            if name:
                found[name] = Routine(start, end, tuple(code))
            name, start, code = head[2], int(head[1], 16), []
        elif each := _LINE.match(line):
            end = int(each[1], 16) + len(each[2].replace(" ", "")) // 2
            code.append(each[3])
    return found


def reached(image: dict[str, Routine], name: str) -> set[str]:
    """A function and all that it calls, directly or not."""
    found, open_ = set(), [name]
    while open_:
        each = open_.pop()
        if each in image and each not in found:
            found.add(each)
            open_ += image[each].calls
    return found


def stack(image: dict[str, Routine], name: str, above: tuple[str, ...] = ()) -> int:
    """The deepest chain of frames below a function."""
    if name not in image or name in above:
        return 0
    below = [stack(image, each, (*above, name)) for each in image[name].calls]
    return image[name].frame + max(below, default=0)


def flash(image: dict[str, Routine], name: str) -> int:
    """Bytes of the code that a function reaches, its constants in line with it included."""
    return sum(image[each].end - image[each].start for each in reached(image, name))


def executed(image: dict[str, Routine], name: str, log: Path) -> int:
    """Instructions of a function and what it reaches, in the emulator's log of single steps."""
    inside = [(image[each].start, image[each].end) for each in reached(image, name)]
    steps = (int(match[1], 16) & ~1 for match in _TRACE.finditer(log.read_text()))
    return sum(any(start <= step < end for start, end in inside) for step in steps)


def _taken(line: str) -> int:
    if saved := _SAVED.match(line):
        return sum(map(_registers, saved[2].split(",")))
    lowered = _LOWERED.search(line)
    return int(lowered[1] or lowered[2]) if lowered else 0


def _registers(text: str) -> int:
    """Bytes of a register or of a range such as ``d8-d15``."""
    ends = [each.strip() for each in text.split("-")]
    width = 8 if ends[0].startswith("d") else 4
    return width * (int(ends[1][1:]) - int(ends[0][1:]) + 1 if len(ends) == 2 else 1)
