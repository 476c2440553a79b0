"""`podium compare` and the query of `podium versions`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from podium.core.domain.models import Version
from podium.core.domain.verdicts import FlippedRow, Flips, GateReport, Verdict
from podium.core.journal import Journal

from ..conftest import Call


@pytest.fixture(autouse=True)
def _versions(home: Path) -> None:
    (home / ".podium").mkdir(exist_ok=True)
    with Journal.open(home / ".podium" / "journal.db") as journal:
        versions = [
            Version(
                "small",
                number,
                0.0,
                aliases=("champion",) if number == 2 else (),
                metrics={"roc_auc": 0.5 + number / 10, "noise": 1.0},
                params={"depth": str(number), "note": "=cmd|'/c calc'!A1"},
                tags={"mlflow.user": str(number)},
            )
            for number in (3, 2, 1)
        ]
        journal.versions.replace("small", versions, "seed")


def test_versions_by_a_query(call: Call) -> None:
    done = call("versions", "--offline", "--where", "roc_auc > 0.65 and not depth = 3", "-o", "json")
    assert [each["version"] for each in json.loads(done.out)] == [2]
    done = call("versions", "--offline", "--where", "roc_auc >")
    assert done.code == 2 and "cannot be read at its end" in done.err
    done = call("versions", "--offline", "--where", "roc_auc > 9")
    assert done.code == 0 and "no version of small is so" in done.err


def test_the_champion_is_the_baseline_whatever_the_order(call: Call) -> None:
    done = call("compare", "3", "champion", "--offline", "-o", "plain")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert ["metric", "roc_auc", "0.7000", "0.8000 ▲ better"] in rows
    assert not [row for row in rows if row[1] in ("noise", "mlflow.user")], "the same, and noise"
    assert "v2 is the champion" in done.err


def test_a_comparison_in_every_format(call: Call) -> None:
    wanted = ("compare", "1", "2", "3", "--offline", "--all")
    assert "| training | roc\\_auc |" in call(*wanted, "--format", "markdown").out
    rows = list(csv.reader(io.StringIO(call(*wanted, "--format", "csv").out)))
    note = next(row for row in rows if row[2] == "note")
    assert note[6].startswith("'="), "no formula"
    page = call(*wanted, "--format", "html").out
    assert page.startswith("<!doctype html>") and "roc_auc" in page
    document = json.loads(call(*wanted, "--format", "json").out)
    assert document == json.loads(call(*wanted, "-o", "json").out)
    assert [each["label"] for each in document["subjects"]] == ["v2", "v1", "v3"]


def test_one_version_or_seven_are_no_comparison(call: Call) -> None:
    done = call("compare", "1", "v1", "--offline")
    assert done.code == 2 and "two to 6 different versions" in done.err
    assert call("compare", "1", "9", "--offline").code == 3
    assert call("compare", "1", "run:77", "--offline").code == 3


def test_flipped_rows_have_their_inputs(call: Call, home: Path) -> None:
    rows = tuple(FlippedRow(number, "yes", "yes", "no", ("AA", "1", "2", f"last-{number}")) for number in range(1, 8))
    flips = Flips(3, 7, rows, ("carrier", "hour", "day", "note"))
    with Journal.open(home / ".podium" / "journal.db") as journal:
        journal.gates.add(GateReport("quality", "small", 3, 2, Verdict.PASS, (), 1.0, flips=flips))
    done = call("compare", "3", "champion", "--offline")
    assert "v3 against v2 on the rows of the gate quality: 7 worse, 3 better" in done.out
    assert "row 5  is yes, answered no, v2 yes: carrier AA, hour 1, day 2, and 1 more" in done.out
    assert "row 6 " not in done.out and "and 5 more" in done.out
    everything = call("compare", "3", "champion", "--offline", "-a").out
    assert "day 2, note last-7" in everything and "and 3 more" in everything
    document = json.loads(call("compare", "3", "champion", "--offline", "-o", "json").out)
    found = next(each for each in document["rows"] if each["name"] == "flipped rows")["beside"][1]["flips"]
    assert found["columns"] == [*flips.columns] and found["rows"][6]["values"][3] == "last-7"
    assert "row 5" not in call("compare", "3", "champion", "--offline", "-o", "plain").out
