"""Commands in a copy of a project."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.cli.conftest import Call


def test_a_copy_is_read_told_refused_and_adopted(home: Path, call: Call) -> None:
    assert call("run", "ok").code == 0
    other = home.with_name("copy")
    subprocess.run(["cp", "-a", str(home), str(other)], check=True)
    told = call("-C", str(other), "ps")
    assert told.code == 0 and "ok" in told.out and told.err.count("is a copy of") == 1
    seen = call("-C", str(other), "status", "-o", "json")
    assert json.loads(seen.out)["copy_of"] == str(home)
    refused = call("-C", str(other), "run", "ok")
    assert refused.code == 4 and "podium adopt" in refused.err
    assert call("-C", str(other), "watch", "--stop").code == 4
    plan = call("-C", str(other), "adopt", "--dry-run")
    assert plan.code == 0 and "owner" in plan.out
    assert call("-C", str(other), "adopt").code == 4, "nobody to ask"
    assert call("-C", str(other), "adopt", "--yes").code == 0
    again = call("-C", str(other), "run", "ok")
    assert again.code == 0 and "copy of" not in again.err
    assert json.loads(call("status", "-o", "json").out)["copy_of"] == ""
    assert "no copy" in call("adopt").err


def test_adoption_prints_its_plan_as_json_and_steers_no_terminal(home: Path, call: Call) -> None:
    assert call("run", "ok").code == 0
    other = home.with_name("a\x1b[31m copy")
    subprocess.run(["cp", "-a", str(home), str(other)], check=True)
    done = call("-C", str(other), "adopt", "--yes", "-o", "json")
    plan = json.loads(done.out)
    assert done.code == 0 and plan["environment"] == str(other) and plan["nothing_to_do"] == ""
    assert plan["changes"][0]["subject"] == "owner"
    assert "a project of its own now" in done.err and "\x1b[31m" not in done.err
    again = call("-C", str(other), "adopt", "--yes", "-o", "json")
    assert again.code == 0 and "no copy" in json.loads(again.out)["nothing_to_do"]
