"""Who is at the keyboard, in the words that the audit keeps."""

from __future__ import annotations

import os
from pathlib import Path


def whoami() -> str:
    """`anna`, `anna from 10.0.0.7` over SSH, `root (anna by sudo)`. The account is the system's, never an
    environment variable's say-so."""
    name = account()
    sudo = _plain(os.environ.get("SUDO_USER", ""))
    if sudo and os.getuid() == 0 and sudo != name:
        name = f"{name} ({sudo} by sudo)"
    # SSH_CLIENT is `address port port`; SSH_CONNECTION starts the same way and is set by servers that leave out the
    # first.
    client = (os.environ.get("SSH_CLIENT") or os.environ.get("SSH_CONNECTION") or "").split()
    return f"{name} from {_plain(client[0])}" if client else name


def account() -> str:
    """Returns the name of this process's account."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        # A container often runs under a number that has no account.
        return f"uid {os.getuid()}"


def expanded(path: str) -> Path:
    """Returns a path whose `~` is the account's home directory; as it is written where there is none."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib raises for an account without one


def in_group(name: str, group: str) -> bool:
    """Tells whether an account of this machine is in a group of it; one that does not exist has nobody."""
    try:
        import grp
        import pwd

        return grp.getgrnam(group).gr_gid in os.getgrouplist(name, pwd.getpwnam(name).pw_gid)
    except (ImportError, KeyError):
        return False


def known_account(name: str) -> bool:
    """Tells whether this machine has an account of that name."""
    try:
        import pwd

        return bool(pwd.getpwnam(name))
    except (ImportError, KeyError):
        return False


def known_group(name: str) -> bool:
    """Tells whether this machine has a group of that name."""
    try:
        import grp

        return bool(grp.getgrnam(name))
    except (ImportError, KeyError):
        return False


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:100]
