"""The entry point. `--version` is answered before anything else is imported; every other call goes through the
diagnostics' guard."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        from ..core.version import VERSION

        print(f"podium {VERSION}")
        return 0
    # Start-up makes a hundred thousand objects and hardly any garbage: to look for some at every 700 is a tenth of a
    # short command's time.
    gc.set_threshold(10_000)
    from .app import run
    from .guard import guarded

    return guarded(lambda: run(words))
