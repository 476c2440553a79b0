"""Puts a marked block that wakes the agent into git's hooks.

The block goes to the top of a hook, not to its end: the user's hook may end in `exit` or `exec`. The hook's exit
code stays its own, and it still finds its standard input unread.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ..errors import PodiumError, UsageError

HOOKS = ("post-commit", "post-merge", "post-receive")
_NEW_HOOK = b"#!/bin/sh\n"
_SHELL_LINE = re.compile(rb"#![ \t]*(/usr/bin/env[ \t]+(-S[ \t]+)?)?(/\S*/)?(ba|da|k|z|a|)sh([ \t].*)?\r?\n?")


def install(directory: Path, project: str, command: str) -> list[str]:
    """Puts the block of one project (named by its path in the repository) into each hook. Returns a sentence for
    each hook that was left alone."""
    if "\0" in command or "podium <<<" in command:
        raise UsageError("this command cannot be written into a hook")
    left: list[str] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in HOOKS:
            reason = _install(directory / name, project, command)
            if reason:
                left.append(f"{name}: {reason}")
    except OSError as error:
        raise PodiumError(
            f"the git hooks in {directory} cannot be written: {error.strerror}",
            hint="pushes are noticed without a hook too",
        ) from None
    return left


def _install(path: Path, project: str, command: str) -> str:
    if path.is_symlink():
        return "is a link to a file elsewhere"
    old = path.read_bytes() if path.exists() else b""
    own = _without(old, project)
    if own and own != _NEW_HOOK:
        if not os.access(path, os.X_OK):
            return "is not executable, so it is switched off; a block in it would switch it on"
        if not _SHELL_LINE.match(own):
            return "is not a shell script"
    first, rest = own.split(b"\n", 1) if b"\n" in own else (own, b"")
    start = first + b"\n" if own else _NEW_HOOK
    _write(path, start + _block(project, command) + rest)
    return ""


def remove(directory: Path, project: str) -> None:
    for name in HOOKS:
        path = directory / name
        try:
            old = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            own = _without(old, project)
            if own == _NEW_HOOK and own != old:
                path.unlink()
            elif own != old:
                _write(path, own)
        except OSError as error:
            raise PodiumError(f"{path} cannot be changed: {error.strerror}") from None


def _marks(project: str) -> tuple[bytes, bytes]:
    name = os.fsencode(project or ".")
    return b"# >>> podium >>> " + name + b"\n", b"# <<< podium <<< " + name + b"\n"


def _block(project: str, command: str) -> bytes:
    begin, end = _marks(project)
    note = b"# Wakes `podium watch`; it also works without this, a second later.\n"
    return begin + note + b"(\n" + os.fsencode(command) + b"\n) </dev/null >/dev/null 2>&1 || :\n" + end


def _without(content: bytes, project: str) -> bytes:
    """Returns the hook without the project's block."""
    begin, end = _marks(project)
    start = content.find(begin)
    stop = content.find(end, start)
    if start < 0 or stop < 0:
        return content
    return content[:start] + content[stop + len(end) :]


def _write(path: Path, content: bytes) -> None:
    """Replaces the hook atomically and keeps its mode."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o755
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
