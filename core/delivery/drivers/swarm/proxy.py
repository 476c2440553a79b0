"""HAProxy behind the environment's door: a container on the manager that is on the services' network, with the
environment's port. The instances of the proxy share its network, and so does Podium's relay, which is the same
container."""

from __future__ import annotations

from ....containers import Engine
from ....containers.engine import labels as names
from ....containers.observe.listing import ListedContainer
from ..docker.create import ContainerRecipe
from ..docker.proxy import RemoteProxyHost
from ..docker.relay import RelayTransport
from . import recipe
from .place import SwarmObjects


class Door(RelayTransport):
    """The transport to an environment's replicas and proxy, over its door."""

    def __init__(self, place: SwarmObjects) -> None:
        super().__init__(place)
        self._swarm = place

    def container(self) -> str:
        """Returns the id of the door's container, started where it does not run."""
        return self._open()[1]

    def standing(self) -> ListedContainer | None:
        """Returns the door's container if it runs and clients reach it where podium.yaml says."""
        wanted = recipe.published(self._swarm.setting.environment)
        found = (one for one in self._swarm.find(names.RELAY_ROLE) if one.running)
        return next((one for one in found if one.labels.get(recipe.PUBLISHED) == wanted), None)

    def _open(self) -> tuple[Engine, str]:
        """Returns the engine and the door's container. One at another port is removed: the proxy follows it."""
        place = self._swarm
        place.listing.forget()
        wanted = recipe.published(place.setting.environment)
        for old in place.find(names.RELAY_ROLE):
            if old.labels.get(recipe.PUBLISHED) != wanted:
                place.remove(old.id)
        return super()._open()

    def _recipe(self, image: str) -> ContainerRecipe:
        return recipe.door(super()._recipe(image), self._swarm.network, self._swarm.setting.environment)


class DoorProxyHost(RemoteProxyHost):
    """An instance of HAProxy behind the door. One whose door is gone is useless, and counts as gone, too."""

    def __init__(self, place: SwarmObjects, instance: int, door: Door) -> None:
        super().__init__(place, instance, door)
        self._door = door

    def recipe(self) -> ContainerRecipe:
        return recipe.behind(super().recipe(), self._door.container())

    def container(self) -> str | None:
        door = self._door.standing()
        mine = (one for one in self._mine() if one.running)
        return next((one.id for one in mine if door is not None and one.labels.get(recipe.DOOR) == door.id), None)
