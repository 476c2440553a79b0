"""Terraform by its own program: planned, approved, applied, interrupted, locked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
from dataclasses import replace

import pytest
from podium.core import changes
from podium.core.domain.infra.declared import Declared
from podium.core.domain.infra.rules import ChangeKind
from podium.core.domain.runs import RunState
from podium.core.errors import Refused
from podium.core.infra import written
from podium.core.infra.declared import declared
from podium.core.infra.saved import remove_expired
from podium.core.infra.status import status_of
from podium.core.retention.kinds import kind_of

from tests.infra.conftest import MAIN, InfraLab
from tests.runner.scale import scaled
from tests.support import wait_until

SECRET = "correct-horse-battery"
# Waits for a file before it is created, so that a test can look meanwhile.
SLOW = """\
resource "terraform_data" "first" { input = "first" }
resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
  input      = "second"
  provisioner "local-exec" {
    command = "touch ../begun; while [ ! -e ../go ]; do sleep 0.05; done"
  }
}
resource "terraform_data" "third" {
  depends_on = [terraform_data.second]
  input      = "third"
}
"""


def _how(lab: InfraLab) -> Declared:
    return declared(lab.project, lab.journal, "serving")


def test_a_plan_is_a_run_and_what_it_saves_is_for_its_owner_alone(lab: InfraLab) -> None:
    lab.one()
    assert (_how(lab).differs, _how(lab).plan, _how(lab).command) == (True, None, "podium infra plan serving")
    run = lab.good(lab.plan())
    results = lab.steps(run.id)["infra-plan"].results
    plan = lab.saved().plan()
    assert plan is not None
    assert results["plan"] == plan.digest == lab.saved().digest()
    assert plan.counts() == {ChangeKind.CREATE: 2}
    assert (plan.run, plan.who, plan.expires - plan.created) == (run.id, "tester", 3600)
    assert stat.S_IMODE(lab.saved().directory.stat().st_mode) == 0o700
    for file in (lab.saved().file, lab.saved().directory / "plan.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (lab.home / "tf/.terraform").exists(), "the user's own choice of a workspace is not touched"
    assert lab.asked().rests_on == {"plan": plan.digest}
    found = _how(lab)
    assert found.differs and found.applies and found.words == "a plan waits: 2 changes"
    assert found.plan is not None and found.plan.rests_on == {"plan": plan.digest}


def test_nothing_sensitive_is_shown_or_written(lab: InfraLab) -> None:
    lab.one("auto: [create]")
    planned = lab.good(lab.plan())
    user = next(each for each in lab.saved().plan().changes if each.address == "terraform_data.user")
    assert {each.path: each.after for each in user.attributes if each.path.startswith("input")} == {
        "input.name": "serving",
        "input.password": "(sensitive)",
    }
    shown = str(lab.asked())
    applied = lab.good(lab.apply())
    assert not _how(lab).differs and _how(lab).words.startswith("applied")
    looked = lab.good(lab.over(lab.operate("infra-drift")))
    for text in (lab.everything(planned), lab.everything(applied), lab.everything(looked), shown):
        assert SECRET not in text
    left = [
        path for path in lab.saved().directory.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ]
    assert not left
    assert json.loads((lab.saved().directory / "outputs.json").read_text()) == {"address": "unix:///run/small.sock"}


def test_what_a_provider_prints_is_masked(lab: InfraLab) -> None:
    leaks = MAIN + (
        'resource "terraform_data" "leak" {\n  provisioner "local-exec" {\n'
        f'    command = "echo the password is {SECRET}; echo {SECRET} >&2; exit 3"\n  }}\n}}\n'
    )
    lab.one(main=leaks)
    lab.good(lab.plan())
    run = lab.apply()
    assert run.state is RunState.FAILED
    text = lab.everything(run)
    assert SECRET not in text
    assert "the password is ***" in text


def test_a_variable_reaches_the_program_by_its_environment_alone(
    lab: InfraLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = lab.home / "argv"
    wrapper = lab.write("wrapper", f'#!/bin/sh\necho "$@" >> {seen}\nexec {lab.program} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("DATABASE", "from-the-environment")
    lab.infra("  serving: {terraform: tf, program: ./wrapper, vars: {password: '${DATABASE}', size: large}}")
    lab.good(lab.plan())
    lab.good(lab.apply())
    assert "from-the-environment" not in seen.read_text()
    state = json.loads((lab.home / "tf/terraform.tfstate").read_text())
    assert state["outputs"]["password"]["value"] == "from-the-environment"
    assert state["outputs"]["address"]["value"] == "unix:///run/large.sock"


def test_the_worst_comes_first_and_says_why(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    lab.good(lab.apply())
    lab.one("vars: {size: large}", main=MAIN.replace('name = "serving"', 'name = "other"'))
    lab.good(lab.plan())
    plan = lab.saved().plan()
    assert [(each.kind, each.address) for each in plan.changes] == [
        (ChangeKind.REPLACE, "terraform_data.disk"),
        (ChangeKind.UPDATE, "terraform_data.user"),
    ]
    assert [each.path for each in plan.changes[0].attributes if each.forces] == ["triggers_replace[0]"]
    assert plan.words() == "1 to replace, 1 to update"
    assert "destroyed and created again: triggers_replace[0]" in lab.asked().changes[0].after


def test_only_the_saved_plan_is_applied_and_only_once(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    asked = lab.asked()
    lab.write("tf/more.tf", 'resource "terraform_data" "later" {}\n')
    applied = lab.good(lab.apply())
    assert sorted(lab.steps(applied.id)["infra-apply"].results["resources"]) == [
        "terraform_data.disk",
        "terraform_data.user",
    ]
    assert not lab.saved().file.exists() and not (lab.saved().directory / "applying").exists()
    again = changes.apply(lab.project, lab.journal, asked, who="tester")
    assert again is not None
    run = lab.over(again)
    assert run.state is RunState.FAILED and "no plan that waits" in run.message


def test_the_rules_say_who_has_to_agree(lab: InfraLab) -> None:
    lab.one("auto: [create, update], never: {replace: [terraform_data.disk], delete: ['*.disk']}")
    lab.good(lab.plan())
    assert status_of(lab.project, lab.journal, "serving").judgement.decision == "auto"
    lab.good(lab.apply())
    lab.one("auto: [create, update], never: {replace: [terraform_data.disk]}, vars: {size: large}")
    lab.good(lab.plan())
    asked = lab.asked()
    assert "never lets this be done" in asked.refusal and "replace terraform_data.disk" in asked.refusal
    with pytest.raises(Refused, match="never lets this be done"):
        changes.apply(lab.project, lab.journal, replace(asked, refusal=""), who="tester", force=True, why="now")
        run = lab.journal.runs.page(limit=1)[0]
        raise Refused(lab.over(run).message)


def test_a_protected_one_is_typed_where_something_ends(lab: InfraLab) -> None:
    lab.one("protected: true")
    lab.good(lab.plan())
    assert lab.asked().type_to_confirm == "", "nothing ends"
    lab.good(lab.apply())
    lab.good(lab.plan(destroy="true"))
    assert lab.asked().type_to_confirm == "serving"
    with pytest.raises(Refused):
        lab.begin_apply()
    lab.good(lab.apply(confirmed="serving"))
    assert json.loads((lab.home / "tf/terraform.tfstate").read_text())["resources"] == []


def test_an_approval_is_of_one_plan_and_ends_with_it(lab: InfraLab) -> None:
    lab.one(rest=PIPELINE)
    lab.good(lab.plan())
    changes.apply(lab.project, lab.journal, lab.asked(verb="infra-approve"), who="anna", why="looks good")
    assert status_of(lab.project, lab.journal, "serving").approval.who == "anna"
    old = lab.asked(verb="infra-approve")
    lab.write("tf/more.tf", 'resource "terraform_data" "later" {}\n')
    lab.good(lab.plan())
    assert status_of(lab.project, lab.journal, "serving").approval is None
    with pytest.raises(Refused, match="another one by now"):
        changes.apply(lab.project, lab.journal, old, who="anna")
    assert any(entry.action == "approve" and entry.why == "looks good" for entry in lab.journal.audit.page(limit=20))


def test_a_plan_that_was_touched_is_not_applied(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    asked = lab.asked()
    with lab.saved().file.open("ab") as file:
        file.write(b"x")
    started = changes.apply(lab.project, lab.journal, asked, who="tester")
    assert started is not None
    ended = lab.over(started)
    assert ended.state is RunState.FAILED and "SHA-256" in ended.message
    assert not lab.saved().file.exists()


def test_a_plan_expires_and_is_removed(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    plan = lab.saved().plan()
    assert remove_expired(lab.project.state, plan.expires - 1) == []
    assert remove_expired(lab.project.state, plan.expires + 1) == ["serving"]
    assert not lab.saved().file.exists()
    assert "it has expired" in lab.asked().refusal


def test_a_stale_plan_is_refused(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    subprocess.run(
        [lab.program, "apply", "-auto-approve", "-input=false"],
        cwd=lab.home / "tf",
        env={**os.environ, "TF_DATA_DIR": str(lab.saved().data)},
        check=True,
        capture_output=True,
        timeout=scaled(60),
    )
    run = lab.apply()
    assert run.state is RunState.FAILED
    assert "is stale: the state has changed since it was made" in run.message
    assert lab.saved().plan() is None


def test_a_locked_state_names_its_holder(lab: InfraLab) -> None:
    lab.one(main=SLOW)
    lab.good(lab.plan())
    run = lab.begin_apply()
    wait_until(lambda: (lab.home / "begun").exists(), 30)
    lab.write(
        "tf2/main.tf",
        (lab.home / "tf/main.tf").read_text()
        + 'terraform {\n  backend "local" { path = "../tf/terraform.tfstate" }\n}\n',
    )
    text = (lab.home / "podium.yaml").read_text()
    lab.write("podium.yaml", text + f"  other: {{terraform: tf2, program: {lab.program}}}\n")
    locked = lab.plan("other")
    (lab.home / "go").touch()
    lab.good(lab.over(run))
    assert locked.state is RunState.FAILED
    assert "is locked by" in locked.message and "for its apply" in locked.message
    assert "force-unlock" in lab.everything(locked)


def test_an_apply_that_is_killed_says_so_and_nothing_is_applied_twice(lab: InfraLab) -> None:
    lab.one(main=SLOW)
    lab.good(lab.plan())
    run = lab.begin_apply()
    wait_until(lambda: (lab.home / "begun").exists(), 30)
    worker = lab.journal.runs.get(run.id).worker_pid
    step, *below = _family(json.loads((lab.saved().directory / "applying.json").read_text())["pid"])
    for each in (worker, step):  # all of them die at once: neither may see the other or the program die first
        os.kill(each, signal.SIGSTOP)
    _kill([*below, step, worker])
    wait_until(lambda: lab.saved().interruption(), 30, what="the apply is seen to be cut short")
    (lab.home / "go").touch()
    status = status_of(lab.project, lab.journal, "serving")
    assert status.state() == "cut short" and status.plan is None
    assert _how(lab).differs and _how(lab).words == "its last apply was cut short"
    assert (status.interrupted.run, status.interrupted.done, status.interrupted.open) == (
        run.id,
        ("terraform_data.first",),
        ("terraform_data.second",),
    )
    assert not (lab.saved().directory / "applying").exists(), "a plan holds secrets"
    assert "cut short" in lab.asked().refusal or "no plan that waits" in lab.asked().refusal
    planned = lab.good(lab.plan())
    plan = lab.saved().plan()
    assert "terraform_data.first" not in [each.address for each in plan.changes]
    assert f"the apply of run {run.id} was cut short" in plan.previous
    assert "cut short" in lab.log(planned.id, "infra-plan")
    lab.good(lab.apply())
    state = json.loads((lab.home / "tf/terraform.tfstate").read_text())
    assert sorted(each["name"] for each in state["resources"]) == ["first", "second", "third"]
    assert status_of(lab.project, lab.journal, "serving").state() == "applied"


def test_a_state_that_was_emptied_is_never_taken_for_that_of_nothing(lab: InfraLab) -> None:
    """The program empties its state's file before it writes it: a kill between the two is rare, and this is what it leaves."""
    lab.one(main=SLOW)
    lab.good(lab.plan())
    run = lab.begin_apply()
    wait_until(lambda: (lab.home / "begun").exists(), 30)
    _, *below = _family(json.loads((lab.saved().directory / "applying.json").read_text())["pid"])
    _kill(below)
    lab.over(run)
    (lab.home / "go").touch()
    state = lab.home / "tf/terraform.tfstate"
    was = state.read_text()
    state.write_text("")
    refused = lab.plan()
    assert refused.state is RunState.FAILED and "terraform.tfstate is empty" in refused.message
    assert "after it had made terraform_data.first" in refused.message
    assert lab.saved().interruption() is not None, "it is still to be told"
    state.write_text(was)
    lab.good(lab.plan())
    lab.good(lab.apply())
    assert (lab.home / "tf/terraform.tfstate.backup").stat().st_size
    state.write_text("")
    refused = lab.plan()
    assert refused.state is RunState.FAILED and "put terraform.tfstate.backup in its place" in lab.everything(refused)


