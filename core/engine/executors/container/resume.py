"""How much of a container's output already stands in a step's log that an earlier worker wrote, so that a container
which is taken over goes on where its log stops."""

from __future__ import annotations

from pathlib import Path

from ....logs.format import output_of
from .create import LOG_BYTES
from .output import Passed


def passed_before(log: Path, container: str) -> Passed:
    """`container` is the beginning of its id, as the line says that its output begins after. Nothing was passed on
    where there is no such line."""
    passed = Passed()
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
                        passed.lines[number] += 1
                        passed.begun[number] = b""
                    else:
                        passed.begun[number] += text.removesuffix(b"\n")
    except OSError:
        return Passed()
    if status.st_size > LOG_BYTES:
        # The engine keeps less than that: counting from its beginning would count lines that are gone.
        return Passed(since=status.st_mtime - 1.0)
    return passed
