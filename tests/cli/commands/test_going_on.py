"""podium resume and podium approve where the run changes a protected environment: what is shown, asked and refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.runs import PIPELINE, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.engine import submit
from podium.core.identity.processes import started_at
from podium.core.journal import Journal

from ..conftest import Call

CONFIG = """\
project: small
pipelines:
  release:
    steps:
      made: {run: "true"}
      ship: {uses: promote, needs: [made], environment: production, version: 2, approval: required}
environments:
  production: {driver: process, port: 5100, protected: true}
"""
VERBS = {
    "resume": (RunState.FAILED, StepState.FAILED, "podium resume 1"),
    "approve": (RunState.WAITING, StepState.WAITING, "podium approve 1 ship"),
}


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "start_worker", lambda *_: os.getpid())
    monkeypatch.setattr(submit, "_signal", lambda *_: None)


def stopped(journal: Journal, home: Path, verb: str) -> None:
    """A pushed run whose promotion of version 2 failed, or waits; version 1 serves production."""
    approval = ", approval: required" if verb == "approve" else ""
    (home / "podium.yaml").write_text(CONFIG.replace(", approval: required", approval))
    for number in (1, 2):
        journal.versions.update(
            Version("small", number, time.time(), verdict=Verdict.PASS, metrics={"roc_auc": number / 10})
        )
    row = journal.ledger.begin(
        environment="production", how=How.PROMOTE, model="small", to_version=1, from_version=None, who="ops"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    run = journal.runs.create(
        kind=PIPELINE, name="release", trigger=Trigger.PUSH, who="podium watch", workspace=str(home)
    )
    steps = [
        Step(run.id, "made", 0, StepState.PENDING),
        Step(run.id, "ship", 1, StepState.PENDING, needs=("made",)),
    ]
    journal.steps.add(run.id, steps)
    state, ship, _ = VERBS[verb]
    journal.steps.update(run.id, "made", state=StepState.SUCCEEDED)
    journal.steps.update(run.id, "ship", state=ship)
    journal.runs.set_state(run.id, RunState.RUNNING)
    journal.runs.set_state(run.id, state)
    if not state.finished:
        journal.runs.set_worker(run.id, os.getpid(), started_at(os.getpid()))


@pytest.mark.parametrize("verb", VERBS)
def test_a_protected_environment_is_not_changed_without_its_name(
    call: Call, journal: Journal, home: Path, verb: str
) -> None:
    stopped(journal, home, verb)
    detached = ("-d",) if verb == "resume" else ()
    for flags in ((), ("--yes",), ("--confirm", "staging"), ("--yes", "--confirm", "ship")):
        done = call(verb, "1", *detached, *flags)
        assert (done.code, done.out) == (4, ""), flags
        assert f"{VERBS[verb][2]} --yes --confirm production" in done.err, flags
    assert journal.runs.get(1).state is VERBS[verb][0]
    assert journal.agreements.get(1, "ship") is None and journal.runs.approval(1, "ship") is None
    shown = call(verb, "1", *detached).err
    for words in (
        "step ship of run 1" if verb == "approve" else "run 1, release",
        "traffic of production  version 1 → version 2",
        "roc_auc: 0.1000 → 0.2000",
        "ship: promote",
    ):
        assert words in shown, words
    assert call(verb, "1", *detached, "--yes", "--confirm", "production", "--why", "seen").code == 0
    agreed = journal.agreements.get(1, "ship")
    assert agreed is not None and (agreed.version, agreed.why) == ("2", "seen") and agreed.who != "podium watch"
