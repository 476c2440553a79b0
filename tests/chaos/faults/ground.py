"""What a world stands on, made so that it can be broken without touching anybody else: a small disk in memory, a file system
above it that fails when it is told to, a clock of its own, and a host name of its own.

Each is had only where the machine gives it (root, FUSE, a C compiler). What cannot be had is said in `missing`,
and the faults that need it are counted as not run.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import wait_until

FAILING, CLOCK = (Path(__file__).with_name(name) for name in ("failing.c", "clock.c"))
ROOM = "300m"  # more than Podium's reserve needs to be made
# What `failing.c` knows.
WRITES, READS, SYNCS = 1, 2, 4
_INSIDE = "PODIUM_CHAOS_INSIDE"


def move_inside() -> None:
    """Goes on in namespaces of its own, in which mounts and the host's name are nobody else's. Does nothing where that is not
    allowed, or was done."""
    if os.environ.get(_INSIDE) or os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    command = ["unshare", "--mount", "--uts", "--propagation", "private", "true"]
    if subprocess.run(command, check=False, capture_output=True).returncode == 0:
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", [*command[:-1], sys.executable, *sys.orig_argv[1:]])


def _compile(source: Path, program: Path, *more: str) -> str:
    """Returns why it cannot be compiled; empty once it is."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return "there is no C compiler"
    command = [compiler, "-O2", str(source), "-o", str(program), *more]
    built = subprocess.run(command, check=False, capture_output=True, text=True)
    return f"{source.name} cannot be compiled: {built.stderr[:300]}" if built.returncode else ""


class Ground:
    """As a context manager: what can be had, below `scratch`; `home` is where the project goes. With `plain` nothing but the
    directory, for an engine that would not see what is mounted for us alone."""

    def __init__(self, scratch: Path, *, plain: bool = False) -> None:
        self.scratch = scratch
        self.missing: dict[str, str] = {}
        self.broke = False
        """Whether it has failed since it was healed last: what was started meanwhile may have given up."""
        self.unreadable = False
        """Whether nothing can be read at the moment, so that nobody can look."""
        self.room: Path | None = None
        self._failing: subprocess.Popen[bytes] | None = None
        self._page: mmap.mmap | None = None
        self._plain = plain
        self._time: mmap.mmap | None = None
        self.variables: dict[str, str] = {}
        self.home = scratch / "project"

    def __enter__(self) -> Self:
        self._make_room()
        self._make_failing()
        self._make_clock()
        if not os.environ.get(_INSIDE):
            self.missing["host"] = "the host's name may only be changed by root, in a namespace of its own (unshare)"
        self.home.mkdir(mode=0o700, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        for place in (self.scratch / "disk", self.scratch / "room"):
            if place.is_mount():
                subprocess.run(["umount", "--lazy", str(place)], check=False)
        if self._failing is not None:
            with suppress(subprocess.TimeoutExpired):
                self._failing.wait(15)
            self._failing.kill()  # somebody may have a file open there
            self._failing.wait(15)

    def heal(self) -> None:
        """Ends whatever is still broken."""
        self.fail(0, 0)
        self.broke = False
        self.empty()
        self.shift_clock(0)

    # A small disk

    def _make_room(self) -> None:
        if self._plain or not os.environ.get(_INSIDE):
            why = "mounting needs root and a namespace of its own (unshare)"
            self.missing["room"] = "the engine does not see what is mounted for us alone" if self._plain else why
            return
        room = self.scratch / "room"
        room.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(room)], check=True)
        self.room, self.home = room, room / "project"

    def fill(self) -> None:
        """Leaves not one byte."""
        assert self.room is not None
        with (self.room / "filler").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def empty(self) -> None:
        if self.room is not None:
            (self.room / "filler").unlink(missing_ok=True)

    # A file system that fails

    def _make_failing(self) -> None:
        why = self._why_no_failing()
        if why:
            self.missing["failing"] = why
            return
        control, place = self.scratch / "control", self.scratch / "disk"
        control.write_bytes(bytes(mmap.PAGESIZE))
        place.mkdir()
        with control.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        program = str(self.scratch / "failing")
        with (self.scratch / "failing.log").open("wb") as log:
            self._failing = subprocess.Popen([program, control, str(self.room), "-f", place], stdout=log, stderr=log)
        wait_until(place.is_mount, 10, what="the file system that fails is there")
        self.home = place / "project"

    def _why_no_failing(self) -> str:
        if self.room is None:
            return self.missing["room"]
        if not Path("/dev/fuse").exists():
            return "there is no /dev/fuse"
        if shutil.which("pkg-config") is None:
            return "there is no pkg-config"
        found = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "fuse3"], check=False, capture_output=True, text=True
        )
        if found.returncode:
            return "there is no libfuse 3 (Debian: libfuse3-dev)"
        return _compile(FAILING, self.scratch / "failing", *found.stdout.split())

    def fail(self, kinds: int, milliseconds: int) -> None:
        """Has calls of these kinds end with EIO, and every call wait so long."""
        self.unreadable = bool(kinds & READS)
        self.broke = self.broke or bool(kinds)
        if self._page is not None:
            self._page[:8] = struct.pack("II", kinds, milliseconds)

    # A clock

    def _make_clock(self) -> None:
        library, page = self.scratch / "clock.so", self.scratch / "clock"
        why = _compile(CLOCK, library, "-shared", "-fPIC", "-ldl")
        if why:
            self.missing["clock"] = why
            return
        page.write_bytes(bytes(mmap.PAGESIZE))
        with page.open("r+b") as file:
            self._time = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.variables = {"LD_PRELOAD": str(library), "PODIUM_CHAOS_CLOCK": str(page)}

    def shift_clock(self, seconds: int) -> None:
        """Has the clock of whatever runs for the world differ so much from ours, at once."""
        if self._time is not None:
            self._time[:8] = struct.pack("q", seconds)

    # A name

    def rename_host(self, name: str) -> None:
        """Gives the host another name, for us and whatever we start."""
        text = name.encode()
        if ctypes.CDLL(None, use_errno=True).sethostname(text, len(text)):
            raise OSError(ctypes.get_errno(), f"the host cannot be renamed {name}")
        assert socket.gethostname() == name
