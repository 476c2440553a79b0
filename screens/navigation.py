"""What keys do in every list and log alike: move, search, filter, sort, copy, go to another screen. Part of every
screen (`screens/base.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tui.widgets.log_view import LogView
from ..tui.widgets.pane import Pane
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table

if TYPE_CHECKING:
    from .base import PodiumScreen as _Base
else:
    _Base = object


class Verbs(_Base):
    def _move(self, how: str) -> None:
        if self.pane is not None:
            self.pane.move(how)

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

    def do_goto_overview(self) -> None:
        self.podium.go("overview")

    def do_goto_runs(self) -> None:
        self.podium.go("runs")

    def do_goto_models(self) -> None:
        self.podium.go("models")

    def do_goto_environments(self) -> None:
        self.podium.go("environments")

    def do_goto_containers(self) -> None:
        self.podium.go("containers")

    def do_sort(self) -> None:
        pane = self.pane
        if isinstance(pane, Table):
            self.podium.say(f"sorted {pane.sort_next()}")

    def do_wrap(self) -> None:
        if isinstance(self.pane, LogView):
            self.podium.say(
                "long lines are wrapped" if self.pane.toggle_wrap() else "long lines are cut; left and right scroll"
            )

    def do_timestamps(self) -> None:
        if isinstance(self.pane, LogView):
            self.podium.say("with times" if self.pane.toggle_times() else "without times")

    def do_copy(self) -> None:
        if self.pane is not None:
            self.podium.copy(self.pane.copy_text())

    # Search and filter

    def do_search(self) -> None:
        self._asking = self.pane
        self.query_one(Prompt).ask("search")

    def do_filter(self) -> None:
        self._asking = self.pane
        self._filter_before = self.pane.filter_text if self.pane is not None else ""
        self.query_one(Prompt).ask("filter", self._filter_before)

    def do_next(self) -> None:
        if self.pane is not None:
            self.pane.search_step(1)

    def do_previous(self) -> None:
        if self.pane is not None:
            self.pane.search_step(-1)

    _asking: Pane | None = None
    _filter_before = ""

    def on_prompt_answered(self, message: Prompt.Answered) -> None:
        message.stop()
        pane = self._asking
        if message.final:
            self.query_one(Prompt).close()
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
        self.show_footer()
