"""A run that goes on: what it changes in an environment is planned like any other change, and asked for like one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from podium.core import plugins
from podium.core.cockpit import Cockpit
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout.carry_out import RolloutRequest, check
from podium.core.domain.access.proof import Proof
from podium.core.domain.delivery import How, Stopped
from podium.core.domain.models import Version
from podium.core.domain.plans import Plan
from podium.core.domain.runs import PIPELINE, Agreement, Run, RunState, Step, StepState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.engine import submit
from podium.core.errors import Refused
from podium.core.identity.account import account
from podium.core.identity.processes import started_at
from podium.core.journal import Journal
from podium.core.run_plans import plan_resume

from tests.support import free_port

CONFIG = """\
project: shop
mlflow: {{model: tiny}}
pipelines:
  release:
    steps:
      made: {{run: "true"}}
      ship: {{uses: {uses}, needs: [made], environment: production{more}}}
environments:
  production: {{driver: process, port: {port}, protected: {protected}}}
"""


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "start_worker", lambda *_: os.getpid())
    monkeypatch.setattr(submit, "_signal", lambda *_: None)


def opened(
    home: Path, *, protected: bool = True, uses: str = "promote", more: str = ", version: 2", passed: bool = True
) -> Cockpit:
    written = CONFIG.format(port=free_port(), protected=str(protected).lower(), uses=uses, more=more)
    (home / "podium.yaml").write_text(written)
    cockpit = Cockpit(home)
    for number in (1, 2, 3):
        verdict = Verdict.PASS if passed else None
        cockpit.journal.versions.update(Version("tiny", number, time.time(), verdict=verdict, commit=f"{number:040x}"))
    serve(cockpit, 1)
    return cockpit


def serve(cockpit: Cockpit, version: int, how: How = How.PROMOTE, run_id: int | None = None) -> None:
    ledger = cockpit.journal.ledger
    row = ledger.begin(environment="production", how=how, model="tiny", to_version=version, from_version=None,
                       who="ops", run_id=run_id)  # fmt: skip
    ledger.finish(row.id, "succeeded")


def run_of(
    cockpit: Cockpit, state: RunState, ship: StepState, *, reported: Mapping[str, Any] | None = None, **more: Any
) -> Run:
    journal = cockpit.journal
    run = journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PUSH, who="podium watch",
                              why="push to main", workspace=str(cockpit.home), **more)  # fmt: skip
    journal.steps.add(run.id, [
        Step(run.id, "made", 0, StepState.PENDING), Step(run.id, "ship", 1, StepState.PENDING, needs=("made",)),
    ])  # fmt: skip
    journal.steps.update(run.id, "made", state=StepState.SUCCEEDED, results=reported or {})
    journal.steps.update(run.id, "ship", state=ship)
    journal.runs.set_state(run.id, RunState.RUNNING)
    journal.runs.set_state(run.id, state)
    if not state.finished:
        journal.runs.set_worker(run.id, os.getpid(), started_at(os.getpid()))
    return journal.runs.get(run.id)


def plan_of(cockpit: Cockpit, verb: str) -> Plan:
    if verb == "resume":
        return cockpit.runs.plan_resume(run_of(cockpit, RunState.FAILED, StepState.FAILED).id)
    return cockpit.runs.plan_approve(run_of(cockpit, RunState.WAITING, StepState.WAITING).id)


def go(cockpit: Cockpit, verb: str, plan: Plan, **answers: Any) -> None:
    if verb == "resume":
        cockpit.runs.resume(int(plan.target), plan=plan, **answers)
    else:
        cockpit.runs.approve(int(plan.target), plan=plan, **answers)


@pytest.mark.parametrize("verb", ["resume", "approve"])
@pytest.mark.parametrize("typed", ["", "staging"])
def test_each_verb_needs_the_typed_name_of_a_protected_environment(tmp_path: Path, verb: str, typed: str) -> None:
    more = ", version: 2" + (", approval: required" if verb == "approve" else "")
    cockpit = opened(tmp_path, more=more)
    plan = plan_of(cockpit, verb)
    assert plan.type_to_confirm == "production" and plan.changes_environment and not plan.refusal
    assert ("traffic of production", "version 1", "version 2") in [
        (change.subject, change.before, change.after) for change in plan.changes
    ]
    before = cockpit.journal.runs.get(int(plan.target)).state
    with pytest.raises(Refused, match="production is protected") as caught:
        go(cockpit, verb, plan, confirmed=typed)
    assert caught.value.hint == f"{plan.command} --yes --confirm production"
    with pytest.raises(Refused, match="production is protected"):
        cockpit.changes.apply(plan, confirmed=typed, why="it is right", force=True)
    assert cockpit.journal.runs.get(int(plan.target)).state is before
    assert cockpit.journal.runs.approval(int(plan.target), "ship") is None
    go(cockpit, verb, plan, confirmed="production", why="looked at it")
    agreement = cockpit.journal.agreements.get(int(plan.target), "ship")
    assert agreement is not None
    assert (agreement.environment, agreement.version, agreement.rests_on["serving"]) == ("production", "2", "1")
    assert agreement.why == "looked at it" and agreement.who != "podium watch"


def test_a_commit_cannot_take_the_protection_away(tmp_path: Path) -> None:
    cockpit = opened(tmp_path)
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "podium.yaml").write_text((tmp_path / "podium.yaml").read_text().replace("protected: true", "replicas: 1"))
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    cockpit.journal.runs.set_workspace(run.id, str(aside))
    assert cockpit.runs.plan_resume(run.id).type_to_confirm == "production"


def test_a_run_that_changes_no_environment_is_not_asked_about(tmp_path: Path) -> None:
    cockpit = opened(tmp_path, uses="image", more="")
    (tmp_path / "podium.yaml").write_text(
        "project: shop\npipelines: {release: {steps: {made: {run: 'true'}, ship: {run: 'true', needs: [made]}}}}\n"
    )
    run = run_of(Cockpit(tmp_path), RunState.FAILED, StepState.FAILED)
    plan = Cockpit(tmp_path).runs.plan_resume(run.id)
    assert not plan.changes_environment and not plan.refusal
    assert Cockpit(tmp_path).runs.resume(run.id).state is RunState.QUEUED
    cockpit.close()


def test_a_resume_is_refused_where_another_version_was_promoted_since(tmp_path: Path) -> None:
    cockpit = opened(tmp_path)
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    plan = cockpit.runs.plan_resume(run.id)
    serve(cockpit, 3, run_id=77)
    with pytest.raises(Refused, match="production has moved on since run 1 stopped: run 77 brought version 3"):
        cockpit.runs.resume(run.id, confirmed="production")
    with pytest.raises(Refused, match="moved on") as caught:
        cockpit.runs.resume(run.id, plan=plan, confirmed="production")
    assert "podium promote 2 -e production" in caught.value.hint
    assert cockpit.journal.runs.get(run.id).state is RunState.FAILED


def test_a_resume_is_refused_where_the_version_was_quarantined_since(tmp_path: Path) -> None:
    cockpit = opened(tmp_path)
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    cockpit.journal.quarantine.add("tiny", 2, f"{2:040x}", "ops", "wrong on holidays")
    with pytest.raises(Refused, match="version 2 is quarantined: wrong on holidays"):
        cockpit.runs.resume(run.id, confirmed="production")


def test_what_was_shown_is_what_is_done(tmp_path: Path) -> None:
    cockpit = opened(tmp_path, more=", approval: required")
    run = run_of(cockpit, RunState.WAITING, StepState.WAITING, reported={"version": 2})
    plan = cockpit.runs.plan_approve(run.id)
    assert plan.versions is not None and plan.versions.version == 2
    serve(cockpit, 3)
    with pytest.raises(Refused, match="would do something else by now"):
        cockpit.runs.approve(run.id, plan=plan, confirmed="production")
    assert cockpit.journal.runs.approval(run.id, "ship") is None


def test_an_approval_has_an_end_and_counts_only_for_what_it_was_about(tmp_path: Path) -> None:
    cockpit = opened(tmp_path, more=", version: 2, approval: required, approval_timeout: 1h")
    run = run_of(cockpit, RunState.WAITING, StepState.WAITING)
    cockpit.runs.approve(run.id, confirmed="production")
    cockpit.journal.steps.update(run.id, "ship", state=StepState.FAILED)
    cockpit.journal.runs.set_state(run.id, RunState.FAILED)
    assert cockpit.runs.plan_resume(run.id).type_to_confirm == "production", "it would go on at once"
    cockpit.journal._database.run("UPDATE approvals SET at = at - 3601")
    plan = cockpit.runs.plan_resume(run.id)
    assert plan.type_to_confirm == "" and "does not count any more" in plan.warnings[0]
    cockpit.runs.resume(run.id, plan=plan)
    assert cockpit.journal.runs.approval(run.id, "ship") is None, "the step waits for another one"


def test_who_may_approve_is_checked_when_it_is_planned_and_when_it_is_applied(tmp_path: Path) -> None:
    cockpit = opened(tmp_path, more=", version: 2, approvers: {number: 2}")
    run = run_of(cockpit, RunState.WAITING, StepState.WAITING)
    plan = cockpit.runs.plan_approve(run.id)
    assert plan.refusal == "" and "1 more person has to approve it" in plan.warnings[0]
    text = (tmp_path / "podium.yaml").read_text()
    (tmp_path / "podium.yaml").write_text(text.replace("{number: 2}", "{number: 2, among: [nobody-here]}"))
    assert "not among those who may approve it: nobody-here" in cockpit.runs.plan_approve(run.id).refusal
    with pytest.raises(Refused, match="not among those"):
        cockpit.runs.approve(run.id, plan=plan, confirmed="production")
    assert cockpit.journal.runs.approvals(run.id, "ship") == []
    (tmp_path / "podium.yaml").write_text(text)
    approval = cockpit.runs.approve(run.id, plan=plan, confirmed="production")
    assert (approval.account, approval.proof) == (account(), Proof.ACCOUNT)
    assert cockpit.runs.approvals_missing(approval) == 1


def test_an_operation_is_asked_about_again_when_it_is_resumed(tmp_path: Path) -> None:
    cockpit = opened(tmp_path)
    promotion = cockpit.changes.plan("promote", "production", version=2)
    run = cockpit.changes.apply(promotion, confirmed="production")
    assert run is not None
    cockpit.journal.runs.set_state(run.id, RunState.FAILED)
    cockpit.journal.steps.update(run.id, "promote", state=StepState.FAILED)
    with pytest.raises(Refused, match="production is protected"):
        cockpit.runs.resume(run.id)
    serve(cockpit, 3)
    with pytest.raises(Refused, match="serving was 1 and is 3"):
        cockpit.runs.resume(run.id, confirmed="production")


def test_a_promotion_planned_before_a_stop_does_not_start_the_environment_again(tmp_path: Path) -> None:
    cockpit = opened(tmp_path, more=", version: 2, approval: required")
    run = run_of(cockpit, RunState.WAITING, StepState.WAITING)
    promotion, approval = cockpit.changes.plan("promote", "production", version=2), cockpit.runs.plan_approve(run.id)
    current = cockpit.journal.ledger.current("production")
    assert current is not None and promotion.rests_on["state"] == "running"
    cockpit.journal.stops.put(Stopped("production", current.id, "ops from desk", time.time()))
    with pytest.raises(Refused, match=r"ship\.state was running and is stopped by ops"):
        cockpit.runs.approve(run.id, plan=approval, confirmed="production")
    project, journal = cockpit.project.config, cockpit.journal
    again = EnvironmentRuntime(project, journal, project.environment("production"))
    request = RolloutRequest(How.PROMOTE, 2, "anna", seen=promotion.rests_on)
    with pytest.raises(Refused, match="state was running and is stopped by ops"):
        check(again, request)


def test_what_a_run_changes_itself_is_not_held_against_its_later_steps(tmp_path: Path) -> None:
    cockpit = opened(tmp_path)
    text = (tmp_path / "podium.yaml").read_text()
    late = "      late: {uses: deploy, needs: [ship], environment: production, version: 3}\n"
    (tmp_path / "podium.yaml").write_text(text.replace("environments:", late + "environments:"))
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    rests_on = cockpit.runs.plan_resume(run.id).rests_on
    assert rests_on["ship.state"] == "running"
    assert not {"late.state", "late.serving", "late.deployment"} & set(rests_on) and "late.quarantined" in rests_on


def test_an_approval_that_comes_too_late_leaves_what_was_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cockpit = opened(tmp_path, more=", version: 2, approval: required")
    run = run_of(cockpit, RunState.WAITING, StepState.WAITING)
    plan = cockpit.runs.plan_approve(run.id)
    valid = Agreement(run.id, "ship", "approve", "anna", time.time(), "first", "production", "2")

    def meanwhile(journal: Journal) -> None:
        journal.agreements.keep(valid)
        journal.steps.update(run.id, "ship", state=StepState.RUNNING)

    monkeypatch.setattr(submit, "recover", meanwhile)
    with pytest.raises(Refused):
        cockpit.runs.approve(run.id, plan=plan, confirmed="production", why="second")
    assert cockpit.journal.agreements.get(run.id, "ship") == valid


def test_a_resumption_that_comes_too_late_leaves_what_was_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cockpit = opened(tmp_path)
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    plan = cockpit.runs.plan_resume(run.id)
    monkeypatch.setattr(submit, "recover", lambda journal: journal.runs.set_state(run.id, RunState.RUNNING))
    with pytest.raises(Refused):
        cockpit.runs.resume(run.id, plan=plan, confirmed="production")
    assert cockpit.journal.agreements.get(run.id, "ship") is None


def test_a_planner_that_fails_by_its_own_mistake_is_not_taken_for_one_that_wants_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(project: object, journal: object, target: str) -> Plan:
        raise TypeError("its own mistake")

    cockpit = opened(tmp_path)
    runs = cockpit.journal.runs
    run = runs.create(kind="stop", name="production", trigger=Trigger.PERSON, who="anna", workspace=str(tmp_path))
    cockpit.journal.steps.add(run.id, [Step(run.id, "stop", 0, StepState.PENDING)])
    runs.set_state(run.id, RunState.RUNNING)
    runs.set_state(run.id, RunState.FAILED)
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: broken if name == "stop" else load(kind, name))
    with pytest.raises(TypeError, match="its own mistake"):
        cockpit.runs.plan_resume(run.id)
    monkeypatch.setattr(plugins, "load", lambda kind, name: _wants_more if name == "stop" else load(kind, name))
    assert not cockpit.runs.plan_resume(run.id).refusal


def _wants_more(project: object, journal: object, target: str, more: str) -> Plan:
    raise AssertionError("it is not asked")


def test_a_run_of_many_steps_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cockpit = opened(tmp_path)
    text = (tmp_path / "podium.yaml").read_text()
    more = "".join(f"      s{number}: {{run: 'true', needs: [made]}}\n" for number in range(30))
    (tmp_path / "podium.yaml").write_text(text.replace("environments:", more + "environments:"))
    run = run_of(cockpit, RunState.FAILED, StepState.FAILED)
    read: list[int] = []
    of = type(cockpit.journal.steps).of
    monkeypatch.setattr(
        type(cockpit.journal.steps), "of", lambda steps, run_id: read.append(run_id) or of(steps, run_id)
    )
    plan_resume(cockpit.project.config, cockpit.journal, str(run.id))
    assert read == [run.id]


@pytest.mark.parametrize("verb", ["resume", "approve"])
def test_what_was_agreed_to_before_the_environment_was_protected_is_asked_again(tmp_path: Path, verb: str) -> None:
    more = ", version: 2" + (", approval: required" if verb == "approve" else "")
    cockpit = opened(tmp_path, protected=False, more=more)
    plan = plan_of(cockpit, verb)
    file = tmp_path / "podium.yaml"
    file.write_text(file.read_text().replace("protected: false", "protected: true"))
    cockpit.changed()
    with pytest.raises(Refused, match="production is protected by now"):
        go(cockpit, verb, plan)
    assert cockpit.journal.agreements.get(int(plan.target), "ship") is None
