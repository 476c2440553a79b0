"""Cluster: what steps have of this machine and of the Ray cluster, who has it, and what waits and why."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult

from ...core.domain.machines.cluster import ClusterJob, ClusterNode, ClusterStatus
from ...core.domain.machines.machine import MachineClaim, MachineStatus
from ...core.domain.text import format as fmt
from ...tui import queries
from ...tui.context import Context
from ...tui.queries import Query
from ...tui.widgets.table import Table
from ...tui.widgets.text_pane import Line, TextPane
from ..base import PodiumScreen
from ..cells.machines import claim_columns, job_columns, node_columns

_MOST_LINES = 6  # of what is said of this machine: one of many GPUs is scrolled


class ClusterScreen(PodiumScreen):
    title_id = "cluster"
    first_pane = "steps"
    DEFAULT_CSS = """
    ClusterScreen #body { layout: vertical; }
    ClusterScreen #machine { height: 3; }
    ClusterScreen #steps { height: 2fr; min-height: 4; }
    ClusterScreen #nodes { height: 1fr; min-height: 5; max-height: 12; }
    ClusterScreen #jobs { height: 1fr; min-height: 4; }
    ClusterScreen.-alone #nodes { display: none; }
    ClusterScreen.-alone #jobs { display: none; }
    """

    def body(self) -> ComposeResult:
        yield TextPane("This machine", wrap=True, id="machine")
        yield Table[MachineClaim](
            "Steps",
            claim_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda each: each.place,
            text=lambda each: f"{each.whose} {each.state} {each.user} {each.asks} {each.waits}",
            id="steps",
        )
        yield Table[ClusterNode](
            "Ray",
            node_columns(lambda: self.glyphs),
            key=lambda node: node.id,
            text=lambda node: f"{node.name} {node.state} {node.other_words}",
            id="nodes",
        )
        yield Table[ClusterJob](
            "Jobs",
            job_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda job: job.id,
            text=lambda job: f"{job.id} {job.status} {job.whose} {job.asks} {job.waits}",
            id="jobs",
        )

    def queries(self) -> Iterable[Query]:
        yield queries.MACHINE
        yield queries.CLUSTER

    # What is shown

    @property
    def steps(self) -> Table[MachineClaim]:
        return self.query_one("#steps", Table)

    @property
    def jobs(self) -> Table[ClusterJob]:
        return self.query_one("#jobs", Table)

    def show(self) -> None:
        second = int(self.podium.clock())
        found = self.store.get("machine")
        machine: MachineStatus | None = found.value
        pane = self.query_one("#machine", TextPane)
        lines = _machine_lines(machine) if machine is not None else []
        pane.set_notice(*self.notice_for(found, ()))
        pane.set_lines(lines)
        pane.styles.height = min(max(len(lines), 1), _MOST_LINES) + 2
        nothing = (("No step of any project runs or waits on this machine.", "muted"),)
        self.steps.set_notice(*self.notice_for(found, nothing))
        self.steps.set_rows(machine.claims if machine is not None else (), second)
        self._show_waits()
        self._show_cluster(second)

    def _show_waits(self) -> None:
        """Says of the step under the cursor what it waits for, whole; else how many wait."""
        if self.steps.filter_text:
            return
        current = self.steps.current
        waiting = sum(not each.running for each in self.steps.rows)
        self.steps.title(
            "Steps", (current.waits if current is not None else "") or (f"{waiting} waiting" if waiting else "")
        )

    def _show_cluster(self, second: int) -> None:
        found = self.store.get("cluster")
        cluster: ClusterStatus | None = found.value
        self.set_class(cluster is None and found.error is None, "-alone")
        nodes: Table[ClusterNode] = self.query_one("#nodes", Table)
        nodes.set_notice(*self.notice_for(found, (("It has no nodes.", "muted"),)))
        nodes.set_rows(cluster.nodes if cluster is not None else ())
        self.jobs.set_notice(("Nothing runs or waits there.", "muted"))
        self.jobs.set_rows(cluster.jobs if cluster is not None else (), second)
        if not nodes.filter_text:
            nodes.title("Ray" if cluster is None else f"Ray {cluster.version}", self._about(cluster))
        if not self.jobs.filter_text:
            demands = "; ".join(cluster.demands) if cluster is not None else ""
            self.jobs.title("Jobs", f"not to be had now: {demands}" if demands else "")

    def _about(self, cluster: ClusterStatus | None) -> str:
        """Returns what is wrong with it; else its address."""
        found = self.store.get("cluster")
        if cluster is None:
            return ""
        if found.error is not None:
            return f"{cluster.address} does not answer"
        dead = sum(not node.alive for node in cluster.nodes)
        return f"{dead} of {fmt.count(len(cluster.nodes), 'node')} dead" if dead else cluster.address

    def pass_time(self) -> None:
        self.show()

    # Actions

    def context(self) -> Context:
        return Context(screen="cluster") if not self.ready else self.make_context()

    def do_open(self) -> None:
        run = self._run()
        if run:
            self.podium.go_to_run(run)
        else:
            self.podium.say("only steps of this project can be opened here")

    def _run(self) -> int:
        """Returns the run under the cursor, if it is one of this project; else 0."""
        name = self.project.name if self.project is not None else ""
        if self.pane is self.steps and (step := self.steps.current) is not None:
            return step.run if step.project == name else 0
        job = self.jobs.current if self.pane is self.jobs else None
        return int(job.run) if job is not None and job.project == name and job.run.isdecimal() else 0

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_waits()
        self.show_footer()

    def on_table_opened(self, message: Table.Opened) -> None:
        self.do_open()


def _machine_lines(machine: MachineStatus) -> list[Line]:
    lines: list[Line] = [((machine.words, "warn" if machine.off else "text!"),)]
    for gpu in machine.gpus:
        lines.append(((gpu.words, ""), (f"  {gpu.whose or 'nobody has it'}", "accent" if gpu.whose else "muted")))
    waiting = [each for each in machine.claims if not each.running]
    if waiting:
        lines.append(((f"next: {waiting[0].whose} {waiting[0].waits}", "wait"),))
    elif machine.claims:
        lines.append(((f"{fmt.count(len(machine.claims), 'step')} running, nothing waits", "muted"),))
    return lines
