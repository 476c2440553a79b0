"""Columns that a person has chosen, moved, pinned and sorted by are theirs the next time too; wide mode shows all of
each."""

from __future__ import annotations

from typing import Any

from podium.tui.widgets.tables.arranging import Arrangement, read, titles_of, written
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit


def head(app: Any) -> str:
    return next(line for line in text(app).splitlines() if " state " in line)


def test_columns_are_chosen_once(cockpit: SeededCockpit) -> None:
    app = make_app(cockpit, screen="runs")

    async def choose(pilot: Pilot[Any]) -> None:
        assert "ago" in head(app)
        await pilot.press(".")
        await until(pilot, lambda: "space show" in text(app), "the dialog")
        await pilot.press("j", "space")  # state is hidden …
        await until(pilot, lambda: "hidden" in text(app), "hidden")
        await pilot.press("space", "J")  # … shown again, and moved behind what
        await pilot.press("escape")
        line = head(app)
        assert line.index("what") < line.index("state")
        await pilot.press("s")
        assert "sorted by run" in text(app)
        await pilot.press("tab", ".")
        assert "only in a list with columns" in text(app)

    drive(app, choose, size=(200, 50))
    again = make_app(cockpit, screen="runs")

    async def kept(pilot: Pilot[Any]) -> None:
        line = head(again)
        assert line.index("what") < line.index("state") and "run▲" in line
        assert again.podium_screen.table.rows_from(0, 1)[0].id == 1, "the oldest first"
        await pilot.press(".", "r", "escape")
        await settled(pilot)
        assert head(again).index("state") < head(again).index("what") and "run▲" not in head(again)

    drive(again, kept, size=(200, 50))


def test_wide_mode_moves_all_but_what_is_pinned(cockpit: SeededCockpit) -> None:
    app = make_app(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        table = app.podium_screen.query_one("#recent")
        app.podium_screen.focus_pane(table)
        await pilot.press("ctrl+w")
        assert "every column as wide as it needs" in text(app)
        whole = "gate quality refused v2: roc_auc is lower than the champion's"
        assert whole not in text(app), "it is beyond the edge"
        await pilot.press(".", "p", "escape")  # the number stays
        await pilot.press("right", "right", "right", "right")
        await settled(pilot)
        assert whole in text(app)
        line = next(line for line in text(app).splitlines() if whole in line)
        assert line.split()[1] == "10", line
        await pilot.press("ctrl+w")
        assert "as wide as the list again" in text(app)

    drive(app, script, size=(80, 40))


def test_an_arrangement_is_kept_as_it_was_and_survives_what_nobody_wrote() -> None:
    class Titled:
        def __init__(self, title: str) -> None:
            self.title = title

    columns = [Titled(each) for each in ("a", "", "b", "c")]
    chosen = Arrangement().toggled("b").moved(("a", "b", "c"), "c", -2).sorted_by("a", True).with_pinned(1)
    assert [each.title for each in chosen.arranged(columns)] == ["c", "a", ""]
    assert titles_of(columns, chosen) == ("c", "a", "b")
    assert read(written(chosen)) == chosen
    assert [each.title for each in Arrangement(hidden=("a", "b", "c")).arranged(columns)] == ["a", ""], "never none"
    for kept in (None, 7, [], {"hidden": 5, "pinned": "x", "order": {}}, {"pinned": -3}):
        assert read(kept) == Arrangement()
