"""A project in which a version was made, judged, approved and served, as Podium's own code records it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from podium.core.adoption.settling import settle
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.domain.runs import PIPELINE, Agreement, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import CheckResult, GateReport, Verdict
from podium.core.evidence.subject import Subject, named
from podium.core.journal import Journal
from podium.core.registry.files import bring, directory

MODEL = "churn"
SECRET = "a-token-of-the-tests-1234567890"
YAML = """\
project: churn
env: {API_TOKEN: "${API_TOKEN}"}
pipelines: {release: {steps: {train: {run: python train.py}}}}
environments: {production: {port: 5100}}
"""
CARD = "# Churn\n\nFor deciding whom to call. Not for prices.\n"


class Recorded:
    """`why` is what people and programs have written where they may write anything."""

    def __init__(self, home: Path, *, why: str = "the autumn release") -> None:
        self.home = home
        home.mkdir(parents=True)
        (home / "podium.yaml").write_text(YAML)
        (home / "MODEL_CARD.md").write_text(CARD)
        (home / "train.py").write_text("print('one')\n")
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("begin")
        (home / "train.py").write_text("print('two')\n")
        self.second = self.commit(f"learn more: {why}" if "\0" not in why else "learn more")
        self.project: Project = load(home, environ={"API_TOKEN": SECRET})
        self.project.state.mkdir(mode=0o700)
        settle(home)
        self.journal = Journal.open(self.project.state / "journal.db")
        self.files = directory(self.project.state, MODEL, 3)
        self.digest = bring(self.files, self._model)
        self.run = self._run(why)
        self.version = Version(
            MODEL,
            3,
            time.time(),
            aliases=("champion",),
            mlflow_run="a1b2c3",
            commit=self.second,
            run_id=self.run,
            digest=self.digest,
            metrics={"roc_auc": 0.81},
            params={"depth": "4", "note": why, "token": SECRET},
        )
        before = Version(MODEL, 2, time.time() - 100, commit=self.first)
        self.journal.versions.replace(MODEL, [self.version, before], "asked")
        self._judged(why)
        self._served(why)

    @property
    def subject(self) -> Subject:
        return named(self.project, self.journal, self.version)

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Anna Example", "-c", "user.email=anna@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(self.home), *who, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self, words: str) -> str:
        self.git("add", "--all", "--", ":!.podium")
        self.git("commit", "-q", "--allow-empty", "-m", words)
        return self.git("rev-parse", "HEAD")

    @staticmethod
    def _model(into: Path) -> None:
        (into / "MLmodel").write_text("flavors: {}\n")
        (into / "requirements.txt").write_text("scikit-learn==1.5.0\n")
        (into / "data").mkdir()
        (into / "data" / "odd\\name\n.bin").write_bytes(bytes(range(256)))

    def _run(self, why: str) -> int:
        journal = self.journal
        made = journal.runs.create(
            kind=PIPELINE, name="release", trigger=Trigger.PUSH, who="anna", why=why, commit=self.second, branch="main"
        )
        journal.steps.add(
            made.id,
            [
                Step(made.id, "train", 0, StepState.SUCCEEDED, command="python train.py", key="k" * 64),
                Step(made.id, "ship", 1, StepState.SUCCEEDED, ("train",), uses="promote"),
            ],
        )
        journal.runs.set_state(made.id, RunState.SUCCEEDED)
        journal.runs.approve(made.id, "ship", "bob from 10.0.0.7", why, account="bob")
        shown = Agreement(made.id, "ship", "promote", "bob", time.time(), why, "production", "3", {"serving": "2"})
        journal.agreements.keep(shown)
        return made.id

    def _judged(self, why: str) -> None:
        check = CheckResult("roc_auc", Verdict.PASS, why, 0.81, 0.79, 0.001, 0.04, rows=500)
        self.journal.gates.add(
            GateReport("release", MODEL, 3, 2, Verdict.PASS, (check,), time.time(), self.run, "test.csv", 500)
        )

    def _served(self, why: str) -> None:
        for number in (2, 3):
            row = self.journal.ledger.begin(
                environment="production",
                how=How.PROMOTE,
                model=MODEL,
                to_version=number,
                from_version=number - 1 if number > 2 else None,
                who="anna",
                why=why,
                run_id=self.run,
                commit=self.second,
                digest=self.digest,
                strategy="blue-green",
                forced=number == 3,
            )
            self.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        self.journal.audit.add("anna", "promote", "production version 3", why)
