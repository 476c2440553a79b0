"""What the agent does with a fleet, done once and weighed by itself, for `scale.py`: python _rounds.py HOME SECONDS

CPU seconds do not depend on what else the machine does, as the seconds on the clock do. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from podium.core.config import load
from podium.core.containers.engine.address import all_of
from podium.core.containers.engine.connections import shared
from podium.core.containers.observe.snapshot import take
from podium.core.containers.observe.stats import Stats
from podium.core.delivery.environment.healing import heal_environment
from podium.core.journal import Journal
from podium.core.triggers.jobs import Sampling


def weighed(work: Callable[[], object]) -> float:
    """The CPU of a second round: the first one opens connections."""
    work()
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> int:
    project = load(Path(sys.argv[1]))
    # As the agent does it: those of one engine one after the other.
    environments = sorted(project.environments.values(), key=lambda each: each.host)
    with Journal.open(project.state / "journal.db") as journal:
        healing = weighed(lambda: [heal_environment(project, journal, each) for each in environments])
        sampling = Sampling()
        signals = weighed(lambda: [sampling._measure(project, journal, each) for each in environments])
    measured = environments[:20]
    found = {
        "healing": healing / len(environments),
        "signals": signals / len(environments),
        "statistics": statistics(project, measured, float(sys.argv[2])),
        "podium.yaml": weighed(lambda: load(Path(sys.argv[1]))),
    }
    print(json.dumps(found))
    return 0


def statistics(project: object, environments: list, seconds: float) -> float:
    """The CPU for each container and second of following what it uses, measured for so many seconds."""
    followed: list[Stats] = []
    containers = 0
    for environment in environments:
        engine = shared(all_of(project, environment)[""])
        snapshot = take(engine, project, environment)
        made = Stats(engine, lambda _: None, local=False)
        made.see(snapshot)
        followed.append(made)
        containers += len(snapshot.containers)
    time.sleep(seconds)  # until all are connected
    before, began = time.process_time(), time.monotonic()
    time.sleep(seconds)
    took = time.process_time() - before, time.monotonic() - began
    for each in followed:
        each.close()
    return took[0] / took[1] / containers


if __name__ == "__main__":
    sys.exit(main())
