"""The live signals of an environment as charts."""

from __future__ import annotations

import math
from typing import Any

from podium.core.domain.watching import Sample, Series, share_of
from podium.core.journal import Journal
from podium.screens.live import _plotted as plotted
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, PROJECT, SeededCockpit

WATCHED = (
    PROJECT
    + """\
monitors:
  slow: {environment: production, signal: latency_p95, every: 1m, window: 5m}
alerts:
  too-slow: {monitor: slow, above: 0.05}
"""
)


async def opened(pilot: Pilot[Any]) -> None:
    await pilot.press("p")
    await until(pilot, lambda: "Requests of production" in text(pilot.app), "the charts")
    await settled(pilot)


def shown(pilot: Pilot[Any]) -> list[str]:
    return [str(chart.border_title) for chart in pilot.app.screen.charts if chart.has_class("-shown")]


def test_a_large_terminal_shows_every_chart_and_a_small_one_the_chosen_ones(cockpit: SeededCockpit) -> None:
    async def large(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        assert len(shown(pilot)) == 6
        grid = pilot.app.screen.query_one("#charts")
        assert sum(chart.size.area for chart in pilot.app.screen.charts) > grid.size.area * 0.85

    async def small(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        assert shown(pilot) == ["Requests of production", "Errors of production"]
        await pilot.press("j", "j")
        await until(pilot, lambda: shown(pilot)[0] == "Latency of production", "the next ones")
        await pilot.press("k")
        await until(pilot, lambda: shown(pilot)[0] == "Errors of production", "and back")

    drive(make_app(cockpit, screen="environments"), large, size=(200, 50))
    drive(make_app(cockpit, screen="environments"), small, size=(80, 24))


def test_percentiles_stand_in_one_chart_with_their_threshold_in_their_unit(cockpit: SeededCockpit) -> None:
    (cockpit.home / "podium.yaml").write_text(WATCHED)

    async def script(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        latency = next(chart for chart in pilot.app.screen.charts if "Latency" in str(chart.border_title))
        await until(pilot, lambda: latency.data.curves, "the values")
        assert [curve.label for curve in latency.data.curves] == ["p50", "p95", "p99"]
        assert [(each.y, each.label) for each in latency.data.thresholds] == [(0.05, "too-slow")]
        assert "too-slow 50.0 ms" in text(pilot.app)

    drive(make_app(cockpit, screen="environments"), script, size=(200, 50))


def test_what_was_deployed_is_marked_on_the_time_axis(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        assert "▲v3" not in text(pilot.app)
        for _ in range(4):
            await pilot.press("greater_than_sign")
        await until(pilot, lambda: "last 7d00h" in text(pilot.app), "a week")
        await until(pilot, lambda: "▲v3" in text(pilot.app) and "▲v1" in text(pilot.app), "promotion and rollback")
        for _ in range(9):
            await pilot.press("less_than_sign")
        await until(pilot, lambda: "last 1m00s" in text(pilot.app), "a minute, the shortest")

    drive(make_app(cockpit, screen="environments"), script)


def test_traffic_is_drawn_by_version(cockpit: SeededCockpit) -> None:
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        journal.samples.add(
            [
                Sample("production", share_of(version), NOW - 60 + second, share)
                for second in range(60)
                for version, share in ((3, 0.9), (2, 0.1))
            ]
        )

    async def script(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        for _ in range(5):
            await pilot.press("greater_than_sign")
        chart = next(chart for chart in pilot.app.screen.charts if "Traffic" in str(chart.border_title))
        await until(pilot, lambda: [curve.label for curve in chart.data.curves] == ["v2", "v3"], "both")
        assert "v3 90.0 %" in text(pilot.app)

    drive(make_app(cockpit, screen="environments"), script, size=(200, 50))


def test_a_cursor_holds_everything_still_until_it_goes_on(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        screen = pilot.app.screen
        await until(pilot, lambda: screen.charts[0].data.curves, "the values")
        await pilot.press("left", "left")
        await until(pilot, lambda: "paused: space goes on" in text(pilot.app), "held")
        assert len({chart.cursor for chart in screen.charts}) == 1 and screen.charts[0].cursor is not None
        held = screen.view
        with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
            journal.samples.add([Sample("production", "requests", NOW, 9999.0)])
        await settled(pilot)
        assert screen.view is held and screen.queries is not None and not list(screen.queries())
        await pilot.press("space")
        await until(pilot, lambda: "9999/s" in text(pilot.app), "what came meanwhile")
        assert screen.charts[0].cursor is None

    drive(make_app(cockpit, screen="environments"), script)


def test_a_gap_is_a_gap_and_a_slow_agent_is_none() -> None:
    slow = Series("e", "requests", 0.0, 3.0, (1.0, None, 2.0, None, None, None, None, None, 3.0))
    assert [x for x, _ in plotted("requests", slow).points] == [0.0, 6.0, 9.0, 24.0]
    assert math.isnan(plotted("requests", slow).points[2][1])


def test_without_measurements_it_says_so_and_draws_no_zero(bare: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "nothing was measured" in text(pilot.app), "no curve")

    drive(make_app(bare, screen="environments"), script)


def test_the_same_in_ascii(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await opened(pilot)
        await until(pilot, lambda: "*" in text(pilot.app), "the curves")
        assert text(pilot.app).isascii()

    drive(make_app(cockpit, screen="environments", plain=True), script)
