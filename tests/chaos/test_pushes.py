"""Real pushes to a host that fails at random, and an agent that is killed with -9: in the end every commit was
delivered once, every status is right, and no comment is there twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from podium.core.demo.forge import Forge
from podium.core.domain.outbox import MessageState
from podium.core.domain.runs import RunState, Trigger
from podium.core.hosting.statuses import of_run
from podium.core.scm.hosts.opening import open_host

from tests.chaos.fire import seed
from tests.chaos.pushing import Pushing, moments, shown
from tests.support import wait_until

PUSHES = int(os.environ.get("PODIUM_CHAOS_PUSHES") or 12)
HOST = os.environ.get("PODIUM_CHAOS_HOST", "")  # one of KINDS; else the seed's
KINDS = ("github", "gitlab", "gitea")


@pytest.mark.timeout(120 + 15 * PUSHES)
def test_every_push_is_delivered_once_and_told_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = seed()
    dice = random.Random(chosen)
    kind = dice.choice(KINDS)
    kind = HOST or kind
    where = f"PODIUM_CHAOS_SEED={chosen} PODIUM_CHAOS_PUSHES={PUSHES} PODIUM_CHAOS_HOST={kind}"
    print(where)
    with Forge(kind, tmp_path / "forge", seed=chosen) as forge:
        monkeypatch.setenv("FORGE_TOKEN", forge.token)
        pushing = Pushing(tmp_path, forge)
        try:
            pushing.start()
            wait_until(pushing.followed, 60, what="the agent has looked for the first time")
            carry_on(pushing, dice)
            forge.faults.clear()
            wait_until(pushing.quiet, 120, interval=0.2, what="everything is delivered and told")
            check(pushing)
        except AssertionError as error:
            raise AssertionError(f"{where}\n{error}\n{pushing.evidence()}") from error
        finally:
            pushing.close()
    print(f"{len(pushing.main)} commits, {pushing.killed} kills, {len(forge.requests)} of the last requests")


def carry_on(pushing: Pushing, dice: random.Random) -> None:
    """Pushes in bursts, now and then to a pull request, and kills the agent on the way."""
    for number in range(1 + PUSHES // 40):
        pushing.push(f"topic{number}")
        pushing.open_pull_request(f"topic{number}")
    pushing.break_down()
    kills, left = moments(dice, PUSHES), PUSHES
    while left or kills:
        burst = min(left, dice.randint(1, 5))
        for _ in range(burst):
            push_one(pushing, dice)
        left -= burst
        behind = dice.choice((0, 2, 8)) if left else 0
        wait_until(lambda at=behind: reached(pushing, at, kills), 240, interval=0.05, what="the agent goes on")
        if kills and begun(pushing) >= kills[-1]:
            kills.pop()
            kill(pushing, dice)


def push_one(pushing: Pushing, dice: random.Random) -> None:
    if dice.random() < 0.15:
        number = dice.choice([*pushing.pulls])
        pushing.push(f"topic{[*pushing.pulls].index(number)}", pull=number)
    pushing.push(commits=dice.choice((1, 1, 1, 2)))


def begun(pushing: Pushing) -> int:
    return len(pushing.runs(Trigger.PUSH))


def reached(pushing: Pushing, behind: int, kills: list[int]) -> bool:
    """Tells whether the agent is as near as that to what was pushed, or far enough to be killed."""
    pushing.judge()
    now = begun(pushing)
    return now >= len(pushing.main) - behind or bool(kills and now >= kills[-1])


def kill(pushing: Pushing, dice: random.Random) -> None:
    time.sleep(dice.uniform(0, 1.5))
    pushing.kill()
    time.sleep(dice.uniform(0, 0.5))
    pushing.start()


def check(pushing: Pushing) -> None:
    runs = pushing.runs(Trigger.PUSH)
    twice = [commit for commit, count in Counter(run.commit for run in runs).items() if count > 1]
    assert not twice, f"delivered more than once: {twice}"
    assert [run.commit for run in runs] == pushing.main
    reviews = pushing.runs(Trigger.PULL_REQUEST)
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    # Of a pull request the newest commit alone has to be judged: a run that it supersedes is cancelled.
    assert {run.state for run in reviews} <= {RunState.SUCCEEDED, RunState.CANCELLED}
    assert not pushing.journal.outbox.list(MessageState.FAILED), "none was given up"
    assert pushing.forge.token not in pushing.log
    host = open_host(pushing.project)
    assert host is not None
    for run in (*runs, *reviews):
        wanted = of_run(pushing.project, pushing.journal, run.id)
        assert wanted is not None
        there = {each.context: shown(host.kind, each) for each in host.statuses(run.commit)}
        assert there == {context: shown(host.kind, each) for context, each in wanted.wanted.items()}, run
    for number, sha in pushing.pulls.items():
        (comment,) = [each for each in host.comments(number) if "podium-comparison" in each.body]
        (newest,) = [run for run in reviews if run.commit == sha]
        assert newest.state is RunState.SUCCEEDED and f"podium show {newest.id}`" in comment.body
    host.close()
