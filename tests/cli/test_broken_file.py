"""Commands while podium.yaml cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call


def test_status_goes_on_by_the_last_good_content_and_says_what_is_wrong(home: Path, call: Call) -> None:
    assert call("run", "ok").code == 0
    file = home / "podium.yaml"
    good = file.read_text()
    file.write_text(good + "pipelnes: {}\n")
    line = good.count("\n") + 1
    seen = call("status")
    assert seen.code == 2 and "production" in seen.out and f"podium.yaml:{line}:1" in seen.err
    document = json.loads(call("status", "-o", "json").out)
    assert document["problems"][0]["line"] == line and document["project"] == "small"
    assert "config" in [need["reason"] for need in document["needs"]]
    for words in (("run", "ok"), ("deploy", "1", "-e", "staging", "--yes"), ("validate",), ("config", "show")):
        refused = call(*words)
        assert refused.code in (2, 3) and (refused.code == 3 or f"podium.yaml:{line}:1" in refused.err), (
            words,
            refused,
        )
    assert call("ps").code == 0
    file.write_text(good)
    assert json.loads(call("status", "-o", "json").out)["problems"] == []
