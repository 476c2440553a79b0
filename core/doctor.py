"""`podium doctor`: examines everything that a project depends on and reports problems and what to do about them. It
changes nothing."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from . import plugins
from .domain.access.roles import Allowed, Role
from .domain.repair import DifferenceKind
from .domain.text.format import count, duration, size
from .domain.watching import Finding, Health
from .errors import ConfigError, PodiumError

if TYPE_CHECKING:
    from .domain.delivery import EnvironmentStatus
    from .domain.outbox import Backlog
    from .domain.project import Mlflow, Project
    from .journal import Journal

_PACKAGES = ("mlflow", "textual", "typer", "uvicorn", "httpx", "PyYAML")
_LOW_SPACE_BYTES = 1 << 30  # bytes: less than this and the next model may not fit
_MIN_SPACE_BYTES = 100 << 20
_REPAIRED = "the agent is at it; `podium watch --status` says what it cannot do, `podium repair` does it now"


class ExaminedProject(Protocol):
    """The opened project to examine: `config` by the last content of podium.yaml that could be used, `current` by that
    of now. Both raise ConfigError where there is none."""

    @property
    def home(self) -> Path: ...
    @property
    def state(self) -> Path: ...
    @property
    def config(self) -> Project: ...
    @property
    def current(self) -> Project: ...
    @property
    def journal(self) -> Journal: ...


def examine(project: ExaminedProject) -> list[Finding]:
    """Returns every finding, the good ones too, in a stable order. A check that raises an error is itself a finding."""
    found: list[Finding] = []
    for check in _CHECKS:
        subject = check.__name__.lstrip("_")
        try:
            found += check(project)
        except ConfigError:
            # Said once, by the check of the configuration; the others need it and cannot look.
            if check is _configuration:
                raise
        except PodiumError as error:
            found.append(Finding(Health.PROBLEM, subject, error.message, error.hint))
        except OSError as error:
            found.append(Finding(Health.PROBLEM, subject, f"could not be examined: {error.strerror or error}", ""))
    return found


def _ok(subject: str, message: str) -> Finding:
    return Finding(Health.OK, subject, message)


def _python(_: ExaminedProject) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield _ok("python", f"Python {version} in {sys.prefix}")
    there: list[str] = []
    for name in _PACKAGES:
        try:
            there.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding(Health.PROBLEM, "packages", f"{name} is not installed", f"pip install {name}")
    yield _ok("packages", ", ".join(there))


def _plugins(_: ExaminedProject) -> Iterator[Finding]:
    """Yields a finding for each kind of plug-in from other packages; none if none is installed."""
    for kind in plugins.KINDS:
        added = plugins.added(kind)
        if not added:
            continue
        found, warnings = plugins.load_all(kind)
        for error in warnings:
            yield Finding(Health.WARNING, "plug-ins", error.message, error.hint)
        loaded = [name for name in added if name in found]
        if loaded:
            yield _ok("plug-ins", f"{kind}: {', '.join(loaded)}")


def _configuration(project: ExaminedProject) -> Iterator[Finding]:
    try:
        config = project.current
    except ConfigError as error:
        for problem in error.problems:
            yield Finding(Health.PROBLEM, "podium.yaml", str(problem), problem.hint)
        return
    counts = {"pipeline": len(config.pipelines), "gate": len(config.gates), "environment": len(config.environments)}
    yield _ok(
        "podium.yaml",
        "valid: " + ", ".join(count(number, word) for word, number in counts.items()),
    )


def _state(project: ExaminedProject) -> Iterator[Finding]:
    state = project.home / ".podium"
    if not state.exists():
        yield _ok("state", "nothing is kept yet: the first run makes .podium/")
        return
    found = state.stat()
    if found.st_uid != os.getuid():
        yield Finding(
            Health.WARNING,
            "state",
            f"{state} belongs to another user",
            "a project's state has one owner: work in a clone of your own",
        )
    if not os.access(state, os.W_OK | os.X_OK):
        yield Finding(Health.PROBLEM, "state", f"{state} cannot be written to", f"chmod 700 {state}")
    for path in (state, state / "journal.db"):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding(
                Health.WARNING, "state", f"{path} is open to other users of this machine", f"chmod go-rwx {path}"
            )
            return
    yield _ok("state", f"{state} is private")


def _space(project: ExaminedProject) -> Iterator[Finding]:
    free = shutil.disk_usage(project.home).free
    message = f"{free / (1 << 30):.1f} GiB free for {project.home}"
    if free < _MIN_SPACE_BYTES:
        yield Finding(Health.PROBLEM, "disk", message, "make room: a run cannot keep its log or outputs")
    elif free < _LOW_SPACE_BYTES:
        yield Finding(
            Health.WARNING, "disk", message, "`podium prune --dry-run` shows what may go; .podium/cache is filled again"
        )
    else:
        yield _ok("disk", message)


def _room(project: ExaminedProject) -> Iterator[Finding]:
    """Yields what each kind of data takes, the largest first, and what is wrong with how long it is kept."""
    from .retention.scene import LEAST_EVIDENCE, clock_trouble
    from .retention.usage import usage

    if not project.state.exists():
        return
    config = project.config
    for each in usage(config, project.journal):
        if each.entries:
            words = f"{each.kind} ({each.about}): {size(each.size)}, {count(each.entries, 'entry', 'entries')}"
            yield _ok("room", f"{words}; kept {each.kept}")
    if config.retain.evidence < LEAST_EVIDENCE:
        message = f"what an auditor needs is kept for {duration(config.retain.evidence)} only"
        yield Finding(
            Health.WARNING, "retention", message, "180d is what rules ask for: retain.evidence in podium.yaml"
        )
    if trouble := clock_trouble(project.journal):
        yield Finding(Health.WARNING, "clock", trouble, "set the clock: ages are counted by it")


def _journal(project: ExaminedProject) -> Iterator[Finding]:
    if not (project.home / ".podium" / "journal.db").exists():
        yield _ok("journal", "empty")
        return
    journal = project.journal
    damage = journal.check()
    for line in damage:
        yield Finding(
            Health.PROBLEM, "journal", line, "keep a copy of the damaged file, then run `sqlite3 journal.db .recover`"
        )
    if not damage:
        yield _ok("journal", f"{journal.runs.count()} runs, sound")
    broken = journal.audit.verify()
    for line in broken:
        yield Finding(Health.PROBLEM, "audit", line, "compare the journal with a backup: it was changed without Podium")
    if not broken:
        yield _ok("audit", "unbroken")


def _git(project: ExaminedProject) -> Iterator[Finding]:
    from .scm import Repository

    if shutil.which("git") is None:
        yield Finding(Health.PROBLEM, "git", "the program git is not on PATH", "install git")
        return
    repository = Repository.find(project.home)
    if repository is None:
        hint = "git init -b main && git add . && git commit"
        yield Finding(
            Health.WARNING, "git", "this is not a git repository: runs have no commit, and pushes start nothing", hint
        )
        return
    try:
        head = repository.head()
    except PodiumError:
        yield Finding(Health.WARNING, "git", "the repository has no commit yet", "git add . && git commit")
        return
    yield _ok("git", f"{repository.branch() or 'detached'} at {head.sha[:9]}")
    from .triggers.examination import of_repository

    yield from of_repository(project.config, repository)


def _host(project: ExaminedProject) -> Iterator[Finding]:
    """Asks the Git host, if podium.yaml names one: whether it answers, whose token this is, and if that is enough."""
    from .scm.hosts.opening import open_host
    from .triggers.examination import missing_branches

    host = open_host(project.config)
    if host is None:
        return
    try:
        yield from host.examine()
        if not project.config.git.remote:
            yield from missing_branches(project.config, host.name, host.tips)
    finally:
        host.close()


def _haproxy(project: ExaminedProject) -> Iterator[Finding]:
    drivers = {environment.driver for environment in project.config.environments.values()}
    if not any(plugins.driver_capabilities(driver).local_proxy for driver in drivers):
        return
    from .delivery.proxy.haproxy import binary

    yield _ok("haproxy", binary())


def _mlflow(project: ExaminedProject) -> Iterator[Finding]:
    mlflow = project.config.mlflow
    yield from _servers(mlflow, project.config.state)
    if not mlflow.by_client:
        return
    from .registry.snapshot import stale

    counted = ", ".join(
        f"{project.journal.versions.count(model)} versions of {model}" for model in project.config.models
    )
    seen = "not looked at since it changed" if stale(project.config, project.journal) else "as last seen"
    yield _ok("mlflow", f"{mlflow.tracking_uri.rpartition('@')[2]}, {counted} ({seen})")


def _servers(mlflow: Mlflow, state: Path) -> Iterator[Finding]:
    """Asks the servers of runs and models with our credentials: one that only listens may still refuse everything."""
    from .registry.asking import ask, ask_registry

    asked = [(ask, mlflow)] if not mlflow.embedded else []
    asked += [(ask_registry, mlflow.registry)] if mlflow.registry_uri and not mlflow.registry.embedded else []
    for question, store in asked:
        try:
            yield _ok("mlflow", f"{question(store, state)} answers")
        except PodiumError as error:
            yield Finding(Health.PROBLEM, "mlflow", error.message, error.hint)


def online(project: Project) -> list[Finding]:
    """Returns what the servers that podium.yaml names say to us: MLflow's and the Git host."""
    from .scm.hosts.opening import open_host

    found = list(_servers(project.mlflow, project.state))
    try:
        host = open_host(project)
        if host is not None:
            with closing(host):
                found += host.examine()
    except PodiumError as error:
        found.append(Finding(Health.PROBLEM, "host", error.message, error.hint))
    return found


