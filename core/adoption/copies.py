"""Makes a copy of a project a project of its own: it gives up everything that the original runs."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

from ..config import load
from ..domain.plans import Change, Plan
from ..domain.text.format import count
from ..errors import PodiumError, Refused
from ..identity.account import whoami
from ..identity.home import STATE, Home, Standing, new_id
from ..journal import Journal
from .places import relink_worktrees, renaming, repath_store
from .settling import alone, look

# What belongs to processes of the original, in an environment's directory.
_RUNTIME_FILES = ("haproxy*.cfg", "haproxy*.pid", "proxy*.sock*", "replica-*.sock", "proxy*.log", ".healing")


def plan(home: Path) -> Plan:
    """Returns what adopting the copy would make it give up."""
    state = home / STATE
    copied = state.is_dir() and look(state).standing is Standing.COPY
    return Plan(
        target=str(home),
        verb="adopt",
        title=f"Make {home} a project of its own",
        action="Adopt",
        command="podium adopt",
        changes=_given_up(state) if copied else (),
        steps=("paths of the original in the journal and in its own MLflow store are changed to those of this copy",)
        if copied
        else (),
        warnings=tuple(_ports(home)) if copied else (),
        nothing_to_do="" if copied else "this project is no copy: it owns what it runs",
        kept_in="audit",
    )


def _given_up(state: Path) -> tuple[Change, ...]:
    """Returns what the original has and the copy will not."""
    with Journal.open(state / "journal.db", create=False) as journal:
        rows = journal.replicas.all()
        found = [
            Change("owner", "the original", "this copy"),
            Change("agent", "the original's", "none"),
            Change("locks", str(len(journal.locks.all())), "none"),
            Change("running runs", str(len(journal.runs.active())), "interrupted"),
        ]
        for name, number in sorted(Counter(row.environment for row in rows).items()):
            found.append(Change(name, count(number, "replica"), "not served here"))
    return tuple(found)


def _ports(home: Path) -> list[str]:
    """Names the ports that the copy's podium.yaml shares with what listens now."""
    from ..delivery.host.ports import listener

    warnings: list[str] = []
    with suppress(PodiumError):
        for environment in load(home).environments.values():
            holder = listener(environment.port)
            if holder is not None:
                warnings.append(
                    f"port {environment.port} of {environment.name} is in use by process {holder[0]}: give"
                    f" environments.{environment.name}.port another number before anything is deployed"
                )
    return warnings


def adopt(home: Path) -> None:
    """Makes the copy a project of its own. Raises Refused if it is none."""
    state = home / STATE
    with alone(state):
        judgement = look(state)
        if judgement.standing is not Standing.COPY or judgement.noted is None:
            raise Refused("this project is no copy: there is nothing to adopt")
        old = Path(judgement.noted.place.path).parent
        moved = renaming(old, home)
        repath_store(home, moved)
        relink_worktrees(home)
        with Journal.open(state / "journal.db", create=False) as journal, journal.transaction():
            journal.relocation.give_up()
            journal.relocation.repath(moved)
            journal.audit.add(whoami(), "adopt", str(home), f"a copy of {judgement.original}")
        _remove_runtime_files(state)
        Home(new_id(), judgement.now).write(state)


def _remove_runtime_files(state: Path) -> None:
    for directory in (state / "environments").glob("*"):
        for pattern in _RUNTIME_FILES:
            for path in directory.glob(pattern):
                with suppress(OSError):
                    path.unlink()
    for path in (state / "locks").glob("*.lock"):
        with suppress(OSError):
            path.unlink()
