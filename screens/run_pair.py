"""Two runs side by side: what they were started from, their parameters, and each step: its state, its time, and what
differs in what it was made from."""

from __future__ import annotations

from textual.app import ComposeResult

from ..core.domain.text import format as fmt
from ..core.domain.why.answers import RunComparison, StepPair
from ..tui.context import Context
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import Line, TextPane
from .base import PodiumScreen

_SLOWER = 1.2  # times as long, from which on a step is said to be slower or faster


class RunPairScreen(PodiumScreen):
    title_id = "run_pair"
    first_pane = "steps"
    DEFAULT_CSS = """
    RunPairScreen #body { layout: vertical; }
    RunPairScreen #facts { height: 8; }
    RunPairScreen #steps { height: 1fr; }
    RunPairScreen.-tall #facts { height: 14; }
    RunPairScreen.-huge #body { layout: horizontal; }
    RunPairScreen.-huge #facts { width: 2fr; height: 1fr; }
    RunPairScreen.-huge #steps { width: 3fr; }
    """

    def __init__(self, comparison: RunComparison) -> None:
        super().__init__()
        self._comparison = comparison

    def body(self) -> ComposeResult:
        first, second = self._comparison.runs
        yield TextPane("What differs", wrap=True, id="facts")
        yield Table[StepPair](
            "Steps",
            (
                Column(
                    "step",
                    lambda pair: ((pair.step, "text!"),),
                    width=16,
                    flex=1,
                    sort=lambda pair: pair.step,
                    both_ends=True,
                ),
                Column(f"run {first}", lambda pair: self._state(pair, 0), width=13),
                Column("", lambda pair: self._time(pair, 0), width=7, align="right", sort=lambda pair: pair.seconds[0]),
                Column(f"run {second}", lambda pair: self._state(pair, 1), width=13),
                Column("", lambda pair: self._time(pair, 1), width=7, align="right", sort=lambda pair: pair.seconds[1]),
                Column("", self._faster, width=9, from_width=84),
                Column("why", lambda pair: ((pair.why, "muted"),), width=12, flex=3, from_width=72),
            ),
            key=lambda pair: pair.step,
            text=lambda pair: f"{pair.step} {pair.states[0]} {pair.states[1]} {pair.why}",
            id="steps",
        )

    def show(self) -> None:
        first, second = self._comparison.runs
        pane = self.query_one("#facts", TextPane)
        pane.title(f"Run {first} and run {second}", "q goes back")
        pane.set_lines(self._lines())
        pane.set_notice(("They were started alike.", "muted"))
        table = self.query_one("#steps", Table)
        table.set_notice(("Neither has a step.", "muted"))
        table.set_rows(self._comparison.steps)
        differing = sum(bool(pair.why) or pair.states[0] != pair.states[1] for pair in self._comparison.steps)
        if not table.filter_text:
            table.title("Steps", f"{differing} of {len(self._comparison.steps)} differ")

    def _lines(self) -> list[Line]:
        named = [*self._comparison.facts, *((f"parameter {name}", a, b) for name, a, b in self._comparison.params)]
        width = max((len(name) for name, _, _ in named), default=0)
        return [
            (
                (f"{name:<{width}}  ", "muted"),
                (old or "none", ""),
                (f" {self.glyphs['arrow']} ", "faint"),
                (new or "none", "text!"),
            )
            for name, old, new in named
        ]

    # Cells

    def _state(self, pair: StepPair, place: int) -> Cell:
        state = pair.states[place]
        if state is None:
            return (("not there", "faint"),)
        glyph, role = self.glyphs.state(state)
        return ((f"{glyph} ", role), (state, role))

    def _time(self, pair: StepPair, place: int) -> Cell:
        return ((fmt.duration(pair.seconds[place]), "muted"),)

    def _faster(self, pair: StepPair) -> Cell:
        """Whether the second took longer, in a word."""
        first, second = pair.seconds
        if not first or not second or "cached" in pair.states:
            return ""
        if second > first * _SLOWER:
            return ((f"{self.glyphs['down']} slower", "warn"),)
        return ((f"{self.glyphs['up']} faster", "ok"),) if first > second * _SLOWER else ""

    # Actions

    def context(self) -> Context:
        return self.make_context() if self.ready else Context(screen="run_pair")

    def do_open(self) -> None:
        """Goes to the step of the second run, or of the first where only that has it."""
        pair: StepPair | None = self.query_one("#steps", Table).current
        if pair is not None:
            place = 1 if pair.states[1] is not None else 0
            self.podium.go("runs").select(self._comparison.runs[place], pair.step)

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.show_footer()
