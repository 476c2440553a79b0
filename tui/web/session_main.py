"""`python -m podium.tui.web.session_main OPENING SERVER`: the cockpit of one browser tab, on the terminal that
the server made for it."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
import termios
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _end_with(server: int) -> None:
    """Has the kernel kill this process when the server ends in whatever way: to leave a terminal of which the other end
    is gone can take for ever."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != server:
        sys.exit(0)


def main() -> int:
    _end_with(int(sys.argv[2]))
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
