"""What takes room in a project's state directory, and what is removed of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, cast

from .frozen import Frozen

# The target of a plan that prunes the state directory.
STATE = "state"


class KindUsage(Frozen):
    """What one kind of data takes."""

    kind: str
    """Its name in core/retention/kinds.py."""
    about: str
    entries: int
    """Files, and rows of the journal's tables."""
    size: int
    """Bytes on the disk; the journal's own rows are in the kind `journal`."""
    kept: str
    """For how long, in words."""


class Pruned(Frozen):
    """What was removed, or would be, of one kind."""

    kind: str
    entries: int
    size: int
    """Bytes on the disk."""
    why: str
    """What they are too old or too many for."""


def written_pruned(found: Iterable[Pruned]) -> str:
    return json.dumps([asdict(each) for each in found])


def read_pruned(text: str) -> tuple[Pruned, ...]:
    return tuple(Pruned(**each) for each in cast("list[Mapping[str, Any]]", json.loads(text)))