def test_a_program_that_is_killed_leaves_what_it_began_to_the_next_plan(lab: InfraLab) -> None:
    lab.one(main=SLOW)
    lab.good(lab.plan())
    run = lab.begin_apply()
    wait_until(lambda: (lab.home / "begun").exists(), 30)
    _, *below = _family(json.loads((lab.saved().directory / "applying.json").read_text())["pid"])
    _kill(below)
    ended = lab.over(run)
    assert ended.state is RunState.FAILED and "was killed before it was done" in ended.message
    assert wait_until(lambda: lab.saved().interruption(), 30).open == ("terraform_data.second",)


def test_cancelling_lets_the_program_end_by_itself(lab: InfraLab) -> None:
    from podium.core.engine.submit import cancel

    lab.one(main=SLOW)
    lab.good(lab.plan())
    run = lab.begin_apply()
    wait_until(lambda: (lab.home / "begun").exists(), 30)
    cancel(lab.journal, run.id, "tester")
    (lab.home / "go").touch()
    assert lab.over(run).state is RunState.CANCELLED
    wait_until(lambda: not lab.saved().under_way(), 30)
    state = json.loads((lab.home / "tf/terraform.tfstate").read_text())
    assert "first" in [each["name"] for each in state["resources"]]
    assert "third" not in [each["name"] for each in state["resources"]]


