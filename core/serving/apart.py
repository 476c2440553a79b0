"""Predicts a request in a child of the replica, which may die over it: what it loaded is there at once, and the
replica goes on answering others."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import marshal
import os
import select
import signal
import stat
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from .scoring import INTERNAL, ScoringAnswer

_LENGTH = struct.Struct("<Q")
_PR_SET_PDEATHSIG = 1
# A fork copies locks as they are: while the model predicts, some of its own may be held. One that hangs is not waited
# for longer; whether the child hangs only because of such a lock cannot be known then.
_TURN_SECONDS = 0.5


class Died(Exception):
    """The child ended without an answer; the text says how, in words."""


class NoChild(Exception):
    """No child could be started, or it could not answer for a reason that may not be the request."""


def predict(work: Callable[[], ScoringAnswer], seconds: float, turn: threading.Lock) -> ScoringAnswer:
    """Returns what `work` answers in a child. `turn` is held while this process predicts. Raises Died if the child
    ends, or takes longer than `seconds` and is ended; NoChild if there is none, or if it took so long and may have
    waited for a prediction of this process.

    To be called in a thread that has never predicted: OpenMP keeps its threads by the thread that used them, and
    would wait in the child for ones that are not there.
    """
    deadline = time.monotonic() + seconds
    reading, writing = os.pipe()
    parent = os.getpid()
    taken = turn.acquire(timeout=min(_TURN_SECONDS, seconds))
    try:
        child = os.fork()
        if child == 0:
            _child(work, writing, parent)
    except OSError as error:
        os.close(reading)
        raise NoChild(str(error)) from error
    finally:
        if taken:
            turn.release()
        os.close(writing)
    data = _read(reading, deadline)
    os.close(reading)
    late = data is None and time.monotonic() >= deadline
    if data is not None or late:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    status = _wait(child)
    if late and not taken:
        raise NoChild("it began while the model predicted, and may have waited for that")
    if data is None:
        raise Died(f"it had not answered after {seconds:g} s" if late else ended(status))
    code, body, media_type, rows = marshal.loads(data)  # noqa: S302 - written by our own child
    return ScoringAnswer(code, body, media_type, rows)


def ended(status: int | None) -> str:
    """Returns in words how a process ended; `status` is that of `waitpid`."""
    code = None if status is None else os.waitstatus_to_exitcode(status)
    if code is None:
        return "it ended"
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it ended by signal {-code}"


def _read(pipe: int, deadline: float) -> bytes | None:
    """Returns what the child wrote; None if it is not whole by the deadline or by its end."""
    data = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            piece = os.read(pipe, 1 << 20)
            if not piece:
                break
            data += piece
            if len(data) >= _LENGTH.size and len(data) - _LENGTH.size >= _LENGTH.unpack_from(data)[0]:
                return bytes(data[_LENGTH.size :])
    return None


def _wait(child: int) -> int | None:
    try:
        return os.waitpid(child, 0)[1]
    except ChildProcessError:
        return None  # the model waits for its own children, and took this one


def _child(work: Callable[[], ScoringAnswer], pipe: int, parent: int) -> NoReturn:
    try:
        _settle(parent)
        try:
            answer = work()
        except (Exception, SystemExit):
            answer = INTERNAL
        data = marshal.dumps((answer.status, answer.body, answer.media_type, answer.rows))
        data = _LENGTH.pack(len(data)) + data
        while data:
            data = data[os.write(pipe, data) :]
    finally:
        os._exit(0)


def _settle(parent: int) -> None:
    """Leaves the replica's clients and address to the replica, ends with it, and is what the kernel ends first when
    memory is short."""
    gc.disable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for name in _descriptors():
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(name).st_mode):
                os.close(name)


def _descriptors() -> list[int]:
    try:
        return [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    except OSError:
        return []
