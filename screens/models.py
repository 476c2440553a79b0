"""Models: the versions of a model, their aliases and verdicts; the lineage, gate report and metrics of the one under
the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from textual.app import ComposeResult

from ..core.domain.comparisons import MOST
from ..core.domain.delivery import EnvironmentStatus
from ..core.domain.models import CHAMPION, Model, Version
from ..core.domain.text import format as fmt
from ..core.domain.verdicts import GateReport, VersionVerdict, last_word
from ..core.errors import PodiumError
from ..tui import queries
from ..tui.context import Context
from ..tui.queries import Query
from ..tui.widgets.pane import Cell
from ..tui.widgets.table import Column, Table
from ..tui.widgets.text_pane import TextPane
from .base import PodiumScreen
from .cells.common import alias_spans, verdict_cell
from .cells.versions import Known, version_lines
from .verbs.changes import ChangeKeys

# The width of the table in cells from which the first metrics are shown.
_METRICS_FROM = (0, 88, 100, 124, 138, 152)


class ModelsScreen(PodiumScreen):
    title_id = "models"
    first_pane = "versions"
    DEFAULT_CSS = """
    ModelsScreen #body { layout: vertical; }
    ModelsScreen #models { height: 5; display: none; }
    ModelsScreen.-several #models { display: block; }
    ModelsScreen.-zoomed.-several #models { display: none; }
    ModelsScreen #versions { height: 1fr; }
    ModelsScreen #detail { height: 1fr; }
    ModelsScreen.-wide #detail { height: 50%; }
    ModelsScreen.-huge #body { layout: grid; grid-size: 2; grid-columns: 3fr 2fr; }
    ModelsScreen.-huge #models { column-span: 2; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes = ChangeKeys(self)
        self._metrics: tuple[str, ...] = ()
        self._marks: dict[str, frozenset[int]] = {}

    def body(self) -> ComposeResult:
        yield Table[Model](
            "Models", _model_columns(), key=lambda model: model.name, text=lambda model: model.name, id="models"
        )
        yield Table[Version](
            "Versions",
            self._columns(()),
            key=lambda version: version.version,
            text=version_text,
            chooses=self._chosen_by,
            id="versions",
        )
        yield TextPane("Version", wrap=True, id="detail")

    def _columns(self, metrics: tuple[str, ...]) -> tuple[Column[Version], ...]:
        def verdict(version: Version) -> Cell:
            return verdict_cell(self.glyphs, version, self.verdicts(version))

        def made(version: Version) -> Cell:
            return ((fmt.age(version.created, self.podium.clock()), "muted"),)

        return (
            Column("version", _number, width=7, sort=lambda version: version.version),
            Column("aliases", alias_spans, width=19, flex=2),
            Column("verdict", verdict, width=14, sort=self._last_word),
            *(_metric_column(name, from_width) for name, from_width in zip(metrics, _METRICS_FROM, strict=False)),
            Column("commit", _commit, width=7, from_width=64, sort=lambda version: version.commit),
            Column("run", _run, width=5, align="right", from_width=74, sort=lambda version: version.run_id),
            Column("made", made, width=4, align="right", sort=lambda version: -version.created),
        )

    def queries(self) -> Iterable[Query]:
        yield queries.MODELS
        yield queries.ENVIRONMENTS
        yield queries.LOOKED_AT
        name = self.model
        if name:
            yield queries.versions_of(name)
            yield queries.verdicts_of(name)
            yield queries.images(name)
        version = self.version
        if version is not None:
            yield queries.reports(version)

    def _chosen_by(self, query: str) -> Callable[[Version], bool] | str:
        """Returns what a filter such as `roc_auc > 0.8 and depth = 4` says of a version, or why it cannot be read."""
        comparing = self.podium.cockpit.comparing
        if not comparing.is_query(query):
            return lambda version: query.lower() in version_text(version).lower()
        try:
            wanted = comparing.condition(query)
        except PodiumError as error:
            return error.message
        return lambda version: wanted(version, self._last_word(version))

    # What is shown

    @property
    def table(self) -> Table[Version]:
        return self.query_one("#versions", Table)

    @property
    def model(self) -> str:
        """The model under the cursor; the project's own until there is one."""
        if self.ready:
            current: Model | None = self.query_one("#models", Table).current
            if current is not None:
                return current.name
        return self.project.model if self.project is not None else ""

    @property
    def version(self) -> Version | None:
        return self.table.current if self.ready else None

    def verdicts(self, version: Version) -> tuple[VersionVerdict, ...]:
        """What a version met, the last word first."""
        known: Mapping[int, tuple[VersionVerdict, ...]] = self.store.value(f"verdicts:{version.model}", {})
        return known.get(version.version, ())

    def _last_word(self, version: Version) -> str:
        return last_word(self.verdicts(version), version.verdict)

    @property
    def marked(self) -> list[Version]:
        marks = self._marks.get(self.model, frozenset())
        return [version for version in self.table.rows if version.version in marks]

    def show(self) -> None:
        models: tuple[Model, ...] = self.store.value("models", ())
        names = self.query_one("#models", Table)
        names.set_rows(models)
        self.set_class(len(models) > 1, "-several")
        name = self.model
        snapshot = self.store.get(f"versions:{name}")
        versions: tuple[Version, ...] = snapshot.value or ()
        project = self.project
        pipeline = project.pipelines[0] if project and project.pipelines else "NAME"
        empty = (
            ("No versions yet.", "text"),
            ("", ""),
            (f"podium run {pipeline}    trains one, if a step of it uses `register`", "muted"),
        )
        source = snapshot if name else self.store.get("project")
        self.table.set_notice(*self.notice_for(source, empty))
        metrics = metric_names(versions, self.store.value("looked_at", {}))
        if metrics != self._metrics:
            self._metrics = metrics
            self.table.set_columns(self._columns(metrics))
        self.table.marks = self._marks.get(name, frozenset())
        judged = self.store.get(f"verdicts:{name}").version
        self.table.set_rows(versions, (name, self.table.marks, metrics, judged, int(self.podium.clock() // 15)))
        if not self.table.filter_text:
            marked = len(self.marked)
            self.table.title(
                f"Versions of {name}" if name else "Versions",
                f"{marked} marked of {len(versions):,}" if marked else f"{len(versions):,}",
            )
        self._show_detail()

    def _show_detail(self) -> None:
        pane = self.query_one("#detail", TextPane)
        version = self.version
        if version is None:
            pane.set_lines(())
            pane.set_notice(("The lineage, gate report and metrics of a version stand here.", "faint"))
            return
        pane.title(f"{version.model} v{version.version}")
        reports: tuple[GateReport, ...] = self.store.value(f"reports:{version.model}:{version.version}", ())
        environments: tuple[EnvironmentStatus, ...] = self.store.value("environments", ())
        known = Known(
            tuple(
                each.name for each in environments if each.model == version.model and version.version in each.answers
            ),
            self.store.value(f"images:{version.model}", ()),
            reports,
            self.verdicts(version),
        )
        pane.set_lines(version_lines(version, known, self.glyphs, self.podium.clock()))

    # Actions

    def context(self) -> Context:
        if not self.ready:
            return Context(screen="models")
        return self.make_context(self.version, marked=len(self.marked))

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()
        self.update()

    def do_promote(self) -> None:
        self.changes.promote()

    def do_deploy(self) -> None:
        self.changes.deploy()

    def do_open(self) -> None:
        pane = self.pane
        if pane is not None and pane.id == "models":
            self.table.focus()
        else:
            self.query_one("#detail").focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.do_open()

    def do_mark(self) -> None:
        version = self.version
        if version is None:
            return
        marks = self._marks.get(self.model, frozenset())
        if version.version not in marks and len(marks) >= MOST:
            self.podium.say(f"at most {MOST} can be compared at once", "warn")
            return
        self._marks[self.model] = marks ^ {version.version}
        self.update()
        self.table.move("down")

    def do_escape(self) -> None:
        if self._marks.get(self.model) and self.pane is self.table and not self.table.filter_text:
            self._marks[self.model] = frozenset()
            self.update()
        else:
            super().do_escape()

    def do_compare(self) -> None:
        from .compare import CompareScreen

        marked = sorted(f"v{version.version}" for version in self.marked)
        model = self.model
        self.carry_out(
            "compare",
            lambda cockpit: cockpit.comparing.compare(marked, model),
            lambda comparison: self.app.push_screen(CompareScreen(comparison)),
        )

    def do_plot(self) -> None:
        from .curves import CurvesScreen

        chosen = self.marked or self._beside_champion()
        runs = self.podium.cockpit.training.of_versions(chosen)
        self.app.push_screen(CurvesScreen(", ".join(f"v{each.version}" for each in chosen), runs))

    def do_files(self) -> None:
        from .artifacts import ArtifactsScreen

        runs = self.podium.cockpit.training.of_versions(self.marked or self._beside_champion()[:1])
        if runs:
            self.app.push_screen(ArtifactsScreen(runs))
        else:
            self.podium.say("this version has no MLflow run", "warn")

    def _beside_champion(self) -> list[Version]:
        """Returns the version under the cursor, and the champion."""
        here = self.version
        champion = [each for each in self.table.rows if CHAMPION in each.aliases and each != here]
        return [*([here] if here is not None else []), *champion]

    def do_diff(self) -> None:
        old, new = sorted(version.version for version in self.marked)
        model = self.model
        self.podium.go("repository").show_versions(old, new, model)

    def leave(self, *, quit_at_root: bool) -> None:
        pane = self.pane
        if pane is not None and pane.id == "detail":
            self.table.focus()
        else:
            super().leave(quit_at_root=quit_at_root)

    def address(self) -> str:
        version, project = self.version, self.project
        if version is None or project is None or not project.registry:
            return ""
        return f"{project.registry.rstrip('/')}/#/models/{version.model}/versions/{version.version}"


def _model_columns() -> tuple[Column[Model], ...]:
    def aliases(model: Model) -> Cell:
        return ((", ".join(f"{alias} v{number}" for alias, number in sorted(model.aliases.items())), "muted"),)

    return (
        Column("model", lambda model: ((model.name, "text!"),), width=12, flex=1, sort=lambda model: model.name),
        Column(
            "versions", lambda model: str(model.versions), width=8, align="right", sort=lambda model: model.versions
        ),
        Column("aliases", aliases, width=12, flex=2),
    )


def _metric_column(name: str, from_width: int) -> Column[Version]:
    return Column(
        name,
        lambda version: fmt.number(version.metrics.get(name)),
        width=max(8, min(12, len(name))),
        align="right",
        sort=lambda version: version.metrics.get(name),
        from_width=from_width,
        both_ends=True,
    )


def _number(version: Version) -> Cell:
    return ((f"v{version.version}", "accent!"),)


def _commit(version: Version) -> Cell:
    return ((version.commit[:7], "muted"),)


def _run(version: Version) -> Cell:
    return ((str(version.run_id or ""), "muted"),)


def version_text(version: Version) -> str:
    return (
        f"v{version.version} {' '.join(version.aliases)} {version.commit} {version.verdict or ''} {version.description}"
    )


def metric_names(versions: tuple[Version, ...], looked_at: Iterable[str] = ()) -> tuple[str, ...]:
    """The metrics of the newest versions: those that the project looks at, then the others in the order in which
    training logged them."""
    names = dict.fromkeys(name for version in versions[:20] for name in version.metrics)
    return tuple(dict.fromkeys((*(name for name in looked_at if name in names), *names)))