def test_an_apply_that_fails_keeps_what_it_did(lab: InfraLab) -> None:
    lab.one(
        main=MAIN
        + 'resource "terraform_data" "bad" {\n  depends_on = [terraform_data.disk]\n  provisioner "local-exec" { command = "exit 3" }\n}\n'
    )
    lab.good(lab.plan())
    run = lab.apply()
    assert run.state is RunState.FAILED and "the apply failed: local-exec provisioner error" in run.message
    results = lab.steps(run.id)["infra-apply"].results
    assert "terraform_data.disk" in results["done"] and results["unfinished"] == ["terraform_data.bad"]
    assert lab.saved().interruption() is None, "the program ended by itself: the state says all of it"


def test_a_workspace_has_a_state_of_its_own(lab: InfraLab) -> None:
    lab.infra(
        f"  blue: {{terraform: tf, program: {lab.program}, workspace: blue}}\n"
        f"  green: {{terraform: tf, program: {lab.program}, workspace: green, vars: {{size: large}}}}"
    )
    for name in ("blue", "green"):
        lab.good(lab.plan(name))
        lab.good(lab.apply(name))
    for name, size in (("blue", "small"), ("green", "large")):
        state = json.loads((lab.home / f"tf/terraform.tfstate.d/{name}/terraform.tfstate").read_text())
        assert state["outputs"]["address"]["value"] == f"unix:///run/{size}.sock"


