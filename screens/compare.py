"""Compare: versions or runs side by side, the champion as the baseline. What is better, worse or unclear is said by
glyph, word and colour; a row is opened whole below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult

from ..core.domain.comparisons import MOST, TITLES, ComparedRow, Comparison
from ..tui.context import Context
from ..tui.queries import Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import TextPane
from .base import PodiumScreen
from .cells.comparing import is_long, row_lines, strongest, value_cell

_WIDTHS = {2: 22, 3: 16, 4: 12}  # cells of a column, by how many stand side by side


class CompareScreen(PodiumScreen):
    title_id = "compare"
    first_pane = "rows"
    DEFAULT_CSS = """
    CompareScreen #body { layout: vertical; }
    CompareScreen #rows { height: 1fr; }
    CompareScreen #detail { height: 8; }
    CompareScreen.-tall #detail { height: 14; }
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison
        self._differing = False
        self._noise = False
        self._at = 1
        self._strongest = strongest(comparison.rows)

    def body(self) -> ComposeResult:
        yield Table[ComparedRow](
            "Compare",
            self._columns(),
            key=lambda row: (row.kind, row.of, row.title),
            text=self._text,
            id="rows",
        )
        yield TextPane("Row", wrap=True, id="detail")

    def _text(self, row: ComparedRow) -> str:
        values = (
            f"{subject.label}={cell.text or '-'}{f' ({cell.change_words})' if cell.difference else ''}"
            for subject, cell in zip(self._comparison.subjects, row.cells, strict=True)
        )
        return f"{TITLES[row.kind]} {row.of} {row.title}: {'  '.join(values)}".replace("  ", " ")

    def _columns(self) -> tuple[Column[ComparedRow], ...]:
        def kind(row: ComparedRow) -> Cell:
            return ((TITLES[row.kind], "faint"),)

        def name(row: ComparedRow) -> Cell:
            role = "muted" if not row.differs else "text!" if row.chosen else "text"
            return ((f"{self.glyphs['point'] if row.chosen else ' '} ", "accent"), (row.title, role))

        several = len(self._comparison.subjects)
        return (
            Column("", kind, width=8, sort=lambda row: row.kind, from_width=70),
            Column("", name, width=14, flex=1, sort=lambda row: row.title, both_ends=True),
            *(self._value(place, _WIDTHS.get(several, 9)) for place in range(several)),
        )

    def _value(self, place: int, width: int) -> Column[ComparedRow]:
        subject = self._comparison.subjects[place]
        mark = f"{self.glyphs['point']}" if place == self._at and len(self._comparison.subjects) > 2 else ""
        alias = " baseline" if place == 0 else f" {subject.aliases[0]}" if subject.aliases else ""

        def draw(row: ComparedRow, cells: int) -> Cell:
            most = self._strongest.get((row.of, row.name), 0.0)
            return value_cell(row, row.cells[place], cells, self.glyphs, most)

        title = f"{mark}{subject.label}"
        whole = f"{title}{alias}"
        return Column(
            whole if len(whole) <= width else title,
            lambda row: row.cells[place].text,
            width=width,
            flex=1,
            align="right",
            draw=draw,
            sort=lambda row: row.values[place] if not isinstance(row.values[place], str) else None,
        )

    # What is shown

    @property
    def rows(self) -> Table[ComparedRow]:
        return self.query_one("#rows", Table)

    def show(self) -> None:
        shown = self._comparison.shown(differing=self._differing, noise=self._noise)
        self.rows.set_notice(("These do not differ.", "muted"))
        self.rows.set_rows(shown, (self._at,))
        hidden = sum(row.noise for row in self._comparison.rows) if not self._noise else 0
        if not self.rows.filter_text:
            names = ", ".join(each.label for each in self._comparison.subjects)
            rest = f", {hidden} tags folded away" if hidden else ""
            only = "only what differs" if self._differing else f"{self._comparison.differing} differ"
            self.rows.title(f"Compare {names}", f"{len(shown)} rows, {only}{rest}")
        self._show_detail()

    def _show_detail(self) -> None:
        pane = self.query_one("#detail", TextPane)
        row = self.rows.current
        if row is None:
            pane.set_lines(())
            return
        pane.title(row.title, f"baseline: {self._comparison.why}")
        lines = row_lines(self._comparison, row, self._at, self._difference(row), self.glyphs, opened=self.pane is pane)
        pane.set_lines(lines)

    def _difference_key(self, row: ComparedRow) -> str:
        labels = "/".join(each.label for each in self._comparison.subjects)
        return f"difference:{labels}:{row.kind}:{row.of}:{row.title}:{self._at}"

    def _difference(self, row: ComparedRow) -> Sequence[tuple[str, str]]:
        """Returns what differs of a long value, line by line."""
        found: Sequence[tuple[str, str]] = self.store.value(self._difference_key(row), ()) if is_long(row) else ()
        return found

    def queries(self) -> Iterable[Query]:
        """Long values are compared off this thread: they may have thousands of lines."""
        row = self.rows.current if self.ready else None
        if row is not None and is_long(row):
            old, new = (str(row.values[place] or "") for place in (0, self._at))
            yield Query(self._difference_key(row), lambda cockpit: cockpit.comparing.difference(old, new), every=3600.0)

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="compare")
        return self.make_context(self._comparison, self.rows.current)

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.update()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_open(self) -> None:
        self.focus_pane(self.query_one("#detail", TextPane))
        self._show_detail()

    def do_left(self) -> None:
        self._step(-1)

    def do_right(self) -> None:
        self._step(1)

    def _step(self, by: int) -> None:
        """Moves to another column; in the opened row, to the side."""
        if self.pane is not self.rows:
            self.navigation.do_right() if by > 0 else self.navigation.do_left()
            return
        last = min(MOST, len(self._comparison.subjects)) - 1
        self._at = max(1, min(last, self._at + by))
        self.rows.set_columns(self._columns())
        self.show()

    def do_differences(self) -> None:
        self._differing = not self._differing
        self.show()

    def do_noise(self) -> None:
        self._noise = not self._noise
        self.show()

    def do_plot(self) -> None:
        from .curves import CurvesScreen

        versions = self._comparison.versions
        runs = self.podium.cockpit.training.of_versions(versions)
        self.app.push_screen(CurvesScreen(", ".join(f"v{each.version}" for each in versions), runs))

    def do_diff(self) -> None:
        old, new = self._comparison.subjects[0].version, self._comparison.subjects[self._at].version
        if old is None or new is None:
            self.podium.say("diff: only versions have a commit that is known to be theirs", "warn")
            return
        self.podium.go("repository").show_versions(old.version, new.version, new.model)

    def do_export(self) -> None:
        names = "-".join(each.label.replace(" ", "") for each in self._comparison.subjects)
        self.podium.say("the ending says the format: .md, .csv, .html, .json")
        self.query_one(Prompt).ask("export", f"compare-{names}.md")

    def answered(self, message: Prompt.Answered) -> None:
        if message.purpose != "export":
            super().answered(message)
            return
        self.query_one(Prompt).close()
        self.focus_pane(self.rows)
        name = (message.text or "").strip()
        if name:
            rows = self._comparison.shown(differing=self._differing, noise=self._noise)
            self.carry_out(
                "export",
                lambda cockpit: cockpit.comparing.save(self._comparison, name, rows),
                lambda path: self.podium.say(f"written to {path}", "ok"),
            )

    def leave(self, *, quit_at_root: bool) -> None:
        if self.pane is not None and self.pane.id == "detail":
            self.focus_pane(self.rows)
            self._show_detail()
        else:
            super().leave(quit_at_root=quit_at_root)
