"""One replica: `python -m podium.core.serving.server --model DIR --port N`.

It listens first and loads the model afterwards, so that health checks are answered (503) from the first second and a
taken port is known before seconds are spent. TERM lets the requests in flight finish. Exit codes: 0 stopped on
request, 1 the model cannot be loaded, 2 usage, 5 the address cannot be listened on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from .app import App, say
from .one_write import protocol
from .options import Options, parse
from .recorder import Recorder
from .standby import Standby

EXIT_MODEL = 1
EXIT_ADDRESS = 5
# A proxy keeps connections open and must be the one to close them: a request sent into a closing connection would be
# lost.
KEEP_ALIVE_SECONDS = 3600  # seconds
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def libc(call: Callable[[ctypes.CDLL], object]) -> None:
    """Calls glibc if there is one; other systems do without."""
    with contextlib.suppress(OSError, AttributeError):
        call(ctypes.CDLL(None))


class ReplicaServer(uvicorn.Server):
    """uvicorn's server, which would otherwise end by raising the signal again: a replica that stopped on request has
    succeeded. It also takes connections that another thread has accepted (standby.py)."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._adopting: set[asyncio.Task[Any]] = set()

    def adopt(self, connections: list[socket.socket]) -> None:
        """Serves these connections; for any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._adopt, self._loop, connections)

    def idle(self) -> list[int]:
        """Returns the descriptors of the connections that have no request under way, for the thread that stands by
        while the event loop is kept. Raises RuntimeError if it goes on meanwhile."""
        connections: set[Any] = self.server_state.connections
        return [each.descriptor for each in connections if each.idle]

    def _adopt(self, loop: asyncio.AbstractEventLoop, connections: list[socket.socket]) -> None:
        make: Any = self.config.http_protocol_class

        def served() -> asyncio.Protocol:
            return make(config=self.config, server_state=self.server_state, app_state={}, _loop=loop)

        for connection in connections:
            task = loop.create_task(loop.connect_accepted_socket(served, connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        def end(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        yield


def listen(options: Options) -> socket.socket:
    if options.fd is not None:
        return socket.socket(fileno=options.fd)
    if options.unix is not None:
        return _listen_unix(options.unix)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only then: without it each answer waits 40 ms
    # for an acknowledgement.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((options.host, options.port))
    made.listen(2048)
    return made


def _listen_unix(path: Path) -> socket.socket:
    """Takes the place of the socket of a replica that has ended. Nobody but this account can connect to it, or listen
    there when this process has died."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    made.listen(2048)
    return made


def configure(app: App, options: Options) -> uvicorn.Config:
    loop, http = options.loop, options.http
    if loop == "auto" and importlib.util.find_spec("uvloop") is None:
        loop = "asyncio"
    if http == "auto":
        http = "h11" if importlib.util.find_spec("httptools") is None else "httptools"
    return uvicorn.Config(
        app,
        loop=loop,  # pyright: ignore[reportArgumentType]
        http=protocol(http),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(options.drain)),
    )


def load(app: App, server: ReplicaServer, path: Path, codes: list[int]) -> None:
    """Loads the model in a thread of its own. A model that cannot be loaded stops the server; the exit code goes
    into `codes`."""
    try:
        from . import scoring

        scorer = scoring.load(path, app.options.shape)
        # What was loaded stays for good; without this every full collection walks through a million objects and a
        # request waits for it.
        gc.collect()
        gc.freeze()
        libc(lambda c: c.malloc_trim(0))
    except BaseException as error:
        reason = " ".join(str(error).split())[:500]
        say(f"the model in {path} cannot be loaded: {type(error).__name__}: {reason}")
        codes.append(EXIT_MODEL)
        server.should_exit = True
        return
    app.ready(scorer)
    say(f"ready{'' if scorer.short else ' (no short way for this signature)'}")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    # A small prediction is over before a pool of threads has woken, and the pools of several replicas fight for the
    # same cores.
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    # One heap for all threads: the one that loads the model would leave its own behind, half empty. Here threads hardly
    # ever allocate at once.
    libc(lambda c: c.mallopt(_ARENA_MAX, 1))
    try:
        listening = listen(options)
    except OSError as error:
        say(f"cannot listen on {options.place}: {error.strerror or error}")
        return EXIT_ADDRESS
    port = options.port if options.unix is not None else listening.getsockname()[1]
    recorder = None
    if options.capture_dir is not None:
        # Containers all listen on the same port and may share the directory: they are told apart by name.
        name = os.environ.get("PODIUM_SERVING_REPLICA") or str(port)
        recorder = Recorder(
            options.capture_dir,
            name=name,
            rate=options.capture_rate,
            limit=options.capture_bytes,
            requests=options.keep_requests,
            version=options.version,
        )
    app = App(options, recorder)
    server = ReplicaServer(configure(app, options))
    codes: list[int] = []
    say(f"listening on {options.unix or f'{options.host}:{port}'}, loading {options.model}")
    Standby(app, listening, server.adopt, server.idle).start()
    threading.Thread(target=load, args=(app, server, options.model, codes), name="load", daemon=True).start()
    server.run(sockets=[listening])
    app.close()
    return codes[0] if codes else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's farewell: a thread that is still loading or predicting would hold it up or crash in it.
    os._exit(code)
