"""The process in which one version's model is loaded and asked (`model_main.py`), or a project's own metric is called
(`own/function_main.py`), from outside.

Each version has a process of its own: two versions that ship a module of one name would otherwise be asked through
the code of the one that was loaded first. It comes from the preloading server, which has MLflow loaded but no model,
or is a new interpreter where there is no such server.

The process gets lines of JSON on its standard input, each followed by the bytes that it announces, and answers on what
was its standard output, which the model does not see, so that whatever it prints does no harm: two lengths, a JSON
document, and bytes. Neither is ever unpickled.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, cast

from ..domain.frozen import Frozen
from ..domain.text import telling_line
from ..logs.masking import masked
from ..preload.client import Process
from ..preload.protocol import Child
from .metrics import Unmeasurable
from .reasons import shortened

# What a replica sets, too (`serving/server.py`).
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HEAD = struct.Struct(">QQ")
MODULE = "podium.core.quality.model_main"
# An answer has a few columns of numbers for each row, and different words once.
_MAX_DOCUMENT_BYTES = 1 << 25
_MAX_PAYLOAD_BYTES = 1 << 33
_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 8192
_POLL_INTERVAL = 0.1
_KILL_TIMEOUT = 5.0
_HINT = "Load it with mlflow.pyfunc.load_model to see all."


class Reply(Frozen):
    document: Mapping[str, Any]
    payload: bytes


class ModelProcess:
    """A running process; `who` names its version in errors. To be closed, which ends it and what it started."""

    def __init__(
        self,
        who: str,
        state: Path | None = None,
        *,
        secrets: Iterable[str] = (),
        module: str = MODULE,
        cwd: Path | None = None,
        hint: str = _HINT,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`state` is the project's state directory, where the preloading server is. `secrets` are masked in whatever
        errors repeat of the process's words. `hint` is what errors advise, and `env` has variables beside those of
        this process."""
        self.who = who
        self.lost = False
        """It has ended, or owes an answer that was waited for for too long: whatever it says next is not the answer to
        what it is asked next."""
        self._hint = hint
        self._secrets = tuple(secrets)
        self._pending = bytearray()
        self._received = bytearray()
        self._tail = b""
        self._answers, answering = os.pipe()
        self._errors, error = os.pipe()
        reading, self._requests = os.pipe()
        os.set_blocking(self._requests, False)
        # As many threads as a replica has: a measured latency is then that of what will serve.
        env = {"MLFLOW_DISABLE_TELEMETRY": "true", **dict.fromkeys(THREADS, "1"), **os.environ, **env}
        child = Child(module, (str(os.getpid()),), env, str(cwd or Path.cwd()), (0, 1, 2))
        try:
            self._process = Process(state, child, (reading, answering, error))
        except BaseException:
            self._close_pipes()
            raise
        finally:
            for descriptor in (reading, error, answering):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: Mapping[str, Any], payload: bytes = b"") -> None:
        """Sends a request, with bytes that it announces. What the process does not take at once is sent while `reply`
        waits, which also tells that it has ended."""
        told = {**request, "bytes": len(payload)} if payload else request
        self._pending += json.dumps(told).encode() + b"\n" + payload
        self._write()

    def _write(self) -> None:
        """Writes as much of what is pending as the pipe takes."""
        try:
            while self._pending:
                del self._pending[: os.write(self._requests, self._pending[:_CHUNK_BYTES])]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._pending.clear()

    def reply(self, what: str, timeout: float) -> Reply:
        """Returns the reply to the request sent last. Raises Unmeasurable, beginning with the version and `what` (such
        as `failed to predict`), if the model raised something, its process ended or nothing came in `timeout`
        seconds."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._answers, self._errors):
                selector.register(descriptor, selectors.EVENT_READ)
            while (reply := self._taken()) is None:
                if self._pending:
                    selector.register(self._requests, selectors.EVENT_WRITE)
                ended = self._process.poll() is not None
                # What was written before the end is still in the pipes; a process that it left may hold them open.
                events = selector.select(0 if ended else _POLL_INTERVAL)
                if self._requests in selector.get_map():
                    selector.unregister(self._requests)
                    self._write()
                for key, _ in events:
                    if key.fd != self._requests and not self._read(key.fd):
                        selector.unregister(key.fd)
                if ended and self._answers not in [key.fd for key, _ in events]:
                    self.lost = True
                    raise Unmeasurable(f"{self.who} {what}: {self._ending()}", hint=self._hint)
                if time.monotonic() > deadline:
                    self.lost = True
                    raise Unmeasurable(
                        f"{self.who} {what}: no answer within {timeout:g} s{self._last_line()}", hint=self._hint
                    )
        return self._judged(reply, what)

    def close(self) -> None:
        """Ends the process and its process group. May be called twice."""
        if self._requests < 0:
            return
        self._process.poll()
        self.kill()
        self._process.end(_KILL_TIMEOUT)
        self._close_pipes()

    def kill(self) -> None:
        """Kills the process group without waiting, also from another thread than the one that asks: `reply` then
        raises."""
        if self._process.pid is not None:
            # Also after its end: a group keeps its number for as long as somebody is in it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _close_pipes(self) -> None:
        for descriptor in (self._answers, self._errors, self._requests):
            if descriptor >= 0:
                os.close(descriptor)
        self._answers = self._errors = self._requests = -1

    def _read(self, descriptor: int) -> bool:
        data = os.read(descriptor, _CHUNK_BYTES)
        if descriptor == self._answers:
            self._received += data
        else:
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
        return bool(data)

    def _taken(self) -> Reply | None:
        """Returns the reply once all of it has come. Raises Unmeasurable for what is none."""
        if len(self._received) < HEAD.size:
            return None
        document, payload = HEAD.unpack_from(self._received)
        if document > _MAX_DOCUMENT_BYTES or payload > _MAX_PAYLOAD_BYTES:
            raise self._improper()
        start, end = HEAD.size, HEAD.size + document + payload
        if len(self._received) < end:
            return None
        try:
            found = json.loads(self._received[start : start + document])
        except (ValueError, RecursionError) as error:
            raise self._improper() from error
        if not isinstance(found, dict):
            raise self._improper()
        reply = Reply(cast("dict[str, Any]", found), bytes(self._received[start + document : end]))
        self._received.clear()
        return reply

    def _improper(self) -> Unmeasurable:
        self.lost = True
        return Unmeasurable(f"{self.who}: its process gave no proper answer", hint=self._hint)

    def _judged(self, reply: Reply, what: str) -> Reply:
        if "error" not in reply.document:
            return reply
        stage, told, hint = (self._shown(str(reply.document.get(name, ""))) for name in ("stage", "error", "hint"))
        raise Unmeasurable(f"{self.who} {stage or what}: {told}", hint=hint or self._hint)

    def _shown(self, text: str) -> str:
        return shortened(masked(text, self._secrets))

    def _ending(self) -> str:
        code = self._process.returncode or 0
        if code >= 0:
            return f"its process ended with exit code {code}{self._last_line()}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        memory = " (most likely the memory did not suffice)" if -code == signal.SIGKILL else ""
        return f"its process was ended by the signal {name}{memory}{self._last_line()}"

    def _last_line(self) -> str:
        last = self._shown(telling_line(self._tail.decode("utf-8", "replace")))
        return f": {last}" if last else ""
