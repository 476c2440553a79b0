"""Follows a container's output, from its first byte to its last; also when the connection to the engine was lost in
between.

While it runs the engine hands its output over directly (attach): nothing is read back from a disk, and a reader that
is slow slows the container down instead of losing lines. After a lost connection, or when the container is taken
over from a worker that died, the engine's own record of the output is read instead, past what was written already.
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
from ....containers.engine.hijack import FrameSplitter
from ....containers.engine.stream import Stream
from ....errors import NotFound, PodiumError, RunFailed, Unreachable
from .create import LOG_BYTES
from .ending import ContainerEnd

CHUNK_BYTES = 1 << 18
# A container's output ends a little before the engine says that the container did.
END_TIMEOUT = 2.0
# How long an engine that went away (restarted, a cut connection) is waited for; the container usually outlives that.
ENGINE_TIMEOUT = 120.0
RETRY_INTERVAL = 0.5
LAST_WORDS_BYTES = 200


@dataclass(slots=True)
class ForwardedOutput:
    """How much of each stream (1 output, 2 errors) has been written. `bytes` counts what this process wrote or
    skipped; `lines` and `begun` (the beginning of the next line) are what an earlier worker had written. `since`
    (seconds since the epoch) is used instead once the output is longer than the engine's record of it."""

    bytes: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    lines: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    begun: dict[int, bytes] = field(default_factory=lambda: {1: b"", 2: b""})
    since: float = 0.0


class EngineLost(Unreachable):
    """Raised when the engine went away and did not come back; the container may still be running there."""


class OutputFollower:
    """Writes one container's output to this process's own standard output and standard error. BrokenPipeError when
    they are closed. `last_words` are the last bytes of standard error."""

    def __init__(self, engine: Engine, container: str, *, forwarded: ForwardedOutput | None = None) -> None:
        self.engine = engine
        self._container = container
        self._forwarded = forwarded or ForwardedOutput()
        self.last_words = b""

    def live(self, line: socket.socket, early: bytes) -> bool:
        """Writes all that comes over an attached connection; returns whether it ended as it should."""
        frames = FrameSplitter()
        with closing(line):
            data = early
            while True:
                for stream, piece in frames.feed(data):
                    self._write(stream, piece)
                try:
                    data = line.recv(CHUNK_BYTES)
                except OSError:
                    return False
                if not data:
                    return True

    def record(self) -> None:
        """Writes all that the engine has recorded and was not written yet, and then what comes, until the container or
        the connection ends."""
        frames = FrameSplitter()
        since = self._forwarded.since
        skip = {1: 0, 2: 0} if since else dict(self._forwarded.bytes)
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
        forwarded = self._forwarded
        gone = min(skip[stream], len(piece))
        skip[stream] -= gone
        rest = piece[gone:]
        while forwarded.lines[stream] and len(rest):
            end = bytes(rest).find(b"\n") + 1 or len(rest)
            forwarded.lines[stream] -= bytes(rest[end - 1 : end]) == b"\n"
            forwarded.bytes[stream] += end
            rest = rest[end:]
        begun = forwarded.begun[stream]
        if begun and len(rest):
            forwarded.begun[stream] = b""
            if bytes(rest[: len(begun)]) == begun:
                forwarded.bytes[stream] += len(begun)
                rest = rest[len(begun) :]
        return rest

    def _write(self, stream: int, piece: memoryview) -> None:
        self._forwarded.bytes[stream] += len(piece)
        if stream == 2:
            self.last_words = (self.last_words + piece[-LAST_WORDS_BYTES:])[-LAST_WORDS_BYTES:]
        rest = piece
        while len(rest):
            rest = rest[os.write(stream, rest) :]
        if sum(self._forwarded.bytes.values()) > LOG_BYTES:
            # A second is repeated rather than lost.
            self._forwarded.since = time.time() - 1.0

    # How it ended

    def ended(self) -> ContainerEnd | None:
        """Returns how the container ended; None while it runs. NotFound when it was removed."""
        state = self.engine.inspect(self._container)["State"]
        if state.get("Running") or state.get("Status") in ("created", "restarting", "removing"):
            return None
        return ContainerEnd(
            int(state.get("ExitCode") or 0), bool(state.get("OOMKilled")), str(state.get("Error") or "")
        )

    def just_ended(self) -> ContainerEnd | None:
        """Returns what `ended` does, but waits a moment (END_TIMEOUT) for an engine that is about to say so."""
        deadline = time.monotonic() + END_TIMEOUT
        while True:
            found = self.ended()
            if found is not None or time.monotonic() > deadline:
                return found
            time.sleep(0.01)


def follow(
    follower: OutputFollower,
    line: tuple[socket.socket, bytes] | None,
    *,
    reopen: Callable[[], Engine],
    say: Callable[[str], None],
) -> ContainerEnd:
    """Pass everything on until the container has ended, whatever happens to the connection. `line` is an attached
    connection and what came with it; without one the engine's record is read from its beginning. EngineLost when the
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
            if time.monotonic() - lost_at > ENGINE_TIMEOUT:
                raise EngineLost(
                    f"the engine was away for more than {ENGINE_TIMEOUT:g} s",
                    hint="`podium resume` takes the container over",
                ) from error
            time.sleep(RETRY_INTERVAL)
            with suppress(PodiumError):
                follower.engine = reopen()
