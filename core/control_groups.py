"""Control groups of Linux (version 2), where a part of their tree was delegated to this user: limits and weights of
steps, limits of replicas. They are never needed.

A service manager delegates a subtree (`Delegate=yes`, a user's own manager) with the processes in a group of it. What
is made here are siblings of that group, never anything in a tree that was not delegated:

    …/podium-steps-<project>/<step>        weights on the first, limits on the second
    …/podium-replicas-<project>/<replica>
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from functools import cache
from pathlib import Path

from .priority import WEIGHTS

_ROOT = Path("/")
_DELEGATED = ("user.delegate", "trusted.delegate")  # attributes that systemd sets
_CONTROLLERS = ("cpu", "memory", "io")
_PERIOD = 100_000  # of a CPU limit, in microseconds
_USUAL_WEIGHT = 100  # of a group, for CPU and disk
# `sh -c ENTER sh FILE PROGRAM …`: becomes PROGRAM in a group, so that nothing that it starts is in another one.
ENTER = '{ echo $$ >"$1"; } 2>/dev/null || :; shift; exec "$@"'


class ControlGroup:
    """The group of one step or replica."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def processes(self) -> Path:
        """The file that a process is put into the group by."""
        return self.path / "cgroup.procs"

    def add(self, pid: int) -> None:
        """Puts a process into the group. One that has ended is no error."""
        with contextlib.suppress(OSError):
            self.processes.write_text(str(pid))

    def out_of_memory(self) -> bool:
        """Tells whether the kernel ended something in it because of its memory limit."""
        with contextlib.suppress(OSError):
            found = re.search(r"^oom_kill (\d+)$", (self.path / "memory.events").read_text(), re.MULTILINE)
            return found is not None and int(found[1]) > 0
        return False

    def remove(self) -> None:
        """Removes it if nothing is left in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def make(
    kind: str,
    home: Path,
    name: str,
    *,
    cpus: float | None = None,
    memory: int | None = None,
    nice: int = 0,
    root: Path = _ROOT,
) -> ControlGroup | None:
    """Returns a new group of a project with these limits (`memory` in bytes), which has together with its siblings the
    weight of the nice value beside other groups; None where none can be made."""
    top = _top(root)
    if top is None:
        return None
    above = top / _above(kind, home)
    group = ControlGroup(above / _word(name))
    for _ in range(2):  # another process may just have removed it
        with contextlib.suppress(OSError):
            _prepare(top, above, nice)
            group.path.mkdir(exist_ok=True)
            _limit(group.path, cpus, memory)
            return group
    return None


def of(kind: str, home: Path, name: str, *, root: Path = _ROOT) -> ControlGroup | None:
    """Returns the group of that name if it is there."""
    top = _top(root)
    path = top / _above(kind, home) / _word(name) if top is not None else None
    return ControlGroup(path) if path is not None and path.is_dir() else None


def lacking(cpus: float | None, memory: int | None, *, root: Path = _ROOT) -> str:
    """Returns what has to be said where these are no limits; empty if they are, or there are none."""
    wanted = {"cpus": cpus is not None and "cpu", "memory": memory is not None and "memory"}
    words = [f"`{key}`" for key, controller in wanted.items() if controller and controller not in controllers(root)]
    if not words:
        return ""
    verb = "are claims here, not limits" if len(words) > 1 else "is a claim here, not a limit"
    return f"{' and '.join(words)} {verb}: no control groups were delegated to this user"


@cache
def controllers(root: Path = _ROOT) -> frozenset[str]:
    """Returns what groups can limit here: `cpu`, `memory`, both or nothing."""
    top = _top(root)
    with contextlib.suppress(OSError):
        return frozenset((top / "cgroup.controllers").read_text().split()) & {"cpu", "memory"} if top else frozenset()
    return frozenset()


def _prepare(top: Path, above: Path, nice: int) -> None:
    _enable(top)
    if not above.exists():
        above.mkdir(exist_ok=True)
    elif above.is_dir():
        for left in above.iterdir():  # of processes that were killed; one with a process stays
            if left.is_dir():
                ControlGroup(left).remove()
    _enable(above)
    weight = max(1, WEIGHTS[nice] * _USUAL_WEIGHT // WEIGHTS[0])
    _write(above / "cpu.weight", str(weight))
    _write(above / "io.weight", str(weight))


def _limit(path: Path, cpus: float | None, memory: int | None) -> None:
    if cpus is not None:
        _write(path / "cpu.max", f"{max(1_000, round(cpus * _PERIOD))} {_PERIOD}")
    if memory is not None:
        # No swap beyond it, and all of it at once: what needs more is to end at its limit, not to crawl on in part.
        _write(path / "memory.max", str(memory))
        _write(path / "memory.swap.max", "0")
        _write(path / "memory.oom.group", "1")


def _enable(path: Path) -> None:
    for controller in _CONTROLLERS:
        _write(path / "cgroup.subtree_control", f"+{controller}")


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(text)


@cache
def _top(root: Path) -> Path | None:
    """Returns the delegated group in which this process's own one is; None if there is none."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        own = next((line[3:] for line in lines if line.startswith("0::")), "")
        mounts = (line.partition(" - ") for line in (root / "proc/self/mountinfo").read_text().splitlines())
        mount = next((before.split()[4] for before, _, after in mounts if after.startswith("cgroup2 ")), "")
    except OSError:
        return None
    if not mount or own in ("", "/") or "/.." in own:
        return None
    tree = root / mount.lstrip("/")
    top = (tree / own.lstrip("/")).parent
    return top if _delegated(top, tree) else None


def _delegated(top: Path, tree: Path) -> bool:
    writable = all(os.access(top / name, os.W_OK) for name in ("", "cgroup.procs", "cgroup.subtree_control"))
    if not writable:
        return False
    # Everything belongs to root, who is given a part in so many words only.
    if os.getuid() and top.stat().st_uid == os.getuid():
        return True
    return any(_marked(each) for each in (top, *top.parents) if each.is_relative_to(tree))


def _marked(path: Path) -> bool:
    for name in _DELEGATED:
        with contextlib.suppress(OSError):
            if os.getxattr(path, name) == b"1":
                return True
    return False


def _above(kind: str, home: Path) -> str:
    return f"podium-{kind}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}"


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_=.,\[\]-]", "-", text).strip(".")[:120] or "x"
