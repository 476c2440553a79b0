"""Pauses containers of a real engine."""

from __future__ import annotations

from typing import Any

from docker.errors import APIError

from tests.support import wait_until


def pause(api: Any, container: str) -> None:
    """Pauses a container by the engine's API. On a busy machine the kernel is late in freezing it, and runc gives up: then again."""
    wait_until(lambda: _paused(api, container), 30, what=f"{container} is paused")


def _paused(api: Any, container: str) -> bool:
    try:
        api.pause(container)
    except APIError as error:
        if "unable to freeze" not in str(error):
            raise
        return False
    return True
