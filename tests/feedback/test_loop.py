"""What fires starts its pipeline once, in the mode that podium.yaml says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.alerts.asked import silence
from podium.core.domain.monitoring import LoopState
from podium.core.domain.runs import RunState, StepState, Trigger
from podium.core.errors import JournalError, NotFound, Refused, UsageError
from podium.core.feedback.asked import approve, reject
from podium.core.feedback.loop import look

from tests.support import wait_until

from .scene import LOOP, Scene

Make = Callable[..., Scene]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Scene] = []

    def scene(mode: str = "deliver", loop: str = LOOP) -> Scene:
        made.append(Scene(tmp_path / "shop", mode, loop))
        return made[-1]

    yield scene
    for each in made:
        each.journal.close()


def finished(scene: Scene) -> RunState:
    run = scene.entry.run
    assert run is not None
    return wait_until(lambda: (found := scene.journal.runs.get(run).state).finished and found, 30.0)


def test_an_alert_starts_its_pipeline_once(make: Make) -> None:
    scene = make()
    scene.measure(0.0, 0)
    scene.look(1)
    assert scene.entries == []
    scene.measure(0.25, 2)
    for at in range(3, 8):
        scene.look(at)
        scene.measure(0.3, at)
    assert finished(scene) is RunState.SUCCEEDED
    run = scene.journal.runs.get(scene.entry.run or 0)
    assert (run.trigger, run.who) == (Trigger.ALERT, "podium watch")
    assert run.why == "alert errors-high on production: 25.0 % (above 10 %)"
    assert scene.trained() == ["0.25 on production"], "the values are those of when it fired"
    scene.look(10)
    assert (len(scene.entries), scene.entry.state) == (1, LoopState.ENDED)
    assert scene.entry.why == (
        f"run {run.id} succeeded and delivered nothing to production: deliver was left out: its condition does not hold:"
        " params.deliver == 'yes'"
    )
    scene.look(11)
    assert len(scene.journal.runs.page()) == 1, "once for each firing"
    scene.measure(0.0, 20)
    scene.measure(0.5, 21)
    scene.look(22)
    assert len(scene.entries) == 2 and scene.entry.state is LoopState.RUNNING, "another firing is another case"
    assert finished(scene) is RunState.SUCCEEDED


def test_a_second_entry_of_the_same_firing_cannot_be(make: Make) -> None:
    scene = make("propose")
    scene.measure(0.5, 1)
    scene.look(2)
    from dataclasses import replace

    with pytest.raises(JournalError):
        scene.journal.loops.put(replace(scene.entry, id=0))


def test_what_is_proposed_waits_for_a_person(make: Make) -> None:
    scene = make("propose")
    scene.measure(0.5, 1)
    scene.look(2)
    scene.look(3)
    assert (scene.entry.state, scene.entry.mode, scene.entry.run) == (LoopState.PROPOSED, "propose", None)
    assert scene.said == ["feedback: retrain for alert errors-high on production waits for a person"], "said once"
    started = approve(scene.project, scene.journal, scene.entry.id, who="anna", why="", now=scene.began + 4)
    assert started.state is LoopState.RUNNING and finished(scene) is RunState.SUCCEEDED
    assert "approved by anna" in scene.journal.runs.get(started.run or 0).why
    with pytest.raises(Refused, match="waits for nobody"):
        approve(scene.project, scene.journal, scene.entry.id, who="anna", why="x", now=scene.began + 5)
    assert [(each.action, each.who) for each in scene.journal.audit.page(1)] == [("feedback approve", "anna")]


def test_a_proposal_is_rejected(make: Make) -> None:
    scene = make("propose")
    scene.measure(0.5, 1)
    scene.look(2)
    with pytest.raises(UsageError):
        reject(scene.journal, scene.entry.id, who="anna", why=" ", now=scene.began + 3)
    with pytest.raises(NotFound):
        reject(scene.journal, 99, who="anna", why="no", now=scene.began + 3)
    reject(scene.journal, scene.entry.id, who="anna", why="no", now=scene.began + 3)
    scene.look(4)
    assert (scene.entry.state, scene.entry.why) == (LoopState.ENDED, "rejected by anna: no")
    assert scene.journal.runs.page() == []


def test_a_proposal_ends_with_its_alert(make: Make) -> None:
    scene = make("propose")
    scene.measure(0.5, 1)
    scene.look(2)
    scene.measure(0.0, 3)
    scene.look(4)
    assert (scene.entry.state, scene.entry.why) == (LoopState.ENDED, "the alert was over before anybody decided")
    with pytest.raises(Refused):
        approve(scene.project, scene.journal, scene.entry.id, who="anna", why="x", now=scene.began + 5)


def test_the_default_is_to_propose_where_it_is_protected(make: Make) -> None:
    scene = make(loop="errors-high")
    scene.measure(0.5, 1)
    scene.look(2)
    assert (scene.entry.mode, scene.entry.state) == ("propose", LoopState.PROPOSED)


def test_without_a_person_nothing_is_delivered_in_the_mode_run(make: Make) -> None:
    scene = make("run")
    scene.write("run", deliver="yes")
    scene.measure(0.5, 1)
    scene.look(2)
    run = scene.entry.run
    assert run is not None
    wait_until(lambda: scene.journal.runs.get(run).state in (RunState.WAITING, RunState.SUCCEEDED), 30.0)
    steps = {each.name: each.state for each in scene.journal.steps.of(run)}
    assert steps == {"train": StepState.SUCCEEDED, "deliver": StepState.WAITING}
    scene.look(3)
    assert scene.entry.state is LoopState.RUNNING
    from podium.core.engine.submit import cancel

    cancel(scene.journal, run, "anna")
    assert finished(scene) is RunState.CANCELLED
    scene.look(4)
    assert scene.entry.state is LoopState.ENDED and "cancelled" in scene.entry.why


def test_a_brake_is_said_once_and_lets_go(make: Make) -> None:
    scene = make()
    made = silence(
        scene.project, scene.journal, "errors-high", environment=False, seconds=3600.0, who="anna", why="load test"
    )
    start = made.at - scene.began + 1
    scene.measure(0.5, start)
    scene.look(start + 1)
    scene.look(start + 2)
    assert (scene.entry.state, scene.entry.why) == (LoopState.REFUSED, "the alert is silenced by anna: load test")
    assert len(scene.said) == 1 and "is held: the alert is silenced" in scene.said[0]
    scene.look(start + 4000)
    assert len(scene.entries) == 1 and scene.entry.state is LoopState.RUNNING
    assert finished(scene) is RunState.SUCCEEDED


def test_a_person_overrides_a_brake_with_a_reason(make: Make) -> None:
    scene = make(loop="{names: [errors-high], mode: deliver, cooldown: 0, at_most: 1, look_back: 1h}")
    scene.measure(0.5, 1)
    scene.look(2)
    finished(scene)
    scene.measure(0.0, 3)
    scene.measure(0.5, 4)
    scene.look(5)
    assert scene.entry.why == "it was started 1 times in a day, and 1 is the most"
    with pytest.raises(Refused, match="1 is the most"):
        approve(scene.project, scene.journal, scene.entry.id, who="anna", why="", now=scene.began + 6)
    started = approve(scene.project, scene.journal, scene.entry.id, who="anna", why="repaired", now=scene.began + 6)
    assert started.why.endswith("although it was started 1 times in a day, and 1 is the most: repaired")
    finished(scene)


def test_a_pipeline_that_cannot_be_started_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make()
    scene.measure(0.5, 1)

    def broken(*_: object, **__: object) -> None:
        raise Refused("no room")

    with monkeypatch.context() as patched:
        patched.setattr("podium.core.engine.submit.submit_pipeline", broken)
        scene.look(2)
        scene.look(3)
    assert scene.entry.why == "it cannot be started: no room" and len(scene.said) == 1
    scene.look(4)
    assert scene.entry.state is LoopState.RUNNING
    finished(scene)


def test_a_run_whose_starter_was_killed_is_started(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make()
    scene.measure(0.5, 1)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("podium.core.engine.submit._launch", killed)
        with pytest.raises(KeyboardInterrupt):
            look(scene.project, scene.journal, scene.began + 2, scene.said.append)
    assert scene.entry.state is LoopState.RUNNING and scene.trained() == []
    scene.look(3)
    assert finished(scene) is RunState.SUCCEEDED and scene.trained() == ["0.5 on production"]
    assert len(scene.journal.runs.page()) == 1
