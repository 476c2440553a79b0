"""Checks of `environments.NAME.hosts`: machines that serve together, and the keys that say how."""

from __future__ import annotations

from collections.abc import Callable

from ...domain.project import Environment, Project
from ..reader import Reader, Record
from ..sections import join

HOST_KEYS = ("hosts", "trusted_network", "peer_port", "replace", "lease", "stale")
_WITH_HOSTS = HOST_KEYS[1:]


def check(record: Record, project: Project, reader: Reader) -> None:
    """Notes hosts that cannot serve together, and keys that do nothing."""
    name = record.path.rpartition(".")[2]
    environment = project.environments[name]

    def problem(key: str, words: str, hint: str) -> None:
        reader.problem(record.at(key), join(record.path, key), words, hint)

    _nodes(record, environment, problem)
    if not record.has("hosts"):
        for key in _WITH_HOSTS:
            if record.has(key):
                problem(key, "does nothing without `hosts`", "name the machines: hosts: [ssh://a, ssh://b]")
        _ports(record, environment, project, reader)
        return
    if record.has("host"):
        problem("host", "says where it serves, and so does `hosts`", "keep one of them")
    if record.get("proxy") == "host":
        problem("proxy", "every host has a proxy in a container", "remove it")
    if environment.stale == "serve" and record.has("lease"):
        problem("lease", "does nothing with stale: serve", "remove one of them")
    if environment.between == environment.port:
        problem("peer_port", f"is {environment.port}, at which clients are answered", "give it another number")
    _names(record, environment, reader)
    _ports(record, environment, project, reader)


def _nodes(record: Record, environment: Environment, problem: Callable[[str, str, str], None]) -> None:
    """Notes a manager that is named once more as a node, and nodes that are named twice."""
    if environment.host and environment.host in environment.nodes:
        problem("nodes", f"has the manager, {environment.host}, which `host` names", "name the other nodes alone")
    twice = next((each for each in environment.nodes if environment.nodes.count(each) > 1), "")
    if twice:
        problem("nodes", f"`{twice}` is named twice", "name every node once")


def _names(record: Record, environment: Environment, reader: Reader) -> None:
    """Notes hosts that others cannot reach, and two that are one."""
    seen: set[str] = set()
    for index, host in enumerate(environment.hosts):
        if "${{" in host.engine:
            continue
        node, place = record.at("hosts", index), f"{join(record.path, 'hosts')}[{index}]"
        if host.engine.startswith("unix:") and not host.address:
            hint = "write {engine: unix:///var/run/docker.sock, address: 10.0.0.1}"
            reader.problem(node, place, "does not say where the other hosts reach it", hint)
        elif host.name in ("localhost", "::1") or host.name.startswith("127."):
            hint = "give its `address`: {engine: ssh://…, address: 10.0.0.1}"
            reader.problem(node, place, f"the other hosts cannot reach it at {host.name}", hint)
        elif host.name in seen:
            reader.problem(node, place, f"`{host.name}` is named twice", "name every machine once")
        seen.add(host.name)


def _ports(record: Record, environment: Environment, project: Project, reader: Reader) -> None:
    """Notes a peer port that another environment of the same hosts uses."""
    own = {host.engine for host in environment.hosts} or {environment.host}
    for other in project.environments.values():
        if other.name == environment.name:
            return
        engines = {host.engine for host in other.hosts} or {other.host}
        between = {other.between} if other.hosts else set[int]()
        wanted = {"port": (between, environment.port)}
        if environment.hosts:
            wanted["peer_port"] = ({other.port, *between}, environment.between)
        for key, (taken, port) in wanted.items():
            if not own & engines or port not in taken:
                continue
            words = f"{port} is already a port of environment `{other.name}`"
            reader.problem(record.at(key), join(record.path, key), words, "give each its own")
