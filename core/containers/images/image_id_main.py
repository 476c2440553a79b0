"""`python -P -m podium.core.containers.images.image_id_main ADDRESS TLS REFERENCE`: the id of an image on an engine;
a child of the worker for engines that are not on this machine. Prints the id, or nothing when the engine has no such
image; ends with 5 when it does not answer."""

from __future__ import annotations

import sys

from ...child import run_main
from ..engine.address import parse
from ..engine.client import open_engine
from . import store


def main(arguments: list[str]) -> None:
    address, tls, reference = arguments
    with open_engine(parse(address, tls=tls)) as engine:
        found = store.inspect(engine, reference)
    print(found["Id"] if found else "")


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1:])))
