"""What keys do in every list and log alike: move, search, filter, sort, copy. Every screen has one
(`screens/base.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..core.domain.text import format as fmt
from ..tui.widgets.pane import Pane
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
    from ..tui.widgets.log_view import LogView
    from .base import PodiumScreen


class Navigation:
    """Its methods are called as the actions are, with `do_` before their ids; they act on the focused pane."""

    def __init__(self, screen: PodiumScreen) -> None:
        self._screen = screen
        self._asking: Pane | None = None
        self._filter_before = ""

    @property
    def _pane(self) -> Pane | None:
        return self._screen.pane

    @property
    def _log(self) -> LogView | None:
        """Returns the log that has the focus. It is known by its kind: nothing of logs is imported where there is
        none."""
        return _log_of(self._pane)

    def _move(self, how: str) -> None:
        if self._pane is not None:
            self._pane.move(how)

    def do_down(self) -> None:
        self._move("down")

    def do_up(self) -> None:
        self._move("up")

    def do_top(self) -> None:
        self._move("top")

    def do_bottom(self) -> None:
        self._move("bottom")

    def do_half_down(self) -> None:
        self._move("half_down")

    def do_half_up(self) -> None:
        self._move("half_up")

    def do_left(self) -> None:
        self._move("left")

    def do_right(self) -> None:
        self._move("right")

    def do_sort(self) -> None:
        pane = self._pane
        if isinstance(pane, Table):
            self._screen.podium.say(f"sorted {pane.sort_next()}")

    def do_columns(self) -> None:
        if isinstance(self._pane, Table):
            from ..tui.widgets.tables.columns_dialog import ColumnsDialog

            if any(column.title for column in self._pane.given):
                self._screen.app.push_screen(ColumnsDialog(self._pane))
            else:
                self._screen.podium.say("this list has no columns to choose from", "warn")

    def do_wide(self) -> None:
        if isinstance(self._pane, Table):
            wide = self._pane.toggle_wide()
            self._screen.podium.say(
                "every column as wide as it needs; left and right move them" if wide else "as wide as the list again"
            )

    def do_wrap(self) -> None:
        pane = self._log or (self._pane if isinstance(self._pane, TextPane) else None)
        if pane is not None:
            self._screen.podium.say(
                "long lines are wrapped" if pane.toggle_wrap() else "long lines are cut; left and right scroll"
            )

    def do_timestamps(self) -> None:
        log = self._log
        if log is not None:
            self._screen.podium.say("with times" if log.toggle_times() else "without times")

    def do_copy(self) -> None:
        log = self._log
        if log is not None:
            log.copy_lines(self._screen.podium.copy)
        elif self._pane is not None:
            self._screen.podium.copy(self._pane.copy_text())

    # Logs

    def _say_of_log(self, what: Callable[[LogView], str]) -> None:
        log = self._log
        if log is not None:
            self._screen.podium.say(what(log))

    def do_select(self) -> None:
        self._say_of_log(lambda log: log.toggle_select())

    def do_regex(self) -> None:
        self._say_of_log(
            lambda log: "taken as regular expressions" if log.toggle_regex() else "searched for as it stands"
        )

    def do_levels(self) -> None:
        self._say_of_log(lambda log: log.cycle_level())

    def do_stream(self) -> None:
        self._say_of_log(lambda log: log.toggle_stream())

    def do_more_context(self) -> None:
        self._say_of_log(lambda log: log.change_context(1))

    def do_less_context(self) -> None:
        self._say_of_log(lambda log: log.change_context(-1))

    def do_since(self) -> None:
        from ..tui.widgets.logs.moments import HINT

        self._asking = self._pane
        self._screen.podium.say(HINT)
        self._screen.query_one(Prompt).ask("since", "5m")

    def do_export(self) -> None:
        """Saves a log: a file's name is asked for."""
        self._asking = self._pane
        self._screen.query_one(Prompt).ask("save to", "podium.log")

    def open_line(self) -> bool:
        """Opens the line of a log under the cursor, or the one that was found; whether there is one."""
        line = self._log.line_at_cursor() if self._log is not None else None
        if line is not None:
            from ..tui.widgets.line_dialog import LineDialog

            self._screen.app.push_screen(LineDialog(line))
        return line is not None

    def _save(self, log: LogView, name: str) -> None:
        from ..core.cockpit import save

        write = log.saving()

        def done(found: tuple[object, int]) -> None:
            self._screen.podium.say(f"{fmt.count(found[1], 'line')} written to {found[0]}", "ok")

        self._screen.carry_out("save", lambda cockpit: save(cockpit.home, name, write), done)

    # Search and filter

    def do_search(self) -> None:
        self._asking = self._pane
        self._screen.query_one(Prompt).ask("search")

    def do_filter(self) -> None:
        self._asking = self._pane
        self._filter_before = self._pane.filter_text if self._pane is not None else ""
        self._screen.query_one(Prompt).ask("filter", self._filter_before)

    def do_next(self) -> None:
        if self._pane is not None:
            self._pane.search_step(1)

    def do_previous(self) -> None:
        if self._pane is not None:
            self._pane.search_step(-1)

    def answered(self, message: Prompt.Answered) -> None:
        """Does what was typed into the prompt."""
        pane = self._asking
        if message.final:
            self._screen.query_one(Prompt).close()
            if pane is not None:
                self._screen.focus_pane(pane)
        if pane is None:
            return
        log = _log_of(pane)
        if log is not None and message.purpose in ("since", "save to"):
            text = (message.text or "").strip()
            if text and message.final:
                log.go_since(text) if message.purpose == "since" else self._save(log, text)
            return
        if message.purpose == "filter":
            # While typing, only lists filter: each letter over a long log would start a search of its own.
            if message.final or isinstance(pane, Table):
                pane.set_filter(self._filter_before if message.text is None else message.text)
        elif message.text is not None:
            pane.search(message.text)
        self._screen.show_footer()


def _log_of(pane: Pane | None) -> LogView | None:
    return cast("LogView", pane) if pane is not None and pane.kind == "log" else None
