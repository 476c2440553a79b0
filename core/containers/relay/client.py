"""Reaches containers of another machine through its engine: a program inside a small container there, on one
long-lived `exec`. It opens no network port: requests and answers travel over the engine's own authenticated
connection."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import queue
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ...domain.text import clean
from ..engine.client import Engine
from ..engine.errors import EngineAway
from ..engine.hijack import FrameSplitter, hijack

PROGRAM = Path(__file__).with_name("program.py")
# Added to a request's own time-out for the way there and back.
_ROUND_TRIP_TIMEOUT = 5.0
_MAX_BODY_BYTES = 8 << 20
_TIMED_OUT = "timed out"  # as Python calls a socket's time-out, on the other side
_MAX_LINE_BYTES = 24 << 20


class RelayConnection:
    """The connection to one relay. It outlives the callers that use it: a process has one for all of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.line: _RelayExec | None = None


class Relay:
    """A client of the relay. `open` finds or starts the container and returns (its engine, its id). `python` is the
    path of a Python inside it. May be used from several threads at once."""

    def __init__(self, open: Callable[[], tuple[Engine, str]], python: str, kept: RelayConnection) -> None:
        self._open = open
        self._python = python
        self._kept = kept

    def http(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        unix: str = "",
        body: bytes | None = None,
        timeout: float = 2.0,
    ) -> tuple[int, bytes]:
        """Sends an HTTP request from the relay, as core/delivery/proxy/transport.py defines it. Raises OSError if
        the request fails there, EngineAway (an Unreachable) if the relay itself does not answer."""
        status, found, _ = self.timed(address, port, method, path, unix=unix, body=body, timeout=timeout)
        return status, found

    def timed(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        unix: str = "",
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout: float = 2.0,
    ) -> tuple[int, bytes, float]:
        """Returns (status, body, seconds as measured by the relay), which excludes the way to the other machine."""
        given = None if body is None else base64.b64encode(body).decode()
        request = {
            "do": "http",
            "address": address,
            "port": port,
            "unix": unix,
            "method": method,
            "path": path,
            "body": given,
            "timeout": timeout,
            "most": _MAX_BODY_BYTES,
        }
        answer = self._call({**request, "content_type": content_type}, timeout)
        return int(answer["status"]), base64.b64decode(answer["body"]), float(answer["seconds"])

    def ask(self, path: str, command: str, *, timeout: float = 1.0) -> str:
        """Returns the answer of the Unix socket `path` on the other machine. Raises OSError if there is none."""
        answer = self._call({"do": "socket", "socket": path, "command": command, "timeout": timeout}, timeout)
        return base64.b64decode(answer["body"]).decode("utf-8", "replace")

    def write(self, files: Mapping[str, str], *, timeout: float = 1.0) -> None:
        """Replaces small files that the relay can write, by path. Raises OSError if it cannot."""
        self._call({"do": "files", "files": dict(files)}, timeout)

    def _call(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        # An idle connection may have ended unnoticed, which shows only on use; a second attempt reopens it.
        for last in (False, True):
            line, fresh = self._connected()
            try:
                answer = line.call(request, timeout + _ROUND_TRIP_TIMEOUT)
            except EngineAway:
                if fresh or last:
                    raise
                continue
            if answer.get("error") == _TIMED_OUT:
                raise TimeoutError(_TIMED_OUT)
            if "error" in answer:
                raise OSError(clean(str(answer["error"]))[:300])
            return answer
        raise AssertionError("unreachable")

    def _connected(self) -> tuple[_RelayExec, bool]:
        with self._kept.lock:
            if self._kept.line is not None and self._kept.line.open:
                return self._kept.line, False
            engine, container = self._open()
            line = self._kept.line = _RelayExec(
                engine, container, [self._python, "-I", "-S", "-u", "-c", PROGRAM.read_text(encoding="utf-8")]
            )
            return line, True


class _RelayExec:
    """One exec and the callers that wait for its answers."""

    def __init__(self, engine: Engine, container: str, command: Sequence[str]) -> None:
        self._engine = engine
        with engine.doing("connecting to the relay"):
            made = engine.api.exec_create(container, list(command), stdin=True, stdout=True, stderr=True)["Id"]
        self._socket, rest = hijack(
            engine, f"/exec/{made}/start", what="connecting to the relay", body={"Detach": False, "Tty": False}
        )
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._lock = threading.Lock()
        self._said = b""
        self.open = True
        threading.Thread(target=self._listen, args=(rest,), name="relay", daemon=True).start()

    def call(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Sends one request and waits at most `seconds` for its answer."""
        number = next(self._numbers)
        answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        data = json.dumps({**request, "id": number}).encode() + b"\n"
        try:
            with self._lock:
                if not self.open:
                    raise self._gone()
                self._waiting[number] = answers
                self._socket.settimeout(seconds)
                self._socket.sendall(data)
            found = answers.get(timeout=seconds)
        except (OSError, queue.Empty) as error:
            self.close()
            raise self._gone() from error
        finally:
            self._waiting.pop(number, None)
        if found is None:
            raise self._gone()
        return found

    def _gone(self) -> EngineAway:
        said = clean(self._said.decode("utf-8", "replace").strip().splitlines()[-1]) if self._said.strip() else ""
        text = f"the relay on {self._engine.address} does not answer" + (f": {said[:200]}" if said else "")
        return EngineAway(text, hint="check the connection to that machine; Podium reopens the relay automatically")

    def _listen(self, data: bytes) -> None:
        frames, pending = FrameSplitter(), b""
        try:
            while True:
                for stream, piece in frames.feed(data):
                    if stream == 2:
                        self._said = (self._said + bytes(piece))[-4000:]
                        continue
                    pending += bytes(piece)
                    *whole, pending = pending.split(b"\n")
                    for line in whole:
                        self._answered(cast("dict[str, Any]", json.loads(line)))
                if len(pending) > _MAX_LINE_BYTES:
                    break
                data = self._read()
                if not data:
                    break
        except (OSError, ValueError):
            pass
        self.close()

    def _read(self) -> bytes:
        """Reads what has arrived. It waits without the lock and reads with it: a TLS connection must not be read and
        written at the same time."""
        buffered: Callable[[], int] = getattr(self._socket, "pending", int)
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            if not buffered():
                poll.poll()
            with self._lock:
                self._socket.settimeout(0.05)
                try:
                    return self._socket.recv(65_536)
                except TimeoutError:
                    continue

    def _answered(self, answer: dict[str, Any]) -> None:
        waiting = self._waiting.get(int(answer.get("id") or 0))
        if waiting is not None:
            waiting.put(answer)

    def close(self) -> None:
        """Ends the exec; every waiting caller fails."""
        self.open = False
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for waiting in list(self._waiting.values()):
            waiting.put(None)
