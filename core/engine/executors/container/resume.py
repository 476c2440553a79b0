"""Finds how much of a container's output an earlier worker has written to a step's log, so that a container that is
taken over continues where its log stops."""

from __future__ import annotations

from pathlib import Path

from ....logs.format import output_of
from .create import LOG_BYTES
from .output import ForwardedOutput


def forwarded_before(log: Path, container: str) -> ForwardedOutput:
    """Returns how much of the container's output stands in the log. `container` is the beginning of its id, in the line
    after which its output begins; where there is no such line, nothing of it stands there."""
    forwarded = ForwardedOutput()
    mark = f"container {container}".encode()
    begun = False
    try:
        status = log.stat()
        with log.open("rb") as file:
            for record in file:
                number, continues, text = output_of(record)
                if text.startswith(mark) and number == 1 and not continues:
                    begun = True
                elif begun and number:
                    if not continues:
                        forwarded.lines[number] += 1
                        forwarded.begun[number] = b""
                    else:
                        forwarded.begun[number] += text.removesuffix(b"\n")
    except OSError:
        return ForwardedOutput()
    if status.st_size > LOG_BYTES:
        # The engine keeps less than that: counting from its beginning would count lines that are gone.
        return ForwardedOutput(since=status.st_mtime - 1.0)
    return forwarded
