"""What a version met on its way: read from the rows of gates, deployments and quarantine, the last word first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.delivery import How
from podium.core.domain.models import Version
from podium.core.domain.verdicts import GateReport, Source, Verdict, taken_back
from podium.core.journal import Journal

TAKEN_OVER = {"weights": {"production-v1-1": 100}, "new": ["production-v2-1"], "proxy": True}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def deployment(
    journal: Journal, how: How, version: int, left: int | None, state: str = "succeeded", message: str = "", **more: Any
) -> None:
    data = more.pop("data", {})
    row = journal.ledger.begin(environment=more.pop("environment", "production"), how=how, model="m",
                               to_version=version, from_version=left, who="anna", **more)  # fmt: skip
    journal.ledger.phase(row.id, "shifted", data)
    journal.ledger.finish(row.id, state, message)  # type: ignore[arg-type]


def gate(journal: Journal, version: int, verdict: Verdict, *, name: str = "release", champion: int | None = 1) -> None:
    journal.gates.add(GateReport(name, "m", version, champion, verdict, (), 10.0 + version))


def test_a_version_has_all_that_it_met_and_its_last_word_first(journal: Journal) -> None:
    gate(journal, 3, Verdict.FAIL)
    gate(journal, 3, Verdict.PASS)
    gate(journal, 3, Verdict.FAIL, name="replay:staging")
    failed = "the canary ends in fail at 25 %: error_rate 0.4, 30 requests"
    deployment(journal, How.PROMOTE, 3, 2, "failed", failed, strategy="canary", data=TAKEN_OVER)
    met = journal.verdicts.of("m", 3)
    assert [(each.source, each.verdict) for each in met] == [
        (Source.CANARY, Verdict.FAIL), (Source.GATE, Verdict.PASS), (Source.REPLAY, Verdict.FAIL),
    ], "of each gate the last report counts"  # fmt: skip
    assert met[0].word == "canary fail" and met[0].sentence == f"canary in production: {failed}"
    assert (met[1].champion, met[2].environment) == (1, "staging")
    journal.quarantine.add("m", 3, "c" * 40, "anna", "errors")
    assert [each.word for each in journal.verdicts.of("m", 3)][:2] == ["quarantined", "canary fail"]
    assert journal.verdicts.of("other", 3) == ()


def test_a_rollback_speaks_against_the_version_that_it_left(journal: Journal) -> None:
    deployment(journal, How.PROMOTE, 1, None)
    deployment(journal, How.PROMOTE, 2, 1)
    deployment(journal, How.ROLLBACK, 1, 2, why="errors since noon")
    met = journal.verdicts.between("m")
    assert met[2][0].sentence == "rolled back from production by anna: errors since noon"
    assert [each.source for each in met[2]] == [Source.ROLLBACK, Source.ROLLOUT]
    assert {each.source for each in met[1]} == {Source.ROLLOUT} and not met[1][0].bad
    assert taken_back(met[2]) is met[2][0] and taken_back(met[1]) is None
    deployment(journal, How.DEPLOY, 2, None, environment="staging")
    assert taken_back(journal.verdicts.of("m", 2)) is not None, "elsewhere says nothing of where it was taken back"
    deployment(journal, How.PROMOTE, 2, 1)
    assert taken_back(journal.verdicts.of("m", 2)) is None


@pytest.mark.parametrize(
    ("state", "message", "data", "source", "verdict"),
    [
        ("succeeded", "", TAKEN_OVER, Source.CANARY, Verdict.PASS),
        ("succeeded", "", {"weights": {}, "new": ["a"], "proxy": False}, Source.ROLLOUT, Verdict.PASS),
        ("failed", "aborted by ops at 25 %: complaints", TAKEN_OVER, Source.CANARY, Verdict.FAIL),
        ("failed", "the canary ends in error at 5 %: nothing was measured", TAKEN_OVER, Source.CANARY, Verdict.ERROR),
        ("failed", "production-v3-1 is not healthy after 60 s", TAKEN_OVER, Source.ROLLOUT, Verdict.ERROR),
    ],
)
def test_how_a_canary_ended(
    journal: Journal, state: str, message: str, data: dict[str, Any], source: Source, verdict: Verdict
) -> None:
    deployment(journal, How.PROMOTE, 3, 2, state, message, strategy="canary", data=data)
    (met,) = journal.verdicts.of("m", 3)
    assert (met.source, met.verdict, met.words) == (source, verdict, message)


def test_a_version_of_a_quarantined_commit_is_quarantined_too(journal: Journal) -> None:
    for number in (3, 4):
        journal.versions.update(Version("m", number, 0.0, commit="c" * 40))
    journal.quarantine.add("m", 3, "c" * 40, "anna", "errors")
    (met,) = journal.verdicts.of("m", 4)
    assert (met.word, met.words) == ("quarantined", "version 3 of the same commit: errors")
    assert len(journal.verdicts.of("m", 3)) == 1


def test_a_thousand_versions_are_one_query(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 40):
        gate(journal, number, Verdict.PASS)
        deployment(journal, How.PROMOTE, number, number - 1)
    asked: list[str] = []
    journal._database.connection.set_trace_callback(asked.append)
    assert len(journal.verdicts.between("m")) == 39
    assert len(asked) == 1
