"""`podium labels`, as a shell would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podium.core.serving.recorder import Recorder

from tests.cli.conftest import Call
from tests.labels.conftest import answered, told


@pytest.fixture
def served(home: Path) -> Path:
    """A replica of staging that has answered three requests, and got two labels."""
    kept = Recorder(
        home / ".podium/environments/staging/capture", name="1", rate=0.0, limit=1 << 20, requests=True, version="3"
    )
    for name in ("a", "b", "evil\x1b[31m"):
        answered(kept, name.replace("\x1b", "?"), 0.5)
    told(kept, "a", 1, client="crm")
    told(kept, "a", "\x1b[31mno", client="intruder\x1b[2J")
    kept.close()
    return home


def test_counts(call: Call, served: Path) -> None:
    done = call("labels", "-o", "json")
    assert done.code == 0
    production, staging = json.loads(done.out)
    assert (production["requests"], production["clients"], production["taken"]) == (0, [], True)
    assert {name: staging[name] for name in ("requests", "matched", "contradictory", "delay", "proved")} == {
        "requests": 3, "matched": 1, "contradictory": 1, "delay": 60.0, "proved": False,
    }  # fmt: skip
    table = call("labels", "-e", "staging")
    assert "1 (33.3%)" in table.out and "1 contradictory" in table.err and "\x1b" not in table.out + table.err
    assert not (served / ".podium/labels/production.db").exists(), "who only reads makes no store"


def test_lists(call: Call, served: Path) -> None:
    found = json.loads(call("labels", "ls", "-e", "staging", "--labelled", "-o", "json").out)
    assert [(each["id"], each["labels"], each["predictions"], each["inputs"]) for each in found] == [
        ("a", [1], [0.5], None)
    ]
    (dispute,) = json.loads(call("labels", "disputes", "-e", "staging", "-o", "json").out)
    assert (dispute["kept"], dispute["kept_from"], dispute["said"]) == (1, "crm", "\x1b[31mno")
    for words in (("labels", "ls", "-e", "production"), ("labels", "disputes", "-e", "production")):
        done = call(*words)
        assert (done.code, done.out) == (0, ""), "no row is no error"
    for words in (("labels", "ls", "-e", "staging"), ("labels", "disputes", "-e", "staging")):
        assert "\x1b" not in call(*words).out


def test_imports(call: Call, served: Path) -> None:
    (served / "truth.csv").write_text("request_id,late\na,1\nb,0\nnobody,1\n")
    words = ("labels", "import", "truth.csv", "-e", "staging", "--label", "late")
    first = call(*words, "-o", "json")
    assert (first.code, json.loads(first.out)["matched"], json.loads(first.out)["waiting"]) == (0, 1, 1)
    assert "3 labels: 2 repeated, 1 waiting for a request" in call(*words).err
    assert call(*words, "--id", "x", "--key", "y").code == 2
    missing = call("labels", "import", "truth.csv", "-e", "staging", "--label", "what")
    assert missing.code == 2 and "no column 'what'" in missing.err
    assert "keeps no keys" in call(*words, "--key", "request_id").err
    assert call("labels", "ls", "-e", "nowhere").code == 3


def test_a_broken_store_is_said(call: Call, served: Path) -> None:
    call("labels")
    (served / ".podium/labels/staging.db").write_bytes(b"no database, but as long as one" * 300)
    done = call("labels")
    assert done.code not in (0, 1) and "store of labels" in done.err and "Traceback" not in done.err
