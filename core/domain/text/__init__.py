"""Text that came from steps, models and hosts, made safe to show: nothing in it can steer the terminal or read as
something else. The one place where that is decided.

`clean` gives a line as a terminal would leave it, with its tabs; `parse_sgr` gives the same text and where the colours
stood; `one_line` makes one line of a text of several, for cells, titles and messages; `unbroken` is for a line that was
put together, before it is written.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from ..frozen import Frozen

# One colour: a number of the 256-colour palette, or red, green, blue.
Colour = int | tuple[int, int, int]


class Style(Frozen):
    foreground: Colour | None = None
    background: Colour | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


PLAIN = Style()
_MOST_DIGITS = 18  # of a number that SQLite can hold
_MAX_CODES = 32
Span = tuple[int, int, Style]

# In the order tried: strings that a terminal swallows whole (OSC, DCS, SOS, PM, APC; up to the end of the text where
# unterminated), CSI sequences, other escapes, and 8-bit forms of the same. What is left over of controls is dropped
# letter by letter.
_BEGIN = r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])"
_STRING = rf"{_BEGIN}[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|(?=\x1b)|$)"
_ENDS = ("\x07", "\x1b\\", "\x9c")
_CSI = r"(?:\x1b\[|\x9b)([0-?]*)([ -/]*)([@-~]|$|(?=[^ -~]))"
_OTHER = r"\x1b[ -/]*[0-~]?"
_ESCAPES = re.compile(f"{_STRING}|{_CSI}|{_OTHER}")
_BEGINNING = re.compile(_BEGIN)
# Controls but tab and carriage return; marks of direction, which make a text read as another one; marks without width
# and tags, which hide in names. Joiners stay: emoji and several scripts are written with them.
_HIDDEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
_UNWANTED = re.compile(f"[{_HIDDEN}]")
_BREAKS = re.compile("[\n\u2028\u2029]")
# Looked for only where a row of carriage returns begins: a long one would be read again from each of them.
_LINE_ENDS = re.compile("(?<!\r)\r*[\n\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INTERESTING = re.compile(f"[{_HIDDEN}\n\r\u2028\u2029\ud800-\udfff]")


def clean(text: str) -> str:
    """One line of plain text: no escapes, no control characters but tab, line breaks as spaces, and of what a
    carriage return wrote over only the last state (a progress bar shows where it is)."""
    if not _INTERESTING.search(text):
        return text
    return _last_state(_plain(_ESCAPES.sub("", _written_over(text))))


def visible(text: str) -> str:
    """Returns one line in which everything that a terminal would obey or hide is written out (`^[`, `^M`, `<U+202E>`):
    for texts that are read to be judged, such as a diff, where nothing may be missing. Tabs stay."""
    return _INTERESTING.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"^{chr(number ^ 0x40)}" if number < 0x20 or number == 0x7F else f"<U+{number:04X}>"


def whole_number(text: str) -> int | None:
    """Returns the number that a text of digits says; None for any other text, and for more digits than a number of the
    journal has."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def one_line(text: str) -> str:
    """Returns a text of any number of lines as one line: every line cleaned, breaks and tabs as one space each."""
    if text.isprintable():
        return text
    return " ".join(clean(line) for line in _LINE_ENDS.split(text.rstrip("\r\n"))).replace("\t", " ")


def unbroken(text: str) -> str:
    """Returns a line that was put together of several texts: cleaned, and nothing that one of them brings writes over
    or hides the others. A line break or a carriage return is a space, a backspace is left out. Tabs stay."""
    if not _INTERESTING.search(text):
        return text
    text = _LINE_ENDS.sub(" ", text.rstrip("\r\n")).replace("\r", " ").replace("\b", "")
    return _plain(_ESCAPES.sub(_left_open, text))


def _left_open(found: re.Match[str]) -> str:
    """Returns what of an escape stays in a line that was put together: what follows the beginning of a string without
    an end is the rest of the line."""
    begin = _BEGINNING.match(found[0])
    return "" if begin is None or found[0].endswith(_ENDS) else found[0][begin.end() :]


_TRACEBACK = "Traceback (most recent call last):"
# That of an exception group has a margin: a plus where it begins, then bars.
_GROUP = f"+ Exception Group {_TRACEBACK}"
# Lines that come last and say only that something before them failed: rulers, and the last words of make and of R.
_SAYS_NOTHING = re.compile(r"[\W_]*$|make(?:\[\d+\])?: \*\*\* .* Error \d+$|Execution halted$")


