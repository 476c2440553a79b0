"""Approvals by accounts that the Git host itself names: two people who share an account of this machine are two."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.demo.forge import Forge
from podium.core.domain.access.proof import Proof
from podium.core.domain.models import Version
from podium.core.domain.runs import PIPELINE, Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.engine import submit
from podium.core.errors import Refused, Unreachable

from tests.support import free_port

CONFIG = """\
project: shop
mlflow: {{model: tiny}}
git: {{host: {{kind: github, repo: acme/shop, url: "{url}", token: {token}}}}}
pipelines:
  release:
    steps:
      ship: {{uses: promote, environment: production, version: 2, approvers: {approvers}}}
environments:
  production: {{driver: process, port: {port}}}
"""


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    monkeypatch.setattr(submit, "start_worker", lambda *_: os.getpid())
    monkeypatch.setattr(submit, "_signal", lambda *_: None)
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GH_HOST", "127.0.0.1")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with Forge("github", tmp_path / "forge") as made:
        made.make_repo("acme/shop")
        yield made


def opened(home: Path, forge: Forge, approvers: str) -> Cockpit:
    home.mkdir()
    written = CONFIG.format(url=forge.url, token=forge.token, approvers=approvers, port=free_port())
    (home / "podium.yaml").write_text(written)
    cockpit = Cockpit(home)
    cockpit.journal.versions.update(Version("tiny", 2, time.time(), verdict=Verdict.PASS, commit=f"{2:040x}"))
    return cockpit


def waiting(cockpit: Cockpit) -> Run:
    journal = cockpit.journal
    run = journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PUSH, who="podium watch", why="push",
                              workspace=str(cockpit.home))  # fmt: skip
    journal.steps.add(run.id, [Step(run.id, "ship", 0, StepState.PENDING)])
    journal.steps.update(run.id, "ship", state=StepState.WAITING)
    for state in (RunState.RUNNING, RunState.WAITING):
        journal.runs.set_state(run.id, state)
    return journal.runs.get(run.id)


def test_two_people_with_one_account_of_this_machine_are_two(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    cockpit = opened(tmp_path / "shop", forge, "{number: 2, proof: host}")
    run = waiting(cockpit)
    with pytest.raises(Refused, match="token"):
        cockpit.runs.approve(run.id)
    assert cockpit.journal.runs.approvals(run.id, "ship") == [], "the project's own token proves nobody"
    for login, left in (("anna", 1), ("anna", 1), ("ben", 0), ("anna", 0)):
        monkeypatch.setenv("GITHUB_TOKEN", forge.add_token(login).value)
        approval = cockpit.runs.approve(run.id, why="looked at it")
        assert (approval.account, approval.proof) == (login, Proof.HOST)
        assert cockpit.runs.approvals_missing(approval) == left
    said = [entry.why for entry in cockpit.journal.audit.page() if entry.action == "approve"]
    assert said[1] == "looked at it; as ben, proved by the Git host" and len(said) == 4


def test_only_those_who_are_named_may(tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    cockpit = opened(tmp_path / "shop", forge, "{proof: host, among: [ben]}")
    run = waiting(cockpit)
    monkeypatch.setenv("GITHUB_TOKEN", forge.add_token("anna").value)
    assert "anna is not among those who may approve it: ben" in cockpit.runs.plan_approve(run.id).refusal
    monkeypatch.setenv("GITHUB_TOKEN", forge.add_token("ben").value)
    assert cockpit.runs.plan_approve(run.id).refusal == ""


def test_a_host_that_does_not_answer_proves_nobody(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    cockpit = opened(tmp_path / "shop", forge, "host")
    run = waiting(cockpit)
    monkeypatch.setenv("GITHUB_TOKEN", forge.add_token("anna").value)
    forge.stop()
    with pytest.raises(Unreachable, match="cannot be reached"):
        cockpit.runs.approve(run.id)
    assert cockpit.journal.runs.approvals(run.id, "ship") == []
