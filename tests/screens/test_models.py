from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from podium.core.domain.models import Version
from podium.core.domain.verdicts import Source, Verdict, VersionVerdict
from podium.core.journal import Journal
from podium.screens.cells.versions import Known, version_lines
from podium.tui import queries
from podium.tui.application import PodiumApp
from podium.tui.glyphs import Glyphs
from podium.tui.queries import Query
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import MODEL, NOW, SeededCockpit

App = Callable[..., PodiumApp]


def test_versions_with_aliases_verdicts_and_metrics_and_the_lineage_of_one(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        for words in ("v4", "challenger", "champion", "✗ fail", "0.7263", "roc_auc vs champion", "serves staging"):
            assert words in shown, words
        await pilot.press("j")
        await settled(pilot)
        assert "serves production" in text(pilot.app)
        await pilot.press("G")
        await settled(pilot)
        assert "0.4187 is below 0.42" in text(pilot.app)

    drive(app(screen="models"), script)


def test_marked_versions_are_compared_side_by_side(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("c")
        assert "mark two versions or more" in text(pilot.app)
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: "Compare v3, v4" in text(pilot.app), "the comparison")
        assert "+0.0065" in text(pilot.app) and "rounds" in text(pilot.app)
        assert "verdict" in text(pilot.app) and "u only differences" in text(pilot.app).splitlines()[-1]
        await pilot.press("u")
        await until(pilot, lambda: "rounds" not in text(pilot.app), "only what differs")
        await pilot.press("q")
        await until(pilot, lambda: "2 marked" in text(pilot.app), "back, with the marks kept")

    drive(app(screen="models"), script)


def test_a_filter_may_be_a_query_over_metrics_and_parameters(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("f", *"roc_auc > 0.7 and depth")
        await until(pilot, lambda: "cannot be read at its end" in text(pilot.app), "what is missing, while it is typed")
        assert "v1" in text(pilot.app), "until it can be read, all rows stay"
        await pilot.press(*" = 8", "enter")
        await until(pilot, lambda: "2 of 4" in text(pilot.app), "those of which it is true")
        assert not _row(pilot, "v2") and _row(pilot, "v4")

    drive(app(screen="models"), script)


def test_the_metric_that_register_chooses_by_is_the_first_column(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        versions = [
            replace(each, metrics={"a_training_loss": 0.5, **each.metrics}) for each in journal.versions.of(MODEL)
        ]
        journal.versions.replace(MODEL, versions, "seed")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "0.7263" in _row(pilot, "v4"), "roc_auc, at 80 columns")
        assert "0.5000" not in _row(pilot, "v4")

    drive(make_app(cockpit, screen="models"), script, size=(80, 24))


def test_two_hundred_versions_with_three_hundred_metrics_draw_only_what_is_on_screen(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        metrics = {f"metric_{number:03}": number / 7 for number in range(300)}
        versions = [Version(MODEL, number, NOW, metrics={**metrics, "roc_auc": 0.5}) for number in range(200, 0, -1)]
        journal.versions.replace(MODEL, versions, "seed")
    drawn: list[int] = []

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "v200" in text(pilot.app), "the versions")
        await pilot.press("space", "space", "space", "c")
        await until(pilot, lambda: "Compare v198, v199, v200" in text(pilot.app), "the comparison")
        table = pilot.app.screen.rows
        before = table._row_spans
        table._row_spans = lambda row, width: drawn.append(1) or before(row, width)
        await pilot.press("G")
        await settled(pilot)
        assert "metric_299" in text(pilot.app)
        assert len(drawn) < 200, "two screenfuls, not 300 rows"

    drive(make_app(cockpit, screen="models"), script)


def test_promote_plans_the_version_under_the_cursor(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "P")
        await until(pilot, lambda: "Promote flight-delay v2 to production" in text(pilot.app), "the plan")

    drive(make_app(cockpit, screen="models"), script)


def test_deploy_plans_the_version_under_the_cursor(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "D")
        await until(pilot, lambda: "Deploy flight-delay v2 to production" in text(pilot.app), "the plan")

    drive(make_app(cockpit, screen="models"), script)


def test_several_models_can_be_chosen_between(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        version = replace(journal.versions.of(MODEL)[0], model="fraud", version=9, aliases=())
        journal.versions.replace("fraud", [version], "seed")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "fraud" in text(pilot.app), "the second model")
        await pilot.press("shift+tab", "j")
        await until(pilot, lambda: "Versions of fraud" in text(pilot.app) and "v9" in text(pilot.app), "its versions")
        await pilot.press("tab", "P")
        await until(pilot, lambda: "fraud is another model" in text(pilot.app), "no environment serves it")

    drive(make_app(cockpit, screen="models"), script)


def test_escapes_in_tags_and_reasons_cannot_steer_the_terminal_and_an_infinite_metric_is_one(
    cockpit: SeededCockpit,
) -> None:
    hostile = "\x1b]0;owned\x07\x1bc"
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        versions = [
            replace(known, commit=hostile, metrics={**known.metrics, "val_loss": math.inf, "worst": -math.inf})
            for known in journal.versions.of(MODEL)
        ]
        journal.versions.replace(MODEL, versions, "seed")
        journal.quarantine.add(MODEL, versions[0].version, "", f"anna{hostile}", f"slow{hostile}")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "quarantined by anna" in text(pilot.app), "the reason")
        assert "\x1b" not in text(pilot.app) and "\x07" not in text(pilot.app)
        assert "inf" in text(pilot.app)

    drive(make_app(cockpit, screen="models"), script, size=(160, 60))


def test_a_dead_registry_leaves_the_last_picture_and_says_so(cockpit: SeededCockpit) -> None:
    from podium.core.errors import Unreachable

    def refuse() -> None:
        raise Unreachable("the tracking server at http://127.0.0.1:9 does not answer")

    cockpit.models.refresh_apart = refuse  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: "the registry cannot be read" in text(pilot.app), "said")
        assert "challenger" in text(pilot.app)

    drive(make_app(cockpit, screen="models"), script, size=(160, 40))


