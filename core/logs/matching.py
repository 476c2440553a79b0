"""Matches a regular expression that a person has typed, in a process of its own.

While Python matches it lets nothing else run, and an expression such as `(a+)+$` can take years for one line: in this
process the screen would stand still, and nothing could end it but a kill.
"""

from __future__ import annotations

import marshal
import re
import select
import signal
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    import subprocess

MAX_SECONDS = 10.0
"""How long one call may take."""
_LOOK_MILLISECONDS = 50


class Matcher:
    """An expression, and the process that matches it: started with the first call, and ended with `close`, with this
    object, or with the process that it is for. Used by one thread at a time; `close` may be called by any.

    Each call returns None if it was stopped, by `stop` or by `close`. Raises UsageError for an expression that takes
    more than `seconds`."""

    def __init__(self, pattern: str, *, ignore_case: bool = False, seconds: float = MAX_SECONDS) -> None:
        self.pattern = pattern
        self._flags = int(re.IGNORECASE if ignore_case else 0)
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[Any, Any] | None = None
        self._asking = self._closed = False

    def lines(self, data: bytes, *, quick: bool, stop: threading.Event | None = None) -> list[int] | None:
        """Returns where the lines of a piece of a log begin whose text matches. `quick`: a piece that does not match as
        a whole has no line that does."""
        return self._ask("lines", data, quick, stop)

    def texts(self, texts: Sequence[str], stop: threading.Event | None = None) -> list[bool] | None:
        """Returns of each text whether it matches."""
        return self._ask("texts", list(texts), None, stop)

    def spans(self, texts: Sequence[str], most: int) -> list[list[tuple[int, int]]] | None:
        """Returns of each text where the matches stand, at most `most` of them."""
        return self._ask("spans", list(texts), most, None)

    def close(self) -> None:
        """Ends a call that goes on; a process that has nothing to do is kept for the next expression."""
        self._closed = True
        process, end = self._process, self._end
        if process is None or end is None:
            return
        if self._asking:
            end()
        elif end.detach() is not None:
            _spare.put(process)

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, what: str, given: object, extra: object, stop: threading.Event | None) -> Any:
        if self._closed:
            return None
        process = self._started()
        self._asking = True
        try:
            return self._answer(process, (self.pattern, self._flags, what, self._seconds, given, extra), stop)
        except (OSError, EOFError, ValueError):
            self._ended()
            if self._closed:
                return None
            slow = process.returncode == -signal.SIGALRM
            said = (
                f"takes more than {self._seconds:g} s for one piece of this log" if slow else "cannot be matched here"
            )
            raise UsageError(
                f"{self.pattern!r} {said}",
                hint="an expression with repeats of repeats, such as (a+)+, tries every way to read a line",
            ) from None
        finally:
            self._asking = False

    def _answer(self, process: subprocess.Popen[bytes], request: Any, stop: threading.Event | None) -> Any:
        assert process.stdin is not None and process.stdout is not None
        marshal.dump(request, process.stdin)
        process.stdin.flush()
        reader = select.poll()
        reader.register(process.stdout, select.POLLIN | select.POLLHUP)
        while not reader.poll(_LOOK_MILLISECONDS):
            if stop is not None and stop.is_set():
                self._ended()
                return None
        return marshal.load(process.stdout)  # noqa: S302 - from a process of ours

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = _spare.take() or _start()
            self._end = weakref.finalize(self, _end, self._process)
        return self._process

    def _ended(self) -> None:
        """Ends the process; the next call starts another one."""
        if self._end is not None:
            self._end()
        self._process = None


class _Spare:
    """At most one process that waits for the next expression: whoever goes from hit to hit waits for no start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def take(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            process, self._process = self._process, None
        return process if process is not None and process.poll() is None else None

    def put(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            before, self._process = self._process, process
        if before is not None:
            _end(before)


_spare = _Spare()


def _start() -> subprocess.Popen[bytes]:
    import subprocess

    return subprocess.Popen(
        [sys.executable, "-P", "-m", "podium.core.logs.matching_main"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass  # a request that it did not read
