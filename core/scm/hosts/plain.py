"""A repository without a host around it: bare, over ssh, http or a path. Git alone is asked, so there are branches and
tags, and nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...domain.hosts import (
    CiApproval,
    CiJob,
    CiLog,
    CiRun,
    CommitStatus,
    HostAccount,
    HostCall,
    HostComment,
    HostDeployment,
    HostFeature,
    HostPullRequest,
    RateLimit,
    StatusState,
    Workflow,
)
from ...domain.project import Project
from ...domain.watching import Finding, Health
from ...errors import NotFound, Refused, Unreachable, UsageError
from ...http_client import Credentials, printable, shown
from ...identity.account import expanded
from ...named_hosts import require_encrypted
from ..git import GitResult, git
from .answers import AnswerStore
from .tokens import host_setting
from .transport import MAX_CALLS

TIMEOUT = 30.0
MAX_TAGS = 100
WHY = "a plain Git repository has no {what}: Podium's own screens and the journal say it"
_WHAT = {
    HostFeature.CI: "CI",
    HostFeature.LIVE_LOGS: "CI",
    HostFeature.RERUN_FAILED: "CI",
    HostFeature.CANCEL: "CI",
    HostFeature.APPROVE: "approvals",
    HostFeature.START: "CI",
    HostFeature.STATUSES: "commit statuses",
    HostFeature.DEPLOYMENTS: "deployments",
    HostFeature.CHECK_RUNS: "check runs",
    HostFeature.PULL_REQUESTS: "pull requests",
    HostFeature.RELEASES: "releases",
}


class PlainHost:
    """Talks to one repository with `git ls-remote`. Who asks is git's affair: its keys and its credential helper."""

    kind = "git"
    missing: Mapping[HostFeature, str] = {feature: WHY.format(what=what) for feature, what in _WHAT.items()}
    rate = RateLimit()

    def __init__(self, project: Project, *, store: AnswerStore | None = None) -> None:
        self._address = address_of(host_setting(project).repo, project.home)
        self._home = project.home
        self._calls: deque[HostCall] = deque(maxlen=MAX_CALLS)

    def close(self) -> None:
        pass

    @property
    def name(self) -> str:
        return shown(self._address)

    @property
    def url(self) -> str:
        return ""

    @property
    def clone_url(self) -> str:
        return self._address

    @property
    def calls(self) -> Sequence[HostCall]:
        return tuple(self._calls)

    def account(self) -> HostAccount:
        raise Refused("a plain Git repository does not say who asks", hint="git uses your own keys")

    def commit_url(self, sha: str) -> str:
        return ""

    def examine(self) -> Sequence[Finding]:
        count = len(self._listed("--heads"))
        return [Finding(Health.OK, "host", f"{self.name} answers: {count} branches")]

    def tips(self, branches: Sequence[str]) -> Mapping[str, str]:
        refs = {f"refs/heads/{branch}": branch for branch in branches}
        found = self._listed("--heads", *refs) if refs else {}
        return {refs[ref]: sha for ref, sha in found.items() if ref in refs}

    def tags(self) -> Mapping[str, str]:
        """Returns tag -> commit, of the hundred whose names come last."""
        found = self._listed("--tags")
        names = [ref for ref in found if not ref.endswith("^{}")][-MAX_TAGS:]
        return {ref.removeprefix("refs/tags/"): found.get(f"{ref}^{{}}", found[ref]) for ref in names}

    def file(self, path: str, ref: str) -> bytes:
        raise self._no("files without fetching them")

    def _listed(self, kind: str, *refs: str) -> dict[str, str]:
        """Returns ref -> hash. Unreachable if git cannot read there, NotFound if there is no repository."""
        begun, at, code = time.monotonic(), time.time(), 0
        try:
            answer = git(self._home, "ls-remote", kind, "--", self._address, *refs, timeout=TIMEOUT)
            code = 200 if answer.code == 0 else 500
        finally:
            self._calls.append(HostCall(at, "git", f"ls-remote {kind}", code, time.monotonic() - begun))
        if answer.code:
            raise self._problem(answer)
        rows = (line.partition("\t") for line in answer.text.splitlines())
        return {ref: sha for sha, _, ref in rows if ref}

    def _problem(self, answer: GitResult) -> Unreachable | NotFound:
        words = printable(shown(answer.err.removeprefix("fatal: ")))
        if "does not appear to be a git repository" in words or "not found" in words:
            return NotFound(f"there is no repository at {self.name}", hint="correct git.host.repo in podium.yaml")
        hint = "`git ls-remote` there by hand says more; over ssh, a key without a question is needed"
        return Unreachable(f"git cannot read {self.name}: {words}", hint=hint)

    def _no(self, what: str) -> Refused:
        return Refused(WHY.format(what=what), hint="name the host that it is on in git.host of podium.yaml")

    # -- what there is not: what lists is empty, what acts is refused
    # ----------------------------------------------------------------------------------------------------------------

    def pull_requests(self) -> Sequence[HostPullRequest]:
        return ()

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        return ()

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        raise self._no("CI")

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        raise self._no("CI")

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        raise self._no("CI")

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        raise self._no("CI")

    def ci_cancel(self, run: str, repo: str = "") -> None:
        raise self._no("CI")

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        return ()

    def ci_approve(self, approval: CiApproval, *, why: str) -> None:
        raise self._no("approvals")

    def workflows(self) -> Sequence[Workflow]:
        return ()

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        raise self._no("CI")

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        return ()

    def set_status(self, sha: str, status: CommitStatus) -> None:
        raise self._no("commit statuses")

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]:
        return ()

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        raise self._no("deployments")

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None:
        raise self._no("deployments")

    def comments(self, number: int) -> Sequence[HostComment]:
        raise self._no("pull requests")

    def create_comment(self, number: int, body: str) -> str:
        raise self._no("pull requests")

    def update_comment(self, number: int, comment: str, body: str) -> None:
        raise self._no("pull requests")

    def create_release(self, tag: str, name: str, notes: str) -> str:
        raise self._no("releases")

    def set_check_run(self, sha: str, name: str, status: CommitStatus, summary: str) -> None:
        raise self._no("check runs")

    def check_runs(self, sha: str) -> Sequence[CommitStatus]:
        raise self._no("check runs")


def address_of(repo: str, home: Path) -> str:
    """Returns what git fetches from; a path is relative to the project. UsageError for one of git's addresses that run
    a program (`ext::`), Refused for one whose password would go over plain http to another machine."""
    if "://" in repo:
        scheme = repo.partition("://")[0]
        if scheme not in ("ssh", "http", "https", "git", "file"):
            raise UsageError(f"git.host.repo: {scheme} is no way to a repository", hint="use ssh, https or a path")
        if Credentials.in_address(repo) is not None:
            require_encrypted(repo, "the password in git.host.repo")
        return repo
    if "::" in repo:
        raise UsageError("git.host.repo: an address that runs a program is not used", hint="use ssh, https or a path")
    before = repo.partition(":")[0]
    if ":" in repo and "/" not in before and not repo.startswith("-"):  # user@host:path
        return repo
    return str(home / expanded(repo))
