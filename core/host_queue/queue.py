"""The queue: who has what of this machine, and who is next.

There is no server. Each worker has a file in a directory that all of them know, with what its steps have and wait for,
and a kernel lock on it for as long as it lives: when it ends in whatever way, what it had is free at once. Whoever
wants something holds the directory's own lock while looking at all files and writing into its own.

The oldest comes first. One that does not fit keeps what it asks for reserved, so that none that is younger takes it
away from under it; who asks for nothing of that may pass.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ..domain.finite import finite, time_of
from ..domain.frozen import Frozen
from ..domain.machines.cluster import whose
from ..errors import UNREADABLE
from ..identity.account import account, expanded
from ..identity.machine import here
from .gpus import gpus
from .resources import Capacity, Free, Wanted, capacity, cpus_of_process, gpu_words

# A directory, or `off`.
SWITCH = "PODIUM_QUEUE"
# In the environment of a step: the claim that it runs under, and with it whatever it starts.
CLAIM = "PODIUM_CLAIM"
SYSTEM = Path("/var/lib/podium/queue")
# A worker that waits looks several times a second. One that has not for so long is stopped: it is passed.
_STOPPED_AFTER = 30.0
_MAX_NAMED = 3


class Owner(Frozen):
    """The run that a claim is for."""

    project: str
    run: int
    user: str = ""
    pid: int = 0
    boot: str = ""


class Claim(Frozen):
    """What one step has, or waits for."""

    owner: Owner
    step: str
    place: int
    """Its place in the order of all: the smaller, the older."""
    wanted: Wanted
    running: bool
    given: tuple[str, ...] = ()
    """The numbers of its GPUs."""
    since: float = 0.0
    """When it began to wait, or to run (seconds since the epoch)."""
    stopped: bool = False
    """It waits, but nobody looks after it."""

    @property
    def words(self) -> str:
        return whose(self.owner.project, self.owner.run, self.step)


class Given(Frozen):
    """What was admitted: the claim's name for what the step starts, and its GPUs."""

    claim: str
    gpus: tuple[str, ...] = ()


def directory() -> Path | None:
    """Returns where the queue of this machine is: of all its users where `/var/lib/podium/queue` is there for them,
    else of this user. None if it is switched off."""
    said = os.environ.get(SWITCH, "")
    if said == "off":
        return None
    if said:
        return Path(said)
    if os.access(SYSTEM, os.W_OK | os.X_OK):
        return SYSTEM
    state = os.environ.get("XDG_STATE_HOME") or str(expanded("~/.local/state"))
    if state.startswith("~"):
        return None  # an account without a home directory
    machine = here()
    # A home may be that of several machines.
    return Path(state) / "podium" / "queue" / hashlib.sha256((machine.id or machine.host).encode()).hexdigest()[:16]


def cpus_here() -> float:
    """Returns how many CPUs of this machine steps may have, by its queue."""
    place = directory()
    return capacity(place).cpus if place is not None else float(cpus_of_process())