def _agent(project: ExaminedProject) -> Iterator[Finding]:
    status = project.journal.agent.status()
    if status.alive:
        yield _ok("agent", f"process {status.pid} on {status.host}")
    else:
        said = f" ({status.message})" if status.pid else ""
        yield Finding(
            Health.WARNING,
            "agent",
            f"not running{said}: pushes start nothing, and nothing is monitored",
            "podium watch --daemon",
        )


def _pushes(project: ExaminedProject) -> Iterator[Finding]:
    """Examines whether two agents could deliver the same commit."""
    from .triggers.lease import unguarded

    if not project.config.git.elsewhere:
        return
    found = unguarded(project.config, project.journal.values.all("lease:"))
    for words in found:
        hint = "let the token write refs below refs/podium/, or watch this repository on one machine only"
        yield Finding(
            Health.WARNING, "pushes", f"nothing keeps a second agent from running a commit too: {words}", hint
        )
    if not found:
        yield _ok("pushes", "a commit that one agent has taken is not run by another one")


def _locks(project: ExaminedProject) -> Iterator[Finding]:
    stuck = [
        run
        for run in project.journal.runs.active()
        if run.worker_pid is not None and not _lives(run.worker_pid, run.worker_started)
    ]
    for run in stuck:
        yield Finding(
            Health.WARNING,
            "runs",
            f"run {run.id} is {run.state.value}, but its worker is gone",
            f"podium resume {run.id}",
        )
    held = project.journal.locks.all()
    for holder in held:
        if holder.elsewhere:
            yield Finding(
                Health.WARNING,
                "locks",
                f"{holder.name} is locked by {holder}, where nobody can look from here",
                f"if that machine is gone: podium unlock '{holder.name}' --why …",
            )
        elif holder.alive:
            yield _ok("locks", f"{holder.name} is locked by {holder}")
        else:
            yield Finding(
                Health.WARNING,
                "locks",
                f"{holder.name} is locked by a process that is gone ({holder})",
                "the next change breaks the lock",
            )
    if not stuck and not held:
        yield _ok("locks", "nothing is locked or left behind")


