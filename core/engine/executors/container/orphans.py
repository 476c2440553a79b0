"""Containers that steps leave behind: one that still runs after its worker died is taken over, one whose step failed
is kept for a while so that a person can look at it, and every other one is removed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ....containers.engine.client import Engine
from ....containers.engine.labels import HOME, PROJECT, ROLE, RUN, STEP, STEP_ROLE, home_id
from ....containers.images import store
from ....domain.frozen import Frozen
from ....domain.runs import RunState
from ....errors import NotFound, PodiumError
from ....journal import Journal
from .create import FAILED_SUFFIX, FINGERPRINT

SHELL_ROLE = "shell"
# How many containers of failed steps are kept, and for how long (seconds).
MAX_KEPT = 5
KEEP_SECONDS = 3 * 86400.0
# How long the container of an interrupted run waits for the run to be resumed.
RESUME_SECONDS = 86400.0
# A container whose run is not in the journal may be of a run that is just being written.
UNKNOWN_RUN_SECONDS = 60.0
# A shell's image without a container may be one whose container is just being created.
SHELL_IMAGE_SECONDS = 60.0


class Orphan(Frozen):
    """A container of a step, as the engine lists it."""

    id: str
    """The container's id."""

    run: int
    """The run that it belongs to; 0 where its label makes no sense."""

    step: str
    """The step that it belongs to."""

    state: str
    """The engine's word: created, running, exited, …"""

    kept: bool
    """Whether it is kept because its step failed."""

    mark: str
    """The fingerprint of what it was created for."""

    created: float
    """When it was created (seconds since the epoch)."""


def find(engine: Engine, project: str, home: Path) -> list[Orphan]:
    """Lists the containers of this project's steps, the newest first."""
    wanted = [f"{PROJECT}={project}", f"{HOME}={home_id(home)}", f"{ROLE}={STEP_ROLE}"]
    return sorted((_orphan(each) for each in engine.containers(wanted)), key=lambda orphan: -orphan.created)


def _orphan(each: dict[str, Any]) -> Orphan:
    labels: dict[str, str] = each.get("Labels") or {}
    run = labels.get(RUN, "")
    kept = any(str(name).endswith(FAILED_SUFFIX) for name in each.get("Names") or ())
    return Orphan(
        str(each["Id"]),
        int(run) if run.isdecimal() else 0,
        labels.get(STEP, ""),
        str(each.get("State", "")),
        kept,
        labels.get(FINGERPRINT, ""),
        float(each.get("Created") or 0.0),
    )


def remove(engine: Engine, container: str) -> None:
    """Removes a container with its volumes, whether it runs or not."""
    with suppress(NotFound), engine.doing("removing the step's container"):
        engine.api.remove_container(container, force=True, v=True)


def keep(engine: Engine, container: str) -> bool:
    """Marks a failed step's container as kept; returns False when it is gone."""
    name = str(engine.inspect(container)["Name"]).lstrip("/")
    with suppress(NotFound), engine.doing("keeping the step's container"):
        engine.api.rename(container, name + FAILED_SUFFIX)
        return True
    return False


def remove_unneeded(engine: Engine, project: str, home: Path) -> list[str]:
    """Removes what this project's steps left on this engine and no run needs; returns the containers removed."""
    gone: list[str] = []
    with Journal.open(home / ".podium" / "journal.db") as journal:
        for orphan in unneeded(find(engine, project, home), journal, time.time()):
            with suppress(PodiumError):
                remove(engine, orphan.id)
                gone.append(orphan.id)
    _remove_shells(engine, project, home)
    return gone


def unneeded(containers: Iterable[Orphan], journal: Journal, now: float) -> list[Orphan]:
    """Returns those of the containers (newest first) that may be removed."""
    gone: list[Orphan] = []
    kept: set[tuple[int, str]] = set()
    for orphan in containers:
        if orphan.kept:
            key = (orphan.run, orphan.step)
            if key in kept or len(kept) >= MAX_KEPT or now - orphan.created > KEEP_SECONDS:
                gone.append(orphan)
            kept.add(key)
        elif not _awaited(orphan, journal, now):
            gone.append(orphan)
    return gone


def _awaited(orphan: Orphan, journal: Journal, now: float) -> bool:
    """Returns whether a worker uses the container, or a later one may take it over."""
    try:
        run = journal.runs.get(orphan.run)
    except NotFound:
        # A journal that was thrown away, or a run that is only just being written.
        return now - orphan.created < UNKNOWN_RUN_SECONDS
    if run.state is RunState.INTERRUPTED or (
        run.state is RunState.FAILED and lost_marker(journal.path.parent, orphan.run, orphan.id).exists()
    ):
        return now - (run.ended or now) < RESUME_SECONDS
    return not run.state.finished


def lost_marker(state: Path, run: int, container: str) -> Path:
    """Returns the file that says that the engine was lost while it had the container: a resumed run takes it over."""
    return state / "runs" / str(run) / f"lost-{container[:12]}"


def _remove_shells(engine: Engine, project: str, home: Path) -> None:
    """Removes images that a shell was opened on and that its end did not remove."""
    wanted = [f"{PROJECT}={project}", f"{HOME}={home_id(home)}", f"{ROLE}={SHELL_ROLE}"]
    used = {str(each.get("ImageID", "")) for each in engine.containers(wanted)}
    for each in store.find(engine, wanted):
        if each["Id"] not in used and time.time() - float(each.get("Created") or 0.0) > SHELL_IMAGE_SECONDS:
            store.remove(engine, str(each["Id"]))
