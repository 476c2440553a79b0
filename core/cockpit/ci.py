"""`cockpit.ci`: CI runs of the Git host. What is listed comes from the journal, where the agent keeps it up to date;
jobs, logs and everything that changes something ask the host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..domain.hosts import CiAttention, CiInbox, CiLogFile, CiRow, CiState, HostFeature, HostLimits
from ..errors import ConfigError, NotFound, PodiumError, Refused, Unreachable, UsageError
from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.hosts import CiApproval, CiJob, CiLog, CiRun, HostState, Workflow
    from ..domain.project import Project
    from ..scm.hosts import GitHost

LIMIT = 100
MAX_LOG_BYTES = 64 << 20


class Ci:
    """Runs are named by the host's number of them (`CiRun.id`), and by `repo` where a child pipeline runs in another
    repository. Each thread has a client of its own."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened
        self._local = threading.local()
        self._lock = threading.Lock()
        self._logs: dict[tuple[str, str], JobLog] = {}

    @property
    def opened(self) -> OpenProject:
        """Returns the project. Not for front ends."""
        return self._opened

    @cached_property
    def _directory(self) -> Path:
        """Returns the directory of fetched logs, which goes with this object."""
        self._kept = TemporaryDirectory(prefix="podium-ci-", ignore_cleanup_errors=True)
        return Path(self._kept.name)

    # Reading the journal

    def inbox(self, *, limit: int = LIMIT, attention: Collection[CiAttention] = ()) -> CiInbox:
        """Returns the inbox as it was last seen: what failed, what waits for this account, what runs, then the rest,
        each the newest first. It asks nobody."""
        rows = self._rows(limit)
        if attention:
            rows = [row for row in rows if row.attention in attention]
        return CiInbox(tuple(rows), self._state())

    def get(self, run: str, repo: str = "") -> CiRow:
        """Returns one row as it was last seen; the host is asked for a run that was never seen. Raises NotFound if
        there is none."""
        found = next((row for row in self._rows(-1) if row.run.id == run and repo in ("", row.run.repo)), None)
        if found is not None:
            return found
        host = self._host()
        return self._with_lineage([self._row(host.name, host.ci_run(run, repo), (), time.time(), frozenset())])[0]

    def _rows(self, limit: int) -> list[CiRow]:
        seen = self._opened.journal.host_runs.newest(limit=limit)
        newest: dict[tuple[str, str, str, str], str] = {}
        for host, run, _, _ in sorted(seen, key=lambda each: -each[1].created):
            newest.setdefault((host, run.repo, run.name, run.branch), run.id)
        last = frozenset((host, repo, id) for (host, repo, _, _), id in newest.items())
        rows = [self._row(host, run, approvals, at, last) for host, run, approvals, at in seen]
        return in_order(self._with_lineage(rows))

    def _row(
        self,
        host: str,
        run: CiRun,
        approvals: tuple[CiApproval, ...],
        at: float,
        last: frozenset[tuple[str, str, str]],
    ) -> CiRow:
        current = (host, run.repo, run.id) in last
        return CiRow(host, run, _attention(run, approvals, current), approvals, at)

    def _with_lineage(self, rows: Sequence[CiRow]) -> list[CiRow]:
        from dataclasses import replace

        from ..lineage import made_from

        shas = {row.run.sha for row in rows if row.run.sha}
        runs = self._opened.journal.runs.newest_at(shas)
        versions = made_from(self._opened.journal, self._project(), shas)
        return [
            replace(row, podium=runs.get(row.run.sha), versions=tuple(versions.get(row.run.sha, ()))) for row in rows
        ]

    def _state(self) -> HostState | None:
        project = self._project()
        if project is None or project.git.host is None:
            return None
        return self._opened.journal.host_runs.host(project.git.host.place)

    # Asking the host

    def asks_a_host(self) -> bool:
        """Tells whether podium.yaml names a Git host."""
        project = self._project()
        return project is not None and project.git.host is not None

    def refresh(self) -> None:
        """Asks the host now, and stores its answer. Raises Unreachable if it does not answer."""
        from ..triggers.inbox import collect

        collect(self._opened.journal, self._host(), time.time())

    def limits(self) -> HostLimits:
        """Returns what the host cannot do, and why. Loads its client."""
        project = self._project()
        if project is None or project.git.host is None:
            return HostLimits()
        try:
            return HostLimits(True, dict(self._host().missing))
        except PodiumError as error:
            return HostLimits(True, {HostFeature.CI: error.message})

    def jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        """Returns the jobs of a run with their steps, in the order in which they run. Asks the host."""
        return self._host().ci_jobs(run, repo)

    def log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        """Returns a job's log from a byte on; if there is none yet, why, and when to look again. Asks the host."""
        return self._host().ci_log(job, offset=offset, repo=repo)

    def fetch_log(self, job: str, *, repo: str = "") -> CiLogFile:
        """Fetches what a job's log has that was not fetched yet, into a file that lasts as long as this process, and
        returns where that is. Asks the host, unless the log is complete."""
        with self._lock:
            log = self._logs.setdefault((repo, job), JobLog(self._directory / f"{len(self._logs)}.log"))
        return log.fetch(lambda offset: self.log(job, offset=offset, repo=repo))

    def page(self, row: CiRow) -> str:
        """Returns the http(s) address of a CI run on the project's host. Raises Refused for an address elsewhere."""
        base, url = urlsplit(self._host().url), urlsplit(row.run.url)
        if url.scheme not in ("http", "https") or (url.scheme, url.netloc) != (base.scheme, base.netloc):
            raise Refused(f"the host gave no address of its own for CI run {row.run.id}")
        return row.run.url

    def approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        """Returns the environments that a run waits for. Asks the host."""
        return self._able(HostFeature.APPROVE).ci_approvals(run, repo)

    def workflows(self) -> Sequence[Workflow]:
        """Returns what can be started by hand. Asks the host."""
        return self._able(HostFeature.START).workflows()

    # Changing something

    def rerun(self, run: str, *, failed: bool = True, why: str = "", repo: str = "") -> None:
        """Has the host run again what failed, or all of it. Raises Refused with the host's reason."""
        self._opened.require_own()
        host = self._able(HostFeature.RERUN_FAILED) if failed else self._host()
        what = "ci rerun" if failed else "ci rerun all"
        self._do(host, what, f"run {run}", why, lambda: host.ci_rerun(run, failed=failed, repo=repo))

    def cancel(self, run: str, *, why: str = "", repo: str = "") -> None:
        """Has the host cancel a run. Raises Refused with the host's reason."""
        self._opened.require_own()
        host = self._able(HostFeature.CANCEL)
        self._do(host, "ci cancel", f"run {run}", why, lambda: host.ci_cancel(run, repo))

    def approve(self, run: str, environment: str = "", *, why: str = "", repo: str = "") -> CiApproval:
        """Lets a run go on to an environment that it waits for; it may be left out when there is only one. Raises
        NotFound if the run waits for none, Refused with the host's reason."""
        self._opened.require_own()
        host = self._able(HostFeature.APPROVE)
        chosen = _chosen(run, environment, host.ci_approvals(run, repo))
        subject = f"run {run} to {chosen.environment}"
        self._do(host, "ci approve", subject, why, lambda: host.ci_approve(chosen, why=why))
        return chosen

    def start(self, workflow: str, ref: str = "", inputs: Mapping[str, str] | None = None, *, why: str = "") -> None:
        """Has the host start a workflow at a branch or tag (default: the branch that releases come from)."""
        self._opened.require_own()
        host = self._able(HostFeature.START)
        at = ref or self._opened.current.git.branch
        self._do(host, "ci start", f"{workflow} at {at}", why, lambda: host.ci_start(workflow, at, dict(inputs or {})))

    def _do(self, host: GitHost, action: str, subject: str, why: str, act: Callable[[], None]) -> None:
        """Does it, and notes who did it and why: also where the host did not answer, for it may have done it."""
        audit, whole = self._opened.journal.audit, f"{subject} of {host.name}"
        try:
            act()
        except Unreachable as error:
            audit.add(whoami(), action, f"{whole} (no answer: {error.message})", why)
            raise
        audit.add(whoami(), action, whole, why)
        with suppress(PodiumError):  # the agent looks again; whoever lists before that sees it all the same
            self.refresh()

    # The client

    def _able(self, feature: HostFeature) -> GitHost:
        host = self._host()
        reason = host.missing.get(feature) or host.missing.get(HostFeature.CI)
        if reason:
            raise Refused(f"{host.name}: {reason}")
        return host

    def _host(self) -> GitHost:
        """Returns this thread's client. Raises NotFound if podium.yaml names no host."""
        project = self._opened.config
        known = getattr(self._local, "host", None)
        if known is None or self._local.of != project.git.host:
            self.close()
            known = self._open(project)
            if known is None:
                raise NotFound("podium.yaml names no Git host", hint="git.host says where the repository is")
            self._local.host, self._local.of = known, project.git.host
        return known

    def _open(self, project: Project) -> GitHost | None:
        from ..scm.hosts.opening import open_host

        return open_host(project, environ=self._opened.environ)

    def close(self) -> None:
        """Closes this thread's client."""
        host = self._local.__dict__.pop("host", None)
        if host is not None:
            host.close()

    def _project(self) -> Project | None:
        try:
            return self._opened.config
        except ConfigError:
            return None


