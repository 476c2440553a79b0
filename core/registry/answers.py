"""Reads the answers of an MLflow server: what has another shape than MLflow's JSON is an error that names it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from ..domain.models import MetricPoint
from ..errors import Unreachable
from ..http_client import printable
from .records import VersionRecord
from .store import TAG_CONTEXT, LoggedDataset, TrackedRun

# Milliseconds since the epoch: beyond the year 5138 no calendar of ours goes.
_LATEST = 100_000_000_000_000


def _other(what: str, found: Any) -> Unreachable:
    return Unreachable(
        f"the MLflow server answered with something that is not MLflow's JSON: {what} is {printable(repr(found), 60)}",
        hint="check that mlflow.tracking_uri is an MLflow tracking server, and what stands before it",
    )


def record(found: Any, what: str) -> Mapping[str, Any]:
    """Returns a JSON object; an empty one for nothing."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _other(what, found)
    return cast("Mapping[str, Any]", found)


def part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Returns the object `name` of an object."""
    return record(found.get(name), f"`{name}`")


def parts(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Returns the list of objects `name` of an object."""
    listed = found.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise _other(f"`{name}`", listed)
    return [record(each, f"an item of `{name}`") for each in cast("list[Any]", listed)]


def texts(found: Mapping[str, Any], name: str) -> list[str]:
    """Returns the list of texts `name` of an object."""
    listed = found.get(name)
    if not isinstance(listed, list | None):
        raise _other(f"`{name}`", listed)
    return [text({name: each}, name) for each in cast("list[Any]", listed or [])]


def text(found: Mapping[str, Any], name: str, default: str = "") -> str:
    """Returns a text, of letters that every file and screen can take."""
    value = found.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _other(f"`{name}`", value)
    return str(value).encode("utf-8", "replace").decode()


def whole(found: Mapping[str, Any], name: str, default: int | None = 0) -> int:
    """Returns a whole number, which MLflow writes as a number or as a text. Without a default it has to be there."""
    value = found.get(name)
    if value is None and default is not None:
        return default
    good = not isinstance(value, bool) and isinstance(value, str | int | float)
    try:
        number = int(value) if good else None  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = None
    if number is None or abs(number) >= 1 << 63:
        raise _other(f"`{name}`", value)
    return number


def seconds(found: Mapping[str, Any], name: str) -> float:
    """Returns a time in seconds since the epoch; 0 where there is none."""
    milliseconds = whole(found, name)
    if not 0 <= milliseconds < _LATEST:
        raise _other(f"`{name}`", milliseconds)
    return milliseconds / 1000


def real(found: Mapping[str, Any], name: str) -> float:
    """Returns a number, NaN where there is none."""
    value = found.get(name)
    if value is None:
        return math.nan
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise _other(f"`{name}`", value)


def tags(found: Mapping[str, Any], name: str) -> dict[str, str]:
    """Returns the pairs of a list of keys and values."""
    return {text(each, "key"): text(each, "value") for each in parts(found, name)}


def aliases(found: Mapping[str, Any]) -> dict[str, int]:
    return {text(each, "alias"): whole(each, "version", None) for each in parts(found, "aliases")}


def version_record(found: Mapping[str, Any]) -> VersionRecord:
    return VersionRecord(
        model=text(found, "name"),
        number=whole(found, "version"),
        created=seconds(found, "creation_timestamp"),
        status=text(found, "status", "READY"),
        mlflow_run=text(found, "run_id"),
        source=text(found, "source"),
        description=text(found, "description"),
        tags=tags(found, "tags"),
    )


def tracked_run(found: Mapping[str, Any]) -> TrackedRun:
    info, data = part(found, "info"), part(found, "data")
    outputs = sorted(parts(part(found, "outputs"), "model_outputs"), key=lambda output: whole(output, "step"))
    return TrackedRun(
        id=text(info, "run_id"),
        experiment_id=text(info, "experiment_id"),
        status=text(info, "status"),
        started=seconds(info, "start_time"),
        ended=seconds(info, "end_time") if info.get("end_time") else None,
        metrics={text(metric, "key"): real(metric, "value") for metric in parts(data, "metrics")},
        params=tags(data, "params"),
        tags=tags(data, "tags"),
        artifact_uri=text(info, "artifact_uri"),
        models=tuple(text(output, "model_id") for output in outputs if output.get("model_id")),
        datasets=tuple(map(_dataset, parts(part(found, "inputs"), "dataset_inputs"))),
    )


def metric_point(found: Mapping[str, Any]) -> MetricPoint:
    return MetricPoint(step=whole(found, "step"), at=seconds(found, "timestamp"), value=real(found, "value"))


def _dataset(entry: Mapping[str, Any]) -> LoggedDataset:
    found, known = part(entry, "dataset"), tags(entry, "tags")
    words = (text(found, key) for key in ("digest", "source_type", "source"))
    return LoggedDataset(text(found, "name"), known.get(TAG_CONTEXT, ""), *words)
