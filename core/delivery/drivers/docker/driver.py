"""Runs replicas as containers of a Docker engine on this machine or another one, with HAProxy beside them."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ....containers.engine import labels
from ....containers.engine.address import Address
from ....domain.containers import Image
from ....domain.delivery import Replica
from ....domain.project import Environment
from ....domain.text import clean
from ....errors import NotFound, PodiumError, Refused, UsageError
from ....logs.reader import LogFile
from ....signatures.allowed import Unsigned
from ...host.paths import INSTANCES, private
from ...proxy.placement import ProcessProxyHost, ProxyHost
from ...proxy.proxy import Instance, Proxy
from ...proxy.transport import DirectTransport, Transport
from .. import DriverContext, OneHost, OwnedNames, ReplicaSpec, StartedReplica, addresses_beside
from . import create
from .captures import bring
from .create import PORT, SPEC
from .place import EngineObjects
from .proxy import LocalProxyHost, RemoteProxyHost
from .relay import RelayTransport
from .signed import is_among

# Where a replica that ended at once is said to be: an address that leads nowhere (RFC 5737), never to another
# container.
UNUSED_ADDRESS = "192.0.2.1"
_LOG_LINES = 15
_HEALTH_LINES = 3
_MAX_LAST_LINE = 200  # characters
_KILLED_EXIT_CODE = 137


class DockerDriver(OneHost):
    """Implements Driver with containers: one per replica on the environment's own network."""

    def __init__(self, setting: DriverContext, address: Address | None = None) -> None:
        """`address` is the engine of one of several hosts (`drivers/hosts/`)."""
        self.setting = setting
        self.place = EngineObjects(setting, address)
        self._images: dict[int, Image] = {}

    @property
    def environment(self) -> Environment:
        return self.setting.environment

    # Transport

    def _placement(self, instance: int) -> ProxyHost:
        if self.environment.proxy == "host":
            if not self.place.local:
                hint = "remove `proxy`: HAProxy then runs beside them"
                raise UsageError(
                    f"environments.{self.environment.name}.proxy is `host`, and its replicas are on"
                    f" {self.place.address}",
                    hint=hint,
                )
            return ProcessProxyHost(self.setting.directory, self.environment.name, instance)
        if isinstance(self.transport, RelayTransport):
            return RemoteProxyHost(self.place, instance, self.transport)
        return LocalProxyHost(self.place, instance)

    @cached_property
    def transport(self) -> Transport:
        return DirectTransport() if self.place.local else RelayTransport(self.place)

    @cached_property
    def proxy(self) -> Proxy:
        return Proxy(
            [Instance(number, self._placement(number), self.transport) for number in INSTANCES],
            patiently=self.place.patiently,
        )

    def url(self) -> str:
        bind = self.environment.bind
        everywhere = bind in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        host = self.place.address.host if everywhere and not self.place.local else bind
        return self.environment.url(host)

    # Before a change

    def prepare(self, version: int) -> None:
        """Makes the image of the version and that of the proxy available; nothing that runs is touched."""
        self.place.patiently(self._check)
        self._image(version)
        if self.environment.proxy != "host":
            self.place.patiently(self.place.proxy_image)

    def _check(self) -> None:
        """Raises UsageError for an engine whose containers are in a virtual machine or a network of their own, which
        neither Podium nor the proxy can reach."""
        if not self.place.local:
            return
        about = self.place.engine.info()
        options: list[str] = about.get("SecurityOptions") or []
        rootless = any("rootless" in option for option in options)
        if rootless or "Docker Desktop" in str(about.get("OperatingSystem") or ""):
            what = "runs without root" if rootless else "is Docker Desktop"
            hint = (
                "name an engine that runs as root on Linux (`host: ssh://…` for another machine), or use `driver:"
                " process` here"
            )
            raise UsageError(
                f"the engine at {self.place.address} {what}: its containers' addresses cannot be reached from this"
                " machine",
                hint=hint,
            )

    def _image(self, version: int) -> Image:
        from ....serving.image.build import require

        setting = self.setting
        if version not in self._images:
            work = partial(
                require,
                setting.project,
                setting.journal,
                version,
                self.place.address,
                model=setting.model,
                say=setting.say,
            )
            self._images[version] = self.place.patiently(work)
        return self._images[version]

    def start_cost(self, version: int) -> tuple[float, str]:
        """Returns the time that a missing image takes to build or pull."""
        from ....containers.images import store

        journal, model = self.setting.journal, self.setting.model
        known = journal.images.get(model, version, str(self.place.address))
        if known is not None and store.inspect(self.place.engine, known.image_id) is not None:
            return 0.0, "its image exists"
        built = [image for image in journal.images.of(model) if image.version == version]
        if any(image.digest for image in built):
            return 30.0, "its image has to be pulled"
        return max([image.seconds for image in built], default=60.0), "its image has to be built"

    # Replicas

    def port(self, wanted: int, taken: Collection[int]) -> int:
        return PORT

    def start(self, spec: ReplicaSpec) -> StartedReplica:
        return self.place.patiently(lambda: self._start(spec))

    def is_known(self, spec: ReplicaSpec) -> bool:
        """Tells whether a start needs the journal no more, which belongs to one thread: the image of a new container is
        required here and now, and that of a kept one is looked for."""
        if not spec.container:
            self._image(spec.version)
        elif spec.version not in self._images:
            from ....containers.images import store

            noted = self.setting.journal.images.get(spec.model, spec.version, str(self.place.address))
            if noted is not None and store.inspect(self.place.engine, noted.image_id) is not None:
                self._images[spec.version] = noted
        return spec.version in self._images

    def _start(self, spec: ReplicaSpec) -> StartedReplica:
        self.place.listing.forget()
        found = self.place.of_replica(spec.id)
        kept = next((one for one in found if one.id == spec.container and one.image_id), None)
        for other in found:
            if other is not kept:
                self.place.remove(other.id)
        if kept is not None:
            self._ensure_signed(spec, kept.image_id)
            known = self._images.get(spec.version) or self.setting.journal.images.get(
                spec.model, spec.version, str(self.place.address)
            )
            wanted = self._recipe(spec, known.reference) if known is not None else None
            if wanted is None or kept.labels.get(SPEC) == wanted.stamp:
                try:
                    return self._started(kept.id, kept.image_id)
                except (NotFound, Refused):
                    pass  # it was just removed, or another container has its address now
            self.place.remove(kept.id)
        image = self._image(spec.version)
        self._ensure_signed(spec, image.reference)
        recipe = self._recipe(spec, image.reference)
        for last in (False, False, True):
            container = self.place.create(recipe, address=self.place.free_address(spec.taken))
            self._ensure_signed(spec, container, made=True)
            try:
                return self._started(container, image.image_id)
            except Refused:  # another Podium process took the same address first
                if last:
                    raise
        raise AssertionError("unreachable")

    def _ensure_signed(self, spec: ReplicaSpec, reference: str, *, made: bool = False) -> None:
        """Raises Unsigned unless the image is one of those that may be started, by what the engine says of it: ids are
        digests, and the engine computes them again of all that is brought to it. Of a container that was made (`made`)
        the image is asked that it was made from; it is removed if that is another one."""
        if spec.images is None:
            return
        from ....containers.images import store

        image_id = str((self.place.inspect(reference) or {}).get("Image") or "") if made else reference
        found = store.inspect(self.place.engine, image_id) or {}
        if is_among(found, spec.images):
            return
        if made:
            self.place.remove(reference)
        which = str(found.get("Id") or "")[7:19] or image_id[:19]
        raise Unsigned(
            f"{spec.model} version {spec.version} may not be served: its image {which} is not what was signed",
            hint=f"somebody who may can sign it: podium evidence sign v{spec.version}",
        )

    def _recipe(self, spec: ReplicaSpec, reference: str) -> create.ContainerRecipe:
        return create.replica(
            self.place.called,
            spec,
            reference,
            self.environment,
            network=self.place.network,
            capture=self._capture(spec.capture_dir),
            local=self.place.local,
        )

    def _capture(self, directory: Path) -> str:
        """Returns where replicas write captures: the environment's own directory if they can reach it, else a volume
        beside them."""
        if not self.place.local:
            return self.place.volume("capture")
        owner = create.capture_owner()
        private(directory)
        if owner is not None and directory.stat().st_uid != owner:
            os.chown(directory, owner, owner)
        return str(directory.resolve())

    def _started(self, container: str, image: str) -> StartedReplica:
        found = self.place.start(container)
        networks: dict[str, dict[str, Any]] = found["NetworkSettings"].get("Networks") or {}
        address = next((str(one["IPAddress"]) for one in networks.values() if one.get("IPAddress")), "")
        return StartedReplica(address or UNUSED_ADDRESS, container=container, image=image)

    def enable_restart(self, replica: Replica) -> None:
        """Lets the engine restart the replica from now on, also after a reboot without an agent, and gives it its
        full share of the CPU. Before it was healthy, a replica that ends must stay ended, so that its failure can be
        read."""
        self.place.patiently(lambda: self._enable_restart(replica))

    def _enable_restart(self, replica: Replica) -> None:
        engine = self.place.engine
        with engine.doing(f"setting the restart policy of {replica.id}"):
            engine.api.update_container(
                replica.container, restart_policy={"Name": "unless-stopped"}, cpu_shares=create.SHARES
            )

    def stop(self, replica: Replica, *, grace: float) -> None:
        self.place.patiently(lambda: self._stop(replica, grace))

    def _stop(self, replica: Replica, grace: float) -> None:
        self.place.listing.forget()
        for one in {
            *([replica.container] if replica.container else []),
            *(each.id for each in self.place.of_replica(replica.id)),
        }:
            self.place.stop(one, grace)
            self.place.remove(one)

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        if not replica.container or self.place.patiently(lambda: self.place.inspect(replica.container)) is None:
            return False
        self.place.patiently(lambda: self.place.stop(replica.container, grace))
        return True

    def kept(self, replica: Replica) -> bool:
        return bool(replica.container) and self.place.seen(replica.container) is not None

    def alive(self, replica: Replica) -> bool:
        found = self.place.seen(replica.container) if replica.container else None
        return found is not None and found.running

    def current_address(self, replica: Replica) -> str:
        found = self.place.seen(replica.container) if replica.container else None
        return found.address if found is not None and found.address else replica.address

    def is_restarting(self, replica: Replica) -> bool:
        found = self.place.seen(replica.container) if replica.container else None
        return found is not None and found.state == "restarting"

    def stop_lost(self, marker: str) -> int:
        return self.place.patiently(lambda: self._stop_lost(marker.removeprefix(f"{self.setting.project.home}:")))

    def _stop_lost(self, replica: str) -> int:
        self.place.listing.forget()
        lost = self.place.of_replica(replica)
        for one in lost:
            self.place.stop(one.id, 2.0)
            self.place.remove(one.id)
        return len(lost)

    def owned_names(self) -> OwnedNames:
        called = self.place.called
        proxies = {number: called.proxy(number) for number in INSTANCES}
        helpers = {called.of("relay"): labels.RELAY_ROLE, **dict.fromkeys(proxies.values(), labels.PROXY_ROLE)}
        return OwnedNames(called.of(), proxies, helpers)

    def cut_off(self, replica: Replica) -> bool:
        found = self.place.seen(replica.container) if replica.container else None
        return found is not None and found.running and not found.address

    def connect(self, replica: Replica) -> None:
        """As in Driver."""
        rows = self.setting.journal.replicas.of(self.setting.environment.name)
        self.place.connect(replica.container, replica.address, addresses_beside(replica.id, rows))

    def after_rollout(self) -> None:
        """Does nothing: what is not kept was removed with its replica."""

    def teardown(self) -> list[str]:
        return self.place.patiently(self.place.clear)

    def captures(self) -> Path:
        return self.setting.directory / "capture" if self.place.local else self.bring_captures()

    def bring_captures(self) -> Path:
        """Copies the requests that replicas captured on the engine's machine to this one; returns the directory."""
        return self.place.patiently(lambda: bring(self.place, self.setting.directory / "captured"))

    # What went wrong

    def failure_report(self, replica: Replica, log: Path) -> str:
        """Returns the end of the replica's log, how it ended, and the last results of its health check. Saves the
        log beside those of processes, since the container will be removed."""
        from ....containers.observe.log_collector import read_all

        try:
            found = self.place.inspect(replica.container) if replica.container else None
            if found is None:
                return ""
            # The same file that the agent collects: if it does, nothing is left to read.
            read_all(self.place.engine, replica.container, log, secrets=self.setting.project.secrets)
        except (PodiumError, OSError) as error:
            return f"({error})"
        said = "\n".join(clean(line.text) for line in LogFile(log).tail(_LOG_LINES))
        lines = [said, self._end(found), *_health(found)]
        return "\n".join(line for line in lines if line)

    def ending(self, replica: Replica, log: Path) -> str:
        try:
            found = self.place.inspect(replica.container) if replica.container else None
            said = self.place.logs(replica.container, 1) if found is not None else b""
        except PodiumError:
            return ""
        last = clean(said.decode("utf-8", "replace").strip())[:_MAX_LAST_LINE]
        end = self._end(found).rstrip(".") if found is not None else "its container was removed"
        words = [f"{end[:1].lower()}{end[1:]}", f"its log ends with: {last}" if last else ""]
        return ", ".join(word for word in words if word)

    def _end(self, found: dict[str, Any]) -> str:
        state: dict[str, Any] = found["State"]
        if state.get("Running"):
            return ""
        code = int(state.get("ExitCode") or 0)
        if state.get("OOMKilled"):
            limit = self.environment.memory
            key = f"environments.{self.environment.name}.memory"
            words = f"than its {limit >> 20} MiB ({key})" if limit else f"than the machine had ({key} sets a limit)"
            return f"It was killed (exit code {code}) for using more memory {words}."
        if code == _KILLED_EXIT_CODE:
            return "It was killed from outside (exit code 137), not for using too much memory."
        return f"It ended with exit code {code}." + (
            f" {clean(str(state['Error']))[:300]}" if state.get("Error") else ""
        )


def _health(found: dict[str, Any]) -> list[str]:
    """Returns the last results of the image's health check, if it has one."""
    health: dict[str, Any] = found["State"].get("Health") or {}
    checks: list[dict[str, Any]] = health.get("Log") or []
    shown = [
        f"  exit code {one.get('ExitCode')}: {clean(' '.join(str(one.get('Output') or 'no output').split()))[:200]}"
        for one in checks[-_HEALTH_LINES:]
    ]
    return ["Its health check said:", *shown] if shown else []
