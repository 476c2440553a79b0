"""Curves of training, and the files that it has logged."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from podium.core.domain.curves import Trained
from podium.core.domain.models import MetricPoint
from podium.core.journal import Journal
from podium.tui.widgets.text_pane import TextPane
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit

# As MLflow writes them, in the columns that are read.
TABLES = """
CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, status TEXT, start_time INTEGER, end_time INTEGER,
  artifact_uri TEXT, lifecycle_stage TEXT);
CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);
CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);
CREATE TABLE latest_metrics (run_uuid TEXT, key TEXT, value REAL, is_nan INTEGER);
CREATE TABLE metrics (run_uuid TEXT, key TEXT, value REAL, timestamp INTEGER, step INTEGER, is_nan INTEGER);
"""


def kept(cockpit: SeededCockpit, steps: int = 60) -> None:
    """Curves of every version, as they were fetched once."""
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        for version in cockpit.models.versions():
            for metric in version.metrics:
                points = [
                    MetricPoint(step, NOW + step, 10.0 ** -(step / 20) * version.version) for step in range(steps)
                ]
                journal.versions.put_history(version.mlflow_run, metric, points)


class Logged:
    """A tracking store into which training logs."""

    def __init__(self, home: Path, run: int, key: str) -> None:
        self.path = home / ".podium" / "mlflow.db"
        self.artifacts = home / ".podium" / "artifacts" / "one"
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript(TABLES)
            row = ("one", 1, "RUNNING", int(NOW * 1000), None, str(self.artifacts), "active")
            connection.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?)", row)
            tags = {"podium.run": str(run), "podium.key": key, "podium.step": "train[depth=8]"}
            connection.executemany("INSERT INTO tags VALUES ('one',?,?)", tags.items())
        self.log(0, 0.9)

    def log(self, step: int, value: float) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DELETE FROM latest_metrics")
            connection.execute("INSERT INTO latest_metrics VALUES ('one','loss',?,0)", (value,))
            connection.execute("INSERT INTO metrics VALUES ('one','loss',?,?,?,0)", (value, int(NOW * 1000), step))


def test_curves_of_versions_lie_over_each_other_with_one_cursor(cockpit: SeededCockpit) -> None:
    kept(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "a v4" in text(pilot.app) and "b v3" in text(pilot.app), "this one and the champion")
        charts = [chart for chart in pilot.app.screen.charts if chart.has_class("-shown")]
        assert len(charts) == 2, "as many as have room"
        assert [chart.border_title for chart in charts] == ["roc_auc", "log_loss"], "what register looks at is first"
        await pilot.press("enter", "left", "left")
        await settled(pilot)
        assert charts[0].cursor is not None and charts[0].cursor == charts[1].cursor
        at = round(charts[0].cursor)
        assert at < 59 and f"{at}  a v4" in text(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: charts[0].cursor is None and charts[1].cursor is None, "no cursor")

    drive(make_app(cockpit, screen="models"), script)


def test_a_logarithmic_axis_makes_a_line_of_a_power_and_smoothing_and_zoom_are_said(cockpit: SeededCockpit) -> None:
    kept(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "a v4" in text(pilot.app), "the curves")
        chart = pilot.app.screen.charts[0]
        whole = chart.frame
        await pilot.press("x", "b", "less_than_sign")
        await until(pilot, lambda: "log axis  smoothed 0.6  zoomed" in text(pilot.app), "what is shown how")
        assert chart.frame.log and chart.frame.x1 - chart.frame.x0 < (whole.x1 - whole.x0) * 0.6
        await pilot.press("greater_than_sign", "x", "b", "b", "b", "t")
        await until(pilot, lambda: "by time" in text(pilot.app), "over time")
        assert chart.border_subtitle == "by time"
        assert "59s" in text(pilot.app)

    drive(make_app(cockpit, screen="models"), script)


def test_the_training_that_goes_on_is_drawn_as_it_logs_and_held_still_when_asked(cockpit: SeededCockpit) -> None:
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    step = next(each for each in cockpit.journal.steps.of(run.id) if each.name.startswith("train"))
    logged = Logged(cockpit.home, run.id, step.key)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "train[depth=8] … 0.9" in text(pilot.app), "the first value")
        logged.log(1, 0.5)
        await until(pilot, lambda: "train[depth=8] … 0.5" in text(pilot.app), "the next one, though no journal changed")
        await pilot.press("space")
        await until(pilot, lambda: "paused" in text(pilot.app), "held")
        screen = pilot.app.screen
        assert not screen.ticking
        logged.log(2, 0.25)
        screen.ask(force=True)  # as it does when the journal changes
        await settled(pilot)
        assert "train[depth=8] … 0.5" in text(pilot.app), "it is held still"
        # A version of a training that goes on: what it has logged up to now is not kept as all that there is.
        beside = [Trained("v9", "one")]
        before = [point.value for point in cockpit.training.curves(beside, "loss")[0].points]
        logged.log(3, 0.125)
        after = [point.value for point in cockpit.training.curves(beside, "loss")[0].points]
        assert before == [0.9, 0.5, 0.25] and after == [*before, 0.125]
        await pilot.press("space")
        await until(pilot, lambda: "live" in text(pilot.app), "on again")

    app = make_app(cockpit, screen="runs")
    app.clock = lambda: NOW
    drive(app, script)


def test_a_run_that_logged_nothing_says_what_would_be_drawn(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "Nothing was logged to MLflow here." in text(pilot.app), "why it is empty")
        assert "mlflow.log_metric" in text(pilot.app)

    drive(make_app(cockpit, screen="runs"), script, size=(80, 24))


def test_a_store_that_cannot_be_read_is_told_in_the_pane(cockpit: SeededCockpit) -> None:
    (cockpit.home / ".podium" / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"\0" * 500)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "cannot be read" in text(pilot.app), "the reason")

    drive(make_app(cockpit, screen="runs"), script)


def test_files_are_listed_and_their_text_cannot_steer_the_terminal(cockpit: SeededCockpit) -> None:
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    step = next(each for each in cockpit.journal.steps.of(run.id) if each.name.startswith("train"))
    logged = Logged(cockpit.home, run.id, step.key)
    (logged.artifacts / "notes").mkdir(parents=True)
    (logged.artifacts / "notes" / "report.txt").write_text("first\n\x1b]0;owned\x07\x1bcsecond\n" + "row\n" * 99)
    (logged.artifacts / "z.bin").write_bytes(b"\0\1\2")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "loss" in text(pilot.app), "the metrics")
        await pilot.press("i")
        await until(pilot, lambda: "notes/report.txt" in text(pilot.app) and "second" in text(pilot.app), "its text")
        assert "\x1b" not in text(pilot.app) and "\x07" not in text(pilot.app)
        await pilot.press("enter", "G")
        pane = pilot.app.screen.query_one("#text", TextPane)
        await until(pilot, lambda: pane._top > 0, "its end")
        pilot.app.screen.update()
        assert pane._top > 0, "who reads on stays where they are"
        await pilot.press("q", "j")
        await until(pilot, lambda: "is no text" in text(pilot.app), "the other one")
        await pilot.press("q")
        await until(pilot, lambda: "Metrics of run" in text(pilot.app), "back at the curves")

    drive(make_app(cockpit, screen="runs"), script)


def test_a_curve_is_drawn_anew_only_when_something_has_changed(cockpit: SeededCockpit) -> None:
    kept(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "a v4" in text(pilot.app), "the curves")
        await settled(pilot)
        chart = pilot.app.screen.charts[0]
        before = chart.drawn
        for _ in range(5):
            pilot.app.screen.show()
            await pilot.pause()
        assert chart.drawn == before

    drive(make_app(cockpit, screen="models"), script)


def test_a_gap_and_an_infinite_value_are_no_crash(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        values = (1.0, math.nan, math.inf, -math.inf, 2.0)
        version = cockpit.models.versions()[0]
        points = [MetricPoint(step, NOW, value) for step, value in enumerate(values)]
        journal.versions.put_history(version.mlflow_run, "roc_auc", points)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("space", "p")
        await until(pilot, lambda: "v4 2" in text(pilot.app), "the last value")

    drive(make_app(cockpit, screen="models"), script)
