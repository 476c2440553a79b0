"""Containers that steps leave: one that a worker which died has left running is taken over, one whose step failed is
kept for a while to be looked at, and every other one is removed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....containers.engine.client import Engine
from ....containers.engine.labels import HOME, PROJECT, ROLE, RUN, STEP, STEP_ROLE, home_id
from ....containers.images import store
from ....domain.runs import RunState
from ....errors import NotFound, PodiumError
from ....journal import Journal
from .create import FAILED, FINGERPRINT

SHELL_ROLE = "shell"
# Failed steps' containers that stay, and for how long (seconds); and how long one waits for a run to be resumed.
KEPT = 5
KEPT_SECONDS = 3 * 86400.0
WAITING_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Left:
    """A step's container as it was found."""

    id: str
    run: int
    step: str
    state: str
    kept: bool
    mark: str
    created: float


def found(engine: Engine, project: str, home: Path) -> list[Left]:
    """Every container of this project's steps, the newest first."""
    wanted = [f"{PROJECT}={project}", f"{HOME}={home_id(home)}", f"{ROLE}={STEP_ROLE}"]
    return sorted((_left(each) for each in engine.containers(wanted)), key=lambda left: -left.created)


def _left(each: dict[str, Any]) -> Left:
    labels: dict[str, str] = each.get("Labels") or {}
    run = labels.get(RUN, "")
    kept = any(str(name).endswith(FAILED) for name in each.get("Names") or ())
    return Left(
        str(each["Id"]),
        int(run) if run.isdecimal() else 0,
        labels.get(STEP, ""),
        str(each.get("State", "")),
        kept,
        labels.get(FINGERPRINT, ""),
        float(each.get("Created") or 0.0),
    )


def remove(engine: Engine, container: str) -> None:
    """Gone, with its volumes, whether it runs or not."""
    with suppress(NotFound), engine.doing("removing the step's container"):
        engine.api.remove_container(container, force=True, v=True)


def keep(engine: Engine, container: str) -> bool:
    """Mark a failed step's container as kept; False when it is gone."""
    name = str(engine.inspect(container)["Name"]).lstrip("/")
    with suppress(NotFound), engine.doing("keeping the step's container"):
        engine.api.rename(container, name + FAILED)
        return True
    return False


def tidy(engine: Engine, project: str, home: Path) -> list[str]:
    """Remove what nobody needs any more of this project's steps on this engine; the containers that went."""
    gone: list[str] = []
    with Journal.open(home / ".podium" / "journal.db") as journal:
        for left in unneeded(found(engine, project, home), journal, time.time()):
            with suppress(PodiumError):
                remove(engine, left.id)
                gone.append(left.id)
    _remove_shells(engine, project, home)
    return gone


def unneeded(containers: Iterable[Left], journal: Journal, now: float) -> list[Left]:
    """Of containers, newest first, those that may go."""
    gone: list[Left] = []
    kept: set[tuple[int, str]] = set()
    for left in containers:
        if left.kept:
            key = (left.run, left.step)
            if key in kept or len(kept) >= KEPT or now - left.created > KEPT_SECONDS:
                gone.append(left)
            kept.add(key)
        elif not _awaited(left, journal, now):
            gone.append(left)
    return gone


def _awaited(left: Left, journal: Journal, now: float) -> bool:
    """Whether a worker has the container in its hands, or a later one may take it over."""
    try:
        run = journal.runs.get(left.run)
    except NotFound:
        # A journal that was thrown away, or a run that is only just being written.
        return now - left.created < 60.0
    if run.state is RunState.INTERRUPTED or (
        run.state is RunState.FAILED and lost_marker(journal.path.parent, left.run, left.id).exists()
    ):
        return now - (run.ended or now) < WAITING_SECONDS
    return not run.state.finished


def lost_marker(state: Path, run: int, container: str) -> Path:
    """Exists when the engine was away while it had the container, so that its work may go on, or be done: a resumed
    run takes it over."""
    return state / "runs" / str(run) / f"lost-{container[:12]}"


def _remove_shells(engine: Engine, project: str, home: Path) -> None:
    """Images that a shell was opened on and that its end did not remove."""
    wanted = [f"{PROJECT}={project}", f"{HOME}={home_id(home)}", f"{ROLE}={SHELL_ROLE}"]
    used = {str(each.get("ImageID", "")) for each in engine.containers(wanted)}
    for each in store.find(engine, wanted):
        if each["Id"] not in used and time.time() - float(each.get("Created") or 0.0) > 60.0:
            store.remove(engine, str(each["Id"]))
