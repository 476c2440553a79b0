"""Address ranges and bridges for engines of the tests' own, so that none meets the machine's engine or another
test's."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.runner.scale import scaled

NUMBERS = range(201, 250)


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30), check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@dataclass(slots=True)
class Range:
    """10.NUMBER.0.0/16, held until `close`: a bridge with the first addresses, a pool for networks with the rest,
    and the rules that let them through."""

    number: int
    _lock: IO[str] = field(repr=False)

    @classmethod
    def take(cls) -> Range:
        """The first range that nothing on this machine uses. Whoever holds it holds a lock that ends with the
        process."""
        used = set(re.findall(r"\binet 10\.(\d+)\.", run("ip", "-o", "-4", "addr")))
        for number in NUMBERS:
            made = cls._hold(number)
            if made is not None and str(number) not in used:
                made._open()
                return made
            if made is not None:
                made._lock.close()
        raise RuntimeError("no free address range for an engine")

    @classmethod
    def _hold(cls, number: int) -> Range | None:
        """Returns the range, or None while somebody has it."""
        lock = Path(tempfile.gettempdir(), f"podium-test-range-{os.getuid()}-{number}.lock").open("w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return None
        return cls(number, lock)

    @classmethod
    def forsaken(cls) -> Iterator[Range]:
        """Yields the ranges whose bridge is still there although the process that held them is gone; to be closed."""
        links = run("ip", "-o", "link")
        for number in NUMBERS:
            if re.search(rf"\bpodium{number}\b", links) and (found := cls._hold(number)) is not None:
                yield found

    @property
    def bridge(self) -> str:
        return f"podium{self.number}"

    @property
    def pool(self) -> str:
        return f"10.{self.number}.128.0/17"

    @property
    def _whole(self) -> str:
        return f"10.{self.number}.0.0/16"

    def _rules(self) -> tuple[tuple[str, ...], ...]:
        """An engine that may not touch the firewall needs them: bridged packets pass FORWARD too, which another
        engine sets to DROP."""
        return (
            ("filter", "FORWARD", "-s", self._whole, "-j", "ACCEPT"),
            ("filter", "FORWARD", "-d", self._whole, "-j", "ACCEPT"),
            ("nat", "POSTROUTING", "-s", self._whole, "!", "-d", self._whole, "-j", "MASQUERADE"),
        )

    def _open(self) -> None:
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"10.{self.number}.0.1/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        for table, *rule in self._rules():
            run("iptables", "-w", "10", "-t", table, "-I", *rule)

    def bridges(self) -> Iterator[str]:
        """Every link with an address of this range: the bridge, and those of networks that were left."""
        network = ipaddress.ip_network(self._whole)
        for line in run("ip", "-o", "-4", "addr").splitlines():
            found = re.match(r"\d+: (\S+)\s+inet ([\d.]+)", line)
            if found and ipaddress.ip_address(found[2]) in network:
                yield found[1]

    def close(self) -> None:
        for link in {*self.bridges()}:
            run("ip", "link", "del", link, check=False)
        for table, *rule in self._rules():
            run("iptables", "-w", "10", "-t", table, "-D", *rule, check=False)
        self._lock.close()
