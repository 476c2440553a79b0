"""What an engine runs for an environment, as far as it is known now: what the agent keeps up to date, else a look of our own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..domain.containers import Picture
from ..errors import PodiumError

if TYPE_CHECKING:
    from .site import Site

_lock = threading.Lock()
_last: dict[tuple[str, str], Picture] = {}


def picture(site: Site, *, fresh: bool = False) -> Picture | None:
    """None for an environment that no engine serves. `fresh` asks the engine in any case, and each container closely.

    While an agent follows the engine, what it wrote is true however long ago that was. Where none does, the engine is asked; one that does not answer
    gives a picture with a message.
    """
    if site.environment.driver != "docker":
        return None
    kept = site.journal.pictures.get(site.name)
    if not fresh and kept is not None:
        agent = site.journal.agent.status()
        if agent.alive and agent.started is not None and kept.at >= agent.started:
            return kept
    return _look(site, kept, fresh=fresh)


def _look(site: Site, kept: Picture | None, *, fresh: bool) -> Picture:
    from ..containers.address import of_environment
    from ..containers.picture import take
    from ..containers.shared import LOOK, shared

    key = (str(site.project.home), site.name)
    with _lock:
        before = _last.get(key)
    try:
        address = of_environment(site.project, site.environment)
        found = take(shared(address, timeout=LOOK), site.project, site.environment, before, dirty=None if fresh or before is None else ())
    except PodiumError as error:
        last = kept or before
        return Picture(site.name, last.engine if last else site.environment.host, last.at if last else 0.0, last.containers if last else (), error.message)
    with _lock:
        _last[key] = found
    return found
