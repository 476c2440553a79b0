"""`python -m podium.tui.web.session_main OPENING`: the cockpit of one browser tab, on the terminal that the server made
for it."""

from __future__ import annotations

import fcntl
import json
import sys
import termios
from pathlib import Path


def main() -> int:
    # As the owner of the terminal it gets the SIGHUP when the other end is gone.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    from ...core.cockpit import Cockpit
    from ...core.errors import PodiumError
    from ..app import run

    given = json.loads(sys.argv[1])
    home, *others = map(Path, given.pop("homes"))
    try:
        return run(Cockpit.open(home), projects=others, browser=True, **given)
    except PodiumError as error:
        print(f"podium: {error}" + (f"\n{error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
