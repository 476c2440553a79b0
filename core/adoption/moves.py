"""Carries a project over to the place that its directory was moved to. What it runs goes on: replicas are known by
their processes and containers, the proxy is replaced without a pause, and the agent follows by itself."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from ..delivery.proxy.placement import take_over
from ..engine.orphans import end_orphans
from ..engine.recovery import recover
from ..errors import PodiumError
from ..identity.account import whoami
from ..identity.home import STATE, workplaces
from ..identity.processes import alive
from ..journal import Journal
from .places import relink_worktrees, renaming, repath_store


def carry_over(home: Path, old: Path) -> list[str]:
    """Brings everything that has noted the old place to the new one; returns sentences for the person. Raises
    PodiumError when the journal or the store cannot be written; it can be done again."""
    moved = renaming(old, home)
    notes = [f"this project was at {old}, and is at {home} now"]
    repath_store(home, moved)
    relink_worktrees(home)
    if not (home / STATE / "journal.db").is_file():
        return notes
    with Journal.open(home / STATE / "journal.db", create=False) as journal:
        notes += _interrupt_runs(journal, old)
        with journal.transaction():
            journal.relocation.repath(moved)
            journal.audit.add(whoami(), "moved", str(home), f"from {old}")
        notes += _proxies(home, old)
        notes += _agent(journal, home)
    return notes


def _interrupt_runs(journal: Journal, old: Path) -> list[str]:
    """Ends the workers that were started in the old place: they write to paths that are gone."""
    notes: list[str] = []
    for run in journal.runs.active():
        if run.worker_pid is not None and alive(run.worker_pid, run.worker_started):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(run.worker_pid, signal.SIGKILL)
        end_orphans(old, run.id, grace=5.0)
        notes.append(f"run {run.id} was running and is interrupted: `podium resume {run.id}` continues it")
    recover(journal)
    return notes


def _proxies(home: Path, old: Path) -> list[str]:
    notes: list[str] = []
    for directory in (home / STATE / "environments").glob("*"):
        try:
            if not take_over(directory, old / STATE / "environments" / directory.name):
                notes.append(f"the proxy of {directory.name} runs in a container: podium repair -e {directory.name}")
        except (PodiumError, OSError) as error:
            notes.append(f"the proxy of {directory.name} stays as it was: {error}; `podium repair -e {directory.name}`")
    return notes


def _agent(journal: Journal, home: Path) -> list[str]:
    """Says what to do about an agent that cannot follow: one whose directory was deleted after it was copied."""
    agent = journal.agent.status()
    if agent.pid is None or not agent.local or str(home / STATE) in workplaces(agent.pid):
        return []
    return ["its agent could not follow: `podium watch --stop; podium watch --daemon` starts another one"]
