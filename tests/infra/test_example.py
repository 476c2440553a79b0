"""examples/infra, as its README goes through it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from podium.core import changes
from podium.core.domain.runs import RunState
from podium.core.engine.submit import submit_pipeline

from tests.conftest import required
from tests.infra.conftest import InfraLab
from tests.runner.scale import scaled

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "infra"


@pytest.fixture
def example(lab: InfraLab, monkeypatch: pytest.MonkeyPatch) -> InfraLab:
    shutil.copytree(EXAMPLE, lab.home, dirs_exist_ok=True)
    programs = lab.home.parent / "bin"
    programs.mkdir()
    (programs / "terraform").symlink_to(lab.program)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return lab


def test_what_the_readme_says_happens(example: InfraLab) -> None:
    lab = example
    lab.good(lab.over(submit_pipeline(lab.project, lab.journal, "machines", who="tester")))
    assert lab.project.environment("production").host == "unix:///var/run/docker.sock"
    text = (lab.home / "podium.yaml").read_text()
    lab.write("podium.yaml", text.replace("size: small", "size: large"))
    run = submit_pipeline(lab.project, lab.journal, "machines", who="tester")
    lab.transport(run.id, RunState.WAITING, timeout=90)
    asked = changes.plan(lab.project, lab.journal, "approve", str(run.id))
    assert asked.type_to_confirm == "serving" and "terraform_data.host" in str(asked.changes)
    changes.apply(lab.project, lab.journal, asked, who="anna", confirmed="serving")
    lab.good(lab.over(run))
    network = lab.home / "network/main.tf"
    network.write_text(network.read_text().replace("example-network", "another-network"))
    lab.good(lab.plan("network"))
    lab.good(lab.apply("network"))
    lab.good(lab.plan("serving"))
    assert "never lets this be done" in lab.asked("serving").refusal


def test_the_template_is_one() -> None:
    program = shutil.which("cfn-lint")
    required("" if program else "cfn-lint is not installed")
    done = subprocess.run(
        [str(program), str(EXAMPLE / "stack.yaml")], capture_output=True, text=True, timeout=scaled(120)
    )
    assert done.returncode == 0, done.stdout + done.stderr
