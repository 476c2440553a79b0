"""Replaces files as a whole: a reader sees the old or the new one, whatever ends the writer."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, text: str, *, only_first: bool = False) -> None:
    """Replaces `path` by `text` atomically, with mode 0600. With `only_first` a file that is there already stays.
    OSError when it cannot be written: then nothing is left behind."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if only_first:
            with suppress(FileExistsError):
                os.link(fresh, path)
        else:
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
