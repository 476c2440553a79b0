"""Processes that outlive the command that starts them: replicas and the proxy. Each gets a session of its own and a
parent that only waits for it, so that it becomes no zombie, no terminal's hang-up reaches it, and killing the process
group of the step that started it leaves it alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ...errors import Unreachable
from ...identity.processes import alive, bears, started_at

# The script is fixed; what it runs comes in as arguments, which the shell does not look into. A shell stays with the
# process and notes how it ended: nobody else is told.
_LAUNCH_SCRIPT = """log=$1; ended=$2; shift 2
(
"$@" >>"$log" 2>&1 </dev/null & echo $!
exec >/dev/null 2>&1 </dev/null; cd /
wait $!; echo "$! $?" >"$ended"
) &"""
_MARK = "PODIUM_REPLICA"
_LAUNCH_TIMEOUT = 10.0  # seconds that the shell may take to start a process and say its pid
_NOTE_SECONDS = 0.3  # between the end of a process and the note about it
_MAX_LAST_LINE = 200  # characters
_MAX_LOG_BYTES = 16 * 1024 * 1024


def start(
    command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str], inherit: Collection[int] = ()
) -> tuple[int, float]:
    """Starts `command` with this process's descriptors `inherit` and appends its output to `log`.

    Returns its pid, and the start time that distinguishes it from a later process with the same pid. Only the process
    itself, not the shell that waits for it, carries the mark by which `find` finds it.
    """
    fresh_log(log)
    note = note_of(log)
    mark = ["/usr/bin/env", f"{_MARK}={env[_MARK]}"] if _MARK in env else []
    shell = subprocess.Popen(
        ["/bin/sh", "-c", _LAUNCH_SCRIPT, "sh", str(log), str(note), *mark, *command],
        cwd=cwd,
        env={key: value for key, value in env.items() if key != _MARK},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        pass_fds=tuple(inherit),
    )
    told, errors = _told(shell, command[0])
    if shell.returncode or not told.strip().isdecimal():
        reason = errors.strip() or shell.returncode
        raise Unreachable(f"cannot start {command[0]}: {reason}", hint="check the machine's free processes and memory")
    pid = int(told)
    return pid, started_at(pid) or 0.0


def _told(shell: subprocess.Popen[str], program: str) -> tuple[str, str]:
    """Returns what the shell prints, and its errors. Raises Unreachable if that takes too long, and ends what it may
    have started, whose pid nobody knows."""
    with shell:
        try:
            return shell.communicate(timeout=_LAUNCH_TIMEOUT)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Unreachable(
                    f"cannot start {program}: that was not done within {_LAUNCH_TIMEOUT:g} s",
                    hint="check the machine's load and its disk",
                ) from error
            raise


def fresh_log(log: Path) -> None:
    """Has a log to append to, for the owner alone, and no note of an earlier end; a log that has grown too large is put
    aside."""
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch(mode=0o600)
    note_of(log).unlink(missing_ok=True)


def note_of(log: Path) -> Path:
    """Returns the file that says how the process with this log ended."""
    return log.with_suffix(".ended")


def ending(log: Path, pid: int) -> str:
    """Returns in words how the process that wrote this log ended, and its last line; empty if neither is known."""
    found = [_code(log, pid)]
    last = tail(log, 1).strip()
    if last:
        found.append(f"its log ends with: {last[:_MAX_LAST_LINE]}")
    return ", ".join(words for words in found if words)


def _code(log: Path, pid: int) -> str:
    deadline = time.monotonic() + _NOTE_SECONDS
    while True:
        with contextlib.suppress(OSError, ValueError):
            number, code = map(int, note_of(log).read_text(encoding="utf-8").split())
            if number == pid:
                return ended_words(code)
        if time.monotonic() > deadline:
            return ""
        time.sleep(0.01)


def ended_words(code: int) -> str:
    """Returns in words what a shell's exit code says."""
    try:
        return f"it ended by {signal.Signals(code - 128).name}" if code > 128 else f"it ended with exit code {code}"
    except ValueError:
        return f"it ended with exit code {code}"


def stop(pid: int, started: float, *, grace: float) -> bool:
    """Sends TERM, and KILL after `grace` seconds; returns True if the process is gone. A process that merely has the
    same pid is left alone."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 3.0)):
        if not alive(pid, started):
            return True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and alive(pid, started):
            time.sleep(0.01)
    return not alive(pid, started)


def find(marker: str) -> list[tuple[int, float]]:
    """Returns (pid, start time) of the user's processes with `PODIUM_REPLICA=marker` in their environment, or with that
    mark: the process that started them died before it noted the pid."""
    wanted = f"{_MARK}={marker}".encode()
    return _processes("environ", lambda pid, words: wanted in words or bears(pid, marker))


def find_command(program: str, argument: str) -> list[tuple[int, float]]:
    """Returns (pid, start time) of the user's processes that run `program`, in any directory, with this argument."""
    wanted = os.fsencode(argument)
    return _processes("cmdline", lambda _pid, words: Path(os.fsdecode(words[0])).name == program and wanted in words)


def _processes(file: str, test: Callable[[int, list[bytes]], bool]) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if test(int(process.name), (process / file).read_bytes().split(b"\0")):
                started = started_at(int(process.name))
                if started is not None:
                    found.append((int(process.name), started))
    return found


def tail(log: Path, lines: int = 15) -> str:
    """Returns the last lines of a log for an error message, without control characters. Secrets are not masked,
    because replicas get none."""
    from ...domain.text import clean

    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(clean(line) for line in text.splitlines()[-lines:])
