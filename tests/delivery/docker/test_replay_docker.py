"""Shadow replay with replicas in containers, on this machine and on another one: labelled as what they are, seen by
nobody's traffic, and gone."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.engine.connections import close_all
from podium.core.delivery.drivers.docker.create import CAPTURE
from podium.core.delivery.replay import shadows
from podium.core.delivery.replay.replay_step import carry_out
from podium.core.delivery.rollout import phases
from podium.core.delivery.status import status as environments
from podium.core.domain.replay import ReplayLimits, ReplayReport
from podium.core.domain.verdicts import Verdict

from tests.delivery.docker.docked import Docked
from tests.delivery.replay.test_replay import fill, line
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers import sshd as servers
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")

REPLAYING = Path(__file__).resolve().parents[1] / "replaying.py"
LIMITS = ReplayLimits(max_slowdown=100.0)


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path, engine)
    yield made
    made.close()


def served(docked: Docked, **behaviour: object) -> None:
    """Version 1 serves, version 2 waits and behaves as told."""
    docked.version(1, answer=1)
    docked.version(2, **{"answer": 1, **behaviour})
    docked.deploy(1)


def alone(docked: Docked) -> None:
    assert docked.containers("shadow") == []
    assert environments.status(docked.project, docked.journal, docked.environment).differences == ()


def test_shadows_are_containers_of_their_own_kind_and_are_removed(docked: Docked) -> None:
    served(docked, delay=0.02)
    fill(docked.runtime.directory / "capture", 120)
    found: list[ReplayReport] = []

    def play() -> None:
        from podium.core.delivery.environment.runtime import EnvironmentRuntime
        from podium.core.journal import Journal

        with Journal.open(docked.project.state / "journal.db") as journal:
            found.append(
                carry_out(EnvironmentRuntime(docked.project, journal, docked.environment), 2, LIMITS, who="anna")
            )

    replay = threading.Thread(target=play)
    replay.start()
    try:
        wait_until(lambda: len(docked.containers("shadow", stopped=False)) == 2, 90, what="both shadows run")
        during = docked.containers("shadow")
        status = environments.status(docked.project, docked.journal, docked.environment)
        assert status.differences == () and [row.version for row in status.replicas] == [1, 1]
        assert {stat.name for stat in docked.runtime.proxy.stats() if stat.kind == "server"} == {"v1-1", "v1-2"}
    finally:
        replay.join(scaled(60))
    assert {row["Labels"][names.VERSION] for row in during} == {"1", "2"}
    (report,) = found
    assert report.verdict is Verdict.PASS, report.checks
    assert (report.requests, report.identical) == (120, 120) and report.latency["p50"] > 0.02 > report.champion_latency[
        "p50"
    ]
    alone(docked)


def test_a_candidate_that_ends_is_told_with_its_log_and_removed(docked: Docked) -> None:
    served(docked, crash=True)
    fill(docked.runtime.directory / "capture", 120)
    report = carry_out(docked.runtime, 2, LIMITS, who="anna")
    assert report.verdict is Verdict.ERROR
    assert (
        "a_package_that_is_not_there" in report.checks[0].message
        and "It ended with exit code 1" in report.checks[0].message
    )
    alone(docked)


def test_a_killed_replay_leaves_containers_that_the_sweep_removes(docked: Docked) -> None:
    served(docked, delay=0.3)
    fill(docked.runtime.directory / "capture", 200)
    handed = docked.project.home / "handed.pickle"
    handed.write_bytes(pickle.dumps((docked.project, docked.environment)))
    process = subprocess.Popen([sys.executable, str(REPLAYING), str(handed), "2"], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(docked.containers("shadow", stopped=False)) == 2, 90, what="both shadows run")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(docked.containers("shadow")) == 2
        assert shadows.sweep(docked.project, docked.journal) == [
            "staging: a replay was killed; 2 of its shadow replicas were ended"
        ]
    finally:
        process.kill()
        process.wait()
    alone(docked)


@pytest.fixture
def away(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    """The same on a machine that is reached over ssh."""
    missing = servers.missing()
    if missing:
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    with servers.Sshd() as sshd:
        monkeypatch.setenv("PATH", sshd.path)
        made = Docked(tmp_path, engine, host=sshd.address(), replicas=1)
        yield made
        made.close()
        close_all()


def test_captures_of_another_machine_are_brought_and_answered_there(away: Docked) -> None:
    served(away, answer=2)
    (replica,) = away.containers("replica")
    now = time.time()
    text = "".join(line(now - number) for number in range(110)).encode()
    strange = {"capture-v1-1.jsonl": text, "capture-evil.sh": b"no", "feedback-v1-1.jsonl": b"{}"}
    assert away.engine.api.put_archive(replica["Id"], CAPTURE, images.archive(strange))
    report = carry_out(away.runtime, 2, LIMITS, who="anna")
    assert (report.requests, report.differing) == (110, 110), report.checks
    assert 0 < report.latency["p50"] < 0.05, "measured there: the way is not in it"
    brought = away.runtime.directory / "captured"
    assert sorted(path.name for path in brought.iterdir()) == ["capture-v1-1.jsonl", "feedback-v1-1.jsonl"]
    assert brought.stat().st_mode & 0o777 == 0o700 and (brought / "capture-v1-1.jsonl").stat().st_mode & 0o777 == 0o600
    alone(away)
