"""Docker: which engine, what its errors mean, and what Podium calls its containers. Only `Engine` and `open_engine`
load the `docker` package, when they are first asked for: who only wants an address or a label pays nothing."""

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
