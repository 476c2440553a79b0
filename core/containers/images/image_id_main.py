"""`python -P -m podium.core.containers.images.image_id_main ADDRESS TLS REFERENCE` prints the id of an image on an
engine. The worker runs it as a child process for engines on other machines. It prints nothing if the engine has no
such image, and exits with 5 if the engine does not answer."""

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
