"""Who may ask. In front of every request: a page that somebody else made, whatever name it has itself reached by, gets
nothing, and a session is opened for whoever has the token alone.

The token stands behind the `#` of the address, which no browser sends: the page takes it from there, and asks with it
for a ticket. A ticket opens one session and is good for seconds, since a WebSocket's address is all that a page can
say to it, and addresses are what logs keep.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence

_OWN_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
TICKET_SECONDS = 20.0
MOST_TICKETS = 64


def refusal(hosts: Sequence[str], origins: Sequence[str], *, from_page: bool) -> str:
    """Returns why a request is refused, by its headers Host and Origin; empty if it is not. `from_page` is what only a
    page of ours asks for, so that it has to say that it is one.

    A name that leads here although it is another's (DNS rebinding) is seen by its Host; a page of another place, also
    of another port of this machine, by its Origin. The port is whatever the browser has reached us by: an SSH tunnel
    may have its own.
    """
    host = hosts[0].lower() if len(hosts) == 1 else ""
    if not _OWN_NAMES.fullmatch(host):
        return "this name is not one of this machine's own; use the address that `podium ui --web` printed"
    if not origins and not from_page:
        return ""
    if len(origins) != 1 or origins[0].lower() != f"http://{host}":
        return "only the cockpit's own page may ask for this"
    return ""


class Tokens:
    """The token of one server, and the tickets that it was exchanged for. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(32)
        self._clock = clock
        self._tickets: dict[str, float] = {}

    def ticket(self, authorization: str) -> str:
        """Returns a ticket for a header `Bearer TOKEN`; empty if it is not the token."""
        given = authorization.encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return ""
        self._forget_old()
        while len(self._tickets) >= MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        made = secrets.token_urlsafe(32)
        self._tickets[made] = self._clock() + TICKET_SECONDS
        return made

    def take(self, ticket: str) -> bool:
        """Tells whether a ticket is good, which it is once."""
        self._forget_old()
        given = ticket.encode("utf-8", "replace")
        found = [each for each in self._tickets if hmac.compare_digest(each.encode(), given)]
        for each in found:
            del self._tickets[each]
        return bool(found)

    def _forget_old(self) -> None:
        now = self._clock()
        self._tickets = {each: until for each, until in self._tickets.items() if until > now}
