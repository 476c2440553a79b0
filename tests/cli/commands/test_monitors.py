"""`monitors`: what each measured last, in words and as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from podium.core.domain.monitoring import ColumnMeasurement, Histogram, Measurement, MonitorKind
from podium.core.journal import Journal

from ..conftest import PODIUM, Call

MONITORS = """\
monitors:
  errors: {environment: production, signal: error_rate, window: 5m}
  age: {environment: production, freshness: model}
  quiet: {environment: staging, signal: no_traffic}
alerts:
  too-many: {monitor: errors, above: 5%}
"""


@pytest.fixture
def monitored(home: Path, journal: Journal) -> Journal:
    (home / "podium.yaml").write_text(PODIUM + MONITORS)
    now = time.time()
    journal.measurements.add(
        Measurement("errors", "production", MonitorKind.SIGNAL, now - 150, 0.0312, low=0.02, high=0.05, rows=1200)
    )
    journal.measurements.add(
        Measurement("age", "production", MonitorKind.FRESHNESS, now - 150, None, message="nothing is \x1b[31mdeployed")
    )
    return journal


def test_the_list_has_value_interval_and_threshold(call: Call, monitored: Journal) -> None:
    done = call("monitors")
    lines = done.out.splitlines()
    assert done.code == 0 and lines[0].split()[:3] == ["MONITOR", "ENVIRONMENT", "WHAT"]
    assert "error_rate over 5m" in lines[1] and "3.1 %" in lines[1] and "2.0 % … 5.0 %" in lines[1]
    assert "above 5 %" in lines[1] and "2m ago" in lines[1]
    assert "no data" in lines[2] and "–" in lines[2]
    assert "no agent is running" in done.err and "age: nothing is" in done.err and "\x1b" not in done.err
    found = json.loads(call("monitors", "-o", "json").out)
    assert [each["name"] for each in found] == ["errors", "age", "quiet"]
    assert (found[0]["value"], found[0]["alerts"], found[0]["next"], found[2]["at"]) == (
        0.0312,
        ["too-many"],
        None,
        None,
    )


def test_one_shows_its_columns_the_least_likely_first(call: Call, monitored: Journal) -> None:
    assert "not measured yet" in call("monitors", "quiet").out
    drawn = Histogram((0.5, 0.5), (0.0, 1.0), names=("a", "b"))
    columns = (
        ColumnMeasurement("calm", 0.01, 0.2, 0.9, drawn),
        ColumnMeasurement("gone", None, message="no request has it"),
        ColumnMeasurement("wild\x1b[2J", 0.9, 0.2, 1e-5, drawn),
    )
    monitored.measurements.add(Measurement("quiet", "staging", MonitorKind.DRIFT, time.time(), 0.9, columns=columns))
    done = call("monitors", "quiet")
    rows = done.out.splitlines()[-3:]
    assert [row.split()[0][:4] for row in rows] == ["wild", "calm", "gone"] and "\x1b" not in done.out
    assert "▅▅" in rows[0] and "▁█" in rows[0] and rows[0].endswith("beyond")
    found = json.loads(call("monitors", "quiet", "-o", "json").out)
    assert found["measurement"]["columns"][0]["histogram"]["names"] == ["a", "b"]


def test_one_shows_its_course_beside_the_versions_that_began_to_serve(call: Call, monitored: Journal) -> None:
    now = time.time()
    for ago in (3600.0, 60.0):
        monitored.measurements.add(
            Measurement("errors", "production", MonitorKind.SIGNAL, now - ago, 0.01, low=0.0, high=0.02, version=3)
        )
    lines = call("monitors", "errors").out.splitlines()
    assert sum("1.0 %" in line and "0.0 % … 2.0 %" in line and "v3" in line for line in lines) == 2
    assert "VERSION" in "".join(lines)
    found = json.loads(call("monitors", "errors", "-o", "json").out)
    assert [each["value"] for each in found["course"]] == [0.01, 0.0312, 0.01] and found["deployments"] == []
    assert len(json.loads(call("monitors", "errors", "--since", "30m", "-o", "json").out)["course"]) == 2
    assert call("monitors", "errors", "--since", "soon").code == 2


def test_a_monitor_that_is_not_there_is_named_with_those_that_are(call: Call, monitored: Journal) -> None:
    done = call("monitors", "nope")
    assert done.code == 3 and "errors, age, quiet" in done.err


def test_drift_evaluates_now_and_writes_what_was_asked_for(call: Call, monitored: Journal, home: Path) -> None:
    assert "no monitors of drift or data" in call("drift").err
    assert json.loads(call("drift", "-o", "json").out) == []
    assert call("drift", "-o", "json", "--to", "none.json").code == 0
    assert json.loads((home / "none.json").read_text()) == []
    assert call("drift", "errors", "--to", "errors.txt").code == 2
    last = monitored.measurements.latest("errors")
    assert last is not None and last.rows == 1200, "nothing was evaluated for a report that cannot be"
    with (home / "podium.yaml").open("a") as file:
        file.write("  slow: {monitor: errors, above: 9%}\n")
    found = json.loads(call("drift", "age", "-o", "json").out)
    assert found["value"] is None and found["message"] == "nothing is deployed to production"
    assert monitored.measurements.latest("age").message == found["message"]  # type: ignore[union-attr]
    assert "nothing is deployed" in call("drift", "age").out
    page = call("drift", "age", "-o", "html").out
    assert page.startswith("<!doctype html>") and page.endswith("</html>\n")
    assert call("drift", "age", "-o", "html", "--to", "age.html").code == 0
    assert (home / "age.html").read_text().startswith("<!doctype html>")
    call("drift", "age", "-o", "json", "--to", "age.json")
    assert json.loads((home / "age.json").read_text())["monitor"] == "age"
    assert call("drift", "age", "--to", "nowhere/age.txt").code == 2
    assert call("drift", "-o", "html").code == 2
    assert call("drift", "age", "-o", "json", "--to", "nowhere/x.json").code == 1
    flow = "  flow: {environment: production, drift: psi, reference: {first: 100}}\n"
    text = (home / "podium.yaml").read_text().replace("alerts:", f"{flow}alerts:")
    (home / "podium.yaml").write_text(text)
    call("drift", "-o", "json", "--to", "all.json")
    found = [json.loads(call("drift", "-o", "json").out), json.loads((home / "all.json").read_text())]
    assert [[each["monitor"] for each in one] for one in found] == [["flow"]] * 2, "a list, also of one"
