"""The parts of `podium demo --drift`: its calendar, what it counts, where its alarm rings, how it judges what came after.
tests/integration/test_demo_drift.py plays it whole."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.demo import afterwards
from podium.core.demo.days import DaysOfTraffic, SentDay
from podium.core.demo.drift_story import ALARM, WINDOWS, DriftDemo, threshold
from podium.core.demo.months import Months
from podium.core.demo.watch import Watch, beyond_columns
from podium.core.domain.demo import EventKind
from podium.core.domain.monitoring import (
    AlertEvent,
    AlertState,
    AlertStatus,
    ColumnMeasurement,
    Measurement,
    MonitorKind,
    Standing,
)
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.errors import RunFailed
from podium.core.journal import Journal

CHANGE = date(2013, 12, 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = DriftDemo(tmp_path_factory.mktemp("drift") / "flights", Cockpit)._make()
    made.ports.close()
    return made.directory


def test_its_project_is_the_one_of_the_drift_with_a_model_that_sees_the_weather(home: Path) -> None:
    project = load(home)
    assert project.pipelines["retrain"].on.alert.names == (ALARM,)
    assert "FEATURES = SCHEDULE + WEATHER" in (home / "features.py").read_text()
    assert not (home / "podium.drift.yaml").exists()
    assert {each.reference.file for each in project.monitors.values()} <= {"data", ""}, "what the champion knows"


def test_the_alarm_rings_where_the_reference_hardly_ever_is() -> None:
    losses = np.random.default_rng(1).gamma(1.0, 0.5, 10_000)
    half = 1.96 * losses.std() / 100
    check = CheckResult(
        "log_loss ≤ 0.65", Verdict.PASS, "", losses.mean(), rows=10_000, value_low=losses.mean() - half,
        value_high=losses.mean() + half,
    )  # fmt: skip
    limit = threshold(check, 2100)
    windows = np.random.default_rng(2).choice(losses, (20_000, 2100)).mean(axis=1)
    assert 0.5 / WINDOWS < (windows > limit).mean() < 2 / WINDOWS
    assert threshold(check, 500) > limit, "fewer flights differ more by chance"


def day(when: date | None, flights: int = 300, labelled: date | None = None, late: int = 0, **more: Any) -> SentDay:
    return SentDay(when, flights, flights // 6, labels=300 if labelled else 0, late=late, labelled=labelled, **more)


def event(name: str, number: int) -> AlertEvent:
    return AlertEvent(number, name, "production", name.partition("-")[0], "firing", 0.0, value=0.6)


def test_an_alarm_is_counted_from_the_change_on() -> None:
    months = Months(CHANGE)
    assert months.next_day(11) == "1 November"
    months.add(day(date(2013, 11, 30)))
    assert months.since_change() == "after 300 flights"
    months.rang(event("weather-drifted", 1))
    assert months.month_result().outcome == "weather rang"
    assert months.is_new_month(day(CHANGE))
    months.add(day(CHANGE, 240, date(2013, 11, 28), 60, failures={"status 503": 2}))
    assert (months.today, months.next_day(11)) == ("1 December", "2 December")
    assert months.since_change() == "240 flights (40 requests) into December"
    months.rang(event(ALARM, 2))
    (line,) = months.alarm_results(ALARM)
    assert line.outcome == "after 240 flights of December"
    assert line.numbers == {"flights_after_change": 240.0, "requests_after_change": 40.0, "value": 0.6}
    december = months.month_result()
    assert (december.what, december.requests, december.lost) == ("December", 40, 2)
    assert dict(december.reasons) == {"status 503": 2}
    assert months.month_words() == "December: 240 flights, 40 requests, 2 lost", "no label of December is known yet"
    months.add(day(None, 0, CHANGE, 150))
    assert months.month_words().endswith("; 50.0% late") and months.today == "2 December"


def test_an_alarm_that_did_not_come_is_said() -> None:
    months = Months(CHANGE)
    months.add(day(date(2013, 11, 30)))
    assert [each.outcome for each in months.alarm_results(ALARM)] == ["did not ring"]
    months.rang(event(ALARM, 1))
    assert [each.outcome for each in months.alarm_results(ALARM)] == ["on 30 November"], "too early is no success"


def test_a_monitor_that_could_not_be_measured_is_said_with_its_month() -> None:
    def measured(value: float | None) -> list[Measurement]:
        return [Measurement("weather", "e", MonitorKind.DRIFT, 0.0, value, message="" if value else "it took too long")]

    months = Months(CHANGE)
    months.add(day(date(2013, 11, 30)))
    for value in (None, 0.3):
        months.measured(measured(value))
    assert months.without_value("weather") == "no value 1 of 2 times: it took too long"
    assert months.without_value("schedule") == ""
    months.measured(measured(None))
    assert months.without_value("weather") == "", "its last value is missing: the month's own line says so"
    months.add(day(CHANGE))
    months.measured(measured(0.2))
    assert months.without_value("weather") == "", "another month"


def test_monitors_are_asked_when_their_day_has_come(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cockpit = Cockpit(home)
    watch = Watch(cockpit)
    asked: list[list[str]] = []
    monkeypatch.setattr(watch, "evaluate", lambda names: asked.append(sorted(names)) or [])
    for number in range(1, 16):
        watch.ask(number, sent=300 * number, labelled=300 * max(0, number - 3))
    cockpit.close()
    daily = [number for number, names in enumerate(asked, 1) if "quality" in names]
    weekly = [number for number, names in enumerate(asked, 1) if "weather" in names]
    assert daily == list(range(7, 16)), "from a thousand labels on, every day"
    assert weekly == [7, 14], "from a full window on, every week"


def test_what_a_monitor_says_fits_a_line(home: Path) -> None:
    columns = (
        ColumnMeasurement("temp", 0.5, 0.02), ColumnMeasurement("dewp", 4.0, 0.02), ColumnMeasurement("humid", 0.01, 0.02),
        ColumnMeasurement("visib", None), ColumnMeasurement("precip", 0.1, 0.02), ColumnMeasurement("pressure", 0.3, 0.02),
    )  # fmt: skip
    found = Measurement("weather", "production", MonitorKind.DRIFT, 0.0, 4.0, critical=0.02, columns=columns)
    cockpit = Cockpit(home)
    watch = Watch(cockpit)
    assert watch.words(found) == "psi 4 of dewp, rings above 0.0200"
    assert beyond_columns(found) == "dewp, temp, pressure and 1 more"
    quality = Measurement("quality", "production", MonitorKind.QUALITY, 0.0, 0.5123, low=0.5, high=0.53)
    assert watch.words(quality) == "log_loss 0.5123 (0.5000 … 0.5300), rings above 0.6500"
    assert watch.words(Measurement("ranking", "p", MonitorKind.QUALITY, 0.0, None, message="why")) == "no value: why"
    assert (watch.beyond(found), watch.beyond(quality)) == (True, False)
    cockpit.close()


def test_nothing_waits_for_the_judgement_of_what_was_not_measured(home: Path) -> None:
    cockpit = Cockpit(home)
    status = AlertStatus("quality-fell", "production", "quality", AlertState.FIRING, 1.0, episode=1)
    with Journal.open(home / ".podium" / "journal.db") as journal:
        journal.alert_states.put(Standing(status))
    watch = Watch(cockpit)

    def measured(value: float | None) -> Measurement:
        return Measurement("quality", "production", MonitorKind.QUALITY, 5.0, value)

    assert watch.to_be_judged([measured(0.1)]) == {"quality": 5.0}, "it may end the alert"
    assert watch.to_be_judged([measured(None)]) == {}
    cockpit.close()


SCRIPT = """\
import json, sys
assert sys.argv[1:] == ["--url", "http://u", "--day", "0.5", "--from", "11", "--until", "12", "--step"], sys.argv
while sys.stdin.readline():
    print(json.dumps({"day": "2013-11-01", "flights": 9, "requests": 2, "failures": {"timeout": 1},
                      "labelled": "", "labels": 0, "late": 0}), flush=True)
