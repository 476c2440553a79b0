"""The screen of machines: what steps have of this one and of a Ray cluster, and why what waits does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.machines.cluster import ClusterJob, ClusterNode, ClusterStatus, Share
from podium.core.domain.machines.machine import MachineClaim, MachineGpu, MachineStatus
from podium.core.errors import Unreachable
from podium.core.host_queue.queue import HostQueue
from podium.core.host_queue.resources import Wanted
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}
CLUSTER = ClusterStatus(
    "http://10.0.0.5:8265",
    "2.60.0",
    (
        ClusterNode("a", "10.0.0.5", True, True, Share(3, 8), Share(), Share(4 << 30, 32 << 30)),
        ClusterNode("b", "10.0.0.6", False, True, Share(8, 8), Share(1, 2), others={"fast_disk": Share(1, 1)}),
        ClusterNode("c", "10.0.0.7", False, False, Share(0, 8), message="the node missed its health checks"),
    ),
    (
        ClusterJob("podium-1", "RUNNING", "10.0.0.6", "flight-delay", "41", "train", "4 CPUs and a GPU", NOW - 240),
        ClusterJob(
            "podium-2", "PENDING", "", "flight-delay", "41", "search", "12 CPUs", NOW - 60, "no node has 12 CPUs"
        ),
        ClusterJob("raysubmit_x", "RUNNING", "10.0.0.5", asks="1 CPU", since=NOW - 3600),
    ),
    ("12 CPUs, once",),
)
MACHINE = MachineStatus(
    "build-1",
    Share(3, 4),
    Share(6 << 30, 16 << 30),
    (MachineGpu("0", "GPU 0: 87 % busy, 11.2 of 24.0 GiB, 71 °C", "run 7 of shop (train)"), MachineGpu("1", "GPU 1")),
    (
        MachineClaim(1, "shop", 7, "train", "bert", "2 CPUs, 4.0 GiB and a GPU", True, ("0",), NOW - 600),
        MachineClaim(2, "flight-delay", 41, "data", "anna", "1 CPU", True, (), NOW - 20),
        MachineClaim(
            3, "flight-delay", 41, "gate", "anna", "2 CPUs", False, (), NOW - 15,
            "waits for 2 CPUs, in use by run 7 of shop (train), run 41 of flight-delay (data)",
        ),
    ),
)  # fmt: skip


def say(monkeypatch: pytest.MonkeyPatch, cockpit: SeededCockpit, machine: MachineStatus, cluster: Any) -> None:
    monkeypatch.setattr(cockpit.runs, "machine", lambda: machine, raising=False)
    monkeypatch.setattr(cockpit.runs, "cluster", cluster, raising=False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_who_has_what_and_why_the_rest_waits_is_read_in_one_look(
    cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch, size: str, theme: str
) -> None:
    say(monkeypatch, cockpit, MACHINE, lambda: CLUSTER)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "10.0.0.6" in text(pilot.app), "the cluster's nodes")
        shown = text(pilot.app)
        assert "steps have 3 of 4 CPUs, 6.0 of 16.0 GiB of memory, 1 of 2 GPUs" in shown
        assert "GPU 0: 87 % busy" in shown and "nobody has it" in shown
        assert "1 waiting" in shown and "next: run 41 of flight-delay (gate) waits for 2 CPUs" in shown
        assert "10.0.0.5 (head)" in shown and "1 of 3 nodes dead" in shown and "8 of 8" in shown
        assert "not to be had now: 12 CPUs, once" in shown
        await pilot.press("j", "j")
        await settled(pilot)
        assert "waits for 2 CPUs, in use by run 7 of shop (train)" in text(pilot.app).replace("next: run 41", "")
        await pilot.press("tab", "tab")
        await settled(pilot)
        assert pilot.app.screen.pane.id == "jobs"  # type: ignore[attr-defined]

    drive(make_app(cockpit, screen="cluster", theme=theme, interval=0), script, size=SIZES[size])


def test_without_a_cluster_the_machine_has_the_whole_screen_and_its_queue_is_the_real_one(
    cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "queue"
    place.mkdir()
    (place / "host.json").write_text(json.dumps({"cpus": 2, "memory": 8 << 30}))
    monkeypatch.setenv("PODIUM_QUEUE", str(place))
    held: list[HostQueue] = []
    for run, step in ((41, "train"), (42, "search")):
        with monkeypatch.context() as context:
            context.setattr(os, "getpid", lambda run=run: 100_000 + run)
            held.append(HostQueue(place, "flight-delay", run))
        held[-1].take(step, Wanted(2))

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "search" in text(pilot.app), "the queue")
        shown = text(pilot.app)
        assert "steps have 2 of 2 CPUs" in shown and "Ray" not in shown
        assert (
            "next: run 42 of flight-delay (search) waits for 2 CPUs, in use by run 41 of flight-delay (train)" in shown
        )
        held[0].close()
        held[1].take("search", Wanted(2))
        await until(pilot, lambda: "nothing waits" in text(pilot.app), "the first has ended")

    try:
        drive(make_app(cockpit, screen="cluster", interval=0.05), script, size=SIZES["middle"])
    finally:
        for each in held:
            each.close()


def test_a_cluster_that_does_not_answer_is_said_and_what_was_known_stays(
    cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = False

    def cluster() -> ClusterStatus:
        if away:
            raise Unreachable("http://10.0.0.5:8265 does not answer", hint="is the head there?")
        return CLUSTER

    say(monkeypatch, cockpit, MACHINE, cluster)

    async def script(pilot: Pilot[Any]) -> None:
        nonlocal away
        await until(pilot, lambda: "10.0.0.6" in text(pilot.app), "the cluster's nodes")
        away = True
        await until(pilot, lambda: "8265 does not answer" in text(pilot.app), "that it is away")
        assert "10.0.0.6" in text(pilot.app)

    drive(make_app(cockpit, screen="cluster", interval=0.05), script, size=SIZES["large"])


def test_only_steps_of_this_project_are_opened(cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, cockpit, MACHINE, lambda: None)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "gate" in text(pilot.app), "the steps")
        await pilot.press("enter")
        await until(pilot, lambda: "only steps of this project" in text(pilot.app), "the refusal")
        await pilot.press("j", "enter")
        await until(pilot, lambda: pilot.app.screen.title_id == "runs", "the run")  # type: ignore[attr-defined]

    drive(make_app(cockpit, screen="cluster", interval=0), script, size=SIZES["small"])
