"""The alias moves that belong to a promotion or a rollback, and their way back.

A child process (`python -m podium.core.delivery.rollout.aliases HOME`, which reads `DEPLOYMENT finish|undo` from its
standard input) asks the registry, after traffic has moved. Loading MLflow, where that is needed, takes a second and
more of a core: what serves comes first, and MLflow is loaded while replicas start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ... import handover
from ...child import run_main, tell
from ...domain.delivery import Deployment, How
from ...domain.models import CHALLENGER, CHAMPION, PREVIOUS
from ...domain.project import Project
from ...domain.rollout import RolloutState
from ...errors import JournalError, PodiumError, Unreachable
from ...journal import Journal
from ...preload.client import supported
from ...preload.piped import Piped
from ..environment import history

if TYPE_CHECKING:
    from ...registry import Registry

MOVE_TIMEOUT = 120.0
# How long an alias that another step is moving is waited for.
ALIAS_LOCK_TIMEOUT = 10.0
# Of 19: what serves goes first.
NICENESS = 10
# The exit code of the process where this machine lacks something: EX_TEMPFAIL of sysexits.h.
_LACKING = 75

Moves = Mapping[str, int | None]


def wanted(project: Project, journal: Journal, deployment: Deployment, now: Mapping[str, int]) -> dict[str, int | None]:
    """Returns the aliases that differ once this deployment is done: alias -> version (None: removed). Empty where the
    environment carries no alias, and for a deploy, which moves none."""
    if not deployment.how.moves_aliases or not history.carries(project, deployment.environment):
        return {}
    moves: dict[str, int | None] = {CHAMPION: deployment.to_version}
    if deployment.how is How.ROLLBACK:
        past = history.EnvironmentHistory.load(journal, deployment.model, deployment.environment)
        left = () if deployment.from_version is None else (deployment.from_version,)
        moves[PREVIOUS] = past.good_before(leaving=(deployment.to_version, *left))
    elif deployment.from_version not in (None, deployment.to_version):
        moves[PREVIOUS] = deployment.from_version
    if now.get(CHALLENGER) == deployment.to_version:
        moves[CHALLENGER] = None
    return {alias: to for alias, to in moves.items() if now.get(alias) != to}


def finish(project: Project, journal: Journal, deployment: Deployment) -> list[str]:
    """Moves the aliases; returns what was moved, in words. What they were is noted in the ledger before the first is
    moved."""
    registry = _open(project)
    try:
        now = _aliases(registry, deployment.model)
        moves = wanted(project, journal, deployment, now)
        if moves:
            row = journal.ledger.get(deployment.id)
            state = RolloutState.from_json(row.data)
            if state.aliases_before is None:
                state = replace(state, aliases_before={alias: now.get(alias) for alias in moves})
                journal.ledger.phase(deployment.id, row.phase, state.to_json())
        return _move(project, journal, registry, deployment, moves, now)
    finally:
        registry.close()


def undo(project: Project, journal: Journal, deployment: Deployment) -> list[str]:
    """Moves back the aliases that `finish` may have moved; returns what was moved, in words."""
    before = RolloutState.from_json(journal.ledger.get(deployment.id).data).aliases_before
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


class AliasProcess:
    """Moves aliases in a child process, which may be started before there is something to move. To be closed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._process: Piped | None = None

    def prepare(self) -> None:
        """Starts the process early if it has to import MLflow first. One that has it loaded is there in a moment, and
        would only take time from what moves the traffic."""
        if not supported():
            self._start()

    def _start(self) -> None:
        """Starts the process; it loads what it needs, waits for one request, and ends when this process ends."""
        if self._process is None:
            handed, home = handover.pack(self._project), self._project.home
            arguments = (str(home), str(handed))
            self._process = Piped(self._project.state, __name__, arguments, cwd=home, inherit=(handed,))

    def move(self, deployment: Deployment) -> list[str]:
        """Moves the aliases that belong to the deployment (`finish`); returns what was moved, in words. Raises
        Unreachable with the process's message when it fails, OSError when this machine lacks something for it."""
        return self._request(f"{deployment.id} finish")

    def move_back(self, deployment: Deployment) -> list[str]:
        """Moves the aliases back (`undo`), as `move` does."""
        return self._request(f"{deployment.id} undo")

    def close(self) -> None:
        """Ends the process, where one was prepared and nothing was moved."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _request(self, line: str) -> list[str]:
        self._start()
        process, self._process = self._process, None
        assert process is not None
        try:
            code, out, err = process.communicate(f"{line}\n", timeout=MOVE_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"the registry took more than {MOVE_TIMEOUT:.0f} s to move aliases", hint="`podium doctor` looks at it"
            ) from error
        finally:
            process.close()
        if code:
            message, hint = _said(err)
            raise OSError(message) if code == _LACKING else Unreachable(message, hint=hint)
        return out.splitlines()


def _said(err: str) -> tuple[str, str]:
    """Returns the message and the hint of what the process wrote last; before it stands what libraries write."""
    last = (err.strip().splitlines() or [""])[-1]
    with suppress(ValueError):
        message, _, hint = str(json.loads(last)).partition("\n")
        return message, hint
    return last or "the aliases could not be moved", ""


def _open(project: Project) -> Registry:
    from ...registry import open_registry

    return open_registry(project.mlflow, project.state)


def _warm_up(project: Project) -> None:
    """Loads all of MLflow that a move will need. What is wrong is reported by the move."""
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
    """Waits while another step moves an alias of this model: that takes a moment."""
    deadline = time.monotonic() + ALIAS_LOCK_TIMEOUT
    while (
        (holder := journal.locks.holder(f"alias {model}")) is not None and holder.alive and time.monotonic() < deadline
    ):
        time.sleep(0.05)


def _words(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def main(arguments: list[str]) -> int:
    """Moves the aliases that standard input asks for, in a child process; returns its exit code."""
    try:
        return run_main(lambda: _serve(arguments), json.dumps)
    except (OSError, _Lacking) as error:
        tell(json.dumps(str(error)), sys.stderr)
        return _LACKING


class _Lacking(Exception):
    """The journal cannot be read or written here."""


def _serve(arguments: list[str]) -> None:
    from ...config import load

    os.nice(NICENESS)
    # The project as the run has it: a pushed commit's is not the one that is edited in the working tree.
    project = (handover.unpack(Project, int(arguments[1])) if len(arguments) > 1 else None) or load(Path(arguments[0]))
    _warm_up(project)
    number, _, what = sys.stdin.readline().strip().partition(" ")
    if not number:
        return
    try:
        with Journal.open(project.state / "journal.db") as journal:
            deployment = journal.ledger.get(int(number))
            for line in (undo if what == "undo" else finish)(project, journal, deployment):
                print(line)
    except JournalError as error:
        raise _Lacking(error.message) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
