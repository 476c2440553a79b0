"""Projects: all that a person goes to, in one look: what serves, what runs, what waits for somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from textual.app import ComposeResult

from ..core.domain.attention import Need
from ..core.domain.projects import ProjectGlance
from ..core.domain.text import format as fmt
from ..tui.context import Context
from ..tui.places.sought import Sought
from ..tui.queries import Query
from ..tui.widgets.pane import Cell, Span
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen
from .cells.common import health_cell, serves_cell

_URGENT = 2  # a need of less urgency than this is not shown in red
_MOST_NEEDS = 12


class ProjectsScreen(PodiumScreen):
    title_id = "projects"
    first_pane = "projects"
    has_crumbs = False
    DEFAULT_CSS = """
    ProjectsScreen #body { layout: vertical; }
    ProjectsScreen #projects { height: 3fr; }
    ProjectsScreen #detail { height: 2fr; }
    ProjectsScreen.-huge #body { layout: horizontal; }
    ProjectsScreen.-huge #projects { height: 1fr; width: 3fr; }
    ProjectsScreen.-huge #detail { height: 1fr; width: 2fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        # Answers come in any order: the cursor waits for that of the project that one comes from.
        self.seek(Sought("projects", self._is_here, needed=False))

    def body(self) -> ComposeResult:
        yield Table[ProjectGlance](
            "Projects",
            (
                Column("project", self._named, width=14, flex=2, sort=lambda each: each.name),
                Column("serves", self._serves, width=18, flex=3),
                Column("runs", self._active, width=6, sort=lambda each: -each.active),
                Column("needs you", self._needs, width=12, flex=4, sort=_urgency),
                Column("agent", self._agent, width=11, from_width=76),
                Column("directory", lambda each: ((each.home, "muted"),), width=16, flex=2, from_width=110),
            ),
            key=lambda each: each.home,
            text=lambda each: f"{each.name} {each.home} {each.problem}",
            id="projects",
        )
        yield TextPane("Project", wrap=True, id="detail")

    def queries(self) -> Iterable[Query]:
        return [self.podium.glance(home) for home in self.podium.projects]

    def tick(self) -> None:
        super().tick()
        self.podium.read(self.queries())  # the journals of other projects do not ring here

    # What is shown

    @property
    def table(self) -> Table[ProjectGlance]:
        return self.query_one("#projects", Table)

    @property
    def labels(self) -> Mapping[Path, str]:
        return self.podium.project_labels()

    def show(self) -> None:
        read = [self.store.get(query.key) for query in self.queries()]
        rows = tuple(each.value for each in read if each.value is not None)
        self.table.set_notice(("reading …", "faint"))
        self.table.set_rows(rows, (int(self.podium.clock() // 15), self.labels))
        waiting = sum(bool(each.needs) for each in rows)
        if not self.table.filter_text:
            more = "" if len(rows) == len(read) else f", {len(read) - len(rows)} being read"
            self.table.title(f"{fmt.count(len(read), 'project')}{more}", f"{waiting} need you" if waiting else "")
        self._show_detail()

    def _show_detail(self) -> None:
        pane, glance = self.query_one("#detail", TextPane), self.table.current
        pane.set_notice(("What is known of a project stands here.", "faint"))
        pane.title(self._label(glance) if glance is not None else "Project", "enter goes there")
        pane.set_lines(self._lines(glance) if glance is not None else ())

    def _lines(self, glance: ProjectGlance) -> list[Line]:
        lines: list[Line] = [((glance.home, "muted"),)]
        if glance.problem:
            lines.append(((f"{self.glyphs['bad']} {glance.problem}", "bad"),))
        for status in glance.environments:
            protected = "protected " if status.protected else ""
            state = (*serves_cell(status), ("  ", ""), *health_cell(self.glyphs, status))
            lines.append(((f"{status.name} ", "text!"), (protected, "protected"), *state))
        for need in glance.needs[:_MOST_NEEDS]:
            lines.append(((f"{self.glyphs['warn']} {need.subject}: ", _role(need)), (need.words, "")))
        if len(glance.needs) > _MOST_NEEDS:
            lines.append(((f"and {len(glance.needs) - _MOST_NEEDS} more", "muted"),))
        if len(self.podium.projects) == 1:
            lines += [(), (("podium ui DIR DIR opens several; ~/.config/podium/projects.yaml lists them.", "muted"),)]
        return lines

    # Cells

    def _label(self, glance: ProjectGlance) -> str:
        return self.labels.get(Path(glance.home), glance.name)

    def _named(self, glance: ProjectGlance) -> Cell:
        here = self._is_here(glance)
        return ((f"{self.glyphs['here']} " if here else "  ", "accent"), (self._label(glance), "text!"))

    def _is_here(self, glance: ProjectGlance) -> bool:
        return Path(glance.home) == self.podium.cockpit.home

    def _serves(self, glance: ProjectGlance) -> Cell:
        """The protected environments, else all of them, the worst first where there is no room for more."""
        chosen = [each for each in glance.environments if each.protected] or list(glance.environments)
        spans: list[Span] = []
        for status in chosen:
            spans += [("  ", "")] if spans else []
            spans += [(f"{status.name} ", "muted"), *serves_cell(status), (" ", ""), *health_cell(self.glyphs, status)]
        return tuple(spans) or (("nothing", "faint"),)

    def _active(self, glance: ProjectGlance) -> Cell:
        return ((f"{self.glyphs['run']} {glance.active}" if glance.active else "", "run"),)

    def _needs(self, glance: ProjectGlance) -> Cell:
        if glance.problem:
            return ((f"{self.glyphs['bad']} {glance.problem}", "bad"),)
        if not glance.needs:
            return ((f"{self.glyphs['ok']} nothing", "ok"),)
        first, more = glance.needs[0], len(glance.needs) - 1
        count = f"{more + 1}: " if more else ""
        return ((f"{self.glyphs['warn']} {count}", _role(first)), (f"{first.subject}: {first.words}", "text"))

    def _agent(self, glance: ProjectGlance) -> Cell:
        if glance.agent is None or not glance.agent.alive:
            return ((f"{self.glyphs['skip']} none", "muted"),)
        if glance.agent.troubles:
            return ((f"{self.glyphs['warn']} trouble", "warn"),)
        return ((f"{self.glyphs['run']} running", "ok"),)

    # Actions

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="projects")

    def do_open(self) -> None:
        glance = self.table.current
        if glance is not None:
            self.podium.open_project(Path(glance.home))

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self._show_detail()
        self.show_footer()


def _urgency(glance: ProjectGlance) -> tuple[int, int]:
    """What is worst comes first."""
    if glance.problem:
        return (-1, 0)
    return (glance.needs[0].urgency, -len(glance.needs)) if glance.needs else (99, 0)


def _role(need: Need) -> str:
    return "bad" if need.urgency < _URGENT else "warn"
