"""How the cockpit begins: the first picture has what one read of the journal gives, and nothing else was asked before
it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from podium.tui.application import PodiumApp
from podium.tui.pool import Pool
from podium.tui.projects.session import Session
from podium.tui.queries import Query
from podium.tui.widgets.table import Table

from tests.support import wait_until

from .driving import settled
from .seed import NOW, SeededCockpit, seed

# What only draws logs and dialogs, or is of no use before somebody asks for it.
LATER = ("podium.core.logs", "podium.tui.widgets.log_view", "podium.core.config.latest")


class Watched(PodiumApp):
    """Notes what was shown and asked for when the first picture was there."""

    rows = -1
    asked: tuple[str, ...] = ()
    styled = 0

    def _begin(self) -> None:
        self.rows = self.podium_screen.query_one("#recent", Table).shown
        self.asked = tuple(self.session.read_at)
        super()._begin()

    def _submit(self, query: Query) -> None:
        assert self.rows >= 0, f"{query.key} was asked for before the first picture"
        super()._submit(query)


def _begun(home: Path) -> tuple[Session, Pool]:
    session, pool = Session(0, SeededCockpit(home), lambda: NOW), Pool()
    session.read_first("overview", pool)
    wait_until(lambda: session.store.value("runs") is not None, what="the runs")
    return session, pool


def _drive(app: PodiumApp) -> list[int]:
    """Returns how often the style sheet was parsed anew before the first picture, and in all."""
    parsed: list[int] = []
    reparse = app.stylesheet.reparse

    def counted() -> None:
        parsed.append(getattr(app, "rows", -1))
        reparse()

    app.stylesheet.reparse = counted  # type: ignore[method-assign]

    async def run() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            app.toggle_theme()
            await pilot.pause()

    asyncio.run(run())
    return parsed


def test_the_first_picture_has_the_runs_and_the_rest_comes_after_it(tmp_path: Path) -> None:
    seed(tmp_path).close()
    session, pool = _begun(tmp_path)
    app = Watched(session.cockpit, begun=(session, pool), clock=lambda: NOW, interval=0.05, plain=False)
    parsed = _drive(app)
    assert app.rows > 3 and app.asked == ("runs",)
    assert parsed and all(rows > 3 for rows in parsed), "styles are parsed anew for another theme, and not at the start"


def test_without_an_early_start_everything_is_asked_for_after_the_first_picture(tmp_path: Path) -> None:
    seed(tmp_path).close()
    app = Watched(SeededCockpit(tmp_path), clock=lambda: NOW, interval=0.05, plain=False)
    _drive(app)
    assert app.rows == 0 and app.asked == () and app.store.value("runs").runs


def test_the_first_picture_loads_nothing_of_logs_and_of_podium_yaml(tmp_path: Path) -> None:
    seed(tmp_path).close()
    program = (
        "import sys; from pathlib import Path\n"
        "from podium.tui import app; from podium.core.cockpit import Cockpit\n"
        f"cockpit = Cockpit(Path({str(tmp_path)!r})); cockpit.runs.list(limit=200)\n"
        "app.own_keys(); import podium.tui.application, podium.screens.overview\n"
        f"print(sorted(name for name in sys.modules if name.startswith({LATER!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_what_is_known_of_logs_by_the_facade_is_there_when_it_is_asked_for() -> None:
    import podium.core.cockpit as facade

    found: dict[str, Any] = {name: getattr(facade, name) for name in facade.__all__}
    assert found["LogFile"].__module__ == "podium.core.logs.reader" and callable(found["save"])
