"""The standard streams of a command: what becomes of data that cannot be written, and of words that nobody can read.

A lost line of data is an error with an exit code of its own. It must not be an OSError with EPIPE: Typer turns that
into exit code 1 before anybody else sees it. Words on standard error are never worth an error.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIPE_CLOSED = 141  # what a shell reports for a process that SIGPIPE ended
CANNOT_WRITE = 5  # ExitCode.UNREACHABLE, which takes an import that `--version` does without


class OutputLost(OSError):
    """Standard output took no more. Its errno is not set, see above; `number` is the one of the failed write."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number

    @property
    def exit_code(self) -> int:
        return PIPE_CLOSED if self.number == errno.EPIPE else CANNOT_WRITE

    @property
    def message(self) -> str:
        """Returns a sentence; an empty one if the reader went away, which is nobody's error."""
        if self.number == errno.EPIPE:
            return ""
        why = "it is closed" if self.number == errno.EBADF else os.strerror(self.number)
        return f"standard output cannot be written: {why}"


class _Descriptor(io.RawIOBase):
    """The file descriptor below a stream. After one write has failed, the others do nothing: what is still in a buffer
    when the process ends is not tried again."""

    def __init__(self, number: int, *, given: bool, words: bool) -> None:
        self._number = number
        self._given = given
        self._words = words
        self._lost = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self._given and os.isatty(self._number)

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._lost:
            try:
                return self._write(data)
            except OSError as error:
                self.lose(error.errno or errno.EIO)
        return memoryview(data).nbytes

    def lose(self, number: int) -> None:
        """Writes nothing any more, and raises OutputLost for data."""
        self._lost = True
        if not self._words:
            raise OutputLost(number)

    def _write(self, data: ReadableBuffer) -> int:
        if not self._given:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        while True:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another program has made the terminal or pipe so
                import select

                poll = select.poll()
                poll.register(self._number, select.POLLOUT)
                poll.poll()

    def reader_is_gone(self) -> bool:
        """Tells whether nobody reads the pipe any more; without that, only the next line would find out."""
        import select

        poll = select.poll()
        poll.register(self._number, 0)
        return self._given and any(what & select.POLLERR for _, what in poll.poll(0))


@contextlib.contextmanager
def guarded_streams() -> Iterator[None]:
    """Writes to standard output raise OutputLost, writes to standard error raise nothing. What cannot be encoded is
    escaped. A stream that a test has put in place of a standard one stays as it is."""
    before = sys.stdout, sys.stderr
    _fill_the_first_descriptors()
    sys.stdout = _stream(sys.stdout, 1, words=False)
    sys.stderr = _stream(sys.stderr, 2, words=True)
    try:
        yield
        sys.stdout.flush()
    finally:
        for ours, theirs in zip((sys.stdout, sys.stderr), before, strict=True):
            if ours is not theirs:
                with contextlib.suppress(OSError, ValueError):
                    ours.flush()
        sys.stdout, sys.stderr = before


def check_reader() -> None:
    """Raises OutputLost if nobody reads standard output any more."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Descriptor) and raw.reader_is_gone():
        raw.lose(errno.EPIPE)


def _fill_the_first_descriptors() -> None:
    """Opens what the caller has closed (`>&-`): else the next file that is opened takes its number, and what some
    child then prints is written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)


def _stream(given: io.TextIOBase | None, number: int, *, words: bool) -> io.TextIOBase:
    if given is not None and not (type(given) is io.TextIOWrapper and _is_descriptor(given, number)):
        return given
    raw = _Descriptor(number, given=given is not None, words=words)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(given, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=words or raw.isatty(),
        write_through=getattr(given, "write_through", False),
    )


def _is_descriptor(given: io.TextIOBase, number: int) -> bool:
    try:
        return given.fileno() == number
    except (OSError, ValueError):
        return False