def _outbox(project: ExaminedProject) -> Iterator[Finding]:
    """Names the receivers that were not told something; nothing is said while all were."""
    for backlog in _by_server(project.journal.outbox.backlogs()):
        if backlog.failed:
            message = (
                f"{backlog.failed} messages for {backlog.receiver} were given up; the last one: {backlog.given_up}"
            )
            yield Finding(Health.WARNING, "outbox", message, "look at what that server says, and at its credentials")
        if backlog.waiting and backlog.attempts:
            tried = f"the first was tried {backlog.attempts} times: {backlog.error}"
            message = f"{backlog.waiting} messages wait for {backlog.receiver}; {tried}"
            yield Finding(Health.WARNING, "outbox", message, "they are sent when it answers")


def _by_server(backlogs: Iterable[Backlog]) -> list[Backlog]:
    """Returns one backlog for each server: what is told to a Git host waits apart for each of its commits."""
    from .domain.outbox import Backlog
    from .journal.telling import PREFIX

    merged: dict[str, Backlog] = {}
    for each in backlogs:
        told_to_host = each.receiver.startswith(PREFIX)
        server = each.receiver.removeprefix(PREFIX).partition(" ")[0] if told_to_host else each.receiver
        known = merged.get(server, Backlog(server, 0, 0))
        worse = each if each.attempts > known.attempts else known
        merged[server] = Backlog(
            server, known.waiting + each.waiting, known.failed + each.failed, worse.oldest, worse.attempts, worse.error,
            each.given_up or known.given_up,
        )  # fmt: skip
    return list(merged.values())


