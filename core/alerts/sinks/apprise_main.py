"""The process that sends one message by apprise: what to send is on standard input, as JSON."""

from __future__ import annotations

import json
import logging
import sys


def main() -> int:
    """Sends the message; returns 0 if it was sent. Why not is the last line of standard error."""
    import apprise  # type: ignore[import-not-found,unused-ignore]

    asked = json.load(sys.stdin)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    sender = apprise.Apprise()  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    if not sender.add(asked["url"]):  # pyright: ignore[reportUnknownMemberType]
        print("it does not know the address", file=sys.stderr)
        return 2
    sent = sender.notify(title=asked["title"], body=asked["body"], notify_type=asked["type"])  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return 0 if sent else 1


if __name__ == "__main__":
    sys.exit(main())
