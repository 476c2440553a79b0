"""What a child does between the fork and its own work, so that it differs from a new interpreter in nothing but what is
imported already."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from .. import priority
from .protocol import Child


def take_over(child: Child, received: Sequence[int]) -> None:
    """Turns this process, just forked, into the child: session, descriptors, environment, directory, streams, seeds.
    Raises OSError if the directory is gone."""
    if not child.detached:
        os.setsid()
    _default_signals()
    _take_numbers(received, child.descriptors)
    # Whoever asked for a detached child hears of it once everything else is closed here: it bears its mark by then.
    _close_all_but(child.descriptors, _show(child))
    os.environ.clear()
    os.environ.update(child.env)
    os.umask(child.umask)
    if child.nice > priority.own():
        priority.lower(child.nice)
        priority.lower_session()
    os.chdir(child.cwd)
    time.tzset()
    _renew_streams()
    _renew_seeds()
    sys.argv = [child.module, *child.arguments]


def note_end(pid: int, note: str) -> NoReturn:
    """Waits for a detached child and notes how it ended, holding nothing of the server meanwhile; ends at once where no
    note is wanted."""
    if note:
        with contextlib.suppress(OSError):
            nothing = os.open(os.devnull, os.O_RDWR)
            _take_numbers((nothing, nothing, nothing), (0, 1, 2))
            _close_all_but((0, 1, 2))
            os.chdir("/")
            with contextlib.suppress(ImportError):
                from setproctitle import setproctitle

                setproctitle(f"podium: waits for {pid}")
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            # As a shell would say it, which does the same for a process that it started.
            Path(note).write_text(f"{pid} {code if code >= 0 else 128 - code}")
    os._exit(0)


def carry_out(child: Child) -> int:
    """Returns the exit code of the child's own `main`."""
    return int(import_module(child.module).main(list(child.arguments)) or 0)


def end(work: Callable[[], int]) -> NoReturn:
    """Does the child's work and ends the process with its exit code. What is registered for the end is done, but
    nothing is taken apart: for some thousand modules that would take longer than most steps."""
    code = 1
    try:
        code = work()
    except SystemExit as ending:
        code = _exit_code(ending.code)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _exit_code(given: object) -> int:
    if given is None or isinstance(given, int):
        return int(given or 0) & 0xFF
    print(given, file=sys.stderr)
    return 1


def _default_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _take_numbers(received: Sequence[int], wanted: Sequence[int]) -> None:
    """Gives the received descriptors the wanted numbers."""
    free = max([*wanted, 2]) + 1
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, free) for descriptor in received]
    for descriptor, number in zip(high, wanted, strict=True):
        os.dup2(descriptor, number)


def _close_all_but(wanted: Sequence[int], mark: int | None = None) -> None:
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(entry) not in wanted and int(entry) != mark:
            with contextlib.suppress(OSError):
                os.close(int(entry))


def _renew_streams() -> None:
    """The objects for 0, 1 and 2 stay; what these variables say is done here instead of at the start."""
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(write_through=bool(os.environ.get("PYTHONUNBUFFERED")))  # type: ignore[union-attr]


def _renew_seeds() -> None:
    # Python seeds `random` anew after a fork by itself.
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _show(child: Child) -> int | None:
    """Has `ps` show what the child is; returns the descriptor of the mark by which others find it, None without one."""
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(" ".join(child.command(Path(sys.executable).name)))
    return os.memfd_create(f"podium:{child.mark}") if child.mark else None
