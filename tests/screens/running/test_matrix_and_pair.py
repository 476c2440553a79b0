"""The cells of a matrix as a table with what training has logged, and two runs side by side."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from podium.screens.matrix import matrix_of, values_of
from textual.pilot import Pilot

from tests.screens.test_curves import TABLES
from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit

RUN = 8


def trained(home: Path) -> None:
    """Each cell of the matrix of a run has logged two metrics."""
    with closing(sqlite3.connect(home / ".podium" / "journal.db")) as journal, journal:
        names = [
            name
            for (name,) in journal.execute("SELECT name FROM steps WHERE run_id = ? AND name LIKE 'train[%'", (RUN,))
        ]
        journal.executemany(
            "UPDATE steps SET key = 'key of ' || name WHERE run_id = ? AND name = ?", [(RUN, name) for name in names]
        )
    with closing(sqlite3.connect(home / ".podium" / "mlflow.db")) as store, store:
        store.executescript(TABLES)
        for number, name in enumerate(names):
            values = (str(number), 1, "FINISHED", int(NOW * 1000), int(NOW * 1000), "", "active")
            store.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", values)
            tags = {"podium.run": str(RUN), "podium.key": f"key of {name}", "podium.step": name}
            store.executemany("INSERT INTO tags VALUES (?,?,?)", [(str(number), *each) for each in tags.items()])
            for metric, value in (("roc_auc", 0.7 + number / 100), ("loss", 0.5 - number / 10)):
                store.execute("INSERT INTO latest_metrics VALUES (?,?,?,0)", (str(number), metric, value))


def test_cells_are_sorted_by_a_metric_and_lead_to_their_log(cockpit: SeededCockpit) -> None:
    trained(cockpit.home)
    app = make_app(cockpit, screen="runs")

    async def script(pilot: Pilot[Any]) -> None:
        app.podium_screen.select(RUN)
        await settled(pilot)
        await pilot.press("m")
        await until(pilot, lambda: "Cells of train, run 8: 4" in text(app) and "0.7300" in text(app), "the cells")
        lines = text(app).splitlines()
        head = next(line for line in lines if "depth" in line)
        assert head.index("depth") < head.index("rate") < head.index("roc_auc") < head.index("loss"), (
            "what is looked at first"
        )
        table = app.podium_screen.table
        first = next(table.columns.index(column) for column in table.columns if column.title == "roc_auc")
        table._sort_by((first, True))
        assert values_of(table.rows_from(0, 1)[0].name) == {"depth": "8", "rate": "0.1"}
        await pilot.press("g")
        best = table.current.name
        await pilot.press("enter")
        await until(
            pilot, lambda: app.podium_screen.title_id == "runs" and app.podium_screen.step is not None, "the run"
        )
        await until(pilot, lambda: app.podium_screen.step.name == best, "the cell's step")
        await pilot.press("1")
        await settled(pilot)

    drive(app, script)


def test_two_runs_side_by_side(cockpit: SeededCockpit) -> None:
    app = make_app(cockpit, screen="runs")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("d")
        assert "mark two runs with space first (0 marked)" in text(app)
        app.podium_screen.select(8)
        await settled(pilot)
        await pilot.press("space", "space", "d")
        await until(pilot, lambda: "Run 7 and run 8" in text(app), "both")
        said = text(app)
        assert "commit" in said and "train[depth=8,rate=0.1]" in said and "succeeded" in said
        await pilot.press("enter")
        await until(pilot, lambda: app.podium_screen.title_id == "runs", "to a step of the second")
        await until(pilot, lambda: app.podium_screen.run.id == 8, "the second")

    drive(app, script)


def test_what_a_name_says_of_its_cell() -> None:
    assert values_of("train[depth=4,rate=0.1]") == {"depth": "4", "rate": "0.1"}
    assert values_of("train") == {} == values_of("x[]")
    assert matrix_of((), None) == ""
