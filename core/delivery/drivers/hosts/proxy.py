"""The proxies of several hosts, as one: what is said to one of them is said to all, at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import TypeVar

from ....containers.engine.errors import EngineAway
from ....containers.engine.several import all_at_once
from ....errors import Unreachable
from ...host.paths import INSTANCES
from ...proxy import mesh
from ...proxy.proxy import Instance, Proxy, ProxyLayout, at_once
from ..docker.create import RUN_DIR
from ..docker.proxy import RemoteProxyHost
from .fleet import Fleet, Host

T = TypeVar("T")
# How often, within a lease, it is renewed, and written down for a proxy that is started again.
_RENEWALS, _WRITINGS = 10, 3


class HostProxyHost(RemoteProxyHost):
    """An instance of HAProxy on one of several hosts: with a lease, in a file of its own, and what it needs to talk to
    the others."""

    more = (mesh.LEASE,)

    def __init__(self, host: Host, instance: int, lease: float | None) -> None:
        super().__init__(host.driver.place, instance, host.transport)
        self._host = host
        self._lease = lease

    def _beside(self) -> Sequence[str]:
        return (*super()._beside(), *mesh.FILES)

    def _files(self) -> dict[str, str]:
        """Whoever writes what a proxy should serve knows it: its lease begins now, by the clock of its host."""
        until = None if self._lease is None else int(self._host.now() + self._lease)
        return {**super()._files(), mesh.LEASE: lease_file(until)}


def lease_file(until: int | None) -> str:
    """Returns the file with which a proxy is started; `until` is in seconds since the epoch, by its host's clock."""
    return "# for ever\n" if until is None else f"global\n  set-var proc.lease int({until})\n"


class HostsProxy(Proxy):
    """All instances on all hosts. A host that does not answer is left out, and noted as away."""

    def __init__(self, fleet: Fleet, lease: float | None) -> None:
        super().__init__([], patiently=at_once)
        self._fleet = fleet
        self._lease = lease
        self._made = {host.name: self._of(place, host) for place, host in enumerate(fleet.hosts.values())}

    def _of(self, place: int, host: Host) -> tuple[Instance, ...]:
        keys = {number: place * len(INSTANCES) + number for number in INSTANCES}
        return tuple(
            Instance(
                number,
                HostProxyHost(host, number, self._lease),
                host.transport,
                host=host.name,
                key=keys[number],
            )
            for number in INSTANCES
        )

    @property
    def instances(self) -> tuple[Instance, ...]:
        return tuple(each for host in self._fleet.present for each in self._made[host.name])

    def look(self) -> str:
        found = self.instances
        return found[0].placement.look() if found else "no host answers"

    def require(self, bind: str, port: int) -> None:
        """Does nothing: only HAProxy itself can find out whether the port is free."""

    def _ask(
        self, work: Callable[[Instance], T], instances: Sequence[Instance] | None = None
    ) -> list[tuple[Instance, T]]:
        asked = self.instances if instances is None else instances
        of = {name: list(found) for name, found in groupby(asked, key=lambda each: each.host)}
        if not of and instances is None:
            raise EngineAway(self._nobody(), hint="check that the machines are running")
        done = self._fleet.each(
            [self._fleet.hosts[name] for name in of], lambda host: [(each, work(each)) for each in of[host.name]]
        )
        return [pair for _, pairs in done for pair in pairs]

    def _each(self, work: Callable[[Instance], T], instances: Sequence[Instance] | None = None) -> list[T]:
        def tried(instance: Instance) -> tuple[list[T], Unreachable | None]:
            try:
                return [work(instance)], None
            except EngineAway:
                raise
            except Unreachable as error:
                return [], error

        found = [outcome for _, outcome in self._ask(tried, instances)]
        for _, error in found:
            if error is not None:
                raise error
        return [value for values, _ in found for value in values]

    def _nobody(self) -> str:
        return "; ".join(f"{name} does not answer: {absent.why}" for name, absent in self._fleet.absent.items())

    # Hosts that come back, and leases

    def put_right(self, host: Host, layout: ProxyLayout) -> None:
        """Brings the proxies of a host that was away to the layout."""
        for each in self._made[host.name]:
            each.ensure(layout)
        host.state.kept = 0.0
        self._extend(host, layout)

    def renew(self, layout: ProxyLayout) -> None:
        """Renews the leases that are due: of those proxies that give traffic to nothing from which the layout takes it.
        A proxy that could not be told meanwhile is fenced when its lease ends."""
        lease = self._lease
        if lease is None:
            return
        now = time.monotonic()
        due = [host for host in self._fleet.present if now - host.state.renewed >= lease / _RENEWALS]

        def extend(host: Host) -> None:
            self._extend(host, layout)
            host.state.renewed = now

        for _, error in all_at_once([lambda host=host: host.ask(lambda _: extend(host)) for host in due]):
            # One that is not told is told the next time, or healed first.
            if error is not None and not isinstance(error, Unreachable):
                raise error

    def _extend(self, host: Host, layout: ProxyLayout) -> None:
        """Extends the leases of a host's proxies, and writes down until when."""
        if self._lease is None:
            return
        until = 0
        for each in self._made[host.name]:
            if each.alive() and not each.behind(layout):
                until = each.runtime.extend_lease(self._lease)
        now = time.monotonic()
        if until and now - host.state.kept >= self._lease / _WRITINGS:
            host.transport.write(PurePosixPath(RUN_DIR) / "proxy", {mesh.LEASE: lease_file(until)})
            host.state.kept = now
