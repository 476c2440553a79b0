"""The palette: everything that has a name is found by it, things before what is done, and nothing is hit by a name that
it does not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from podium.tui.actions import ACTIONS, BY_ID
from podium.tui.application import PodiumApp
from podium.tui.context import Context
from podium.tui.keys import Keymap
from podium.tui.palette import Entry, actions, best, things
from podium.tui.widgets.palette_dialog import PaletteDialog
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit, seed
from tests.tui.seed_monitors import seed_monitors
from tests.tui.seed_repository import seed_repository

App = Callable[..., PodiumApp]


def found(cockpit: Any, typed: str) -> list[Entry]:
    entries = [*things(cockpit.finder.find(typed)), *actions(Context(screen="overview"), Keymap())]
    return best(typed, entries)


async def went(pilot: Pilot[Any], typed: Sequence[str]) -> Any:
    """What is on screen after a name and enter, typed in one go."""
    await pilot.press("colon", *typed, "enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, PaletteDialog), f"gone to {typed}")
    await settled(pilot)
    await until(pilot, lambda: not pilot.app.podium_screen.loading, f"{typed} is under the cursor")
    return pilot.app.podium_screen


def test_names_of_all_kinds_lead_to_where_the_thing_is_shown(cockpit: SeededCockpit) -> None:
    seed_monitors(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        screen = await went(pilot, "run 9")
        assert (screen.title_id, screen.run.id) == ("runs", 9)
        screen = await went(pilot, "v2")
        assert (screen.title_id, screen.version.version) == ("models", 2)
        screen = await went(pilot, "champion")
        assert (screen.title_id, screen.version.version) == ("models", 3)
        screen = await went(pilot, "prod")
        assert (screen.title_id, screen.table.current.name) == ("environments", "production")
        monitor = cockpit.monitors.list()[-1].name
        screen = await went(pilot, monitor)
        assert (screen.title_id, screen.monitors.current.status.name) == ("monitors", monitor)
        screen = await went(pilot, "14 gate")
        await until(pilot, lambda: screen.step is not None and screen.step.name == "gate", "the step")
        assert (screen.title_id, screen.run.id, screen.pane.id) == ("runs", 14, "graph")
        screen = await went(pilot, "containers")
        assert screen.title_id == "containers"
        screen = await went(pilot, ["colon", *"v2"])
        assert (screen.title_id, screen.version.version) == ("models", 2), "a colon more is none of the name"

    drive(make_app(cockpit, screen="overview"), script)


def test_a_run_that_is_not_among_the_newest_is_found_by_its_number(tmp_path: Path) -> None:
    cockpit = seed(tmp_path / "many", runs=700)
    assert [each.name for each in cockpit.finder.find("run 3", limit=1)] == ["run 3"]
    assert "run 3" not in {each.name for each in cockpit.finder.all()}
    assert len(cockpit.finder.all()) < 700

    async def script(pilot: Pilot[Any]) -> None:
        screen = await went(pilot, "run 3")
        assert screen.run.id == 3

    drive(make_app(cockpit, screen="overview"), script)


def test_a_container_and_its_engine(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        name = docked.containers.snapshots()[0].containers[-1].name
        screen = await went(pilot, name)
        assert (screen.title_id, screen.row.container.name) == ("containers", name)

    drive(make_app(docked, screen="overview"), script)


def test_a_commit_by_its_hash_and_by_its_subject(cockpit: SeededCockpit) -> None:
    seed_repository(cockpit)
    row = cockpit.repository.commits().rows[1]

    async def script(pilot: Pilot[Any]) -> None:
        for typed in (row.commit.sha[:8], row.commit.subject[:12]):
            await pilot.press("1")
            screen = await went(pilot, typed)
            assert screen.title_id == "repository"
            assert screen.row.commit.sha == row.commit.sha, typed

    drive(make_app(cockpit, screen="overview"), script)


def test_an_exact_name_comes_before_a_beginning_and_that_before_a_part(cockpit: SeededCockpit) -> None:
    names = [(each.kind, each.name) for each in found(cockpit, "production")]
    assert names[0] == ("environment", "production")
    assert ("step", "production") in names[1:]
    assert found(cockpit, "prod")[0].name == "production"
    assert found(cockpit, "1")[0].name == "run 1", "not run 11, which is newer"


def test_things_come_before_what_is_done(cockpit: SeededCockpit) -> None:
    kinds = [each.kind for each in found(cockpit, "st")]
    assert "environment" in kinds and "action" in kinds
    assert kinds.index("environment") < kinds.index("action"), "staging before start and stop"


def test_an_action_that_is_named_comes_before_those_that_mention_it(cockpit: SeededCockpit) -> None:
    """`start` typed and enter pressed opened the plan of a stop, whose help says *until it is started*."""
    assert next(each.name for each in found(cockpit, "start") if each.action) == "start"


@pytest.mark.parametrize(
    "typed", ["stagng", "susp nd", "end", "spend", "qit", "prmote", "rllbck", "ancel", "ttpp", "ack"]
)
def test_nothing_that_suspends_changes_or_ends_is_hit_by_a_name_it_does_not_have(
    cockpit: SeededCockpit, typed: str
) -> None:
    for entry in found(cockpit, typed):
        if entry.action and (BY_ID[entry.action].danger or entry.action in ("suspend", "quit", "back", "escape")):
            words = f"{entry.name} {entry.action.replace('_', ' ')}".replace(",", "").split()
            assert any(word.startswith(typed.split()[0]) for word in words), entry


def test_an_environment_that_is_not_there_puts_nothing_into_the_background(bare: SeededCockpit) -> None:
    (bare.home / "podium.yaml").write_text("project: x\npipelines: {a: {steps: {b: {run: 'true'}}}}\n")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("colon", *"staging", "enter")
        await until(pilot, lambda: "Nothing has the name 'staging'" in text(pilot.app), "it says so")
        assert isinstance(pilot.app.screen, PaletteDialog)
        await pilot.press("escape")
        assert pilot.app.podium_screen.title_id == "overview"

    drive(make_app(bare, screen="overview"), script)


def test_every_action_is_found_by_its_name_and_says_why_not_now(cockpit: SeededCockpit) -> None:
    for action in ACTIONS:
        if action.group != "Move" and action.id != "palette":
            assert action.id in [each.action for each in found(cockpit, action.label)], action.id
    refused = next(each for each in found(cockpit, "shell") if each.action == "shell")
    assert refused.words.startswith("not now: ")


def test_what_was_gone_to_is_offered_first_also_the_next_time(cockpit: SeededCockpit, app: App, tmp_path: Path) -> None:
    async def first(pilot: Pilot[Any]) -> None:
        await went(pilot, "run 9")
        await went(pilot, "v2")

    async def second(pilot: Pilot[Any]) -> None:
        await pilot.press("colon")
        names = pilot.app.screen.names
        await until(pilot, lambda: names.rows, "the rows")
        assert [each.name for each in names.rows[:2]] == ["v2", "run 9"]
        await pilot.press("down", "enter")
        await settled(pilot)
        assert pilot.app.podium_screen.run.id == 9

    drive(app(screen="overview"), first)
    assert json.loads((tmp_path / "state" / "podium" / "palette.json").read_text()) == ["v2", "run 9"]
    drive(app(screen="overview"), second)


def test_a_change_is_never_offered_for_having_been_chosen_before(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        pilot.app.history.add("roll back")
        await pilot.press("colon")
        names = pilot.app.screen.names
        await until(pilot, lambda: names.rows, "the rows")
        assert names.rows[0].name != "roll back"

    drive(app(screen="overview"), script)


def test_a_history_that_cannot_be_read_or_written_is_done_without(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    async def script(pilot: Pilot[Any]) -> None:
        screen = await went(pilot, "run 9")
        assert screen.run.id == 9

    drive(app(screen="overview"), script)


def test_a_broken_podium_yaml_hides_no_run(cockpit: SeededCockpit) -> None:
    (cockpit.home / "podium.yaml").write_text("project: x\npipelnes: {}\n")
    assert [each.name for each in cockpit.finder.find("run 9", limit=1)] == ["run 9"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_it_fits_the_terminal(app: App, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("colon", *"run")
        await until(pilot, lambda: "run 14" in text(pilot.app), "the rows")
        shown = text(pilot.app)
        assert "Go to, or do" in shown and "esc close" in shown and "release, running" in shown

    drive(app(screen="overview"), script, size=size)
