"""One engine that has no containers but says it has: what it is asked, and what it answers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import tarfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from podium.core.containers.engine import labels as names
from podium.core.serving.metrics import Metrics

from . import shapes
from .containers import Container
from .haproxy import RuntimeApi

_RATE = 1  # requests a second that each replica says it has


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Query = Mapping[str, str]
Body = bytes
Told = Callable[[str, dict[str, Any]], None]


class Engine:
    """`number` tells its addresses from those of others. `told` is called with each event."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.containers: dict[str, Container] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.execs: dict[str, Container] = {}
        self.asked: dict[str, int] = {}
        self.told: Callable[[dict[str, Any]], None] = lambda _: None
        self._proxies: dict[tuple[str, str], Container] = {}
        self._addresses: dict[str, Container] = {}

    # What is there from the beginning, and what is made

    def add_network(self, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
        subnet = f"10.{self.number}.{len(self.networks) + 1}.0/24"
        made = shapes.network(secrets.token_hex(32), name, subnet, labels, {})
        self.networks[made["Id"]] = made
        return made

    def add(self, name: str, config: dict[str, Any], *, config_file: str = "") -> Container:
        """Creates a container. `config_file` is what HAProxy is given, where it is one."""
        if any(each.name == name for each in self.containers.values()):
            raise Refusal(409, f"Conflict. The container name /{name} is already in use")
        mode = config["HostConfig"].get("NetworkMode", "")
        network = self.networks.get(mode)
        made = Container(name, config, image_id(config["Image"]), network)
        if network is not None:
            wanted = ((config.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}).get(mode) or {}
            made.wanted = (wanted.get("IPAMConfig") or {}).get("IPv4Address") or self._free(network)
            self._addresses[made.wanted] = made
        if made.labels.get(names.ROLE) == names.PROXY_ROLE:
            made.proxy = RuntimeApi()
            made.proxy.config = config_file
            self._proxies[made.labels[names.ENVIRONMENT], socket_name(config)] = made
        self.containers[made.id] = made
        self._tell(made, "create")
        return made

    def _free(self, network: dict[str, Any]) -> str:
        base = network["IPAM"]["Config"][0]["Subnet"].removesuffix("0/24")
        return next(f"{base}{number}" for number in range(2, 255) if f"{base}{number}" not in self._addresses)

    def change(self, container: Container, state: str, action: str, exit_code: int = 0) -> None:
        container.become(state, exit_code)
        self._tell(container, action)

    def _tell(self, container: Container, action: str) -> None:
        attributes = {**container.labels, "image": container.config["Image"], "name": container.name}
        self.told(shapes.event("container", action, container.id, attributes))

    def container(self, identity: str) -> Container:
        found = self.containers.get(identity) or next(
            (each for each in self.containers.values() if each.name == identity or each.id.startswith(identity)), None
        )
        if found is None:
            raise Refusal(404, f"No such container: {identity}")
        return found

    # What is asked

    def answer(self, method: str, path: str, query: Query, body: Body) -> tuple[int, bytes]:
        """Returns (status, body). What is streamed is not answered here (wire.py)."""
        self.asked[f"{method} {_kind(path)}"] = self.asked.get(f"{method} {_kind(path)}", 0) + 1
        for verb, pattern, work in _ROUTES:
            if verb == method and (found := pattern.fullmatch(path)):
                try:
                    return work(self, query, body, *found.groups())
                except Refusal as refused:
                    return refused.status, json.dumps({"message": str(refused)}).encode()
        return 404, b'{"message":"page not found"}'

    def _list(self, query: Query, _: Body) -> tuple[int, bytes]:
        wanted = [each.partition("=") for each in _filters(query).get("label", ())]
        found = [
            each.listed()
            for each in self.containers.values()
            if all(each.labels.get(key) == value for key, _, value in wanted)
            and (query.get("all", "0") not in ("0", "false") or each.running)
        ]
        return 200, b"[" + b",".join(found) + b"]"

    def _inspect(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        return 200, self.container(identity).inspected()

    def _create(self, query: Query, body: Body) -> tuple[int, bytes]:
        return 201, _json({"Id": self.add(query["name"], json.loads(body)).id, "Warnings": []})

    def _start(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        if found.running:
            return 304, b""
        self.change(found, "running", "start")
        return 204, b""

    def _stop(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        if not found.running:
            return 304, b""
        self.change(found, "exited", "die")
        return 204, b""

    def _kill(self, query: Query, _: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        if not found.running:
            raise Refusal(409, f"Cannot kill container: {identity}: Container {identity} is not running")
        if query.get("signal") in ("SIGUSR2", "USR2"):
            if found.proxy is not None:
                found.proxy.restart()
        else:
            self.change(found, "exited", "die", 137)
        return 204, b""

    def _update(self, _q: Query, body: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        found.config["HostConfig"] |= {key: value for key, value in json.loads(body).items() if value is not None}
        found.changed()
        self._tell(found, "update")
        return 200, _json({"Warnings": None})

    def _remove(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        if found.running:
            self.change(found, "exited", "die", 137)
        del self.containers[found.id]
        self._addresses.pop(found.wanted, None)
        self._tell(found, "destroy")
        return 204, b""

    def _logs(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        self.container(identity)
        return 200, b""

    def _archive(self, _q: Query, body: Body, identity: str) -> tuple[int, bytes]:
        found = self.container(identity)
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member)
                if file is not None and found.proxy is not None and member.name.endswith(".cfg"):
                    found.proxy.config = file.read().decode()
        return 200, b""

    def _exec(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        made = secrets.token_hex(32)
        self.execs[made] = self.container(identity)
        return 201, _json({"Id": made})

    def _networks(self, query: Query, _: Body) -> tuple[int, bytes]:
        wanted = [each.partition("=") for each in _filters(query).get("label", ())]
        found = self.networks.values()
        return 200, _json([n for n in found if all(n["Labels"].get(key) == value for key, _, value in wanted)])

    def _network(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        found = self.networks.get(identity)
        if found is None:
            raise Refusal(404, f"network {identity} not found")
        inside = {each.id: each for each in self.containers.values() if each.network is found and each.running}
        attached = {key: {"Name": each.name, "IPv4Address": f"{each.address}/24"} for key, each in inside.items()}
        return 200, _json({**found, "Containers": attached})

    def _make_network(self, _q: Query, body: Body) -> tuple[int, bytes]:
        asked = json.loads(body)
        return 201, _json({"Id": self.add_network(asked["Name"], asked.get("Labels") or {})["Id"], "Warning": ""})

    def _remove_network(self, _q: Query, _: Body, identity: str) -> tuple[int, bytes]:
        self.networks.pop(identity, None)
        return 204, b""

    def _make_volume(self, _q: Query, body: Body) -> tuple[int, bytes]:
        asked = json.loads(body)
        made = self.volumes.setdefault(asked["Name"], shapes.volume(asked["Name"], asked.get("Labels") or {}))
        return 201, _json(made)

    def _all_volumes(self, _q: Query, _: Body) -> tuple[int, bytes]:
        return 200, _json({"Volumes": list(self.volumes.values()), "Warnings": None})

    def _image(self, _q: Query, _: Body, reference: str) -> tuple[int, bytes]:
        return 200, _json(shapes.image(reference, image_id(reference)))

    # What containers would answer

    def relayed(self, container: Container, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the relay in `container` answers to one line (core/containers/relay/program.py)."""
        try:
            if request["do"] == "http":
                return self._replica(request)
            if request["do"] == "socket":
                proxy = self._proxies.get((container.labels[names.ENVIRONMENT], str(request["socket"])))
                if proxy is None or proxy.proxy is None or not proxy.running:
                    raise OSError("[Errno 111] Connection refused")
                return {"body": base64.b64encode(proxy.proxy.ask(request["command"]).encode()).decode()}
            for path, text in request["files"].items():
                proxy = self._proxies.get((container.labels[names.ENVIRONMENT], _socket_of(path)))
                if proxy is not None and proxy.proxy is not None:
                    proxy.proxy.config = text
            return {"body": ""}
        except OSError as error:
            return {"error": str(error)}

    def _replica(self, request: Mapping[str, Any]) -> dict[str, Any]:
        found = self._addresses.get(request["address"])
        if found is None or not found.running:
            raise OSError("[Errno 111] Connection refused")
        body = _metrics(int(time.time() - found.started) * _RATE) if request["path"] == "/metrics" else "e30="
        return {"status": 200, "body": body, "seconds": 0.001}


def image_id(reference: str) -> str:
    """The id of an image: each name has one, and is there."""
    return reference if reference.startswith("sha256:") else f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def socket_name(config: Mapping[str, Any]) -> str:
    """The runtime socket of the HAProxy of a container, beside its configuration."""
    return _socket_of(str(config["Cmd"][-1]))


def _socket_of(file: str) -> str:
    return file.replace("haproxy", "proxy").removesuffix(".cfg") + ".sock"


@lru_cache(maxsize=256)
def _metrics(requests: int) -> str:
    """What a replica shows after so many requests, as the relay sends it."""
    counted = Metrics({"model": "fleet"})
    for number in range(requests):
        counted.observe(200, 0.002 + number % 7 * 0.0007, 1)
    return base64.b64encode(counted.text({}).encode()).decode()


def _filters(query: Query) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(query.get("filters") or "{}")
    return found


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _kind(path: str) -> str:
    return re.sub(r"[0-9a-f]{64}", "ID", re.sub(r"^/images/.*", "/images/ID/json", path))


_ROUTES: list[tuple[str, re.Pattern[str], Callable[..., tuple[int, bytes]]]] = [
    (verb, re.compile(pattern), work)
    for verb, pattern, work in (
        ("GET", "/containers/json", Engine._list),
        ("GET", "/containers/([^/]+)/json", Engine._inspect),
        ("GET", "/containers/([^/]+)/logs", Engine._logs),
        ("GET", "/networks", Engine._networks),
        ("GET", "/networks/([^/]+)", Engine._network),
        ("GET", "/images/(.+)/json", Engine._image),
        ("GET", "/volumes", Engine._all_volumes),
        ("GET", "/version", lambda *_: (200, _json(shapes.VERSION))),
        ("GET", "/info", lambda *_: (200, _json({"OperatingSystem": "Debian", "NCPU": 8, "MemTotal": 64 << 30}))),
        ("POST", "/containers/create", Engine._create),
        ("POST", "/containers/([^/]+)/start", Engine._start),
        ("POST", "/containers/([^/]+)/stop", Engine._stop),
        ("POST", "/containers/([^/]+)/kill", Engine._kill),
        ("POST", "/containers/([^/]+)/update", Engine._update),
        ("POST", "/containers/([^/]+)/exec", Engine._exec),
        ("POST", "/networks/create", Engine._make_network),
        ("POST", "/volumes/create", Engine._make_volume),
        ("PUT", "/containers/([^/]+)/archive", Engine._archive),
        ("DELETE", "/containers/([^/]+)", Engine._remove),
        ("DELETE", "/networks/([^/]+)", Engine._remove_network),
    )
]
