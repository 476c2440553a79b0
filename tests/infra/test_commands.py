"""`podium infra` as a shell calls it, from nothing to applied, approved and refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest
from podium.cli.main import main

from tests.infra.conftest import MAIN, InfraLab

SECRET = "correct-horse-battery"


@pytest.fixture
def call(
    lab: InfraLab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(lab.home)
    monkeypatch.setenv("NO_COLOR", "1")
    lab.one("auto: [create], never: {delete: ['*.user']}")

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(words))
        out, err = capfd.readouterr()
        assert SECRET not in out + err
        return code, out, err

    return run


def test_from_nothing_to_applied(call: Callable[..., tuple[int, str, str]], lab: InfraLab) -> None:
    code, out, _ = call("infra", "ls", "-o", "plain")
    assert (code, out.split("\t")[:3]) == (0, ["serving", "terraform", "unknown"])
    code, out, _ = call("infra", "plan", "serving", "-o", "json")
    plan = json.loads(out)["plan"]
    assert code == 0 and plan["counts"] == {"create": 2} and json.loads(out)["decision"] == "auto"
    code, out, _ = call("infra", "show", "serving")
    assert "input.password: (none)" in out and "(sensitive)" in out
    code, out, _ = call("infra", "apply", "serving", "--dry-run", "-o", "json")
    assert code == 0 and json.loads(out)["how"] == "infra-apply"
    code, _, err = call("infra", "apply", "serving")
    assert code == 4 and "no terminal to confirm" in err
    code, _, err = call("infra", "approve", "serving", "--yes", "--why", "first time")
    assert code == 0 and "is approved" in err
    assert json.loads(call("infra", "ls", "-o", "json")[1])[0]["approval"]["why"] == "first time"
    code, _, err = call("infra", "apply", "serving", "--yes")
    assert code == 0 and "serving is applied: 2 to create" in err
    code, out, _ = call("infra", "outputs", "-o", "json")
    assert json.loads(out) == [
        {"name": "serving", "output": "address", "value": "unix:///run/small.sock", "sensitive": False},
        {"name": "serving", "output": "password", "value": None, "sensitive": True},
    ]
    assert call("infra", "drift")[0] == 0
    assert os.listdir(lab.saved().directory).count("plan") == 0


def test_what_was_written_since_an_empty_plan_is_not_missed(
    call: Callable[..., tuple[int, str, str]], lab: InfraLab
) -> None:
    assert call("infra", "apply", "--yes")[0] == 0
    code, _, err = call("infra", "apply", "--yes")
    assert code == 0 and "nothing to apply" in err
    lab.write("tf/more.tf", 'resource "terraform_data" "later" {}\n')
    code, _, err = call("infra", "apply", "--yes")
    assert code == 0 and "1 to create" in err
    code, _, err = call("infra", "plan", "serving", "--destroy")
    assert code == 0
    code, _, err = call("infra", "apply", "serving", "--yes")
    assert code == 4 and "never lets this be done" in err and "delete terraform_data.user" in err


def test_what_cannot_be_done_has_its_exit_code(call: Callable[..., tuple[int, str, str]], lab: InfraLab) -> None:
    assert call("infra", "plan", "other")[0] == 3
    assert call("infra", "approve", "serving", "--yes")[0] == 4
    lab.write("tf/main.tf", MAIN + "nonsense")
    code, _, err = call("infra", "plan", "serving")
    assert code == 1 and "terraform init failed: Error" in err.replace("tofu", "terraform")
