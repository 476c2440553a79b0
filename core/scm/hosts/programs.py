"""Asks the programs that may have a token for a Git host: the host's own (`gh`, `glab`), and the system's keyring by a
child of ours. Each is given a few seconds and no terminal; what it said is remembered for a while, since a client, git
and the inbox all need the same token."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Final

from ...domain.frozen import Frozen
from .words import harmless

PROGRAM_TIMEOUT = 5.0
MAX_TOKEN_BYTES = 16 << 10
# Neither a question nor a look for a newer version, which takes as long as the network does.
_QUIET: Final = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GLAB_CHECK_UPDATE": "false",
    "GLAB_SEND_TELEMETRY": "false",
    "NO_PROMPT": "true",
}
# In these words gh says that nobody has logged in.
_NONE: Final = ("no oauth token",)
# For so many seconds a token is believed to be the one to use, and its absence to last.
KEPT = 3600.0
KEPT_NONE = 300.0
# A token that a host refuses is asked for again after so many seconds.
KEPT_REFUSED = 60.0


class Said(Frozen):
    """What a program printed."""

    value: str = field(default="", repr=False)
    """The token; empty if there is none."""
    why: str = ""
    """Why it could not say, in words; empty if it just has none."""


class _Kept(Frozen):
    said: Said
    at: float


def is_token(value: str) -> bool:
    """Tells whether a text can be a token: one word of printable letters."""
    return 0 < len(value) < MAX_TOKEN_BYTES and value.isascii() and value.isprintable() and " " not in value


def printed(command: Sequence[str], name: str, environ: Mapping[str, str]) -> Said:
    """Returns what a program prints; `name` is what errors call it."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            env={**environ, **_QUIET},
        )
    except OSError as error:
        return Said(why=f"{name} cannot be started: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(timeout=PROGRAM_TIMEOUT)
        except BaseException as error:
            # What it has started holds its output open, and goes with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return Said(why=f"{name} did not answer within {PROGRAM_TIMEOUT:g} s")
            raise
    if process.returncode:
        return Said(why=_failed(name, process.returncode, err))
    value = out[:MAX_TOKEN_BYTES].decode("utf-8", "replace").strip()
    if value and not is_token(value):
        return Said(why=f"{name} printed something that is no token")
    return Said(value)


def _failed(name: str, code: int, err: bytes) -> str:
    lines = [line.strip() for line in err[:MAX_TOKEN_BYTES].decode("utf-8", "replace").splitlines() if line.strip()]
    if any(words in line for line in lines for words in _NONE):
        return ""
    words = harmless(lines[0]) if lines else f"exit code {code}"
    return words if words.startswith(name) else f"{name} failed: {words}"


class Remembered:
    """What programs have said, by what they were asked. For use by several threads: they wait for one answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[object, ...], _Kept] = {}

    def ask(self, command: Sequence[str], name: str, environ: Mapping[str, str]) -> Said:
        key = (*command, frozenset(environ.items()))
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or self._clock() - kept.at >= (KEPT if kept.said.value else KEPT_NONE):
                kept = self._kept[key] = _Kept(printed(command, name, environ), self._clock())
            return kept.said

    def refused(self, value: str) -> None:
        """Takes note that a host did not accept a token: the program that has said it is asked again, once a minute
        at most."""
        with self._lock:
            now = self._clock()
            for key, kept in tuple(self._kept.items()):
                if kept.said.value == value and now - kept.at >= KEPT_REFUSED:
                    del self._kept[key]

    def forget(self) -> None:
        """Has every program asked again."""
        with self._lock:
            self._kept.clear()


remembered: Final = Remembered()
