"""A long time of everything at once: `python -m tests.soak [--minutes 60] [--every 60] [--kill-every 20] [--seed N] [--directory DIR]`.

A project whose agent delivers a push every so many seconds to two replicas, with traffic on them, while somebody kills a
replica, a worker, a step or the agent every twenty seconds or so, and `retain:` is a minute or two. At the end no request may
be lost, the processes may have no more memory than after the first third and `.podium/` not much more on the disk, and
the journal, the audit and what serves are whole. Prints a line a minute; ends with 1 and says what was wrong.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.world import Client
from tests.runner import scale

from .measuring import Minute, judge, look
from .processes import Killer, leftovers
from .project import Project

PRUNE_EVERY = 60.0


class Soak:
    """One soak in `home`, from the first release to the verdict."""

    def __init__(self, home: Path, seed: int) -> None:
        self.project = Project(home)
        self.killer = Killer(self.project, random.Random(seed))
        self.minutes: list[Minute] = []
        self.killed: Counter[str] = Counter()
        self.pushes = 1
        self.client: Client | None = None

    def begin(self) -> None:
        """Releases the first version and starts the agent and the traffic."""
        self.project.podium("run", "release")
        self.project.podium("watch", "--daemon")
        self.client = Client(self.project.port, self.project.home, rate=40.0, body=self.project.body())

    def go_on(self, seconds: float, every: float, kill_every: float) -> None:
        assert self.client is not None
        began = time.monotonic()
        due = {"push": began, "kill": began + kill_every, "prune": began + PRUNE_EVERY, "look": began}
        while (now := time.monotonic()) - began < seconds:
            if now >= due["push"]:
                due["push"] = now + every
                self.project.push()
                self.pushes += 1
            if now >= due["kill"]:
                due["kill"] = now + kill_every
                self.killed[self.killer.strike()] += 1
            if now >= due["prune"]:
                due["prune"] = now + PRUNE_EVERY
                self.project.podium("prune", "--yes", code=None)  # a change that is under way may refuse it
            if now >= due["look"]:
                due["look"] = now + 60.0
                self.minutes.append(look(self.project, self.client.look()))
                print(f"{(now - began) / 60:5.1f} min  {self.minutes[-1]}", flush=True)
            time.sleep(0.2)

    def end(self) -> list[str]:
        """Lets what is under way come to its end, stops everything, and returns what was wrong."""
        assert self.client is not None
        self.killer.agent_runs()
        problems = self.killer.settled()
        self.minutes.append(look(self.project, self.client.look()))
        seen = self.client.close()
        print(f"{self.pushes} pushes, killed: {dict(self.killed)}, {seen.asked} requests, {seen.failed} lost")
        if seen.failed:
            problems.append(f"{seen.failed} of {seen.asked} requests were lost, the last: {seen.failures[-3:]}")
        problems += judge(self.project, self.minutes)
        self.stop(code=0)
        return problems + leftovers(self.project.home)

    def stop(self, *, code: int | None = None) -> None:
        """Ends what was started, as far as that got; with `code`, stopping the environment has to end with it."""
        if self.client is not None:
            self.client.close()
        self.project.podium("watch", "--stop", code=None)
        for run in self.killer.active():
            self.project.podium("cancel", str(run), code=None)
        self.project.podium("stop", "-e", "production", "--yes", code=code)


def main() -> int:
    parser = argparse.ArgumentParser(description="A long time of everything at once.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two pushes")
    parser.add_argument(
        "--kill-every", type=float, default=20.0, help="seconds between two kills; more where a release is slow"
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--directory", type=Path, help="kept, unlike a temporary one")
    options = parser.parse_args()
    scale.settle()
    scratch = options.directory or Path(tempfile.mkdtemp(prefix="podium-soak-"))
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    print(f"seed {options.seed}, {options.minutes:g} minutes in {scratch}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where whoever starts it ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    soak = Soak(scratch / "project", options.seed)
    try:
        soak.begin()
        try:
            soak.go_on(60 * options.minutes, options.every, options.kill_every)
        except KeyboardInterrupt:
            print("interrupted; this is the end of it")
        problems = soak.end()
    except BaseException:
        soak.stop()
        raise
    for problem in problems:
        print(f"wrong: {problem}")
    if not problems and options.directory is None:
        shutil.rmtree(scratch)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
