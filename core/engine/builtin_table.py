"""The built-in steps by name. Each is a function `(StepContext) -> Mapping[str, Any]`, loaded late; its answer
(JSON) becomes the step's results. Other packages add theirs as entry points of `podium.steps`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MissingExtra
from .context import StepContext

Builtin = Callable[[StepContext], Mapping[str, Any] | None]

BUILTINS = {
    "register": "podium.core.registry.register_step:register",
    "gate": "podium.core.quality.gate_step:gate",
    "image": "podium.core.serving.image.image_step:image",
    "deploy": "podium.core.delivery.rollout.change_steps:deploy",
    "promote": "podium.core.delivery.rollout.change_steps:promote",
    "rollback": "podium.core.delivery.rollout.change_steps:rollback",
    "repair": "podium.core.delivery.repair.plan:repair",
    "replay": "podium.core.delivery.replay.replay_step:replay",
}


def known(name: str) -> bool:
    """Whether there is a built-in step of that name. Imports none."""
    return name in BUILTINS or _entry_point(name) is not None


def load(name: str) -> Builtin:
    """MissingExtra when no installed package has a built-in step of that name, or when it needs something that is
    missing."""
    target = BUILTINS.get(name) or _entry_point(name)
    if target is None:
        raise MissingExtra(
            f"there is no built-in step {name!r} in this version",
            hint=f"`uses:` may name one of: {', '.join(sorted(BUILTINS))}",
        )
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise MissingExtra(
            f"the built-in step {name!r} cannot be loaded: {error}",
            hint="install what it needs into Podium's environment",
        ) from error


def _entry_point(name: str) -> str | None:
    from importlib.metadata import entry_points

    return next((point.value for point in entry_points(group="podium.steps", name=name)), None)
