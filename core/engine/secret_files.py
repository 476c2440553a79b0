"""Reads the secrets that podium.yaml keeps in files, so that a step's log masks them: a step may read these files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..domain.project import Project
from ..identity.account import expanded

_MOST_BYTES = 64 << 10


def in_files(project: Project) -> tuple[str, ...]:
    """Returns the secrets in the files that podium.yaml names, whole and, where a line has a name and a token, the
    tokens. What cannot be read is left out: who needs it says so."""
    return tuple(dict.fromkeys(_each(project)))


def _each(project: Project) -> Iterator[str]:
    host = project.git.host
    whole = [] if host is None else [host.token_file, host.app.key_file if host.app is not None else ""]
    yield from (text for path in whole if (text := _read(project.home, path)))
    feedback = [each.feedback.token_file for each in project.environments.values()]
    for path in feedback:
        yield from (line.split()[-1] for line in _read(project.home, path).splitlines() if line.strip())


def _read(home: Path, path: str) -> str:
    if path:
        with suppress(OSError, UnicodeDecodeError), (home / expanded(path)).open("rb") as file:
            return file.read(_MOST_BYTES).decode().strip()
    return ""
