"""Docker: engine addresses, explained errors, and the labels of Podium's containers. Only `Engine` and `open_engine`
import the `docker` package, and only on first use: code that needs just an address or a label does not pay for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engine.labels import Labels

if TYPE_CHECKING:
    from .engine.client import Engine, open_engine

__all__ = ["Engine", "Labels", "open_engine"]


def __getattr__(name: str) -> Any:
    if name in ("Engine", "open_engine"):
        from .engine import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
