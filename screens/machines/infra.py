"""Infrastructure: what waits to be applied, the worst first, what has drifted, and what was done."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal

from ...core.domain.infra.plan import InfraStatus
from ...core.domain.runs import Run
from ...core.domain.text import format as fmt
from ...tui.context import Context
from ...tui.queries import INFRA, Query, infra_runs
from ...tui.widgets.table import Table
from ...tui.widgets.text_pane import TextPane
from ..base import PodiumScreen
from ..cells.common import run_columns
from ..cells.infra import (
    PlanRow,
    change_columns,
    infra_columns,
    plan_rows,
    plan_text,
    status_lines,
    value_lines,
)
from ..verbs.changes import ChangeKeys


class InfraScreen(PodiumScreen):
    title_id = "infra"
    first_pane = "infra"
    DEFAULT_CSS = """
    InfraScreen #body { layout: vertical; }
    InfraScreen #infra { height: 6; }
    InfraScreen #middle { height: 1fr; layout: horizontal; }
    InfraScreen #changes { width: 3fr; height: 1fr; }
    InfraScreen #values { width: 2fr; height: 1fr; }
    InfraScreen #history { height: 7; }
    InfraScreen.-narrow #middle { layout: vertical; }
    InfraScreen.-narrow #changes { width: 1fr; height: 3fr; }
    InfraScreen.-narrow #values { width: 1fr; height: 2fr; }
    InfraScreen.-low #history { display: none; }
    InfraScreen.-tall #infra { height: 9; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changing = ChangeKeys(self)
        self._drawn: tuple[InfraStatus | None, tuple[PlanRow, ...]] = (None, ())

    def body(self) -> ComposeResult:
        yield Table[InfraStatus](
            "Infrastructure",
            infra_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda row: row.name,
            text=lambda row: f"{row.name} {row.kind} {row.state()}",
            id="infra",
        )
        with Horizontal(id="middle", classes="group"):
            yield Table[PlanRow](
                "Plan", change_columns(lambda: self.glyphs), key=lambda row: row.key, text=plan_text, id="changes"
            )
            yield TextPane("Values", wrap=True, id="values")
        yield Table[Run](
            "History",
            run_columns(lambda: self.glyphs, self.podium.clock),
            key=lambda run: run.id,
            text=lambda run: f"{run.id} {run.title} {run.state} {run.message}",
            id="history",
        )

    def queries(self) -> Iterable[Query]:
        yield INFRA
        yield infra_runs()

    # What is shown

    @property
    def infra(self) -> Table[InfraStatus]:
        return self.query_one("#infra", Table)

    @property
    def plan(self) -> Table[PlanRow]:
        return self.query_one("#changes", Table)

    @property
    def history(self) -> Table[Run]:
        return self.query_one("#history", Table)

    def show(self) -> None:
        found = self.store.get("infra")
        empty = (
            ("No infrastructure is in podium.yaml.", "muted"),
            ("infra: {serving: {terraform: infra/}}    plans and applies one", "muted"),
        )
        self.infra.set_notice(*self.notice_for(found, empty))
        self.infra.set_rows(found.value or (), int(self.podium.clock() // 15))
        self._show_plan()

    def _show_plan(self) -> None:
        status = self.infra.current
        if status is not self._drawn[0]:
            self._drawn = (status, plan_rows(status))
        rows = self._drawn[1]
        nothing = (
            "nothing to change" if status is not None and status.plan is not None else "no plan waits: R makes one"
        )
        self.plan.set_notice((nothing, "muted"))
        self.plan.set_rows(rows)
        if not self.plan.filter_text:
            self.plan.title(f"Plan of {status.name}" if status is not None else "Plan", self._summary(status))
        self.history.set_notice(("Nothing was done yet.", "muted"))
        runs: tuple[Run, ...] = self.store.value("infra_runs", ())
        self.history.set_rows([run for run in runs if status is None or run.name == status.name], self.second(runs))
        self._show_values()

    def _summary(self, status: InfraStatus | None) -> str:
        if status is None or status.plan is None:
            return fmt.count(len(status.drifted), "resource") + " drifted" if status and status.drifted else ""
        return status.plan.words()

    def _show_values(self) -> None:
        status, row = self.infra.current, self.plan.current
        values = self.query_one("#values", TextPane)
        values.set_notice(("What is under the cursor stands here.", "faint"))
        if self.pane is self.plan and row is not None:
            values.title("Values", "")
            values.set_lines(value_lines(row, self.glyphs))
        else:
            values.title(status.name if status is not None else "Values", "")
            values.set_lines(status_lines(status, self.podium.clock(), self.glyphs) if status is not None else ())

    def pass_time(self) -> None:
        self.show()

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="infra")
        run = self.history.current if self.pane is self.history else None
        return self.make_context(self.infra.current, run)

    def do_open(self) -> None:
        """From infrastructure to its plan, from a change to its values, from a run to it."""
        run = self.history.current if self.pane is self.history else None
        if run is not None:
            self.podium.go_to_run(run.id)
        elif self.pane is self.infra:
            self.focus_pane(self.plan)
        else:
            self.focus_pane(self.query_one("#values", TextPane))

    def leave(self, *, quit_at_root: bool) -> None:
        pane = self.pane
        if pane is not None and pane.id == "values":
            self.focus_pane(self.plan)
        elif pane is not None and pane.id != "infra":
            self.focus_pane(self.infra)
        else:
            super().leave(quit_at_root=quit_at_root)

    def do_approve(self) -> None:
        self._propose("infra-approve")

    def do_promote(self) -> None:
        self._propose("infra-apply")

    def do_again(self) -> None:
        name = self._chosen()
        self.carry_out(f"plan {name}", lambda cockpit: cockpit.infra.plan(name), self.show_started)

    def do_look(self) -> None:
        name = self._chosen()
        self.carry_out(f"look at {name}", lambda cockpit: cockpit.infra.drift(name), self.show_started)

    def _propose(self, verb: str) -> None:
        name = self._chosen()
        self.changing.propose(f"{verb} {name}", lambda cockpit: cockpit.changes.plan(verb, name))

    def _chosen(self) -> str:
        status = self.infra.current
        assert status is not None
        return status.name

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.ready:  # beside the plan stand the values of a change, beside the rest what is known of the whole
            self._show_values()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        if message.table is self.infra:
            self._show_plan()
        else:
            self._show_values()
        self.show_footer()
