"""Tells a Git host one thing: looks up how its subject stands now, compares that with what the host has, and sets what
differs. Telling the same twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..domain.delivery import Deployment, DeploymentState
from ..domain.hosts import HostComment, HostFeature, StatusState
from ..domain.project import Project
from ..errors import JournalError, NotFound, Refused
from ..journal import Journal
from ..scm.hosts import GitHost
from ..scm.hosts.words import NotAllowed
from . import comment, statuses

_DEPLOYMENT_STATES = {
    DeploymentState.RUNNING: StatusState.PENDING,
    DeploymentState.SUCCEEDED: StatusState.SUCCESS,
    DeploymentState.FAILED: StatusState.FAILURE,
    DeploymentState.UNDONE: StatusState.FAILURE,
}
_CHECKS = "check runs"
_LOCAL = ("127.", "localhost", "0.0.0.0", "::", "[")  # noqa: S104 - compared with, not bound to


def tell_statuses(host: GitHost, project: Project, journal: Journal, body: Mapping[str, Any]) -> None:
    """Makes the host's statuses of a run's commit what the journal says. Looks again afterwards: what was slow to
    arrive may have come after something newer."""
    if HostFeature.STATUSES in host.missing:
        return
    before = None
    while (wanted := statuses.of_run(project, journal, int(body["run"]))) is not None and wanted != before:
        _tell_run(host, journal, wanted)
        before = wanted


def _tell_run(host: GitHost, journal: Journal, wanted: statuses.RunStatuses) -> None:
    """Tells of the pipeline with a status, and of its gates with check runs where the host takes them. A gate that has
    a status already keeps it, as it is now: nobody takes one away."""
    checked = _tell_checks(host, journal, wanted)
    there = host.statuses(wanted.commit)
    of = {wanted.pipeline, *(each.context for each in there)} if checked else None
    for status in wanted.changes(there, of, shown=host.shown):
        host.set_status(wanted.commit, status)


def _tell_checks(host: GitHost, journal: Journal, wanted: statuses.RunStatuses) -> bool:
    """Returns whether the gates are told with check runs, whose pages are their reports. A refusal is noted for
    `watch --status`, once: the client knows it for an hour, or until its token is another one."""
    if HostFeature.CHECK_RUNS in host.missing:
        return False
    try:
        changes = wanted.changes(host.check_runs(wanted.commit), wanted.gates)
        for status in changes:
            page = wanted.summaries.get(status.context) or status.description
            host.set_check_run(wanted.commit, status.context, status, page)
    except NotAllowed as error:
        with suppress(JournalError):
            words = f"{error.message}; gates are told with statuses, and check runs are tried again in an hour"
            journal.agent.note(_CHECKS, words + (f" ({error.hint})" if error.hint else ""))
        return False
    if changes:
        with suppress(JournalError):
            journal.agent.over(_CHECKS)
    return True


def tell_quarantine(host: GitHost, project: Project, journal: Journal, body: Mapping[str, Any]) -> None:
    """Says with a status of its own whether a commit is quarantined. A commit that never was has none."""
    if HostFeature.STATUSES in host.missing:
        return
    commit = str(body["commit"])
    wanted = statuses.of_quarantine(project, journal, str(body["model"]), int(body["version"]), commit)
    there = next((each for each in host.statuses(commit) if each.context == statuses.QUARANTINE), None)
    if not statuses.same(wanted, there, host.shown):
        host.set_status(commit, wanted)


def tell_deployment(host: GitHost, project: Project, journal: Journal, body: Mapping[str, Any]) -> None:
    """Tells how a deployment stands; and after one that is not the last, the one that serves again, because hosts show
    what was told last."""
    if HostFeature.DEPLOYMENTS in host.missing:
        return
    try:
        deployment = journal.ledger.get(int(body["deployment"]))
    except NotFound:
        return
    _tell_deployment(host, project, deployment)
    serves = journal.ledger.current(deployment.environment)
    if serves is not None and serves.id > deployment.id:
        _tell_deployment(host, project, serves)


def _tell_deployment(host: GitHost, project: Project, deployment: Deployment) -> None:
    if not deployment.commit:
        return
    words = f"{deployment.how} of {deployment.model} version {deployment.to_version}: {deployment.state}"
    if deployment.message:
        words += f": {deployment.message}"
    said = statuses.described(words, f"podium status {deployment.environment}", project.secrets)
    # The number begins again when the journal is lost; the moment does not.
    key = f"{project.name} {deployment.environment} {deployment.id} {int(deployment.at)}"
    made = host.create_deployment(deployment.environment, deployment.commit, description=said, key=key)
    state = _DEPLOYMENT_STATES[deployment.state]
    host.set_deployment(made, state, url=_url(project, deployment.environment), description=said)


def _url(project: Project, name: str) -> str:
    """Returns where an environment answers; nothing for an address that only this machine knows."""
    environment = project.environments.get(name)
    if environment is None or (environment.https is None and environment.bind.startswith(_LOCAL)):
        return ""
    return environment.url(environment.bind)


def tell_comment(host: GitHost, project: Project, journal: Journal, body: Mapping[str, Any]) -> None:
    """Writes the comparison of a run into the one comment of each open pull request whose newest commit it ran at. A
    run without a gate's report only changes a comment that is there."""
    if HostFeature.PULL_REQUESTS in host.missing:
        return
    before = None
    while (found := comment.of_run(project, journal, int(body["run"]))) is not None and found != before:
        _tell_comment(host, journal, found)
        before = found


def _tell_comment(host: GitHost, journal: Journal, comparison: comment.Comparison) -> None:
    text = comment.written(comparison)
    mark = comment.label(comparison.project, comparison.run.name)
    for request in host.pull_requests():
        if request.sha != comparison.run.commit:
            continue
        there = own_comment(host, journal, request.number, mark)
        if there is None and comparison.reports:
            _remember(host, journal, request.number, mark, host.create_comment(request.number, text))
        elif there is not None and there.body.strip() != text.strip():
            host.update_comment(request.number, there.id, text)


def own_comment(host: GitHost, journal: Journal, request: int, mark: str) -> HostComment | None:
    """Returns our comment of this label; None if there is none. What somebody else wrote is not ours, whatever its
    label."""
    labelled = [each for each in host.comments(request) if each.body.lstrip().startswith(mark)]
    if not labelled:
        return None
    known = journal.values.get(_key(host, request, mark))
    ours = [each for each in labelled if each.id == known] or [each for each in labelled if _is_ours(host, each)]
    return ours[0] if ours else None


def _is_ours(host: GitHost, found: HostComment) -> bool:
    try:
        return found.author == host.account().login
    except (Refused, NotFound):
        return found.author.endswith("[bot]")  # an app has no account to ask for: it writes as a bot


def _remember(host: GitHost, journal: Journal, request: int, mark: str, made: str) -> None:
    journal.values.set(_key(host, request, mark), made)


def _key(host: GitHost, request: int, mark: str) -> str:
    return f"told:comment {host.name} {request} {mark}"
