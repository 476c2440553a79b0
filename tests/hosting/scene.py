"""A project whose Git host is a SmallHost, with a journal in which tests write what runs would."""

from __future__ import annotations

import time
from pathlib import Path

from podium.core.config import load
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.domain.hosts import CommitStatus
from podium.core.domain.outbox import MessageState
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.hosting.following import follow
from podium.core.hosting.sender import Sender
from podium.core.journal import Journal
from podium.core.journal.outbox import Outbox

from tests.hosting.small_host import SmallHost

YAML = """
project: flights
git: {{host: {{kind: github, repo: acme/flight-delay, tell: {{{tell}}}}}}}
pipelines:
  release:
    steps:
      candidate: {{uses: register, metric: roc_auc, goal: maximize}}
      gate: {{uses: gate, needs: [candidate], gate: quality}}
gates: {{quality: {{data: data/test.parquet, target: late, checks: [{{metric: roc_auc, at_least: 0.6}}]}}}}
environments: {{production: {{port: 5100, bind: {bind}, open: true}}}}
"""
SHA = "0123456789abcdef0123456789abcdef01234567"


class Scene:
    """`now` is the outbox's clock, which stands until it is moved."""

    model = "flights"

    def __init__(self, home: Path, *, tell: str = "", bind: str = "127.0.0.1") -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "podium.yaml").write_text(YAML.format(tell=tell, bind=bind))
        self.home = home
        (home / ".podium").mkdir(mode=0o700, exist_ok=True)
        self.journal = Journal.open(home / ".podium" / "journal.db")
        self.now = 1_000_000.0
        self.journal.outbox = Outbox(self.journal._database, clock=lambda: self.now, lot=lambda: 1.0)
        self.host = SmallHost(home / "host.json")
        self.sender = Sender(lambda _: self.host, clock=lambda: self.now)  # type: ignore[arg-type,return-value]
        follow(self.project, self.journal)

    @property
    def project(self) -> Project:
        return load(self.home)

    def send(self) -> None:
        self.sender(self.project, self.journal)

    def later(self, seconds: float = 1000.0) -> None:
        self.now += seconds

    def waiting(self) -> list[str]:
        return [each.receiver for each in self.journal.outbox.list(MessageState.WAITING)]

    # -- what happens

    def run(self, sha: str = SHA, *, dirty: bool = False, name: str = "release") -> Run:
        """Starts a run of the pipeline at a commit."""
        run = self.journal.runs.create(
            kind="pipeline", name=name, trigger=Trigger.PUSH, who="podium watch", commit=sha, dirty=dirty
        )
        steps = [
            Step(run.id, "candidate", 0, StepState.PENDING, uses="register"),
            Step(run.id, "gate", 1, StepState.PENDING, needs=("candidate",), uses="gate"),
        ]
        self.journal.steps.add(run.id, steps)
        return run

    def state(self, run: Run, state: RunState, message: str = "") -> None:
        self.journal.runs.set_state(run.id, state, message=message)

    def judge(self, run: Run, verdict: Verdict = Verdict.PASS, **more: object) -> GateReport:
        """Has the run's gate end with a verdict."""
        checks = (
            CheckResult("roc_auc against champion", verdict, "what was found", 0.71, 0.70, -0.002, 0.02, rows=1000),
        )
        report = GateReport(
            "quality",
            "flights",
            7,
            6,
            verdict,
            checks,
            time.time(),
            run.id,
            "data/test.parquet",
            1000,
            {"roc_auc": 0.71},
        )
        from dataclasses import replace

        report = replace(report, **more)
        self.journal.gates.add(report)
        ended = StepState.SUCCEEDED if verdict is Verdict.PASS else StepState.FAILED
        results = {"gate": "quality", "verdict": str(verdict), "model": "flights", "version": 7}
        self.journal.steps.update(run.id, "gate", state=ended, results=results)
        return report

    def deploy(
        self, version: int, sha: str = SHA, state: DeploymentState | None = DeploymentState.SUCCEEDED
    ) -> Deployment:
        made = self.journal.ledger.begin(
            environment="production", how=How.PROMOTE, model=self.model, to_version=version, from_version=None, who="mia",
            commit=sha,
        )  # fmt: skip
        if state is not None:
            self.journal.ledger.finish(made.id, state)
        return made

    # -- what the host has

    def statuses(self, sha: str = SHA) -> dict[str, CommitStatus]:
        return {each.context: each for each in self.host.statuses(sha)}

    def words(self, sha: str = SHA) -> dict[str, str]:
        return {context: str(each.state) for context, each in self.statuses(sha).items()}
