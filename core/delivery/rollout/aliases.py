"""The alias moves that belong to a promotion or a rollback, and their way back.

The registry is asked after traffic has moved, by a process of its own (`python -m
podium.core.delivery.rollout.aliases HOME`, told DEPLOYMENT finish|undo on its standard input). MLflow, where it has
to be loaded for that, takes a second and more of a core: what serves comes first, and it is loaded while replicas
start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ... import handover
from ...child import run_main
from ...domain.delivery import Deployment, How
from ...domain.models import CHALLENGER, CHAMPION, PREVIOUS
from ...domain.project import Project
from ...errors import PodiumError, Unreachable
from ...journal import Journal
from ..environment import history

if TYPE_CHECKING:
    from ...registry import Registry

_SECONDS = 120.0
_PATIENCE = 10.0
# Of 19: how much it leaves to others.
_NICE = 10

Moves = Mapping[str, int | None]


def wanted(project: Project, journal: Journal, deployment: Deployment, now: Mapping[str, int]) -> dict[str, int | None]:
    """Alias -> version (None: taken away) once this deployment is done; empty where the environment carries no alias
    or a plain deploy leaves it."""
    if deployment.how is How.DEPLOY or not history.carries(project, deployment.environment):
        return {}
    moves: dict[str, int | None] = {CHAMPION: deployment.to_version}
    if deployment.how is How.ROLLBACK:
        before = [v for v in history.earlier(journal, deployment.environment) if v != deployment.to_version]
        moves[PREVIOUS] = next(
            (
                v
                for v in before
                if v != deployment.from_version and journal.quarantine.find(deployment.model, v) is None
            ),
            None,
        )
    elif deployment.from_version not in (None, deployment.to_version):
        moves[PREVIOUS] = deployment.from_version
    if now.get(CHALLENGER) == deployment.to_version:
        moves[CHALLENGER] = None
    return {alias: to for alias, to in moves.items() if now.get(alias) != to}


def finish(project: Project, journal: Journal, deployment: Deployment) -> list[str]:
    """Move the aliases; what was moved, in words. What they were is kept in the ledger before the first is moved."""
    registry = _open(project)
    try:
        now = _aliases(registry, deployment.model)
        moves = wanted(project, journal, deployment, now)
        if moves:
            known = journal.ledger.get(deployment.id)
            before: dict[str, int | None] = {alias: now.get(alias) for alias in moves}
            journal.ledger.phase(deployment.id, known.phase, {"aliases": before, **known.data})
        return _move(project, journal, registry, deployment, moves, now)
    finally:
        registry.close()


def undo(project: Project, journal: Journal, deployment: Deployment) -> list[str]:
    """Put back the aliases that `finish` may have moved."""
    before = cast("Moves", journal.ledger.get(deployment.id).data.get("aliases") or {})
    if not before:
        return []
    registry = _open(project)
    try:
        now = _aliases(registry, deployment.model)
        return _move(
            project,
            journal,
            registry,
            deployment,
            {alias: to for alias, to in before.items() if now.get(alias) != to},
            now,
        )
    finally:
        registry.close()


class Apart:
    """`finish` or `undo` by a process of its own, which may be started before there is something to do. To be
    closed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Start the process; it waits for an order, and ends with whoever would give it."""
        if self._process is None:
            pipe, handed = subprocess.PIPE, handover.pack(self._project)
            # -P: it starts in the project's directory, whose modules are not meant.
            command = [sys.executable, "-P", "-m", __name__, str(self._project.home), str(handed)]
            try:
                self._process = subprocess.Popen(
                    command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, pass_fds=(handed,)
                )
            finally:
                os.close(handed)

    def order(self, deployment: Deployment, what: str) -> list[str]:
        """What was moved, in words. Unreachable with the process's words when it fails."""
        self.prepare()
        process, self._process = self._process, None
        assert process is not None
        try:
            out, err = process.communicate(f"{deployment.id} {what}\n", timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"the registry took more than {_SECONDS:.0f} s to move aliases", hint="`podium doctor` looks at it"
            ) from error
        finally:
            _end(process)
        if process.returncode:
            raise Unreachable((err.strip().splitlines() or ["the aliases could not be moved"])[-1])
        return out.splitlines()

    def close(self) -> None:
        """Not an error when nothing was ever ordered."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    with process:
        pass


def apart(project: Project, deployment: Deployment, what: str) -> list[str]:
    """One order, with nothing prepared."""
    return Apart(project).order(deployment, what)


def _open(project: Project) -> Registry:
    from ...registry import open_registry

    return open_registry(project.mlflow, project.state)


def _warm_up(project: Project) -> None:
    """Has all of MLflow loaded that an order will need. What is wrong is told when there is one."""
    with suppress(PodiumError):
        registry = _open(project)
        try:
            _aliases(registry, project.mlflow.model)
        finally:
            registry.close()


def _aliases(registry: Registry, model: str) -> dict[str, int]:
    from ...errors import NotFound

    try:
        return registry.aliases(model)
    except NotFound:
        return {}


def _move(
    project: Project, journal: Journal, registry: Registry, deployment: Deployment, moves: Moves, now: Mapping[str, int]
) -> list[str]:
    from ...registry.aliases import move_alias
    from ...registry.snapshot import refresh_here

    done: list[str] = []
    for alias, to in moves.items():
        _wait_for_others(journal, deployment.model)
        why = f"{deployment.how} {deployment.id} on {deployment.environment}"
        move_alias(
            project,
            journal,
            registry,
            deployment.model,
            alias,
            to,
            expected=now.get(alias),
            who=deployment.who,
            why=why,
        )
        done.append(f"alias {alias}: {_words(now.get(alias))} → {_words(to)}")
    if done:
        refresh_here(project, journal)
    return done


def _wait_for_others(journal: Journal, model: str) -> None:
    """Another step may be moving an alias of this model right now; that takes a moment."""
    deadline = time.monotonic() + _PATIENCE
    while (
        (holder := journal.locks.holder(f"alias {model}")) is not None and holder.alive and time.monotonic() < deadline
    ):
        time.sleep(0.05)


def _words(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def main(arguments: list[str]) -> None:
    from ...config import load

    os.nice(_NICE)
    # The project as the run has it: a pushed commit's is not the one that is edited in the working tree.
    project = (handover.unpack(Project, int(arguments[1])) if len(arguments) > 1 else None) or load(Path(arguments[0]))
    _warm_up(project)
    number, _, what = sys.stdin.readline().strip().partition(" ")
    if not number:
        return
    with Journal.open(project.state / "journal.db") as journal:
        deployment = journal.ledger.get(int(number))
        for line in (undo if what == "undo" else finish)(project, journal, deployment):
            print(line)


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1:])))
