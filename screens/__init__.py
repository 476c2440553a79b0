"""The screens by name. Each is imported when it is first shown, so that the first paint pays for one alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def _late(module: str, name: str) -> Callable[..., Any]:
    def make(*arguments: Any) -> Any:
        return getattr(importlib.import_module(f".{module}", __name__), name)(*arguments)

    return make


SCREENS: dict[str, Callable[..., Any]] = {
    "overview": _late("overview", "OverviewScreen"),
    "runs": _late("runs", "RunsScreen"),
    "models": _late("models", "ModelsScreen"),
    "environments": _late("environments", "EnvironmentsScreen"),
    "containers": _late("containers", "ContainersScreen"),
    "compare": _late("compare", "CompareScreen"),
}
