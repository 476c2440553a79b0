"""Containers: what the engines run for us, how much it uses, and the logs of one replica or of all of an environment
in time order."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from textual.app import ComposeResult

from ..core.cockpit import Cockpit
from ..core.domain.containers import GONE, REPLICA, Container, EngineSnapshot
from ..core.domain.delivery import EnvironmentStatus
from ..core.domain.text import format as fmt
from ..core.domain.text import one_line
from ..core.domain.watching import AgentStatus, Series
from ..tui import queries
from ..tui.context import Context
from ..tui.external_program import PODIUM
from ..tui.pool import SLOW
from ..tui.queries import Query
from ..tui.widgets.log_merge import MergedLog
from ..tui.widgets.log_view import LogView
from ..tui.widgets.pane import Span
from ..tui.widgets.table import Table
from ..tui.widgets.text_pane import TextPane
from .base import PodiumScreen
from .cells.container_columns import columns
from .cells.container_rows import Row, is_stale, newest, rows_of
from .verbs.changes import ChangeKeys
from .verbs.shells import ShellKeys


class ContainersScreen(PodiumScreen):
    title_id = "containers"
    first_pane = "list"
    DEFAULT_CSS = """
    ContainersScreen #body { layout: vertical; }
    ContainersScreen #banner { height: auto; max-height: 5; display: none; border: none; padding: 0 1; }
    ContainersScreen.-trouble #banner { display: block; }
    ContainersScreen.-zoomed #banner { display: none; }
    ContainersScreen #list { height: 8; }
    ContainersScreen.-empty #list { height: 1fr; }
    ContainersScreen #log { height: 1fr; }
    ContainersScreen.-empty #log { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = ChangeKeys(self)
        self.shells = ShellKeys(self)
        self._merged = False
        self._wanted = ""
        self._looked = False

    def body(self) -> ComposeResult:
        yield TextPane("", id="banner")
        yield Table[Row](
            "Containers",
            columns(lambda: self.glyphs, self.podium.clock, lambda: len(self._names) > 1),
            key=lambda row: row.key,
            text=lambda row: row.text,
            id="list",
        )
        yield LogView(id="log")

    def queries(self) -> Iterable[Query]:
        yield queries.ENVIRONMENTS
        yield queries.SNAPSHOTS
        for snapshot in self._snapshots:
            names = tuple(sorted({one.called for one in snapshot.containers if one.state == "running"}))
            if names:
                yield queries.usage(snapshot.environment, names, self.podium.clock)

    # What is shown

    @property
    def table(self) -> Table[Row]:
        return self.query_one("#list", Table)

    @property
    def log_view(self) -> LogView:
        return self.query_one("#log", LogView)

    @property
    def row(self) -> Row | None:
        return self.table.current if self.ready else None

    @property
    def _names(self) -> tuple[str, ...]:
        """The environments that have containers."""
        return self.project.with_containers if self.project is not None else ()

    @property
    def _snapshots(self) -> tuple[EngineSnapshot, ...]:
        """As the agent wrote them, or as they were looked at with r since."""
        return newest(self.store.value("snapshots", ()), self.store.value("looks", ()))

    @property
    def _statuses(self) -> tuple[EnvironmentStatus, ...]:
        value: tuple[EnvironmentStatus, ...] = self.store.value("environments", ())
        return value

    def select(self, environment: str) -> None:
        """Put the cursor on the first container of an environment."""
        self._wanted = environment
        if self.ready:
            self.update()

    def show(self) -> None:
        usage: dict[str, Mapping[str, Mapping[str, Series]]] = {
            snapshot.environment: self.store.value(f"usage:{snapshot.environment}", {}) for snapshot in self._snapshots
        }
        rows = rows_of(self._snapshots, self._statuses, usage, stale=self._stale)
        before = len(self.table.rows)
        if rows and not before and not self._wanted:
            # The one that matters first.
            self._wanted = next((status.name for status in self._statuses if status.protected), "")
        self.table.set_notice(*self._why_empty())
        self.table.set_rows(rows, int(self.podium.clock() // 15))
        self.set_class(not rows, "-empty")
        self._fit(len(rows))
        self._go_to_wanted(rows)
        if len(rows) != before:
            self.podium.read(self.queries())
        if not self.table.filter_text:
            self.table.title("Containers", self._counted(rows))
        self._show_banner()
        self._show_log()
        self._look_once()

    def _fit(self, count: int) -> None:
        """As many rows as there are, and at least half of the screen for the log."""
        most = max(5, (self.size.height - 4) // 2)
        self.set_height(self.table, min(most, 3 + max(1, count)) if count else None)

    def _go_to_wanted(self, rows: tuple[Row, ...]) -> None:
        if (
            self._wanted
            and (found := next((row for row in rows if row.container.environment == self._wanted), None)) is not None
        ):
            self.table.go_to(found.key)
            self._wanted = ""

    def _stale(self, snapshot: EngineSnapshot) -> bool:
        return is_stale(snapshot, self.store.value("agent"), self.podium.clock())

    @property
    def _watched(self) -> bool:
        """Whether somebody looks at the engines. Until that is known they count as looked at."""
        agent: AgentStatus | None = self.store.value("agent")
        return agent is None or agent.alive

    def _counted(self, rows: tuple[Row, ...]) -> str:
        running = sum(row.container.state == "running" and not row.stale for row in rows)
        stale = sum(row.stale for row in rows)
        return f"{running} of {len(rows)} running" + (f", {stale} not seen now" if stale else "") if rows else ""

    def _why_empty(self) -> tuple[Span, ...]:
        names = self._names
        snapshot = self.store.get("snapshots")
        if self.project is not None and not names:
            return (
                ("No environment runs containers: all of podium.yaml's serve from processes of this machine.", "text"),
                ("", ""),
                ("environments:", "muted"),
                ("  production: {driver: docker, port: 5100, replicas: 2, protected: true}", "muted"),
                ("", ""),
                ("is all that it takes; `podium deploy` then starts them. docs/containers.md says more.", "muted"),
            )
        if not snapshot.value and not snapshot.loading and snapshot.error is None:
            lines: list[Span] = [(f"Nothing was seen to run in {' and '.join(names)} yet.", "text"), ("", "")]
            lines.append((f"podium deploy -e {names[0]}    puts a version there", "muted") if names else ("", ""))
            if not self._watched:
                lines.append(("podium watch --daemon    looks at the engine; nobody does now", "muted"))
            return tuple(lines)
        return self.notice_for(
            snapshot,
            (
                ("No container runs: they were stopped, or removed by hand.", "text"),
                ("", ""),
                *self._deploy_hint(names),
            ),
        )

    def _deploy_hint(self, names: tuple[str, ...]) -> tuple[Span, ...]:
        return ((f"podium deploy -e {names[0]}    starts them again", "muted"),) if names else ()

    def _show_banner(self) -> None:
        """What is wrong with the snapshots as a whole: an engine that does not answer, nobody who looks."""
        said: list[Span] = [(self._not_seen(each), "bad!") for each in self._snapshots if each.message]
        if not self._watched and self._snapshots:
            said.append((self._unwatched(), "warn!"))
        lines = [
            ((piece, role),) for text, role in said for piece in textwrap.wrap(text, max(20, self.size.width - 4))[:3]
        ]
        self.set_class(bool(lines), "-trouble")
        banner = self.query_one("#banner", TextPane)
        banner.set_lines(lines)
        banner.styles.height = min(5, len(lines)) or None

    def _not_seen(self, snapshot: EngineSnapshot) -> str:
        since = fmt.when(snapshot.at, self.podium.clock())
        words = f"{snapshot.environment} is not seen since {since}: {snapshot.message}"
        return f"{self.glyphs['bad']} {one_line(words)}"

    def _unwatched(self) -> str:
        agent: AgentStatus | None = self.store.value("agent")
        # A snapshot is true, however old, as long as somebody followed the engine's events.
        followed = (agent.heartbeat if agent is not None else None) or 0.0
        seen = fmt.when(max(followed, *(each.at for each in self._snapshots)), self.podium.clock())
        return (
            f"{self.glyphs['warn']} as of {seen}: no agent looks at the engines;"
            " podium watch --daemon starts one, r looks once"
        )

    # The log

    def _show_log(self) -> None:
        row = self.row
        if row is None:
            self.log_view.open(None, "Log", ("The log of a container stands here.", "faint"))
            return
        cockpit, environment = self.podium.cockpit, row.container.environment
        if self._merged:
            names = [
                each
                for each in self.table.rows
                if each.container.environment == environment and each.container.role == REPLICA
            ]
            files = tuple(sorted((each.short, cockpit.containers.log(environment, each.name)) for each in names))
            title = f"Logs of {environment}: {fmt.count(len(files), 'replica')} in time order"
            self.log_view.open(MergedLog(environment, files), title, ("No replica has written anything yet.", "muted"))
        else:
            self.log_view.open(
                cockpit.containers.log(environment, row.name), f"Log of {row.name}", *self._why_silent(row.container)
            )

    def _why_silent(self, container: Container) -> tuple[Span, ...]:
        lines: list[Span] = [(f"{container.called} has written nothing yet.", "muted")]
        if container.state == GONE:
            lines = [
                (
                    f"{container.called} is gone: somebody removed it, and its log was never kept.",
                    "warn",
                )
            ]
        if not self._watched:
            lines += [("", ""), ("Logs are kept by the agent: podium watch --daemon", "muted")]
        return tuple(lines)

    @property
    def ticking(self) -> bool:
        return False

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="containers")
        row = self.row
        status = next(
            (each for each in self._statuses if row is not None and each.name == row.container.environment), None
        )
        return self.make_context(status, row.container if row is not None else None)

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.update()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_repair(self) -> None:
        self.changes.repair()

    def do_open(self) -> None:
        self.log_view.focus()

    def do_refresh(self) -> None:
        """Look at the engines now, whoever looks at them otherwise."""

        def looked(snapshots: tuple[EngineSnapshot, ...]) -> None:
            self.store.put("looks", snapshots)
            away = [snapshot.environment for snapshot in snapshots if snapshot.message]
            self.podium.say(
                f"the engine of {' and '.join(away)} does not answer" if away else "everything is up to date",
                "warn" if away else "accent",
            )

        names = self._names
        self.carry_out("look at the engines", lambda cockpit: _look(cockpit, names), looked)

    def on_screen_resume(self) -> None:
        self._looked = False

    def _look_once(self) -> None:
        """Where no agent looks at the engines, whoever comes here does it, once."""
        if self._looked or self._watched or not self._names:
            return
        self._looked = True
        names, cockpit, store = self._names, self.podium.cockpit, self.store

        def looked(snapshots: tuple[EngineSnapshot, ...] | None, _error: BaseException | None) -> None:
            if snapshots:
                store.put("looks", snapshots)

        self.podium.pool.submit("looks", lambda _job: _look(cockpit, names), looked, lane=SLOW)

    def do_logs(self) -> None:
        """The log alone on the screen."""
        if self.has_class("-zoomed"):
            self.unzoom()
        self.focus_pane(self.log_view)
        self.do_zoom()

    def do_again(self) -> None:
        row = self.row
        if row is not None:
            self.changes.restart(row.container.environment, "proxy" if row.container.role == "proxy" else row.name)

    def do_shell(self) -> None:
        row = self.row
        if row is not None:
            self.shells.open_in_container(row.container.environment, row.name, program=PODIUM)

    def do_merge(self) -> None:
        self._merged = not self._merged
        self._show_log()
        row = self.row
        if row is not None:
            environment = row.container.environment
            self.podium.say(
                f"the logs of all replicas of {environment}; m shows one"
                if self._merged
                else f"the log of {row.name} alone"
            )

    def leave(self, *, quit_at_root: bool) -> None:
        """Back goes from the log to the list, and only then to Overview."""
        if self.pane is not None and self.pane.id == "log":
            self.table.focus()
        else:
            super().leave(quit_at_root=quit_at_root)


def _look(cockpit: Cockpit, names: tuple[str, ...]) -> tuple[EngineSnapshot, ...]:
    return tuple(snapshot for name in names if (snapshot := cockpit.containers.look(name)) is not None)
