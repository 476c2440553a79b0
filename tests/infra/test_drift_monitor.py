"""Drift as a monitor: measured by the tool, judged by alerts like any other value.

No built-in resource of Terraform drifts: the plan's JSON of a look is a recorded document in Terraform's published format
(1.2), which a program in front of the real one prints; everything else is the real one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from podium.core.alerts.evaluate import evaluate as judge
from podium.core.config.loading import from_text
from podium.core.domain.monitoring import AlertState, Measurement
from podium.core.errors import ConfigError
from podium.core.infra.status import status_of
from podium.core.monitoring import declared
from podium.core.monitoring.evaluate import evaluate, evaluate_due, is_light
from podium.core.monitoring.status import what

from tests.infra.conftest import InfraLab

WATCHED = """
monitors:
  declared: {infra: serving, every: 1h}
alerts:
  drifted: {monitor: declared, above: 0, severity: critical}
"""
DRIFTED = {
    "format_version": "1.2",
    "terraform_version": "1.11.4",
    "resource_drift": [
        {
            "address": "aws_instance.web",
            "mode": "managed",
            "type": "aws_instance",
            "change": {"actions": ["update"], "before": {"ami": "a"}, "after": {"ami": "b"}, "before_sensitive": {}, "after_sensitive": {}},
        },
        {
            "address": "aws_instance.noise",
            "mode": "managed",
            "type": "aws_instance",
            "change": {"actions": ["update"], "before": {"tags": None}, "after": {"tags": {}}},
        },
    ],
}  # fmt: skip


@pytest.fixture
def watched(lab: InfraLab) -> Iterator[InfraLab]:
    lab.write(
        "program",
        f'#!/bin/sh\nif [ "$1" = show ] && [ -e "{lab.home}/drifted.json" ]; then cat "{lab.home}/drifted.json"\n'
        f'else exec {lab.program} "$@"; fi\n',
    ).chmod(0o755)
    lab.program = "./program"
    lab.one("auto: [create]", rest=WATCHED)
    yield lab


def measured(lab: InfraLab) -> Measurement:
    return evaluate(lab.project, lab.journal, list(lab.project.monitors.values()))[0]


def test_what_has_drifted_makes_its_alert_fire_and_what_is_put_right_ends_it(watched: InfraLab) -> None:
    watched.write("drifted.json", json.dumps(DRIFTED))
    found = measured(watched)
    assert (found.value, found.environment, [each.column for each in found.columns]) == (
        1.0,
        "serving",
        ["aws_instance.web"],
    )
    assert found.columns[0].message == "ami: a -> b"
    assert found.warnings == ("1 resource in ways that change nothing",)
    assert status_of(watched.project, watched.journal, "serving").state() == "drifted"
    judge(watched.project, watched.journal, time.time())
    assert watched.journal.alert_states.get("drifted").status.state is AlertState.FIRING
    (watched.home / "drifted.json").unlink()
    assert measured(watched).value == 0.0
    judge(watched.project, watched.journal, time.time() + 1)
    assert watched.journal.alert_states.get("drifted").status.state is AlertState.INACTIVE


def test_a_look_that_fails_is_no_data_and_says_why(watched: InfraLab) -> None:
    watched.write("tf/main.tf", "nonsense")
    found = measured(watched)
    assert found.value is None and "init failed" in found.message


def test_the_agent_looks_when_its_time_has_come(watched: InfraLab) -> None:
    monitor = watched.project.monitors["declared"]
    assert not is_light(monitor) and what(monitor) == "drift of serving"
    told: list[str] = []
    evaluate_due(watched.project, watched.journal, told.append, light=False)
    assert watched.journal.measurements.latest("declared") is None, "it does not hold up monitors of rows"
    evaluate_due(watched.project, watched.journal, told.append, light=False, infra=True)
    first = watched.journal.measurements.latest("declared")
    assert first is not None and first.value == 0.0
    evaluate_due(watched.project, watched.journal, told.append, light=False, infra=True)
    assert watched.journal.measurements.latest("declared") == first


def test_a_monitor_of_what_is_not_there_is_refused(watched: InfraLab) -> None:
    text = (watched.home / "podium.yaml").read_text().replace("{infra: serving", "{infra: other")
    with pytest.raises(ConfigError) as caught:
        from_text(text, "podium.yaml", watched.home, watched.home, {})
    assert any("unknown infrastructure `other`" in str(each) for each in caught.value.problems)
    assert declared.LONGEST > 0
