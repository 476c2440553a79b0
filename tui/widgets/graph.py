"""A run's step graph: steps in the order they can run, brackets round those that run side by side, and when each ran.

What stands below needs something above it. The steps that the one under the cursor needs are pointed at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import events

from ...core.domain.frozen import Frozen
from ...core.domain.runs import Run, Step, StepState
from ...core.domain.text import format as fmt
from ...core.domain.verdicts import Verdict
from ...core.domain.why.answers import StepTime
from .pane import Cell, fit_both_ends
from .table import Column, Table

_NAME, _LONGEST_NAME = 18, 44


class Node(Frozen):
    """A step and its place: `bracket` is `one`, `first`, `mid` or `last` of the steps on its level."""

    step: Step
    bracket: str
    level: int


def arrange(steps: Sequence[Step]) -> list[Node]:
    """Level by level: a step's level is one more than the highest of those it needs. Needs that are not there are
    ignored."""
    by_name = {step.name: step for step in steps}
    levels: dict[str, int] = {}
    for step in sorted(
        steps, key=lambda step: step.position
    ):  # positions are topological, so that what is needed came before
        levels[step.name] = max(
            (levels[need] + 1 for need in step.needs if need in by_name and need in levels), default=0
        )
    grouped: dict[int, list[Step]] = {}
    for step in sorted(steps, key=lambda step: (levels[step.name], step.position)):
        grouped.setdefault(levels[step.name], []).append(step)
    nodes: list[Node] = []
    for level, members in grouped.items():
        for index, step in enumerate(members):
            bracket = (
                "one"
                if len(members) == 1
                else "first"
                if index == 0
                else "last"
                if index == len(members) - 1
                else "mid"
            )
            nodes.append(Node(step, bracket, level))
    return nodes


def outcome(step: Step) -> str:
    """What a built-in step reported, in a few words: `v3`, `inconclusive`, …"""
    results = step.results
    words: list[str] = []
    if "version" in results:
        words.append(f"v{results['version']}")
    if results.get("verdict") in tuple(Verdict):
        words.append(str(results["verdict"]))
    if "dataset_input" in results:
        words.append(f"{results.get('rows', 0):,} rows")
    if not words and step.message and step.state in (StepState.FAILED, StepState.SKIPPED, StepState.WAITING):
        words.append(step.message)
    return " ".join(words)


class Graph(Table[Node]):
    kind = "graph"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            "Steps",
            self._graph_columns(_NAME),
            key=lambda node: node.step.name,
            text=lambda node: f"{node.step.name} {node.step.state}",
            header=False,
            id=id,
        )
        self._run: Run | None = None
        self._times: Mapping[str, StepTime] = {}
        self._name_width = _NAME
        self._auto = True

    def _graph_columns(self, name: int) -> tuple[Column[Node], ...]:
        return (
            Column("", self._name_cell, width=name, draw=self._draw_name),
            Column("state", self._state_cell, width=11),
            Column("time", self._time_cell, width=6, align="right"),
            Column("", self._critical_cell, width=1, from_width=name + 30),
            Column("usually", self._usual_cell, width=8, align="right", from_width=name + 52),
            Column("when it ran", self._bar_cell, width=8, flex=2, from_width=name + 30),
            Column("result", lambda node: ((outcome(node.step), "muted"),), width=8, flex=2, from_width=name + 30),
        )

    def _fit_names(self, steps: Sequence[Step]) -> None:
        """The names' column is as wide as the longest of them, within reason."""
        longest = max((len(step.name) for step in steps), default=0) + 6
        width = max(_NAME, min(longest, _LONGEST_NAME))
        if width != self._name_width:
            self._name_width = width
            self.set_columns(self._graph_columns(width))

    def show(self, run: Run, steps: Sequence[Step], times: Sequence[StepTime] = ()) -> None:
        if self._run is None or self._run.id != run.id:
            self._cursor = 0
            self._rows = ()
            self._order = ()
            self._auto = True
        self._run = run
        self._fit_names(steps)
        now = self.podium.clock()
        self._times = {each.step: each for each in times}
        self.set_rows(arrange(steps), (run.id, times, None if run.state.finished else int(now)))
        done = sum(step.state.finished for step in steps)
        critical = f", {self.glyphs['point']} critical path" if any(each.critical for each in times) else ""
        self.title(f"Steps of run {run.id}", f"{done} of {len(steps)} done{critical}" if steps else "")
        if self._auto:
            self._follow_activity()

    def _follow_activity(self) -> None:
        """Until a person moves the cursor it stands on what matters: the failed step, else the one that waits or
        runs, else the last that ran. While the step under it goes on it stays there, so that the log does not jump
        between steps that run side by side."""
        current = self.step
        if current is not None and current.state in (StepState.RUNNING, StepState.WAITING, StepState.FAILED):
            return
        for states in (
            (StepState.FAILED,),
            (StepState.WAITING,),
            (StepState.RUNNING,),
            (StepState.INTERRUPTED, StepState.CANCELLED),
        ):
            for node in self.rows:
                if node.step.state in states:
                    self.go_to(node.step.name)
                    return
        ended = [
            node.step for node in self.rows if node.step.ended is not None and node.step.state is not StepState.SKIPPED
        ]
        if ended:
            self.go_to(max(ended, key=lambda step: step.ended or 0.0).name)

    def choose(self, name: str) -> None:
        """Puts the cursor on a step, where it stays."""
        self._auto = False
        self.go_to(name)

    @property
    def run_id(self) -> int | None:
        """The run whose steps are shown."""
        return self._run.id if self._run is not None else None

    def move(self, how: str) -> None:
        self._auto = False
        super().move(how)

    def wheel(self, lines: int) -> None:
        self._auto = False
        super().wheel(lines)

    def on_click(self, event: events.Click) -> None:
        self._auto = False

    @property
    def step(self) -> Step | None:
        node = self.current
        return None if node is None else node.step

    def _name_cell(self, node: Node) -> Cell:
        return self._draw_name(node, self._name_width)

    def _draw_name(self, node: Node, cells: int) -> Cell:
        glyph, role = self.glyphs.state(node.step.state)
        current = self.step
        needed = current is not None and node.step.name in current.needs
        strong = "!" if node.step.state in (StepState.RUNNING, StepState.FAILED, StepState.WAITING) else ""
        name_role = role if strong else "faint" if node.step.state in (StepState.PENDING, StepState.SKIPPED) else ""
        pointer = ((f" {self.glyphs['pin']}", "accent"),) if needed else ()
        room = cells - 4 - sum(len(text) for text, _ in pointer)
        name = fit_both_ends(node.step.name, room, self.glyphs).rstrip()
        return ((f"{self.glyphs[node.bracket]} ", "faint"), (f"{glyph} ", role), (name, name_role), *pointer)

    def _state_cell(self, node: Node) -> Cell:
        step = node.step
        _, role = self.glyphs.state(step.state)
        if step.cached and step.state is StepState.SUCCEEDED:
            return ((f"{self.glyphs['cached']} cached", "accent"),)
        word = f"{step.state}" + (f" {step.attempt}" if step.attempt > 1 and step.state is StepState.RUNNING else "")
        return ((word, role),)

    def _time_cell(self, node: Node) -> Cell:
        return ((fmt.duration(elapsed(node.step, self.podium.clock())), "muted"),)

    def _critical_cell(self, node: Node) -> Cell:
        """Whether the end of the run waited for this step."""
        time = self._times.get(node.step.name)
        return ((self.glyphs["critical"] if time is not None and time.critical else " ", "warn"),)

    def _usual_cell(self, node: Node) -> Cell:
        """How much longer or shorter it took than in the last runs."""
        time = self._times.get(node.step.name)
        if time is None or time.usual is None:
            return ""
        took = elapsed(node.step, self.podium.clock())  # as the column beside it: it grows while the step runs
        if took is None or node.step.cached:
            return ((f"({fmt.duration(time.usual)})", "faint"),)
        more = took - time.usual
        slower = more > max(1.0, time.usual / 5)
        return ((f"{'+' if more >= 0 else '-'}{fmt.duration(abs(more))}", "warn" if slower else "muted"),)

    def _bar_cell(self, node: Node) -> Cell:
        """Where in the run's time this step ran."""
        run, step = self._run, node.step
        now = self.podium.clock()
        width = next((cells for column, cells in self._columns(self.size.width) if column.title == "when it ran"), 0)
        if run is None or run.started is None or step.started is None or width <= 0:
            return ""
        starts = [other.step.started for other in self.rows if other.step.started is not None]
        begin = min(starts, default=run.started)
        ends = [other.step.ended or now for other in self.rows if other.step.started is not None]
        span = max(0.001, max(ends, default=now) - begin)
        left = min(width - 1, int((step.started - begin) / span * width))
        cells = max(1, min(width - left, round(((step.ended or now) - step.started) / span * width)))
        _, role = self.glyphs.state(step.state)
        return ((" " * left, ""), (self.glyphs["bar"] * cells, "accent" if step.cached else role))


def elapsed(step: Step, now: float) -> float | None:
    """Seconds that the step has taken so far; None before it started."""
    if step.started is None:
        return None
    return (step.ended if step.ended is not None else now) - step.started
