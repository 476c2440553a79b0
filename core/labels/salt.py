"""The salt of an environment: what keys that are redacted are hidden with. It is beside the store, for its owner."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from ..errors import JournalError
from .database import place

_BYTES = 32
_SALT = re.compile(f"[0-9a-f]{{{2 * _BYTES}}}")


def salt_of(state: Path, environment: str) -> str:
    """Returns the salt, made once: with another one, labels do not find requests that were kept before. Raises
    JournalError if it can neither be read nor made."""
    path = place(state, environment).with_suffix(".salt")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _make(path)
        salt = path.read_text("ascii", "replace").strip()
    except OSError as error:
        raise JournalError(
            f"the salt {path} cannot be read: {error}",
            hint="give this user access to it; without it keys match nothing",
        ) from error
    if not _SALT.fullmatch(salt):  # with an empty one keys would be kept as they are
        raise JournalError(
            f"the salt {path} is damaged",
            hint="restore it from a backup, or remove it: with a new one labels find only requests that come later",
        )
    return salt


def _make(path: Path) -> None:
    """Writes it as a whole: two processes that make it at once get the same one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(secrets.token_hex(_BYTES))
            file.flush()
            os.fsync(file.fileno())  # an empty one after a loss of power hides nothing
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
