"""Reads a job's log: frames of the program on the node become the step's own output, everything else is Ray's."""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ....logs.format import output_of
from .remote import MARK

_DESCRIPTOR = {b"o": 1, b"e": 2}
# What Ray itself writes into the log of every job.
_USUAL = re.compile(rb"INFO job_manager\.py|^Running entrypoint for job ")
_MAX_LINE = 4096


class JobOutput:
    """Is given a job's log from its beginning, as often as one likes, and passes each byte on once. `code` is the
    command's exit code, once the log's last frame has come."""

    def __init__(self, say: Callable[[str], None], tar: IO[bytes], *, skip: dict[int, int] | None = None) -> None:
        """`skip` is descriptor -> how many lines of it an earlier worker has passed on."""
        self.code: int | None = None
        self._say, self._tar = say, tar
        self._skip = dict(skip or {})
        self._taken = 0
        self._rest = b""
        self._lock = threading.Lock()

    def reading(self) -> Reading:
        """Returns what one reading of the log, from its beginning, is written into."""
        return Reading(self)

    def take(self, position: int, data: bytes) -> None:
        """Takes bytes that stand at a position of the log; what has been taken before is left out."""
        with self._lock:
            new = data[max(0, self._taken - position) :]
            if position > self._taken or not new:
                return
            self._taken += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            for line in lines:
                self._line(line)

    def _line(self, line: bytes) -> None:
        before, mark, frame = line.partition(MARK)
        if not mark:
            if line.strip() and not _USUAL.search(line):
                self._say(f"ray: {line[:_MAX_LINE].decode('utf-8', 'replace')}")
            return
        if before.strip():
            self._say(f"ray: {before[:_MAX_LINE].decode('utf-8', 'replace')}")
        try:
            kind, data = frame[:1], base64.b64decode(frame[1:], validate=True)
        except (binascii.Error, ValueError):
            return
        if kind in _DESCRIPTOR:
            self._pass_on(_DESCRIPTOR[kind], data)
        elif kind == b"t":
            self._tar.write(data)
        elif kind == b"x":
            self.code = int(data)

    def _pass_on(self, descriptor: int, data: bytes) -> None:
        while self._skip.get(descriptor):
            _, end, data = data.partition(b"\n")
            if not end:
                return
            self._skip[descriptor] -= 1
        while data:
            data = data[os.write(descriptor, data) :]


class Reading:
    """A file that takes the log from its beginning."""

    def __init__(self, output: JobOutput) -> None:
        self._output, self._position = output, 0

    def write(self, data: bytes) -> int:
        self._output.take(self._position, bytes(data))
        self._position += len(data)
        return len(data)


def passed_on(log: Path, mark: str) -> dict[int, int]:
    """Returns descriptor -> how many lines of the job stand in the step's log, after the line `mark`."""
    lines = {1: 0, 2: 0}
    begun = False
    try:
        with log.open("rb") as file:
            for record in file:
                number, continues, text = output_of(record)
                if number == 1 and not continues and text.startswith(mark.encode()):
                    begun, lines = True, {1: 0, 2: 0}
                elif begun and number in lines and not continues and not text.startswith(b"ray: "):
                    lines[number] += 1
    except OSError:
        return {}
    return lines if begun else {}
