"""Several people have to approve a step, the right ones, and one person counts once."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from podium.core.domain.access.proof import Proof
from podium.core.domain.project import Approvers, StepSpec
from podium.core.domain.runs import PIPELINE, Agreement, Approval, Run, RunState, Trigger
from podium.core.engine.approvals import Approver, counting, missing, waiting_words, why_not
from podium.core.engine.submit import approve
from podium.core.identity.account import account

from tests.engine.lab import Lab
from tests.scm.support import git
from tests.support import wait_until

TWO = """
ship: {run: "printf shipped", approvers: {number: 2}}
"""


def given(name: str, proof: Proof = Proof.ACCOUNT, at: float = 100.0) -> Approval:
    return Approval(1, "ship", name, at, account=name, proof=proof)


def spec(**approvers: object) -> StepSpec:
    return StepSpec("ship", run="true", approval=True, approval_timeout=50.0, approvers=Approvers(**approvers))  # type: ignore[arg-type]


def test_a_step_waits_for_the_second_person(lab: Lab) -> None:
    lab.pipeline(TWO)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    assert lab.steps(run.id)["ship"].message == "waits for 2 approvals"
    approve(lab.journal, run.id, None, who="anna", approver=Approver("anna"))
    approve(lab.journal, run.id, None, who="anna from 10.0.0.7", approver=Approver("anna"))
    wait_until(lambda: lab.steps(run.id)["ship"].message == "waits for 1 more approval: anna approved")
    assert lab.journal.runs.get(run.id).state is RunState.WAITING
    approve(lab.journal, run.id, None, who="ben", approver=Approver("ben", Proof.ACCOUNT))
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED
    assert lab.log(run.id, "ship") == "shipped"


def test_an_approval_for_something_else_is_taken_back(lab: Lab) -> None:
    lab.pipeline(TWO)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)

    def agreed(version: str, who: str) -> None:
        about = Agreement(run.id, "ship", "approve", who, 1.0, "", "production", version)
        approve(lab.journal, run.id, None, who=who, approver=Approver(who), agreements=(about,))

    agreed("2", "anna")
    agreed("3", "ben")
    assert [each.account for each in lab.journal.runs.approvals(run.id, "ship")] == ["ben"]
    agreed("3", "anna")
    assert lab.finish(run.id)[0].state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("number", "approvals", "left"),
    [
        (1, [], 1),
        (1, [given("anna")], 0),
        (2, [given("anna")], 1),
        (2, [given("anna"), given("ben")], 0),
        # The same person may have both accounts.
        (2, [given("root"), given("anna", Proof.HOST)], 1),
        (2, [given("root"), given("anna", Proof.HOST), given("ben", Proof.HOST)], 0),
        (3, [given("anna", Proof.HOST), given("ben", Proof.HOST)], 1),
    ],
)
def test_people_are_counted_by_what_proves_them(number: int, approvals: list[Approval], left: int) -> None:
    assert missing(spec(number=number), approvals) == left


def test_what_counts_is_recent_and_proved() -> None:
    both = [given("anna", at=40.0), given("ben"), given("cleo", Proof.HOST)]
    assert [each.account for each in counting(spec(), both, 100.0)] == ["ben", "cleo"]
    assert [each.account for each in counting(spec(proof=Proof.HOST), both, 100.0)] == ["cleo"]
    assert [each.account for each in counting(spec(), both, 150.0)] == ["ben", "cleo"]
    assert counting(spec(), both, 150.1) == []
    assert counting(spec(), both, -1000.0) == [], "one that was given while the clock was ahead has no end"


def test_what_it_waits_for_is_said() -> None:
    assert waiting_words(spec(), []) == "waits for approval"
    assert waiting_words(spec(number=3), []) == "waits for 3 approvals"
    assert waiting_words(spec(number=3), [given("anna")]) == "waits for 2 more approvals: anna approved"


def run_of(commit: str = "", trigger: Trigger = Trigger.PUSH, who: str = "podium watch") -> Run:
    return replace(Run(1, PIPELINE, "main", RunState.WAITING, trigger, who, 0.0), commit=commit)


@pytest.mark.parametrize("proof", list(Proof))
def test_who_may_is_said_with_the_reason(lab: Lab, proof: Proof) -> None:
    anna = Approver("anna", proof)
    assert why_not(Approvers(), anna, run_of(), lab.home) == ""
    assert why_not(Approvers(among=("anna", "ben")), anna, run_of(), lab.home) == ""
    assert "not among those who may approve it: ben" in why_not(Approvers(among=("ben",)), anna, run_of(), lab.home)
    refused = why_not(Approvers(proof=Proof.HOST), anna, run_of(), lab.home)
    assert ("asks for accounts of the Git host" in refused) is (proof is Proof.ACCOUNT)


def test_a_group_is_that_of_this_machine(lab: Lab) -> None:
    import grp

    here = Approver.here()
    mine = grp.getgrgid(os.getgid()).gr_name
    assert here.account == account() and why_not(Approvers(group=mine), here, run_of(), lab.home) == ""
    assert "not in the group" in why_not(Approvers(group="no-such-group"), here, run_of(), lab.home)
    assert "not in the group" in why_not(Approvers(group=mine), Approver(here.account, Proof.HOST), run_of(), lab.home)
    assert "not in the group" in why_not(Approvers(group=mine), Approver("no-such-account"), run_of(), lab.home)


def test_whoever_made_the_commit_or_started_the_run_is_not_a_second_pair_of_eyes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "a change", "--author", "Anna Berg <anna@example.com>")
    made = git(tmp_path, "rev-parse", "HEAD").strip()
    others = Approvers(author=False)
    for name, proof in product(("anna", "Anna", "anna@example.com", "Anna Berg"), Proof):
        assert "asks for somebody else" in why_not(others, Approver(name, proof), run_of(made), tmp_path)
        assert why_not(Approvers(), Approver(name, proof), run_of(made), tmp_path) == ""
    assert why_not(others, Approver("ben"), run_of(made), tmp_path) == ""
    by_hand = run_of(trigger=Trigger.PERSON, who="ben from 10.0.0.7")
    assert "started the run" in why_not(others, Approver("ben"), by_hand, tmp_path)
