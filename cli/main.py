"""The entry point. `--version` is answered before anything else is imported; every other call is guarded."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; raises nothing."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        return _version()
    # Start-up makes a hundred thousand objects and hardly any garbage: looking for it at every 700 takes a tenth of the
    # time of a short command.
    gc.set_threshold(10_000)
    from .app import run
    from .guard import guarded

    return guarded(lambda: run(words))


def _version() -> int:
    from ..core.version import VERSION
    from .streams import OutputLost, guarded_streams

    try:
        with guarded_streams():
            print(f"podium {VERSION}")
    except OutputLost as lost:
        return lost.exit_code
    return 0
