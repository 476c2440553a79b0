"""Carries out a load from the step's process: the generator is a child of it, so that nothing here delays a request,
and the memory of the replicas is looked at meanwhile."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...domain.frozen import Frozen
from ...domain.text import telling_line
from ...errors import UNREADABLE, RunFailed
from ..host.http import socket_in
from .generator import WARM_UP_REQUESTS, Answers

MODULE = "podium.core.delivery.load.generator"
# Seconds beside those of the load itself: the start of the interpreter, and what is still under way at the end.
_GRACE = 30.0
_LOOK_INTERVAL = 0.5


class LoadRequest(Frozen):
    """One request as it is sent; `content_type` None for none."""

    body: bytes
    content_type: str | None = "application/json"


class Load(Frozen):
    """A load: where, what, how much and for how long."""

    host: str
    """An address, or the path of a Unix socket."""
    port: int
    requests: Sequence[LoadRequest]
    """Sent in turn."""
    rate: float
    """Requests a second."""
    seconds: float
    timeout: float = 10.0
    """Seconds after which a request has no answer."""
    unix: str = ""
    """A Unix socket to send it to, instead of the port."""


def send(load: Load, look: Callable[[], None] = lambda: None) -> Answers:
    """Sends the load and returns what became of it; calls `look` from time to time meanwhile. Raises RunFailed if the
    generator could not be run."""
    document = {
        "host": load.host,
        "port": load.port,
        "unix": load.unix or socket_in(load.host),
        "rate": load.rate,
        "seconds": load.seconds,
        "timeout": load.timeout,
        "requests": [
            {"body": base64.b64encode(each.body).decode(), "content_type": each.content_type} for each in load.requests
        ],
    }
    # Worst case: every request of the warm-up is given up only after its time-out.
    longest = load.seconds + (1 + WARM_UP_REQUESTS) * load.timeout + _GRACE
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path.cwd(),
    )
    told = _Told(process, json.dumps(document).encode(), longest)
    try:
        told.start()
        while told.is_alive():
            look()
            told.join(_LOOK_INTERVAL)
    finally:
        process.kill()
        told.join()
    if told.problem or process.returncode:
        last = telling_line(told.errors.decode("utf-8", "replace"))
        words = told.problem or f"ended with exit code {process.returncode}"
        raise RunFailed(f"the load's generator {words}{f': {last}' if last else ''}")
    return _read(told.answer)


class _Told(threading.Thread):
    """Hands the document to the process and reads its answer, both of which would block."""

    def __init__(self, process: subprocess.Popen[bytes], document: bytes, longest: float) -> None:
        super().__init__(name="load", daemon=True)
        self._process, self._document, self._longest = process, document, longest
        self.answer, self.errors, self.problem = b"", b"", ""

    def run(self) -> None:
        try:
            self.answer, self.errors = self._process.communicate(self._document, timeout=self._longest)
        except subprocess.TimeoutExpired:
            self.problem = f"did not end within {self._longest:g} s"
            self._process.kill()
            self._process.communicate()
        except (OSError, ValueError) as error:
            self.problem = f"could not be told what to send: {error}"


def _read(answer: bytes) -> Answers:
    try:
        found: Any = json.loads(answer)
        return Answers(
            [float(each) for each in found["latency"]],
            [int(each) for each in found["status"]],
            [float(each) for each in found["lag"]],
        )
    except UNREADABLE as error:
        raise RunFailed("the load's generator gave no proper answer") from error
