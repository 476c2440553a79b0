"""Remembers, across the replicas of one environment, which requests end the process that predicts them.

All replicas of an environment share one small file. Each writes there a digest of what it predicts now, in a slot of
its own that it owns by a lock: the kernel gives up the lock of a process that ends, however it ends, also in another
container. So a digest in a slot without an owner is one whose process died over it. Such digests become suspects, with
the number of processes that they ended.

A process may also have been killed from outside. So one death is only a suspicion, and `Predictor` (predicting.py)
tries the request again in a child; a second death within `seconds` is a proof.

A batch (batching.py) may have ended its process by any of its requests, so all of their digests are noted, in a room of
the process's own behind the table; its slot has a mark instead. If the process dies, each of them is a suspect, and is
predicted alone: those that were only beside the one to blame are answered.

The file is read and written with system calls, not mapped: whatever becomes of it (truncated, another one's, a full
disk), a call fails where a mapped page would end the replica. Then it serves without a guard and says so once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable, Collection, Generator
from pathlib import Path

PROOF_DEATHS = 2
REFUSE_SECONDS = 600.0  # how long deaths are remembered

_MAGIC = b"podium guard 01\n"
_DIGEST_BYTES = 16
_NONE = bytes(_DIGEST_BYTES)
_SLOT_BYTES = 2 * _DIGEST_BYTES  # of one process: what it predicts itself, what a child of it predicts
_PROCESSES = 64
_SUSPECTS = 128
_SLOTS_AT = len(_MAGIC)
_SUSPECTS_AT = _SLOTS_AT + _PROCESSES * _SLOT_BYTES
_DEATHS_AT = _SUSPECTS_AT + _SUSPECTS * _DIGEST_BYTES
_DEATHS = struct.Struct("<Iid")  # number, unused, when the last one was
_SIZE = _DEATHS_AT + _SUSPECTS * _DEATHS.size
MAX_BATCH = 64  # requests, for which there are suspects enough
_BATCH = b"a batch of many\0"  # instead of a digest
_BATCH_BYTES = MAX_BATCH * _DIGEST_BYTES
_SIZE_WITH_BATCHES = _SIZE + _PROCESSES * _BATCH_BYTES
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of Linux, 64 bits: type, whence, start, length, pid
_LOCK_TRIES, _LOCK_PAUSE = 20, 0.01


def now() -> float:
    """Returns seconds that no change of the clock moves and that all processes and containers of a machine share."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Guard:
    """One process's part of the file. `told` is what the digests depend on besides the request: the same request may be
    harmless to another version. Without `path`, or when anything is wrong with the file, nobody is ever suspected."""

    def __init__(
        self,
        path: Path | None,
        told: str,
        *,
        seconds: float = REFUSE_SECONDS,
        batches: bool = False,
        say: Callable[[str], object],
    ) -> None:
        self.seconds = seconds
        self.say = say
        self._hash = hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=_DIGEST_BYTES)
        self._file: int | None = None
        self._mine = 0
        self._lock = threading.Lock()
        if path is not None:
            try:
                self._file = _open(path, _SIZE_WITH_BATCHES if batches else _SIZE)
                self._claim()
            except (OSError, ValueError) as error:
                self._give_up(f"{path}: {error}")

    def digest(self, body: bytes, content_type: str | None) -> bytes:
        """Returns what names this request to this version; nothing without a guard."""
        if self._file is None:
            return b""
        made = self._hash.copy()
        made.update((content_type or "").encode("latin-1", "replace") + b"\0")
        made.update(body)
        return made.digest()

    def deaths(self, digest: bytes) -> int:
        """Returns how many processes ended over this request within `seconds`."""
        return self.suspected([digest]).get(digest, 0)

    def suspected(self, digests: Collection[bytes]) -> dict[bytes, int]:
        """Returns the same for those of several requests over which a process ended."""
        if self._file is None:
            return {}
        try:
            table = os.pread(self._file, _DEATHS_AT, 0)
            if not table.startswith(_MAGIC) or len(table) < _DEATHS_AT:
                raise ValueError("it is not a guard's file any more")
            if _BATCH in table and self._matters(table, _BATCH):
                return {digest: deaths for digest in digests if (deaths := self._judge(digest))}
            there = [digest for digest in digests if digest in table and self._matters(table, digest)]
            return {digest: deaths for digest in there if (deaths := self._judge(digest))}
        except (OSError, ValueError) as error:
            self._give_up(str(error))
            return {}

    def begin(self, digest: bytes, *, apart: bool = False) -> None:
        """Notes that the prediction begins, in this process or (`apart`) in a child of it."""
        self._write(self._mine + _DIGEST_BYTES * apart, digest)

    def begin_batch(self, digests: Collection[bytes]) -> None:
        """Notes that a batch of requests is predicted in this process; `end` ends it. At most MAX_BATCH, and only if
        there is room for batches."""
        room = _SIZE + (self._mine - _SLOTS_AT) // _SLOT_BYTES * _BATCH_BYTES
        self._write(room, b"".join(digests).ljust(_BATCH_BYTES, b"\0"))
        self._write(self._mine, _BATCH)

    def end(self, *, apart: bool = False) -> None:
        """Notes that it has ended, and this process has not."""
        self._write(self._mine + _DIGEST_BYTES * apart, _NONE)

    def died(self, digest: bytes) -> int:
        """Counts a child that died over this request; returns how many processes ended over it by now."""
        return self._change(lambda file: _count(file, digest, self.seconds))

    def clear(self, digest: bytes) -> None:
        """Forgets the suspicion: the request was predicted."""
        self._change(lambda file: _forget(file, digest))

    def _write(self, place: int, digest: bytes) -> None:
        if self._file is not None:
            try:
                os.pwrite(self._file, digest, place)
            except OSError as error:
                self._give_up(str(error))

    def _change(self, change: Callable[[int], int]) -> int:
        if self._file is None:
            return 0
        try:
            with self._locked(self._file):
                return change(self._file)
        except (OSError, ValueError) as error:
            self._give_up(str(error))
            return 0

    def _matters(self, table: bytes, digest: bytes) -> bool:
        """Tells whether the digest stands anywhere but in the slots of processes that live. Many replicas predict the
        same bytes at the same time, which is no suspicion."""
        file = self._file
        at = table.find(digest, _SLOTS_AT)
        while at >= 0:
            slot = at - (at - _SLOTS_AT) % _SLOT_BYTES
            if at >= _SUSPECTS_AT or (file is not None and slot != self._mine and not _owned(file, slot)):
                return True
            at = table.find(digest, at + 1)
        return False

    def _judge(self, digest: bytes) -> int:
        def judge(file: int) -> int:
            _adopt(file, self._mine, self.seconds)
            return _deaths(file, digest, self.seconds)

        return self._change(judge)

    def _claim(self) -> None:
        """Takes a slot that no living process owns. Raises ValueError if there is none."""
        assert self._file is not None
        with self._locked(self._file):
            _adopt(self._file, 0, self.seconds)
            for slot in range(_SLOTS_AT, _SUSPECTS_AT, _SLOT_BYTES):
                with contextlib.suppress(BlockingIOError, PermissionError):
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SLOT_BYTES, slot)
                    self._mine = slot
                    return
        raise ValueError(f"it has room for {_PROCESSES} processes")

    @contextlib.contextmanager
    def _locked(self, file: int) -> Generator[None]:
        """Holds the table, for as long as a few system calls take. Goes on without it when another process keeps it: a
        stopped one must not stop all."""
        with self._lock:
            held = False
            for _ in range(_LOCK_TRIES):
                with contextlib.suppress(BlockingIOError, PermissionError):
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
                    held = True
                    break
                time.sleep(_LOCK_PAUSE)
            try:
                yield
            finally:
                if held:
                    fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)

    def _give_up(self, reason: str) -> None:
        """Serves without a guard from now on. The file stays open: closing it would free the slot."""
        self._file = None
        self.say(f"no guard against requests that end the process: {reason}")


