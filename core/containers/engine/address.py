"""The address of an engine: `unix://`, `tcp://` (with TLS) or `ssh://`, as in podium.yaml and DOCKER_HOST. Imports
nothing heavy."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ...domain.frozen import Frozen
from ...domain.project import Environment, Project
from ...errors import UsageError
from ...identity.account import expanded

LOCAL_SOCKET = "/var/run/docker.sock"
_PORTS = {"ssh": 22, "tcp": 2376}


class Address(Frozen):
    """Where an engine is."""

    scheme: str
    """`unix`, `tcp` or `ssh`."""
    host: str = ""
    """The machine; empty for unix."""
    port: int = 0
    """The TCP port of tcp and ssh; 0 for unix."""
    user: str = ""
    """The user of ssh; empty for the default one."""
    path: str = LOCAL_SOCKET
    """The engine's socket: on this machine for unix, on the other machine for ssh."""
    tls: str = ""
    """A directory with certificates; empty for none."""

    @property
    def local(self) -> bool:
        """Tells whether the engine's containers run on this machine, so that their addresses and files can be
        reached without the engine."""
        return self.scheme == "unix"

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        at = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.scheme == "ssh" and self.port == _PORTS["ssh"] else f":{self.port}"
        path = self.path if self.scheme == "ssh" and self.path != LOCAL_SOCKET else ""
        return f"{self.scheme}://{at}{host}{port}{path}"


def parse(text: str, *, tls: str = "") -> Address:
    """Returns the address written as `text`. Raises UsageError, naming the fault, if it is not one."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not the address of a Docker engine: {error}") from None
    if parts.scheme == "unix":
        path = f"{parts.netloc}{parts.path}"
        if not path.startswith("/"):
            raise UsageError(f"{text!r} has no absolute path to a socket", hint=f"for example unix://{LOCAL_SOCKET}")
        return Address("unix", path=path)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UsageError(
            f"{text!r} is not the address of a Docker engine",
            hint="write unix:///path, tcp://host:2376 or ssh://user@host:22",
        )
    if parts.password:
        raise UsageError("the address of a Docker engine must not hold a password", hint="use a key, and ssh-agent")
    words = (parts.hostname, parts.username or "", parts.path)
    if any(word.startswith("-") for word in words):
        raise UsageError(f"{text!r} is not the address of a Docker engine: nothing in it may begin with a dash")
    if parts.scheme == "tcp":
        return Address("tcp", parts.hostname, port or _PORTS["tcp"], path="", tls=tls)
    socket = parts.path if parts.path not in ("", "/") else LOCAL_SOCKET
    return Address("ssh", parts.hostname, port or _PORTS["ssh"], parts.username or "", socket)


def of_project(project: Project) -> Address:
    """Returns the engine for steps and image builds: that of podium.yaml, else that of DOCKER_HOST, else this
    machine's."""
    host = project.docker.host or os.environ.get("DOCKER_HOST", "") or f"unix://{LOCAL_SOCKET}"
    return parse(host, tls=_tls(project, project.docker.tls))


def of_environment(project: Project, environment: Environment) -> Address:
    """Returns the engine that serves an environment: its own, that of its first host, else the project's."""
    return next(iter(all_of(project, environment).values()))


def all_of(project: Project, environment: Environment) -> dict[str, Address]:
    """Returns the engines that serve an environment, by the names of its hosts; by an empty name where it has one."""
    message, hint = environment.why_not_usable()
    if message:
        raise UsageError(message, hint=hint)
    tls = _tls(project, environment.tls or project.docker.tls)
    if environment.hosts:
        return {each.name: parse(each.engine, tls=tls) for each in environment.hosts}
    return {"": parse(environment.host, tls=tls) if environment.host else of_project(project)}


def nodes_of(project: Project, environment: Environment) -> list[Address]:
    """Returns the engines of the nodes that an environment on a Swarm names, without its manager's."""
    tls = _tls(project, environment.tls or project.docker.tls)
    return [parse(each, tls=tls) for each in environment.nodes]


def _tls(project: Project, written: str) -> str:
    if written:
        return str(project.home / expanded(written))
    return os.environ.get("DOCKER_CERT_PATH", "") if os.environ.get("DOCKER_TLS_VERIFY") else ""
