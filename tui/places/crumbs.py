"""What stands under the cursor, as the end of the way there: `run 41 › gate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.domain.containers import Container
from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.hosts import CiRow
from ...core.domain.models import Version
from ...core.domain.monitoring import MonitorStatus
from ...core.domain.runs import Run, Step
from ...core.domain.scm import CommitRow
from ..context import Context

# From what contains to what is contained.
_WORDS: tuple[tuple[type[Any], Callable[[Any], str]], ...] = (
    (EnvironmentStatus, lambda each: each.name),
    (Container, lambda each: each.name),
    (CommitRow, lambda each: each.commit.short),
    (CiRow, lambda each: f"CI run {each.run.id}"),
    (Run, lambda each: f"run {each.id}"),
    (Step, lambda each: each.name),
    (Version, lambda each: f"v{each.version}"),
    (MonitorStatus, lambda each: each.name),
)


def crumbs(context: Context) -> tuple[str, ...]:
    """Returns the names of what is under the cursor, the outermost first."""
    found = ((words, context.find(kind)) for kind, words in _WORDS)
    return tuple(words(each) for words, each in found if each is not None)
