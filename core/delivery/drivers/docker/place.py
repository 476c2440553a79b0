"""What one environment has on an engine: containers, a network and volumes, found by their labels and created if
they are missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from functools import cached_property, partial
from ipaddress import IPv4Network, ip_address
from typing import Any, TypeVar

from docker import errors as docker_errors
from docker.types import IPAMConfig, IPAMPool

from ....containers import Engine
from ....containers.engine import labels as names
from ....containers.engine.address import Address, of_environment
from ....containers.engine.connections import patiently, shared
from ....containers.images import registry, store
from ....containers.observe.listing import ListedContainer, Listing, listing
from ....errors import NotFound, Refused
from .. import DriverContext
from .create import ContainerRecipe, EngineNames

T = TypeVar("T")
_GONE_ERRORS = (docker_errors.NotFound,)
# The label of a network whose range was asked for: only there can containers have fixed addresses.
RANGE = "podium.range"
_CHOSEN = "chosen"


class EngineObjects:
    """Manages the containers, the network and the volumes of one environment of one checkout, and touches nothing
    else. Every method raises the errors of the engine."""

    def __init__(self, setting: DriverContext, address: Address | None = None) -> None:
        """`address` is the engine of one of several hosts, which are all reached alike: through their engines."""
        self.setting = setting
        self.address = of_environment(setting.project, setting.environment) if address is None else address
        self.local = address is None and self.address.local
        self.called = EngineNames(setting.project, setting.environment.name)
        self.listing: Listing = listing(self.address, setting.project.name, setting.project.home)

    @property
    def engine(self) -> Engine:
        return shared(self.address)

    def patiently(self, work: Callable[[], T]) -> T:
        return patiently(work, self.setting.patience, self.setting.say)

    def proxy_image(self) -> str:
        """Returns the proxy's image, pulled if the engine does not have it."""
        wanted = self.setting.environment.proxy_image
        if store.inspect(self.engine, wanted) is None:
            registry.pull(self.engine, wanted, say=self.setting.say)
        return wanted

    # Containers

    def find(self, role: str, replica: str = "") -> list[ListedContainer]:
        """Returns the environment's containers of a role, or of one replica."""
        return [
            one
            for one in self.patiently(self.listing.all).values()
            if one.role == role
            and one.environment == self.setting.environment.name
            and (not replica or one.replica == replica)
        ]

    def of_replica(self, replica: str) -> list[ListedContainer]:
        """Returns the containers of this replica id, whether a replica or the shadow of a replay."""
        return [*self.find(names.REPLICA_ROLE, replica), *self.find(names.SHADOW_ROLE, replica)]

    def seen(self, container: str) -> ListedContainer | None:
        found = self.patiently(self.listing.all).get(container)
        return found if found is not None and found.environment == self.setting.environment.name else None

    def create(self, recipe: ContainerRecipe, *, replace: bool = True, address: str = "") -> str:
        """Creates a container and returns its id, at `address` of its network if one is given. A container of this
        environment with the same name is removed first, or reused if `replace` is False; raises Refused if the name
        belongs to another owner."""
        config = recipe.stamped().config
        if address:
            network = config["HostConfig"]["NetworkMode"]
            config = {
                **config,
                "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}},
            }
        with self.engine.doing(f"creating {recipe.name}"):
            try:
                made = self.engine.api.create_container_from_config(config, recipe.name)
            except docker_errors.APIError as error:
                if error.status_code != 409:
                    raise
                other = self._ours(recipe)
                if not replace:
                    return other
                self.remove(other)
                made = self.engine.api.create_container_from_config(config, recipe.name)
        self.listing.forget()
        return str(made["Id"])

    def _ours(self, recipe: ContainerRecipe) -> str:
        """Returns this environment's container that already has the name."""
        other = self.engine.inspect(recipe.name)
        own: dict[str, str] = other["Config"].get("Labels") or {}
        ours = recipe.config["Labels"]
        if any(own.get(key) != ours.get(key) for key in (names.PROJECT, names.HOME, names.ROLE, names.ENVIRONMENT)):
            raise Refused(
                f"the container {recipe.name} exists already and does not belong to this environment",
                hint=f"remove or rename it: docker rm {recipe.name}",
            )
        return str(other["Id"])

    def start(self, container: str) -> dict[str, Any]:
        """Starts the container, or resumes it if it is paused; returns the engine's description of it."""
        engine = self.engine
        with engine.doing(f"starting {self.name_of(container)}"):
            try:
                engine.api.start(container)
            except docker_errors.APIError as error:
                if "paused" not in str(error.explanation).lower():
                    raise
                engine.api.unpause(container)
        self.listing.forget()
        return engine.inspect(container)

    def stop(self, container: str, grace: float) -> None:
        """Sends TERM, and KILL after `grace` seconds. A container that is gone or has ended is no error."""
        engine = self.engine
        with engine.doing(f"stopping {self.name_of(container)}"):
            try:
                engine.api.stop(container, timeout=max(1, round(grace)))
            except _GONE_ERRORS:
                pass
            except docker_errors.APIError as error:
                if "paused" not in str(error.explanation).lower():
                    raise
                engine.api.unpause(container)
                engine.api.stop(container, timeout=max(1, round(grace)))
        self.listing.forget()

    def remove(self, container: str) -> None:
        """Removes the container with its anonymous volumes. One that is gone or being removed is no error."""
        engine = self.engine
        with engine.doing(f"removing {self.name_of(container)}"):
            try:
                engine.api.remove_container(container, v=True, force=True)
            except _GONE_ERRORS:
                pass
            except docker_errors.APIError as error:
                if error.status_code != 409 or "already in progress" not in str(error.explanation):
                    raise
        self.listing.forget()

    def name_of(self, container: str) -> str:
        found = self.listing.cached(container)
        return found.name if found is not None else f"container {container[:12]}"

    def logs(self, container: str, lines: int) -> bytes:
        """Returns the last lines of a container's log."""
        engine = self.engine
        with engine.doing(f"reading the log of {self.name_of(container)}"):
            try:
                return bytes(engine.api.logs(container, tail=lines))
            except _GONE_ERRORS:
                return b""

    def inspect(self, container: str) -> dict[str, Any] | None:
        try:
            return self.engine.inspect(container)
        except NotFound:
            return None

    # What containers share

    @cached_property
    def network(self) -> str:
        """Returns the id of the environment's bridge network, created if it is missing."""
        engine = self.engine
        with engine.doing("creating the environment's network"):
            for last in (False, False, True):
                if found := self._usable_network(engine):
                    return found
                try:
                    return self._make_network(engine, last=last)
                except docker_errors.APIError as error:
                    if "address pool" in str(error.explanation):
                        hint = "run `docker network prune` to remove unused ones; `docker network ls` lists all"
                        raise Refused(
                            f"the engine at {self.address} has no addresses left for another network", hint=hint
                        ) from error
                    if last:
                        raise
                    # Another Podium process may be making the same one, or its range was taken in the meantime.
        raise AssertionError("unreachable")

    def _usable_network(self, engine: Engine) -> str:
        """Returns the id of the environment's network; empty if there is none. One that was left half-made counts as
        none, and is removed, unless something is on it."""
        found = self._described_networks()
        whole = next((one for one in found if _is_chosen(one)), None)
        if whole is not None:
            return str(whole["Id"])
        return next((str(one["Id"]) for one in found if not _removed_unused(engine, str(one["Id"]))), "")

    def _make_network(self, engine: Engine, *, last: bool) -> str:
        """Creates the network with an explicit range, since only in such a range can a container have a fixed
        address. The engine knows which ranges are free, so the network is created, its range read, and created again
        with it. Whoever is killed in between leaves one without the label that the second has. If the range was taken
        in the meantime, that is an error; the `last` time a range that the engine chooses has to do."""
        labels = self.called.labels(names.NETWORK_ROLE).all()
        create = partial(engine.api.create_network, self.called.of(), driver="bridge", check_duplicate=True)
        made = str(create(labels=labels)["Id"])
        subnet = _subnet(engine.api.inspect_network(made))
        if subnet is None:
            return made
        engine.api.remove_network(made)
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
        try:
            return str(create(labels={**labels, RANGE: _CHOSEN}, ipam=ipam)["Id"])
        except docker_errors.APIError:
            if not last:
                raise
            return str(create(labels=labels)["Id"])

    def connect(self, container: str, address: str, others: Collection[str]) -> None:
        """Connects a container to the environment's network, at its former address if that is free."""
        chosen = self.free_address(others, first=address)
        with self.engine.doing("connecting a container to its network"):
            self.engine.api.connect_container_to_network(container, self.network, ipv4_address=chosen or None)
        self.listing.forget()

    def free_address(self, others: Collection[str] = (), *, first: str = "") -> str:
        """Returns an address of the network that no container has, running or not, and that is none of `others` (which
        somebody has without the engine knowing it): `first` if that is one; empty if the engine has to choose. It stays
        the container's through every restart: the proxy must not find another version at an old address."""
        engine = self.engine
        with engine.doing("choosing an address"):
            network = engine.api.inspect_network(self.network)
            subnet = _subnet(network)
            if subnet is None or not _is_chosen(network):
                return ""
            attached: dict[str, dict[str, Any]] = network.get("Containers") or {}
            taken = {*others, *(str(one.get("IPv4Address", "")).partition("/")[0] for one in attached.values())}
        self.listing.forget()
        taken |= {one.wanted or one.address for one in self.patiently(self.listing.all).values()}
        if first and first not in taken and ip_address(first) in subnet:
            return first
        hosts = itertools.islice(subnet.hosts(), 1, 60_000)  # the first is the gateway
        return next((str(each) for each in hosts if str(each) not in taken), "")

    def networks(self) -> list[str]:
        """Returns the ids of the environment's networks."""
        return [str(one["Id"]) for one in self._described_networks()]

    def _described_networks(self) -> list[dict[str, Any]]:
        """Returns the environment's networks as the engine describes them, by their ids."""
        found = self.engine.api.networks(filters={"label": self.called.labels(names.NETWORK_ROLE).filters()})
        return sorted(found, key=lambda one: str(one["Id"]))

    def volume(self, what: str) -> str:
        """Returns the name of the environment's volume for `what`, created if it is missing."""
        name = self.called.of(what)
        with self.engine.doing(f"creating the volume {name}"):
            self.engine.api.create_volume(name, labels=self.called.labels(names.VOLUME_ROLE).all())
        return name

    def volumes(self) -> list[str]:
        """Returns the names of the environment's volumes."""
        answer = self.engine.api.volumes(filters={"label": self.called.labels(names.VOLUME_ROLE).filters()})
        found: list[dict[str, Any]] = answer.get("Volumes") or []
        return sorted(str(one["Name"]) for one in found)

    def clear(self) -> list[str]:
        """Removes every container of the environment, its network and its volumes; returns descriptions of what was
        removed."""
        done: list[str] = []
        self.listing.forget()
        mine = [one for one in self.listing.all().values() if one.environment == self.setting.environment.name]
        for one in mine:
            if one.role in (names.REPLICA_ROLE, names.SHADOW_ROLE, names.PROXY_ROLE, names.RELAY_ROLE):
                self.remove(one.id)
                done.append(f"the container {one.name}")
        engine = self.engine
        with engine.doing("removing the environment's network and volumes"):
            for network in self.networks():
                engine.api.remove_network(network)
                done.append("its network")
            for volume in self.volumes():
                engine.api.remove_volume(volume, force=True)
                done.append(f"the volume {volume}")
        self.__dict__.pop("network", None)
        return done


def _removed_unused(engine: Engine, network: str) -> bool:
    """Removes a network unless there is a container on it, running or not: the engine itself would leave those that do
    not run without one. Returns whether it is gone."""
    if engine.api.containers(all=True, filters={"network": network}):
        return False
    try:
        engine.api.remove_network(network)
    except _GONE_ERRORS:
        pass
    except docker_errors.APIError as error:
        if error.status_code != 403:
            raise
        return False  # a container came onto it a moment ago
    return True


def _is_chosen(network: dict[str, Any]) -> bool:
    """Tells whether the network's range was asked for: in another one the engine refuses fixed addresses. Networks that
    an earlier Podium made have no label; there the gateway tells, which an engine names only of a range that it chose
    itself."""
    labels: dict[str, str] = network.get("Labels") or {}
    configured: list[dict[str, Any]] = network["IPAM"].get("Config") or []
    return labels.get(RANGE) == _CHOSEN or (bool(configured) and not configured[0].get("Gateway"))


def _subnet(network: dict[str, Any]) -> IPv4Network | None:
    configured: list[dict[str, Any]] = network["IPAM"].get("Config") or []
    try:
        return IPv4Network(str(configured[0]["Subnet"]))
    except (IndexError, KeyError, ValueError):
        return None
