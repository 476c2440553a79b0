"""What a person's own command is told of what is under the cursor. Values reach its shell as environment variables and
in no other way: whatever a name from outside holds, it is text there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core.domain.containers import Container
from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.hosts import CiRow
from ...core.domain.infra.plan import InfraStatus
from ...core.domain.models import Version
from ...core.domain.monitoring import AlertStatus, MonitorStatus
from ...core.domain.runs import Run, Step
from ...core.domain.scm import CommitRow
from ..context import Context

# Variable -> (the kind of thing that has it, its value there). The first kind that is under the cursor counts.
_VALUES: tuple[tuple[str, type[Any], Callable[[Any], object]], ...] = (
    ("THIS_RUN", Run, lambda run: run.id),
    ("THIS_PIPELINE", Run, lambda run: "" if run.is_operation else run.name),
    ("THIS_STEP", Step, lambda step: step.name),
    ("THIS_VERSION", Version, lambda version: version.version),
    ("THIS_MODEL", Version, lambda version: version.model),
    ("THIS_ENVIRONMENT", EnvironmentStatus, lambda status: status.name),
    ("THIS_URL", EnvironmentStatus, lambda status: status.url),
    ("THIS_CONTAINER", Container, lambda container: container.name),
    ("THIS_COMMIT", CommitRow, lambda row: row.commit.sha),
    ("THIS_COMMIT", Version, lambda version: version.commit),
    ("THIS_COMMIT", Run, lambda run: run.commit),
    ("THIS_CI_RUN", CiRow, lambda row: row.run.id),
    ("THIS_MONITOR", MonitorStatus, lambda monitor: monitor.name),
    ("THIS_ALERT", AlertStatus, lambda alert: alert.name),
    ("THIS_INFRA", InfraStatus, lambda infra: infra.name),
)
EVERYWHERE = ("THIS_PROJECT", "THIS_DIRECTORY", "THIS_SCREEN")
KNOWN = tuple(dict.fromkeys((*EVERYWHERE, *(name for name, _, _ in _VALUES))))
_NAMED = re.compile(r"\$\{?(THIS_[A-Za-z0-9_]*)")


def named_in(command: str) -> tuple[str, ...]:
    """Returns the variables of ours that a command names."""
    return tuple(dict.fromkeys(_NAMED.findall(command)))


def values(context: Context, project: str = "", directory: Path | None = None) -> Mapping[str, str]:
    """Returns the variables for what is under the cursor; what is not there has none."""
    found = {"THIS_PROJECT": project, "THIS_DIRECTORY": str(directory or ""), "THIS_SCREEN": context.screen}
    for name, kind, read in _VALUES:
        thing = context.find(kind)
        value = "" if thing is None else str(read(thing))
        if value and name not in found:
            found[name] = value.replace("\0", "")  # which no variable can hold
    return found


def missing(command: str, context: Context) -> str:
    """Returns why a command cannot be run now: it names something that is not under the cursor. Empty if it can."""
    known = values(context)
    for name in named_in(command):
        if name not in EVERYWHERE and name not in known:
            return f"no {name.removeprefix('THIS_').replace('_', ' ').lower()} is under the cursor"
    return ""
