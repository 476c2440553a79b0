"""What the processes that Podium starts for itself have in common: how they end, and with whom."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from .errors import PodiumError

if TYPE_CHECKING:
    import subprocess

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# `python -c EXEC_WITH_PARENT PARENT PROGRAM ARGUMENTS`: becomes PROGRAM, which the kernel sends SIGTERM (15) when the
# process PARENT ends in whatever way.
EXEC_WITH_PARENT = (
    "import ctypes, os, sys\n"
    f"try: ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, 15, 0, 0, 0)\n"
    "except (OSError, AttributeError): pass\n"
    "os.getppid() == int(sys.argv[1]) or os._exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class Unattended:
    """Processes that nobody waits for. A long-lived process must not collect zombies, so `reap` is called before
    another one is started."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def add(self, process: subprocess.Popen[bytes]) -> None:
        self._processes.append(process)

    def reap(self) -> None:
        """Takes note of those that have ended."""
        self._processes = [each for each in self._processes if each.poll() is None]


def tell(text: str, stream: TextIO | None = None) -> None:
    """Writes a line to standard output, or another stream, at once. Nobody to read it, or no room for it, is no error:
    what is being done is not left half done because of what is said about it."""
    into = sys.stdout if stream is None else stream
    try:
        print(text, file=into, flush=True)
    except UnicodeEncodeError:
        # A name that is not UTF-8, or a stream that is not: what is said about it must not end what is being done.
        tell(text.encode(into.encoding or "ascii", "backslashreplace").decode(into.encoding or "ascii"), into)
    except BrokenPipeError:
        # Else the rest of the line is tried again at exit, which then counts as a failure.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, into.fileno())
        os.close(nothing)
    except OSError:
        pass  # what is in the stream's buffer is written with a later line


def run_main(work: Callable[[], object], shown: Callable[[str], str] = str) -> int:
    """Runs the work of a child process and returns its exit code. A PodiumError goes to standard error, its message
    in the first line and its hint in the second: for a process that reads them, or as `shown` makes them for a
    person."""
    try:
        work()
    except PodiumError as error:
        tell(shown(f"{error.message}\n{error.hint}".rstrip()), sys.stderr)
        return error.exit_code
    return 0


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> bool:
    """Has the kernel send a signal to this process when the one that started it ends in whatever way (Linux)."""
    return _prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> bool:
    """Makes this process the parent of every descendant whose own parent ends (Linux), so that none escapes by
    forking twice."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        return ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False
