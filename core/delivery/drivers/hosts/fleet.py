"""The hosts of an environment: what is known of each, and a driver for each. A host that does not answer is left out
until it answers again: nobody waits for it a second time, a thread asks it once a second."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Final, TypeVar

from ....containers.engine.address import Address, all_of
from ....containers.engine.client import TIMEOUT
from ....containers.engine.connections import LOOK_TIMEOUT, shared
from ....containers.engine.errors import EngineAway, NothingLeft
from ....containers.engine.several import all_at_once
from ....containers.observe.moments import moment
from ....errors import PodiumError
from ...host.paths import private, safe
from .. import AbsentHost, DriverContext, absent_key, noted_absent
from ..docker.driver import DockerDriver
from .relay import HostRelay

T = TypeVar("T")
_PROBE_INTERVAL = 1.0
# Rollouts go on without a host that does not answer, so nobody waits for it: not even for a connection that broke.
_PATIENCE = 0.0
# How long the first look of a process at a host that was away is waited for.
_FIRST_LOOK = 2.0
# How long a host answers again before a process that puts nothing right counts it as there.
_ALONE_SECONDS = 5.0
# How long nobody needs a host that was lost until it is asked no more: podium.yaml has it no longer.
_FORGET_SECONDS = 600.0
# How long it is believed what a host's clock says.
_CLOCK_SECONDS = 30.0


class HostAway(EngineAway):
    """A host does not answer, and that is noted: it is left out. What this machine lacks itself is no such error."""


class HostState:
    """What this process knows of a host, for all its threads."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._absent: AbsentHost | None = None
        self._answers = threading.Event()
        self._looked = threading.Event()
        self._asking = False
        self._needed = time.monotonic()
        self.answers_since = 0.0
        """When it answered again (monotonic)."""
        self.answered = 0.0
        """When it was last found to be as it should be (seconds since the epoch)."""
        self.noted = False
        """Whether it stands in the journal as away; whoever takes it out there has put it right."""
        self.equipped = False
        """Whether it is known to have an image of the project."""
        self.unequipped: tuple[str, float] | None = None
        """Why it could not be given one the last time, and when that was (monotonic)."""
        self._complaint = ""
        self.renewed = 0.0
        """When its leases were renewed last (monotonic)."""
        self.clock: tuple[float, float] | None = None
        """How far its clock is ahead of this machine's, and when that was asked (monotonic)."""
        self.kept = 0.0
        """When its file of the lease was written last (monotonic)."""

    @property
    def absent(self) -> AbsentHost | None:
        return self._absent

    @property
    def answers(self) -> bool:
        """Tells whether it was away and answers again: it has to be put right."""
        return self._absent is not None and self._answers.is_set()

    @property
    def answers_alone(self) -> bool:
        """Tells whether it has answered again for longer than a process that puts it right would need."""
        return self.answers and time.monotonic() - self.answers_since > _ALONE_SECONDS

    def lost(self, why: str, since: float | None = None) -> None:
        """Notes that it does not answer, and begins to ask it."""
        with self._lock:
            if self._absent is None or self._answers.is_set():
                self._absent = self._absent or AbsentHost(why, time.time() if since is None else since)
                self._answers.clear()
                self._looked.clear()
            self._ask()

    def needed(self) -> None:
        """Notes that somebody has to do with it now: while it is lost, it is asked only as long as that is so."""
        with self._lock:
            self._needed = time.monotonic()
            if self._absent is not None and not self._answers.is_set():
                self._ask()

    def _ask(self) -> None:
        """Has a thread ask it, unless one does; the caller holds the lock."""
        if self._asking:
            return
        with suppress(RuntimeError):  # no thread can be had: whoever needs it next tries again
            threading.Thread(target=self._probe, name=f"host {self._address}", daemon=True).start()
            self._asking = True

    def settled(self) -> None:
        """Notes that it is as it should be."""
        with self._lock:
            self._absent = None
            self._complaint = ""
            self.answered = time.time()
            self.noted = False
            self._answers.clear()

    def complains(self, words: str) -> bool:
        """Tells whether this was not said of it since it was last as it should be."""
        before, self._complaint = self._complaint, words
        return before != words

    def look(self, seconds: float) -> None:
        """Waits until it was asked once since it was lost."""
        self._looked.wait(seconds)

    def _probe(self) -> None:
        while self._asked_on():
            try:
                engine = shared(self._address, timeout=LOOK_TIMEOUT)
                with engine.doing("asking the host"):
                    engine.api.ping()
            except (PodiumError, OSError, RuntimeError):  # also what this machine lacks for the moment
                self._looked.set()
                time.sleep(_PROBE_INTERVAL)
            else:
                with self._lock:
                    self.answers_since = time.monotonic()
                    self._answers.set()
                    self._asking = False
                self._looked.set()

    def _asked_on(self) -> bool:
        with self._lock:
            self._asking = self._asking and time.monotonic() - self._needed < _FORGET_SECONDS
            return self._asking


