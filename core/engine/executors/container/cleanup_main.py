"""`python -P -m podium.core.engine.executors.container.cleanup_main ADDRESS TLS PROJECT HOME [RUN]`: remove
containers of steps that nobody needs any more; with RUN all that this run has left running or unclaimed. A process
of its own, for those that must stay small. Says what it removed."""

from __future__ import annotations

import sys
from pathlib import Path

from ....child import run_main
from ....containers.engine.address import parse
from ....containers.engine.client import open_engine
from . import orphans


def main(arguments: list[str]) -> None:
    address, tls, project, home = arguments[:4]
    run = int(arguments[4]) if len(arguments) > 4 else None
    with open_engine(parse(address, tls=tls)) as engine:
        for left in orphans.found(engine, project, Path(home)):
            if left.run == run and not left.kept:
                orphans.remove(engine, left.id)
                print(left.id)
        for container in orphans.tidy(engine, project, Path(home)):
            print(container)


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1:])))
