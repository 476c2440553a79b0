"""HAProxy in a container: on this machine's engine it uses the environment's own files, on another machine files in
a volume."""

from __future__ import annotations

import io
import os
import tarfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath

from ....containers.engine import labels as names
from ....containers.engine.errors import EngineAway
from ....containers.observe.listing import ListedContainer
from ....errors import NotFound, Unreachable
from ....replacing import replace_file
from ...host import ports
from ...host.paths import INSTANCES, numbered, socket_path
from ...proxy.front import file_names
from ...proxy.placement import ProcessProxyHost, read_beside, reason
from .create import RUN_DIR, USER, ContainerRecipe, proxy, same_place
from .place import EngineObjects
from .relay import RelayTransport

_SETTLE_SECONDS = 0.15


class ContainerProxyHost(ABC):
    """The common part of both hosts. An instance that cannot start is removed again, and the error gives its reason."""

    socket: PurePath

    def __init__(self, place: EngineObjects, instance: int) -> None:
        self.place = place
        self.instance = instance
        self.name = place.called.proxy(instance)
        self.directory = place.setting.directory

    @property
    def path(self) -> Path:
        """Returns the local copy of the configuration as it was last written."""
        return self.directory.resolve() / numbered("haproxy.cfg", self.instance)

    @property
    def log(self) -> Path:
        return self.directory / numbered("proxy.log", self.instance)

    @abstractmethod
    def recipe(self) -> ContainerRecipe: ...

    def container(self) -> str | None:
        return next((one.id for one in self._mine() if one.running), None)

    def _mine(self) -> list[ListedContainer]:
        return [one for one in self.place.find(names.PROXY_ROLE) if one.name == self.name]

    def alive(self) -> bool:
        return self.container() is not None

    def config(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def write(self, text: str) -> None:
        replace_file(self.path, text)

    def file(self, name: str) -> str:
        return read_beside(self.path, name)

    def put(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            replace_file(self.path.with_name(name), text)

    @abstractmethod
    def require(self, bind: str, port: int) -> None: ...

    def start(self) -> None:
        """Starts the container, or resumes a paused one, which still has its port and connections."""
        mine = self._mine()
        paused = next((one.id for one in mine if one.state == "paused"), None)
        if paused is not None:
            self.place.start(paused)
            return
        self.place.proxy_image()
        for old in mine:
            self.place.remove(old.id)
        container = self.place.create(self.recipe())
        try:
            self.fill(container)
            self.place.start(container)
            self._settled(container)
        except BaseException:
            self.place.remove(container)
            raise

    @abstractmethod
    def fill(self, container: str) -> None:
        """Gives the container what it needs before it starts."""

    def _settled(self, container: str) -> None:
        """Waits long enough to see HAProxy fail: it ends immediately if it cannot listen, and Docker would restart
        it again and again. Raises Unreachable with its reason."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            found = self.place.inspect(container)
            state = found["State"] if found is not None else {"Running": False}
            if not state["Running"] or (found is not None and found["RestartCount"]):
                text = self.place.logs(container, 50).decode("utf-8", "replace")
                replace_file(self.log, text)
                raise Unreachable(
                    f"the proxy does not start: {reason(text)}", hint=f"read {self.log} for its whole output"
                )
            time.sleep(0.03)

    def reload(self) -> None:
        """Sends SIGUSR2, on which HAProxy's master starts a new worker that takes over the sockets of the old one."""
        container = self.container()
        if container is None:
            raise NotFound("the proxy's container is gone")
        with self.place.engine.doing("reloading the proxy"):
            self.place.engine.api.kill(container, "SIGUSR2")

    def stop(self) -> bool:
        found = self._mine()
        for one in found:
            self.place.remove(one.id)
        return bool(found)

    def look(self) -> str:
        return f"see `docker logs {self.name}`"


class LocalProxyHost(ContainerProxyHost):
    """Mounts the environment's directory under its own path and runs as the user of this process, so that the socket
    is as private as without Docker."""

    def __init__(self, place: EngineObjects, instance: int) -> None:
        super().__init__(place, instance)
        self.socket = socket_path(self.directory, instance)

    def recipe(self) -> ContainerRecipe:
        image = self.place.setting.environment.proxy_image
        mounts = same_place(self.directory, Path(self.socket))
        user = f"{os.getuid()}:{os.getgid()}"
        return proxy(self.place.called, self.instance, image, [self.path], mounts, user=user)

    def fill(self, container: str) -> None:
        """Does nothing: the container sees its files through mounts."""

    def require(self, bind: str, port: int) -> None:
        """Stops a proxy that an earlier podium.yaml ran as a process, then checks the port."""
        environment = self.place.setting.environment.name
        if any(one.state == "paused" for one in self.place.find(names.PROXY_ROLE)):
            return
        for instance in INSTANCES:
            ProcessProxyHost(self.directory, environment, instance).stop()
        ports.require(bind, port, environment=environment)


class RemoteProxyHost(ContainerProxyHost):
    """Keeps configuration and socket in a volume that only it and the relay mount; in a directory of it, since the
    engine gives the volume itself to root."""

    more: tuple[str, ...] = ()
    """The names of further files of configuration."""

    def __init__(self, place: EngineObjects, instance: int, relay: RelayTransport) -> None:
        super().__init__(place, instance)
        self._relay = relay
        self.home = PurePosixPath(RUN_DIR) / "proxy"
        self._config = self.home / numbered("haproxy.cfg", instance)
        self.socket = self.home / numbered("proxy.sock", instance)

    def recipe(self) -> ContainerRecipe:
        image = self.place.setting.environment.proxy_image
        mounts = [{"Type": "volume", "Source": self.place.volume("proxy"), "Target": RUN_DIR}]
        files = [self._config, *(self.home / name for name in self.more)]
        return proxy(self.place.called, self.instance, image, files, mounts, user=f"{USER}:{USER}")

    def require(self, bind: str, port: int) -> None:
        """Does nothing: only HAProxy itself can find out whether the port is free."""

    def write(self, text: str) -> None:
        super().write(text)
        container = self.container()
        if container is not None:
            self._replace(container, self._files())

    def put(self, files: Mapping[str, str]) -> None:
        super().put(files)
        container = self.container()
        if container is not None:
            self._replace(container, files)

    def fill(self, container: str) -> None:
        self._copy(container, self._files())

    def _files(self) -> dict[str, str]:
        """Returns name -> content of all that the container needs."""
        beside = {name: self.file(name) for name in self._beside()}
        return {**{name: text for name, text in beside.items() if text}, self._config.name: self.config()}

    def _beside(self) -> Sequence[str]:
        """Returns the names of the files that the configuration may name."""
        return file_names(self.instance)

    def _replace(self, container: str, files: Mapping[str, str]) -> None:
        """Writes files for a container that runs: through the relay, which has its directory and needs a tenth of
        the time in which an engine unpacks an archive. Where no relay can be had the engine does it."""
        try:
            self._relay.write(self.home, files)
        except EngineAway:
            raise
        except Unreachable:
            self._copy(container, files)

    def _copy(self, container: str, files: Mapping[str, str]) -> None:
        with self.place.engine.doing("copying the proxy's configuration"):
            self.place.engine.api.put_archive(container, RUN_DIR, _archive(self.home.name, files))


def _archive(directory: str, files: Mapping[str, str]) -> bytes:
    """Returns a tar with the directory, owned by the proxy's user, and the files in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        root = tarfile.TarInfo(directory)
        root.type, root.mode, root.uid, root.gid = tarfile.DIRTYPE, 0o700, USER, USER
        tar.addfile(root)
        for name, text in files.items():
            content, file = text.encode(), tarfile.TarInfo(f"{directory}/{name}")
            file.size, file.mode, file.uid, file.gid, file.mtime = len(content), 0o600, USER, USER, int(time.time())
            tar.addfile(file, io.BytesIO(content))
    return buffer.getvalue()
