"""Runs replicas as services of a Swarm, one for each, so that it may start them again on any node; weights, draining,
canaries and the way back are those of the proxy, which is on the manager that podium.yaml names.

The container of a replica's row is its service. Its address is that of the service's task in the environment's overlay
network: it changes when the Swarm starts another task, and healing tells the proxy.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ....containers.engine.address import of_environment
from ....containers.observe.services import HEALTHY
from ....domain.delivery import Replica
from ....domain.text import clean
from ....errors import PodiumError, Refused, UsageError
from ....logs.reader import LogFile
from ...host.paths import private, safe
from ...proxy.haproxy import ProxyLayout
from ...proxy.transport import Transport
from .. import DriverContext, ReplicaSpec, StartedReplica
from ..docker.captures import bring
from ..docker.create import SPEC
from ..docker.driver import UNUSED_ADDRESS, DockerDriver
from . import moving, recipe
from .place import SwarmObjects
from .proxy import Door, DoorProxyHost

_LOG_LINES = 15
# Docker 20.10: the first whose services drop capabilities and limit processes.
_MIN_API = (1, 41)
_NOWHERE = "no suitable node"


class SwarmDriver(DockerDriver):
    """Implements Driver with services of a Swarm."""

    def __init__(self, setting: DriverContext) -> None:
        address = of_environment(setting.project, setting.environment)
        super().__init__(setting, address)
        self.place = self.swarm = SwarmObjects(setting, address)

    # Transport

    def _placement(self, instance: int) -> DoorProxyHost:
        return DoorProxyHost(self.swarm, instance, self.door)

    @cached_property
    def door(self) -> Door:
        return Door(self.swarm)

    @cached_property
    def transport(self) -> Transport:
        return self.door

    def listens(self) -> str:
        return recipe.INSIDE

    def doors(self) -> Sequence[str]:
        return ("127.0.0.1",)

    def tend(self, rows: Sequence[Replica], layout: Callable[[], ProxyLayout]) -> list[str]:
        if not rows:
            return []
        moving.follow_door(self.swarm)
        return moving.off_paused_nodes(self, rows)

    # Before a change

    def prepare(self, version: int) -> None:
        """Makes the image of the version available on the manager and on the nodes that podium.yaml names."""
        super().prepare(version)
        self._bring(version)

    def _check(self) -> None:
        """Raises UsageError for an engine that is no manager of a Swarm, or too old, and Refused for one that lets the
        proxy onto no network."""
        engine = self.place.engine
        about: dict[str, Any] = engine.info().get("Swarm") or {}
        if not about.get("ControlAvailable"):
            state = "a worker" if about.get("LocalNodeState") == "active" else "in none"
            raise UsageError(
                f"the engine at {self.place.address} is no manager of a Swarm: it is {state}",
                hint="name a manager as `host` (docker node ls shows them), or make it one: docker swarm init",
            )
        if tuple(int(part) for part in str(engine.api.api_version).split(".")) < _MIN_API:
            raise UsageError(
                f"the Docker engine at {self.place.address} is too old for driver: swarm (API"
                f" {engine.api.api_version})",
                hint="install Docker 20.10 or newer",
            )
        self.swarm.services.forget()
        node = self.swarm.view().nodes.get(str(about.get("NodeID") or ""))
        if node is not None and node.availability != "active" and self.door.standing() is None:
            raise Refused(
                f"the manager {node.name}, where the proxy belongs, has the availability `{node.availability}`, and a"
                " Swarm lets nothing onto its networks there",
                hint=f"docker node update --availability active {node.name}; constraints: [node.role != manager] keeps"
                " replicas away from it",
            )

    def _bring(self, version: int) -> None:
        """Brings the image to the nodes. One that does not answer gets no replica."""
        from ....containers.engine.errors import EngineAway
        from ....serving.image.everywhere import require_everywhere

        setting = self.setting
        there = {str(each.address): each.address for each in (self.place, *self.swarm.nodes)}
        if len(there) == 1:
            return
        failed = require_everywhere(
            setting.project, setting.journal, version, there, model=setting.model, say=setting.say
        )
        for error in failed.values():
            if not isinstance(error, EngineAway):
                raise error
            setting.say(f"{error.message}; it gets no replica")

    # Replicas

    def _start(self, spec: ReplicaSpec) -> StartedReplica:
        swarm = self.swarm
        swarm.services.forget()
        kept = swarm.service(spec.container) if spec.container else None
        for other in swarm.replicas(spec.id):
            if kept is None or other.id != kept.id:
                swarm.end(other)
        image = self._image(spec.version)
        self._ensure_signed(spec, image.reference)
        wanted = recipe.service(
            self._recipe(spec, image.reference),
            swarm.network,
            self.environment,
            recipe.volume_labels(swarm.called),
        )
        service = ""
        if kept is not None:
            if kept.labels.get(SPEC) == wanted.stamp and not kept.wanted and swarm.run(kept):
                service = kept.id
            else:
                swarm.end(kept)
        service = service or swarm.make(wanted)
        task = swarm.task(service)
        address = task.address if task is not None else ""
        return StartedReplica(address or UNUSED_ADDRESS, container=service, image=image.image_id)

    def enable_restart(self, replica: Replica) -> None:
        self.place.patiently(lambda: self.swarm.approve(replica.container))

    def _stop(self, replica: Replica, grace: float) -> None:
        swarm = self.swarm
        swarm.services.forget()
        found = {each.id: each for each in swarm.replicas(replica.id)}
        if replica.container and (own := swarm.service(replica.container)) is not None:
            found[own.id] = own
        for each in found.values():
            swarm.end(each)

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        found = self.swarm.service(replica.container) if replica.container else None
        if found is None:
            return False
        self.place.patiently(lambda: self.swarm.halt(found))
        return True

    def kept(self, replica: Replica) -> bool:
        return bool(replica.container) and self.swarm.service(replica.container) is not None

    def alive(self, replica: Replica) -> bool:
        """Returns True, too, for one that is being started for the first time: until a task of it has failed, or the
        Swarm finds no node for it."""
        found = self.swarm.service(replica.container) if replica.container else None
        if found is None or not found.wanted:
            return False
        task = found.current
        if HEALTHY in found.labels:
            return task is not None and task.running
        if found.failure is None and task is not None and _NOWHERE in task.error:
            return self.swarm.loosen(found)
        return found.failure is None

    def is_restarting(self, replica: Replica) -> bool:
        found = self.swarm.service(replica.container) if replica.container else None
        if found is None or not found.wanted or HEALTHY not in found.labels:
            return False
        return found.current is None or not found.current.running

    def displaced(self, replica: Replica) -> bool:
        found = self.swarm.service(replica.container) if replica.container else None
        if found is None or not found.wanted or HEALTHY not in found.labels:
            return False
        view, task = self.swarm.view(), found.current
        if task is not None and task.running:
            return not view.answers(task.node)
        before = next((each for each in found.tasks if each is not task and each.node), None)
        return before is not None and not view.answers(before.node)

    def current_address(self, replica: Replica) -> str:
        found = self.swarm.service(replica.container) if replica.container else None
        task = found.current if found is not None else None
        return task.address if task is not None and task.address else replica.address

    def _stop_lost(self, replica: str) -> int:
        self.swarm.services.forget()
        lost = self.swarm.replicas(replica)
        for each in lost:
            self.swarm.end(each)
        return len(lost)

    def cut_off(self, replica: Replica) -> bool:
        return False

    def connect(self, replica: Replica) -> None:
        """Does nothing: no task is without its network."""

    def captures(self) -> Path:
        """Brings the captured requests of the manager and of the nodes that podium.yaml names into one directory; files
        of one name are told apart by their nodes. A node that does not answer is left out, and told."""
        into = self.setting.directory / "captured"
        shutil.rmtree(into, ignore_errors=True)
        private(into)
        for place in (self.place, *self.swarm.nodes):
            part = self.setting.directory / "captured-of-a-node"
            try:
                bring(place, part)
            except PodiumError as error:
                self.setting.say(f"{error.message}; its captures are not among these")
                continue
            for path in sorted(part.iterdir()):
                target = into / path.name
                if target.exists():
                    stem, dot, ending = path.name.partition(".")
                    target = into / f"{stem}-{safe(str(place.address))}{dot}{ending}"
                path.replace(target)
            shutil.rmtree(part, ignore_errors=True)
        return into

    # What went wrong

    def failure_report(self, replica: Replica, log: Path) -> str:
        """Returns the end of the log of the replica's tasks and what became of them. Saves the log."""
        from ....containers.observe.log_collector import read_all

        try:
            found = self.swarm.service(replica.container) if replica.container else None
            if found is None:
                return ""
            read_all(self.place.engine, found.id, log, secrets=self.setting.project.secrets, service=True)
        except (PodiumError, OSError) as error:
            return f"({error})"
        said = "\n".join(clean(line.text) for line in LogFile(log).tail(_LOG_LINES))
        return "\n".join(line for line in (said, self._ended(replica)) if line)

    def _ended(self, replica: Replica) -> str:
        found = self.swarm.service(replica.container) if replica.container else None
        if found is None:
            return ""
        task = found.failure or found.current
        if task is None:
            return ""
        where = f" on {self.swarm.view().name(task.node)}" if task.node else ""
        code = (
            f"It ended with exit code {task.exit_code}{where}. " if task.exit_code is not None and task.failed else ""
        )
        return f"{code}{f'The Swarm says: {clean(task.error)[:300]}' if task.error else ''}".strip()

    def ending(self, replica: Replica, log: Path) -> str:
        try:
            found = self.swarm.service(replica.container) if replica.container else None
            end = self._ended(replica).rstrip(".") if found is not None else "its service was removed"
        except PodiumError:
            return ""
        return f"{end[:1].lower()}{end[1:]}"
