"""Several projects in one cockpit: all in one look, another one by its name, and nothing of one in another."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit.glances import Glances
from podium.core.domain.projects import ProjectGlance
from podium.core.domain.runs import PIPELINE
from podium.core.errors import ConfigError
from podium.core.journal import Journal
from podium.tui.projects.known import labels, listed, together
from textual.pilot import Pilot

from tests.runner.scale import scaled
from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import PROJECT, SeededCockpit, empty


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another project, with one run."""
    home = tmp_path / "prices"
    empty(home, config=PROJECT.replace("project: flight-delay", "project: prices"))
    with Journal.open(home / ".podium" / "journal.db") as journal:
        journal.runs.create(
            kind=PIPELINE, name="release", trigger="person", who="ben from here", why="", commit="", branch=""
        )
    return home


def test_all_in_one_look_and_to_one_by_key_or_name(cockpit: SeededCockpit, other: Path) -> None:
    app = make_app(cockpit, projects=(other, other.parent / "gone"))

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("2")
        await pilot.press("j", "j")  # a cursor that is found again
        await settled(pilot)
        run = app.podium_screen.run.id
        await pilot.press(",")
        await until(pilot, lambda: "3 projects" in text(app) and "prices" in text(app), "the projects")
        await until(pilot, lambda: "there is no" in text(app), "one that is gone says so")
        await until(pilot, lambda: "▸ flight-delay" in text(app), "this one")
        await until(pilot, lambda: "proxy is go" in text(app), "nobody has started what it serves")
        await pilot.press(*":project prices", "enter")
        await until(pilot, lambda: app.cockpit.home == other, "the other project")
        await settled(pilot)
        assert "Overview" in text(app) and "1 active, 1 in all" in text(app) and "flight-delay" not in text(app)
        await pilot.press("2")
        await settled(pilot)
        assert app.podium_screen.run.id == 1
        await pilot.press(*":flight-delay", "enter")
        await until(pilot, lambda: app.cockpit is cockpit, "back")
        await settled(pilot)
        await pilot.press("2")
        await settled(pilot)
        assert app.podium_screen.run.id == run, "as it was left"

    drive(app, script)


def test_the_cursor_begins_at_this_project(
    cockpit: SeededCockpit, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever answer comes first, and wherever it stands."""
    others_known = threading.Event()
    look = Glances.look

    def held(self: Glances, home: Path) -> ProjectGlance:
        if home == cockpit.home:
            assert others_known.wait(scaled(60))
        return look(self, home)

    monkeypatch.setattr(Glances, "look", held)
    app = make_app(cockpit, projects=(other,))

    async def script(pilot: Pilot[Any]) -> None:
        app.projects = (other, cockpit.home)
        await pilot.press(",")
        await until(pilot, lambda: "1 being read" in text(app) and "prices" in text(app), "the other one is there")
        others_known.set()
        await until(pilot, lambda: len(app.podium_screen.table.rows) == 2, "this one too")
        await settled(pilot)
        assert app.podium_screen.table.current.home == str(cockpit.home)
        await pilot.press("k")
        await settled(pilot)
        assert app.podium_screen.table.current.home == str(other), "and a person moves it"

    drive(app, script)


def test_what_was_awaited_of_one_project_is_not_shown_in_another(cockpit: SeededCockpit, other: Path) -> None:
    """A plan that comes late must not be agreed to on another project's screen."""
    app = make_app(cockpit, projects=(other,))
    asked, answer = threading.Event(), threading.Event()
    plan = cockpit.changes.plan

    def slow(*given: Any, **arguments: Any) -> Any:
        asked.set()
        assert answer.wait(60)
        return plan(*given, **arguments)

    cockpit.changes.plan = slow  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("P")
        await until(pilot, asked.is_set, "the plan is asked for")
        app.open_project(other)
        answer.set()
        await until(pilot, lambda: not app.pool.busy("work:promote"), "the plan is made")
        await settled(pilot)
        assert app.cockpit.home == other and len(app.screen_stack) == 1, "no dialog"
        assert "promote: left" in text(app) or "Overview" in text(app)
        assert not cockpit.applied

    drive(app, script)


def test_a_look_is_kept_until_something_changes(other: Path) -> None:
    glances = Glances()
    first = glances.look(other)
    assert (first.name, first.active, first.problem) == ("prices", 1, "")
    assert glances.look(other) is first
    with Journal.open(other / ".podium" / "journal.db") as journal:
        journal.runs.create(
            kind=PIPELINE, name="release", trigger="person", who="ben from here", why="", commit="", branch=""
        )
    assert glances.look(other).active == 2
    (other / "podium.yaml").write_text("project: [")
    assert "podium.yaml" in glances.look(other).problem


def test_a_list_of_ones_own(tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config" / "podium"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert listed() == ()
    (folder / "projects.yaml").write_text(f"- {other}\n- ~/work\n")
    assert together((tmp_path,)) == (tmp_path, *sorted((other, Path.home() / "work")))
    (folder / "projects.yaml").write_text("- /fine\n- not/absolute\n")
    with pytest.raises(ConfigError) as error:
        listed()
    assert error.value.problems[0].line == 2
    twice = (tmp_path / "a" / "flights", tmp_path / "b" / "flights")
    assert set(labels((*twice, other), {}).values()) == {str(twice[0]), str(twice[1]), "prices"}
