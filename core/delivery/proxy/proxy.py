"""The proxy of an environment: started, changed without losing a request, measured and stopped. It consists of
instances of HAProxy that listen on the same port together, so that the death of one costs no more than the requests
in its hands. Their configuration files always contain the present weights, so that a restarted instance continues
where it was. A ProxyHost (placement.py, drivers/docker/proxy.py) runs an instance, and a Transport (transport.py)
reaches it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Protocol, TypeVar

from ...errors import Unreachable
from ...telemetry.windows import Counts
from ..host import ports
from ..host.paths import INSTANCES
from .front import ENTRY, Front, file_names, own_socket
from .haproxy import (
    BackendServer,
    ProxyLayout,
    RuntimeApi,
    ServerStat,
    fixed_part,
    listens_at,
    render,
    servers_of,
    with_weights,
)
from .mesh import MAP, slot_of
from .placement import ProcessProxyHost, ProxyHost
from .transport import DirectTransport, Transport

__all__ = ["BackendServer", "Instance", "Proxy", "ProxyLayout", "ServerStat", "of_process"]

_START_TIMEOUT = 10.0
T = TypeVar("T")


class Patiently(Protocol):
    def __call__(self, work: Callable[[], T]) -> T: ...


def at_once(work: Callable[[], T]) -> T:
    return work()


class Instance:
    """One HAProxy. Methods that change something raise Unreachable if it, or the engine that it runs on, does not
    answer."""

    def __init__(
        self, number: int, placement: ProxyHost, transport: Transport, *, host: str = "", key: int | None = None
    ) -> None:
        """Creates the instance's client; `number` counts from 1, on each host. `key` tells the instances of several
        hosts apart."""
        self.number = number
        self.host = host
        self.key = number if key is None else key
        self.placement = placement
        self.runtime = RuntimeApi(partial(transport.ask, placement.socket))

    def alive(self) -> bool:
        return self.placement.alive()

    def fits(self, layout: ProxyLayout) -> bool:
        """Tells whether it runs and listens where it should; every other difference can be changed through its
        socket."""
        return self.alive() and fixed_part(self._render(layout)) == fixed_part(self.placement.config())

    @property
    def words(self) -> str:
        """Returns what a person calls it."""
        return f"instance {self.number} of the proxy" + (f" on {self.host}" if self.host else "")

    def _render(self, layout: ProxyLayout) -> str:
        return render(layout.seen_from(self.host), self.placement.socket, self.number)

    def stats(self) -> list[ServerStat]:
        """Returns the lines of `show stat`, with every server by its replica's slot; empty if it is not running or
        does not answer within 1 s."""
        try:
            found = self.runtime.stats() if self.placement.alive() else []
        except Unreachable:
            return []
        return _by_slot(found) if self.host else found

    def drifted(self, layout: ProxyLayout, known: Sequence[ServerStat] | None = None) -> bool:
        """Tells whether it has other servers or weights than those of the layout; no if it does not answer. `known` is
        what `stats` has just returned; on several hosts it does not say enough."""
        wanted = {server.slot: (server.weight, server.shown) for server in layout.seen_from(self.host).servers}
        try:
            if known is None or self.host:
                known = self.runtime.stats() if self.placement.alive() else []
        except Unreachable:
            return False
        servers = [stat for stat in known if stat.kind == "server" and not stat.status.startswith("MAINT")]
        return bool(servers) and {stat.name: (stat.weight, stat.address) for stat in servers} != wanted

    def behind(self, layout: ProxyLayout) -> bool:
        """Tells whether it gives traffic to a replica from which the layout takes it. Raises Unreachable if it does not
        answer."""
        wanted = {server.slot: server.weight for server in layout.seen_from(self.host).servers}
        return any(
            stat.weight and not wanted.get(stat.name)
            for stat in self.runtime.stats()
            if stat.kind == "server" and not stat.status.startswith("MAINT")
        )

    def _names(self, slot: str) -> list[str]:
        """Returns the names of a replica's servers: on several hosts, wherever it was started."""
        if not self.host:
            return [slot]
        return [stat.name for stat in self.runtime.stats() if stat.kind == "server" and slot_of(stat.name) == slot]

    def fell(self, slot: str) -> None:
        for name in self._names(slot):
            self.runtime.fell(name)

    def remove(self, slot: str) -> None:
        for name in self._names(slot):
            self.runtime.remove(name)

    def mute(self) -> bool:
        """Tells whether it runs, takes a question and does not answer it within 1 s: its process is stopped, or hangs.
        One that cannot be asked is not."""
        try:
            return self.placement.alive() and not self._process()
        except Unreachable as error:
            return isinstance(error.__cause__, TimeoutError)

    def ensure(self, layout: ProxyLayout) -> bool:
        """Brings the instance to `layout`: through its socket if it runs, with a new process if it is not running or
        the address changed. Returns True if a process was started."""
        text = self._render(layout)
        if not self.placement.alive():
            self.placement.put(self._files(layout))
            self.placement.write(text)
            self.placement.start()
            self._wait_for_another("")
            return True
        config = self.placement.config()
        if fixed_part(text) != fixed_part(config) or _to_or_from_socket(layout, config):
            self.placement.put(self._files(layout))
            self.placement.write(text)
            try:
                self.reload()
            except BaseException:
                self.placement.write(config)  # the file still describes what runs, so that the next call tries again
                raise
            return True
        self._change(layout)
        self.secure(layout.front)
        if config != text:
            self.placement.write(text)
        return False

    def _files(self, layout: ProxyLayout) -> dict[str, str]:
        """Returns the files that the configuration names."""
        files = layout.front.files(self.number)
        mesh = layout.seen_from(self.host).mesh
        return files if mesh is None else {**files, **mesh.files, **mesh.map_file(layout.servers)}

    def _change(self, layout: ProxyLayout) -> None:
        """Brings servers and weights of the running process to the layout. What other hosts may ask for is known before
        they are told of it."""
        mesh = layout.seen_from(self.host).mesh
        if mesh is not None:
            files = mesh.map_file(layout.servers)
            if any(self.placement.file(name) != text for name, text in files.items()):
                self.runtime.set_map(MAP, mesh.map(layout.servers))
                self.placement.put(files)
        change(self.runtime, layout.seen_from(self.host))

    def secured(self, front: Front) -> bool:
        """Tells whether the running process has this certificate and these tokens, as far as its configuration asks for
        any. Raises Unreachable if it does not answer."""
        certificate, _, tokens = file_names(self.number)
        if front.certificate and self.names(certificate) and not self._shows(certificate, front):
            return False
        return not self.asks(front) or self.runtime.map(tokens) == front.tokens

    def names(self, file: str) -> bool:
        """Tells whether the configuration names a file: another one may be wanted by now."""
        return re.search(rf"[ (]{re.escape(file)}[ )]", self.placement.config()) is not None

    def asks(self, front: Front) -> bool:
        """Tells whether clients need tokens, as it is wanted and as it is configured."""
        return front.knows_tokens and self.names(file_names(self.number)[2])

    def _shows(self, file: str, front: Front) -> bool:
        """Tells whether the process shows the certificate: the same one, with the same intermediates."""
        return self.placement.file(file) == front.certificate and self.runtime.certificate(file) == front.fingerprint

    def secure(self, front: Front) -> None:
        """Gives the running process this certificate and these tokens; no connection is closed. Raises Unreachable if
        it does not take them, and keeps the old ones."""
        certificate, _, tokens = file_names(self.number)
        if self.asks(front):
            self.runtime.set_map(tokens, front.tokens)
        if front.certificate and self.names(certificate) and not self._shows(certificate, front):
            self.runtime.set_certificate(certificate, front.certificate)
        files = {name: text for name, text in front.files(self.number).items() if self.placement.file(name) != text}
        if files:
            self.placement.put(files)

    def reload(self) -> None:
        """Starts a new process with the present configuration file; the old one ends with its last connection."""
        before = ""
        with contextlib.suppress(Unreachable):
            before = self._process()
        self.placement.reload()
        self._wait_for_another(before)

    def set_weights(self, layout: ProxyLayout) -> None:
        """Sets the weights in the running process and the configuration file; for an instance that is not running,
        in the file only."""
        weights = {server.slot: server.weight for server in layout.seen_from(self.host).servers}
        try:
            self.runtime.set_weights(weights)
        except Unreachable:
            if self.placement.alive():
                raise
        text, config = self._render(layout), self.placement.config()
        moved = bool(config) and fixed_part(text) != fixed_part(config) and self.placement.alive()
        self.placement.write(with_weights(config, weights) if moved else text)

    def _process(self) -> str:
        """Returns the pid of the process that answers, as it reports it."""
        return next((line for line in self.runtime.ask("show info").splitlines() if line.startswith("Pid:")), "")

    def _wait_for_another(self, before: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        trouble = ""
        while True:
            try:
                if self._process() not in ("", before):
                    return
                trouble = "the old process still answers"
            except Unreachable as error:
                trouble = error.message
            if not self.placement.alive() or time.monotonic() > deadline:
                raise Unreachable(f"the proxy did not restart: {trouble}", hint=self.placement.look())
            time.sleep(0.005)


class Proxy:
    """All instances of one environment's proxy. Every method is applied to each of them; one that does not answer
    does not keep the others from it."""

    def __init__(self, instances: Sequence[Instance], *, patiently: Patiently = at_once) -> None:
        """Takes the instances. `patiently` retries work that may be done twice while the proxy's engine is away."""
        self._instances = tuple(instances)
        self._patiently = patiently

    @property
    def instances(self) -> tuple[Instance, ...]:
        return self._instances

    # Looking

    def alive(self) -> bool:
        """Tells whether any instance listens."""
        return bool(self._patiently(self._living))

    def whole(self) -> bool:
        """Tells whether all instances run."""
        living = self._patiently(self._living)
        return len(living) == len(self.instances)

    def fits(self, layout: ProxyLayout) -> bool:
        """Tells whether all instances run and listen where they should."""
        return self._patiently(lambda: all(fits for _, fits in self._ask(lambda each: each.fits(layout))))

    def readings(self) -> dict[int, list[ServerStat]]:
        """Returns, by the key of each instance that answers, the figures of every server and of frontend and
        backend."""
        return {each.key: found for each, found in self._patiently(lambda: self._ask(Instance.stats)) if found}

    def stats(self) -> list[ServerStat]:
        """Returns the figures of all instances together; empty if none answers. A server is up if all instances find
        it up."""
        return together(self.readings())

    def totals(self) -> dict[int, Counts]:
        """Returns, by the number of each instance that answers, its requests and how many of them were answered with
        5xx, by itself or by a replica."""
        return {
            number: Counts(stat.requests, stat.errors_5xx)
            for number, stats in self.readings().items()
            for stat in stats
            if stat.kind == "frontend" and stat.name == ENTRY
        }

    def counts(self) -> dict[tuple[int, str], Counts]:
        """Returns, by instance number and server, the requests that the server got, those that failed (answered with
        5xx, or cut off) and those that it refused with 4xx."""
        return {
            (number, stat.name): Counts(stat.requests, stat.errors_5xx + stat.failures, stat.errors_4xx)
            for number, stats in self.readings().items()
            for stat in stats
            if stat.kind == "server"
        }

    def drifted(self, layout: ProxyLayout, readings: Mapping[int, Sequence[ServerStat]] | None = None) -> bool:
        """Tells whether any instance that answers has other servers or weights than those of the layout: by what
        `readings` has just returned, or by asking each."""

        def look(each: Instance) -> bool:
            return each.drifted(layout, None if readings is None else readings.get(each.key, ()))

        return self._patiently(lambda: any(drifted for _, drifted in self._ask(look)))

    def behind(self, layout: ProxyLayout) -> bool:
        """Tells whether any instance that answers gives traffic to a replica from which the layout takes it."""
        return self._patiently(lambda: any(behind for _, behind in self._ask(lambda each: _behind(each, layout))))

    def secured(self, front: Front) -> bool:
        """Tells whether every instance that answers has this certificate and these tokens."""
        return self._patiently(
            lambda: all(secured for _, secured in self._ask(lambda each: _secured(each, front), self._living()))
        )

    def secure(self, front: Front) -> None:
        """Gives them to every instance that runs."""
        self._patiently(lambda: self._each(lambda instance: instance.secure(front), self._living()))

    def asks(self, front: Front) -> bool:
        """Tells whether every instance runs and asks clients for tokens."""
        return self.whole() and all(asks for _, asks in self._ask(lambda each: each.asks(front)))

    def own_sockets(self) -> list[PurePath]:
        """Returns the sockets for requests of Podium's own, of each instance that runs."""
        return [own_socket(each.placement.socket) for each in self._patiently(self._living)]

    def look(self) -> str:
        """Returns where the proxy's output can be read, for a hint."""
        return self.instances[0].placement.look()

    def require(self, bind: str, port: int) -> None:
        """Raises UsageError if no instance listens there and the proxy could not, and names the process that uses the
        port if that can be found out."""
        if not any(listens_at(each.placement.config(), bind, port) for each in self._living()):
            self.instances[0].placement.require(bind, port)

    # Changing

    def ensure(self, layout: ProxyLayout) -> bool:
        """Brings all instances to `layout`; returns True if a process was started.

        Raises UsageError if the port is in use (naming the process), MissingExtra without HAProxy, Unreachable if an
        instance does not answer.
        """
        return self._patiently(lambda: self._ensure(layout))

    def _ensure(self, layout: ProxyLayout) -> bool:
        if (
            all(listens_at(each.placement.config(), layout.bind, layout.port) for each in self._living())
            and self.whole()
        ):
            return any(self._each(lambda instance: instance.ensure(layout)))
        # Somebody else's proxy may be about to take the port: the kernel would let both have it.
        with ports.claimed(layout.port):
            self.require(layout.bind, layout.port)
            return any(self._each(lambda instance: instance.ensure(layout)))

    def set_weights(self, layout: ProxyLayout) -> None:
        """Sets only the weights, which is the fastest change."""
        self._patiently(lambda: self._each(lambda instance: instance.set_weights(layout)))

    def fell(self, slot: str) -> None:
        """Marks the server as down while its replica restarts: it gets no requests until it has passed a health
        check. Does nothing if no instance listens."""
        self._each(lambda instance: instance.fell(slot), self._patiently(self._living))

    def remove(self, slot: str) -> None:
        """Takes the server out of service immediately and deletes it as soon as its last connection is closed (a
        later call tries again). Does nothing if no instance listens."""
        self._each(lambda instance: instance.remove(slot), self._patiently(self._living))

    def reload(self) -> None:
        """Replaces the processes one after the other."""
        self._each(Instance.reload)

    def stop(self) -> bool:
        """Ends the proxy immediately, because the caller has drained the environment or does not need to; returns
        True if it was running."""
        return any(stopped for _, stopped in self._patiently(lambda: self._ask(lambda each: each.placement.stop())))

    def _living(self) -> list[Instance]:
        return [each for each, alive in self._ask(Instance.alive) if alive]

    def _ask(
        self, work: Callable[[Instance], T], instances: Sequence[Instance] | None = None
    ) -> list[tuple[Instance, T]]:
        """Returns what `work` returns for each instance."""
        return [(each, work(each)) for each in (self.instances if instances is None else instances)]

    def _each(self, work: Callable[[Instance], T], instances: Sequence[Instance] | None = None) -> list[T]:
        """Applies `work` to all instances, even if one fails; raises the first failure at the end."""
        done: list[T] = []
        failed: Unreachable | None = None
        for each in self.instances if instances is None else instances:
            try:
                done.append(work(each))
            except Unreachable as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return done


def _behind(instance: Instance, layout: ProxyLayout) -> bool:
    try:
        return instance.alive() and instance.behind(layout)
    except Unreachable:
        return False  # one that hangs is ended elsewhere


def _secured(instance: Instance, front: Front) -> bool:
    try:
        return instance.secured(front)
    except Unreachable:
        return True  # its absence is found elsewhere


def together(readings: Mapping[int, Sequence[ServerStat]]) -> list[ServerStat]:
    """Returns the figures of several instances as those of one."""
    found: dict[tuple[str, str], ServerStat] = {}
    for reading in readings.values():
        for stat in reading:
            key = (stat.kind, stat.name)
            found[key] = _together(found[key], stat) if key in found else stat
    return list(found.values())


def _together(one: ServerStat, other: ServerStat) -> ServerStat:
    worse = one if not one.up else other
    return replace(
        worse,
        checked=one.checked and other.checked,
        requests=one.requests + other.requests,
        errors_4xx=one.errors_4xx + other.errors_4xx,
        errors_5xx=one.errors_5xx + other.errors_5xx,
        failures=one.failures + other.failures,
        queue=one.queue + other.queue,
        sessions=one.sessions + other.sessions,
    )


def _by_slot(stats: Sequence[ServerStat]) -> list[ServerStat]:
    """Returns the figures with each server by its replica's slot. One that was started elsewhere has its old server
    beside the new one while the last connections of that end."""
    found: dict[tuple[str, str], ServerStat] = {}
    for stat in stats:
        key = (stat.kind, slot_of(stat.name))
        if key not in found or not stat.status.startswith("MAINT"):
            # Where it is said to be means something on its own host only.
            found[key] = replace(stat, name=key[1], address="") if stat.kind == "server" else stat
    return list(found.values())


def _to_or_from_socket(layout: ProxyLayout, config: str) -> bool:
    """Tells whether a server has another Unix socket than before, or one for the first time: the runtime API can only
    move a server from one address of a network to another."""
    before = servers_of(config)
    moved = [(server.at, before[server.slot]) for server in layout.servers if server.slot in before]
    return any(now != then and "unix@" in now + then for now, then in moved)


def change(control: RuntimeApi, layout: ProxyLayout) -> None:
    """Adds, moves, re-weights and removes servers through the socket: no process is replaced, no connection is
    closed."""
    now = {stat.name: stat for stat in control.stats() if stat.kind == "server"}
    wanted = {server.slot: server for server in layout.servers}
    for server in layout.servers:
        present = now.get(server.slot)
        if present is None:
            control.add(server)
        elif present.address != server.shown or present.status.startswith("MAINT"):
            control.move(server)
    control.set_weights({slot: server.weight for slot, server in wanted.items()})
    for slot in now.keys() - wanted.keys():
        control.remove(slot)


def of_process(directory: Path, environment: str = "") -> Proxy:
    """Returns the proxy whose instances are processes of this machine, found by the environment's directory alone."""
    return Proxy(
        [Instance(number, ProcessProxyHost(directory, environment, number), DirectTransport()) for number in INSTANCES]
    )
