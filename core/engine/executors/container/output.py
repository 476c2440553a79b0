"""What a container prints, passed on as it comes, from its first byte to its last; also when the connection to the
engine was lost in between.

While it runs the engine hands its output over directly (attach): nothing is read back from a disk, and a reader that
is slow slows the container down instead of losing lines. After a lost connection, or when the container is taken
over from a worker that died, the engine's own record of the output is read instead, past what was passed on already.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ....containers.engine.client import Engine
from ....containers.engine.hijack import Frames
from ....containers.engine.stream import Stream
from ....errors import NotFound, PodiumError, RunFailed, Unreachable
from .create import LOG_BYTES

_CHUNK = 1 << 18
_SHORT = 2
# An engine that went away (restarted, a cut line) is waited for so long; the container usually outlives that.
PATIENCE = 120.0
_AGAIN = 0.5
_WORDS = 200


@dataclass(slots=True)
class Passed:
    """How much of each stream (1 output, 2 errors) was passed on. `bytes` counts what this process passed on or
    skipped; `lines` and `begun` (the beginning of the line after them) are what an earlier one had passed on.
    `since` (seconds since the epoch) is used instead, once the output is longer than the engine's record of it."""

    bytes: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    lines: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    begun: dict[int, bytes] = field(default_factory=lambda: {1: b"", 2: b""})
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class End:
    """`exit_code` is the container's; `out_of_memory` whether the kernel ended something in it for want of memory;
    `lost` whether the engine was away for a while, and so may have ended it."""

    exit_code: int
    out_of_memory: bool
    error: str = ""
    lost: bool = False


class Lost(Unreachable):
    """The engine went away and did not come back; the container may still run there."""


class Follower:
    """Passes one container's output on to this process's own standard output and standard error. BrokenPipeError
    when nobody reads them. `last_words` are the last bytes of what it wrote on standard error."""

    def __init__(self, engine: Engine, container: str, *, passed: Passed | None = None) -> None:
        self.engine = engine
        self._container = container
        self._passed = passed or Passed()
        self.last_words = b""

    def live(self, line: socket.socket, early: bytes) -> bool:
        """All that comes over an attached connection; whether it ended as it should."""
        frames = Frames()
        with closing(line):
            data = early
            while True:
                for stream, piece in frames.feed(data):
                    self._write(stream, piece)
                try:
                    data = line.recv(_CHUNK)
                except OSError:
                    return False
                if not data:
                    return True

    def record(self) -> None:
        """All that the engine has recorded and was not passed on, and then what comes, until the container ends or
        the connection does."""
        frames = Frames()
        since = self._passed.since
        skip = {1: 0, 2: 0} if since else dict(self._passed.bytes)
        query: dict[str, Any] = {"follow": 1, "stdout": 1, "stderr": 1, **({"since": f"{since:.9f}"} if since else {})}
        with Stream(
            self.engine, f"/containers/{self._container}/logs", query, what="following the container"
        ) as record:
            while data := record.read():
                for stream, piece in frames.feed(data):
                    rest = self._unseen(stream, piece, skip)
                    if len(rest):
                        self._write(stream, rest)

    def _unseen(self, stream: int, piece: memoryview, skip: dict[int, int]) -> memoryview:
        passed = self._passed
        gone = min(skip[stream], len(piece))
        skip[stream] -= gone
        rest = piece[gone:]
        while passed.lines[stream] and len(rest):
            end = bytes(rest).find(b"\n") + 1 or len(rest)
            passed.lines[stream] -= bytes(rest[end - 1 : end]) == b"\n"
            passed.bytes[stream] += end
            rest = rest[end:]
        begun = passed.begun[stream]
        if begun and len(rest):
            passed.begun[stream] = b""
            if bytes(rest[: len(begun)]) == begun:
                passed.bytes[stream] += len(begun)
                rest = rest[len(begun) :]
        return rest

    def _write(self, stream: int, piece: memoryview) -> None:
        self._passed.bytes[stream] += len(piece)
        if stream == 2:
            self.last_words = (self.last_words + piece[-_WORDS:])[-_WORDS:]
        rest = piece
        while len(rest):
            rest = rest[os.write(stream, rest) :]
        if sum(self._passed.bytes.values()) > LOG_BYTES:
            # A second is repeated rather than lost.
            self._passed.since = time.time() - 1.0

    # How it ended

    def ended(self) -> End | None:
        """How the container ended; None while it runs. NotFound when it was removed."""
        state = self.engine.inspect(self._container)["State"]
        if state.get("Running") or state.get("Status") in ("created", "restarting", "removing"):
            return None
        return End(int(state.get("ExitCode") or 0), bool(state.get("OOMKilled")), str(state.get("Error") or ""))

    def just_ended(self) -> End | None:
        """Like `ended`, but gives an engine that is about to say so a moment: output ends a little before the
        container does."""
        deadline = time.monotonic() + _SHORT
        while True:
            found = self.ended()
            if found is not None or time.monotonic() > deadline:
                return found
            time.sleep(0.01)


def follow(
    follower: Follower,
    line: tuple[socket.socket, bytes] | None,
    *,
    reopen: Callable[[], Engine],
    say: Callable[[str], None],
) -> End:
    """Pass everything on until the container has ended, whatever happens to the connection. `line` is an attached
    connection and what came with it; without one the engine's record is read from its beginning. Lost when the
    engine does not come back, RunFailed when the container was removed."""
    whole = follower.live(*line) if line is not None else False
    lost_at: float | None = None
    lost = False
    while True:
        try:
            if not whole:
                follower.record()
            end = follower.just_ended()
            if lost_at is not None:
                say("the engine answers again")
            if end is not None:
                return replace(end, lost=lost)
            whole, lost_at = False, None
        except NotFound as error:
            raise RunFailed("the container was removed by somebody else while the step ran") from error
        except PodiumError as error:
            whole, lost = False, True
            if lost_at is None:
                lost_at = time.monotonic()
                # What was being asked just then says nothing to a person.
                say(f"{error.message.partition(': ')[2] or error.message}: waiting for it")
            if time.monotonic() - lost_at > PATIENCE:
                raise Lost(
                    f"the engine was away for more than {PATIENCE:g} s", hint="`podium resume` takes the container over"
                ) from error
            time.sleep(_AGAIN)
            with suppress(PodiumError):
                follower.engine = reopen()
