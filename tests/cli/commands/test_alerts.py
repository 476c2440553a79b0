"""podium alerts, on measurements that were made before."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from podium.core.alerts.evaluate import evaluate
from podium.core.config import load
from podium.core.domain.monitoring import Measurement, MonitorKind
from podium.core.journal import Journal

from ..conftest import PODIUM, Call

ALERTS = """
monitors:
  errors: {environment: production, signal: error_rate}
  latency: {environment: staging, signal: latency_p95}
alerts:
  errors-high: {monitor: errors, above: 0.1, severity: critical, annotations: {summary: "errors at ${{ alert.value }}"}}
  slow: {monitor: latency, above: 1s}
"""


@pytest.fixture
def firing(home: Path, journal: Journal) -> Journal:
    (home / "podium.yaml").write_text(PODIUM + ALERTS)
    journal.measurements.add(Measurement("errors", "production", MonitorKind.SIGNAL, time.time(), 0.5, rows=10))
    evaluate(load(home), journal, time.time())
    return journal


def test_how_they_stand(firing: Journal, call: Call) -> None:
    done = call("alerts")
    assert done.code == 0 and "nothing is measured" in done.err
    rows = [line.split() for line in done.out.splitlines()[1:]]
    assert rows[0][:2] == ["errors-high", "firing"] and rows[1][:3] == ["slow", "no", "data"]
    found = json.loads(call("alerts", "-o", "json").out)
    assert [(each["name"], each["state"], each["severity"]) for each in found] == [
        ("errors-high", "firing", "critical"),
        ("slow", "no data", "warning"),
    ]
    assert found[0]["annotations"] == {"summary": "errors at 0.5"}


def test_status_has_the_badge_of_each_environment(firing: Journal, call: Call, home: Path) -> None:
    done = call("status")
    head, *rows = done.out.splitlines()
    assert "ALERTS" in head and "1 firing" in next(each for each in rows if each.startswith("production"))
    assert "1 no data" in next(each for each in rows if each.startswith("staging"))
    found = {each["name"]: each["alerts"] for each in json.loads(call("status", "-o", "json").out)["environments"]}
    assert found["production"] == {
        "worst": "firing",
        "counts": {"firing": 1},
        "absent": 0,
        "names": ["errors-high"],
        "words": "1 firing (errors-high)",
    }
    (home / "podium.yaml").write_text(PODIUM)
    assert "ALERTS" not in call("status").out
    assert all(each["alerts"] is None for each in json.loads(call("status", "-o", "json").out)["environments"])


def test_what_fires_needs_a_person_until_somebody_says_so(firing: Journal, call: Call) -> None:
    (need,) = json.loads(call("status", "-o", "json").out)["needs"]
    assert (need["reason"], need["urgency"], need["subject"]) == ("alert", 0, "errors-high")
    assert need["command"] == "podium alerts ack errors-high --why …" and "errors at 0.5" in need["words"]
    assert call("alerts", "ack", "errors-high", "--why", "the feed").code == 0
    (need,) = json.loads(call("status", "-o", "json").out)["needs"]
    assert need["urgency"] == 4 and "acknowledged by" in need["words"]
    assert call("alerts", "silence", "errors-high", "--for", "2h", "--why", "known").code == 0
    assert json.loads(call("status", "-o", "json").out)["needs"] == []


def test_history(firing: Journal, call: Call) -> None:
    found = json.loads(call("alerts", "history", "-o", "json").out)
    assert [(each["name"], each["state"]) for each in found] == [("errors-high", "firing")]
    assert found[0]["episode"] == found[0]["id"]
    assert json.loads(call("alerts", "history", "slow", "-o", "json").out) == []
    assert "slow has not changed" in call("alerts", "history", "slow").err
    unknown = call("alerts", "history", "errors-hihg")
    assert unknown.code == 3 and "there is no alert 'errors-hihg'" in unknown.err


def test_silences(firing: Journal, call: Call) -> None:
    done = call("alerts", "silence", "-e", "production", "--for", "1d", "--why", "moving", "-o", "json")
    made = json.loads(done.out)
    assert (made["subject"], made["why"]) == ("environment:production", "moving")
    assert json.loads(call("alerts", "silences", "-o", "json").out) == [made]
    assert json.loads(call("alerts", "-o", "json").out)[0]["silenced"].endswith(": moving")
    shorter = call("alerts", "silence", "-e", "production", "--for", "1h", "--why", "overlaps")
    assert " already, longer than until " in shorter.err, "the one before holds on"
    assert call("alerts", "unsilence", "-e", "production").code == 0
    assert json.loads(call("alerts", "silences", "-o", "json").out) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ack", "slow", "--why", "x"), 4),
        (("ack", "nope", "--why", "x"), 3),
        (("ack", "errors-high"), 2),
        (("silence", "slow", "--for", "soon", "--why", "x"), 2),
        (("silence", "slow", "--for", "2h", "--why", " "), 2),
        (("silence", "--for", "2h", "--why", "x"), 2),
        (("silence", "slow", "-e", "staging", "--for", "2h", "--why", "x"), 2),
        (("silence", "-e", "nope", "--for", "2h", "--why", "x"), 3),
        (("unsilence", "slow"), 3),
    ],
)
def test_wrong_words(firing: Journal, call: Call, words: tuple[str, ...], code: int) -> None:
    assert call("alerts", *words).code == code


def test_a_project_without_alerts(home: Path, call: Call) -> None:
    done = call("alerts")
    assert (done.code, done.out) == (0, "") and "podium.yaml has no alerts" in done.err
