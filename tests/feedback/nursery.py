"""Agents that are to be killed, forked from a process that has everything loaded: each looks at alerts and feedback."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import podium.core.engine.submit
import podium.core.feedback.asked  # noqa: F401 - loaded before the forks
from podium.core.alerts.evaluate import evaluate
from podium.core.config import load
from podium.core.feedback.loop import look
from podium.core.journal import Journal


def agent(home: Path) -> None:
    project = load(home)
    with Journal.open(project.state / "journal.db") as journal:
        while True:
            evaluate(project, journal, time.time())
            look(project, journal, time.time(), lambda _: None)
            time.sleep(0.002)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                agent(Path(line.strip()))
            finally:
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
