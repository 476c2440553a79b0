"""Removes what a killed test session left on engines, and engines of its own: `python -m tests.runner.sweep …`.

Everything that Podium makes on an engine names its project's directory, by a digest; the session's projects are those
below its temporary directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LABEL = "podium-test.session"


def homes(temporary: Path) -> Iterator[Path]:
    """Yields every directory that was, or might have been, a project's."""
    for directory, below, files in os.walk(temporary):  # not rglob, which fails where one goes meanwhile
        if ".podium" in below or "podium.yaml" in files:
            yield Path(directory)


def remove_from(address: str, labels: list[str]) -> None:
    from podium.core.containers import open_engine
    from podium.core.containers.engine.address import parse
    from podium.core.errors import PodiumError

    with contextlib.suppress(PodiumError, OSError), open_engine(parse(address)) as engine:
        for label in labels:
            _remove(engine.api, {"label": label})


def _remove(api: Any, filters: dict[str, str]) -> None:
    from docker.errors import APIError

    for container in api.containers(all=True, filters=filters):
        with contextlib.suppress(APIError):
            api.remove_container(container["Id"], force=True, v=True)
    for network in api.networks(filters=filters):
        with contextlib.suppress(APIError):
            api.remove_network(network["Id"])
    for volume in api.volumes(filters=filters).get("Volumes") or ():
        with contextlib.suppress(APIError):
            api.remove_volume(volume["Name"], force=True)


def remove_dockerd(root: Path) -> None:
    from tests.servers import dockerd
    from tests.servers.ranges import Range

    dockerd.clear(root)
    for each in Range.forsaken():
        each.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("dockerd", "engine", "temporary"):
        parser.add_argument(f"--{name}", action="append", default=[])
    options = parser.parse_args()
    for root in options.dockerd:
        remove_dockerd(Path(root))
    if options.engine:
        from podium.core.containers.engine import labels as names
        from podium.core.errors import Unreachable

        ours = {home for temporary in options.temporary for home in homes(Path(temporary))}
        labels = []
        for home in ours:
            with contextlib.suppress(Unreachable):  # a test made it so, on purpose
                labels.append(f"{names.HOME}={names.home_id(home)}")
        labels += [f"{LABEL}={temporary}" for temporary in options.temporary]
        for address in options.engine:
            remove_from(address, labels)


if __name__ == "__main__":
    main()
