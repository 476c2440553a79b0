"""podium plan and podium apply: what they print, ask, refuse, and their exit codes."""

from __future__ import annotations

import json
import time

from podium.core.domain.delivery import DeploymentState, How, Stopped
from podium.core.domain.models import CHAMPION, Version
from podium.core.journal import Journal
from podium.core.registry.snapshot import ABSENT

from tests.cli.conftest import Call


def champion(journal: Journal) -> None:
    journal.versions.replace("small", [Version("small", 3, time.time(), aliases=(CHAMPION,))], ABSENT)


def test_a_project_in_which_nothing_serves_yet_is_as_declared(call: Call) -> None:
    done = call("plan", "--check")
    assert done.code == 0 and "nothing serves, and small has no champion" in done.out
    assert "there is nothing to apply" in done.err and "empty" in done.out
    assert call("apply", "--yes").code == 0


def test_each_change_is_shown_and_what_is_refused_keeps_no_other_from_being_asked(call: Call, journal: Journal) -> None:
    champion(journal)
    done = call("plan", "-o", "json")
    found = {each["name"]: each for each in json.loads(done.out)}
    assert list(found) == ["production", "staging"] and done.code == 0
    assert found["production"]["plan"]["type_to_confirm"] == "production"
    assert found["staging"]["plan"]["version"] == 3 and found["staging"]["differs"]
    assert call("plan", "--check").code == 1 and call("plan", "staging", "--check").code == 1
    done = call("apply")
    assert done.code == 4 and journal.runs.count() == 0
    assert "podium deploy 3 -e production" in done.err and "podium deploy 3 -e staging" in done.err
    done = call("apply", "--yes", "--confirm", "staging", "production")
    assert done.code == 4 and "production" in done.err and journal.runs.count() == 0


def test_a_name_that_is_not_declared_is_not_found(call: Call) -> None:
    for verb in ("plan", "apply"):
        done = call(verb, "prodution")
        assert (
            done.code == 3 and "podium.yaml declares no 'prodution'" in done.err and "production, staging" in done.err
        )


def test_what_a_person_stopped_stays_so(call: Call, journal: Journal) -> None:
    champion(journal)
    row = journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="small", to_version=3, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    journal.stops.put(Stopped("staging", row.id, "anna from desk", time.time(), "a new disk", 7))
    done = call("apply", "staging", "--yes")
    assert done.code == 0 and "stopped by anna" in done.err and journal.runs.count() == 0
    assert call("plan", "staging", "--check").code == 0


def test_the_board_answers_three_questions_and_never_takes_silence_for_good(call: Call, journal: Journal) -> None:
    done = call("board")
    assert done.code == 0 and "nothing serves, and small has no champion" in done.out
    champion(journal)
    row = journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="small", to_version=3, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    found = {each["name"]: each for each in json.loads(call("board", "-o", "json").out)}
    assert found["staging"]["real"]["state"] == "bad", "it should serve, and nothing runs"
    assert found["staging"]["model"] == {"state": "unknown", "words": "v3: no alert of podium.yaml watches it"}
    assert (found["production"]["state"], found["production"]["real"]["state"]) == ("bad", "none")
    journal.stops.put(Stopped("staging", row.id, "anna from desk", time.time(), "a new disk", 7))
    found = {each["name"]: each for each in json.loads(call("board", "-o", "json").out)}
    assert found["staging"]["state"] == "none" and "stopped by anna" in found["staging"]["declared"]["words"]
