"""Faults of the host at random and a sender that is killed: in the end every status is right, and there is one comment.
The host is the forge with GitHub's API, the client is the real one, and the sender is a process of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from podium.core.demo.forge import Forge
from podium.core.domain.delivery import Deployment, DeploymentState
from podium.core.domain.hosts import CommitStatus
from podium.core.domain.outbox import MessageState
from podium.core.domain.runs import Run, RunState
from podium.core.domain.verdicts import Verdict
from podium.core.hosting.following import follow
from podium.core.hosting.statuses import of_run
from podium.core.scm.hosts.opening import open_host

from tests.hosting.scene import Scene
from tests.support import wait_until

COMMITS = int(os.environ.get("PODIUM_CHAOS_ROUNDS") or 6)
# What the agent's job does, with pauses that suit a test. A lease outlives the process that took it.
SENDER = """
import sys, time
from pathlib import Path
from podium.core.config import load
from podium.core.errors import PodiumError
from podium.core.hosting.sender import Sender
from podium.core.journal import Journal, outbox
outbox.LEASE_SECONDS, outbox.FIRST_RETRY_INTERVAL, outbox.MAX_RETRY_INTERVAL, outbox.MAX_ATTEMPTS = 2.0, 0.05, 0.5, 10**6
home, sender = Path(sys.argv[1]), Sender()
with Journal.open(home / ".podium" / "journal.db") as journal:
    while True:
        try:
            sender(load(home), journal)
        except PodiumError as error:
            print(error, flush=True)
        time.sleep(0.05)
"""


class Chaos(Scene):
    def __init__(self, home: Path, forge: Forge) -> None:
        super().__init__(home)
        text = (home / "podium.yaml").read_text()
        host = f"kind: github, url: '{forge.url}', token: '${{FORGE_TOKEN}}', repo: acme/flight-delay"
        (home / "podium.yaml").write_text(text.replace("kind: github, repo: acme/flight-delay", host))
        follow(self.project, self.journal)
        for message in self.journal.outbox.list(MessageState.WAITING):
            self.journal.outbox.drop(message.id, "of another host")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.home / "sender.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-c", SENDER, str(self.home)], stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def idle(self) -> bool:
        return not self.journal.outbox.list(MessageState.WAITING)


@pytest.mark.timeout(600)
def test_in_the_end_every_status_is_right_and_there_is_one_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("PODIUM_CHAOS_SEED") or random.randrange(10**6))
    print(f"PODIUM_CHAOS_SEED={seed}")
    lot = random.Random(seed)
    with Forge("github", tmp_path / "forge", seed=seed) as forge:
        monkeypatch.setenv("FORGE_TOKEN", forge.token)
        repo = forge.make_repo("acme/flight-delay")
        shas = [forge.commit(repo, f"change {number}", branch="main") for number in range(COMMITS)]
        shas.append(forge.commit(repo, "a topic", branch="topic"))
        number = forge.open_pull_request(repo, "topic").number
        for fault in ({"status": 502}, {"status": 503, "done": True}, {"cut": True}, {"drop": True, "done": True}):
            forge.faults.add(count=None, probability=0.06, **fault)
        scene = Chaos(tmp_path / "flights", forge)
        scene.start()
        try:
            runs = carry_on(scene, lot, shas)
            forge.faults.clear()
            wait_until(scene.idle, 120, what="everything was told")
        finally:
            scene.kill()
        check(scene, forge, runs, number)


def carry_on(scene: Chaos, lot: random.Random, shas: list[str]) -> dict[str, Run]:
    """Has runs at all commits begin, be judged and end in any order, while the sender is killed now and then; returns
    the newest run of each commit."""
    begun: list[Run] = []
    newest: dict[str, Run] = {}
    left = [*shas, *shas[-2:]]
    while left or begun:
        if left and (not begun or lot.random() < 0.5):
            run = scene.run(left.pop(0))
            scene.state(run, RunState.RUNNING)
            begun.append(run)
            newest[run.commit] = run
        else:
            end(scene, lot, begun.pop(lot.randrange(len(begun))))
        time.sleep(lot.random() * 0.3)
        if lot.random() < 0.25:
            scene.kill()
            scene.start()
    return newest


def end(scene: Chaos, lot: random.Random, run: Run) -> None:
    verdict = lot.choice(list(Verdict))
    scene.judge(run, verdict)
    time.sleep(lot.random() * 0.2)
    scene.state(run, RunState.SUCCEEDED if verdict is Verdict.PASS else RunState.FAILED, f"the gate says {verdict}")
    if verdict is Verdict.PASS:
        deployed: Deployment = scene.deploy(run.id, run.commit, state=None)
        time.sleep(lot.random() * 0.2)
        scene.journal.ledger.finish(deployed.id, lot.choice((DeploymentState.SUCCEEDED, DeploymentState.UNDONE)))


def check(scene: Chaos, forge: Forge, runs: dict[str, Run], number: int) -> None:
    assert {each.error for each in scene.journal.outbox.list(MessageState.FAILED)} <= {"of another host"}, (
        "none given up"
    )
    host = open_host(scene.project)
    assert host is not None
    for sha, run in runs.items():
        wanted = of_run(scene.project, scene.journal, run.id)
        assert wanted is not None
        assert {each.context: shown(each) for each in host.statuses(sha)} == {
            context: shown(each) for context, each in wanted.wanted.items()
        }
    (comment,) = [each for each in host.comments(number) if "podium-comparison" in each.body]
    assert f"podium show {runs[list(runs)[-1]].id}" in comment.body
    rows = scene.journal.ledger.history("production", limit=-1)
    told = host.deployments("production")
    assert sorted(each.sha for each in told) == sorted(row.commit for row in rows)
    host.close()


def shown(status: CommitStatus) -> tuple[str, str]:
    return (str(status.state), status.description)
