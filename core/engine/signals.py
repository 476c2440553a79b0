"""The signals that a worker understands. SIGTERM cancels its run; SIGUSR1 makes it look at the journal."""

from __future__ import annotations

import signal
import socket

# Blocked while a worker starts, until it listens: the first one would end it otherwise, and its run would have no end.
# Whoever starts it goes on with its journal afterwards, which is closed in between: an interrupt waits, too.
WORKER_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Writes signals as bytes to a socket that the runner's selector watches; SIGTERM and SIGINT are also
    remembered."""

    def __init__(self) -> None:
        self.reading, self._writing = socket.socketpair()
        self.reading.setblocking(False)
        self._writing.setblocking(False)
        self.told = False
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        # By a handler that does nothing, not by SIG_IGN: what a process ignores, every program that it starts ignores
        # too, and a shell cannot even trap it any more.
        for number in (signal.SIGUSR1, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WORKER_SIGNALS)

    def _tell(self, number: int, frame: object) -> None:
        self.told = True
