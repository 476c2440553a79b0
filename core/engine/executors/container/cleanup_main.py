"""`python -P -m podium.core.engine.executors.container.cleanup_main ADDRESS TLS PROJECT HOME [RUN]`: removes
containers of steps that no run needs any more; with RUN also all that this run has left. A process of its own, so that
its callers load no Docker. Prints what it removed."""

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
        for orphan in orphans.find(engine, project, Path(home)):
            if orphan.run == run and not orphan.kept:
                orphans.remove(engine, orphan.id)
                print(orphan.id)
        for container in orphans.remove_unneeded(engine, project, Path(home)):
            print(container)


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1:])))
