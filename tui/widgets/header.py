"""The top line: which project, which screen, whether production is at stake, and whether what is shown is still
true."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual import events
from textual.strip import Strip

from ...core.domain.text import format as fmt
from ...core.domain.text import one_line
from ...core.domain.watching import AgentStatus
from ..screens import BY_NAME, MAIN
from .pane import Pane, Span, cells_of, fit, fit_both_ends

_CLOSE = -1
_READABLE = 3  # letters from which on a name that is cut may stand beside one that is not
# Letters of the other screens' names, from the widest way to show them on, at last their keys alone, close together;
# and whether what is protected goes without its name.
_WAYS = ((12, False), (_READABLE, False), (_READABLE, True), (2, False), (0, False), (_CLOSE, False))
_SHORT_NAME = 6  # cells of a project's name that still say which one it is
_WIDE = 100  # columns from which on the state of the agent is said in full


class Header(Pane, can_focus=False):
    DEFAULT_CSS = """
    Header { height: 1; border: none; background: $panel; dock: top; }
    """

    def __init__(self, screen: str) -> None:
        super().__init__()
        self._screen = screen
        self._project = ""
        self._protected = ""
        self._agent: AgentStatus | None = None
        self._stale = ""
        self._hits: list[tuple[int, int, str]] = []
        self._crumbs = ""

    def show(self, *, project: str, protected: str, agent: AgentStatus | None, stale: str) -> None:
        """`protected` names the protected environment in question, `stale` says since when nothing new was read;
        both may be empty."""
        wanted = (project, protected, agent and (agent.alive, agent.pid), stale)
        if wanted != (
            self._project,
            self._protected,
            self._agent and (self._agent.alive, self._agent.pid),
            self._stale,
        ):
            self._project, self._protected, self._agent, self._stale = project, protected, agent, stale
            self.refresh()

    def show_crumbs(self, crumbs: Sequence[str]) -> None:
        """Where on its screen a person is, where there is room for it: `› run 41 › gate`."""
        words = "".join(f" › {one_line(each)}" for each in crumbs)
        if words != self._crumbs:
            self._crumbs = words
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, right = self._fitting(width)
        room = width - sum(cells_of(text) for text, _ in left)
        while right and (over := sum(cells_of(text) for text, _ in right) - room) > 0:
            text, role = right.pop()
            left_over = cells_of(text) - over
            if left_over >= 14:  # enough is left of it to be of use
                right.append((fit(text, left_over, self.glyphs), role))
        gap = max(0, room - sum(cells_of(text) for text, _ in right))
        way = self.glyphs.text(self._crumbs)
        cells = cells_of(way)
        between: list[Span] = [(way, "accent"), (" " * (gap - cells), "")] if cells < gap else [(" " * gap, "")]
        return self.strip([*left, *between, *right], width, self.palette["bar"])

    def _fitting(self, width: int) -> tuple[list[Span], list[Span]]:
        """Returns both ends of the line in the widest way that fits. What is at stake is said before the screens' names
        are, in one word where that leaves these readable."""
        right, spare = self._right(brief=False), 0
        for letters, brief in _WAYS:
            left, right = self._left(letters), self._right(brief=brief)
            # That the agent is well is the one thing that may be left out.
            needed = sum(cells_of(text) for text, role in right if role != "ok")
            spare = width - needed - sum(cells_of(text) for text, _ in left)
            if spare >= 0:
                return self._left(letters, self._whole(letters, spare)), right
        # Even the keys alone are too much: the project's name gives way.
        return self._left(_CLOSE, shorter=-spare), right

    def _whole(self, letters: int, spare: int) -> set[str]:
        """Returns the screens whose names can stand whole in `spare` cells, the shortest first."""
        whole: set[str] = set()
        for screen in sorted(MAIN, key=lambda each: len(each.title)) if letters >= _READABLE else ():
            more = len(screen.title) - len(_cut(screen.title, letters))
            spare -= more if screen.name != self._here else 0
            if spare >= 0:
                whole.add(screen.name)
        return whole

    @property
    def _here(self) -> str:
        """The main screen that is shown, or above which one is shown."""
        return BY_NAME[self._screen].above or self._screen if self._screen in BY_NAME else ""

    def _left(self, letters: int, whole: Collection[str] = (), shorter: int = 0) -> list[Span]:
        """Returns the project's name, by so many cells `shorter` where that leaves a few, and the screens."""
        name = one_line(self._project) or "podium"
        room = max(12, self.size.width // 5)  # a long name must not take the place of the screens' names
        if shorter:
            room = max(_SHORT_NAME, min(room, cells_of(name)) - shorter)
        name = name if cells_of(name) <= room else fit_both_ends(name, room, self.glyphs)
        spans: list[Span] = [(f" {name} ", "accent!"), (" ", "")]
        self._hits = []
        at = sum(cells_of(text) for text, _ in spans)
        for screen in MAIN:
            here = screen.name == self._here
            title = screen.title if here or screen.name in whole else _cut(screen.title, letters)
            key = f" {screen.key}" if letters == _CLOSE and not here else f" {screen.key} "
            spans += [
                (key, "accent" if here else "faint"),
                (f"{title} " if title else "", "text!" if here else "muted"),
            ]
            cells = len(key) + (len(title) + 1 if title else 0)
            self._hits.append((at, at + cells, screen.name))
            at += cells
        return spans

    def _right(self, *, brief: bool) -> list[Span]:
        spans: list[Span] = []
        if self._protected:
            name = "" if brief else f"{one_line(self._protected).upper()} "
            spans += [(f" {name}PROTECTED ", "banner"), (" ", "")]
        if self.podium.read_only:
            spans.append(("read-only ", "warn!"))
        if self._stale:
            spans.append((f"{self.glyphs['warn']} {self.glyphs.text(one_line(self._stale))} ", "warn!"))
        elif self._agent is not None:
            spans += self._agent_spans(self._agent)
        return spans

    def _agent_spans(self, agent: AgentStatus) -> list[Span]:
        if agent.alive and agent.troubles:
            words = "agent: trouble" if self.size.width >= _WIDE else "trouble"  # rather than nothing of it
            return [(f"{self.glyphs['warn']} {words} ", "warn!")]
        if agent.alive:
            return [(f"{self.glyphs['run']} agent ", "ok")]
        if agent.pid:
            return [(f"{self.glyphs['warn']} agent is gone ", "warn!")]
        return [(f"{self.glyphs['skip']} no agent ", "muted")]

    def on_click(self, event: events.Click) -> None:
        for low, high, name in self._hits:
            if low <= event.x < high:
                self.podium.go(name)
                return


def _cut(title: str, letters: int) -> str:
    """Returns the first letters of a screen's name: so many, or as many as tell it from the others'."""
    if letters <= 0:
        return ""
    others = [screen.title for screen in MAIN if screen.title != title]
    while any(other[:letters] == title[:letters] for other in others):
        letters += 1
    return title[:letters]


def stale_words(since: float | None, now: float, reason: str) -> str:
    """`data as of 10:12:03: <reason>`."""
    at = f"data as of {fmt.when(since, now)}" if since is not None else "no data"
    return f"{at}: {reason}" if reason else at