def test_drift_in_a_plan_that_nothing_depends_on_is_noise(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    lab.good(lab.apply())
    run = lab.good(lab.over(lab.operate("infra-drift")))
    assert lab.steps(run.id)["infra-drift"].results["drift"] == 0
    assert not (lab.saved().directory / "drift").exists()


PIPELINE = """
pipelines:
  main:
    steps:
      plan: {uses: terraform, infra: serving, action: plan}
      apply: {uses: terraform, infra: serving, needs: plan}
"""


def test_a_pipeline_goes_on_by_itself_where_the_rules_let_it(lab: InfraLab) -> None:
    lab.one("auto: [create]", rest=PIPELINE)
    run, steps = lab.run(timeout=60)
    lab.good(run)
    assert steps["apply"].results["counts"] == {"create": 2}


def test_a_pipeline_waits_for_a_person_where_they_do_not(lab: InfraLab) -> None:
    lab.one("auto: [update]", rest=PIPELINE)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING, timeout=60)
    step = lab.steps(run.id)["apply"]
    assert "create terraform_data.disk" in step.message
    asked = changes.plan(lab.project, lab.journal, "approve", str(run.id))
    assert [each.subject for each in asked.changes][:2] == ["terraform_data.disk", "terraform_data.user"]
    changes.apply(lab.project, lab.journal, asked, who="anna")
    lab.good(lab.over(run))
    assert any(
        entry.who.startswith("anna") and entry.action == "infra apply" for entry in lab.journal.audit.page(limit=20)
    )


