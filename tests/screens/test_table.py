"""The table with as many rows as nobody has."""

from __future__ import annotations

from typing import Any

from podium.tui.widgets.table import Column, Table
from podium.tui.widgets.tables.columns import shared
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, text
from tests.tui.seed import SeededCockpit

ROWS = tuple((number, f"row {number * 7919 % 100_000}") for number in range(100_000))


def test_a_hundred_thousand_rows_are_shown_sorted_filtered_and_walked_through(cockpit: SeededCockpit) -> None:
    drawn: list[int] = []

    def number(row: tuple[int, str]) -> str:
        drawn.append(row[0])
        return str(row[0])

    columns: tuple[Column[tuple[int, str]], ...] = (
        Column("number", number, width=8, align="right", sort=lambda row: row[0]),
        Column("name", lambda row: row[1], width=12, flex=1, sort=lambda row: row[1]),
    )

    async def script(pilot: Pilot[Any]) -> None:
        table = Table("Many", columns, key=lambda row: row[0], text=lambda row: row[1])
        await pilot.app.screen.query_one("#body").mount(table, before=0)
        table.focus()
        table.set_rows(ROWS)
        await pilot.pause()
        assert len(drawn) < 1000, "only what is seen is drawn: a DataTable draws all, and takes ten seconds for it"
        assert "row 7919" in text(pilot.app)
        await pilot.press("G")
        assert table.current == ROWS[-1]
        assert table.sort_next() == "by number" and table.sort_next() == "by number, turned round"
        assert table.current == ROWS[-1], "the cursor stays on its row"
        await pilot.press("g")
        assert table.current == ROWS[-1]
        table.set_filter("row 4242")
        assert table.shown == len([row for row in ROWS if "row 4242" in row[1]]) and table.current is not None
        changed = list(ROWS)
        table.set_rows(tuple(changed[:50]))
        assert table.shown == len([row for row in ROWS[:50] if "row 4242" in row[1]])

    drive(make_app(cockpit), script)


def test_room_that_one_column_does_not_need_goes_to_those_that_are_cut(cockpit: SeededCockpit) -> None:
    columns: tuple[Column[tuple[int, str]], ...] = (
        Column("a long title", lambda row: f"{row[0]}", width=5),
        Column("who", lambda row: "podium watch", width=6),
        Column("why", lambda row: row[1], width=8, flex=1),
    )

    async def script(pilot: Pilot[Any]) -> None:
        table = Table("Room", columns, key=lambda row: row[0], text=lambda row: row[1])
        await pilot.app.screen.query_one("#body").mount(table, before=0)
        table.set_rows(((1, "a push"),))
        await pilot.pause()
        assert "a long title" in text(pilot.app) and "podium watch" in text(pilot.app)
        table.set_rows(((1, "a push" + " that was long" * 10),))
        await pilot.pause()
        assert "podiu… a push that was long" in text(pilot.app), "nothing is taken from a column that needs what it has"

    drive(make_app(cockpit), script, size=(80, 24))


def test_as_many_columns_as_possible_are_whole() -> None:
    assert shared([10, 10, 20], [(12, False), (30, True), (5, True)]) == [12, 23, 5]
    assert shared([10, 10], [(12, False), (5, False)]) == [10, 10], "only columns that may give do"