def telling_line(text: str) -> str:
    """Returns the line of some output that says why it ended: of a Python traceback the one with the error, whatever
    was printed after it, else the last one that says something; empty if there is none."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    begins = max((number for number, line in enumerate(lines) if line.strip() in (_TRACEBACK, _GROUP)), default=None)
    if begins is not None:
        if lines[begins].strip() == _GROUP:
            lines[begins:] = [line.replace("+ " if line.strip() == _GROUP else "| ", "", 1) for line in lines[begins:]]
        margin = len(lines[begins]) - len(lines[begins].lstrip())
        for line in lines[begins + 1 :]:
            if len(line) - len(line.lstrip()) <= margin:
                return line.strip()
    telling = [line for line in lines if not _SAYS_NOTHING.match(line)] or lines
    return telling[-1].strip() if telling else ""


def parse_sgr(text: str) -> tuple[str, list[Span]]:
    """(`clean(text)`, spans): each span is (start, end, style) of a stretch that is not plain, in order, without
    overlap."""
    if not _INTERESTING.search(text):
        return text, []
    text = _written_over(text)
    pieces: list[str] = []
    spans: list[Span] = []
    style = PLAIN
    length = at = 0
    for match in [*_ESCAPES.finditer(text), None]:
        piece = _plain(text[at : match.start() if match else len(text)])
        if piece:
            if style is not PLAIN:
                spans.append((length, length + len(piece), style))
            pieces.append(piece)
            length += len(piece)
        if match:
            at = match.end()
            if match[3] == "m" and not match[2]:
                style = _applied(style, match[1])
    plain = "".join(pieces)
    kept = _last_state(plain)
    if kept != plain:
        # What is kept is one stretch of the whole: everything after the last carriage return that was followed by
        # something.
        start = len(plain.rstrip("\r")) - len(kept)
        end = start + len(kept)
        spans = [
            (max(low, start) - start, min(high, end) - start, one)
            for low, high, one in spans
            if high > start and low < end
        ]
    return kept, spans


def _written_over(text: str) -> str:
    """Returns a text in which what follows backspaces stands in the place of what it wrote over, as on a terminal.
    Escapes stay, before the letter that they came before."""
    if "\b" not in text:
        return text
    cells: list[str] = []
    at = end = 0
    waiting = ""
    for match in [*_ESCAPES.finditer(text), None]:
        for letter in text[end : match.start() if match else len(text)]:
            if letter == "\b":
                at -= 1 if at and cells[at - 1][-1] != "\r" else 0
            else:
                cells[at : at + 1] = [waiting + letter]
                at, waiting = at + 1, ""
        if match:
            end, waiting = match.end(), waiting + match[0]
    return "".join(cells) + waiting


def _plain(text: str) -> str:
    return _SURROGATES.sub("\ufffd", _BREAKS.sub(" ", _UNWANTED.sub("", text)))


def _last_state(text: str) -> str:
    return text.rstrip("\r").rpartition("\r")[2]


# A program uses few colours: most sequences were seen before.
@lru_cache(maxsize=512)
def _applied(style: Style, parameters: str) -> Style:
    """The style after `CSI parameters m`. What is not known changes nothing."""
    written = re.split("[;:]", parameters, maxsplit=_MAX_CODES)[:_MAX_CODES]
    codes = [
        int(code) if code.isascii() and code.isdigit() and len(code) < 6 else (0 if not code else -1)
        for code in written
    ]
    at = 0
    while at < len(codes):
        code = codes[at]
        if code in (38, 48):
            colour, used = _colour(codes[at + 1 :])
            if colour is not None:
                style = replace(style, foreground=colour) if code == 38 else replace(style, background=colour)
            at += used
        else:
            style = _simple(style, code)
        at += 1
    return PLAIN if style == PLAIN else style


_SWITCHES = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
}


def _simple(style: Style, code: int) -> Style:
    if code == 0:
        return PLAIN
    if code in _SWITCHES:
        return replace(style, **_SWITCHES[code])
    if 30 <= code <= 37 or 90 <= code <= 97:
        return replace(style, foreground=code - 30 if code < 40 else code - 82)
    if 40 <= code <= 47 or 100 <= code <= 107:
        return replace(style, background=code - 40 if code < 50 else code - 92)
    if code == 39:
        return replace(style, foreground=None)
    if code == 49:
        return replace(style, background=None)
    return style


def _colour(rest: list[int]) -> tuple[Colour | None, int]:
    """The colour that follows 38 or 48, and how many codes it took."""
    if len(rest) >= 2 and rest[0] == 5:
        return (rest[1] if 0 <= rest[1] <= 255 else None), 2
    if len(rest) >= 4 and rest[0] == 2:
        red, green, blue = rest[1:4]
        return ((red, green, blue) if all(0 <= part <= 255 for part in rest[1:4]) else None), 4
    return None, len(rest)
