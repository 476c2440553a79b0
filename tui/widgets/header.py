"""The top line: which project, which screen, whether production is at stake, and whether what is shown is still true."""

from __future__ import annotations

from textual import events
from textual.strip import Strip

from ...core.domain.watching import AgentStatus
from .. import format as fmt
from ..actions import SCREEN_TITLES
from .pane import Pane, Span

_TABS = ("overview", "runs", "models", "environments")


class Header(Pane, can_focus=False):
    DEFAULT_CSS = """
    Header { height: 1; border: none; background: $panel; dock: top; }
    .-ascii Header { border: none; }
    """

    def __init__(self, screen: str) -> None:
        super().__init__()
        self._screen = screen
        self._project = ""
        self._protected = ""
        self._agent: AgentStatus | None = None
        self._stale = ""

    def show(self, *, project: str, protected: str, agent: AgentStatus | None, stale: str) -> None:
        """`protected` names the protected environment in question, `stale` says since when nothing new was read; both may be empty."""
        wanted = (project, protected, agent and (agent.alive, agent.pid), stale)
        if wanted != (self._project, self._protected, self._agent and (self._agent.alive, self._agent.pid), self._stale):
            self._project, self._protected, self._agent, self._stale = project, protected, agent, stale
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.palette["bar"]
        left: list[Span] = [(f" {self._project or 'podium'} ", "accent!"), (" ", "")]
        self._hits: list[tuple[int, int, str]] = []
        at = sum(len(text) for text, _ in left)
        for number, name in enumerate(_TABS, 1):
            here = name == self._screen or (name == "models" and self._screen == "compare")
            title = SCREEN_TITLES[name] if width >= 76 or here else SCREEN_TITLES[name][:3]
            left += [(f" {number} ", "accent" if here else "faint"), (f"{title} ", "text!" if here else "muted")]
            self._hits.append((at, at + len(title) + 4, name))
            at += len(title) + 4
        right: list[Span] = []
        if self._protected:
            right.append((f" {self._protected.upper()} PROTECTED ", "banner"))
            right.append((" ", ""))
        if self.podium.read_only:
            right.append(("read-only ", "warn!"))
        if self._stale:
            right.append((self.glyphs.text(f"{self.glyphs['warn']} {self._stale} "), "warn!"))
        elif self._agent is not None:
            right += self._agent_spans(width)
        taken = sum(len(text) for text, _ in left)
        room = width - taken
        while right and sum(len(text) for text, _ in right) > room:
            right.pop()
        gap = max(0, room - sum(len(text) for text, _ in right))
        return self.strip([*left, (" " * gap, ""), *right], width, base)

    def _agent_spans(self, width: int) -> list[Span]:
        agent = self._agent
        assert agent is not None
        if agent.alive:
            return [(f"{self.glyphs['run']} ", "ok"), ("agent ", "muted")]
        word = "agent is gone " if agent.pid else "no agent "
        return [(f"{self.glyphs['skip']} ", "warn" if agent.pid else "faint"), (word, "warn" if agent.pid else "muted")]

    def on_click(self, event: events.Click) -> None:
        for low, high, name in getattr(self, "_hits", ()):
            if low <= event.x < high:
                self.podium.go(name)
                return


def stale_words(since: float | None, now: float, reason: str) -> str:
    """`data as of 10:12:03: <reason>`."""
    at = f"data as of {fmt.when(since, now)}" if since is not None else "no data"
    return f"{at}: {reason}" if reason else at
