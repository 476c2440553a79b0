"""Files: what a run has logged to MLflow, and the text or the picture of the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult

from ..core.domain.curves import Artifact, ArtifactText, Trained
from ..core.domain.text import format as fmt
from ..tui.context import Context
from ..tui.pool import SLOW
from ..tui.queries import Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen
from .cells.picture import picture_lines

_KEPT = 3600.0


class ArtifactsScreen(PodiumScreen):
    title_id = "files"
    first_pane = "files"
    DEFAULT_CSS = """
    ArtifactsScreen #body { layout: vertical; }
    ArtifactsScreen #files { height: 40%; }
    ArtifactsScreen #text { height: 1fr; }
    ArtifactsScreen.-wide #body { layout: horizontal; }
    ArtifactsScreen.-wide #files { width: 40%; height: 1fr; }
    """

    def __init__(self, runs: Sequence[Trained]) -> None:
        super().__init__()
        self._runs = tuple(runs)
        self._at = 0

    def body(self) -> ComposeResult:
        yield Table[Artifact](
            "Files",
            (
                Column("file", _name, width=16, flex=1, both_ends=True, sort=lambda each: each.path),
                Column("size", _size, width=8, align="right", sort=lambda each: each.size),
            ),
            key=lambda each: each.path,
            text=lambda each: each.path,
            id="files",
        )
        yield TextPane("Text", wrap=True, id="text")

    @property
    def run(self) -> Trained:
        return self._runs[self._at]

    @property
    def table(self) -> Table[Artifact]:
        return self.query_one("#files", Table)

    def queries(self) -> Iterable[Query]:
        run = self.run
        yield Query(f"files:{run.mlflow_run}", lambda cockpit: cockpit.training.artifacts(run), _KEPT, SLOW)
        here = self.table.current if self.ready else None
        if here is not None:
            yield Query(self._key(here), lambda cockpit: cockpit.training.artifact(run, here.path), _KEPT, SLOW)

    def _key(self, file: Artifact) -> str:
        return f"file:{self.run.mlflow_run}:{file.path}"

    def show(self) -> None:
        found = self.store.get(f"files:{self.run.mlflow_run}")
        self.table.set_notice(*self.notice_for(found, (("This run has logged no files.", "muted"),)))
        self.table.set_rows(found.value or ())
        if not self.table.filter_text:
            more = f"run {self._at + 1} of {len(self._runs)}: left and right" if len(self._runs) > 1 else ""
            self.table.title(f"Files of {self.run.label}", more)
        pane, file = self.query_one("#text", TextPane), self.table.current
        if file is None:
            pane.title("Text")
            pane.set_notice(("The text of a file stands here.", "faint"))
            pane.set_lines(())
            return
        pane.title(file.path)
        read = self.store.get(self._key(file))
        pane.set_notice(*self.notice_for(read, (("The file is empty.", "muted"),)))
        pane.set_lines(self._lines(read.value, pane) if read.value is not None else ())

    def _lines(self, read: ArtifactText, pane: TextPane) -> list[Line]:
        """Returns the text of a file, or what is to be seen on it, where the terminal has signs and colours for it."""
        if read.picture is None:
            return _text(read)
        size = f"{read.picture.width}×{read.picture.height} pixels"
        if self.podium.few_colours or self.glyphs.plain or not self.glyphs.blocks.strip():
            return [((f"An image of {size}, which this terminal cannot show.", "muted"),)]
        drawn = picture_lines(read.picture, pane.size.width - 3, pane.size.height - 1)
        return [((size if drawn else f"An image of {size}; here is no room for it.", "muted"),), *drawn]

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="files")

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.update()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_open(self) -> None:
        if self.table.current is not None:
            self.focus_pane(self.query_one("#text", TextPane))

    def do_left(self) -> None:
        self._step(-1)

    def do_right(self) -> None:
        self._step(1)

    def _step(self, by: int) -> None:
        """Goes to another run's files; in a text, to the side."""
        if self.pane is not self.table:
            self.navigation.do_right() if by > 0 else self.navigation.do_left()
            return
        self._at = max(0, min(len(self._runs) - 1, self._at + by))
        self.update()

    def leave(self, *, quit_at_root: bool) -> None:
        if self.pane is not None and self.pane is not self.table:
            self.focus_pane(self.table)
        else:
            super().leave(quit_at_root=quit_at_root)


def _name(file: Artifact) -> Cell:
    return ((file.path, "text"),)


def _size(file: Artifact) -> str:
    return "" if file.size is None else fmt.size(file.size)


def _text(read: ArtifactText) -> list[Line]:
    if read.binary:
        size = "" if read.size is None else f" of {fmt.size(read.size)}"
        return [((f"This file{size} is no text.", "muted"),)]
    lines: list[Line] = [((line, ""),) for line in read.text.splitlines()]
    if read.cut:
        lines.append(((f"The file goes on; {len(read.text):,} characters are shown.", "muted"),))
    return lines
