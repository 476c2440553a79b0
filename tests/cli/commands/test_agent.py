"""`watch --status` and `schedules`: what the agent cannot do, and when it starts what by itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, Trigger
from podium.core.journal import Journal

from ..conftest import Call

SCHEDULED = """\
project: small
pipelines:
  nightly:
    on: {schedule: "0 3 * * *"}
    steps: {a: {run: "true"}}
  often:
    on: {schedule: "*/5 * * * *"}
    steps: {a: {run: "true"}}
  other:
    steps: {a: {run: "true"}}
"""


@pytest.fixture
def scheduled(home: Path, journal: Journal) -> Iterator[Journal]:
    (home / "podium.yaml").write_text(SCHEDULED)
    run = journal.runs.create(kind="pipeline", name="nightly", trigger=Trigger.SCHEDULE, who="podium watch")
    journal.runs.set_state(run.id, RunState.FAILED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Vienna")
        time.tzset()
        yield journal
    time.tzset()


def test_schedules_with_their_next_time_their_last_run_and_what_keeps_them(scheduled: Journal, call: Call) -> None:
    first, second = json.loads(call("schedules", "-o", "json").out)
    assert (first["pipeline"], second["pipeline"]) == ("often", "nightly")
    assert second["next"].endswith("T03:00:00.000Z") and second["run"]["state"] == "failed" and first["run"] is None
    assert "agent is not running" in first["held"][0]
    rows = [line.split("\t") for line in call("schedules", "-o", "plain").out.splitlines()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d 0[45]:00 CES?T", rows[1][2]) and rows[1][3].startswith("in ")
    assert rows[1][4].startswith("run 1 failed")
    table = call("schedules").out
    assert table.splitlines()[0].split("  ")[0] == "PIPELINE" and "agent is not running" in table


def test_schedules_where_there_are_none_and_where_podium_yaml_is_broken(home: Path, call: Call) -> None:
    done = call("schedules")
    assert done.code == 0 and done.out == "" and "no pipeline has a schedule" in done.err
    (home / "podium.yaml").write_text(SCHEDULED)
    call("schedules")
    (home / "podium.yaml").write_text("project: [")
    found = json.loads(call("schedules", "-o", "json").out)
    assert found and all("podium.yaml cannot be used" in " ".join(each["held"]) for each in found)


def test_the_agents_troubles_are_in_its_status_and_in_status(scheduled: Journal, call: Call) -> None:
    scheduled.agent.note("push to main (nightly)", "commit 0123 cannot run\x1b[2J", lasting=True)
    done = call("watch", "--status")
    assert done.code == 3 and "push to main (nightly): commit 0123 cannot run, since" in done.out
    assert "\x1b" not in done.out
    (trouble,) = json.loads(call("watch", "--status", "-o", "json").out)["troubles"]
    assert trouble["subject"] == "push to main (nightly)" and trouble["since"].endswith("Z")
    assert "commit 0123 cannot run" in call("status").err
    needs = json.loads(call("status", "-o", "json").out)["needs"]
    assert [need["reason"] for need in needs] == ["trouble", "failed"]


def test_an_agent_is_stopped_whatever_podium_yaml_says(home: Path, call: Call) -> None:
    assert call("watch", "--daemon").code == 0
    (home / "podium.yaml").write_text("project: small\ngit: {host: {kind: github, repo: a/b, token: '${NOT_SET}'}}\n")
    done = call("watch", "--stop")
    assert done.code == 0 and "the agent was stopped" in done.err
    assert "not running" in call("watch", "--stop").err
