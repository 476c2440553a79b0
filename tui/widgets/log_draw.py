"""How one line of a log looks: its number, its time, whose it is, its stream, and the text with what was searched
for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from ...core.cockpit import LogLine
from ...core.domain.frozen import Frozen
from ...core.domain.text import one_line
from ..glyphs import Glyphs
from ..themes.theme import Palette
from .log_reader import Window
from .log_text import highlight, readable
from .pane import fit

_MAX_CHARACTERS = 8_000  # characters drawn of one line; the rest is still found and copied
_MAX_NAME_WIDTH = 14
_ROLES = ("run", "wait", "ok", "warn", "accent")

Drawn = tuple[list[Segment], list[Segment]]


class Look(Frozen):
    """What a line's look depends on. `hit` is the number of the line that a search stands on, `names` the cells for
    whose line it is, `owners` those whose lines they may be, in their order."""

    styles: Palette
    glyphs: Glyphs
    times: bool
    numbered: bool
    pattern: str
    hit: int | None
    window: Window
    names: int = 0
    owners: tuple[str, ...] = ()
    matched: Callable[[str], Sequence[tuple[int, int]]] | None = None
    """Where `pattern` stands in a text, where it is a regular expression."""
    selecting: bool = False
    """Whether the lines have a column for the cursor and what is selected."""
    cursor: int = -1
    """The row that the cursor is on, and `selected` those that are selected."""
    selected: range = range(0)

    def line(self, line: LogLine, index: int) -> Drawn:
        """(gutter, text) of the line in row `index`."""
        styles = self.styles
        gutter: list[Segment] = []
        if self.selecting:
            mark = "point" if index == self.cursor else "mark" if index in self.selected else ""
            gutter.append(Segment(self.glyphs[mark] if mark else " ", styles["accent!"]))
        if self.numbered:
            role = "faint" if line.number in self.window.around else "muted"
            gutter.append(Segment(f"{line.number + 1:>7} ", styles[role]))
        if self.times:
            at = (
                ""
                if line.at is None
                else time.strftime("%H:%M:%S", time.localtime(line.at)) + f".{round(line.at * 1000) % 1000:03d}"
            )
            gutter.append(Segment(f"{at:<12} ", styles["faint"]))
        if self.names:
            gutter.append(self._name(self.window.name(index)))
        mark = {"e": (self.glyphs["track"], "warn"), "p": (self.glyphs["point"], "accent")}.get(line.stream, (" ", ""))
        gutter += [Segment(mark[0], styles[mark[1]]), Segment(" ")]
        default = styles["accent"] if line.stream == "p" else styles[""]
        text = (
            line.text
            if len(line.text) <= _MAX_CHARACTERS
            else line.text[:_MAX_CHARACTERS] + f" … {len(line.text) - _MAX_CHARACTERS:,} more characters"
        )
        body = [
            Segment(
                one_line(piece),
                styles[role]
                if isinstance(role, str) and role
                else default
                if isinstance(role, str)
                else default + role,
            )
            for piece, role in readable(text)
        ]
        if self.pattern:
            here = line.number == self.hit
            body = highlight(body, self.pattern, styles["match"], current=here, matched=self.matched)
        return gutter, body

    def _name(self, name: str) -> Segment:
        """Each replica in a colour of its own, as far as there are colours."""
        place = self.owners.index(name) if name in self.owners else 0
        return Segment(fit(name, self.names, self.glyphs) + " ", self.styles[_ROLES[place % len(_ROLES)]])


def names_width(window: Window) -> int:
    """Cells that the names of the lines in a window need; 0 in the log of one."""
    return min(_MAX_NAME_WIDTH, max(map(len, set(window.names)), default=0))


def shifted(line: Drawn, left: int) -> list[Segment]:
    gutter, body = line
    if left:
        strip = Strip(body)
        body = list(strip.crop(left, max(left, strip.cell_length)))
    return [*gutter, *body]


def wrapped(line: Drawn, width: int) -> list[list[Segment]]:
    gutter, body = line
    indent = sum(cell_len(segment.text) for segment in gutter)
    room = max(10, width - indent)
    strip = Strip(body)
    if strip.cell_length <= room:
        return [[*gutter, *body]]
    cuts = _cuts("".join(segment.text for segment in body), room)
    pieces = strip.divide(cuts)
    blank = [Segment(" " * indent)]
    return [[*(gutter if number == 0 else blank), *piece] for number, piece in enumerate(pieces)]


def _cuts(text: str, room: int) -> list[int]:
    """Returns where a line is cut, in cells: after the last word that fits; within a word only where it is long."""
    cuts: list[int] = []
    start = cells = 0  # the cell at which the part begins, and those so far
    space = -1  # the cell after the last space of this part
    for letter in text:
        width = cell_len(letter)
        if cells + width - start > room:
            start = space if space > start + room // 3 else cells
            cuts.append(start)
            space = -1
        cells += width
        if letter == " ":
            space = cells
    return [*cuts, cells]
