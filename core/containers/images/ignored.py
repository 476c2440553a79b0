"""What of a build directory is not sent to the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...beneath import Directory

IGNORE_FILE = ".dockerignore"
_MAX_BYTES = 1 << 20


def not_ignored(directory: Directory) -> Callable[[str], bool]:
    """Returns what tells whether a file is sent, by the patterns of the directory's `.dockerignore`: what they name
    reaches neither the image nor the step's key. The Dockerfile is sent in any case, as Docker does."""
    try:
        with directory.read_below(IGNORE_FILE, links=False) as file:
            text = file.read(_MAX_BYTES).decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        return lambda path: True
    from docker.utils.build import PatternMatcher

    lines = (line.strip() for line in text.splitlines() if not line.startswith("#"))
    matcher: Any = PatternMatcher([*filter(None, lines), "!Dockerfile"])
    return lambda path: not matcher.matches(path)
