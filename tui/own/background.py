"""Runs a person's own command without the terminal, in a session of its own, which outlives the cockpit."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from ...core.domain.text import one_line

_KEPT_BYTES = 64 * 1024
_GRACE_SECONDS = 5.0


def start(
    command: str, environ: Mapping[str, str], directory: Path, timeout: float, done: Callable[[int | None, str], None]
) -> None:
    """Starts it in a thread of its own; `done` gets its exit code (None: it took longer than `timeout` seconds and was
    killed) and the last line that it wrote, from that thread."""

    def work() -> None:
        try:
            done(*_run(command, environ, directory, timeout))
        except OSError as error:
            done(127, error.strerror or str(error))

    threading.Thread(target=work, daemon=True, name="podium-own").start()


def _run(command: str, environ: Mapping[str, str], directory: Path, timeout: float) -> tuple[int | None, str]:
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environ},
        cwd=directory,
        start_new_session=True,
    )
    kept = bytearray()
    reader = threading.Thread(target=_read, args=(process, kept), daemon=True)
    reader.start()
    try:
        code: int | None = process.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_GRACE_SECONDS)
    reader.join(_GRACE_SECONDS)
    lines = bytes(kept).decode("utf-8", "replace").strip().splitlines()
    return code, one_line(lines[-1]) if lines else ""


def _read(process: subprocess.Popen[bytes], kept: bytearray) -> None:
    """Keeps the end of what it writes; a pipe that nobody reads would stop it."""
    assert process.stdout is not None
    while data := os.read(process.stdout.fileno(), _KEPT_BYTES):
        kept += data
        del kept[:-_KEPT_BYTES]
