"""pause, resume -e, promote --full and abort: exit codes, what they print, what they write down."""

from __future__ import annotations

import json
import time

import pytest
from podium.core.domain.delivery import Deployment, How
from podium.core.journal import Journal

from ..conftest import Call


@pytest.fixture
def canary(journal: Journal) -> Deployment:
    row = journal.ledger.begin(
        environment="production",
        how=How.PROMOTE,
        model="small",
        to_version=4,
        from_version=3,
        who="ops",
        strategy="canary",
    )
    now = time.time()
    check = {"name": "error_rate", "verdict": "pass", "message": "error_rate 0, 40 requests", "value": 0.0, "rows": 40}
    known = {
        "stage": 1,
        "weights": [5, 25, 50],
        "share": 25,
        "state": "running",
        "since": now - 20,
        "until": now + 40,
        "results": [check],
        "verdict": "pass",
    }
    journal.ledger.phase(row.id, "warmed", {"canary": known})
    return row


def orders(journal: Journal, row: Deployment) -> list[tuple[str, str]]:
    return [(str(asked.request), asked.why) for asked in journal.canary_requests.after(row.id)]


@pytest.mark.parametrize(
    "words",
    [
        ("pause",),
        ("abort", "-e", "production"),
        ("resume", "-e", "production"),
        ("promote", "--full", "--confirm", "production"),
    ],
)
def test_refused_without_a_canary(call: Call, journal: Journal, words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.code == 4
    assert "no canary is running in production" in done.err
    assert done.out == ""


def test_pause_is_written_down_and_said(call: Call, journal: Journal, canary: Deployment) -> None:
    done = call("pause", "-e", "production", "--why", "lunch")
    assert done.code == 0, done.err
    assert done.out == ""
    assert "canary v4 at 25 % (stage 2 of 3), judged in" in done.err
    assert orders(journal, canary) == [("pause", "lunch")]


def test_json(call: Call, journal: Journal, canary: Deployment) -> None:
    found = json.loads(call("abort", "-e", "production", "-o", "json").out)
    assert (found["version"], found["from"], found["share"], found["state"]) == (4, 3, 25, "running")
    assert found["checks"][0]["name"] == "error_rate"
    assert orders(journal, canary) == [("abort", "")]


def test_all_traffic_to_a_protected_environment_wants_its_name(
    call: Call, journal: Journal, canary: Deployment
) -> None:
    assert call("promote", "--full", "-e", "production", "--yes").code == 4
    assert not orders(journal, canary)
    assert call("promote", "--full", "-e", "production", "--confirm", "production").code == 0
    assert orders(journal, canary) == [("full", "")]


def test_words_that_do_not_fit_together(call: Call, journal: Journal) -> None:
    assert call("promote", "4", "--full").code == 2
    assert call("resume").code == 2
    assert call("resume", "3", "-e", "production").code == 2
    assert call("pause", "-e", "nowhere").code == 3