def in_order(rows: Sequence[CiRow]) -> list[CiRow]:
    """Returns rows in the order of the inbox."""
    order = list(CiAttention)
    return sorted(rows, key=lambda row: (order.index(row.attention), -(row.run.updated or row.run.created)))


class JobLog:
    """A job's log in a file: what was fetched, and from where to go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._next = 0
        self._last: CiLogFile | None = None

    def fetch(self, ask: Callable[[int], CiLog]) -> CiLogFile:
        """Adds what is new; at most 64 MiB are kept."""
        with self._lock:
            if self._last is not None and self._last.complete:
                return self._last
            piece = ask(self._next)
            full = self._next > MAX_LOG_BYTES
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write("" if full else piece.text)
            self._next = piece.next
            note = f"only the first {MAX_LOG_BYTES >> 20} MiB are shown" if full else piece.note
            self._last = CiLogFile(self.path, piece.complete or full, note, piece.retry_after)
            return self._last


def _attention(run: CiRun, approvals: Sequence[CiApproval], current: bool) -> CiAttention:
    if run.state is CiState.FAILED:
        return CiAttention.FAILED if current else CiAttention.OVER
    if any(each.may for each in approvals) and not run.state.finished:
        return CiAttention.WAITING
    return CiAttention.OVER if run.state.finished else CiAttention.RUNNING


def _chosen(run: str, environment: str, waits: Sequence[CiApproval]) -> CiApproval:
    names = ", ".join(each.environment for each in waits)
    if not waits:
        raise Refused(f"CI run {run} waits for nobody")
    found = [each for each in waits if environment in ("", each.environment)]
    if not found:
        raise NotFound(f"CI run {run} does not wait for {environment!r}", hint=f"it waits for {names}")
    if len(found) > 1:
        raise UsageError(f"CI run {run} waits for several environments", hint=f"name one of: {names}")
    if not found[0].may:
        raise Refused(f"{found[0].environment}: {found[0].why or 'this account may not approve it'}")
    return found[0]
