"""From a step's options to what a rollout is asked to do."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from podium.core.delivery.environment import ending
from podium.core.delivery.rollout import aliases, change_steps, plans
from podium.core.delivery.rollout.carry_out import RolloutRequest, begin
from podium.core.delivery.status import status
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import Version
from podium.core.domain.project import Pipeline, StepSpec, Strategy
from podium.core.domain.runs import PIPELINE, Agreement, Run, RunState, Trigger
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.engine.context import StepContext
from podium.core.errors import Refused, Unreachable, UsageError

from tests.delivery.light import World


def order(world: World, **options: Any) -> RolloutRequest:
    run = Run(7, PIPELINE, "release", RunState.RUNNING, Trigger.SCHEDULE, "anna", 0.0, why="nightly")
    context = StepContext(
        world.project, run, "ship", {"environment": "staging", "version": "1", **options}, _journal=world.journal
    )
    return change_steps.request_of(context, world.runtime, How.PROMOTE)


def test_the_reason_of_a_forced_promotion_stands_in_the_ledger(world: World) -> None:
    world.version(1)
    forced = begin(world.runtime, order(world, force=" no gate yet: OPS-12 "), "digest")
    assert (forced.forced, forced.why) == (True, "no gate yet: OPS-12")


@pytest.mark.parametrize("force", [None, "", "  "])
def test_a_reason_that_is_empty_forces_nothing(world: World, force: str | None) -> None:
    world.version(1)
    plain = begin(world.runtime, order(world, force=force), "digest")
    assert (plain.forced, plain.why) == (False, "nightly")


@pytest.mark.parametrize("force", ["true", "False", True])
def test_a_reason_has_to_be_words(world: World, force: object) -> None:
    world.version(1)
    with pytest.raises(UsageError, match="in words"):
        order(world, force=force)


def test_a_rollback_goes_back_only_to_what_served_and_commits_in_quarantine_count(world: World) -> None:
    for number in (1, 2, 3):
        world.version(number)
    world.deploy(1)
    plan = plans.plan(world.project, world.journal, How.ROLLBACK, "staging", 3)
    assert plan.overridable and "version 3 has never served staging" in plan.refusal
    world.deploy(2)
    assert plans.plan(world.project, world.journal, How.ROLLBACK, "staging", 1).refusal == ""
    world.journal.quarantine.add("tiny", 9, f"{3:040x}", "anna", "the commit")
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 3)
    assert plan.overridable and "version 3 is quarantined: the commit" in plan.refusal


def test_the_ledger_names_who_resumed_or_approved_and_the_step_does_only_what_was_agreed_to(world: World) -> None:
    world.version(1)
    world.version(2)
    agreed = Agreement(
        7, "ship", "resume_run", "ben", time.time(), "tested by hand", "staging", "1", {"serving": "none"}
    )
    world.journal.agreements.keep(agreed)
    request = order(world)
    assert (request.who, request.why) == ("ben", "run 7 resumed: tested by hand; nightly")
    assert request.seen["serving"] == "none"
    with pytest.raises(Refused, match="ben agreed to version 1 in staging, and this is version 2 in staging"):
        order(world, version="2")
    world.journal.agreements.keep(replace(agreed, verb="approve", why=""))
    assert order(world).why == "run 7 approved: nightly"


def test_a_plan_says_that_its_gate_was_measured_against_what_no_longer_serves(world: World) -> None:
    for number in (1, 2, 3):
        world.version(number)
    for version, environment in ((1, "production"), (2, "production")):
        row = world.journal.ledger.begin(environment=environment, how=How.PROMOTE, model="tiny", to_version=version,
                                         from_version=None, who="anna")  # fmt: skip
        world.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    steps = {"gate": StepSpec("gate", uses="gate", options={"gate": "release"})}
    project = replace(world.project, pipelines={"nightly": Pipeline("nightly", steps)})
    world.journal.gates.add(GateReport("release", "tiny", 3, 1, Verdict.PASS, (), time.time()))
    (words,) = plans.plan(project, world.journal, How.PROMOTE, "production", 3).warnings[-1:]
    assert words == (
        "gate release compared version 3 with version 1, which no longer serves: version 2 does; `podium run nightly`"
        " judges again"
    )
    world.journal.gates.add(GateReport("release", "tiny", 3, 2, Verdict.PASS, (), time.time()))
    assert not any(
        "compared" in each for each in plans.plan(project, world.journal, How.PROMOTE, "production", 3).warnings
    )


def test_a_plan_announces_no_canary_where_nobody_has_traffic(world: World) -> None:
    world.version(1)
    world.version(2)
    world.change(strategy=Strategy("canary", weights=(5, 25), interval=60.0))
    world.deploy(1)
    assert "give version 2 5 %, 25 %" in " ".join(
        plans.plan(world.project, world.journal, How.DEPLOY, "staging", 2).steps
    )
    ending.end_all(world.runtime)
    plan = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 2)
    assert "give version 2 all traffic at once" in plan.steps
    assert any("a canary has nothing to be compared with" in warning for warning in plan.warnings)
    assert plan.expected_seconds is not None and plan.expected_seconds < 60


def test_who_moves_aliases_takes_no_module_of_the_projects_and_the_project_as_the_run_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.project.home / "random.py").write_text("raise RuntimeError('not meant')")
    (world.project.home / "podium.yaml").write_text("half: [edited")
    monkeypatch.chdir(world.project.home)
    world.version(1)
    row = world.deploy(1)
    # Another environment is protected, so that this one carries no alias: there is nothing to move.
    assert aliases.AliasProcess(world.project).move(row) == []


def test_what_the_machine_lacks_for_a_move_of_aliases_says_nothing_about_the_registry(world: World) -> None:
    """A rollback warns where the registry is away, and is over; here the rest is done when there is room again."""
    world.version(1)
    row = world.deploy(1)
    file = world.project.state / "journal.db"
    kept = file.rename(file.with_name("kept"))
    file.mkdir()
    try:
        with pytest.raises(OSError, match="the journal"):
            aliases.AliasProcess(world.project).move(row)
    finally:
        file.rmdir()
        kept.rename(file)


def test_why_aliases_were_not_moved_is_said_with_what_to_do(world: World) -> None:
    world.version(1)
    row = world.deploy(1)
    with pytest.raises(Unreachable) as caught:
        aliases.AliasProcess(world.project).move(replace(row, id=99))
    assert caught.value.message == "there is no deployment 99"
    assert "`podium history` lists the deployments" in caught.value.hint


def test_a_plan_compares_with_what_serves_there_and_with_the_champion_only_where_nothing_does(world: World) -> None:
    for number in (1, 2, 3):
        world.version(number)
    carriers = {1: ("champion",), 2: (), 3: ("challenger",)}
    known = [
        Version("tiny", number, 1.0, aliases=each, metrics={"f1": number / 10}) for number, each in carriers.items()
    ]
    world.journal.versions.replace("tiny", known, "f")

    def baseline() -> int:
        found = plans.plan(world.project, world.journal, How.DEPLOY, "staging", 3).versions
        assert found is not None and found.compared is not None
        return found.compared[0].version

    assert baseline() == 1
    world.deploy(2)
    assert baseline() == 2, "as its traffic goes from version 2 to version 3"
    status.stop(world.project, world.journal, world.environment)
    assert baseline() == 2