"""


def test_a_day_is_sent_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "autumn.py").write_text(SCRIPT)
    days = DaysOfTraffic(tmp_path, "http://u", 0.5, (11, 12))
    found = days.next_day()
    days.stop()
    assert found == SentDay(date(2013, 11, 1), 9, 2, {"timeout": 1})


@pytest.mark.parametrize(("body", "words"), [("raise SystemExit('no data here')", "no data here"), ("", None)])
def test_traffic_that_ends_says_why(tmp_path: Path, body: str, words: str | None) -> None:
    (tmp_path / "autumn.py").write_text(body)
    days = DaysOfTraffic(tmp_path, "http://u", 0.5, (11, 12))
    if words is None:
        assert days.next_day() is None, "it was the last day"
    else:
        with pytest.raises(RunFailed, match=words):
            days.next_day()
    days.stop()


@pytest.mark.parametrize(
    ("low", "high", "word", "kind"),
    [
        (-0.02, -0.01, "better", EventKind.DONE),
        (0.01, 0.02, "worse", EventKind.BAD),
        (-0.01, 0.02, "unclear", EventKind.BAD),
    ],
)
def test_the_version_before_is_judged_on_the_same_rows(low: float, high: float, word: str, kind: EventKind) -> None:
    metric = {"metric": "log_loss", "champion": 0.5, "candidate": 0.6, "low": low, "high": high, "message": ""}
    judged, result = afterwards._judged(metric, 1, 2)
    assert (judged, result.outcome) == (kind, f"v2 0.5000, v1 0.6000: {word}")
    assert result.numbers == {"v2": 0.5, "v1": 0.6, "low": -high, "high": -low}


def test_the_example_sends_every_third_flight_and_labels_three_days_later(home: Path) -> None:
    import sys

    sys.path.insert(0, str(home))
    try:
        import autumn

        found = list(autumn.days(12, 12))
    finally:
        sys.path.remove(str(home))
        for name in ("autumn", "prepare", "replay"):
            sys.modules.pop(name, None)
    assert [each.date for each in found][::30] == ["2013-12-01", "2013-12-31"]
    assert sum(each.flights for each in found) == 9017
    assert all(len(truth) <= 6 for each in found for truth in each.truths)
    late = sum(sum(map(sum, each.truths)) for each in found) / 9017
    assert 0.32 < late < 0.33, "a third of December's flights"
