"""What a workflow's file says of being started by hand."""

from __future__ import annotations

from typing import Any, cast

MAX_BYTES = 256 << 10
MAX_INPUTS = 25


def inputs_of(content: bytes) -> tuple[str, ...] | None:
    """Returns the names of the inputs of a workflow; None if it cannot be started by hand, or not be read."""
    import yaml

    if len(content) > MAX_BYTES:
        return None
    try:
        found: Any = yaml.load(content.decode("utf-8", "replace"), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    document = cast("dict[Any, Any]", found)
    # YAML 1.1 reads the key `on` as a truth.
    triggers = document.get("on", document.get(True))
    if isinstance(triggers, str | list):
        return () if triggers == "workflow_dispatch" or "workflow_dispatch" in cast("list[Any]", triggers) else None
    if not isinstance(triggers, dict) or "workflow_dispatch" not in triggers:
        return None
    dispatch: Any = cast("dict[str, Any]", triggers)["workflow_dispatch"]
    inputs: Any = cast("dict[str, Any]", dispatch).get("inputs") if isinstance(dispatch, dict) else None
    names = [str(name) for name in cast("dict[Any, Any]", inputs)] if isinstance(inputs, dict) else []
    return tuple(names[:MAX_INPUTS])
