"""Who may promote, roll back, approve, lift and stop: by podium.yaml at hand and by the release branch's."""

from __future__ import annotations

import grp
import os
import pwd
import time
from pathlib import Path

import pytest
from podium.core import changes
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.domain.access.proof import Proof
from podium.core.domain.access.roles import ROLE_OF, Role
from podium.core.domain.delivery import CanaryRequest, DeploymentState, How
from podium.core.domain.project import Project
from podium.core.domain.runs import RunState, StepState
from podium.core.engine import roles
from podium.core.engine.approvals import Approver
from podium.core.engine.run.trust import of_release_branch
from podium.core.engine.submit import approve
from podium.core.errors import Refused
from podium.core.identity.account import account
from podium.core.journal import Journal

from tests.engine.lab import Lab
from tests.scm.support import git

ME = account()
GROUP = grp.getgrgid(pwd.getpwuid(os.getuid()).pw_gid).gr_name
NOBODY = "somebody-else"


def project(home: Path, who: str, *, more: str = "") -> Project:
    home.mkdir(exist_ok=True)
    (home / "podium.yaml").write_text(
        f"project: shop\n{more}environments: {{production: {{port: 5100, who: {who}}}, staging: {{port: 5101}}}}\n"
    )
    return load(home)


@pytest.mark.parametrize(
    ("who", "person", "may"),
    [
        ("{}", Approver("ann"), True),
        ("{stop: [ann]}", Approver("ann"), True),
        ("{promote: [ann, ben]}", Approver("ben"), True),
        ("{promote: ann}", Approver("ben"), False),
        ("{promote: {accounts: [ann]}}", Approver("Ann"), False),
        (f"{{promote: {{groups: [{GROUP}]}}}}", Approver(ME), True),
        (f"{{promote: {{accounts: [ann], groups: [{GROUP}]}}}}", Approver("ann"), True),
        ("{promote: {groups: [no-such-group]}}", Approver(ME), False),
        # An account of the Git host is not one of this machine, whatever it is called.
        ("{promote: [ann]}", Approver("ann", Proof.HOST), False),
    ],
)
def test_accounts_and_groups(tmp_path: Path, who: str, person: Approver, may: bool) -> None:
    message, hint = roles.why_not(project(tmp_path, who), "production", Role.PROMOTE, [person])
    assert bool(message) is not may
    assert may or ("may not promote in production" in message and "environments.production.who.promote" in hint)


def test_every_change_of_what_serves_asks_for_a_role() -> None:
    assert {*(how.value for how in How), *(each.value for each in CanaryRequest), "stop", "restart"} == set(ROLE_OF)


def test_nobody_gives_a_role_to_themselves(tmp_path: Path) -> None:
    home = tmp_path / "shop"
    project(home, f"{{promote: [{NOBODY}], lift: [{NOBODY}]}}")
    git(home, "init", "-q", "-b", "main")
    git(home, "add", "podium.yaml")
    git(home, "commit", "-q", "-m", "first")
    for mine in (f"{{promote: [{ME}]}}", "{}"):
        own = project(home, mine)
        message, hint = roles.why_not(own, "production", Role.PROMOTE, [Approver(ME)])
        assert f"{NOBODY} may" in message and "on the branch main" in hint
    with pytest.raises(Refused, match="lift quarantines of production"):
        roles.ensure_everywhere(own, Role.LIFT)
    git(home, "commit", "-q", "-am", "everybody")
    assert roles.why_not(own, "production", Role.PROMOTE, [Approver(ME)]) == ("", "")


def test_what_a_commit_says_of_roles_counts_from_the_next_one_on(tmp_path: Path) -> None:
    trusted = project(tmp_path, "{promote: [ann], stop: {groups: [oncall]}}")
    for weaker, words in (
        ("{stop: {groups: [oncall]}}", "environment production lets others promote"),
        ("{promote: [ann, ben], stop: {groups: [oncall]}}", "environment production lets others promote"),
        ("{promote: [ann], stop: {groups: [all]}}", "environment production lets others stop"),
    ):
        judged = of_release_branch(project(tmp_path, weaker), [trusted])
        assert judged.weakened == (words,)
        assert judged.project.environments["production"].who == trusted.environments["production"].who
    stricter = project(tmp_path, "{promote: [ann], stop: {groups: [oncall]}, lift: [ann]}")
    assert of_release_branch(stricter, [trusted]).project == stricter


