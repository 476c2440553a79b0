"""`cockpit.finder`: everything that has a name in this project, and what a person means who types a part of one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ...domain.find.found import Found, Kind
from ...domain.find.matching import Candidate, ranked
from ...domain.text import format as fmt
from ...errors import ConfigError, PodiumError
from ..opened import OpenProject

if TYPE_CHECKING:
    from ...domain.models import Version
    from ...domain.project import Project
    from ...domain.runs import Run
    from ...domain.scm import Commit
    from ..ci import Ci
    from ..repository import ProjectRepository

# Of each kind, the newest: what is older is found by its whole name (`run 12`, `v3`, a commit's hash).
MAX_RUNS = 300
MAX_VERSIONS = 300
MAX_COMMITS = 200
MAX_CI_RUNS = 100
_RUNS_WITH_STEPS = 8
_ORDER = {kind: number for number, kind in enumerate(Kind)}
_RUN = re.compile(r"(?:run\s*)?#?(\d{1,9})", re.IGNORECASE)
_VERSION = re.compile(r"(?:version\s*|v)(\d{1,9})", re.IGNORECASE)
_HASH = re.compile(r"[0-9a-f]{4,40}", re.IGNORECASE)
_STEP = re.compile(r"(?:run\s*)?#?(\d{1,9})\s+(\S.*)", re.IGNORECASE)


class Finder:
    """Reads the journal, podium.yaml and the local Git repository; asks no server. What it has read it keeps until the
    journal changes."""

    def __init__(self, opened: OpenProject, repository: ProjectRepository, ci: Ci) -> None:
        self._opened = opened
        self._repository = repository
        self._ci = ci
        self._lock = threading.Lock()
        self._known: tuple[object, tuple[Found, ...]] | None = None

    def find(self, text: str, *, limit: int = 50) -> Sequence[Found]:
        """Returns what fits a text, best first: whole names before beginnings, those before parts of names."""
        things = {_key(each): each for each in (*self._named(text.strip()), *self.all())}
        return ranked(text, things.values(), candidate, limit)

    def all(self) -> Sequence[Found]:
        """Returns everything that has a name, of each kind the newest."""
        journal, latest = self._opened.journal, self._opened.latest
        # The journal's number is that of one connection, and each thread has its own.
        stamp = (threading.get_ident(), journal.data_version(), latest.generation, self._tips())
        with self._lock:
            if self._known is not None and self._known[0] == stamp:
                return self._known[1]
        found: list[Found] = []
        for read in (
            self._environments,
            self._versions,
            self._runs,
            self._monitors,
            self._containers,
            self._ci_runs,
            self._commits,
        ):
            # One that cannot be read (no repository, a broken podium.yaml) hides no other.
            with suppress(PodiumError):
                found += read()
        with self._lock:
            self._known = (stamp, tuple(found))
        return found

    def _tips(self) -> tuple[str, ...]:
        """Returns the hashes that the repository's names stand for; none outside of a repository."""
        with suppress(PodiumError):
            return tuple(ref.sha for ref in self._repository.refs())
        return ()

    # By a whole name, however old

    def _named(self, text: str) -> Iterator[Found]:
        for pattern, look in ((_RUN, self._run), (_VERSION, self._version), (_STEP, self._step), (_HASH, self._commit)):
            if match := pattern.fullmatch(text):
                with suppress(PodiumError):
                    yield from look(*match.groups() or (match.group(),))

    def _run(self, number: str) -> Iterator[Found]:
        yield of_run(self._opened.journal.runs.get(int(number)))

    def _version(self, number: str) -> Iterator[Found]:
        found = self._opened.journal.versions.get(self._own_model, int(number))
        if found is not None:
            yield of_version(found, self._own_model)

    def _step(self, number: str, name: str) -> Iterator[Found]:
        for step in self._opened.journal.steps.of(int(number)):
            if step.name.casefold().startswith(name.casefold()):
                yield of_step(step.run_id, step.name, str(step.state))

    def _commit(self, text: str) -> Iterator[Found]:
        yield of_commit(self._repository.commit(text).commit)

    # Of each kind

    @property
    def _project(self) -> Project:
        return self._opened.config

    @property
    def _own_model(self) -> str:
        return self._project.mlflow.model

    def _environments(self) -> Iterator[Found]:
        hosts: dict[str, str] = {}
        for name, each in self._project.environments.items():
            words = f"{each.driver}, protected" if each.protected else each.driver
            yield Found(Kind.ENVIRONMENT, name, words, environment=name)
            if each.host:
                hosts.setdefault(each.host, name)
        for name in self._project.pipelines:
            yield Found(Kind.PIPELINE, name, "pipeline of podium.yaml", (f"pipeline {name}",), id=name)
        for host, environment in hosts.items():
            yield Found(Kind.HOST, host, f"engine of {environment}", environment=environment)

    def _versions(self) -> Iterator[Found]:
        with suppress(ConfigError):
            own = self._own_model
            for model in self._opened.journal.versions.models():
                for version in self._opened.journal.versions.of(model.name)[:MAX_VERSIONS]:
                    yield of_version(version, own)

    def _runs(self) -> Iterator[Found]:
        journal = self._opened.journal
        for number, run in enumerate(journal.runs.page(limit=MAX_RUNS)):
            yield of_run(run)
            if number < _RUNS_WITH_STEPS:
                for step in journal.steps.of(run.id):
                    yield of_step(run.id, step.name, str(step.state))

    def _monitors(self) -> Iterator[Found]:
        for name, each in self._project.monitors.items():
            yield Found(Kind.MONITOR, name, str(each.environment), id=name, environment=str(each.environment))

    def _containers(self) -> Iterator[Found]:
        for environment in self._project.environments:
            snapshot = self._opened.journal.snapshots.get(environment)
            for each in snapshot.containers if snapshot is not None else ():
                names = (each.replica,) if each.replica else ()
                words = f"{each.state}, {environment}"
                yield Found(Kind.CONTAINER, each.name, words, names, environment=environment, id=each.id)

    def _ci_runs(self) -> Iterator[Found]:
        for row in self._ci.inbox(limit=MAX_CI_RUNS).rows:
            run = row.run
            names = (f"CI {run.id}", run.id, run.branch, run.title)
            name = f"{run.name} #{run.number or run.id}"
            yield Found(Kind.CI, name, f"{run.state}, {run.branch}: {run.title}", names, id=run.id)

    def _commits(self) -> Iterator[Found]:
        for row in self._repository.commits(limit=MAX_COMMITS).rows:
            yield of_commit(row.commit)
        for ref in self._repository.refs():
            yield Found(Kind.BRANCH, ref.name, str(ref.kind), id=ref.sha)


