"""A project with infrastructure, and the real program to plan and apply it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import changes
from podium.core.domain.plans import Plan
from podium.core.domain.runs import Run, RunState
from podium.core.engine.submit import submit_operation
from podium.core.infra.saved import Saved

from tests.conftest import required
from tests.engine.lab import Lab
from tests.servers import moto, terraform

MAIN = """\
variable "size" { default = "small" }
variable "password" {
  default   = "correct-horse-battery"
  sensitive = true
}
resource "terraform_data" "disk" {
  input            = var.size
  triggers_replace = [var.size]
}
resource "terraform_data" "user" {
  input = { name = "serving", password = var.password }
}
output "address" { value = "unix:///run/${var.size}.sock" }
output "password" {
  value     = var.password
  sensitive = true
}
"""


class InfraLab(Lab):
    """A project whose `infra:` is worked on by real runs."""

    program = ""

    def infra(self, text: str, *, rest: str = "", main: str = MAIN) -> None:
        """Writes podium.yaml with `infra:`, and the configuration in `tf/`."""
        self.write("podium.yaml", f"project: lab\n{rest}\ninfra:\n{text}\n")
        self.write("tf/main.tf", main)

    def one(self, keys: str = "", *, rest: str = "", main: str = MAIN) -> None:
        """Writes one infrastructure, `serving`, with further keys."""
        more = f", {keys}" if keys else ""
        self.infra(f"  serving: {{terraform: tf, program: {self.program}{more}}}", rest=rest, main=main)

    def saved(self, name: str = "serving") -> Saved:
        return Saved(self.project.state, name)

    def operate(self, kind: str, name: str = "serving", **params: str) -> Run:
        return submit_operation(self.project, self.journal, kind, name, params=params, who="tester")

    def plan(self, name: str = "serving", **params: str) -> Run:
        return self.over(self.operate("infra-plan", name, **params))

    def asked(self, name: str = "serving", verb: str = "infra-apply") -> Plan:
        return changes.plan(self.project, self.journal, verb, name)

    def begin_apply(self, name: str = "serving", confirmed: str = "") -> Run:
        plan = self.asked(name)
        run = changes.apply(self.project, self.journal, plan, who="tester", confirmed=confirmed)
        assert run is not None
        return run

    def apply(self, name: str = "serving", confirmed: str = "") -> Run:
        return self.over(self.begin_apply(name, confirmed))

    def over(self, run: Run) -> Run:
        return self.finish(run.id, timeout=60)[0]

    def good(self, run: Run) -> Run:
        assert run.state is RunState.SUCCEEDED, run.message
        return run

    def everything(self, run: Run) -> str:
        """All that a run left: its logs, and its rows in the journal."""
        logs = [
            path.read_text(errors="replace")
            for path in (self.home / ".podium" / "runs" / str(run.id)).rglob("*")
            if path.is_file()
        ]
        return "\n".join([*logs, str(self.journal.runs.get(run.id)), str(self.journal.steps.of(run.id))])


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = terraform.find(tmp_path_factory.mktemp("terraform"))
    required("" if found else "Terraform or OpenTofu")
    return found


@pytest.fixture
def lab(tmp_path: Path, program: str) -> Iterator[InfraLab]:
    lab = InfraLab(tmp_path / "project")
    lab.program = program
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def _moto() -> Iterator[moto.Moto]:
    required(moto.missing())
    with moto.Moto() as made:
        yield made


@pytest.fixture
def aws(_moto: moto.Moto, monkeypatch: pytest.MonkeyPatch) -> moto.Moto:
    """AWS's APIs, empty."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-key")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    _moto.ensure().reset()
    return _moto


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[InfraLab]:
    """A project whose infrastructure needs no program."""
    lab = InfraLab(tmp_path / "project")
    yield lab
    lab.close()
