"""The preloading server: `python -P -m podium.core.preload.server SOCKET-FD DIRECTORY NAME IDLE`.

It listens on a socket that its starter made, imports MLflow, and forks a child for each request. It has one thread, no
event loop and no signal handler, and nothing but what is imported is shared with a child. Without children it ends
after IDLE seconds, or when its socket is not the one in DIRECTORY any more.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from ..child import end_with_parent
from ..identity.processes import started_at
from . import forked
from .protocol import CANNOT_START, SEND_TIMEOUT, UNFIT, Child, answer, ours, receive

# What a built-in step, a replica or most models import at the cost of seconds. None of them starts a thread or loads
# OpenMP (as scikit-learn itself does), whose number of threads is read when it is loaded and differs between steps and
# replicas.
_MODULES = (
    "mlflow.pyfunc",
    "mlflow.pyfunc.scoring_server",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "uvicorn",
    "uvloop",
    "httptools",
    "scipy.stats",
    "scipy.sparse.linalg",
    "scipy.optimize",
    "scipy.special",
    "scipy.spatial",
    "joblib",
    "threadpoolctl",
)
_CHECK_INTERVAL = 5.0
EXIT_THREADS = 3

Work = Callable[[], int]


class Server:
    """`serve` returns None when the server ends, and in a child the work of that child."""

    def __init__(self, listener: socket.socket, directory: Path, name: str, idle: float) -> None:
        self._listener = listener
        self._path = directory / name
        self._idle = idle
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Running] = {}
        self._inode = self._found()

    def serve(self) -> Work | None:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        last = time.monotonic()
        while True:
            events = self._selector.select(_CHECK_INTERVAL)
            for key, _ in events:
                work = key.data() if key.fileobj in self._registered() else None
                if work is not None:
                    return work
            now = time.monotonic()
            if events or self._children:
                last = now
            if not self._children and (now - last > self._idle or self._found() != self._inode or not self._inode):
                return None

    def close(self) -> None:
        """Stops listening; the socket's name is removed if it is still this server's."""
        if self._found() == self._inode:
            self._path.unlink(missing_ok=True)
        self._listener.close()

    def _registered(self) -> set[object]:
        return {key.fileobj for key in self._selector.get_map().values()}

    def _found(self) -> int:
        try:
            return self._path.lstat().st_ino
        except OSError:
            return 0

    def _accept(self) -> Work | None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return None
        connection.settimeout(SEND_TIMEOUT)
        try:
            if not ours(connection):
                raise ValueError("another user")
            child, received = receive(connection)
        except (OSError, ValueError):
            connection.close()
            return None
        if _left(connection):  # it has a new interpreter by now: two of them must not begin
            for descriptor in received:
                os.close(descriptor)
            connection.close()
            return None
        try:
            work = (self._fork_detached if child.detached else self._fork)(connection, child, received)
        except OSError as error:
            answer(connection, error=str(error))
            connection.close()
            work = None
        if work is None:  # in a child they have their own numbers by now
            for descriptor in received:
                os.close(descriptor)
        return work

    def _fork(self, connection: socket.socket, child: Child, received: Sequence[int]) -> Work | None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            end_with_parent()
            if os.getppid() != parent:
                os._exit(1)
            return self._become(connection, child, received)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        answer(connection, pid=pid, started=started_at(pid))
        running = _Running(pid, pidfd, connection)
        self._children[pid] = running
        self._selector.register(running.pidfd, selectors.EVENT_READ, lambda: self._ended(running))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._abandoned(running))
        return None

    def _fork_detached(self, connection: socket.socket, child: Child, received: Sequence[int]) -> Work | None:
        """Forks until the child and the process that waits for it belong to nobody here."""
        reading, writing = os.pipe()
        try:
            between = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if between == 0:
            try:
                if os.fork():
                    os._exit(0)
                os.setsid()
                pid = os.fork()
            except OSError:
                os._exit(1)
            if pid == 0:
                return self._become(connection, child, received)
            os.write(writing, str(pid).encode())
            os.close(writing)
            forked.note_end(pid, child.note)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            pid = int(pipe.read() or 0)
        os.waitpid(between, 0)
        if not pid:
            raise OSError("no process can be forked")
        answer(connection, pid=pid, started=started_at(pid))
        connection.close()
        return None

    def _become(self, connection: socket.socket, child: Child, received: Sequence[int]) -> Work:
        """Makes this forked process the child. What the server has open is closed through its objects: one that
        closed its number later would close something else."""
        self._selector.close()
        for each in (self._listener, connection, *(running.connection for running in self._children.values())):
            each.close()
        try:
            forked.take_over(child, received)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(2, f"cannot start {child.module}: {error}\n".encode())
            os._exit(CANNOT_START)
        return lambda: forked.carry_out(child)

    def _ended(self, running: _Running) -> None:
        _, status = os.waitpid(running.pid, 0)
        answer(running.connection, code=os.waitstatus_to_exitcode(status))
        self._forget(running)

    def _abandoned(self, running: _Running) -> None:
        """Whoever asked for the child is gone: the child is told to end, as the kernel would tell it."""
        with contextlib.suppress(OSError):
            if running.connection.recv(64):
                return
        self._selector.unregister(running.connection)
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)

    def _forget(self, running: _Running) -> None:
        del self._children[running.pid]
        for thing in (running.pidfd, running.connection):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(thing)
        os.close(running.pidfd)
        running.connection.close()


def _left(connection: socket.socket) -> bool:
    """Tells whether whoever sent the request is gone, or waits no longer."""
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(SEND_TIMEOUT)


class _Running:
    """A child that was forked and has not ended."""

    def __init__(self, pid: int, pidfd: int, connection: socket.socket) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.connection = connection


def _preload() -> None:
    """Imports everything. A module that is missing is no reason to end: its child would miss it too."""
    with contextlib.suppress(ImportError):
        # It finds the place of the command line in memory now, while the environment is where the kernel put it.
        import_module("setproctitle").getproctitle()
    for name in _MODULES:
        with contextlib.suppress(ImportError):
            import_module(name)
    gc.collect()
    # Children share what is there now: their collections must not write to it.
    gc.freeze()


def main(arguments: Sequence[str]) -> int:
    descriptor, directory, name, idle = int(arguments[0]), Path(arguments[1]), arguments[2], float(arguments[3])
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it belongs to no terminal, whoever started it
    server = Server(socket.socket(fileno=descriptor), directory, name, idle)
    _preload()
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
        # A lock that another thread holds at the fork is never released in the child.
        print("preload: an import started a thread, so no child can be forked", file=sys.stderr)
        (directory / name).with_suffix(UNFIT).touch()
        server.close()
        return EXIT_THREADS
    work = server.serve()
    if work is not None:
        forked.end(work)
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
