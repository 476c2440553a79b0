"""Runs replicas in containers of several hosts, with HAProxy on each. What is done on one host is done by the driver of
one engine (`drivers/docker/`); here is decided on which, and what becomes of one that does not answer.

The address of a replica's row begins with its host: `HOST/ADDRESS`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from ....containers import Labels
from ....containers.engine import labels
from ....containers.engine.errors import EngineAway, NothingLeft
from ....containers.engine.several import in_lines
from ....containers.images import store
from ....domain.delivery import Replica
from ....domain.engines.places import joined, split
from ....domain.project import Environment
from ....errors import Interrupted, PodiumError, Unreachable
from ...host.paths import private, safe
from ...proxy.haproxy import ProxyLayout
from ...proxy.mesh import Mesh
from .. import ASKED, AbsentHost, DriverContext, OwnedNames, ReplicaSpec, StartedReplica
from ..docker.create import PORT
from ..docker.driver import DockerDriver
from .addresses import addresses
from .certificates import issued
from .fleet import Fleet, Host, HostAway
from .proxy import HostsProxy
from .relay import HostsTransport

T = TypeVar("T")
# How long it is not tried again to give a host an image that it could not have.
_EQUIP_SECONDS = 60.0
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class HostsDriver:
    """Implements Driver with containers on several hosts."""

    def __init__(self, setting: DriverContext) -> None:
        self.setting = setting
        self.fleet = Fleet(setting)

    @property
    def environment(self) -> Environment:
        return self.setting.environment

    # Transport

    @cached_property
    def transport(self) -> HostsTransport:
        return HostsTransport(self.fleet.relay)

    @cached_property
    def proxy(self) -> HostsProxy:
        return HostsProxy(self.fleet, self._lease)

    @property
    def _lease(self) -> float | None:
        return None if self.environment.stale == "serve" else self.environment.lease

    def url(self) -> str:
        """Returns the URL at the first host that answers."""
        bind = self.environment.bind
        first = next((host.name for host in self.fleet.present), next(iter(self.fleet.hosts)))
        return self.environment.url(first if bind in _EVERYWHERE else bind)

    def listens(self) -> str:
        return self.environment.bind

    def doors(self) -> Sequence[str]:
        bind = self.environment.bind
        return [joined(host.name, ASKED.get(bind, bind)) for host in self.fleet.present]

    # Several hosts

    def mesh(self) -> Mesh | None:
        environment = self.environment
        names = [*self.fleet.hosts]
        found = {name: addresses.of(name) for name in names}
        authority, certificates = "", dict[str, str]()
        if not environment.trusted_network:
            authority, certificates = issued(self.setting.directory, names)
        return Mesh(found, environment.between, PORT, self._lease, authority, certificates)

    def absent(self) -> Mapping[str, AbsentHost]:
        return self.fleet.absent

    def displaced(self, replica: Replica) -> bool:
        """Returns False: nobody but the agent starts it elsewhere."""
        return False

    def tend(self, rows: Sequence[Replica], layout: Callable[[], ProxyLayout]) -> list[str]:
        self.equip(rows)
        done = [line for host in self.fleet.answering() for line in self._put_right(host, rows, layout())]
        if self.fleet.present and rows:
            self.proxy.renew(layout())
        return [*done, *self.fleet.note()]

    def renew(self, layout: ProxyLayout) -> None:
        if self.fleet.present:
            self.proxy.renew(layout)

    def equip(self, rows: Sequence[Replica]) -> None:
        """One that answers, and cannot have it, is left out as one that does not answer."""
        for host in self.fleet.present if rows else ():
            try:
                self._equip(host, rows)
            except (NothingLeft, Interrupted):
                raise
            except EngineAway as error:
                host.state.lost(error.message)
            except PodiumError as error:
                host.state.lost(f"it cannot have the image: {error.message}")

    def _equip(self, host: Host, rows: Sequence[Replica]) -> None:
        """Gives a host that has nothing of the environment yet what its proxies need, and the versions that serve.
        After an error it is not tried again for a minute: it costs as much as the image is large."""
        state = host.state
        if state.equipped or _has_image(host.driver):
            state.equipped = True
            return
        if state.unequipped is not None and time.monotonic() - state.unequipped[1] < _EQUIP_SECONDS:
            raise Unreachable(state.unequipped[0])
        try:
            for version in sorted({row.version for row in rows if row.weight}):
                self._bring_to(host, version)
        except (EngineAway, Interrupted):
            raise
        except PodiumError as error:
            state.unequipped = error.message, time.monotonic()
            raise
        state.equipped = True

    def _bring_to(self, host: Host, version: int) -> None:
        """Brings both images to a host that may count as away still."""
        self._bring_proxy(host)
        for error in self._bring_version(version, [host]).values():
            raise error

    def _bring_proxy(self, host: Host) -> None:
        from ....serving.image.everywhere import require_named

        driver = host.driver
        require_named(driver.place.engine, self.environment.proxy_image, self.setting.project, say=driver.setting.say)

    def _bring_version(self, version: int, hosts: Sequence[Host]) -> Mapping[str, PodiumError]:
        """Brings the version's image to hosts; returns why some cannot have it, by their names."""
        from ....serving.image.everywhere import require_everywhere

        setting, there = self.setting, {host.name: host.address for host in hosts}
        return require_everywhere(
            setting.project, setting.journal, version, there, model=setting.model, say=setting.say
        )

    def _put_right(self, host: Host, rows: Sequence[Replica], layout: ProxyLayout) -> list[str]:
        """Brings a host that answers again to what should be: it gets traffic, and gives it, only then."""
        own = {row.container for row in rows if row.host == host.name}
        done: list[str] = []
        try:
            place = host.driver.place
            place.listing.forget()
            for one in place.find(labels.REPLICA_ROLE):
                if one.id not in own:
                    place.stop(one.id, 1.0)
                    place.remove(one.id)
                    done.append(f"{self.environment.name}: {one.name} on {host.name} was not needed any more; ended it")
            if rows:
                self._equip(host, rows)
                self.proxy.put_right(host, layout)
            else:
                done += [f"{self.environment.name}: removed {line} on {host.name}" for line in place.clear()]
        except (NothingLeft, Interrupted):
            raise
        except EngineAway as error:
            host.state.lost(error.message)
            return done
        except PodiumError as error:
            # It answers and cannot be put right: it stays out until it can.
            words = f"{self.environment.name}: {host.name} cannot be put right: {error.message}"
            return [*done, words] if host.state.complains(words) else done
        host.state.settled()
        return [*done, f"{self.environment.name}: {host.name} answers again, and was put right"]

    # Before a change

    def prepare(self, version: int) -> None:
        """Makes the image of the version and that of the proxy available on every host that answers; nothing that runs
        is touched. Raises the error of a host that answers and cannot have them, Unreachable if none does."""
        self._bring(version, self.fleet.present)
        if self.fleet.present:
            self.fleet.each(self.fleet.present, lambda host: host.transport.wake())
        if not self.fleet.present:
            raise Unreachable("; ".join(absent.why for absent in self.absent().values()))

    def _bring(self, version: int, hosts: Sequence[Host]) -> None:
        """Brings both images to hosts. One that goes away meanwhile is noted."""
        self.fleet.each(hosts, self._bring_proxy)
        for name, error in self._bring_version(version, [host for host in hosts if host.present]).items():
            if not isinstance(error, EngineAway) or isinstance(error, NothingLeft):
                raise error
            self.fleet.hosts[name].state.lost(error.message)

    def start_cost(self, version: int) -> tuple[float, str]:
        costs = [host.ask(lambda driver: driver.start_cost(version)) for host in self.fleet.present]
        return max(costs, default=(0.0, ""))

    # Replicas

    def _host(self, replica: Replica) -> Host | None:
        """Returns the host of a replica; None if it was not started yet, or on a machine that is none of them."""
        return self.fleet.hosts.get(replica.host)

    def _there(self, replica: Replica) -> Host | None:
        """Returns the host of a replica if that answers."""
        host = self._host(replica)
        return host if host is not None and host.present else None

    def port(self, wanted: int, taken: Collection[int]) -> int:
        return PORT

    def start(self, spec: ReplicaSpec) -> StartedReplica:
        """Starts the replica where it was before, else on the host with the fewest: of its version, then of all, then
        the first of podium.yaml's. One that goes away meanwhile is left out."""
        while True:
            host = self._choose(spec, {})
            begun = self._start_at(host, spec)
            if begun is not None:
                return begun

    def start_all(self, specs: Sequence[ReplicaSpec], begun: Callable[[ReplicaSpec, StartedReplica], None]) -> None:
        """Chooses the host of each as `start` does. Hosts start theirs at once, and each of them one after the other:
        on one engine they would wait for each other, and for the same addresses."""
        chosen: dict[str, str] = {}
        lines: dict[str, list[tuple[ReplicaSpec, Callable[[], StartedReplica | None]]]] = {}
        left: list[ReplicaSpec] = []
        for spec in specs:
            host = self._choose(spec, chosen)
            chosen[spec.id] = host.name
            if _quietly(host, lambda driver, spec=spec: driver.is_known(spec)):
                lines.setdefault(host.name, []).append((spec, partial(self._start_at, host, spec)))
            else:
                left.append(spec)

        def ended(spec: ReplicaSpec, found: StartedReplica | None) -> None:
            if found is None:
                left.append(spec)
            else:
                begun(spec, found)

        in_lines(lines.values(), ended)
        for spec in left:  # their host went away, or their image has to be brought again
            begun(spec, self.start(spec))

    def _start_at(self, host: Host, spec: ReplicaSpec) -> StartedReplica | None:
        """Starts the replica on a host, and ends what is left of it on others; returns None if the host does not
        answer."""
        try:
            begun = host.ask(lambda driver: driver.start(replace(spec, address=split(spec.address)[1])))
        except HostAway as error:
            self.setting.say(f"{error.message}; starting {spec.id} elsewhere")
            return None
        for other in self.fleet.present:
            if other is not host:
                _quietly(other, lambda driver: driver.stop_lost(spec.marker))
        return replace(begun, address=joined(host.name, begun.address))

    def _choose(self, spec: ReplicaSpec, chosen: Mapping[str, str]) -> Host:
        """Returns the host for a replica; `chosen` are those, by replica, of others that are not started yet."""
        present = self.fleet.present
        if not present:
            raise Unreachable(f"no host of {self.environment.name} answers", hint="check that the machines are running")
        before = next((host for host in present if host.name == split(spec.address)[0]), None)
        if before is not None:
            return before
        rows = [row for row in self.setting.journal.replicas.of(self.environment.name) if row.id != spec.id]
        at = [(row.version, chosen.get(row.id, row.host)) for row in rows]
        same = Counter(name for version, name in at if version == spec.version)
        every = Counter(name for _, name in at)
        return min(present, key=lambda host: (same[host.name], every[host.name]))

    def enable_restart(self, replica: Replica) -> None:
        host = self._there(replica)
        if host is not None:
            _quietly(host, lambda driver: driver.enable_restart(replica))

    def stop(self, replica: Replica, *, grace: float) -> None:
        """Ends and removes the replica wherever it is. On a host that does not answer it is ended when that is back."""
        host = self._host(replica)
        for each in [host] if host is not None else self.fleet.present:
            _quietly(each, lambda driver: driver.stop(replica, grace=grace))

    @property
    def keeps(self) -> bool:
        return True

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        host = self._there(replica)
        return host is not None and bool(_quietly(host, lambda driver: driver.stop_keeping(replica, grace=grace)))

    def kept(self, replica: Replica) -> bool:
        host = self._there(replica)
        return host is not None and bool(_quietly(host, lambda driver: driver.kept(replica)))

    def alive(self, replica: Replica) -> bool:
        """Returns False, too, for a replica of which nothing is known: whoever asks looks at `absent` first."""
        host = self._there(replica)
        return host is not None and bool(_quietly(host, lambda driver: driver.alive(replica)))

    def is_restarting(self, replica: Replica) -> bool:
        host = self._there(replica)
        return host is not None and bool(_quietly(host, lambda driver: driver.is_restarting(replica)))

    def current_address(self, replica: Replica) -> str:
        host = self._there(replica)
        inside = replace(replica, address=replica.inside)
        found = _quietly(host, lambda driver: driver.current_address(inside)) if host is not None else None
        return joined(host.name, found) if host is not None and found else replica.address

    def stop_lost(self, marker: str) -> int:
        found = self.fleet.each(self.fleet.present, lambda host: host.driver.stop_lost(marker))
        return sum(number for _, number in found)

    def cut_off(self, replica: Replica) -> bool:
        host = self._there(replica)
        return host is not None and bool(_quietly(host, lambda driver: driver.cut_off(replica)))

    def connect(self, replica: Replica) -> None:
        host = self._there(replica)
        inside = replace(replica, address=replica.inside)
        if host is not None:
            host.ask(lambda driver: driver.connect(inside))

    def owned_names(self) -> OwnedNames:
        """Returns the names on every host, which are the same."""
        return next(iter(self.fleet.hosts.values())).driver.owned_names()

    def after_rollout(self) -> None:
        self._note_absent()

    def teardown(self) -> list[str]:
        found = self.fleet.each(self.fleet.present, lambda host: host.driver.place.clear())
        self._note_absent()
        return [f"{line} on {host.name}" for host, lines in found for line in lines]

    def _note_absent(self) -> None:
        """Notes the hosts that were lost during a change: what should have ended there is ended by whoever puts them
        right, which nobody would do if this process alone knew of it."""
        for line in self.fleet.note():
            self.setting.say(line)

    def captures(self) -> Path:
        """Brings the captured requests of every host that answers into one directory; files of one name are told apart
        by their hosts."""
        into = self.setting.directory / "captured"
        found = self.fleet.each(self.fleet.present, lambda host: host.driver.bring_captures())
        shutil.rmtree(into, ignore_errors=True)
        private(into)
        for host, directory in found:
            for path in sorted(directory.iterdir()):
                target = into / path.name
                if target.exists():
                    stem, dot, ending = path.name.partition(".")
                    target = into / f"{stem}-{safe(host.name)}{dot}{ending}"
                os.link(path, target)
        return into

    # What went wrong

    def failure_report(self, replica: Replica, log: Path) -> str:
        host = self._host(replica)
        if host is None:
            return ""
        absent = host.state.absent
        if absent is not None:
            return f"({host.name} does not answer: {absent.why})"
        return host.driver.failure_report(replica, log)

    def ending(self, replica: Replica, log: Path) -> str:
        host = self._there(replica)
        return host.driver.ending(replica, log) if host is not None else ""


def _quietly(host: Host, work: Callable[[DockerDriver], T]) -> T | None:
    """Returns what `work` returns, None if the host does not answer: then that is noted."""
    try:
        return host.ask(work)
    except HostAway:
        return None


def _has_image(driver: DockerDriver) -> bool:
    setting = driver.setting
    wanted = Labels(setting.project.name, setting.project.home, labels.IMAGE_ROLE).filters()
    return bool(store.find(driver.place.engine, wanted))
