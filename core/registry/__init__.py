"""MLflow as Podium sees it: versions, aliases, lineage tags, metric histories, comparison."""

from .store import Registry, TrackedRun, open_registry

__all__ = ["Registry", "TrackedRun", "open_registry"]