def _open(path: Path, size: int) -> int:
    """Returns the open file, made if it is missing, with all its room reserved: later writes need none, so a full disk
    does not matter. Raises OSError, or ValueError for a file of another kind."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        found = os.pread(file, len(_MAGIC), 0)
        if found.strip(b"\0") not in (b"", _MAGIC):
            raise ValueError("it is not a guard's file")
        if os.fstat(file).st_size < size:
            os.posix_fallocate(file, 0, size)
        if found != _MAGIC:  # new; or zeros: the process that reserved the room has not come further, or has ended
            os.pwrite(file, _MAGIC, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def _owned(file: int, slot: int) -> bool:
    """Tells whether another living process owns the slot."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, _SLOT_BYTES, 0)
    return _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK


def _adopt(file: int, mine: int, seconds: float) -> None:
    """Makes suspects of what stands in the slots of dead processes, and empties these.

    Counts each digest once, in however many slots it stands: what ends several processes at the same moment, such as
    the machine's memory or a person, mostly comes from outside, and finds all of them predicting the same if that is
    what clients ask. Deaths one after the other are never found together, because a process looks at the slots before
    it begins: the one that gets the request next (from the proxy, or a client) counts the death of the one before it.
    So a request that was sent once still ends two processes at most, the second of them a child. One that several
    replicas predict at the same moment could always end all of these, and now ends one child more before it is refused.
    """
    table = os.pread(file, _SUSPECTS_AT, 0)
    pairs = {at: table[at : at + _SLOT_BYTES] for at in range(_SLOTS_AT, _SUSPECTS_AT, _SLOT_BYTES) if at != mine}
    dead = {at: pair for at, pair in pairs.items() if any(pair) and not _owned(file, at)}
    for digest in {each for at, pair in dead.items() for each in _noted(file, at, pair)} - {_NONE}:
        _count(file, digest, seconds)
    for at in dead:
        os.pwrite(file, _NONE * 2, at)


