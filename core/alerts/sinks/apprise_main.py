"""The process that sends one message by apprise: what to send is on standard input, as JSON."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Final

from ...http_client import Origin

PLAIN: Final = 3
"""The exit code for an address that sends without encryption to another machine: nothing was sent."""


def main() -> int:
    """Sends the message; returns 0 if it was sent. Why not is the last line of standard error."""
    import apprise  # type: ignore[import-not-found,unused-ignore]

    asked = json.load(sys.stdin)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    sender: Any = apprise.Apprise()  # pyright: ignore[reportUnknownMemberType]
    if not sender.add(asked["url"]):
        print("it does not know the address", file=sys.stderr)
        return 2
    if any(map(_in_the_open, sender)):
        return PLAIN
    sent = sender.notify(title=asked["title"], body=asked["body"], notify_type=asked["type"])
    return 0 if sent else 1


def _in_the_open(receiver: Any) -> bool:
    """Tells whether a receiver's address, which is a secret, is sent without encryption to another machine. Asked of
    those alone that apprise knows how to reach with encryption too (`json://` and `jsons://`); the others have no such
    form, or are always encrypted."""
    kind: Any = receiver.__class__
    if receiver.secure or not kind.protocol or not kind.secure_protocol:
        return False
    mail = hasattr(receiver, "smtp_host")
    host = str((receiver.smtp_host if mail else "") or receiver.host or "")
    if mail and not receiver.password:  # what a mail server near by takes from everybody
        return False
    return bool(host) and not Origin("", host.lower().strip("[]"), 0).own


if __name__ == "__main__":
    sys.exit(main())
