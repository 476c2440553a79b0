"""The façade: everything that a screen or a command can ask of Podium or have it do.

Front ends call this module and read `core/domain/`; they know nothing below. A `Cockpit` may be used from several
threads: each gets a journal connection of its own. Nothing here imports MLflow, Docker or pandas into the calling
process, except where a docstring says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cockpit_containers import Containers
from .domain.runs import Approval, Run, RunDetail, RunState, Step, Trigger
from .errors import (
    ConfigError,
    Interrupted,
    JournalError,
    MissingExtra,
    NotFound,
    PodiumError,
    Problem,
    Refused,
    RunFailed,
    Unreachable,
    UsageError,
)
from .identity.account import whoami
from .journal import Journal
from .logs.format import LogLine
from .logs.merging import Entry, Merged
from .logs.reader import LogFile
from .logs.text import clean, parse_sgr
from .version import VERSION

if TYPE_CHECKING:
    from .demo.story import Demo
    from .domain.delivery import Deployment, EnvironmentStatus, How, Plan, Quarantined
    from .domain.demo import DemoImages
    from .domain.models import Comparison, Lineage, MetricPoint, Model, Version
    from .domain.project import Project
    from .domain.verdicts import GateReport
    from .domain.watching import AgentStatus, Alert, AuditEntry, Finding, Series
    from .registry import Registry

__all__ = [
    "VERSION",
    "Cockpit",
    "ConfigError",
    "Entry",
    "Interrupted",
    "JournalError",
    "LogFile",
    "LogLine",
    "Merged",
    "MissingExtra",
    "NotFound",
    "PodiumError",
    "Problem",
    "Refused",
    "RunFailed",
    "Unreachable",
    "UsageError",
    "clean",
    "demonstration",
    "find_project",
    "init_project",
    "parse_sgr",
    "schema",
    "whoami",
]


def find_project(start: Path) -> Path:
    """The directory of the podium.yaml that is in charge of `start`: its own or the nearest above. UsageError when
    there is none."""
    from .config import find_root

    return find_root(start)


def schema() -> dict[str, Any]:
    """The JSON Schema of podium.yaml, for editors."""
    from .config import schema as json_schema

    return json_schema()


def init_project(directory: Path, *, name: str = "") -> list[Path]:
    """Write a podium.yaml that works and what goes with it into `directory`; the files made. UsageError when one is
    already there."""
    from .template import create

    return create(directory, name=name)


def demonstration(directory: Path, *, docker: DemoImages | None = None) -> Demo:
    """The demonstration that will be played in `directory`, in Docker where its images are named; nothing has
    happened yet."""
    if docker is not None:
        from .demo.docker_story import DockerDemo

        return DockerDemo(directory, Cockpit, docker)
    from .demo.story import Demo

    return Demo(directory, Cockpit)


class Cockpit(Containers):
    """One project, opened. `podium.yaml` is read when first needed, so that reading runs works even while the file
    is broken."""

    def __init__(self, home: Path, *, read_only: bool = False) -> None:
        self.home = home.resolve()
        self.read_only = read_only
        self._local = threading.local()
        self._journals: list[Journal] = []
        self._lock = threading.Lock()

    @classmethod
    def open(cls, directory: Path | None = None) -> Cockpit:
        """The project in charge of `directory` (default: the current one)."""
        return cls(find_project(directory or Path.cwd()))

    @cached_property
    def project(self) -> Project:
        """The project as its podium.yaml describes it now. ConfigError with every problem found."""
        from .config import load

        return load(self.home)

    def reload(self) -> Project:
        """Read podium.yaml again."""
        self.__dict__.pop("project", None)
        return self.project

    @property
    def journal(self) -> Journal:
        """This thread's connection to the journal. Not for front ends."""
        journal = getattr(self._local, "journal", None)
        if journal is None:
            journal = Journal.open(self.home / ".podium" / "journal.db")
            self._local.journal = journal
            with self._lock:
                self._journals.append(journal)
        return journal

    def close(self) -> None:
        """Close this thread's connection; those of other threads end with their threads."""
        journal = self._local.__dict__.pop("journal", None)
        if journal is not None:
            journal.close()

    def changed(self) -> int:
        """A number that differs whenever anything in the journal changed. Cheap: poll it a few times a second."""
        return self.journal.data_version()

    # Runs

    def runs(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        states: Collection[RunState] = (),
        name: str | None = None,
        search: str | None = None,
    ) -> list[Run]:
        """Newest first, those with an id below `before`."""
        return self.journal.runs.page(limit=limit, before=before, states=states, name=name, search=search)

    def active_runs(self) -> list[Run]:
        return self.journal.runs.active()

    def run_count(self) -> int:
        return self.journal.runs.count()

    def run(self, run_id: int) -> RunDetail:
        """NotFound when there is no such run. A run whose worker is gone is marked interrupted first."""
        run = self.journal.runs.get(run_id)
        if not run.state.finished:
            self.recover()
            run = self.journal.runs.get(run_id)
        return RunDetail(run, tuple(self.journal.steps.of(run_id)))

    def recover(self) -> list[int]:
        """Mark runs whose worker is gone as interrupted; their ids."""
        from .engine.recovery import recover

        return recover(self.journal)

    def start(
        self,
        pipeline: str,
        *,
        params: Mapping[str, str] | None = None,
        jobs: int | None = None,
        why: str = "",
        commit: str | None = None,
        fresh: bool = False,
    ) -> Run:
        """Write a run of `pipeline` into the journal and start its worker. `commit` runs it in a worktree of that
        commit; `fresh` ignores the cache."""
        from .engine.submit import submit_pipeline

        return submit_pipeline(
            self.project,
            self.journal,
            pipeline,
            params=params or {},
            jobs=jobs,
            trigger=Trigger.PERSON,
            who=whoami(),
            why=why,
            commit=commit,
            fresh=fresh,
        )

    def cancel(self, run_id: int, *, why: str = "") -> None:
        """Ask the run's worker to stop; a run that was interrupted is given up. Refused when the run is already
        over."""
        from .engine.submit import cancel

        cancel(self.journal, run_id, who=whoami(), why=why)
        self.forget_containers(run_id)

    def resume(self, run_id: int) -> Run:
        """Go on after the last finished step. Refused when the run still runs or succeeded."""
        from .engine.submit import resume

        return resume(self.project, self.journal, run_id, who=whoami())

    def approve(self, run_id: int, step: str | None = None, *, why: str = "") -> Approval:
        """Let a waiting step go on; `step` may be left out when only one waits."""
        from .engine.submit import approve

        return approve(self.journal, run_id, step, who=whoami(), why=why)

    def steps(self, run_id: int) -> list[Step]:
        return self.journal.steps.of(run_id)

    def step_log(self, run_id: int, step: str) -> Path:
        """Where the step's log is, or will be."""
        from .engine.paths import step_log

        return step_log(self.home / ".podium", run_id, step)

    def worker_log(self, run_id: int) -> Path:
        from .engine.paths import worker_log

        return worker_log(self.home / ".podium", run_id)

    # Models

    @contextmanager
    def _registry(self) -> Generator[Registry]:
        from .registry import open_registry

        registry = open_registry(self.project.mlflow, self.project.state)
        try:
            yield registry
        finally:
            registry.close()

    def refresh_versions(self, *, force: bool = False) -> bool:
        """Bring the journal's picture of the registry up to date where it has changed; whether it had. Loads MLflow
        when the store is embedded and changed."""
        from .registry.snapshot import refresh

        return refresh(self.project, self.journal, force=force)

    def refresh_versions_apart(self) -> None:
        """The same in a process of its own, for front ends that must stay light. Returns at once when nothing
        changed, else when it is done."""
        from .registry.snapshot import refresh_apart

        refresh_apart(self.project, self.journal)

    def versions(self, model: str | None = None) -> list[Version]:
        """Newest first, as the journal last saw them."""
        return self.journal.versions.of(model or self.project.mlflow.model)

    def version(self, number: int, model: str | None = None) -> Version:
        name = model or self.project.mlflow.model
        found = self.journal.versions.get(name, number)
        if found is None:
            raise NotFound(f"model {name} has no version {number}", hint="`podium versions` lists those there are")
        return found

    def resolve_version(self, text: str, model: str | None = None) -> Version:
        """`3`, `v3`, an alias or a commit's beginning -> the version."""
        name = model or self.project.mlflow.model
        number = text.removeprefix("v")
        if number.isdecimal():
            return self.version(int(number), name)
        found = self.journal.versions.named(name, text)
        if found is None:
            raise NotFound(
                f"model {name} has no version, alias or commit {text!r}", hint="`podium versions` lists those there are"
            )
        return found

    def models(self) -> list[Model]:
        return self.journal.versions.models()

    def compare(self, versions: Collection[Version]) -> Comparison:
        from .registry.compare import compare

        return compare(tuple(versions))

    def gate_reports(self, version: Version) -> list[GateReport]:
        return self.journal.gates.of(version.model, version.version)

    def metric_history(self, version: Version, metric: str) -> list[MetricPoint]:
        """From the journal; empty when it was never fetched (see `fetch_metric_history`)."""
        return self.journal.versions.history(version.mlflow_run, metric)

    def fetch_metric_history(self, version: Version, metric: str) -> list[MetricPoint]:
        """Ask the registry and keep the answer. Loads MLflow when the store is embedded."""
        with self._registry() as registry:
            points = registry.metric_history(version.mlflow_run, metric)
        self.journal.versions.put_history(version.mlflow_run, metric, points)
        return points

    def lineage(self, of: str) -> list[Lineage]:
        """The lineage rows of a version (`v3`, an alias), a commit, `run:12` or an environment's name. NotFound when
        nothing matches."""
        from .lineage import rows

        return rows(self.journal, self.project, of)

    # Environments

    def environments(self) -> list[EnvironmentStatus]:
        from .delivery.status.status import status

        return [status(self.project, self.journal, environment) for environment in self.project.environments.values()]

    def environment(self, name: str) -> EnvironmentStatus:
        from .delivery.status.status import status

        environment = self.project.environments.get(name)
        if environment is None:
            names = ", ".join(self.project.environments) or "none"
            raise NotFound(f"there is no environment {name!r}", hint=f"podium.yaml has: {names}")
        return status(self.project, self.journal, environment)

    def champion_environment(self) -> str:
        """The environment that is meant when none is named: the one that carries `champion`. UsageError where that
        is not one."""
        from .delivery.environment.history import carries

        names = list(self.project.environments)
        candidates = [name for name in names if carries(self.project, name)] or names
        if len(candidates) == 1:
            return candidates[0]
        raise UsageError(
            "more than one environment could be meant",
            hint=f"name one with -e: {', '.join(candidates) or 'podium.yaml has none'}",
        )

    def history(self, environment: str, *, limit: int = 50) -> list[Deployment]:
        return self.journal.ledger.history(environment, limit=limit)

    def series(self, environment: str, signal: str, *, start: float, end: float, points: int) -> Series:
        return self.journal.samples.series(environment, signal, start=start, end=end, points=points)

    def plan(self, how: How, environment: str, version: int | None = None, *, force: bool = False) -> Plan:
        """What the change would do. `version` None: the challenger for a promotion, the last good one for a
        rollback."""
        from .delivery.rollout.plans import plan

        return plan(self.project, self.journal, how, environment, version, force=force)

    def apply(self, plan: Plan, *, why: str = "", force: bool = False) -> Run:
        """Carry the plan out as a run of its own. Refused when the plan says so and `force` (with a reason) does not
        override it."""
        from .engine.submit import submit_operation

        if plan.refusal and not (plan.force and force and why):
            hint = (
                "give --force and --why REASON to do it all the same; both are kept in the ledger" if plan.force else ""
            )
            raise Refused(plan.refusal, hint=hint)
        params = {
            "version": str(plan.version),
            "environment": plan.environment,
            **{f"seen.{key}": value for key, value in plan.seen.items()},
        }
        if force:
            params["force"] = why
        return submit_operation(
            self.project,
            self.journal,
            plan.how.value,
            plan.environment,
            params=params,
            who=whoami(),
            why=why,
            trigger=Trigger.PERSON,
        )

    def stop_environments(self) -> list[str]:
        """Stop every proxy and replica of this project; what was stopped, in words."""
        from .delivery.status.status import stop

        return [
            line
            for environment in self.project.environments.values()
            for line in stop(self.project, self.journal, environment)
        ]

    def quarantined(self) -> list[Quarantined]:
        return self.journal.quarantine.all()

    def quarantine(self, version: Version, *, why: str) -> None:
        self.journal.quarantine.add(version.model, version.version, version.commit, whoami(), why)

    def lift_quarantine(self, version: int, *, why: str = "", model: str | None = None) -> None:
        """NotFound when the version is not quarantined."""
        self.journal.quarantine.lift(model or self.project.mlflow.model, version, whoami(), why)

    # The agent and the project's health

    def agent(self) -> AgentStatus:
        return self.journal.agent.status()

    def watch(self) -> None:
        """Be the agent, in this process, until told to end. Refused when another one is."""
        from .triggers.agent import run

        run(self.home)

    def start_agent(self) -> AgentStatus:
        """Start the agent in the background and wait until it reports for duty."""
        from .triggers.daemon import start

        return start(self.project, self.journal)

    def stop_agent(self) -> bool:
        """Stop the agent; whether there was one."""
        from .triggers.daemon import stop

        return stop(self.project, self.journal)

    def wake_agent(self) -> None:
        from .triggers.wake import wake

        wake(self.home)

    def alerts(self, *, limit: int = 50) -> list[Alert]:
        return self.journal.alerts.recent(limit)

    def audit(self, *, limit: int = 50, before: int | None = None) -> list[AuditEntry]:
        return self.journal.audit.page(limit=limit, before=before)

    def doctor(self) -> list[Finding]:
        from .doctor import examine

        return examine(self)

    # The process we are in

    @staticmethod
    def who() -> str:
        return whoami()

    @staticmethod
    def over_ssh() -> bool:
        return bool(os.environ.get("SSH_CONNECTION"))
