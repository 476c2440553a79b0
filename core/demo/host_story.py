"""`podium demo --host` without its output: the demonstration's pushes go to a Git host on this machine, the fake one of
`core/demo/forge/`, which answers as GitHub does. The agent fetches them from there and tells the host what became of
them; after each push the host is asked what it knows."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.demo import DemoEvent, EventKind
from ..domain.hosts import CommitStatus, StatusState
from ..errors import RunFailed
from ..scm.hosts import GitHost
from ..scm.hosts.opening import open_host
from ..scm.remote import push_over, remote_of
from ..scm.repository import Repository
from .project import DemoRepository, make, possible
from .story import ENVIRONMENT, POLL_INTERVAL, Demo

if TYPE_CHECKING:
    from .facade import Facade
    from .forge import Forge

REPO = "acme/flight-delay"
WORKFLOW = "tests"
KIND = "github"
TOKEN_FILE = ".git/podium-demo-token"  # noqa: S105 - where it is
TOLD_TIMEOUT = 60.0  # seconds until the host has been told everything
_GIT = """
git:
  poll: 1s
  host: {{kind: {kind}, repo: {repo}, url: "{url}", token_file: {token}}}
"""


class HostDemo(Demo):
    """The demonstration with a Git host. Its pushes of a change open a pull request first, which is where the
    comparison is told."""

    def __init__(self, directory: Path, opened: Callable[[Path], Facade]) -> None:
        super().__init__(directory, opened)
        self._forge: Forge | None = None
        self._storage = ""
        self._pull = 0

    def _make(self) -> DemoRepository:
        from ..delivery.proxy.haproxy import binary
        from .forge import Forge

        possible(self.directory, "podium demo --host")
        binary()
        self._storage = tempfile.mkdtemp(prefix="podium-demo-host-")
        self._forge = Forge(KIND, self._storage)
        self._forge.start()
        self._forge.make_repo(REPO)
        made = make(self.directory, adapt=self._adapt, committed=self._push, signed=True)
        self._push(made, "")
        return made

    def _adapt(self, directory: Path) -> None:
        """Names the host in podium.yaml."""
        assert self._forge is not None
        text = _GIT.format(kind=KIND, repo=REPO, url=self._forge.url, token=TOKEN_FILE)
        with (directory / "podium.yaml").open("a", encoding="utf-8") as file:
            file.write(text)

    def _push(self, made: DemoRepository, change: str) -> None:
        """Pushes what was committed: to a branch of its own with a pull request, then to main."""
        assert self._forge is not None
        token = self.directory / TOKEN_FILE
        token.touch(mode=0o600)
        token.write_text(self._forge.token, encoding="utf-8")
        if change:
            self._push_to(f"refs/heads/{change}", made.head())
            self._pull = self._forge.open_pull_request(REPO, change, title=made.subject()).number
        self._push_to("refs/heads/main", made.head())
        self._run_workflow(made.head())

    def _run_workflow(self, sha: str) -> None:
        """Has the host have a CI run of its own at a commit, as most repositories do. Nothing is run for it."""
        assert self._forge is not None
        steps = {"name": "unit", "steps": ["check out", "pytest"]}
        run = self._forge.ci.start(REPO, name=WORKFLOW, sha=sha, branch="main", jobs=[steps])
        self._forge.ci.append_log(run.jobs[0], "This host stands in for GitHub, and runs nothing.\n")
        self._forge.ci.finish(run)

    def _push_to(self, ref: str, sha: str) -> None:
        from ..config import load

        remote, repository = remote_of(load(self.directory)), Repository.open(self.directory)
        assert remote is not None and self._forge is not None
        before = self._forge.state.repo(REPO).bare.branches().get(ref.removeprefix("refs/heads/"), "")
        if not push_over(repository, remote, ref, sha, before):
            raise RunFailed(f"{ref} could not be pushed to the demonstration's own host")

    def _begin(self) -> Iterator[DemoEvent]:
        yield from super()._begin()
        assert self._forge is not None
        yield DemoEvent(
            EventKind.DONE,
            f"a Git host on this machine that answers as GitHub does, with the repository {REPO}",
            self._forge.url,
        )

    def _better(self) -> Iterator[DemoEvent]:
        yield from super()._better()
        yield from self._told(StatusState.SUCCESS)

    def _worse(self) -> Iterator[DemoEvent]:
        yield from super()._worse()
        yield from self._told(StatusState.FAILURE)

    def _told(self, wanted: StatusState) -> Iterator[DemoEvent]:
        """Yields what the host knows of the last push, as anybody sees it there."""
        commit = self.changes.head()
        host = open_host(self.cockpit.project.config)
        assert host is not None
        with closing(host):
            for status in self._settled_statuses(host, commit, wanted):
                good = status.state is StatusState.SUCCESS
                words = f"told to the host: {status.context} {status.state.value}"
                yield DemoEvent(EventKind.DONE if good else EventKind.BAD, words, status.description)
            for deployment in host.deployments(ENVIRONMENT)[:1]:
                words = f"told to the host: {deployment.environment} has {deployment.sha[:9]}"
                yield DemoEvent(EventKind.DONE, words, deployment.state.value)
            comments = [each for each in host.comments(self._pull) if "podium" in each.body]
            if comments:
                lines = len(comments[0].body.splitlines())
                words = f"the comparison is a comment of pull request {self._pull}"
                yield DemoEvent(EventKind.DONE, words, f"{lines} lines of Markdown")
        yield from self._listed()

    def _listed(self) -> Iterator[DemoEvent]:
        """Has the journal have the host's CI runs as they are now: the cockpit shows them when the host has gone."""
        self.cockpit.ci.refresh()
        words = f"the host's own CI runs ({WORKFLOW}) stand beside what Podium did"
        yield DemoEvent(EventKind.DONE, words, "in the cockpit: 6 Repository, 7 CI")

    def _settled_statuses(self, host: GitHost, commit: str, wanted: StatusState) -> Sequence[CommitStatus]:
        """Waits until no status is pending and one is as `wanted`, and the comment is there. Raises RunFailed if that
        takes too long."""
        deadline = time.monotonic() + TOLD_TIMEOUT
        while True:
            found = host.statuses(commit)
            states = [each.state for each in found]
            if wanted in states and StatusState.PENDING not in states and host.comments(self._pull):
                return found
            if time.monotonic() > deadline:
                raise RunFailed(
                    f"the host was not told how the run of {commit[:9]} ended: {[str(each) for each in states]}",
                    hint=f"read the agent's log: {self.directory / '.podium' / 'agent.log'}",
                )
            time.sleep(POLL_INTERVAL * 4)

    def stop(self) -> list[str]:
        try:
            return super().stop()
        finally:
            if self._forge is not None:
                self._forge.stop()
                self._forge = None
            if self._storage:
                shutil.rmtree(self._storage, ignore_errors=True)
