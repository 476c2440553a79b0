"""`podium audit`: who did what, by every filter that a person would try, and whether somebody has changed it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core.domain.runs import Trigger
from podium.core.domain.text.durations import parse_moment
from podium.core.journal import Journal

from ..conftest import Call


@pytest.fixture
def entries(journal: Journal) -> None:
    """What two people and the agent did with two environments, oldest first."""
    audit = journal.audit
    journal.runs.create(kind="pipeline", name="production", trigger=Trigger.PERSON, who="anna")
    audit.add("anna", "run", "run 1 of production")
    promote = journal.runs.create(
        kind="promote", name="production", trigger=Trigger.PERSON, who="anna", params={"version": "3"}
    )
    audit.add("anna", "promote", f"production (run {promote.id})", "it is better")
    audit.add("anna", "promote", "production version 3", "it is better")
    audit.add("anna", "alias", "churn champion: v2 → v3")
    audit.add("ben from 10.0.0.7", "deploy", "production-eu version 13")
    audit.add("ben from 10.0.0.7", "cancel", f"run {promote.id}", "too late")
    audit.add("ben from 10.0.0.7", "quarantine", "churn 3", "Wrong on holidays")
    audit.add("podium watch", "lock broken", "environment production", "its holder is gone")


def ids(call: Call, *words: str) -> list[int]:
    done = call("audit", "-o", "json", *words)
    assert done.code == 0, done.err
    return [entry["id"] for entry in json.loads(done.out)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), [8, 7, 6, 5, 4, 3, 2, 1]),
        (("-n", "2"), [8, 7]),
        (("-n", "2", "-a"), [8, 7, 6, 5, 4, 3, 2, 1]),
        (("-e", "production"), [8, 6, 3, 2]),
        (("-e", "production-eu"), [5]),
        (("--version", "3"), [7, 6, 4, 3, 2]),
        (("--version", "v2"), [4]),
        (("--version", "1"), []),
        (("--version", "3", "-e", "production", "--who", "anna"), [3, 2]),
        (("--who", "BEN"), [7, 6, 5]),
        (("--action", "promote"), [3, 2]),
        (("--search", "holidays"), [7]),
        (("--since", "1h"), [8, 7, 6, 5, 4, 3, 2, 1]),
        (("--until", "1h"), []),
        (("--since", "2100-01-01"), []),
    ],
)
def test_filters(entries: None, call: Call, words: tuple[str, ...], found: list[int]) -> None:
    assert ids(call, *words) == found


def test_the_table_has_who_what_and_why_and_hostile_text_is_harmless(journal: Journal, call: Call) -> None:
    journal.audit.add("anna", "promote", "production version 3", "because\x1b[2J\nof it")
    done = call("audit")
    assert done.out.splitlines()[0].split() == ["ID", "AT", "WHO", "ACTION", "SUBJECT", "WHY"]
    assert "production version 3" in done.out and "\x1b" not in done.out and len(done.out.splitlines()) == 2
    assert call("audit", "-o", "plain").out.split("\t")[2:4] == ["anna", "promote"]


def test_what_is_nowhere_is_not_found_and_what_podium_yaml_has_no_more_is(entries: None, call: Call) -> None:
    assert call("audit", "-e", "nowhere").code == 3
    assert ids(call, "-e", "staging") == []  # podium.yaml has it, the audit has not
    assert ids(call, "-e", "production-eu") == [5]  # the other way round


@pytest.mark.parametrize(
    "words", [("--since", "5"), ("--since", "yesterday"), ("-n", "0"), ("--head", "1:" + "0" * 64)]
)
def test_wrong_usage(entries: None, call: Call, words: tuple[str, ...]) -> None:
    done = call("audit", *words)
    assert done.code == 2 and done.out == ""


def test_it_reads_while_podium_yaml_is_broken(entries: None, home: Path, call: Call) -> None:
    (home / "podium.yaml").write_text("project: [")
    assert ids(call, "-e", "production") == [8, 6, 3, 2]
    assert call("audit", "--verify").code == 0


def _edit(path: Path, statement: str, *, anew: Callable[[sqlite3.Connection], None] | None = None) -> None:
    raw = sqlite3.connect(path)
    guards = raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall()
    for name, _ in guards:
        raw.execute(f"DROP TRIGGER {name}")
    raw.execute(statement)
    if anew is not None:
        anew(raw)
    for _, sql in guards:
        raw.execute(sql)
    raw.commit()
    raw.close()


def test_an_unbroken_chain_has_a_head(entries: None, journal: Journal, call: Call) -> None:
    number, digest = journal.audit.head()
    done = call("audit", "--verify")
    assert done.code == 0 and done.out == f"head {number}:{digest}\n" and "unbroken: 8 entries" in done.err
    assert json.loads(call("audit", "--verify", "-o", "json").out) == {
        "intact": True,
        "entries": number,
        "head": digest,
        "problems": [],
        "anchored": None,
    }
    journal.audit.add("anna", "run", "run 2 of ok")
    assert call("audit", "--verify", "--head", f"{number}:{digest}").code == 0


def test_a_broken_one_says_where_and_ends_with_1(entries: None, journal: Journal, call: Call) -> None:
    _edit(journal.path, "UPDATE audit SET who = 'nobody' WHERE id = 3")
    done = call("audit", "--verify")
    assert done.code == 1
    assert "audit entry 3 was changed" in done.out and "broken: 1 problem" in done.err
    assert json.loads(call("audit", "--verify", "-o", "json").out)["intact"] is False
    assert call("audit").code == 0  # it can still be read


def test_a_chain_that_was_computed_anew_is_noticed_by_a_head_kept_elsewhere(
    entries: None, journal: Journal, call: Call
) -> None:
    from podium.core.journal.audit import digest_of

    number, digest = journal.audit.head()

    def anew(raw: sqlite3.Connection) -> None:
        before = ""
        for row in raw.execute("SELECT id, at, who, action, subject, why FROM audit ORDER BY id").fetchall():
            before = digest_of(before, *row)
            raw.execute("UPDATE audit SET digest = ? WHERE id = ?", (before, row[0]))
        raw.execute("UPDATE audit_head SET digest = ?", (before,))

    _edit(journal.path, "UPDATE audit SET who = 'nobody' WHERE id = 3", anew=anew)
    assert call("audit", "--verify").code == 0
    done = call("audit", "--verify", "--head", f"{number}:{digest}")
    assert done.code == 1 and "computed anew" in done.out
    assert call("audit", "--verify", "--head", f"99:{digest}").code == 1


def test_moments() -> None:
    now = time.time()
    assert parse_moment("2h", now) == now - 7200
    assert parse_moment("1970-01-01T00:01Z", now) == 60.0
    assert parse_moment("1970-01-02T00:00+00:00", now) == 86400.0
    assert parse_moment("2026-11-23", now) == time.mktime((2026, 11, 23, 0, 0, 0, 0, 0, -1))
    assert [parse_moment(text, now) for text in ("", "5", "yesterday", "2026-13-01", "9999999d")] == [None] * 5
