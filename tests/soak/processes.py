"""Who belongs to the soak's project, and the killing of one of them."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.runner.scale import scaled
from tests.support import processes_of

from .project import ENVIRONMENT, Project

KINDS = ("replica", "worker", "step", "agent")


def of(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Yields (what it is, process) for every process of the project."""
    for process in processes_of(home, lambda found: found.get("PODIUM_HOME") == str(home)):
        with contextlib.suppress(psutil.Error):
            yield _kind(" ".join(process.cmdline())), process


def _kind(line: str) -> str:
    for word, kind in (
        ("core.triggers.agent", "agent"),
        ("core.serving", "replica"),
        ("haproxy", "proxy"),
        ("core.preload", "preloading"),
        ("core.engine.worker", "worker"),
        ("tests/servers/client.py", "client"),
        ("podium.cli", "command"),
    ):
        if word in line:
            return kind
    return "step"


class Killer:
    """Kills one process of a kind at random. Proxies are left alone: what one that is killed was answering is lost."""

    def __init__(self, project: Project, dice: random.Random) -> None:
        self._project = project
        self._dice = dice

    def strike(self) -> str:
        """Returns what was killed; empty if nothing of the kind was there, or only the last replica that answers."""
        kind = self._dice.choice(KINDS)
        if kind == "replica" and not self._another_ready():
            return ""  # what it was asked would be lost to everybody
        there = [process for found, process in of(self._project.home) if found == kind]
        if not there:
            return ""
        self._dice.choice(there).kill()
        if kind == "agent":
            self.agent_runs()
        return kind

    def _another_ready(self) -> bool:
        return sum(replica["state"] == "ready" for replica in self._project.status()["replicas"]) > 1

    def agent_runs(self) -> None:
        """Starts the agent where none is running, as its service would."""
        deadline = time.monotonic() + scaled(30)
        while not any(kind == "agent" for kind, _ in of(self._project.home)):
            self._project.podium("watch", "--daemon", code=None)
            assert time.monotonic() < deadline, "the agent cannot be started"

    def active(self) -> list[int]:
        """Returns the ids of the runs that are not over."""
        rows = json.loads(self._project.podium("ps", "--all", "-o", "json"))
        return [row["id"] for row in rows if row["ended"] is None]

    def settled(self) -> list[str]:
        """Waits until no run is active and what serves is healthy; returns what is wrong."""
        # The last push may be a release that has just begun, on a busy machine.
        deadline = time.monotonic() + scaled(300)
        while True:
            status = self._project.status()
            active = self.active()
            if not active and status["health"] == "healthy" and not status["differences"]:
                return []
            if time.monotonic() > deadline:
                return [
                    f"{ENVIRONMENT} is {status['health_words']}, differences {status['differences']}, active {active}"
                ]
            time.sleep(0.5)


def leftovers(home: Path) -> list[str]:
    """Returns what is still running of the project. The preloading server ends within seconds by itself."""
    deadline = time.monotonic() + scaled(20)
    while True:
        left = [f"{kind} {process.pid}" for kind, process in of(home) if kind not in ("preloading", "client")]
        if not left or time.monotonic() > deadline:
            return [f"left behind: {', '.join(left)}"] if left else []
        time.sleep(0.2)