def served(journal: Journal) -> None:
    row = journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="shop", to_version=3, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)


def test_a_plan_says_so_and_is_not_carried_out(tmp_path: Path) -> None:
    own = project(tmp_path, f"{{stop: [{NOBODY}]}}")
    (tmp_path / ".podium").mkdir(mode=0o700)
    cockpit = Cockpit.open(tmp_path)
    served(cockpit.journal)
    plan = cockpit.changes.plan("stop", "production")
    assert plan.refusal == f"{ME} may not stop or start production: {NOBODY} may" and not plan.overridable
    with pytest.raises(Refused, match="may not stop or start"):
        cockpit.changes.apply(plan, force=True, why="I want to")
    with pytest.raises(Refused, match="may not stop or start"):
        cockpit.environments.stop()
    # One who made the plan before, or without: it is asked again.
    project(tmp_path, "{}")
    plan = cockpit.changes.plan("stop", "production")
    assert not plan.refusal
    with pytest.raises(Refused, match="may not stop or start"):
        changes.apply(own, cockpit.journal, plan, who="anna")
    assert not cockpit.runs.list()
    cockpit.close()


def test_doctor_names_who_is_not_of_this_machine(tmp_path: Path) -> None:
    project(tmp_path, f"{{promote: [{ME}, {NOBODY}], stop: {{groups: [{GROUP}, no-such-group]}}}}")
    cockpit = Cockpit.open(tmp_path)
    found = [each.message for each in cockpit.project.doctor() if "who." in each.message]
    assert found == [
        f"who.promote names the account {NOBODY}, which this machine does not have",
        "who.stop names the group no-such-group, which this machine does not have",
    ]
    cockpit.close()


def test_lifting_a_quarantine(tmp_path: Path) -> None:
    project(tmp_path, f"{{lift: [{NOBODY}]}}")
    (tmp_path / ".podium").mkdir(mode=0o700)
    cockpit = Cockpit.open(tmp_path)
    cockpit.journal.quarantine.add("shop", 4, "", "anna")
    with pytest.raises(Refused, match="may not lift quarantines of production"):
        cockpit.models.lift_quarantine(4)
    assert cockpit.models.quarantined()
    project(tmp_path, f"{{lift: [{ME}]}}")
    cockpit.models.lift_quarantine(4)
    assert not cockpit.models.quarantined()
    cockpit.close()


def ships(lab: Lab, who: str) -> None:
    """A pipeline whose one step deploys, once somebody has approved it."""
    step = "ship: {uses: deploy, environment: production, version: 1, approval: required}"
    text = f"project: lab\npipelines: {{main: {{steps: {{{step}}}}}}}\n"
    lab.write("podium.yaml", f"{text}environments: {{production: {{port: 5100, who: {{{who}}}}}}}\n")


def test_a_step_is_carried_out_by_who_may_or_for_who_has_approved_it(lab: Lab) -> None:
    """The worker's account, such as the agent's, answers for a step; or somebody who has approved it."""
    ships(lab, f"promote: [{NOBODY}]")
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    approve(lab.journal, run.id, None, who="ann", approver=Approver("ann"))
    _, steps = lab.finish(run.id)
    assert steps["ship"].state is StepState.FAILED
    assert (
        f"{ME} and ann may not promote in production: {NOBODY} may" in lab.log(run.id, "ship") + steps["ship"].message
    )
    again = lab.start()
    lab.transport(again.id, RunState.WAITING)
    approve(lab.journal, again.id, None, who=NOBODY, approver=Approver(NOBODY))
    _, steps = lab.finish(again.id)
    assert "may not promote" not in lab.log(again.id, "ship") + steps["ship"].message, "it fails for want of a version"


def test_approving_needs_the_role_as_well(lab: Lab) -> None:
    ships(lab, f"approve: [{NOBODY}]")
    run = lab.start()
    lab.transport(run.id, RunState.WAITING)
    plan = changes.plan(lab.project, lab.journal, "approve", str(run.id))
    assert plan.refusal == f"{ME} may not approve changes of production: {NOBODY} may"
    with pytest.raises(Refused, match="may not approve"):
        changes.apply(lab.project, lab.journal, plan, who="anna")
    assert not lab.journal.runs.approvals(run.id, "ship")
    people = roles.behind(lab.project, lab.journal, run, "ship", time.time())
    assert people == [Approver(ME)]
