"""What a load sends: requests that were captured where it is sent, or else the gate's rows, one a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...domain.models import Version
from ...domain.project import Gate
from ...domain.text.format import count
from ...errors import RunFailed
from ...quality.outside.datasets import PREFIX, locator, of_run
from ...quality.tables import read_for
from ...registry import open_registry
from ...serving import captures
from ..environment.runtime import EnvironmentRuntime
from .driving import LoadRequest

if TYPE_CHECKING:
    from ...engine.context import StepContext

MOST = 1000
# With fewer captured requests the gate's rows are the better picture of what clients send.
LEAST_CAPTURED = 50
_SEED = 20130101
_OK = 200


def requests_for(
    runtime: EnvironmentRuntime, context: StepContext, candidate: Version, files: Path
) -> tuple[Sequence[LoadRequest], str]:
    """Returns the requests, and in words what they are. Raises RunFailed if there are none."""
    found = captures.newest(runtime.driver.captures(), limit=MOST)
    good = [
        LoadRequest(each.body, each.content_type) for each in found.chosen if each.status == _OK and not each.redacted
    ]
    if len(good) >= LEAST_CAPTURED:
        return good, f"{count(len(good), 'captured request')} in turn"
    gate = context.project.gates[str(context.options["gate"])]
    rows = _rows(_located(context, gate, candidate), gate, files)
    return rows, f"{count(len(rows), 'row')} of {gate.data} in turn, one a request"


def _located(context: StepContext, gate: Gate, candidate: Version) -> Path:
    """Returns the file of the gate's data. A dataset is that of the candidate: the champion's is another's rows."""
    project = context.project
    if not gate.data.startswith(PREFIX):
        return of_run(project.root, project.home, gate.data)
    registry = open_registry(project.mlflow, project.state)
    try:
        return locator(registry, project.root, project.home, candidate, None)(gate.data)
    finally:
        registry.close()


def _rows(path: Path, gate: Gate, files: Path) -> Sequence[LoadRequest]:
    if not path.exists():
        raise RunFailed(
            f"there are neither {LEAST_CAPTURED} captured requests nor {gate.data}",
            hint="send the environment requests first (environments.*.capture), or give the gate a file",
        )
    types = _inputs(files)
    table: Any = read_for(path, gate.data, types).drop(columns=list(gate.targets or (gate.target,)), errors="ignore")
    if types:
        table = table[[name for name in types if name in table.columns]]
    if len(table) > MOST:
        table = table.sample(MOST, random_state=_SEED)
    document: dict[str, Any] = json.loads(table.to_json(orient="split", date_format="iso", double_precision=15))
    names = document["columns"]
    return [
        LoadRequest(json.dumps({"dataframe_split": {"columns": names, "data": [row]}}).encode())
        for row in document["data"]
    ]


def _inputs(files: Path) -> Mapping[str, str]:
    """Returns column -> type of the signature in a model's files; empty where it has none with names."""
    import yaml

    try:
        found: Any = yaml.safe_load((files / "MLmodel").read_text(encoding="utf-8"))
        entries: Any = json.loads(found["signature"]["inputs"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}
    named = [cast("dict[str, Any]", each) for each in entries if isinstance(each, dict)]
    return {str(each["name"]): str(each.get("type", "")) for each in named if "name" in each}
