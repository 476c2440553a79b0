"""What holds the loop, and what it finds afterwards. Runs are rows of the journal here: nothing is trained."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.alerts.evaluate import evaluate
from podium.core.domain.monitoring import LoopEntry, LoopState, MonitorKind
from podium.core.domain.runs import PIPELINE, RunState, Trigger
from podium.core.feedback.brakes import case, held
from podium.core.feedback.look_back import judged

from tests.alerts.scene import measured
from tests.support import calls

from .scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "shop", "deliver", "{names: [errors-high], cooldown: 1h, at_most: 2, look_back: 1h}")
    made.measure(0.5, 100)
    yield made
    made.journal.close()


def holds(scene: Scene, at: float = 101) -> str:
    standing = scene.journal.alert_states.get("errors-high")
    assert standing is not None
    pipeline = scene.project.pipelines["retrain"]
    return held(case(scene.project, scene.journal, pipeline, standing, scene.began + at))


def before(scene: Scene, at: float, state: LoopState = LoopState.ENDED, **more: object) -> LoopEntry:
    """An earlier firing's entry, begun `at` seconds after the scene."""
    episode = 1000 + len(scene.entries)
    entry = LoopEntry(0, "errors-high", "production", "retrain", episode, scene.began + at, state, run=1)
    return scene.journal.loops.put(replace(entry, **more))


def test_nothing_holds_it(scene: Scene) -> None:
    assert holds(scene) == ""


def test_cooldown_and_so_many_a_day(scene: Scene) -> None:
    before(scene, -3000)
    assert holds(scene) == "it was started 51m41s ago, and its cooldown is 1h00m"
    assert holds(scene, 700) == ""
    before(scene, -40_000)
    assert holds(scene, 700) == "it was started 2 times in a day, and 2 is the most"
    assert holds(scene, 50_000) == "", "a day later one of them is not of this day any more"
    before(scene, 1e9)
    assert holds(scene, 50_000) == "", "one from the future was started by a wrong clock"
    before(scene, 40_000, LoopState.REFUSED, run=None)
    assert holds(scene, 50_000) == "", "what was held was not started"


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.RUNNING, RunState.WAITING])
def test_not_while_one_runs(scene: Scene, state: RunState) -> None:
    run = scene.journal.runs.create(kind=PIPELINE, name="retrain", trigger=Trigger.PERSON, who="anna")
    scene.journal.runs.set_state(run.id, state)
    assert f"run {run.id} of it" in holds(scene)
    scene.journal.runs.set_state(run.id, RunState.FAILED)
    assert holds(scene) == ""


def test_not_when_the_last_one_did_not_help(scene: Scene) -> None:
    before(scene, -90_000, LoopState.DID_NOT_HELP, version=7, why="the alert still fires")
    assert holds(scene) == "the last retraining, of version 7, did not help: the alert still fires"
    before(scene, -89_000, LoopState.ENDED)
    assert holds(scene) != "", "one that delivered nothing says nothing"
    before(scene, -88_000, LoopState.HELPED)
    assert holds(scene) == ""


def test_bad_data_must_not_be_learned(scene: Scene) -> None:
    scene.measure(0.5, 102, kind=MonitorKind.DATA)
    assert holds(scene) == "the data is in doubt (errors-high): bad data must not be learned"


