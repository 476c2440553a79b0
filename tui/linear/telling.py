"""What is told of a screen after each command: where one is, the rows under numbers, what changed in the details, and
what can be done."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ..keys import Keymap
from ..places.crumbs import crumbs
from ..screens import title_of as screen_title
from ..widgets.log_view import LogView
from ..widgets.pane import Pane
from ..widgets.table import Table
from ..widgets.text_pane import TextPane
from .spoken import notice_lines, pane_lines, plain, row_words, title_of

if TYPE_CHECKING:
    from ...screens.base import PodiumScreen

_ROWS, _GLANCED_ROWS = 20, 8
_DETAILS = 16  # lines of a pane that is beside the one with the focus
_MOST_LINES = 60
# They are about a picture, or are commands of linear mode itself.
_NOT_OFFERED = frozenset({"open", "mark", "narrower", "wider", "log_axis", "smooth", "export"})


class Teller:
    """Remembers what was told, so that only what is new is told again."""

    def __init__(self, say: Callable[[str], None], keymap: Keymap) -> None:
        self._say, self._keymap = say, keymap
        self._screen: object = None
        self._focused: Pane | None = None
        self._told: dict[Pane, tuple[str, ...]] = {}
        self._offered: tuple[object, ...] = ()
        self.numbered: list[tuple[Table[Any], Hashable]] = []
        """What the numbers stand for."""
        self._next: dict[Table[Any], int] = {}

    def forget(self) -> None:
        """Has everything told again."""
        self._screen = None
        self._told.clear()
        self._offered = ()

    def screen(self, screen: PodiumScreen) -> None:
        """Tells where one is, and what is new there."""
        new = screen is not self._screen
        if new:
            self._told.clear()
            self._say(self._heading(screen))
        pane = screen.pane
        whole = screen.title_id == "overview"
        if whole and (new or self._changed(screen.panes)):
            self.numbered = []
            for each in screen.panes:
                self._pane(each, _GLANCED_ROWS)
        elif pane is not None and not whole and (new or pane is not self._focused or self._changed((pane,))):
            self.numbered = []
            self._pane(pane, _ROWS)
        self._beside(screen, pane, new and not whole)
        self._offer(screen, new)
        self._screen, self._focused = screen, pane

    def _heading(self, screen: PodiumScreen) -> str:
        words = [screen_title(screen.title_id), *(crumbs(screen.context()) if screen.has_crumbs else ())]
        project = screen.project.name if screen.project is not None else screen.podium.cockpit.home.name
        stale, _ = screen.podium.stale()
        read_only = ", read-only" if screen.podium.read_only else ""
        return f"{plain(', '.join(words))}. Project {plain(project)}{read_only}.{f' {plain(stale)}.' if stale else ''}"

    def _changed(self, panes: Sequence[Pane]) -> bool:
        return any(self._told.get(each) != _content(each) for each in panes)

    # Panes

    def _pane(self, pane: Pane, most: int) -> None:
        self._told[pane] = _content(pane)
        if isinstance(pane, Table):
            self._table(pane, most)
            return
        self._say(f"{title_of(pane)}:")
        lines = pane_lines(pane)
        for line in lines[-_MOST_LINES:] if isinstance(pane, LogView) else lines[:_MOST_LINES]:
            self._say(line)
        if len(lines) > _MOST_LINES and not isinstance(pane, LogView):
            self._say(f"{len(lines) - _MOST_LINES} more lines; / and a word looks for one.")

    def _table(self, table: Table[Any], most: int) -> None:
        shown = table.shown
        self._say(f"{title_of(table)}:")
        if not shown:
            for line in notice_lines(table) or ["nothing"]:
                self._say(line)
            return
        self._rows(table, 0, most)

    def _rows(self, table: Table[Any], first: int, most: int) -> None:
        for row in table.rows_from(first, most):
            key = table.key_of(row)
            self.numbered.append((table, key))
            marked = "marked, " if key in table.marks else ""
            here = ", here" if key == table.current_key and table is table.screen.focused else ""
            self._say(f"{len(self.numbered)}. {marked}{row_words(table, row)}{here}")
        self._next[table] = first + most
        left = table.shown - first - most
        if left > 0:
            self._say(f"{left:,} more rows: more tells the next ones, f and a word filters.")

    def more(self, table: Table[Any]) -> bool:
        """Tells the rows that follow those that were told; whether there are any."""
        first = self._next.get(table, 0)
        if first >= table.shown:
            return False
        self._rows(table, first, _ROWS)
        return True

    def _beside(self, screen: PodiumScreen, focused: Pane | None, named: bool) -> None:
        """Details that changed are told, and where one has just come, what other panes there are."""
        for pane in screen.panes:
            if pane is not focused and isinstance(pane, TextPane) and self._changed((pane,)):
                self._told[pane] = _content(pane)
                lines = pane_lines(pane)
                if pane.lines:
                    self._say(f"{title_of(pane) or 'Details'}:")
                    for line in lines[:_DETAILS]:
                        self._say(line)
                    if len(lines) > _DETAILS:
                        self._say(f"{len(lines) - _DETAILS} more lines: tab goes there.")
        others = [_short(pane) for pane in screen.panes if pane is not focused and not isinstance(pane, TextPane)]
        if named and others:
            self._say(f"Beside it, tab goes there: {'; '.join(others)}.")

    def _offer(self, screen: PodiumScreen, new: bool) -> None:
        """What can be done with what is under the cursor, where that is another thing than before."""
        context = screen.context()
        offered = (screen, context.subjects, context.pane)
        if offered == self._offered and not new:
            return
        self._offered = offered
        possible = [
            f"{each.label_on(context.screen)}{f' ({keys})' if (keys := self._keymap.shown(each)) else ''}"
            for each in self._keymap.actions
            if each.group in ("Here", "Changes", "Yours")
            and each.id not in _NOT_OFFERED
            and (each.screens or each.own is not None or each.id == "browser")
            and screen.can(each)
            and not each.refusal(context)
        ]
        about = crumbs(context)
        if possible:
            self._say(f"To do{f' with {plain(about[-1])}' if about else ''}: {', '.join(possible)}.")


def _content(pane: Pane) -> tuple[str, ...]:
    if isinstance(pane, Table):
        # What its rows say changes with time alone: changes of state are told when they come.
        keys = tuple(str(pane.key_of(row)) for row in pane.rows_from(0, _ROWS))
        return (*keys, str(pane.shown), str(pane.marks), pane.filter_text)
    if isinstance(pane, LogView):
        return (str(pane.source), pane.copy_text()[-4096:])
    return tuple(pane_lines(pane))


def _short(pane: Pane) -> str:
    words = title_of(pane) or "details"
    if isinstance(pane, Table):
        return f"{words}, {pane.shown:,} rows" if pane.shown != 1 else f"{words}, 1 row"
    return words
