"""The bridge of the machine's own engine, kept while other engines start.

An engine that starts with an address pool of its own deletes the link `docker0`, whoever made it, and the machine's
engine then has no default network any more (moby removes it so that the pool applies to the default bridge as well).
It is made again at once, with what hung on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .ranges import run

LINK = "docker0"


@dataclass(frozen=True, slots=True)
class Docker0:
    """As it was before: its address (`172.17.0.1/16`; empty where no engine has such a bridge) and the links that
    hung on it."""

    address: str
    links: tuple[str, ...]

    @classmethod
    def seen(cls) -> Docker0:
        found = re.search(r"inet (\S+)", run("ip", "-o", "-4", "addr", "show", LINK, check=False))
        links = tuple(
            re.findall(r"^\d+: ([^:@\s]+)", run("ip", "-o", "link", "show", "master", LINK, check=False), re.MULTILINE)
        )
        return cls(found[1] if found else _believed(), links)

    def restore(self) -> None:
        """Nothing happens where it is there. Several may do this at a time."""
        if not self.address or LINK in run("ip", "-o", "link", "show", LINK, check=False):
            return
        run("ip", "link", "add", LINK, "type", "bridge", check=False)
        run("ip", "addr", "add", self.address, "dev", LINK, check=False)
        run("ip", "link", "set", LINK, "up", check=False)
        for link in self.links:
            run("ip", "link", "set", link, "master", LINK, check=False)


def _believed() -> str:
    """The address that an engine believes its bridge to have, from the rule that it made for it: the link may have
    gone a moment ago."""
    found = re.search(
        rf"-A POSTROUTING -s (\d+\.\d+\.\d+)\.0/(\d+) ! -o {LINK} -j MASQUERADE",
        run("iptables", "-w", "10", "-t", "nat", "-S", check=False),
    )
    return f"{found[1]}.1/{found[2]}" if found else ""
