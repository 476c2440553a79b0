"""Starts a worker: a process in its own session, which receives the project in memory.

Usually this is a new interpreter. A process that has one thread and only wants to start a run (`podium run`) forks
instead: that saves a tenth of a second of imports, as much as the rest of a run in which nothing has changed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from .. import handover
from ..child import Unattended
from ..domain.project import Project
from ..journal import Journal
from . import paths
from .signals import WORKER_SIGNALS

_workers: Final = Unattended()

# With any of these loaded there are threads, native state or handlers that a forked child would share with its parent.
_UNFORKABLE = ("textual", "mlflow", "pytest", "uvicorn", "asyncio")


def start_worker(project: Project, journal: Journal, run_id: int) -> int:
    """Starts the worker and returns its pid. Raises OSError if it cannot be started."""
    _workers.reap()
    log = os.open(paths.worker_log(project.state, run_id), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WORKER_SIGNALS)
    try:
        return _fork(project, journal, run_id, log) if _may_fork() else _spawn(project, run_id, log)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(log)


def _spawn(project: Project, run_id: int, log: int) -> int:
    import subprocess

    handed = handover.pack(project)
    try:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "podium.core.engine.worker", str(project.home), str(run_id)],
            cwd=project.home if project.home.is_dir() else Path("/"),
            stdin=handed,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(handed)
    _workers.add(worker)
    return worker.pid


def _may_fork() -> bool:
    if not sys.platform.startswith("linux") or threading.active_count() > 1 or os.environ.get("PODIUM_SPAWN"):
        return False
    if any(name in sys.modules for name in _UNFORKABLE):
        return False
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208


def _fork(project: Project, journal: Journal, run_id: int, log: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with journal.suspended():
        pid = os.fork()
        if pid == 0:
            _be_the_worker(project, run_id, log)
    return pid


def _be_the_worker(project: Project, run_id: int, log: int) -> NoReturn:
    """Becomes the worker. Never returns into the caller's frames, whose resources belong to the parent."""
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
        # A pipe whose reader is gone must be an error here, whatever the command line has made of it.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for number in (signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(project.home)
        with suppress(OSError):
            Path("/proc/self/comm").write_text("podium-worker")
        from .worker import serve

        code = serve(project.home, run_id, project)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
