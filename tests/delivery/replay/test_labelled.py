"""Champion and challenger on the same labelled requests."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from podium.core.delivery.replay import labelled, report
from podium.core.delivery.replay.replay_step import carry_out
from podium.core.delivery.replay.sending import AnswerPair
from podium.core.domain.labels import NewLabel
from podium.core.domain.project import Check, Gate
from podium.core.domain.replay import ReplayLimits
from podium.core.domain.verdicts import Verdict
from podium.core.labels.store import LabelStore
from podium.core.serving.captures import Captured

from tests.delivery.light import World
from tests.delivery.replay.test_replay import fill

MAE = Gate("quality", "data.csv", "late", (Check("metric", metric="mae", at_least=0.0), Check("latency")))


def capture(number: int, **more: Any) -> Captured:
    body = json.dumps({"dataframe_records": [{"hour": number % 3}]}).encode()
    values: dict[str, Any] = {"at": 1000.0 + number, "version": "1", "status": 200, "content_type": "application/json"}
    return Captured(**{**values, "body": body, "output": "", "request_id": f"r{number}", **more})


def pair(number: int, champion: Any, candidate: Any) -> AnswerPair:
    return AnswerPair(200, 200, 0.1, 0.1, answers=((champion,), (candidate,)), number=number)


def test_both_sides_are_measured_on_the_same_rows(world: World) -> None:
    project = replace(world.project, gates={"quality": MAE})
    captures = [capture(number) for number in range(200)]
    pairs = [pair(number, number % 7 + 2.0, number % 7 + 1.0 + number % 2 / 2) for number in range(199, -1, -1)]
    labels = {number: (float(number % 7),) for number in range(150)}
    (found,) = labelled.metrics(project, captures, labels, pairs)
    assert (found.gate, found.metric, found.rows) == ("quality", "mae", 150)
    assert found.champion == pytest.approx(2.0) and found.candidate == pytest.approx(1.25)
    assert found.low is not None and found.high is not None and found.difference == pytest.approx(0.75)
    assert 0.70 < found.low < 0.75 < found.high < 0.80
    assert "1.25 against 2, better by 0.75 (95 % interval +0.7" in next(labelled.sentences([found]))
    worse = replace(found, candidate=2.5, difference=-0.5, low=-0.6, high=-0.4)
    assert "2.5 against 2, worse by 0.5 (95 % interval -0.6 … -0.4, " in next(labelled.sentences([worse]))


def test_what_cannot_be_measured_is_said_and_fails_nothing(world: World) -> None:
    project = replace(world.project, gates={"quality": MAE})
    (found,) = labelled.metrics(project, [capture(0)], {0: ("late",)}, [pair(0, 1.0, 2.0)])
    assert found.candidate is None and found.message and found.message in next(labelled.sentences([found]))
    assert labelled.metrics(project, [capture(0)], {}, [pair(0, 1.0, 2.0)]) == ()
    assert labelled.metrics(world.project, [capture(0)], {0: (1.0,)}, [pair(0, 1.0, 2.0)]) == (), "no gate, no metric"
    several = AnswerPair(200, 200, 0.1, 0.1, answers=((1.0, 2.0), (1.0,)), number=0)
    assert labelled.metrics(project, [capture(0)], {0: (1.0, 2.0)}, [several]) == (), "not of one length"


def test_a_replay_reports_it_where_labels_are_known(world: World) -> None:
    world.project = replace(world.project, gates={"quality": MAE})
    world.version(1, answer=1)
    world.version(2, answer=2)
    world.deploy(1)
    fill(world.runtime.directory / "capture", 120, start=(start := time.time() // 1 - 200))
    with LabelStore.open(world.project.state, "staging") as store:
        store.collect()
        store.add([NewLabel(number % 3, f"r-{start + number}") for number in range(50)], "crm")
    found = carry_out(world.runtime, 2, ReplayLimits(max_differing=1.0, max_slowdown=100.0), who="anna")
    (metric,) = found.labelled
    assert (found.verdict, metric.rows) == (Verdict.PASS, 50), found.checks
    assert metric.champion == pytest.approx(33 / 50) and metric.candidate == pytest.approx(50 / 50, abs=0.03)
    assert "| mae (quality) |" in report.to_markdown(found) and json.loads(report.to_json(found))["labelled"]
    assert any("labelled rows" in line for line in world.said)


def test_an_id_that_came_again_has_no_label_of_another_request(world: World) -> None:
    fill(world.runtime.directory / "capture", 1, start=1_700_000_000.0)
    with LabelStore.open(world.project.state, "staging") as store:
        store.collect()
        store.add([NewLabel(1, "r-1700000000.0")], "crm")
    same = [capture(0, request_id="r-1700000000.0", at=at) for at in (1_700_000_000.0, 1_700_000_009.0)]
    assert labelled.labels_of(world.project, "staging", same) == {0: (1,)}
    assert labelled.labels_of(world.project, "production", same) == {}
