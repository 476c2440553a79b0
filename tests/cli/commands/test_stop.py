"""podium stop and podium start: what they show, ask and refuse, and what status says of a stopped environment."""

from __future__ import annotations

import json
import time
from pathlib import Path

from podium.core.domain.delivery import DeploymentState, How, Stopped
from podium.core.journal import Journal

from tests.cli.conftest import Call


def serve(journal: Journal, environment: str) -> int:
    row = journal.ledger.begin(
        environment=environment, how=How.DEPLOY, model="small", to_version=3, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    return row.id


def stopped(journal: Journal, environment: str) -> None:
    deployment = serve(journal, environment)
    journal.stops.put(Stopped(environment, deployment, "anna from desk", time.time(), "a new disk", 7))


def test_the_plan_is_json_like_that_of_any_change(call: Call, journal: Journal) -> None:
    serve(journal, "production")
    done = call("stop", "-e", "production", "--dry-run", "-o", "json")
    assert done.code == 0
    plan = json.loads(done.out)
    assert (plan["how"], plan["environment"], plan["version"]) == ("stop", "production", None)
    assert plan["type_to_confirm"] == "production" and plan["refusal"] == "" and plan["steps"]
    assert plan["command"] == "podium stop -e production"


def test_an_environment_has_to_be_named(call: Call) -> None:
    for verb in ("stop", "start"):
        done = call(verb)
        assert done.code == 2 and "which environment?" in done.err and "staging" in done.err


def test_an_empty_name_is_not_the_default_environment(call: Call, journal: Journal) -> None:
    """`-e "$ENV"` in a script that forgot to set it."""
    serve(journal, "production")
    for words in ("rollback", "promote 3", "deploy 3", "stop", "start", "repair", "pause", "abort", "replay"):
        done = call(*words.split(), "-e", "", "--confirm", "production", *(() if words == "replay" else ("--yes",)))
        assert done.code in (2, 3), words
        assert done.code == 2 or "there is no environment ''" in done.err, words
    assert journal.runs.count() == 0


def test_where_there_are_no_environments_that_is_said_and_one_is_shown(call: Call, home: Path) -> None:
    (home / "podium.yaml").write_text("project: small\n")
    for words in ("rollback", "promote", "deploy 3", "stop", "start", "repair", "pause", "abort", "promote --full"):
        done = call(*words.split())
        assert (done.code, done.out) == (2, ""), words
        assert done.err == (
            "podium: podium.yaml has no environments\n  `environments: {production: {port: 5100}}` is one\n"
        ), words


def test_a_protected_one_is_not_stopped_without_its_name(call: Call, journal: Journal) -> None:
    serve(journal, "production")
    for flags in ((), ("--yes",), ("--confirm", "staging")):
        assert call("stop", "-e", "production", *flags).code == 4
    assert journal.runs.count() == 0


def test_where_there_is_nothing_to_do_that_is_said_and_is_no_failure(call: Call, journal: Journal) -> None:
    done = call("stop", "-e", "staging")
    assert done.code == 0 and "nothing runs for staging" in done.err
    shown = call("stop", "-e", "staging", "--dry-run")
    assert shown.code == 0 and "  nothing to do: nothing runs for staging\n" in shown.out
    plan = json.loads(call("stop", "-e", "staging", "--dry-run", "-o", "json").out)
    assert plan["nothing_to_do"] == "nothing runs for staging" and plan["refusal"] == ""
    assert call("start", "-e", "staging").code == 3, "nothing was deployed yet"
    stopped(journal, "staging")
    done = call("stop", "-e", "staging")
    assert done.code == 0 and "staging was stopped by anna" in done.err and journal.runs.count() == 0


def test_status_says_by_whom_and_since_when_and_what_brings_it_back(call: Call, journal: Journal) -> None:
    stopped(journal, "staging")
    done = call("status", "-e", "staging")
    assert "stopped by anna" in done.out and "(a new disk)" in done.out and "podium start -e staging" in done.out
    [shown] = json.loads(call("status", "-e", "staging", "-o", "json").out)["environments"]
    assert (shown["health"], shown["health_words"], shown["differences"]) == ("stopped", "stopped by anna", [])
    assert shown["stopped"].keys() == {"who", "at", "why", "run"}
    assert (shown["stopped"]["who"], shown["stopped"]["why"], shown["stopped"]["run"]) == (
        "anna from desk",
        "a new disk",
        7,
    )
