"""The driver `docker`: on one engine, or on those of several hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from . import Driver, DriverContext


def docker(setting: DriverContext) -> Driver:
    """Returns the driver of an environment that is served from containers."""
    if setting.environment.hosts:
        from .hosts.driver import HostsDriver

        return cast("Driver", HostsDriver(setting))
    from .docker.driver import DockerDriver

    return cast("Driver", DockerDriver(setting))