def _lives(pid: int, started: float | None) -> bool:
    from .identity.processes import alive

    return alive(pid, started)


def _ports(project: ExaminedProject) -> Iterator[Finding]:
    from .delivery.environment.runtime import EnvironmentRuntime
    from .delivery.host.ports import bindable, listener

    for environment in project.config.environments.values():
        if (
            not plugins.driver_capabilities(environment.driver).local_proxy
            or bindable(environment.bind, environment.port)
            or EnvironmentRuntime(project.config, project.journal, environment).proxy.alive()
        ):
            continue
        owner = listener(environment.port)
        by = f" by process {owner[0]} ({owner[1]})" if owner else ""
        hint = f"stop that process, or give environments.{environment.name}.port another number"
        yield Finding(Health.PROBLEM, "ports", f"port {environment.port} of {environment.name} is taken{by}", hint)


def _statuses(project: ExaminedProject) -> list[EnvironmentStatus]:
    from .delivery.status.of_each import of_each
    from .delivery.status.status import status

    config = project.config
    return of_each(config, config.environments.values(), lambda each: status(config, project.journal, each))


def _certificates(project: ExaminedProject) -> Iterator[Finding]:
    """Yields how it stands with the certificates that clients see."""
    import time

    from .delivery.environment import certificate, front

    config = project.config
    for environment in config.environments.values():
        where = f"{environment.name}'s certificate"
        for key, words in front.wrong(config, environment):
            hint = f"renew it, or correct environments.{environment.name}.{key}; what serves keeps the one before"
            yield Finding(Health.PROBLEM, environment.name, words, hint)
        if environment.https is None or front.wrong(config, environment):
            continue
        found = certificate.read(config.home, environment.https)
        if found.exposed:
            yield Finding(Health.WARNING, environment.name, found.exposed, "give it to Podium's account alone")
        if warning := found.warning(time.time()):
            hint = "renew it: the agent gives the new files to the proxy"
            yield Finding(Health.WARNING, environment.name, f"{where} {warning}", hint)
        else:
            yield _ok(
                environment.name, f"{where} for {environment.https.host} holds until {certificate.day(found.ends)}"
            )


def _roles(project: ExaminedProject) -> Iterator[Finding]:
    """Yields who has a role and is not known on this machine: nobody has it by that name."""
    from .identity.account import known_account, known_group

    for environment in project.config.environments.values():
        for role in Role:
            allowed = environment.who.of(role) or Allowed()
            strange = [f"account {name}" for name in allowed.accounts if not known_account(name)]
            strange += [f"group {name}" for name in allowed.groups if not known_group(name)]
            if strange:
                words = f"who.{role} names the {', the '.join(strange)}, which this machine does not have"
                yield Finding(Health.WARNING, environment.name, words, "correct it, or ignore it on other machines")


def _environments(project: ExaminedProject) -> Iterator[Finding]:
    agent = project.journal.agent.status().alive
    for status in _statuses(project):
        if status.serving is not None and not status.replicas and not status.proxy_alive:
            by = f" by {status.stopped.who}" if status.stopped is not None else ""
            words = f"v{status.serving} was served until everything was stopped{by}"
            yield Finding(Health.WARNING, status.name, words, f"podium start -e {status.name}")
            continue
        for difference in status.differences:
            if difference.kind is DifferenceKind.CERTIFICATE:
                continue  # said by _certificates
            yield Finding(
                Health.WARNING,
                status.name,
                difference.words,
                _REPAIRED if agent else "start the agent, which repairs it (`podium watch --daemon`), or deploy again",
            )
        if status.serving is not None and not status.proxy_alive:
            yield Finding(
                Health.PROBLEM,
                status.name,
                f"v{status.serving} should serve, but the proxy is not running",
                _REPAIRED if agent else "podium watch --daemon",
            )
        elif not status.differences:
            yield _ok(
                status.name,
                f"serves v{status.serving} at {status.url}"
                if status.serving is not None
                else "nothing was deployed yet",
            )


_CHECKS: tuple[Callable[[ExaminedProject], Iterable[Finding]], ...] = (
    _python, _plugins, _configuration, _state, _space, _room, _journal, _outbox, _git, _host, _haproxy, _mlflow, _agent,
    _locks, _ports, _certificates, _roles, _environments, _pushes,
)  # fmt: skip