def git(scene: Scene, *words: str) -> str:
    named = ["-c", "user.name=anna", "-c", "user.email=anna@example.com"]
    done = subprocess.run(["git", *named, *words], cwd=scene.home, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_not_for_a_quarantined_commit(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.journal.quarantine.add("shop", 3, "0" * 40, "anna", "wrong on holidays")
    assert holds(scene) == "", "there is no repository"
    git(scene, "init", "-q")
    assert holds(scene) == "", "there is no commit"
    git(scene, "commit", "-q", "--allow-empty", "-m", "one")
    assert holds(scene) == ""
    commit = git(scene, "rev-parse", "HEAD")
    scene.journal.quarantine.add("shop", 4, commit, "anna", "wrong on Mondays")
    assert holds(scene) == f"commit {commit[:9]} is quarantined (wrong on Mondays)"
    monkeypatch.setenv("PATH", str(scene.home))
    scene.look(102)
    assert scene.entry.state is LoopState.REFUSED, "without git other alerts are looked at, and this one is held"
    assert "nobody knows whether its commit is quarantined: " in scene.entry.why and "git" in scene.entry.why


@pytest.fixture
def delivered(scene: Scene) -> Scene:
    """Version 5 was delivered at second 300 for the alert that fires."""
    run = scene.journal.runs.create(kind=PIPELINE, name="retrain", trigger=Trigger.ALERT, who="podium watch")
    episode = scene.journal.alert_states.all()["errors-high"].status.episode
    entry = LoopEntry(0, "errors-high", "production", "retrain", episode, scene.began + 101, LoopState.RUNNING)
    scene.journal.loops.put(replace(entry, run=run.id))
    scene.ended(300, version=5)
    scene.look(301)
    assert (scene.entry.state, scene.entry.version) == (LoopState.DELIVERED, 5)
    # The ledger has the time of this machine's clock.
    scene.journal.loops.put(replace(scene.entry, ended=scene.began + 300))
    return scene


def test_it_helped_when_the_alert_ended(delivered: Scene) -> None:
    delivered.look(310)
    assert delivered.entry.state is LoopState.DELIVERED, "nothing is known yet"
    delivered.measure(0.0, 360)
    delivered.look(361)
    assert (delivered.entry.state, delivered.entry.why) == (
        LoopState.HELPED,
        "the alert ended 1m00s after the delivery",
    )
    assert delivered.said[-1].endswith("helped, run 1, version 5: the alert ended 1m00s after the delivery")
    assert delivered.journal.audit.page(1)[0].action == "feedback helped"


def test_it_did_not_help_when_the_alert_still_fires(delivered: Scene) -> None:
    delivered.measure(0.5, 3000)
    delivered.look(3800)
    assert delivered.entry.state is LoopState.DELIVERED
    delivered.look(3901)
    assert (delivered.entry.state, delivered.entry.why) == (
        LoopState.DID_NOT_HELP,
        "1h00m after the delivery the alert still fires",
    )


def test_without_a_measurement_since_nobody_knows(delivered: Scene) -> None:
    delivered.look(9000)
    delivered.measure(None, 9001)
    delivered.look(9002)
    assert delivered.entry.state is LoopState.DELIVERED
    assert delivered.entry.why == "nothing was measured since the delivery, so nobody knows"
    assert sum("nobody knows" in each for each in delivered.said) == 1, "said once"
    delivered.measure(0.0, 9003)
    delivered.look(9004)
    assert delivered.entry.state is LoopState.HELPED


def test_an_alert_that_ended_before_the_delivery_proves_nothing(delivered: Scene) -> None:
    delivered.measure(0.0, 200)
    delivered.look(302)
    assert delivered.entry.state is LoopState.ENDED and "before the delivery" in delivered.entry.why


def test_an_alert_that_was_taken_out_of_podium_yaml_proves_nothing(delivered: Scene) -> None:
    delivered.measure(0.5, 360)
    without = replace(delivered.project, alerts={})
    evaluate(without, delivered.journal, delivered.began + 400)
    found = judged(without, delivered.journal, delivered.entry, delivered.began + 500)
    assert found.state is LoopState.ENDED and "nobody knows whether it helped" in found.why


@pytest.mark.parametrize("over", [False, True])
def test_a_version_that_was_taken_back_did_not_help_if_the_alert_went_on(delivered: Scene, over: bool) -> None:
    from podium.core.domain.delivery import DeploymentState, How

    if over:  # before the rollback, which is of now
        delivered.measure(0.0, 360)
    row = delivered.journal.ledger.begin(
        environment="production", how=How.ROLLBACK, model="shop", to_version=4, from_version=5, who="anna"
    )
    delivered.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    delivered.look(302)
    assert (delivered.entry.state, delivered.entry.why) == (
        (LoopState.HELPED, "the alert ended 1m00s after the delivery")
        if over
        else (LoopState.DID_NOT_HELP, "version 5 does not serve any more, version 4 serves")
    )


@pytest.mark.parametrize(
    ("metric", "value", "low", "high", "version", "helped"),
    [
        ("roc_auc", 0.8, 0.75, 0.85, 5, True),
        ("roc_auc", 0.8, 0.65, 0.85, 5, False),
        ("roc_auc", 0.8, 0.75, 0.85, 4, False),
        ("log_loss", 0.5, 0.45, 0.65, 5, True),
        ("log_loss", 0.8, 0.75, 0.85, 5, False),
        ("of our own", 0.8, 0.75, 0.85, 5, False),
    ],
)
def test_it_helped_when_quality_rose_by_more_than_its_interval(
    delivered: Scene, metric: str, value: float, low: float, high: float, version: int, helped: bool
) -> None:
    delivered.quality(0.7, 0.65, 0.75, 50, 4)
    delivered.quality(value, low, high, 400, version)
    errors = delivered.project.monitors["errors"]
    monitor = replace(errors, name="quality", kind=MonitorKind.QUALITY, measure=metric)
    project = replace(delivered.project, monitors={**delivered.project.monitors, "quality": monitor})
    found = judged(project, delivered.journal, delivered.entry, delivered.began + 500)
    assert (found.state is LoopState.HELPED) == helped
    assert found.why.startswith("quality went from 0.7000 to") == helped


def test_monitors_of_other_kinds_are_not_read_again_every_few_seconds(delivered: Scene) -> None:
    def look_back() -> None:
        judged(delivered.project, delivered.journal, delivered.entry, delivered.began + 500)

    look_back()  # what is loaded late is loaded
    before = calls(look_back)
    for number in range(50):
        delivered.journal.measurements.add(replace(measured(0.5), at=delivered.began + 310 + number))
    assert calls(look_back) < before + 50


def test_a_run_that_was_removed_ends_its_entry(scene: Scene) -> None:
    before(scene, 50, LoopState.RUNNING, run=99)
    scene.journal.runs.create(kind=PIPELINE, name="retrain", trigger=Trigger.PERSON, who="anna")
    scene.look(101)
    assert ("its run is not kept any more", LoopState.ENDED) in [(each.why, each.state) for each in scene.entries]
