"""What keys do in every list and log alike: move, search, filter, sort, copy. Every screen has one
(`screens/base.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tui.widgets.log_view import LogView
from ..tui.widgets.pane import Pane
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import TextPane

if TYPE_CHECKING:
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

    def do_wrap(self) -> None:
        if isinstance(self._pane, (LogView, TextPane)):
            self._screen.podium.say(
                "long lines are wrapped" if self._pane.toggle_wrap() else "long lines are cut; left and right scroll"
            )

    def do_timestamps(self) -> None:
        if isinstance(self._pane, LogView):
            self._screen.podium.say("with times" if self._pane.toggle_times() else "without times")

    def do_copy(self) -> None:
        if self._pane is not None:
            self._screen.podium.copy(self._pane.copy_text())

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
                pane.focus()
        if pane is None:
            return
        if message.purpose == "filter":
            # While typing, only lists filter: each letter over a long log would start a search of its own.
            if message.final or isinstance(pane, Table):
                pane.set_filter(self._filter_before if message.text is None else message.text)
        elif message.text is not None:
            pane.search(message.text)
        self._screen.show_footer()
