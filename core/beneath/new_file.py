"""New files that a person names: a comparison, a log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO, TypeVar

from ..errors import Refused

T = TypeVar("T")
_HINT = "choose another name"


def save(home: Path, name: str, write: Callable[[TextIO], T]) -> tuple[Path, T]:
    """Makes a new file, below `home` where `name` is relative, and has it written; returns its path and what `write`
    returned. Raises Refused, naming the file, if it exists or cannot be written; then no half of it stays."""
    try:
        path = home / Path(name).expanduser()
        with path.open("x", encoding="utf-8", errors="replace") as file:
            try:
                return path, write(file)
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
    except FileExistsError:
        raise Refused(f"{name} exists already", hint=_HINT) from None
    except OSError as error:
        raise Refused(f"{name} cannot be written: {error.strerror}", hint=_HINT) from error
    except (RuntimeError, ValueError) as error:  # a home directory of nobody; a name that no file system takes
        raise Refused(f"{name!r} cannot be written: {error}", hint=_HINT) from error
