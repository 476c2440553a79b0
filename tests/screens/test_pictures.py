"""Every screen as a picture: fixed data, fixed time. `pytest --snapshot-update` draws them anew after a change that
was meant; look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.delivery import CanaryState
from podium.core.domain.watching import AgentStatus
from podium.tui.application import PodiumApp

from tests.tui.driving import make_app, settled, until
from tests.tui.seed import NOW, SeededCockpit, empty
from tests.tui.seed_containers import ON_DOCKER, canary, seen_long_ago, trouble, unreachable
from tests.tui.seed_monitors import seed_monitors

from .machines import test_board as test_board_screen
from .machines.test_cluster import CLUSTER, MACHINE, say
from .test_curves import kept

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}


def picture(snap_compare: Any, app: PodiumApp, size: tuple[int, int], *keys: str, shows: str = "") -> None:
    from tests.tui.driving import text

    async def before(pilot: Any) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        if shows:
            await until(pilot, lambda: shows in text(pilot.app), shows)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", ["overview", "runs", "models", "environments"])
def test_dark(snap_compare: Any, cockpit: SeededCockpit, screen: str, size: str) -> None:
    picture(snap_compare, make_app(cockpit, screen=screen, interval=0), SIZES[size])


@pytest.mark.parametrize("size", SIZES)
def test_monitors(snap_compare: Any, cockpit: SeededCockpit, size: str) -> None:
    seed_monitors(cockpit)
    picture(snap_compare, make_app(cockpit, screen="monitors", interval=0), SIZES[size], "enter")


@pytest.mark.parametrize("size", SIZES)
def test_cluster(snap_compare: Any, cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    say(monkeypatch, cockpit, MACHINE, lambda: CLUSTER)
    app = make_app(cockpit, screen="cluster", interval=0)
    picture(snap_compare, app, SIZES[size], "j", "j", shows="1 of 3 nodes dead")


@pytest.mark.parametrize("size", SIZES)
def test_board(snap_compare: Any, cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    test_board_screen.say(monkeypatch, cockpit)
    app = make_app(cockpit, screen="overview", interval=0)
    picture(snap_compare, app, SIZES[size], "O", "j", "j", shows="2 of 3 not")


@pytest.mark.parametrize("size", SIZES)
def test_compare(snap_compare: Any, cockpit: SeededCockpit, size: str) -> None:
    app = make_app(cockpit, screen="models", interval=0)
    picture(snap_compare, app, SIZES[size], "space", "space", "space", "c", "j", shows="Compare v3, v2, v4")


@pytest.mark.parametrize("size", SIZES)
def test_live(snap_compare: Any, cockpit: SeededCockpit, size: str) -> None:
    app = make_app(cockpit, screen="environments", interval=0)
    picture(snap_compare, app, SIZES[size], "p", shows="requests 1")


@pytest.mark.parametrize("size", SIZES)
def test_curves(snap_compare: Any, cockpit: SeededCockpit, size: str) -> None:
    kept(cockpit)
    app = make_app(cockpit, screen="models", interval=0)
    picture(snap_compare, app, SIZES[size], "p", "x", "enter", "left", shows="b v3")


@pytest.mark.parametrize("screen", ["overview", "environments"])
def test_light(snap_compare: Any, cockpit: SeededCockpit, screen: str) -> None:
    picture(snap_compare, make_app(cockpit, screen=screen, theme="light", interval=0), SIZES["middle"])


def test_no_colour(snap_compare: Any, cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    picture(snap_compare, make_app(cockpit, screen="runs", interval=0), SIZES["middle"])


def test_plain_glyphs(snap_compare: Any, cockpit: SeededCockpit) -> None:
    picture(snap_compare, make_app(cockpit, screen="environments", plain=True, interval=0), SIZES["middle"])


def test_plan_dialog(snap_compare: Any, cockpit: SeededCockpit) -> None:
    picture(
        snap_compare,
        make_app(cockpit, screen="environments", interval=0),
        SIZES["middle"],
        "P",
        shows="type production to confirm",
    )


def test_empty(snap_compare: Any, bare: SeededCockpit) -> None:
    picture(snap_compare, make_app(bare, interval=0), SIZES["small"])


def test_broken_project(snap_compare: Any, cockpit: SeededCockpit) -> None:
    (cockpit.home / "podium.yaml").write_text("project: x\npipelnes: {}\n")
    picture(snap_compare, make_app(cockpit, interval=0), SIZES["small"], shows="cannot be used")


def unwatched(cockpit: SeededCockpit) -> None:
    cockpit.looks = False
    cockpit.agent_status = AgentStatus(False, 4242, "build-1", "anna", NOW - 86_400, NOW - 400)
    seen_long_ago(cockpit)


# Containers and canaries: every state, at the smallest size and at a common one.
STATES = {
    "running": lambda cockpit: None,
    "trouble": trouble,
    "unreachable": unreachable,
    "unwatched": unwatched,
}


@pytest.mark.parametrize("size", ["small", "middle"])
@pytest.mark.parametrize("state", STATES)
def test_containers(snap_compare: Any, docked: SeededCockpit, state: str, size: str) -> None:
    STATES[state](docked)
    picture(snap_compare, make_app(docked, screen="containers", interval=0), SIZES[size], shows="240 lines")


def test_containers_large(snap_compare: Any, docked: SeededCockpit) -> None:
    picture(snap_compare, make_app(docked, screen="containers", interval=0), SIZES["large"], "m", shows="960 lines")


@pytest.mark.parametrize("size", ["small", "middle"])
def test_merged_logs(snap_compare: Any, docked: SeededCockpit, size: str) -> None:
    picture(snap_compare, make_app(docked, screen="containers", interval=0), SIZES[size], "m", shows="960 lines")


@pytest.mark.parametrize("size", ["small", "middle"])
def test_containers_of_no_environment(snap_compare: Any, cockpit: SeededCockpit, size: str) -> None:
    picture(snap_compare, make_app(cockpit, screen="containers", interval=0), SIZES[size])


@pytest.mark.parametrize("size", ["small", "middle"])
def test_containers_of_nothing_deployed(snap_compare: Any, tmp_path: Path, size: str) -> None:
    picture(
        snap_compare,
        make_app(empty(tmp_path / "flight-delay", config=ON_DOCKER), screen="containers", interval=0),
        SIZES[size],
    )


@pytest.mark.parametrize("size", ["small", "middle"])
@pytest.mark.parametrize("state", list(CanaryState))
def test_canary(snap_compare: Any, docked: SeededCockpit, state: CanaryState, size: str) -> None:
    docked.canaries = {"production": canary(state)}
    picture(snap_compare, make_app(docked, screen="environments", interval=0), SIZES[size], shows="Canary v4")


def test_canary_request(snap_compare: Any, docked: SeededCockpit) -> None:
    docked.canaries = {"production": canary(CanaryState.INCONCLUSIVE)}
    picture(
        snap_compare,
        make_app(docked, screen="environments", interval=0),
        SIZES["small"],
        "F",
        shows="type production to confirm",
    )


@pytest.mark.parametrize("size", ["small", "middle"])
def test_repair(snap_compare: Any, docked: SeededCockpit, size: str) -> None:
    docked.differences = ("production-v3-1 is gone: its container was removed",)
    picture(
        snap_compare,
        make_app(docked, screen="environments", interval=0),
        SIZES[size],
        "M",
        shows="type production to confirm",
    )


@pytest.mark.parametrize("size", ["small", "middle"])
def test_overview_of_containers(snap_compare: Any, docked: SeededCockpit, size: str) -> None:
    trouble(docked)
    docked.canaries = {"production": canary(CanaryState.INCONCLUSIVE)}
    picture(snap_compare, make_app(docked, interval=0), SIZES[size], shows="in trouble")


def test_models_with_images(snap_compare: Any, docked: SeededCockpit) -> None:
    picture(snap_compare, make_app(docked, screen="models", interval=0), SIZES["middle"], shows="SBOM kept")


def test_containers_light_and_plain(snap_compare: Any, docked: SeededCockpit) -> None:
    picture(
        snap_compare,
        make_app(docked, screen="containers", theme="light", plain=True, interval=0),
        SIZES["small"],
        shows="240 lines",
    )