class HostStates:
    """The hosts that this process knows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[tuple[str, str, str], HostState] = {}

    def get(self, home: str, environment: str, address: Address) -> HostState:
        with self._lock:
            found = self._states.setdefault((home, environment, str(address)), HostState(address))
        found.needed()
        return found


_states: Final = HostStates()


class Host:
    """One host: its driver, and what is known of it."""

    def __init__(self, name: str, address: Address, setting: DriverContext) -> None:
        self.name = name
        self.address = address
        self.state = _states.get(str(setting.project.home), setting.environment.name, address)
        self._setting = setting

    @cached_property
    def driver(self) -> DockerDriver:
        directory = private(self._setting.directory / "hosts" / safe(self.name))

        def say(text: str) -> None:
            self._setting.say(f"{self.name}: {text}")

        return DockerDriver(replace(self._setting, directory=directory, patience=_PATIENCE, say=say), self.address)

    @cached_property
    def transport(self) -> HostRelay:
        return HostRelay(self.driver.place)

    @property
    def present(self) -> bool:
        return self.state.absent is None

    def now(self) -> float:
        """Returns the time by its clock, in seconds since the epoch."""
        known = self.state.clock
        if known is None or time.monotonic() - known[1] > _CLOCK_SECONDS:
            told = moment(self.driver.place.engine.info().get("SystemTime")) or time.time()
            known = self.state.clock = (told - time.time(), time.monotonic())
        return time.time() + known[0]

    def ask(self, work: Callable[[DockerDriver], T]) -> T:
        """Returns what `work` returns. Raises HostAway if the host does not answer, and at once if it is known that it
        does not."""
        absent = self.state.absent
        if absent is not None:
            raise HostAway(f"{self.name} does not answer: {absent.why}", hint="check that the machine is running")
        began = time.monotonic()
        try:
            return work(self.driver)
        except NothingLeft:
            raise
        except EngineAway as error:
            # It is silent since it was asked, not since nobody waited any longer: that may be a whole time-out later.
            self.state.lost(error.message, time.time() - min(time.monotonic() - began, TIMEOUT))
            raise HostAway(error.message, hint=error.hint) from error


class Fleet:
    """All hosts of an environment."""

    def __init__(self, setting: DriverContext) -> None:
        self._setting = setting
        found = all_of(setting.project, setting.environment)
        self.hosts = {name: Host(name, address, setting) for name, address in found.items()}
        self._read(noted_absent(setting.journal, setting.environment.name))

    def _read(self, away: Mapping[str, AbsentHost]) -> None:
        """Takes over what other processes know. A host that is noted no more was put right by one of them; one that was
        never noted, and answers again, by nobody: it was away for this process alone, as for one that only looks."""
        for name, host in self.hosts.items():
            state, absent = host.state, away.get(name)
            if absent is not None and host.present and not _seen_since(host, absent):
                state.lost(absent.why, absent.since)
            if absent is not None and not host.present:
                state.noted = True
            elif not host.present and (state.noted or state.answers_alone):
                state.settled()

    def relay(self, name: str) -> HostRelay:
        """Returns the way to a host. Raises OSError if there is none of that name, or it does not answer."""
        host = self.hosts.get(name)
        if host is None:
            raise OSError(f"{name or 'nothing'} is none of the environment's hosts")
        if not host.present:
            raise OSError(f"{name} does not answer")
        return host.transport

    @property
    def present(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.present]

    @property
    def absent(self) -> dict[str, AbsentHost]:
        return {name: absent for name, host in self.hosts.items() if (absent := host.state.absent) is not None}

    def answering(self) -> list[Host]:
        """Returns the hosts that were away and answer again."""
        for host in self.hosts.values():
            if not host.present:
                host.state.look(_FIRST_LOOK)
        return [host for host in self.hosts.values() if host.state.answers]

    def each(self, hosts: Iterable[Host], work: Callable[[Host], T]) -> list[tuple[Host, T]]:
        """Does the work for all hosts at once; returns what it returned for those that answer. Raises the first other
        error when all have ended, and HostAway if none of them answers."""
        asked = list(hosts)
        outcomes = all_at_once([lambda host=host: host.ask(lambda _: work(host)) for host in asked])
        done = [(host, found) for host, (found, error) in zip(asked, outcomes, strict=True) if error is None]
        errors = [error for _, error in outcomes if error is not None]
        for error in errors:
            if not isinstance(error, HostAway):
                raise error
        if errors and not done:
            raise errors[0]
        return done  # pyright: ignore[reportReturnType]

    def note(self) -> list[str]:
        """Keeps in the journal which hosts are away; returns what has changed, in words."""
        journal, name = self._setting.journal, self._setting.environment.name
        before, now = noted_absent(journal, name), self.absent
        if before.keys() == now.keys():
            return []
        value = {each: [absent.why, absent.since] for each, absent in now.items()}
        journal.values.set(absent_key(name), json.dumps(value) if value else None)
        for each in now:
            self.hosts[each].state.noted = True
        return [f"{name}: {each} does not answer: {now[each].why}" for each in now if each not in before]


def _seen_since(host: Host, absent: AbsentHost) -> bool:
    """Tells whether this process has had an answer after the host was noted as away: it is the one that notes."""
    return host.state.answered > absent.since
