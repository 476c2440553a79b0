"""Agents that are to be killed: a process that has everything loaded forks one for each line of its standard input, and
prints its pid. Each does what the agent's jobs for alerts do, over and over."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from podium.core import plugins
from podium.core.alerts.evaluate import evaluate
from podium.core.alerts.sender import Sender
from podium.core.alerts.telling import tell
from podium.core.config import load
from podium.core.http_client import loaded
from podium.core.journal import Journal


def agent(home: Path) -> None:
    project, sender = load(home), Sender()
    with Journal.open(project.state / "journal.db") as journal:
        while True:
            evaluate(project, journal, time.time())
            tell(project, journal, time.time())
            sender(project, journal)
            time.sleep(0.001)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    plugins.load("notifiers", "webhook")
    loaded()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                agent(Path(line.strip()))
            finally:
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
