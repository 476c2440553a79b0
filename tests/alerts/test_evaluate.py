"""Measurements become states and events, each exactly once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from podium.core.alerts.asked import acknowledge, silence, unsilence
from podium.core.alerts.evaluate import SEEN, evaluate
from podium.core.alerts.sinks import Notice
from podium.core.alerts.standing import statuses
from podium.core.alerts.telling import change_of
from podium.core.domain.monitoring import AlertState
from podium.core.errors import NotFound, Refused, UsageError
from podium.core.journal import Journal

from .scene import NOW, RULE, measured, project

TWO = RULE + "  slow: {monitor: latency, above: 1s, for: 2, cooldown: 0, labels: {team: web}}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture
def journal(home: Path) -> Iterator[Journal]:
    project(home)
    with Journal.open(home / ".podium" / "journal.db") as journal:
        yield journal


def told(journal: Journal) -> list[tuple[str, str]]:
    return [(each.name, each.state) for each in reversed(journal.alerts.recent())]


def test_each_alert_follows_its_monitor(home: Path, journal: Journal) -> None:
    config = project(home, TWO)
    assert evaluate(config, journal, NOW) == []
    for each in (measured(0.5, 1), measured(2.0, 2, monitor="latency"), measured(2.0, 3, monitor="latency")):
        journal.measurements.add(each)
    evaluate(config, journal, NOW + 4)
    assert told(journal) == [("errors-high", "firing"), ("slow", "pending"), ("slow", "firing")]
    first, second = statuses(config, journal, NOW + 5)
    assert (first.name, first.state, first.value, first.since) == ("errors-high", AlertState.FIRING, 0.5, NOW + 1)
    fired = {each.name: each for each in journal.alerts.recent() if each.state == "firing"}
    assert (first.episode, second.episode) == (fired["errors-high"].id, fired["slow"].id)
    assert second.labels == {"team": "web"} == fired["slow"].labels
    journal.measurements.add(measured(0.0, 60))
    (resolved,) = evaluate(config, journal, NOW + 61)
    assert (resolved.state, resolved.episode, resolved.started) == ("resolved", fired["errors-high"].id, NOW + 1)
    assert journal.alert_states.all()["errors-high"].status.episode == 0


def test_what_was_measured_long_ago_says_nothing_while_no_agent_judges(home: Path, journal: Journal) -> None:
    config = project(home, TWO)
    for each in (measured(0.5, 1), measured(0.0, 2, monitor="latency")):
        journal.measurements.add(each)
    evaluate(config, journal, NOW + 3)
    before = journal.data_version()
    every = config.monitors["latency"].every
    soon, late = (statuses(config, journal, NOW + 3 * every + more) for more in (60.0, 70.0))
    assert {each.name: each.state.value for each in soon} == {"errors-high": "firing", "slow": "inactive"}
    assert {each.name: each.state.value for each in late} == {"errors-high": "firing", "slow": "no data"}
    assert all(each.absent for each in late), "and what fires says that it has no data"
    slow = next(each for each in late if each.name == "slow")
    assert slow.since == NOW + 2 + 3 * every + 60, "since when, not since it was asked"
    assert journal.data_version() == before, "reading writes nothing"


def test_nothing_new_writes_nothing(home: Path, journal: Journal) -> None:
    config = project(home)
    journal.measurements.add(measured(0.5, 1))
    evaluate(config, journal, NOW)
    before = journal.data_version()
    assert evaluate(config, journal, NOW + 100) == []
    assert journal.data_version() == before


def test_an_alert_that_is_new_is_judged_by_what_was_measured_last(home: Path, journal: Journal) -> None:
    for at in range(5):
        journal.measurements.add(measured(0.5, at))
    config = project(home, "  errors-high: {monitor: errors, above: 0.1, for: 2}\n")
    evaluate(config, journal, NOW)
    assert told(journal) == [("errors-high", "pending")], "and not by all that ever was"
    journal.measurements.add(measured(0.5, 6))
    evaluate(config, journal, NOW)
    assert told(journal)[-1] == ("errors-high", "firing")


def test_an_alert_that_podium_yaml_has_no_more_is_over(home: Path, journal: Journal) -> None:
    journal.measurements.add(measured(0.5))
    evaluate(project(home), journal, NOW)
    (over,) = evaluate(project(home, ""), journal, NOW + 1)
    assert (over.state, over.message) == ("resolved", "podium.yaml has no such alert any more")
    assert not journal.alert_states.all() and evaluate(project(home, ""), journal, NOW + 2) == []


def test_an_alert_of_another_monitor_begins_anew(home: Path, journal: Journal) -> None:
    journal.measurements.add(measured(0.5))
    evaluate(project(home), journal, NOW)
    config = project(home, "  errors-high: {monitor: latency, above: 0.1}\n")
    evaluate(config, journal, NOW + 1)
    assert told(journal) == [("errors-high", "firing"), ("errors-high", "resolved")]
    assert journal.alert_states.all()["errors-high"].status.environment == "staging"


def test_a_rule_that_changed_judges_the_next_measurement(home: Path, journal: Journal) -> None:
    journal.measurements.add(measured(0.5))
    evaluate(project(home), journal, NOW)
    config = project(home, RULE.replace("0.1", "0.9, severity: critical"))
    assert evaluate(config, journal, NOW + 1) == []
    assert statuses(config, journal, NOW)[0].severity == "warning", "an episode ends as what it began"
    journal.measurements.add(measured(0.5, 2))
    (over,) = evaluate(config, journal, NOW + 2)
    assert (over.state, over.severity) == ("resolved", "warning")
    evaluate(config, journal, NOW + 3)
    assert statuses(config, journal, NOW)[0].severity == "critical"


def test_a_monitor_that_measures_no_more_is_no_data(home: Path, journal: Journal) -> None:
    config = project(home, TWO)
    journal.measurements.add(measured(0.5, 0))
    journal.measurements.add(measured(0.0, 0, monitor="latency"))
    evaluate(config, journal, NOW)
    assert evaluate(config, journal, NOW + 200) == [], "a monitor of every minute may be late"
    (gone,) = evaluate(config, journal, NOW + 300)
    assert (gone.name, gone.state, gone.message) == ("slow", "no data", "its monitor has not measured for a while")
    found = {each.name: each for each in statuses(config, journal, NOW)}
    assert found["errors-high"].firing and found["errors-high"].absent and found["errors-high"].value == 0.5
    before = journal.data_version()
    assert evaluate(config, journal, NOW + 9000) == [] and journal.data_version() == before, "that is said once"
    journal.measurements.add(measured(0.0, 9001))
    assert [each.state for each in evaluate(config, journal, NOW + 9001)] == ["resolved"]


def test_many_measurements_are_judged_in_parts(home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.core.alerts.evaluate.MAX_MEASUREMENTS", 3)
    config = project(home)
    evaluate(config, journal, NOW)
    for at in range(7):
        journal.measurements.add(measured(at % 2, at))
    while evaluate(config, journal, NOW):
        pass
    assert len(told(journal)) == 7
    assert journal.values.get(SEEN) == "7"


def test_a_crash_in_the_middle_leaves_nothing_half_done(
    home: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project(home)
    evaluate(config, journal, NOW)
    journal.measurements.add(measured(0.5))
    with monkeypatch.context() as broken:
        broken.setattr(journal.values, "set", lambda *_: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            evaluate(config, journal, NOW)
    assert told(journal) == []
    assert [each.state for each in evaluate(config, journal, NOW)] == ["firing"]


def test_acknowledged_until_it_is_over(home: Path, journal: Journal) -> None:
    config = project(home)
    with pytest.raises(Refused, match="does not fire"):
        acknowledge(config, journal, "errors-high", who="anna", why="mine")
    journal.measurements.add(measured(0.5))
    evaluate(config, journal, NOW)
    with pytest.raises(NotFound):
        acknowledge(config, journal, "nope", who="anna", why="mine")
    with pytest.raises(UsageError):
        acknowledge(config, journal, "errors-high", who="anna", why=" ")
    assert acknowledge(config, journal, "errors-high", who="anna", why="mine").acknowledged == "by anna: mine"
    journal.measurements.add(measured(0.6, 1))
    evaluate(config, journal, NOW)
    assert statuses(config, journal, NOW)[0].acknowledged == "by anna: mine"
    journal.measurements.add(measured(0.0, 2))
    evaluate(config, journal, NOW)
    assert statuses(config, journal, NOW)[0].acknowledged == ""
    assert [(each.action, each.who) for each in journal.audit.page(1)] == [("acknowledge alert", "anna")]


def test_silenced_alone_and_with_its_environment(home: Path, journal: Journal) -> None:
    config = project(home, TWO)
    silence(config, journal, "slow", environment=False, seconds=60.0, who="anna", why="load test")
    made = silence(config, journal, "production", environment=True, seconds=120.0, who="ben", why="moving")
    found = {each.name: each.silenced for each in statuses(config, journal, made.at + 1)}
    assert found["slow"].startswith("by anna until ") and found["errors-high"].endswith(": moving")
    later = {each.name: each.silenced for each in statuses(config, journal, made.at + 90)}
    assert later["slow"] == "" and later["errors-high"]
    unsilence(journal, "production", environment=True, who="carl", why="moved")
    assert not any(each.silenced for each in statuses(config, journal, made.at + 90))
    with pytest.raises(NotFound):
        unsilence(journal, "production", environment=True, who="carl", why="")
    for seconds in (0.0, -5.0, 91 * 86_400.0):
        with pytest.raises(UsageError):
            silence(config, journal, "slow", environment=False, seconds=seconds, who="anna", why="x")
    actions = [(each.action, each.subject, each.who) for each in reversed(journal.audit.page(3))]
    assert actions == [
        ("silence alert", "slow", "anna"),
        ("silence alert", "environment:production", "ben"),
        ("end silence", "environment:production", "carl"),
    ]


def test_a_silence_is_as_long_as_was_said_where_the_clock_was_put_back(home: Path, journal: Journal) -> None:
    """It was noted by a clock that was ahead: it holds now, ends when its time is over, and is moved once."""
    config = project(home, TWO)
    made = silence(config, journal, "slow", environment=False, seconds=600.0, who="anna", why="load test")
    now = made.at - 86_400.0
    assert journal.silences.correct(made.at) == 0
    assert journal.silences.active(now), "before the agent has looked, too"
    assert journal.silences.correct(now) == 1 and journal.silences.correct(now) == 0
    assert [each.until - now for each in journal.silences.active(now)] == [pytest.approx(600.0)]
    assert not journal.silences.active(now + 601.0)


def test_what_was_kept_before_values_were_told_in_their_unit(tmp_path: Path) -> None:
    """An alert that fires while Podium is replaced by this version, and a message that waits."""
    config = project(tmp_path / "shop")
    with Journal.open(config.state / "journal.db") as journal:
        evaluate(config, journal, NOW)
        journal.measurements.add(measured(0.25, 1))
        (event,) = evaluate(config, journal, NOW + 1)
        standing = asdict(journal.alert_states.all()["errors-high"])
        for name in ("shown", "limit"):
            del standing["status"][name]
        del standing["values"]["shown"]
        with journal.transaction():
            journal._database.run("UPDATE alert_states SET body = ?", (json.dumps(standing),))
            journal._database.run("UPDATE alerts SET body = '{}'")
        kept = journal.alert_states.all()["errors-high"]
        assert (kept.status.shown, kept.values["shown"], journal.alerts.get(event.id).shown) == ("0.25", "0.25", "0.25")
        assert evaluate(config, journal, NOW + 2) == []
        journal.measurements.add(measured(0.3, 3))
        evaluate(config, journal, NOW + 3)
        assert journal.alert_states.all()["errors-high"].status.shown == "30.0 %"
    change = {name: each for name, each in change_of(event).items() if name not in ("shown", "limit")}
    assert "errors-high firing, 0.25 (above 10 %), warning" in Notice(tmp_path, "k", {"changes": [change]}).text
