"""The Containers screen: what it says in each state, and what each key does."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.watching import AgentStatus
from podium.screens.cells.container_rows import newest
from podium.tui.widgets.table import Table
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit, empty
from tests.tui.seed_containers import ON_DOCKER, seed_containers, seen_long_ago, trouble, unreachable


def lines_of(app: Any, start: str) -> list[str]:
    """The lines on screen from the frame with that title on."""
    shown = text(app).split("\n")
    at = next(index for index, line in enumerate(shown) if start in line)
    return shown[at:]


def test_what_runs_what_it_uses_and_the_log_of_the_one_under_the_cursor(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "PRODUCTION PROTECTED" in shown, "the protected environment comes first"
        row = next(line for line in shown.split("\n") if "production v3-1" in line)
        assert all(
            words in row for words in ("v3", "✓ healthy", "100", "51%", "413M", "123k", "31k", "1d", "5ba93c9db0cf")
        )
        assert "■ stopped" in shown and "6 of 7 running" in shown
        assert "Log of production-v3-1" in shown and "240 lines  following" in shown
        await pilot.press("j")
        await until(pilot, lambda: "Log of production-v3-2" in text(pilot.app), "the next one's log")
        await pilot.press("g")
        await until(
            pilot, lambda: "Log of staging-v4-1" in text(pilot.app) and "PRODUCTION" not in text(pilot.app), "staging"
        )

    drive(make_app(docked, screen="containers"), script, size=(150, 40))


def test_m_merges_the_logs_of_all_replicas_in_the_order_of_time(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("m")
        await until(
            pilot,
            lambda: (
                "Logs of production: 4 replicas in time order" in text(pilot.app) and "960 lines" in text(pilot.app)
            ),
            "all logs",
        )
        await pilot.press("tab", "t")
        await until(pilot, lambda: "10:09:5" in text(pilot.app), "with times")
        drawn = [
            line[1:].split()
            for line in lines_of(pilot.app, "Logs of production")[1:]
            if line.startswith("│") and "10:" in line
        ]
        times = [words[0] for words in drawn]
        assert len(times) > 10 and times == sorted(times)
        assert {words[1] for words in drawn} == {"v2-1", "v2-2", "v3-1", "v3-2"}, (
            "each line says whose it is; the proxy is no replica"
        )
        await pilot.press("shift+tab", "m")
        await until(pilot, lambda: "Log of production-v3-1" in text(pilot.app), "one again")

    drive(make_app(docked, screen="containers"), script)


def test_merged_logs_are_followed_searched_and_filtered(docked: SeededCockpit) -> None:
    log = docked.containers.log("production", "production-v3-2")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("m")
        await until(pilot, lambda: "960 lines" in text(pilot.app), "all logs")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOW + 1))
        with log.open("a") as file:
            file.write(f"{stamp}.000Z e Traceback of needle\n")
        await until(
            pilot,
            lambda: "961 lines  following" in text(pilot.app) and "Traceback of needle" in text(pilot.app),
            "what was written meanwhile",
        )
        await pilot.press("tab", "g")
        await until(pilot, lambda: "from line 1" in text(pilot.app), "the first line")
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, lambda: "Traceback of needle" in text(pilot.app), "found")
        await pilot.press("escape", "f", *"v3-2", "enter")
        await until(pilot, lambda: "241 lines" in text(pilot.app), "a replica's name filters as well")
        assert not any("v3-1 " in line for line in lines_of(pilot.app, "Logs of production"))

    drive(make_app(docked, screen="containers"), script)


def test_the_log_of_one_is_searched_wrapped_and_zoomed(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("l")
        await until(
            pilot,
            lambda: "v3-2" not in text(pilot.app) and "Log of production-v3-1" in text(pilot.app),
            "the log alone",
        )
        await pilot.press("slash", *"unknown carrier", "enter")
        await until(
            pilot,
            lambda: (
                "search: unknown carrier" in text(pilot.app) and "3 rows with an unknown carrier" in text(pilot.app)
            ),
            "the hit",
        )
        first = text(pilot.app)
        await pilot.press("n")
        await until(pilot, lambda: text(pilot.app) != first, "the next one")
        await pilot.press("w")
        await until(pilot, lambda: "wrapped" in text(pilot.app), "wrapped")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "production v3-2" in text(pilot.app), "the list is back")
        await pilot.press("q")
        assert pilot.app.focused.id == "list"

    drive(make_app(docked, screen="containers"), script)


def test_zoom_gives_the_list_the_whole_screen_and_tab_goes_on_to_the_log(tmp_path: Path) -> None:
    cockpit = seed_containers(tmp_path / "p", replicas=50)

    async def script(pilot: Pilot[Any]) -> None:
        assert "v3-17" not in text(pilot.app)
        await pilot.press("plus")
        await until(pilot, lambda: "v3-17" in text(pilot.app) and "Log of" not in text(pilot.app), "the list alone")
        await pilot.press("tab")
        await until(
            pilot,
            lambda: "Log of production-v3-1" in text(pilot.app) and "v3-17" not in text(pilot.app),
            "the log alone",
        )
        await pilot.press("escape")
        await until(pilot, lambda: "Log of" in text(pilot.app) and "production v3-3" in text(pilot.app), "both")

    drive(make_app(cockpit, screen="containers"), script, size=(80, 24))


def test_what_is_wrong_stands_out(docked: SeededCockpit) -> None:
    trouble(docked)

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        for words in ("✗ OOM killed", "✗ unhealthy", "✗ gone", "4 of 7 running"):
            assert words in shown, words
        await pilot.press("1")
        await until(pilot, lambda: "4 containers, 2 in trouble" in text(pilot.app), "counted on the overview")

    drive(make_app(docked, screen="containers"), script)


def test_an_engine_that_cannot_be_reached_says_since_when_and_what_is_old(docked: SeededCockpit) -> None:
    unreachable(docked)

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "production is not seen since 10:08:25: the line to serving-1 is cut: Connection timed out" in shown
        assert "2 of 7 running, 5 not seen now" in shown and "· healthy" in shown and "✓ healthy" in shown
        await pilot.press("1")
        await until(pilot, lambda: "the line to serving-1 is cut" in text(pilot.app), "a need of the overview")
        await until(pilot, lambda: pilot.app.focused.id == "needs", "the focus begins there")
        await pilot.press("g", "enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "containers", "enter goes there")

    drive(make_app(docked, screen="containers"), script)


def test_without_an_agent_it_says_as_of_when(docked: SeededCockpit) -> None:
    docked.looks = False
    docked.agent_status = AgentStatus(False, 4242, "build-1", "anna", NOW - 86_400, NOW - 400)
    seen_long_ago(docked)

    async def script(pilot: Pilot[Any]) -> None:
        assert "as of 10:03:20: no agent looks at the engines; podium watch --daemon starts one, r looks once" in text(
            pilot.app
        ), "the last of the agent"
        assert "0 of 7 running, 7 not seen now" in text(pilot.app)
        docked.looks = True
        await pilot.press("r")
        await until(
            pilot,
            lambda: "6 of 7 running" in text(pilot.app) and "as of 10:10:00" in text(pilot.app),
            "a look of our own is true for a while",
        )

    drive(make_app(docked, screen="containers"), script)


def test_where_nobody_looks_coming_here_is_a_look(docked: SeededCockpit) -> None:
    docked.agent_status = AgentStatus(False)
    seen_long_ago(docked)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("5")
        await until(
            pilot,
            lambda: "6 of 7 running" in text(pilot.app) and "as of 10:10:00: no agent" in text(pilot.app),
            "looked",
        )

    drive(make_app(docked), script)


def test_no_environment_with_containers_says_what_to_write(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        assert "No environment runs containers" in text(pilot.app) and "driver: docker" in text(pilot.app)
        for key, words in (
            ("R", "no container is under the cursor"),
            ("S", "no container is under the cursor"),
            ("m", "no container"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in text(pilot.app), words)

    drive(make_app(cockpit, screen="containers"), script, size=(80, 24))


def test_nothing_deployed_yet_says_how(tmp_path: Path) -> None:
    cockpit = empty(tmp_path / "p", config=ON_DOCKER)

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "Nothing was seen to run in staging and production yet." in shown
        assert "podium deploy -e staging" in shown and "podium watch --daemon" in shown

    drive(make_app(cockpit, screen="containers"), script, size=(80, 24))


def test_all_gone_is_no_error(docked: SeededCockpit) -> None:
    for name in ("staging", "production"):
        docked.journal.snapshots.put(EngineSnapshot(name, "unix:///var/run/docker.sock", NOW))
        for replica in docked.journal.replicas.of(name):
            docked.journal.replicas.remove(name, replica.id)

    async def script(pilot: Pilot[Any]) -> None:
        assert "No container runs: they were stopped, or removed by hand." in text(pilot.app)

    drive(make_app(docked, screen="containers"), script)


def test_a_shell_is_asked_of_the_facade_and_gets_the_terminal(docked: SeededCockpit) -> None:
    ran: list[list[str]] = []

    async def script(pilot: Pilot[Any]) -> None:
        pilot.app.run_outside = lambda argv, words: ran.append([*argv, words]) or 3  # type: ignore[attr-defined]
        await pilot.press("g", "S")
        await until(pilot, lambda: ran, "the terminal was handed over")
        assert ran[0][:2] == ["shell-in", "staging/staging-v4-1"] and "comes back" in ran[0][-1]
        await until(pilot, lambda: "ended with 3" in text(pilot.app), "how it ended")
        await pilot.press("j", "j", "j", "S")
        await until(
            pilot,
            lambda: "Open a shell in production-v3-2 · PROTECTED" in text(pilot.app),
            "the protected one asks first",
        )
        assert pilot.app.focused.id == "keep" and len(ran) == 1
        await pilot.press("shift+tab", *"production", "tab", "tab", "enter")
        await until(pilot, lambda: len(ran) == 2, "and its name opens it")
        await pilot.press("j", "j", "S")
        await until(pilot, lambda: "a shell needs a running container" in text(pilot.app), "not in one that is stopped")

    drive(make_app(docked, screen="containers"), script)


def test_fifty_containers(tmp_path: Path) -> None:
    cockpit = seed_containers(tmp_path / "p", replicas=50)

    async def script(pilot: Pilot[Any]) -> None:
        assert "54 of 55 running" in text(pilot.app)
        await pilot.press("m")
        await until(
            pilot,
            lambda: "52 replicas in time order" in text(pilot.app) and "12,480 lines" in text(pilot.app),
            "all logs",
        )
        await pilot.press("G")
        await settled(pilot)
        table = pilot.app.screen.query_one("#list", Table)
        before = table._cursor
        for _ in range(20):
            await pilot.press("k")
        assert table._cursor == before - 20, "each key moves at once, whatever is still read"

    drive(make_app(cockpit, screen="containers"), script, size=(200, 50))


@pytest.mark.parametrize("key", ["R", "S", "M"])
def test_read_only_changes_nothing(docked: SeededCockpit, key: str) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: "--read-only" in text(pilot.app), "refused")

    drive(make_app(docked, screen="containers", read_only=True), script)


def test_a_replica_that_comes_or_goes_does_not_begin_the_merged_log_anew(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("m")
        await until(pilot, lambda: "960 lines" in text(pilot.app), "all logs")
        await pilot.press("tab", "g")
        await until(pilot, lambda: "from line 1" in text(pilot.app), "the first line")
        snapshot = docked.journal.snapshots.get("production")
        assert snapshot is not None
        fresh = replace(snapshot.containers[0], id="f" * 64, name="production-v3-9", replica="production-v3-9")
        docked.journal.snapshots.put(replace(snapshot, containers=(*snapshot.containers, fresh)))
        await until(pilot, lambda: "5 replicas in time order" in text(pilot.app), "the new one")
        assert "from line 1" in text(pilot.app), "where one was reading"

    drive(make_app(docked, screen="containers"), script)


def test_a_look_that_had_no_answer_is_told_although_it_brings_nothing_new() -> None:
    kept = EngineSnapshot("production", "ssh://serving-1", NOW - 600)
    away = replace(kept, message="the line is cut")
    assert newest([kept], [away]) == (away,) and newest([kept], []) == (kept,) and newest([], [kept]) == (kept,)
    again = replace(kept, at=NOW)
    assert newest([again], [away]) == (again,) and newest([kept], [again]) == (again,)
