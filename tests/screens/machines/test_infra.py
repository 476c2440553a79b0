"""The screen of infrastructure: the plan that waits, the worst first; approved, applied, planned and looked at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from podium.core.cockpit.changes import Changes
from podium.core.domain.infra.plan import AttributeChange, Drift, InfraPlan, OutputChange, ResourceChange
from podium.core.domain.infra.rules import ChangeKind
from podium.core.domain.runs import RunState, Trigger
from podium.core.infra.saved import Saved
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}
KINDS = (ChangeKind.DELETE, ChangeKind.REPLACE, ChangeKind.UPDATE, ChangeKind.CREATE)


def changes(number: int) -> Sequence[ResourceChange]:
    found = [
        ResourceChange(
            f"module.serving.aws_instance.replica[{index}]",
            "aws_instance",
            KINDS[index % 4],
            (
                AttributeChange("ami", "ami-0123", "ami-4567", forces=KINDS[index % 4] is ChangeKind.REPLACE),
                AttributeChange("user_data", "(sensitive)", "(sensitive)"),
                *(AttributeChange(f"tags.t{each}", "old", "new") for each in range(6)),
            ),
        )
        for index in range(number)
    ]
    return sorted(found, key=lambda each: (each.kind.rank, each.address))


def seed_infra(cockpit: SeededCockpit, number: int = 12) -> None:
    """Adds `infra:` with a plan that waits, one that was applied, and one that has drifted."""
    path = cockpit.home / "podium.yaml"
    path.write_text(
        path.read_text() + "\ninfra:\n"
        "  network: {terraform: infra/network}\n"
        "  serving: {terraform: infra/serving, workspace: blue, auto: [create, update], needs: network}\n"
    )
    now = time.time()
    digest = "5ab1a62970c4" + "0" * 52
    plan = InfraPlan(
        "serving", "Terraform 1.11.4", digest, now, now + 86_400 * 3650, 7, "anna", tuple(changes(number)),
        (Drift("aws_eip.front", "aws_eip", attributes=(AttributeChange("tags.owner", "anna", "bert"),)),),
        (OutputChange("host", "(none)", "(known after apply)"),), ("Deprecated attribute (main.tf:3)",), "/x",
        workspace="blue",
    )  # fmt: skip
    Saved(cockpit.home / ".podium", "serving").keep(plan)
    Saved(cockpit.home / ".podium", "network").note_applied(5, now - 86_400)
    run = cockpit.journal.runs.create(kind="infra-plan", name="serving", trigger=Trigger.PERSON, who="anna")
    cockpit.journal.runs.set_state(run.id, RunState.SUCCEEDED)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_plan_is_read_in_one_look(cockpit: SeededCockpit, size: str, theme: str) -> None:
    seed_infra(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "network" in text(pilot.app), "the list")
        await pilot.press("j")
        await settled(pilot)
        await until(pilot, lambda: "module.serving" in text(pilot.app) or "replica[" in text(pilot.app), "the plan")
        shown = text(pilot.app)
        assert "3 to delete, 3 to replace" in shown
        assert "planned" in shown and "applied" in shown
        lines = shown.splitlines()
        first = next(line for line in lines if "replica[" in line)
        assert "delete" in first, "the worst comes first"
        await pilot.press("enter")
        await settled(pilot)
        await until(pilot, lambda: "ami-0123" in text(pilot.app), "the values of the change")
        assert "(sensitive)" in text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        await until(pilot, lambda: "needs a person" in text(pilot.app), "who has to agree")

    drive(make_app(cockpit, screen="infra", theme=theme, interval=0), script, size=SIZES[size])


def test_without_infrastructure_it_says_how_to_begin(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("9")
        await until(pilot, lambda: "No infrastructure is in podium.yaml." in text(pilot.app), "the notice")

    drive(make_app(cockpit, interval=0), script, size=SIZES["middle"])


def test_a_plan_is_approved_after_a_question(cockpit: SeededCockpit) -> None:
    seed_infra(cockpit)
    cockpit.changes = Changes(cockpit._opened)  # the real one

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "network" in text(pilot.app), "the list")
        await pilot.press("A")
        await until(pilot, lambda: "no plan of network waits" in text(pilot.app), "why not")
        await pilot.press("j")
        await settled(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "Approve plan 5ab1a62970c4 of serving" in text(pilot.app), "the question")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "approved by" in text(pilot.app), "the approval")

    drive(make_app(cockpit, screen="infra", interval=0), script, size=SIZES["large"])
    assert any(each.action == "approve" for each in cockpit.journal.audit.page(limit=5))