def _noted(file: int, slot: int, pair: bytes) -> list[bytes]:
    """Returns the digests that stand in a slot, or for the mark of a batch those of its requests."""
    own, apart = pair[:_DIGEST_BYTES], pair[_DIGEST_BYTES:]
    if own != _BATCH:
        return [own, apart]
    room = os.pread(file, _BATCH_BYTES, _SIZE + (slot - _SLOTS_AT) // _SLOT_BYTES * _BATCH_BYTES)
    return [apart, *(room[at : at + _DIGEST_BYTES] for at in range(0, len(room), _DIGEST_BYTES))]


def _find(file: int, digest: bytes) -> int | None:
    """Returns the number of the suspect."""
    table = os.pread(file, _SUSPECTS * _DIGEST_BYTES, _SUSPECTS_AT)
    return next((n for n in range(_SUSPECTS) if table[n * _DIGEST_BYTES : (n + 1) * _DIGEST_BYTES] == digest), None)


def _row(file: int, number: int) -> tuple[int, float]:
    """Returns (deaths, when the last one was)."""
    deaths, _, last = _DEATHS.unpack(os.pread(file, _DEATHS.size, _DEATHS_AT + number * _DEATHS.size))
    return deaths, last


def _deaths(file: int, digest: bytes, seconds: float) -> int:
    """Returns the suspect's deaths; 0, and forgets it, if the last one is too long ago or of before the last boot."""
    number = _find(file, digest)
    if number is None:
        return 0
    deaths, last = _row(file, number)
    if 0.0 <= now() - last < seconds:
        return deaths
    return _forget(file, digest)


def _count(file: int, digest: bytes, seconds: float) -> int:
    """Adds a death to the suspect, which replaces the one that is longest ago if there is no room."""
    deaths = _deaths(file, digest, seconds) + 1
    number = _find(file, digest)
    if number is None:
        number = _find(file, _NONE)
    if number is None:
        number = min(range(_SUSPECTS), key=lambda n: _row(file, n)[1])
    os.pwrite(file, _DEATHS.pack(deaths, 0, now()), _DEATHS_AT + number * _DEATHS.size)
    os.pwrite(file, digest, _SUSPECTS_AT + number * _DIGEST_BYTES)
    return deaths


def _forget(file: int, digest: bytes) -> int:
    """Forgets the suspect; returns 0, its deaths now."""
    number = _find(file, digest)
    if number is not None:
        os.pwrite(file, _NONE, _SUSPECTS_AT + number * _DIGEST_BYTES)
        os.pwrite(file, bytes(_DEATHS.size), _DEATHS_AT + number * _DEATHS.size)
    return 0
