"""The engine goes away in the middle of a replay: what it runs then is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.connections import close_all
from podium.core.delivery.replay import shadows
from podium.core.delivery.replay.replay_step import carry_out
from podium.core.delivery.replay.sending import Sender
from podium.core.delivery.rollout import phases
from podium.core.domain.replay import ReplayLimits
from podium.core.domain.verdicts import Verdict
from podium.core.errors import PodiumError, Unreachable

from tests.delivery.docker.docked import Docked
from tests.delivery.replay.test_replay import fill
from tests.support import wait_until


class Away(Docked):
    """A world whose engine is reached by a path of its own, which can be taken away."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.path = home / "engine.sock"
        super().__init__(home, engine, host=f"unix://{self.path}", replicas=1)
        self.back()

    def back(self) -> None:
        self.path.symlink_to(self.engine.address.path)

    def go(self) -> None:
        self.path.unlink()
        close_all()


@pytest.fixture
def away(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Away(tmp_path, engine)
    made.version(1, answer=1)
    made.version(2, answer=1)
    made.deploy(1)
    yield made
    if not made.path.exists():
        made.back()
    made.close()
    close_all()


def swept(away: Away) -> list[str]:
    """What a sweep did; nothing while a connection that was refused a moment ago is not tried again."""
    try:
        return shadows.sweep(away.project, away.journal)
    except PodiumError:
        return []


def test_shadows_that_a_replay_could_not_end_are_ended_when_the_engine_is_back(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(away.runtime.directory / "capture", 120)
    send = Sender.send

    def then_gone(self: Sender, *given: object):
        sent = send(self, *given)  # type: ignore[arg-type]
        away.go()
        return sent

    monkeypatch.setattr(Sender, "send", then_gone)
    report = carry_out(away.runtime, 2, ReplayLimits(max_slowdown=100.0), who="anna")
    assert report.verdict is Verdict.PASS, "what was measured is not lost with it"
    assert away.said[-1].startswith("shadows of a replay on staging could not be ended: ")
    assert len(away.containers("shadow", stopped=False)) == 2 and away.journal.locks.all() == []
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"shadows of a replay on staging could not be ended: .* no Docker"):
            shadows.sweep(away.project, away.journal)
        assert away.journal.locks.all() == [], "a replay that begins meanwhile is not refused for that"
    away.back()
    told: list[str] = []
    wait_until(lambda: told.extend(swept(away)) or told, 20)
    assert told == ["staging: ended 2 shadow replicas that a replay left behind"]
    assert away.containers("shadow") == [] and shadows.sweep(away.project, away.journal) == []


def test_what_is_there_when_the_next_replay_begins_is_ended_by_that(away: Away) -> None:
    with pytest.raises(ZeroDivisionError), shadows.Shadows(away.runtime, who="anna", why="replay of version 2") as them:
        them.start("candidate", 2, "")
        away.go()
        raise ZeroDivisionError  # what the replay itself ends with stays what is told
    away.back()

    def again() -> bool:
        try:
            with shadows.Shadows(away.runtime, who="anna", why="replay of version 2"):
                return away.containers("shadow") == []
        except PodiumError:
            return False

    wait_until(again, 20)
    assert shadows.sweep(away.project, away.journal) == []
    assert away.journal.locks.all() == [] and away.journal.values.all("shadows ") == {}
