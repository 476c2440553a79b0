"""Git hosts: GitHub, GitLab, Gitea and Forgejo, behind one Protocol.

A host is opened with `open_host`, asked by one thread at a time, and closed. All calls go through
`core/scm/hosts/transport.py`: conditional requests, politeness, and a log of what was asked. What a host cannot do is
in `missing`, with the reason in a sentence; asking for it all the same raises Refused with that sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

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
from ...domain.watching import Finding


class GitHost(Protocol):
    """One repository on one host. Raises Unreachable when the host does not answer or is overloaded (HostBusy of
    `politeness.py` says from when on it may be asked again, as `rate.not_before` does), Refused when it says no (the
    token's rights, a conflict), NotFound for what is not there."""

    @property
    def name(self) -> str:
        """Where the repository is, such as `github.com/acme/flight-delay`."""
        ...

    @property
    def kind(self) -> str: ...

    @property
    def url(self) -> str:
        """The repository's page."""
        ...

    @property
    def clone_url(self) -> str:
        """What git fetches from, without a credential."""
        ...

    @property
    def missing(self) -> Mapping[HostFeature, str]:
        """What this host cannot do, and why, in a sentence."""
        ...

    @property
    def rate(self) -> RateLimit: ...

    @property
    def calls(self) -> Sequence[HostCall]:
        """The last calls, oldest first."""
        ...

    def close(self) -> None: ...

    def examine(self) -> Sequence[Finding]:
        """Asks the host what `podium doctor` wants to know: whether it answers, whose token this is, whether it may
        do what Podium does, and how far apart the clocks are."""
        ...

    def account(self) -> HostAccount: ...

    def commit_url(self, sha: str) -> str: ...

    # -- branches and pull requests

    def tips(self, branches: Sequence[str]) -> Mapping[str, str]:
        """Returns branch -> newest commit, of those that exist."""
        ...

    def tags(self) -> Mapping[str, str]:
        """Returns tag -> commit, at most MAX_TAGS of `reading.py`."""
        ...

    def matching_tags(self, beginning: str) -> Mapping[str, str] | None:
        """Returns tag -> hash (of the commit; of an annotated tag its own) of those whose name begins so; None if they
        are more than MAX_TAGS of `reading.py`."""
        ...

    def pull_requests(self) -> Sequence[HostPullRequest]:
        """Returns the open ones, the last changed first, at most a hundred."""
        ...

    def file(self, path: str, ref: str) -> bytes:
        """Returns a file's content at a commit or branch."""
        ...

    # -- CI

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        """Returns the newest runs first."""
        ...

    def ci_run(self, run: str, repo: str = "") -> CiRun: ...

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        """Returns the jobs of a run, bridges among them, in the order in which they run."""
        ...

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        """Returns the log from a byte on."""
        ...

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        """Runs what failed again, or all of it."""
        ...

    def ci_cancel(self, run: str, repo: str = "") -> None: ...

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]: ...

    def ci_approve(self, approval: CiApproval, *, why: str) -> None: ...

    def workflows(self) -> Sequence[Workflow]: ...

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None: ...

    # -- what is told back

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        """Returns the newest of each context."""
        ...

    def shown(self, state: StatusState) -> StatusState:
        """Returns as what a status of this state is read back: a host may have no word for each."""
        ...

    def set_status(self, sha: str, status: CommitStatus) -> None: ...

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]: ...

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        """Returns its id. One that was made with this key already is returned instead of another one."""
        ...

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None: ...

    def comments(self, number: int) -> Sequence[HostComment]:
        """Returns all comments on a pull request, oldest first."""
        ...

    def create_comment(self, number: int, body: str) -> str:
        """Returns its id."""
        ...

    def update_comment(self, number: int, comment: str, body: str) -> None: ...

    def create_release(self, tag: str, name: str, notes: str) -> str:
        """Returns its URL. One that exists for that tag is left as it is."""
        ...

    def set_check_run(self, sha: str, name: str, status: CommitStatus, summary: str) -> None:
        """Makes a check run whose page is `summary`, in Markdown, or changes the one of that name. Raises NotAllowed of
        `words.py` if the token may not; from then on it is in `missing`, too."""
        ...

    def check_runs(self, sha: str) -> Sequence[CommitStatus]:
        """Returns the newest of each name that the same App made, as statuses. Raises as `set_check_run` does."""
        ...