def of_run(run: Run) -> Found:
    """Returns a run as it is found: by its number, or by what it runs."""
    when = fmt.local(run.created)
    words = f"{run.title}, {run.state}, {when}"
    return Found(Kind.RUN, f"run {run.id}", words, (str(run.id), f"#{run.id}", run.title), run=run.id)


def of_version(version: Version, own: str) -> Found:
    """Returns a version as it is found: by its number and aliases; one of another model by that model's name, too."""
    number = f"v{version.version}"
    mine = version.model == own
    name = number if mine else f"{version.model} {number}"
    names = (f"version {version.version}", *version.aliases, f"{version.model} {number}")
    words = ", ".join((*version.aliases, str(version.verdict or "not judged"), fmt.local(version.created)))
    return Found(Kind.VERSION, name, words, names, model=version.model, version=version.version)


def of_step(run: int, name: str, state: str) -> Found:
    """Returns a step as it is found: by its name, alone or behind its run's number."""
    names = (f"run {run} {name}", f"{run} {name}")
    return Found(Kind.STEP, name, f"of run {run}, {state}", names, run=run, step=name)


def of_commit(commit: Commit) -> Found:
    """Returns a commit as it is found: by its hash or by its subject."""
    words = f"{commit.subject} ({commit.author})"
    return Found(Kind.COMMIT, commit.short, words, (commit.sha, commit.subject), id=commit.sha)


def candidate(found: Found) -> Candidate:
    """Returns what a thing is matched by."""
    return Candidate((found.name, *found.names), order=_ORDER[found.kind])


def _key(found: Found) -> tuple[object, ...]:
    return (found.kind, found.name, found.run, found.environment, found.id, found.model)