def test_no_versions_says_how_to_get_one(bare: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(
            pilot,
            lambda: "No versions yet." in text(pilot.app) and "podium run release" in text(pilot.app),
            "how to get one",
        )

    drive(make_app(bare, screen="models"), script)


def test_what_only_the_project_tells_is_asked_for_when_the_project_comes_last(bare: SeededCockpit) -> None:
    class Late(PodiumApp):
        """An app whose project is read after everything else that the screen asked for at first."""

        def _submit(self, query: Query) -> None:
            if query.key == queries.PROJECT.key and not self.store.get("models").at:
                self.set_timer(0.1, lambda: self._submit(query))
            else:
                super()._submit(query)

    async def script(pilot: Pilot[Any]) -> None:
        store = pilot.app.store
        assert not store.get(f"versions:{MODEL}").loading and not store.get(f"images:{MODEL}").loading

    drive(Late(bare, clock=lambda: NOW, interval=0.05, plain=False, screen="models"), script)


def test_the_details_have_every_verdict() -> None:
    verdicts = tuple(
        VersionVerdict(1, Source.ROLLOUT, Verdict.PASS, 0.0, environment=f"place-{number}.") for number in range(20)
    )
    lines = version_lines(Version("m", 1, 0.0), Known(verdicts=verdicts), Glyphs(plain=False), 0.0)
    shown = "".join(text for line in lines for text, _ in line)
    assert all(f"place-{number}." in shown for number in range(20))


def test_a_quarantined_version_looks_like_it_in_the_list(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        journal.quarantine.add(MODEL, 3, "", "anna", "wrong on holidays")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "quarantined" in _row(pilot, "v3"), "the row, not only the details")
        assert "quarantined" not in _row(pilot, "v4")

    drive(make_app(cockpit, screen="models"), script, size=(80, 24))


def _row(pilot: Pilot[Any], name: str) -> str:
    """The first line on screen that has it: the list stands above the details."""
    return next((line for line in text(pilot.app).splitlines() if f" {name} " in line), "")
