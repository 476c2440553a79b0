"""The inbox against the forge, with the real client: seen by the agent's job, read and steered by the façade."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.cockpit import Cockpit
from podium.core.demo.forge import Forge
from podium.core.domain.hosts import CiAttention, CiState
from podium.core.errors import PodiumError, Refused
from podium.core.scm.hosts.opening import open_host
from podium.core.triggers.inbox import Inbox

REPO = "acme/flight-delay"
CONFIG = """\
project: flight-delay
git: {host: {kind: github, repo: %s, url: '%s', token: '%s'}}
pipelines: {release: {steps: {one: {run: "true"}}}}
"""


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge("github", tmp_path / "forge") as forge:
        forge.make_repo(REPO)
        forge.commit(REPO, "A first model")
        yield forge


@pytest.fixture
def cockpit(tmp_path: Path, forge: Forge) -> Iterator[Cockpit]:
    home = tmp_path / "flight-delay"
    home.mkdir()
    (home / "podium.yaml").write_text(CONFIG % (REPO, forge.url, forge.token))
    (home / ".podium").mkdir(mode=0o700)
    cockpit = Cockpit(home)
    yield cockpit
    cockpit.close()


def test_a_run_from_its_failure_to_the_approval(forge: Forge, cockpit: Cockpit) -> None:
    failed = forge.ci.start(REPO, name="test", jobs=[{"name": "unit", "steps": ["checkout", "pytest"]}, "lint"])
    unit, lint = failed.jobs
    forge.ci.append_log(unit, "collected 3 items\n1 failed\n")
    forge.ci.finish(unit, "failed")
    forge.ci.finish(lint)
    waiting = forge.ci.start(REPO, name="release", jobs=["deploy"])
    forge.ci.wait_for_approval(waiting, "production", reviewers=["acme"])
    running = forge.ci.start(REPO, name="docs")

    inbox = Inbox(open_host)
    inbox(cockpit.project.config, cockpit.journal)
    inbox.close()
    asked = len(forge.requests)
    rows = cockpit.ci.inbox().rows
    assert [(row.run.name, row.attention) for row in rows] == [
        ("test", CiAttention.FAILED),
        ("release", CiAttention.WAITING),
        ("docs", CiAttention.RUNNING),
    ]
    assert len(forge.requests) == asked, "the journal answered"

    jobs = cockpit.ci.jobs(str(failed.id))
    assert [(job.name, job.state) for job in jobs] == [("unit", CiState.FAILED), ("lint", CiState.SUCCEEDED)]
    assert "1 failed" in cockpit.ci.fetch_log(jobs[0].id).path.read_text()
    late = cockpit.ci.fetch_log(cockpit.ci.jobs(str(running.id))[0].id)
    assert not late.complete and late.note and late.retry_after > 0, "it says when the log comes"

    cockpit.ci.rerun(str(failed.id), why="a flaky test")
    cockpit.ci.approve(str(waiting.id), why="looked at it")
    cockpit.ci.cancel(str(running.id))
    cockpit.ci.refresh()
    states = {row.run.name: (row.run.state, row.run.attempt) for row in cockpit.ci.inbox().rows}
    assert states["test"][0] in (CiState.QUEUED, CiState.RUNNING) and states["test"][1] == 2
    assert states["release"][0] in (CiState.QUEUED, CiState.RUNNING)
    assert states["docs"][0] is CiState.CANCELLED
    whys = [(entry.action, entry.why) for entry in cockpit.project.audit(limit=3)]
    assert whys == [("ci cancel", ""), ("ci approve", "looked at it"), ("ci rerun", "a flaky test")]
    with pytest.raises(PodiumError) as refused:
        cockpit.ci.cancel(str(running.id))
    assert isinstance(refused.value, Refused) and forge.token not in str(refused.value)


def test_an_inbox_that_did_not_change_costs_nothing_of_the_limit(forge: Forge, cockpit: Cockpit) -> None:
    forge.ci.finish(forge.ci.start(REPO, name="test"))
    now = [1000.0]
    inbox = Inbox(open_host, clock=lambda: now[0], lot=lambda: 0.5)
    project = cockpit.project.config
    inbox(project, cockpit.journal)
    before = cockpit.ci.inbox().host
    for _ in range(3):
        now[0] += 600
        inbox(project, cockpit.journal)
    after = cockpit.ci.inbox().host
    inbox.close()
    assert before is not None and after is not None and before.rate is not None and after.rate is not None
    assert after.asked == 2800.0 and after.rate.remaining == before.rate.remaining
