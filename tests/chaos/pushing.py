"""A project whose agent is fed by a Git host that fails now and then: the host, a developer who pushes to it, and the
agent, a process of its own that can be killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.core.config import load
from podium.core.demo.forge import Forge
from podium.core.domain.hosts import CommitStatus, StatusState
from podium.core.domain.outbox import MessageState
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.journal import Journal

from tests.hosts.support import commit_file, run_git
from tests.runner.scale import scaled
from tests.support import free_port, processes_of, wait_until

REPO = "acme/lab"
SECRET = "a-secret-of-the-webhook"
FILE = """
project: lab
git:
  host: {{kind: {kind}, repo: acme/lab, url: '{url}', token: '${{FORGE_TOKEN}}'}}
  poll: 1s
  webhook_secret: {secret}
pipelines:
  main:
    on: {{push: main}}
    concurrency: every
    steps: {{one: {{run: 'true'}}}}
  review:
    on: {{pull_request: true}}
    steps: {{one: {{run: 'true'}}}}
"""
# The agent as it is, with pauses that suit a test: a lease outlives the process that took it.
AGENT = """
import sys
from pathlib import Path
from podium.core.journal import outbox
from podium.core.scm.hosts import politeness
from podium.core.triggers import agent, polling
outbox.LEASE_SECONDS, outbox.FIRST_RETRY_INTERVAL, outbox.MAX_RETRY_INTERVAL, outbox.MAX_ATTEMPTS = 5.0, 0.1, 1.0, 10**6
polling.MIN_INTERVAL, polling.MAX_BACKOFF, politeness.MAX_BACK_OFF, agent.MAX_RETRY_INTERVAL = 0.1, 2.0, 1.0, 2.0
agent.run(Path(sys.argv[1]), listen=sys.argv[2])
"""
# What the host does now and then, instead of or besides what it is asked for.
FAULTS: Sequence[dict[str, Any]] = (
    {"status": 500},
    {"status": 502},
    {"status": 503, "done": True},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"login": True},
    {"cut": True},
    {"drop": True},
    {"drop": True, "done": True},
    {"slow": 0.4},
)
PROBABILITY = 0.012  # of each of them, for each request


class Pushing:
    """What is pushed to main is in `main`, in that order; the newest commit of each pull request is in `pulls`."""

    def __init__(self, place: Path, forge: Forge) -> None:
        self.forge = forge
        self.repo = forge.make_repo(REPO)
        forge.rates.limit = 10**6  # a limit of an hour is no matter of minutes
        self.home, self.clone = place / "project", place / "clone"
        text = FILE.format(kind=forge.kind, url=forge.url, secret=SECRET)
        forge.commit(REPO, "first", {".gitignore": ".podium/\n", "podium.yaml": text, "word.txt": "0"})
        for directory in (self.home, self.clone):
            done = run_git(place, "clone", "-q", forge.clone_url(REPO, forge.token), str(directory))
            assert done.returncode == 0, done.stderr
        self.address = f"127.0.0.1:{free_port()}"
        forge.add_hook(REPO, f"http://{self.address}/", SECRET)
        (self.home / ".podium").mkdir(mode=0o700)
        self.journal = Journal.open(self.home / ".podium" / "journal.db")
        self.main: list[str] = []
        self.pulls: dict[int, str] = {}
        self.killed = 0
        self._words = 0
        self._judged: set[int] = set()
        self._agent: subprocess.Popen[bytes] | None = None

    @property
    def project(self) -> Project:
        return load(self.home)

    @property
    def log(self) -> str:
        return (self.home / ".podium/agent.log").read_text(errors="replace")

    # -- the agent

    def start(self) -> None:
        with (self.home / ".podium/agent.log").open("ab") as log:
            command = [sys.executable, "-c", AGENT, str(self.home), self.address]
            self._agent = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """Kills the agent with -9, whatever it does; what it has started goes on."""
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait(scaled(10))
            self._agent = None
            self.killed += 1

    def followed(self) -> bool:
        """Tells whether the agent has seen what was there before it, so that what comes now is new."""
        return all(self.journal.values.get(key) is not None for key in ("push:main:main:host", "pulls:review:host"))

    # -- the developer

    def break_down(self) -> None:
        for fault in FAULTS:
            self.forge.faults.add(count=None, probability=PROBABILITY, **fault)

    def open_pull_request(self, branch: str) -> int:
        pull = self.forge.open_pull_request(REPO, branch)
        self.pulls[pull.number] = self.repo.bare.branches()[branch]
        return pull.number

    def push(self, branch: str = "main", commits: int = 1, pull: int = 0) -> None:
        """Commits and pushes, again and again until the host has it."""
        made = [self._commit(branch) for _ in range(commits)]
        wait_until(lambda: self._pushed(branch), 120, interval=0.2, what=f"{branch} can be pushed")
        if pull:
            self.pulls[pull] = made[-1]
        elif branch == "main":
            self.main += made

    def _commit(self, branch: str) -> str:
        assert run_git(self.clone, "checkout", "-q", "-B", branch, *self._at(branch)).returncode == 0
        self._words += 1
        return commit_file(self.clone, "word.txt", str(self._words), f"change {self._words}")

    def _at(self, branch: str) -> list[str]:
        known = run_git(self.clone, "rev-parse", "-q", "--verify", f"refs/heads/{branch}").returncode == 0
        return [f"refs/heads/{branch}"] if known else ["refs/heads/main"]

    def _pushed(self, branch: str) -> bool:
        return run_git(self.clone, "push", "-q", "origin", branch).returncode == 0

    # -- what becomes of it

    def runs(self, trigger: Trigger) -> list[Run]:
        """Returns the runs in the order in which they began."""
        return [run for run in reversed(self.journal.runs.page(limit=-1)) if run.trigger is trigger]

    def judge(self) -> None:
        """Writes what a gate would find into each run of a pull request: a model would take too long to train."""
        for run in self.runs(Trigger.PULL_REQUEST):
            if run.id not in self._judged:
                checks = (CheckResult("roc_auc", Verdict.PASS, f"found in run {run.id}", 0.7, 0.6, 0.0, 0.1, rows=100),)
                self.journal.gates.add(
                    GateReport("quality", "lab", run.id, None, Verdict.PASS, checks, time.time(), run.id)
                )
                self._judged.add(run.id)

    def quiet(self) -> bool:
        """Tells whether everything that was pushed has a run, all have ended, and the host was told everything."""
        self.judge()
        reviewed = {run.commit for run in self.runs(Trigger.PULL_REQUEST)}
        return (
            {run.commit for run in self.runs(Trigger.PUSH)} >= set(self.main)
            and reviewed >= set(self.pulls.values())
            and not self.journal.runs.active()
            and not self.journal.outbox.list(MessageState.WAITING)
        )

    def evidence(self) -> str:
        """Returns how things stand: for the message of a failing test."""
        waiting = self.journal.outbox.list(MessageState.WAITING)
        lines = [f"pushed to main: {len(self.main)} commits; runs: {len(self.runs(Trigger.PUSH))}"]
        lines += [f"active: {run}" for run in self.journal.runs.active()[:3]]
        lines += [f"waiting: {each.receiver} {each.attempts}: {each.error}" for each in waiting[:5]]
        return "\n".join([*lines, "the agent's log ends with:", *self.log.splitlines()[-30:]])

    def close(self) -> None:
        self.kill()
        for process in processes_of(self.home):
            process.kill()
        self.journal.close()


def shown(kind: str, status: CommitStatus) -> tuple[str, str]:
    """Returns a status as a host of this kind has it: GitLab knows no error beside failure."""
    state = StatusState.FAILURE if kind == "gitlab" and status.state is StatusState.ERROR else status.state
    return str(state), status.description


def moments(dice: random.Random, pushes: int) -> list[int]:
    """Returns when the agent is killed: after so many runs, the next one last, all over the way."""
    return sorted((dice.randrange(pushes) for _ in range(max(3, pushes // 5))), reverse=True)
