"""Board: for each environment and infrastructure, is it what podium.yaml declares, does it run, is its model well?"""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult

from ..core.domain.infra.board import Answer, BoardRow, Mark
from ..tui.context import Context
from ..tui.queries import BOARD, Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen

# A glyph and a role for each answer: never a colour alone.
_MARKS = {
    Mark.GOOD: ("ok", "ok"),
    Mark.BAD: ("bad", "bad"),
    Mark.UNKNOWN: ("wait", "wait"),
    Mark.NONE: ("idle", "faint"),
}
_RANKS = (Mark.BAD, Mark.UNKNOWN, Mark.GOOD, Mark.NONE)


class BoardScreen(PodiumScreen):
    title_id = "board"
    first_pane = "board"
    DEFAULT_CSS = """
    BoardScreen #body { layout: vertical; }
    BoardScreen #board { height: 1fr; }
    BoardScreen #answers { height: 9; }
    """

    def body(self) -> ComposeResult:
        yield Table[BoardRow](
            "Board",
            (
                Column("what", self._what, width=14, flex=1, sort=lambda row: row.name),
                Column(
                    "declared",
                    lambda row: self._answer(row.declared),
                    width=16,
                    flex=2,
                    sort=lambda row: _rank(row.declared),
                ),
                Column("real", lambda row: self._answer(row.real), width=16, flex=2, sort=lambda row: _rank(row.real)),
                Column(
                    "model", lambda row: self._answer(row.model), width=16, flex=2, sort=lambda row: _rank(row.model)
                ),
            ),
            key=lambda row: f"{row.kind} {row.name}",
            text=lambda row: f"{row.kind} {row.name} {' '.join(answer.words for answer in row.answers)}",
            id="board",
        )
        yield TextPane("Answers", wrap=True, id="answers")

    def queries(self) -> Iterable[Query]:
        yield BOARD

    @property
    def board(self) -> Table[BoardRow]:
        return self.query_one("#board", Table)

    # What is shown

    def _what(self, row: BoardRow) -> Cell:
        glyph, role = self._glyph(row.mark)
        tail = " protected" if row.protected else " infra" if row.kind == "infra" else ""
        return ((f"{glyph} ", role), (row.name, "text!"), (tail, "muted"))

    def _answer(self, answer: Answer) -> Cell:
        glyph, role = self._glyph(answer.mark)
        return ((f"{glyph} {answer.words}", role),)

    def _glyph(self, mark: Mark) -> tuple[str, str]:
        name, role = _MARKS[mark]
        return self.glyphs[name], role

    def show(self) -> None:
        found = self.store.get("board")
        rows: tuple[BoardRow, ...] = found.value or ()
        self.board.set_notice(*self.notice_for(found, (("podium.yaml declares no environment.", "muted"),)))
        self.board.set_rows(rows)
        wrong = sum(row.mark is Mark.BAD for row in rows)
        if not self.board.filter_text:
            self.board.title("Board", f"{wrong} of {len(rows)} not as they should be" if wrong else "")
        self._show_answers()

    def _show_answers(self) -> None:
        """The three answers of the row under the cursor, whole."""
        pane, row = self.query_one("#answers", TextPane), self.board.current
        pane.set_notice(("What is under the cursor stands here.", "faint"))
        pane.title(row.name if row is not None else "Answers", "")
        pane.set_lines([self._line(*each) for each in _questions(row)] if row is not None else ())

    def _line(self, question: str, answer: Answer) -> Line:
        glyph, role = self._glyph(answer.mark)
        return ((f"{question:<36} ", "muted"), (f"{glyph} {answer.words}", role))

    # Actions

    def context(self) -> Context:
        return self.make_context(self.board.current) if self.ready else Context(screen="board")

    def do_open(self) -> None:
        row = self.board.current
        if row is None:
            self.podium.say("nothing to open here")
        elif row.kind == "infra":
            self.podium.go("infra")
        else:
            self.podium.go("environments").select(row.name)

    def on_table_opened(self, message: Table.Opened) -> None:
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_answers()
        self.show_footer()


def _rank(answer: Answer) -> int:
    return _RANKS.index(answer.mark)


def _questions(row: BoardRow) -> tuple[tuple[str, Answer], ...]:
    if row.kind == "infra":
        return (("Is it what podium.yaml declares?", row.declared), ("Is it still as it was applied?", row.real))
    return (
        ("Is it what podium.yaml declares?", row.declared),
        ("Does what should run, run?", row.real),
        ("Is the version that serves well?", row.model),
    )
