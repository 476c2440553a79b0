"""One plan, one apply: what the façade itself refuses, and what a new kind of change costs."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core import plugins, reserve
from podium.core.changes import RUN_VERBS
from podium.core.cockpit import Cockpit
from podium.core.domain.delivery import CanaryRequest, How
from podium.core.domain.models import Version
from podium.core.domain.plans import Plan
from podium.core.domain.runs import RunState
from podium.core.errors import NotFound, Refused

from tests.support import free_port, wait_until

CONFIG = """\
project: shop
mlflow: {{model: tiny}}
environments:
  production: {{driver: process, port: {port}, protected: true}}
"""


@pytest.fixture
def cockpit(tmp_path: Path) -> Cockpit:
    (tmp_path / "podium.yaml").write_text(CONFIG.format(port=free_port()))
    made = Cockpit(tmp_path)
    made.journal.versions.update(Version("tiny", 1, time.time()))
    made.journal.versions.update(Version("tiny", 2, time.time()))
    return made


def serve(cockpit: Cockpit, version: int) -> None:
    """By the ledger."""
    ledger = cockpit.journal.ledger
    row = ledger.begin(environment="production", how=How.PROMOTE, model="tiny", to_version=version,
                       from_version=None, who="ops")  # fmt: skip
    ledger.finish(row.id, "succeeded")


def canary(cockpit: Cockpit) -> None:
    row = cockpit.journal.ledger.begin(environment="production", how=How.PROMOTE, model="tiny", to_version=2,
                                       from_version=1, who="ops", strategy="canary")  # fmt: skip
    stage = {"stage": 0, "weights": [25], "share": 25, "state": "running", "since": 0.0, "until": time.time() + 60}
    cockpit.journal.ledger.phase(row.id, "warmed", {"canary": stage})


def rollback(cockpit: Cockpit) -> Plan:
    serve(cockpit, 1)
    serve(cockpit, 2)
    return cockpit.changes.plan("rollback", "production", version=1)


def full(cockpit: Cockpit) -> Plan:
    canary(cockpit)
    return cockpit.changes.plan("full", "production")


def repair(cockpit: Cockpit) -> Plan:
    serve(cockpit, 1)
    return cockpit.changes.plan("repair", "production")


MADE: dict[str, Callable[[Cockpit], Plan]] = {
    "deploy": lambda cockpit: cockpit.changes.plan("deploy", "production", version=1),
    "promote": lambda cockpit: cockpit.changes.plan("promote", "production", version=1, force=True),
    "rollback": rollback,
    "full": full,
    "repair": repair,
    "restart": lambda cockpit: cockpit.changes.plan("restart", "production", replica="proxy"),
    "shell": lambda cockpit: cockpit.changes.plan("shell", "production", name="production-v1-1"),
}


@pytest.mark.parametrize("verb", MADE)
@pytest.mark.parametrize("typed", ["", "staging"])
def test_on_a_protected_environment_each_verb_needs_the_typed_name(cockpit: Cockpit, verb: str, typed: str) -> None:
    plan = MADE[verb](cockpit)
    assert plan.type_to_confirm == "production"
    with pytest.raises(Refused, match="production is protected") as caught:
        cockpit.changes.apply(plan, confirmed=typed, why="it is right", force=True)
    assert caught.value.hint == f"{plan.command} --yes --confirm production"
    assert cockpit.journal.runs.count() == 0


def test_a_shell_in_a_protected_environment_needs_the_typed_name(cockpit: Cockpit) -> None:
    with pytest.raises(Refused, match="production is protected"):
        cockpit.containers.shell_command("production", "production-v1-1", program=["podium"])
    for typed in ("", "staging"):
        with pytest.raises(Refused, match="production is protected"):
            cockpit.containers.shell("production", "production-v1-1", confirmed=typed)
    with pytest.raises(Refused, match="served by processes"):  # agreed to: what comes next refuses it
        cockpit.containers.shell("production", "production-v1-1", confirmed="production")
    given = cockpit.containers.shell_command("production", "v1-1", program=["podium"], confirmed="production")
    assert given[-3:] == ["-e", "production", "v1-1"]
    assert given[-5:-3] == ["--confirm", "production"], "the command would ask once more"


@pytest.mark.parametrize("verb", ["pause", "abort"])
def test_nobody_who_holds_a_canary_up_or_sends_it_back_has_to_type(cockpit: Cockpit, verb: str) -> None:
    canary(cockpit)
    plan = cockpit.changes.plan(verb, "production")
    assert plan.type_to_confirm == "" and plan.changes
    assert cockpit.changes.apply(plan, why="lunch") is None
    [asked] = cockpit.journal.canary_requests.after(1)
    assert (asked.request, asked.why) == (CanaryRequest(verb), "lunch")


def test_a_request_that_makes_no_sense_now_is_refused_in_the_plan_and_when_it_is_applied(cockpit: Cockpit) -> None:
    with pytest.raises(Refused, match="no canary is running in production"):
        cockpit.changes.plan("resume", "production")
    canary(cockpit)
    plan = cockpit.changes.plan("resume", "production")
    assert "is not paused" in plan.refusal
    with pytest.raises(Refused, match="is not paused"):
        cockpit.changes.apply(plan)
    with pytest.raises(Refused, match="is not paused"):
        cockpit.changes.apply(replace(plan, refusal=""))


def test_only_a_refusal_that_may_be_overridden_is_and_only_with_a_reason(cockpit: Cockpit) -> None:
    plan = Plan("production", "promote", "Promote", "Promote", "", refusal="no gate", overridable=True)
    for given in ({}, {"force": True}, {"why": "it is right"}):
        with pytest.raises(Refused, match="no gate") as caught:
            cockpit.changes.apply(plan, **given)
        assert "--why" in caught.value.hint
    with pytest.raises(Refused, match="no gate") as caught:
        cockpit.changes.apply(replace(plan, overridable=False, hint="wait"), force=True, why="it is right")
    assert caught.value.hint == "wait"
    assert plan.objection(force=True, why="it is right") is None


def test_what_is_not_there_cannot_be_planned(cockpit: Cockpit) -> None:
    with pytest.raises(NotFound, match="there is no change 'levitate'"):
        cockpit.changes.plan("levitate", "production")
    for verb in plugins.names("planners"):
        given = {"restart": {"replica": "x"}, "shell": {"name": "x"}}.get(verb, {})
        what = "run" if verb in RUN_VERBS else "infrastructure" if verb.startswith("infra-") else "environment"
        # Kinds of data are pruned, and the ledger is rebuilt, not environments.
        words = {"prune": "is called 'nowhere'", "rebuild": "is not in a git repository"}.get(
            verb, f"no {what} 'nowhere'"
        )
        with pytest.raises(NotFound, match=words):
            cockpit.changes.plan(verb, "nowhere", **given)


TOY = """
    from podium.core.domain.plans import Change, Plan

    def plan_resize(project, journal, target, *, size):
        before = journal.values.get(f"size of {target}") or "1"
        return Plan(target, "resize", f"Resize {target} to {size}", "Resize", f"resize {target} {size}",
                    changes=(Change("size", before, str(size)),), type_to_confirm=target,
                    arguments={"size": str(size)}, rests_on={"size": before})

    def resize(context):
        size = context.options["size"]
        context.journal.values.set(f"size of {context.options['target']}", size)
        return {"size": size, "before": context.options["seen.size"]}
