"""Tells machines apart, and the boots of one machine, so that a pid that was noted is believed only where it means
something.

A host's name is for people: it changes while a process runs (a laptop that takes its name from the network, a VM
that is renamed), and two containers may share one. What decides is the kernel's id of this boot, the machine's id,
and the namespace that process ids are counted in.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

# The kernel numbers its first namespace of process ids like this (PROC_PID_INIT_INO); every container has another one.
_FIRST_NAMESPACE = "pid:[4026531836]"
_MACHINE_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_UNINITIALIZED = b"uninitialized"


class ProcessLocation(StrEnum):
    """Where a process that was noted is, seen from this one: its pid can be looked up HERE, it is gone with an
    EARLIER_BOOT, it may run in ANOTHER_CONTAINER of this kernel, and nothing is known of a process ELSEWHERE."""

    HERE = "here"
    EARLIER_BOOT = "earlier boot"
    ANOTHER_CONTAINER = "another container"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Machine:
    """Names the place in which a process runs. A field is empty where the system does not say, or where an older
    Podium noted it."""

    host: str
    """Name of the host, for people."""
    id: str = ""
    """Stays the same over boots; no other machine has it. Empty in a container, whose file belongs to its image."""
    boot: str = ""
    """The kernel's id of this boot."""
    namespace: str = ""
    """The namespace that process ids are counted in: each container has its own."""

    def seen_from(self, here: Machine) -> ProcessLocation:
        """Returns where a process that was noted with this machine is for a process on `here`."""
        if not (self.boot and here.boot):
            return ProcessLocation.HERE if self.host == here.host else ProcessLocation.ELSEWHERE
        if self.boot == here.boot:
            known = self.namespace and here.namespace
            return (
                ProcessLocation.ANOTHER_CONTAINER
                if known and self.namespace != here.namespace
                else ProcessLocation.HERE
            )
        same = self.id == here.id if self.id and here.id else self.host == here.host
        return ProcessLocation.EARLIER_BOOT if same else ProcessLocation.ELSEWHERE


def here() -> Machine:
    """Returns the machine of this process, with the host's name of this moment."""
    machine, boot, namespace = _numbers()
    return Machine(hostname(), machine, boot, namespace)


def hostname() -> str:
    """Returns the host's name, for people. Nothing is decided by it."""
    return os.uname().nodename


def boot_id() -> str:
    """Returns the kernel's id of this boot; empty on systems that have none."""
    return _numbers()[1]


@cache
def _numbers() -> tuple[str, str, str]:
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - read by every command: no Path object
    except OSError:
        namespace = ""
    boot = _content("/proc/sys/kernel/random/boot_id").decode("ascii", "replace")
    return _machine_id() if namespace == _FIRST_NAMESPACE else "", boot, namespace


def _machine_id() -> str:
    """Returns a digest of the machine's id: the id itself is not to be shown to others (machine-id(5))."""
    for path in _MACHINE_FILES:
        content = _content(path)
        if content and content != _UNINITIALIZED:
            return hashlib.sha256(b"podium\0" + content).hexdigest()[:32]
    return ""


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(200).strip()
    except OSError:
        return b""
