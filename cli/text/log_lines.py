"""Lines of logs on standard output: as text, or as one JSON object per line."""

from __future__ import annotations

from enum import StrEnum

from ...core.cockpit import LogLine
from ...core.domain.frozen import Frozen
from ...core.domain.text.format import moment
from . import output


class Stream(StrEnum):
    ALL = "all"
    OUT = "out"
    ERR = "err"
    PODIUM = "podium"


_LETTERS = {"o": Stream.OUT, "e": Stream.ERR, "p": Stream.PODIUM}
_NO_TIME = " " * len("2026-11-23T10:11:12.345Z")


class LineWriter(Frozen):
    """Writes the lines of one log, or of several."""

    source: str
    """What a log belongs to, and its key in JSON: `step` or `replica`."""
    several: bool
    """Whether each line of text begins with the name of its log."""
    timestamps: bool
    """Whether each line of text begins with its time."""
    stream: Stream
    """Lines of other streams are left out."""
    json: bool

    def wants(self, line: LogLine) -> bool:
        return self.stream is Stream.ALL or _LETTERS.get(line.stream) is self.stream

    def write(self, log: str, line: LogLine) -> None:
        if not self.wants(line):
            return
        if self.json:
            number = {"number": line.number} if self.source == "step" else {}
            stream = _LETTERS.get(line.stream, Stream.OUT).value
            output.json_line({self.source: log, **number, "at": moment(line.at), "stream": stream, "text": line.text})
            return
        at = f"{moment(line.at) or _NO_TIME} " if self.timestamps else ""
        name = f"{log} | " if self.several else ""
        output.logged(line.text, at + name)
