"""A quarantined version looks quarantined in every list that has versions."""

from __future__ import annotations

import json

import pytest
from podium.core.domain.containers import Image
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.journal import Journal
from podium.core.registry.snapshot import ABSENT

from ..conftest import Call


@pytest.fixture
def two_versions(journal: Journal) -> None:
    journal.versions.replace("small", [Version("small", number, 0.0, metrics={"f1": 0.5}) for number in (1, 2)], ABSENT)
    journal.quarantine.add("small", 2, "", "anna", "wrong on holidays")
    for number in (1, 2):
        row = journal.ledger.begin(
            environment="staging", how=How.DEPLOY, model="small", to_version=number, from_version=None, who="anna"
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        journal.images.put(Image("small", number, "unix:///x", f"sha256:{number}", f"sha256:{number}", 0.0))


@pytest.mark.parametrize("words", [("versions", "--offline"), ("history",), ("images",)])
def test_in_lists(two_versions: None, call: Call, words: tuple[str, ...]) -> None:
    rows = call(*words, "-o", "plain").out.splitlines()
    assert len(rows) == 2 and [("quarantined" in row) for row in rows] == [True, False]


def test_in_a_comparison_and_its_json(two_versions: None, call: Call) -> None:
    rows = [line.split("\t") for line in call("compare", "1", "2", "--offline", "-o", "plain").out.splitlines()]
    assert rows[0] == ["verdict", "last word", "pass", "quarantined"]
    found = json.loads(call("compare", "1", "2", "--offline", "-o", "json").out)
    said = {key: found["rows"][0][key] for key in ("kind", "name", "values", "differs")}
    assert said == {"kind": "verdict", "name": "last word", "values": ["pass", "quarantined"], "differs": True}
    assert [each["verdicts"][0]["source"] for each in found["versions"]] == ["rollout", "quarantine"]
