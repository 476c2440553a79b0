"""podium.yaml as it is now, for processes that live longer than one content of it: the cockpit, the agent.

Contents are compared, not times: an editor that keeps a file's time, or a clock that was set, hides no change. What is
just being written is no answer: a new content counts once two reads agree. A content that cannot be used is told with
its problems, and the last good one stays in force for what is safe: reading, serving, healing.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..errors import ConfigError, Problem
from ..replacing import replace_file
from . import FILE, source
from .loading import from_text

READ_INTERVAL = 0.02
MAX_READS = 50
FRESH = 2.0
# A content that cannot be used is looked at once more: a writer may pause between two parts.
SECOND_LOOK = 0.1
LAST_GOOD = "podium.yaml.good"

_RESTLESS = Problem(FILE, 1, 1, "", "is being written all the time", "wait until that is over")


class _Content(Frozen):
    digest: str
    text: str = ""
    error: ConfigError | None = None


class Latest:
    """May be used from several threads. `generation` grows whenever the content or what is wrong with it changes."""

    def __init__(self, home: Path, environ: Mapping[str, str] | None = None) -> None:
        """`environ` provides the values of `${NAME}` (default: this process's environment)."""
        self._home = home
        self._environ = os.environ if environ is None else environ
        self._lock = threading.Lock()
        self._seen: _Content | None = None
        self._good: Project | None = None
        self._error: ConfigError | None = None
        self.generation = 0

    def project(self) -> Project:
        """Returns the project by the last content that could be used, this process's or an earlier one's. Raises
        ConfigError when there is none."""
        good, error = self.look()
        if good is None:
            raise error or ConfigError(())
        return good

    def current(self) -> Project:
        """Returns the project by the content of now. Raises ConfigError with every problem found."""
        good, error = self.look()
        if error is not None:
            raise error
        assert good is not None
        return good

    def error(self) -> ConfigError | None:
        """Returns what is wrong with the content of now."""
        return self.look()[1]

    def look(self) -> tuple[Project | None, ConfigError | None]:
        """Reads the file; returns the project by the last content that could be used, and what is wrong with the
        content of now."""
        with self._lock:
            found = _read(self._home)
            if self._seen is None or found.digest != self._seen.digest:
                self._take(found)
            return self._good, self._error

    def _take(self, found: _Content) -> None:
        steady = _steady(self._home, found) if self._seen is not None or _fresh(self._home) else found
        if steady is None:  # what was known stays until it comes to rest
            if self._seen is None and self._error is None:
                self._good, self._error = self._kept(), ConfigError((_RESTLESS,))
                self.generation += 1
            return
        project, error = self._parse(steady)
        if error is not None:
            time.sleep(SECOND_LOOK)
            again = _steady(self._home, _read(self._home))
            if again is not None and again.digest != steady.digest:
                steady = again
                project, error = self._parse(steady)
        self._seen, self._error = steady, error
        self.generation += 1
        if project is not None:
            self._good = project
            self._keep(steady.text)
        elif self._good is None:
            self._good = self._kept()

    def _parse(self, content: _Content) -> tuple[Project | None, ConfigError | None]:
        if content.error is not None:
            return None, content.error
        try:
            return from_text(content.text, FILE, self._home, self._home, self._environ), None
        except ConfigError as error:
            return None, error

    def _keep(self, text: str) -> None:
        """Keeps the last good content for commands that start while the file is broken."""
        path = self._home / ".podium" / LAST_GOOD
        with suppress(OSError, UnicodeError):
            if not path.parent.is_dir() or (path.is_file() and path.read_text(encoding="utf-8") == text):
                return
            replace_file(path, text)

    def _kept(self) -> Project | None:
        with suppress(OSError, UnicodeError, ConfigError):
            text = (self._home / ".podium" / LAST_GOOD).read_text(encoding="utf-8")
            return from_text(text, FILE, self._home, self._home, self._environ)
        return None


def digest(path: Path) -> str:
    """Returns the digest of a file's text, as `Project.digest` has it. Raises ConfigError if it cannot be read."""
    return hashlib.sha256(source.read_text(path).encode()).hexdigest()


def _read(home: Path) -> _Content:
    try:
        text = source.read_text(home / FILE)
    except ConfigError as error:
        return _Content(f"cannot be read: {error}", error=error)
    return _Content(hashlib.sha256(text.encode()).hexdigest(), text)


def _fresh(home: Path) -> bool:
    """Whether the file was written so short a time ago that it may still be."""
    with suppress(OSError):
        return abs(time.time() - (home / FILE).stat().st_mtime) < FRESH
    return False


def _steady(home: Path, last: _Content) -> _Content | None:
    """Returns the content once two reads in a row agree; None if they do not for a second."""
    for _ in range(MAX_READS):
        time.sleep(READ_INTERVAL)
        now = _read(home)
        if now.digest == last.digest:
            return now
        last = now
    return None
