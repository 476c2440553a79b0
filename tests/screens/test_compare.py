from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.verdicts import CheckResult, FlippedRow, Flips, GateReport, Verdict
from podium.core.journal import Journal
from podium.tui.application import PodiumApp
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import MODEL, NOW, SeededCockpit

App = Callable[..., PodiumApp]


async def compared(pilot: Pilot[Any], versions: int = 2) -> None:
    await pilot.press(*["space"] * versions, "c")
    await until(pilot, lambda: "Compare v3" in text(pilot.app), "the comparison")
    await settled(pilot)


def line(pilot: Pilot[Any], *words: str) -> str:
    return next((each for each in text(pilot.app).splitlines() if all(word in each for word in words)), "")


def test_the_champion_comes_first_and_what_is_better_is_said_in_words_and_glyphs(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        assert line(pilot, "v3 baseline", "v4 challenger")
        assert "▲ +0.0065 better" in line(pilot, "training", "roc_auc")
        assert "▲ -0.0042 better" in line(pilot, "log_loss"), "less is better"
        assert "▼ -0.0013 worse" in line(pilot, "recall")
        assert "≠ differs" in line(pilot, "param", "rate"), "nothing says which rate is better"

    drive(app(screen="models"), script)


def test_a_gates_value_has_its_interval_and_its_verdict_and_stands_apart_from_training(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        assert line(pilot, "gate", "roc_auc") and line(pilot, "training", "roc_auc")
        await pilot.press("j")
        await until(pilot, lambda: "measured by the gate quality" in text(pilot.app), "the row, opened")
        assert line(pilot, "▲ better +0.0065 (+0.0031 … +0.0099)", "✓ pass")
        assert "more is better" in text(pilot.app)

    drive(app(screen="models"), script, size=(80, 24))


def test_left_and_right_choose_the_column_that_is_opened(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot, 3)
        assert "▸v2" in text(pilot.app)
        await pilot.press("right", "right")
        await until(pilot, lambda: "▸v4" in text(pilot.app), "the last column")
        await pilot.press("left", "left", "left")
        await until(pilot, lambda: "▸v2" in text(pilot.app), "the one beside the baseline")

    drive(app(screen="models"), script)


def test_a_long_value_is_compared_item_by_item(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        features = "carrier origin dest distance hour month day wind_speed temperature"
        versions = [
            replace(each, params={"features": features if each.version < 4 else features.replace("hour", "minute")})
            for each in journal.versions.of(MODEL)
        ]
        journal.versions.replace(MODEL, versions, "seed")

    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        await pilot.press("slash", *"features", "enter", "enter")
        await until(pilot, lambda: line(pilot, "- hour") and line(pilot, "+ minute"), "both, on lines of their own")
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.screen.pane.id == "rows", "back in the list")

    drive(make_app(cockpit, screen="models"), script, size=(80, 40))


def test_slices_are_a_heat_table(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        checks = tuple(
            CheckResult("recall against champion", verdict, "", value, 0.5, value - 0.51, value - 0.49, slice=name)
            for name, value, verdict in (
                ("origin=EWR", 0.51, Verdict.PASS),
                ("origin=JFK", 0.30, Verdict.FAIL),
            )
        )
        journal.gates.add(GateReport("parts", MODEL, 4, 3, Verdict.FAIL, checks, NOW))

    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        worst, slight = line(pilot, "recall [origin=JFK]"), line(pilot, "recall [origin=EWR]")
        assert "██" in worst and "worse" in worst
        assert "··" in slight and "unclear" in slight, "its interval touches nothing"

    drive(make_app(cockpit, screen="models"), script, size=(160, 40))


def test_flipped_rows_show_telling_inputs_and_all_of_them_when_opened(cockpit: SeededCockpit) -> None:
    row = FlippedRow(1234, "late", "late", "on time", ("2,475", "AA", "JFK", "17", "3"))
    flips = Flips(0, 1, (row,), ("distance", "carrier", "origin", "hour", "month"))
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        journal.gates.add(GateReport("rows", MODEL, 4, 3, Verdict.PASS, (), NOW, flips=flips))

    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        await pilot.press("slash", *"flipped", "enter")
        few = "row 1,234   is late, answered on time, v3 late: distance 2,475, carrier AA, origin JFK, and 2 more"
        await until(pilot, lambda: few in text(pilot.app), "the most telling inputs")
        await pilot.press("enter")
        await until(pilot, lambda: "origin JFK, hour 17, month 3" in text(pilot.app), "all of them")
        await pilot.press("q")
        await until(pilot, lambda: few in text(pilot.app), "back in the list")

    drive(make_app(cockpit, screen="models"), script, size=(140, 40))


def test_tags_that_programs_write_for_themselves_are_folded_away(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        versions = [
            replace(each, tags={"mlflow.user": f"u{each.version}", "team": "growth"})
            for each in journal.versions.of(MODEL)
        ]
        journal.versions.replace(MODEL, versions, "seed")

    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        assert "team" in text(pilot.app) and "mlflow.user" not in text(pilot.app)
        assert "1 tags folded away" in text(pilot.app)
        await pilot.press("z")
        await until(pilot, lambda: "mlflow.user" in text(pilot.app), "all of them")

    drive(make_app(cockpit, screen="models"), script)


@pytest.mark.parametrize(("ending", "holds"), [("md", "| training |"), ("json", '"rows"')])
def test_what_is_shown_is_written_to_a_new_file(cockpit: SeededCockpit, ending: str, holds: str) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        await pilot.press("u", "e", "ctrl+a", "ctrl+k", *f"out.{ending}", "enter")
        path = cockpit.home / f"out.{ending}"
        await until(pilot, lambda: "written to" in text(pilot.app), "where it is")
        written = path.read_text()
        assert holds in written and "rounds" not in written, "only what differs was shown"
        await pilot.press("e", "ctrl+a", "ctrl+k", *f"out.{ending}", "enter")
        await until(pilot, lambda: "exists already" in text(pilot.app), "it is not written over")
        assert path.read_text() == written

    drive(make_app(cockpit, screen="models"), script)


def test_copying_a_row_copies_its_values(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        await pilot.press("slash", *"log_loss", "enter", "y")
        await until(pilot, lambda: "log_loss" in pilot.app._clipboard, "the row")
        assert pilot.app._clipboard == "training log_loss: v3=0.3871 v4=0.3829 (better -0.0042)"

    drive(app(screen="models"), script)


def test_the_same_in_ascii(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        assert "^ +0.0065 better" in text(pilot.app)
        assert text(pilot.app).isascii()

    drive(app(screen="models", plain=True), script)


def test_a_run_stands_for_the_version_that_it_made(cockpit: SeededCockpit) -> None:
    found = cockpit.comparing.compare(["run:3", "run:4"])
    assert [each.label for each in found.subjects] == ["run 3", "run 4"]
    rows = {(row.kind.value, row.name): row.values for row in found.rows}
    assert rows["metric", "roc_auc"] == (0.7198, 0.7263) and rows["model", "state"] == ("succeeded", "succeeded")
    assert json.loads(cockpit.comparing.written(found, "json"))["subjects"][0]["run"] == 3


def test_marked_runs_are_compared_with_their_facts(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("c")
        assert "mark two runs or more" in text(pilot.app)
        await pilot.press("G", "k", "space", "space", "c")
        await until(pilot, lambda: "Compare run " in text(pilot.app), "the comparison")
        assert line(pilot, "model", "pipeline", "release") and line(pilot, "model", "took")

    drive(app(screen="runs"), script)
