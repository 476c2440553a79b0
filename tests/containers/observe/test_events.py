"""Pictures of what an engine runs: taken when something happened, and only then; also across a way to the engine
that is cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.observe import snapshot as snapshots
from podium.core.containers.observe.watcher import Watch
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.delivery import How
from podium.core.journal import Journal
from podium.core.triggers.containers import EnvironmentWatchers

from tests.containers.gate import Gate
from tests.containers.yard import Yard
from tests.runner.hooks import session_labels
from tests.servers.pausing import pause
from tests.servers.sshd import Sshd
from tests.support import wait_until


class Seen:
    """Every snapshot that a watch gave, and every line that it said."""

    def __init__(self) -> None:
        self.snapshots: list[EngineSnapshot] = []
        self.said: list[str] = []

    @property
    def states(self) -> dict[str, str]:
        return {each.replica: each.state for each in self.snapshots[-1].containers} if self.snapshots else {}


@pytest.fixture
def seen(yard: Yard) -> Iterator[Seen]:
    found = Seen()
    watch = Watch(yard.project, yard.environment, found.snapshots.append, say=found.said.append).start()
    wait_until(lambda: found.snapshots)
    yield found
    watch.close()
    assert not watch.alive, "a thread that waits for events can be told to stop"


def test_every_change_gives_a_picture_within_a_moment(yard: Yard, seen: Seen) -> None:
    api = yard.engine.api
    one = yard.run("a")
    wait_until(lambda: seen.states == {"a": "running"}, 5.0)
    [container] = seen.snapshots[-1].containers
    assert (container.version, container.role, container.exit_code, container.networks) == (
        3,
        "replica",
        None,
        ("bridge",),
    )
    assert (
        container.address
        and container.started
        and container.image_id.startswith("sha256:")
        and container.labels["podium.replica"] == "a"
    )
    for do, state in ((api.pause, "paused"), (api.unpause, "running"), (api.kill, "exited"), (api.start, "running")):
        do(one)
        wait_until(lambda state=state: seen.states == {"a": state}, 5.0)
        if state == "exited":
            assert seen.snapshots[-1].containers[0].exit_code == 137
    api.rename(one, f"podium-test-renamed-{one[:8]}")
    wait_until(lambda: seen.snapshots[-1].containers[0].name.startswith("podium-test-renamed"), 5.0)
    api.remove_container(one, force=True)
    wait_until(lambda: seen.states == {}, 5.0)


def test_nothing_is_asked_while_nothing_happens(yard: Yard, seen: Seen, gate: Gate) -> None:
    yard.run("a")
    wait_until(lambda: seen.states == {"a": "running"}, 5.0)
    passed, snapshots = gate.passed, len(seen.snapshots)
    yard.engine.api.exec_start(yard.engine.api.exec_create(seen.snapshots[-1].containers[0].id, ["true"])["Id"])
    other = yard.engine.api.create_container(yard.image, ["true"], labels=session_labels())["Id"]
    yard.engine.api.start(other)
    yard.engine.api.wait(other)
    yard.engine.api.remove_container(other)
    assert not threading.Event().wait(1.0)
    assert (gate.passed, len(seen.snapshots)) == (passed, snapshots), (
        "neither a health check nor somebody else's container is news"
    )


def test_only_what_changed_is_looked_at_closely(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = yard.run("a"), yard.run("b")
    before = snapshots.take(yard.engine, yard.project, yard.environment)
    looked: list[str] = []
    inspect = yard.engine.inspect
    monkeypatch.setattr(yard.engine, "inspect", lambda container: looked.append(container) or inspect(container))
    assert (
        snapshots.take(yard.engine, yard.project, yard.environment, before, dirty=()).containers == before.containers
        and looked == []
    )
    pause(yard.engine.api, first)
    after = snapshots.take(yard.engine, yard.project, yard.environment, before, dirty=())
    assert looked == [first] and [each.state for each in after.containers if each.id == first] == ["paused"]
    snapshots.take(yard.engine, yard.project, yard.environment, after, dirty={second})
    assert looked == [first, second]


def test_an_engine_that_goes_away_is_told_once_and_found_again(yard: Yard, seen: Seen, gate: Gate) -> None:
    one = yard.run("a")
    wait_until(lambda: seen.states == {"a": "running"}, 5.0)
    gate.cut()
    wait_until(lambda: seen.snapshots[-1].message, 5.0)
    assert "no Docker engine answers" in seen.snapshots[-1].message and seen.states == {"a": "running"}, (
        "as it was last seen"
    )
    yard.engine.api.kill(one)
    assert not threading.Event().wait(1.5)
    assert len(seen.said) == 1 and "no Docker engine answers" in seen.said[0]
    gate.restore()
    wait_until(lambda: not seen.snapshots[-1].message and seen.states == {"a": "exited"}, 10.0)
    assert len(seen.said) == 2 and "answers again" in seen.said[1]


def test_a_stream_that_is_cut_without_a_word_is_opened_again(yard: Yard, seen: Seen, gate: Gate) -> None:
    gate.drop()
    yard.run("a")
    wait_until(lambda: seen.states == {"a": "running"}, 5.0)
    assert seen.said == [], "it came back before anybody had to know"


def test_over_ssh_a_cut_line_is_noticed_told_and_mended(
    tmp_path: Path, engine: Engine, shell_image: str, ssh_server: Sshd, ssh_engine: str
) -> None:
    yard = Yard(tmp_path, engine, shell_image, ssh_engine)
    found = Seen()
    watch = Watch(yard.project, yard.environment, found.snapshots.append, say=found.said.append).start()
    try:
        wait_until(lambda: found.snapshots)
        one = yard.run("a")
        wait_until(lambda: found.states == {"a": "running"}, 5.0)
        ssh_server.line.cut()
        wait_until(lambda: found.snapshots[-1].message, 10.0)
        pause(yard.engine.api, one)
        ssh_server.line.restore()
        wait_until(lambda: not found.snapshots[-1].message and found.states == {"a": "paused"}, 15.0)
        assert len(found.said) == 2
    finally:
        watch.close()
        yard.close()


def test_the_agents_job_writes_pictures_samples_and_logs(yard: Yard) -> None:
    said: list[str] = []
    job = EnvironmentWatchers(said.append)
    with Journal.open(yard.project.state / "journal.db") as journal:
        job(yard.project, journal)
        assert journal.snapshots.get("production") is None, "nothing was ever deployed there"
        _deployed(journal)
        try:
            yard.run("production-v3-1", "echo hello; sleep 1000")
            job(yard.project, journal)
            wait_until(
                lambda: (found := journal.snapshots.get("production")) is not None and len(found.containers) == 1, 5.0
            )
            log = yard.project.state / "environments" / "production" / "production-v3-1.log"
            wait_until(lambda: log.exists() and log.read_text().endswith("Z o hello\n"), 5.0)

            def measured() -> bool:
                job(yard.project, journal)
                now = time.time()
                each = journal.samples.series(
                    "production/production-v3-1", "memory", start=now - 10, end=now, points=10
                )
                whole = journal.samples.series("production", "memory", start=now - 10, end=now, points=10)
                return any(each.values) and any(whole.values)

            wait_until(measured, 10.0, interval=0.2)
        finally:
            job.close()
    assert said == []


def _deployed(journal: Journal) -> None:
    journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="m", to_version=3, from_version=None, who="anna"
    )
