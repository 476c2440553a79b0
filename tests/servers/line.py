"""A line to a server that can be cut and restored: a small TCP forwarder in front of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Line:
    """127.0.0.1:`port` leads to 127.0.0.1:`target` until `cut` (connections break, new ones are refused) or `freeze`
    (silence, as a dead router gives)."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._lock = threading.Condition()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._half: set[tuple[socket.socket, socket.socket]] = set()
        self._frozen = False
        self._listener: socket.socket | None = None
        self.port = 0
        self.restore()

    def restore(self) -> None:
        with self._lock:
            self._frozen = False
            self._lock.notify_all()
        if self._listener is None:
            listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False, backlog=64)
            self.port = int(listener.getsockname()[1])
            self._listener = listener
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Every connection breaks now, and nobody gets through until `restore`."""
        self._close_listener()
        self.drop()

    def drop(self) -> int:
        """Connections break, new ones are let through at once; how many broke."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
            self._frozen = False
            self._lock.notify_all()
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    def freeze(self) -> None:
        """Nothing is passed on any more, and nobody is told."""
        with self._lock:
            self._frozen = True

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._pairs)

    def close(self) -> None:
        self.cut()

    def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # Closing alone does not wake a thread that waits in accept.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            pair = (near, far)
            with self._lock:
                self._pairs.add(pair)
            for source, sink in (pair, pair[::-1]):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(pair, source, sink), daemon=True).start()

    def _pass(self, pair: tuple[socket.socket, socket.socket], source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    while self._frozen:
                        self._lock.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            # The second direction to end closes both; a pair that was dropped is closed by whoever comes last, too.
            if pair not in self._half:
                self._half.add(pair)
                return
            self._half.discard(pair)
            self._pairs.discard(pair)
        for end in pair:
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
