"""A project whose alert starts a retraining, with a journal and measurements that a monitor might have made."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from podium.core.alerts.evaluate import evaluate
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.monitoring import LoopEntry, Measurement, MonitorKind
from podium.core.domain.project import Project
from podium.core.domain.runs import RunState
from podium.core.feedback.loop import look
from podium.core.journal import Journal

from tests.alerts.scene import MONITORS, measured

LOOP = "{names: [errors-high], mode: MODE, cooldown: 0, at_most: 1000, look_back: 1h}"
PODIUM = (
    MONITORS
    + """\
alerts:
  errors-high: {monitor: errors, above: 0.1, cooldown: 0}
pipelines:
  retrain:
    on: {alert: LOOP}
    steps:
      train: {run: "echo ${{ alert.value }} on ${{ alert.environment }} >> trained"}
      deliver: {uses: promote, environment: production, needs: [train], when: "params.deliver == 'yes'"}
    params: {deliver: "ANSWER"}
"""
)


class Scene:
    """`said` is what the agent has said; times are in seconds since the scene began."""

    def __init__(self, home: Path, mode: str = "deliver", loop: str = LOOP) -> None:
        self.home = home
        self.write(mode, loop)
        self.began = time.time() - 7200
        self.said: list[str] = []
        self.journal = Journal.open(self.project.state / "journal.db")
        evaluate(self.project, self.journal, self.began)

    def write(self, mode: str, loop: str = LOOP, deliver: str = "no") -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / ".podium").mkdir(mode=0o700, exist_ok=True)
        text = PODIUM.replace("LOOP", loop).replace("MODE", mode).replace("ANSWER", deliver)
        (self.home / "podium.yaml").write_text(text)
        self.project: Project = load(self.home)

    def measure(self, value: float | None, at: float, **more: object) -> None:
        made = replace(measured(value), at=self.began + at, **more)
        self.journal.measurements.add(made)
        evaluate(self.project, self.journal, self.began + at)

    def quality(self, value: float, low: float, high: float, at: float, version: int) -> None:
        self.journal.measurements.add(
            Measurement(
                "quality",
                "production",
                MonitorKind.QUALITY,
                self.began + at,
                value,
                low=low,
                high=high,
                version=version,
            )
        )

    def look(self, at: float) -> None:
        look(self.project, self.journal, self.began + at, self.said.append)

    @property
    def entries(self) -> list[LoopEntry]:
        """What the loop did, oldest first."""
        return list(reversed(self.journal.loops.recent()))

    @property
    def entry(self) -> LoopEntry:
        return self.entries[-1]

    def trained(self) -> list[str]:
        file = self.home / "trained"
        return file.read_text().splitlines() if file.exists() else []

    def ended(self, at: float, *, version: int | None = None, state: RunState = RunState.SUCCEEDED) -> None:
        """Ends the entry's run, whatever it did, as if it had delivered a version."""
        run = self.entry.run
        assert run is not None
        if version is not None:
            row = self.journal.ledger.begin(
                environment="production",
                how=How.PROMOTE,
                model="shop",
                to_version=version,
                from_version=None,
                who="podium watch",
                run_id=run,
            )
            self.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        self.journal.runs.set_state(run, state, at=self.began + at)