"""


def test_a_new_kind_of_change_is_one_planner_and_one_step_about_any_target(
    cockpit: Cockpit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "toy.py").write_text(textwrap.dedent(TOY))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[podium.planners]\nresize = toy:plan_resize\n[podium.steps]\nresize = toy:resize\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    monkeypatch.syspath_prepend(str(site))

    plan = cockpit.changes.plan("resize", "stack network", size=3)
    assert plan.changes[0].after == "3"
    with pytest.raises(Refused, match="stack network is protected"):
        cockpit.changes.apply(plan)
    run = cockpit.changes.apply(plan, confirmed="stack network", why="more traffic")
    assert run is not None and (run.kind, run.name, run.why) == ("resize", "stack network", "more traffic")
    detail = wait_until(lambda: (found := cockpit.runs.get(run.id)).run.state.finished and found, 30)
    assert detail.run.state is RunState.SUCCEEDED, detail.run.message
    assert detail.steps[0].results == {"size": "3", "before": "1"}
    assert cockpit.changes.plan("resize", "stack network", size=4).changes[0].before == "3"


def test_a_plan_from_before_the_environment_was_protected_is_not_applied(tmp_path: Path) -> None:
    """A dialog may be open for hours, and podium.yaml is read again meanwhile."""
    file = tmp_path / "podium.yaml"
    protected = CONFIG.format(port=free_port())
    file.write_text(protected.replace("protected: true", "protected: false"))
    cockpit = Cockpit(tmp_path)
    cockpit.journal.versions.update(Version("tiny", 1, time.time()))
    plans = {verb: MADE[verb](cockpit) for verb in ("deploy", "repair")}
    assert {plan.type_to_confirm for plan in plans.values()} == {""}
    file.write_text(protected)
    cockpit.changed()
    for plan in plans.values():
        with pytest.raises(Refused, match="production is protected by now") as caught:
            cockpit.changes.apply(plan, why="it is right", force=True)
        assert plan.command in caught.value.hint
    assert cockpit.journal.runs.count() == 0
    assert cockpit.changes.plan("deploy", "production", version=1).type_to_confirm == "production"
    canary(cockpit)
    assert cockpit.changes.apply(cockpit.changes.plan("abort", "production")) is None, "whoever stops, types nothing"
    cockpit.close()


@pytest.mark.parametrize(("verb", "released"), [("rollback", True), ("promote", False)])
def test_the_way_back_has_the_room_that_was_kept_for_it(
    cockpit: Cockpit, monkeypatch: pytest.MonkeyPatch, verb: str, released: bool
) -> None:
    """On a full disk not even the run of a rollback could be noted."""
    plan = rollback(cockpit) if verb == "rollback" else cockpit.changes.plan("promote", "production", version=2)
    kept = cockpit.home / ".podium/reserve"
    assert reserve.keep(kept.parent) and kept.exists()
    monkeypatch.setattr(reserve, "_free", lambda _: 0)
    with pytest.raises(Refused):  # it is not confirmed: nothing else happens
        cockpit.changes.apply(plan)
    assert kept.exists() != released
