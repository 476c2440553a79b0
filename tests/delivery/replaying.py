"""Carries out a replay in a process of its own, which its test ends: `python replaying.py PICKLE VERSION`."""

import pickle
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.replay.replay_step import carry_out
from podium.core.domain.replay import ReplayLimits
from podium.core.engine.builtin_process import _interrupt
from podium.core.errors import Interrupted
from podium.core.journal import Journal

from tests.delivery.light import install

install()
signal.signal(signal.SIGTERM, _interrupt)
with open(sys.argv[1], "rb") as file:
    project, environment = pickle.load(file)
try:
    carry_out(
        EnvironmentRuntime(project, Journal.open(project.state / "journal.db"), environment),
        int(sys.argv[2]),
        ReplayLimits(),
        who="anna",
    )
except Interrupted:
    sys.exit(130)