class HostQueue:
    """One worker's hold of the queue. What it cannot be kept in (a read-only home) admits everything."""

    def __init__(self, place: Path | None, project: str, run: int) -> None:
        self._place = place
        machine = here()
        self._owner = Owner(project, run, account(), os.getpid(), machine.boot)
        name = f"{os.getuid()}-{machine.boot[:8]}-{machine.namespace.strip('pid:[]')}-{os.getpid()}.json"
        self._file = place / name if place is not None else None
        self._descriptor = -1
        self._mine: dict[str, Claim] = {}
        self._capacity: dict[bool, Capacity] = {}

    def cpus(self) -> float:
        """Returns how many CPUs steps may have here at all."""
        return self._there(Wanted()).cpus if self._place is not None else float(cpus_of_process())

    def impossible(self, wanted: Wanted) -> str:
        """Returns why this can never be had here; empty if it can."""
        if self._place is None:
            return ""
        parent = self._parent(claims_in(self._place, without=self._file))
        if parent is not None and wanted.gpus > len(parent.given):
            return f"it asks for {gpu_words(wanted.gpus)}, and {parent.words}, which started this run, has fewer"
        return self._there(wanted).impossible(wanted)

    def take(self, step: str, wanted: Wanted) -> Given | str:
        """Returns what was given; words for what it waits for if nothing was, to be called again in a moment."""
        if self._place is None or self._file is None:
            return Given("")
        there = self._there(wanted)
        try:
            with self._alone():
                others = claims_in(self._place, without=self._file, tidy=True)
                parent = self._parent(others)
                return self._decide(step, wanted, there, others) if parent is None else _within(parent, wanted)
        except OSError:
            return Given("")

    def release(self, step: str) -> None:
        """Gives back what the step has, or no longer waits for."""
        if self._mine.pop(step, None) is not None:
            with suppress(OSError), self._alone():
                self._write()

    def close(self) -> None:
        """Gives back everything."""
        self._mine.clear()
        if self._descriptor >= 0:
            with suppress(OSError):
                assert self._file is not None
                self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def _there(self, wanted: Wanted) -> Capacity:
        assert self._place is not None
        some = wanted.gpus > 0
        if some not in self._capacity:
            self._capacity[some] = capacity(self._place, gpus() if some else ())
        return self._capacity[some]

    def _parent(self, others: Sequence[Claim]) -> Claim | None:
        """Returns the claim of the step that has started this run, while it runs."""
        name = os.environ.get(CLAIM, "")
        return next((each for each in others if name and each.running and _name(each) == name), None)

    def _decide(self, step: str, wanted: Wanted, there: Capacity, others: Sequence[Claim]) -> Given | str:
        own = self._mine.get(step)
        if own is not None and own.running:
            return Given(_name(own), own.given)
        everyone = [*others, *self._mine.values()]
        if own is None:
            place = 1 + max((each.place for each in everyone), default=0)
            own = Claim(self._owner, step, place, wanted, running=False, since=time.time())
            everyone.append(own)
        now = standing(own, there, everyone)
        if not now.lacking:
            gpus = (*wanted.named, *now.gpus[: wanted.gpus])
            own = replace(own, running=True, given=gpus, since=time.time())
        self._mine[step] = own
        self._write()
        if own.running:
            return Given(_name(own), own.given)
        return now.words(wanted, everyone)

    # The files

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Holds the directory, which takes a millisecond."""
        assert self._place is not None
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self) -> None:
        if self._descriptor < 0:
            assert self._file is not None
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        data = json.dumps([_document(each) for each in self._mine.values()]).encode()
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))
        os.utime(self._descriptor)


def claims_in(place: Path, without: Path | None = None, *, tidy: bool = False) -> list[Claim]:
    """Returns the claims of living workers. With `tidy` files of those that have ended are removed, which only who
    holds the directory may do: a file that has no lock may be one that a worker is just making."""
    found: list[Claim] = []
    paths: list[Path] = []
    with suppress(OSError):  # one that this account may not even look for
        paths = list(place.glob("*-*.json"))
    for path in paths:
        if path == without:
            continue
        with suppress(FileNotFoundError, PermissionError), path.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                stopped = time.time() - os.fstat(opened.fileno()).st_mtime > _STOPPED_AFTER
                found += _read(opened.read(), stopped=stopped)
            else:
                if tidy:
                    with suppress(OSError):  # that of another user is left to them
                        path.unlink()
    return found


def _read(data: bytes, *, stopped: bool) -> list[Claim]:
    try:
        documents = cast("list[dict[str, Any]]", json.loads(data or b"[]"))
        return [_claim(each, stopped=stopped) for each in documents]
    except UNREADABLE:
        return []


def _document(claim: Claim) -> dict[str, Any]:
    return {
        "owner": [claim.owner.project, claim.owner.run, claim.owner.user, claim.owner.pid, claim.owner.boot],
        "step": claim.step,
        "place": claim.place,
        "wanted": [claim.wanted.cpus, claim.wanted.memory, claim.wanted.gpus, claim.wanted.named],
        "running": claim.running,
        "given": claim.given,
        "since": claim.since,
    }


def _claim(found: dict[str, Any], *, stopped: bool) -> Claim:
    project, run, user, pid, boot = found["owner"]
    cpus, memory, number, named = found["wanted"]
    figures = [finite(each) for each in (cpus, memory, number)]
    if time_of(found["since"]) is None or any(each is None or each < 0 for each in figures):
        raise ValueError("a claim of less than nothing, or since never")
    running = bool(found["running"])
    return Claim(
        Owner(str(project), int(run), str(user), int(pid), str(boot)),
        str(found["step"]),
        int(found["place"]),
        Wanted(float(cpus), int(memory), int(number), tuple(map(str, named))),
        running,
        tuple(map(str, found["given"])),
        float(found["since"]),
        stopped and not running,
    )


# -- Who is next


class Standing(Frozen):
    """How a claim stands among all: what keeps it waiting."""

    free: Free
    """What nobody has."""
    older: tuple[Claim, ...]
    """Those that come before it."""
    lacking: tuple[str, ...]
    """The fields of what it wants of which there is not enough; empty for one that can be admitted."""
    gpus: tuple[str, ...]
    """The numbers of GPUs that it may have."""

    def words(self, wanted: Wanted, everyone: Sequence[Claim]) -> str:
        """Returns what it waits for, and for whom."""
        return _waiting_words(self.lacking, self.free, wanted, [each for each in everyone if each.running], self.older)


def standing(own: Claim, there: Capacity, everyone: Sequence[Claim]) -> Standing:
    """Returns how one of the claims stands that waits."""
    wanted = own.wanted
    free = _free(there, everyone)
    older = sorted((each for each in everyone if _waits(each) and each.place < own.place), key=_place)
    # GPUs are not looked for where none are wanted: who waits for some would seem to wait for ever.
    unseen = {"gpus"} if not wanted.gpus else set[str]()
    older = [each for each in older if unseen.issuperset(there.free.lacking(each.wanted))]
    left = free
    for each in older:
        left = left.less(each.wanted)
    lacking = left.lacking(wanted)
    taken = {number for each in everyone if each.running for number in each.given}
    kept = {number for each in older for number in each.wanted.named}
    if not (taken | kept).isdisjoint(wanted.named):
        lacking.append("named")
    open_ = tuple(number for number in there.gpus if number not in {*taken, *kept, *wanted.named})
    if wanted.gpus and wanted.gpus > len(open_) - sum(each.wanted.gpus for each in older) and "gpus" not in lacking:
        lacking.append("gpus")
    return Standing(free, tuple(older), tuple(lacking), open_)


def _place(claim: Claim) -> int:
    return claim.place


def _name(claim: Claim) -> str:
    return f"{claim.owner.boot[:8]}-{claim.owner.pid}-{claim.place}"


def _waits(claim: Claim) -> bool:
    return not claim.running and not claim.stopped


def _free(there: Capacity, everyone: Sequence[Claim]) -> Free:
    free = there.free
    for each in everyone:
        if each.running:
            free = free.less(each.wanted)
    return free


def _within(parent: Claim, wanted: Wanted) -> Given | str:
    """Returns what a step gets that an admitted step has started: a part of what that one has. To wait for its end
    would be to wait for itself."""
    if wanted.gpus > len(parent.given):
        return f"waits for {gpu_words(wanted.gpus)} of {parent.words}"
    return Given(_name(parent), (*wanted.named, *parent.given[: wanted.gpus]))


def _holds(claim: Claim, lacking: Sequence[str]) -> bool:
    """Whether the claim has some of what is lacking."""
    return any(claim.given if name in ("gpus", "named") else getattr(claim.wanted, name) for name in lacking)


def _waiting_words(
    lacking: Sequence[str], free: Free, wanted: Wanted, running: Sequence[Claim], older: Sequence[Claim]
) -> str:
    """Returns what it waits for, and for whom."""
    words = dict(wanted.parts())
    what = " and ".join(words[name] for name in lacking)
    short = free.lacking(wanted)
    given = {number for each in running for number in each.given}
    short += ["named"] if not given.isdisjoint(wanted.named) else []
    short += ["gpus"] if "gpus" in lacking and given and "gpus" not in short else []
    if not short and older:
        first = older[0]
        return f"waits for {what} behind {first.words}, which waits for {first.wanted.words}"
    holders = [each for each in sorted(running, key=_place) if _holds(each, short)]
    if not holders:
        return f"waits for {what} of this machine"
    named = ", ".join(each.words for each in holders[:_MAX_NAMED])
    more = f" and {len(holders) - _MAX_NAMED} more" if len(holders) > _MAX_NAMED else ""
    return f"waits for {what}, in use by {named}{more}"
