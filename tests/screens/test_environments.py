from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.attention import who_heals
from podium.core.domain.delivery import (
    Deployment,
    DeploymentState,
    EnvironmentStatus,
    How,
    Replica,
    ReplicaState,
    RolloutUnderWay,
    Stopped,
)
from podium.core.domain.models import Version
from podium.screens.cells.environments import status_lines
from podium.tui.actions import BY_ID
from podium.tui.application import PodiumApp
from podium.tui.context import Context
from podium.tui.glyphs import Glyphs
from textual.pilot import Pilot
from textual.widgets import Button

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

App = Callable[..., PodiumApp]


def test_what_serves_its_lineage_and_whether_it_can_go_back(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "production · PROTECTED" in shown, "the protected one comes first"
        assert "commit e81a55c → run 3 → MLflow 3a7c2e1f → version v3 → serves production" in shown
        assert "ready: B brings v2 back in about 0.4s" in shown
        assert "p95 doubled" in shown and "153/s" in shown
        await pilot.press("k")
        await until(
            pilot,
            lambda: "127.0.0.1:5101" in text(pilot.app) and "PRODUCTION PROTECTED" not in text(pilot.app),
            "staging",
        )
        assert "no earlier version" in text(pilot.app)

    drive(app(screen="environments"), script)


def test_a_rollback_needs_the_plan_the_name_and_the_button(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("B")
        await until(pilot, lambda: "Roll back production to v2" in text(pilot.app), "the plan")
        assert pilot.app.focused.id == "keep", "the focus is on Cancel"
        for words in ("alias champion", "-0.0187", "podium rollback v2 -e production", "about 0.4s"):
            assert words in text(pilot.app), words
        yes = pilot.app.screen.query_one("#yes", Button)
        assert yes.disabled
        await pilot.press("shift+tab", *"productio")
        assert yes.disabled
        await pilot.press("n")
        assert not yes.disabled
        await pilot.press("enter")  # in the field: goes to the answer, does nothing
        assert not cockpit.applied
        assert pilot.app.focused.id == "yes"
        await pilot.press("enter")
        await until(pilot, lambda: cockpit.applied, "applied")
        plan, why, force = cockpit.applied[0]
        assert (plan.versions.version, why, force) == (2, "", False)
        await until(
            pilot,
            lambda: pilot.app.podium_screen.title_id == "runs" and "rollback production v2" in text(pilot.app),
            "its run is shown",
        )

    drive(make_app(cockpit, screen="environments"), script, size=(200, 50))


def test_leaving_a_plan_changes_nothing(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        for keys in (("escape",), ("enter",), ("q",)):
            await pilot.press("B")
            await until(pilot, lambda: "Roll back production" in text(pilot.app), "the plan")
            await pilot.press(*keys)
            await until(pilot, lambda: "nothing was changed" in text(pilot.app), "left")
        assert not cockpit.applied

    drive(make_app(cockpit, screen="environments"), script)


def test_a_refused_plan_says_why_and_a_reason_overrides_only_what_may_be(cockpit: SeededCockpit) -> None:
    cockpit.refusal = "version 4 has not passed its gate"

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("P")
        await until(
            pilot, lambda: "Refused: version 4 has not passed its gate" in text(pilot.app), "the refusal comes first"
        )
        yes = pilot.app.screen.query_one("#yes", Button)
        assert yes.disabled and "anyway" in str(yes.label)
        assert '--force --why "…"' in text(pilot.app), "the same from a shell"
        typed, why = pilot.app.screen.query_one("#typed"), pilot.app.screen.query_one("#why")
        typed.value = "production"
        await pilot.pause()
        assert yes.disabled, "the name alone is not enough"
        why.value = "the gate's data is broken, checked by hand"
        await until(pilot, lambda: not yes.disabled, "a reason and the name are")
        yes.press()
        await until(pilot, lambda: cockpit.applied, "applied")
        assert cockpit.applied[0][1:] == ("the gate's data is broken, checked by hand", True)

    drive(make_app(cockpit, screen="environments"), script)


def test_differences_are_shown(cockpit: SeededCockpit) -> None:
    cockpit.differences = ("champion is v2, but v3 serves",)

    async def script(pilot: Pilot[Any]) -> None:
        assert "! champion is v2, but v3 serves" in text(pilot.app)
        assert "1 difference" in text(pilot.app)

    drive(make_app(cockpit, screen="environments"), script)


def test_at_80_by_24_enter_brings_the_history(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        assert "autumn schedule" not in text(pilot.app).split("Signals")[1]
        assert "PRODUCTION PROTECTED" in text(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: "History of production" in text(pilot.app), "the ledger")
        await pilot.press("q")
        await until(pilot, lambda: "Signals" in text(pilot.app), "the signals again")

    drive(app(screen="environments"), script, size=(80, 24))


def test_read_only_opens_no_plan(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        for key in "PB":
            await pilot.press(key)
            await pilot.pause()
            assert "--read-only" in text(pilot.app)
            assert "What changes" not in text(pilot.app)

    drive(make_app(cockpit, screen="environments", read_only=True), script)


def test_no_environments_says_what_to_write(bare: SeededCockpit) -> None:
    (bare.home / "podium.yaml").write_text("project: x\n")

    async def script(pilot: Pilot[Any]) -> None:
        assert "podium.yaml has no environments" in text(pilot.app)
        await pilot.press("P")
        assert "no environment is under the cursor" in text(pilot.app)

    drive(make_app(bare, screen="environments"), script)


def test_every_signal_is_measured_also_when_the_overview_came_first(cockpit: SeededCockpit) -> None:
    """The overview reads three signals of each environment; its answer must not stand in for the whole."""

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "p99" in text(pilot.app), "the signals")
        await settled(pilot)
        assert "not measured" not in text(pilot.app)

    drive(make_app(cockpit), script)


def test_what_a_person_stopped_says_by_whom_since_when_and_what_can_be_done() -> None:
    status = EnvironmentStatus(
        name="staging",
        driver="process",
        url="http://127.0.0.1:5101",
        protected=False,
        carries="",
        strategy="rolling",
        serving=3,
        previous=2,
        deployment=None,
        replicas=(),
        stopped=Stopped("staging", 7, "anna from desk", 1_000.0, "a new disk", 9),
    )
    words = ["".join(text for text, _ in line) for line in status_lines(status, None, Glyphs(), 1_060.0)]
    assert any("stopped by anna" in line and "(a new disk)" in line and "brings v3 back" in line for line in words)

    def refusals(found: EnvironmentStatus) -> tuple[str, str]:
        context = Context(screen="environments", pane="table", subjects=(found,), rows=1)
        return BY_ID["stop"].refusal(context), BY_ID["start"].refusal(context)

    assert refusals(status) == ("staging was stopped by anna", "")
    serves = replace(status, stopped=None, proxy_alive=True)
    assert refusals(serves) == ("", "staging is not stopped")
    assert refusals(replace(serves, locked_by="bob")) == ("staging is being changed by bob",) * 2


def test_what_is_started_after_a_stop_serves_nothing_until_it_answers() -> None:
    replica = Replica("v3-1", "staging", 3, "v3-1", 4711, ReplicaState.STARTING)
    status = EnvironmentStatus(
        "staging", "process", "http://127.0.0.1:5101", False, "", "rolling", 3, 2, None, (replica,),
        locked_by="anna since 2026-11-28 10:00:00 UTC (start)",
        stopped=Stopped("staging", 7, "anna", 1_000.0),
        rollout=RolloutUnderWay(8, How.START, 3, 3, "waiting until they are healthy", 3, 9),
    )  # fmt: skip
    assert status.answers == {} and status.health.words == "start v3: waiting until they are healthy"
    words = ["".join(text for text, _ in line) for line in status_lines(status, Version("m", 3, 0.0), Glyphs(), 1.0)]
    assert "rollout start of v3: waiting until they are healthy (phase 3 of 9)" in words
    assert "traffic nothing answers yet" in words


@pytest.mark.parametrize("running", [(), (ReplicaState.DEAD,)])
def test_what_runs_no_more_is_not_said_to_serve(running: tuple[ReplicaState, ...]) -> None:
    """It ended without a person's stop, as the demonstration does; or it crashed."""
    replicas = tuple(Replica("v3-1", "staging", 3, "v3-1", 4711, state) for state in running)
    status = EnvironmentStatus(
        "staging", "process", "http://127.0.0.1:5101", False, "", "rolling", 3, 2, None, replicas, proxy_alive=False
    )
    assert not status.answers and replace(status, proxy_alive=bool(replicas)).answers == {}
    status = replace(
        status,
        deployment=Deployment(7, "staging", How.DEPLOY, DeploymentState.SUCCEEDED, "m", 3, 2, 1_000.0, "anna"),
    )
    lines = status_lines(status, Version("m", 3, 0.0), Glyphs(), 1_060.0, healer=who_heals(None))
    words = ["".join(text for text, _ in line) for line in lines]
    assert any("serves nowhere" in line for line in words)
    assert any(line.startswith("last ") and line.endswith(": deploy by anna   ") for line in words)
    assert "rollback not possible: there is no earlier version to go back to" in words
    if running:
        assert any("the proxy is gone; start the agent (podium watch --daemon)" in line for line in words)


@pytest.mark.parametrize("screen", ["overview", "environments"])
def test_a_quarantined_version_that_serves_looks_like_it(cockpit: SeededCockpit, screen: str) -> None:
    cockpit.journal.quarantine.add(cockpit.project.config.mlflow.model, 3, "", "anna", "wrong on holidays")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "v3!" in text(pilot.app), "its mark")

    drive(make_app(cockpit, screen=screen), script)


def test_there_is_a_key_to_deploy_to_what_carries_no_champion(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("k")
        await until(pilot, lambda: "127.0.0.1:5101" in text(pilot.app), "staging")
        await pilot.press("D")
        await until(pilot, lambda: "Deploy flight-delay v4 to staging" in text(pilot.app), "the plan")
        assert pilot.app.focused.id == "keep" and not cockpit.applied
        await pilot.press("tab", "enter")
        await until(pilot, lambda: cockpit.applied, "applied")
        plan = cockpit.applied[0][0]
        assert (plan.verb, plan.target, plan.versions.version) == ("deploy", "staging", 4)

    drive(make_app(cockpit, screen="environments"), script)
