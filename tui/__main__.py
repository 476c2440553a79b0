"""`python -m podium.tui [HOME]`: the cockpit without the command line around it, as tests and benchmarks start it."""

from __future__ import annotations

import sys
from pathlib import Path

from .terminal import check


def main() -> int:
    reason = check()
    if reason:
        print(f"podium: {reason}", file=sys.stderr)
        return 2
    from ..core.cockpit import find_project
    from ..core.errors import PodiumError
    from .app import run

    try:
        return run(
            find_project(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()),
            screen=sys.argv[2] if len(sys.argv) > 2 else None,
        )
    except PodiumError as error:
        print(f"podium: {error}" + (f"\n{error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
