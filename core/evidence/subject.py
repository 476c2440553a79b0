"""Which version is meant: by its number, an alias, a commit, or by what an environment served at a time."""

from __future__ import annotations

import time

from ..delivery.environment.served_at import served_at
from ..domain.delivery import Deployment
from ..domain.frozen import Frozen
from ..domain.models import Version
from ..domain.project import Project
from ..domain.runs import Run
from ..domain.text import one_line
from ..domain.text.format import moment
from ..errors import NotFound
from ..journal import Journal

# How far the clock that a time was read from may be ahead.
_AHEAD = 60.0


class Subject(Frozen):
    """What a story is about."""

    project: Project
    journal: Journal
    version: Version
    environment: str = ""
    at: float | None = None
    """Seconds since the epoch; None for now."""
    stopped: str = ""
    """When somebody had stopped the environment, who and why, if nothing has served there since `at`; empty if nobody
    had."""

    @property
    def model(self) -> str:
        return self.version.model

    @property
    def number(self) -> int:
        return self.version.version

    @property
    def run(self) -> Run | None:
        """Returns the run that made the version; None if none did, or it is older than what is kept."""
        if self.version.run_id is None:
            return None
        try:
            return self.journal.runs.get(self.version.run_id)
        except NotFound:
            return None


def named(project: Project, journal: Journal, version: Version) -> Subject:
    """Returns a version as the subject."""
    return Subject(project, journal, version)


def served(project: Project, journal: Journal, environment: str, at: float | None) -> Subject:
    """Returns what an environment served at a time (seconds since the epoch; None for now, or when it was stopped). A
    version that the registry has forgotten is what the ledger says of it. Raises NotFound if nothing was served
    then."""
    if at is not None and at > time.time() + _AHEAD:
        raise NotFound(f"{moment(at)} has not come yet", hint="leave out --at for what serves now")
    row, words = _serving(journal, project.environment(environment).name, at), ""
    stop = served_at(journal, environment, time.time() if at is None else at)
    if row is not None and stop.stopped and stop.stopped_at is not None:
        words = f"at {moment(stop.stopped_at)} by {stop.stopped}"
        if at is not None:
            raise NotFound(
                f"{environment} served nothing at {moment(at)}: it was stopped {one_line(words)}",
                hint=f"`podium evidence v{row.to_version}` is about what had served before",
            )
        at = stop.stopped_at
    if row is None:
        when = "yet" if at is None else f"at {moment(at)}"
        raise NotFound(
            f"{environment} served nothing {when}", hint=f"`podium history -e {environment}` lists what it did"
        )
    version = journal.versions.get(row.model, row.to_version)
    if version is None:  # the ledger outlives what MLflow keeps
        version = Version(row.model, row.to_version, row.at, commit=row.commit, digest=row.digest, run_id=row.run_id)
    return Subject(project, journal, version, environment, at, words)


def _serving(journal: Journal, environment: str, at: float | None) -> Deployment | None:
    """Returns the deployment by which an environment served at a time: the last that had succeeded by then."""
    if at is None:
        return journal.ledger.current(environment)
    rows = journal.ledger.between(environment, 0.0, at, limit=1)
    return rows[-1] if rows else None
