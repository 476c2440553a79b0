"""Files that hold a secret: nobody but their owner may read them."""

from __future__ import annotations

import os
import stat

from ..errors import Refused

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_private(found: os.stat_result, path: str) -> None:
    """Raises Refused for what is no file, for a file that others may read, and for one that belongs to somebody
    else."""
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path} is not a file", hint="name a file that holds nothing but the secret")
    if found.st_mode & _OPEN_TO_OTHERS:
        raise Refused(f"{path} may be read by other users of this machine", hint=f"chmod 600 {path}")
    if found.st_uid not in (os.getuid(), 0):
        raise Refused(f"{path} belongs to another user", hint="keep the secret in a file of your own")