def test_an_approval_of_a_run_is_refused_where_the_plan_is_another_one(lab: InfraLab) -> None:
    lab.one(rest=PIPELINE)
    run = lab.start()
    lab.transport(run.id, RunState.WAITING, timeout=60)
    asked = changes.plan(lab.project, lab.journal, "approve", str(run.id))
    lab.write("tf/more.tf", 'resource "terraform_data" "later" {}\n')
    lab.good(lab.plan())
    with pytest.raises(Refused, match="would do something else by now"):
        changes.apply(lab.project, lab.journal, asked, who="anna")


def test_a_step_alone_plans_and_asks_nobody(lab: InfraLab) -> None:
    alone = "\npipelines: {main: {steps: {apply: {uses: terraform, infra: serving}}}}\n"
    lab.one("auto: [update]", rest=alone)
    run, _ = lab.run(timeout=60)
    assert run.state is RunState.FAILED and "needs an approval: create" in run.message
    lab.one("auto: [create]", rest=alone)
    lab.good(lab.run(timeout=60)[0])


def test_outputs_of_one_are_variables_of_another_and_the_order_follows(lab: InfraLab) -> None:
    from podium.core.infra.order import in_order

    lab.infra(
        f"  serving: {{terraform: tf, program: {lab.program}, vars: {{size: '${{{{ infra.network.outputs.name }}}}'}}}}\n"
        f"  network: {{terraform: net, program: {lab.program}}}"
    )
    lab.write("net/main.tf", 'resource "terraform_data" "net" {}\noutput "name" { value = "wide" }\n')
    assert in_order(lab.project) == ["network", "serving"]
    early = lab.plan()
    assert early.state is RunState.FAILED and "infra.network.outputs.name is not known" in early.message
    for name in ("network", "serving"):
        lab.good(lab.plan(name))
        lab.good(lab.apply(name))
    state = json.loads((lab.home / "tf/terraform.tfstate").read_text())
    assert state["outputs"]["address"]["value"] == "unix:///run/wide.sock"


def test_a_new_host_serves_in_the_same_pipeline(lab: InfraLab) -> None:
    """The environment's host is an output of an earlier step; that the address is used, the refusal of its engine
    shows."""
    rest = """
environments:
  production: {driver: docker, host: "${{ infra.serving.outputs.address }}"}
pipelines:
  main:
    steps:
      make: {uses: terraform, infra: serving}
      serve: {uses: deploy, environment: production, version: 1, needs: make}
"""
    lab.one("auto: [create]", rest=rest)
    with pytest.raises(Refused, match="needs what is not known yet"):
        lab.project.environment("production")
    run, steps = lab.run(timeout=60)
    assert steps["make"].state == "succeeded"
    assert lab.project.environment("production").host == "unix:///run/small.sock"
    assert "needs what is not known yet" not in run.message


def test_a_commits_run_keeps_the_state_with_the_project(lab: InfraLab) -> None:
    lab.one("auto: [create]", rest=PIPELINE)
    lab.write(".gitignore", "*.tfstate*\n.podium/\n")
    lab.git("init", "-q", "-b", "main")
    sha = lab.commit("infrastructure")
    run, _ = lab.run(timeout=90, commit=sha)
    lab.good(run)
    state = json.loads((lab.home / "tf/terraform.tfstate").read_text())
    assert len(state["resources"]) == 2
    lab.good(lab.plan())
    assert not lab.saved().plan().applyable, "the same state is seen from the working tree"


def test_a_plan_is_read_as_it_was_written(lab: InfraLab) -> None:
    lab.one()
    lab.good(lab.plan())
    plan = lab.saved().plan()
    assert written.read_plan(written.plan_text(plan)) == plan


def test_what_it_keeps_has_a_row_of_retention() -> None:
    assert kind_of("infra/serving/plan").name == "infra"
    assert kind_of("infra/serving/data/providers/x").name == "infra"


def _family(pid: int | None) -> list[int]:
    """The process and all below it, as they are now."""
    import psutil

    assert pid is not None
    process = psutil.Process(pid)
    return [each.pid for each in (process, *process.children(recursive=True))]


def _kill(pids: list[int]) -> None:
    """Kills each; one whose parent is gone may have ended by itself."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
