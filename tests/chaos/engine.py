"""What a world has on a Docker engine: images of its versions before it begins, what is there of it now, and its
end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.delivery.host.paths import INSTANCES

from tests.chaos import light_image
from tests.chaos.world import World
from tests.servers import images


def furnish(world: World, engine: Engine, behaviour: Mapping[int, bytes] | None = None) -> None:
    """HAProxy's image, and one for each version, as `uses: image` would have left them."""
    images.ensure(engine.api, images.HAPROXY)
    light_image.base(engine.api)
    project = world.cockpit.project.config
    own = Labels(project.name, project.home, names.IMAGE_ROLE).all()
    for number, digest in world.digests.items():
        labels = {**own, names.MODEL: world.model, names.VERSION: str(number), names.DIGEST: digest}
        light_image.version(
            engine.api,
            f"{world.model}:v{number}",
            (behaviour or {}).get(number, b"{}"),
            labels,
            {"PODIUM_SERVING_VERSION": str(number)},
        )


def mark(world: World) -> str:
    """The label by which everything of this world is found."""
    return f"{names.HOME}={names.home_id(world.home)}"


def containers(world: World, engine: Engine) -> list[dict[str, Any]]:
    return engine.api.containers(all=True, filters={"label": mark(world)})


def strays(world: World, engine: Engine) -> list[str]:
    """Containers that no row of the journal knows, more or fewer instances of the proxy than there should be, a
    second network, volumes; in words."""
    known = {row.container: row.id for row in world.cockpit.journal.replicas.of("production")}
    found: list[str] = []
    proxies: list[str] = []
    for container in containers(world, engine):
        role = container["Labels"].get(names.ROLE)
        if role == names.PROXY_ROLE:
            proxies.append(f"{container['Names']} {container['Status']}")
        elif container["Id"] in known:
            known.pop(container["Id"])
        elif role != names.RELAY_ROLE:
            found.append(f"a stray container {container['Names']} ({role}, {container['Status']})")
    if len(proxies) != len(INSTANCES):
        found.append(f"{len(proxies)} instances of the proxy: {proxies}")
    networks = engine.api.networks(filters={"label": mark(world)})
    if len(networks) > 1:
        found.append(f"more networks than one: {[network['Name'] for network in networks]}")
    volumes = [volume["Name"] for volume in engine.api.volumes(filters={"label": mark(world)}).get("Volumes") or []]
    # On another machine the proxy's files and the captures are in a volume each; beside us nothing is.
    if len(volumes) > (2 if "ssh" in str(world.more.get("host")) else 0):
        found.append(f"stray volumes: {volumes}")
    return [
        *found,
        *(f"{name} is in the journal and no container {container[:12]} is there" for container, name in known.items()),
    ]


def evidence(world: World, engine: Engine) -> str:
    lines = [
        f"docker: {one['Names']} {one['State']} {one['Status']} {one['Image']} {one['Labels'].get(names.ROLE)}"
        for one in containers(world, engine)
    ]
    return "\n".join(lines)


def clear(world: World, engine: Engine, *, network: bool = True) -> None:
    """Nothing of this world stays on the engine. `network`: whether one of its networks would be this engine's own."""
    with engine.doing("clearing away"):
        _clear(world, engine.api, network)


def _clear(world: World, api: Any, network: bool) -> None:
    for container in api.containers(all=True, filters={"label": mark(world)}):
        api.remove_container(container["Id"], force=True, v=True)
    for found in api.networks(filters={"label": mark(world)}) if network else ():
        api.remove_network(found["Id"])
    for volume in api.volumes(filters={"label": mark(world)}).get("Volumes") or []:
        api.remove_volume(volume["Name"], force=True)
    for image in api.images(filters={"label": mark(world)}):
        api.remove_image(image["Id"], force=True)
