"""Carries out a change and kills itself, as `kill -9` would, at the phase it is told: `python crashing.py PICKLE
before|after PHASE HOW VERSION`.

`before`: the phase's work is done and not yet noted; `after`: noted; `spawn`: a replica was started and not noted;
`never`: it tells what it imported.
"""

import os
import pickle
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from podium.core.delivery.drivers.process import ProcessDriver
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.rollout import carry_out, phases
from podium.core.delivery.rollout.carry_out import RolloutRequest
from podium.core.domain.delivery import How
from podium.core.journal import Journal
from podium.core.journal.ledger import Ledger

from tests.delivery.light import install

path, when, where, how, version = sys.argv[1:]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


noted = Ledger.phase


def phase(self, number, name, data):
    if name == where and when == "before":
        die()
    noted(self, number, name, data)
    if name == where and when == "after":
        die()


Ledger.phase = phase
if when == "spawn":
    spawned = ProcessDriver.start

    def start(self, spec):
        spawned(self, spec)
        die()

    ProcessDriver.start = start
install()
with open(path, "rb") as file:
    project, environment = pickle.load(file)
if when == "spawn" and environment.driver == "docker":
    from podium.core.delivery.drivers.docker.driver import DockerDriver

    run = DockerDriver._started

    def started(self, *arguments):
        run(self, *arguments)
        die()

    DockerDriver._started = started
phases.WATCH_SECONDS = 0.05
journal = Journal.open(project.state / "journal.db")
runtime = EnvironmentRuntime(project, journal, environment, say=print)
carry_out.carry_out(runtime, RolloutRequest(How(how), int(version), "anna", asked=time.time()))
print("heavy:", sorted({"mlflow", "pandas", "numpy", "textual", "docker", "httpx", "sklearn"} & sys.modules.keys()))
