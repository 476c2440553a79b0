"""Keeps what steps produced by its content, and restores it. Outputs are read and written through `core/beneath`."""

from .store import Cache, RestoreResult, StoredResult, keyed

__all__ = ["Cache", "RestoreResult", "StoredResult", "keyed"]
