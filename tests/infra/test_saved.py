"""What is kept of an infrastructure while it is applied and afterwards, and how its program is waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from podium.core import plugins
from podium.core.config.loading import from_text
from podium.core.domain.infra.plan import InfraPlan, Output, ResourceChange
from podium.core.domain.infra.rules import ChangeKind
from podium.core.domain.infra.settings import Infra
from podium.core.domain.project import Project
from podium.core.errors import Refused, RunFailed, Unreachable
from podium.core.infra import CutShort, Progress, Say
from podium.core.infra.changes import Agreed, ApplyFailed, carry_out, make_plan, why_not_apply
from podium.core.infra.saved import SCRATCH, Saved, remove_expired
from podium.core.infra.terraform import program
from podium.core.infra.terraform.program import Program
from podium.core.journal import Journal


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    made = Saved(tmp_path, "serving")
    made.prepare()
    return made


def plan(**more: object) -> InfraPlan:
    return InfraPlan(**{"infra": "serving", "tool": "t", "digest": "d", "created": 100.0, "expires": 200.0, **more})  # type: ignore[arg-type]


def test_what_is_replaced_is_half_done_between_its_two_halves(saved: Saved) -> None:
    saved.begun("disk")
    saved.ended("disk")
    saved.begun("disk")
    assert saved.events() == ([], ["disk"])
    saved.ended("disk")
    assert saved.events() == (["disk"], [])


def test_a_plan_that_expires_is_remembered_where_the_tool_keeps_it(saved: Saved) -> None:
    saved.keep(plan())
    assert saved.plan(300.0) is None and saved.abandoned() is None, "it was a file, and that is gone"
    saved.keep(plan(reference="arn:of-a-change-set"))
    assert saved.plan(300.0) is None and saved.any_plan() is None
    found = saved.abandoned()
    assert found is not None and found.reference == "arn:of-a-change-set"
    assert saved.abandoned() is None


def test_plans_that_nothing_knows_of_are_removed_a_day_later(saved: Saved, tmp_path: Path) -> None:
    for name in ("plan", SCRATCH):
        (saved.directory / name).write_text("secrets")
    now = time.time()
    remove_expired(tmp_path, now)
    assert saved.file.exists(), "it may just be being made"
    remove_expired(tmp_path, now + 90_000)
    assert not saved.file.exists() and not (saved.directory / SCRATCH).exists()
    saved.file.write_text("secrets")
    saved.keep(plan(created=now, expires=now + 200_000))
    os.utime(saved.file, (0, 0))
    remove_expired(tmp_path, now + 90_000)
    assert saved.file.exists(), "it still waits"


class OddTool:
    """An infrastructure that is applied at once, and then cannot be asked for its outputs."""

    def __init__(self, project: Project, infra: Infra, say: Say) -> None:
        self.name = infra.name

    def plan(self, *, destroy: bool = False) -> InfraPlan:
        changes = (ResourceChange("a.b", "a", ChangeKind.CREATE),)
        now = time.time()
        return plan(infra=self.name, created=now, expires=now + 600, changes=changes, reference="a-change-set")

    def apply(self, plan: InfraPlan, progress: Progress) -> None:
        progress.begun("a.b")
        progress.ended("a.b")

    def outputs(self) -> Sequence[Output]:
        raise Unreachable("nobody answers")

    def discard(self, plan: InfraPlan) -> None:
        pass


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Project, Journal]]:
    monkeypatch.setitem(plugins.TABLE["infra"], "terraform", plugins.Plugin(f"{__name__}:OddTool"))
    text = (
        "project: lab\ninfra:\n  net: {terraform: n}\n  web: {terraform: w, vars: {a: '${{ infra.net.outputs.a }}'}}\n"
    )
    project = from_text(text, "podium.yaml", tmp_path, tmp_path, {})
    project.state.mkdir()
    with Journal.open(project.state / "journal.db") as journal:
        yield project, journal


def test_what_is_applied_and_cannot_be_asked_for_its_outputs_says_both(odd: tuple[Project, Journal]) -> None:
    project, journal = odd
    net, agreed = project.infra["net"], Agreed("d", "anna")
    make_plan(project, journal, net, print, run=1, who="anna")
    with pytest.raises(ApplyFailed, match="net is applied, and its outputs cannot be read: nobody answers") as caught:
        carry_out(project, journal, net, print, run=2, agreed=agreed)
    assert caught.value.results["done"] == ["a.b"] and "podium infra outputs net" in caught.value.hint
    kept = Saved(project.state, "net")
    assert kept.applied() and kept.interruption() is None and kept.plan() is None


def test_a_plan_whose_outputs_of_others_have_changed_since_is_stale(odd: tuple[Project, Journal]) -> None:
    project, journal = odd
    net, web = Saved(project.state, "net"), project.infra["web"]
    net.keep_outputs([Output("a", "1")])
    made = make_plan(project, journal, web, print, run=1, who="anna")
    assert why_not_apply(project, web, made) == ("", "")
    net.keep_outputs([Output("a", "1"), Output("b", "2")])
    assert why_not_apply(project, web, made) == ("", ""), "that one it does not take"
    net.keep_outputs([Output("a", "2")])
    with pytest.raises(Refused, match="the plan of web is stale: the outputs that it was made of have changed since"):
        carry_out(project, journal, web, print, run=2, agreed=Agreed("d", "anna"))


def call(tmp_path: Path, lines: Sequence[str]) -> tuple[int, str]:
    """Calls a program that stands for Terraform, with too little time."""
    script = tmp_path / "terraform"
    script.write_text("\n".join(["#!/bin/sh", *lines, "while :; do sleep 0.05; done"]))
    script.chmod(0o755)
    return Program(str(script), tmp_path, tmp_path / "data", {}).stream(["apply"], lambda _: None, timeout=1.0)


def test_a_program_that_does_not_end_when_it_is_late_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "STOP_TIMEOUT", 0.5)
    with pytest.raises(CutShort, match="terraform apply was killed before it was done"):
        call(tmp_path, ["trap '' INT"])


def test_a_program_that_was_late_and_has_ended_well_has_done_its_work(tmp_path: Path) -> None:
    assert call(tmp_path, ["trap 'exit 0' INT"]) == (0, "")
    with pytest.raises(RunFailed, match="took longer than 1 s"):
        call(tmp_path, ["trap 'exit 1' INT"])
