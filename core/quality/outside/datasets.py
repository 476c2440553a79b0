"""Tables that training logged to MLflow as inputs of its run: `dataset:NAME`, or `dataset:NAME@champion` for those of
the champion's run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ...domain.models import CHAMPION, Version
from ...domain.project import Project
from ...domain.text import one_line
from ...errors import UNREADABLE
from ...identity.home import STATE
from ...registry import Registry, open_registry
from ...registry.store import LoggedDataset
from ..metrics import Unmeasurable
from ..subjects import Locate

PREFIX = "dataset:"
_OF_CHAMPION = f"@{CHAMPION}"
_LOCAL = "local"
_SHOWN = 120


class NoChampion(Unmeasurable):
    """Raised for a dataset of the champion's run where there is no champion yet."""


def locator(registry: Registry, root: Path, home: Path, candidate: Version | None, champion: Version | None) -> Locate:
    """Returns what finds the tables that podium.yaml names. `root` is where paths of the project begin, `home` the
    project's own directory; before training there is no `candidate`."""

    def locate(named: str) -> Path:
        if not named.startswith(PREFIX):
            return of_run(root, home, named)
        name = named.removeprefix(PREFIX)
        if not name.endswith(_OF_CHAMPION):
            if candidate is None:
                raise Unmeasurable(
                    f"there is no version yet, whose {named} could be read", hint=f"Write {named}{_OF_CHAMPION}."
                )
            return _found(registry, name, candidate, (root, home))
        if champion is None:
            raise NoChampion(f"there is no champion yet, whose {named} could be read")
        return _found(registry, name.removesuffix(_OF_CHAMPION), champion, (root, home))

    return locate


def of_version(project: Project, named: str, model: str, number: int | None) -> Path:
    """Returns where a table lies that podium.yaml names for a version that is registered, which may not be there: a
    file of the project, or what training logged to MLflow as an input of the version's run, or (`@champion`) of the
    champion's. Raises Unmeasurable if no such dataset was logged, and what the registry raises."""
    if not named.startswith(PREFIX):
        return project.root / named
    registry = open_registry(project.mlflow, project.state)
    try:
        champion = registry.aliases(model).get(CHAMPION)
        found = [registry.version(model, each) if each is not None else None for each in (number, champion)]
        return locator(registry, project.root, project.home, *found)(named)
    finally:
        registry.close()


def of_run(root: Path, home: Path, named: str) -> Path:
    """Returns where a table of podium.yaml lies. Steps in containers write in the directory of a commit (`root`),
    and a link that one has left leads to no file of this machine: Unmeasurable for one that leads out of that directory
    and of the project's own."""
    path = root / named
    if root == home or Path(named).is_absolute():
        return path
    real, top, own = path.resolve(), root.resolve(), home.resolve()
    if real.is_relative_to(top) or (real.is_relative_to(own) and not real.is_relative_to(own / STATE)):
        return path
    raise Unmeasurable(
        f"{named} is a link that leads out of the project, to {one_line(str(real))[:_SHOWN]}",
        hint="Name that path in podium.yaml, or let a step of the pipeline copy it.",
    )


def _found(registry: Registry, name: str, version: Version, places: tuple[Path, Path]) -> Path:
    who = f"version {version.version}"
    if not version.mlflow_run:
        raise Unmeasurable(f"{who} has no MLflow run, whose dataset {name!r} could be read")
    logged = registry.run(version.mlflow_run).datasets
    of_name = {(each.kind, each.source): each for each in logged if each.name == name}
    if not of_name:
        named = ", ".join(sorted({one_line(each.name)[:_SHOWN] for each in logged})) or "none"
        raise Unmeasurable(
            f"the MLflow run of {who} has no dataset {name!r}",
            hint=f"It has: {named}. Log one with mlflow.log_input(mlflow.data.from_pandas(…, name={name!r})).",
        )
    if len(of_name) > 1:
        raise Unmeasurable(
            f"the MLflow run of {who} has {len(of_name)} datasets {name!r} with different sources",
            hint="Log each of them under a name of its own.",
        )
    return _file(next(iter(of_name.values())), places)


def _file(dataset: LoggedDataset, places: tuple[Path, Path]) -> Path:
    """Returns the file of a dataset. What a tracking server says is not believed further than podium.yaml itself may
    go: it has to be below the project's directory."""
    source = _source(dataset)
    if dataset.kind != _LOCAL or not source:
        kind = one_line(dataset.kind)[:_SHOWN] or "unknown"
        raise Unmeasurable(
            f"the dataset {dataset.name!r} was logged with a source of the kind {kind}, which Podium does not read",
            hint="Log it with its file: mlflow.data.from_pandas(frame, source='data/test.parquet', name=…).",
        )
    root, home = places
    path = (root / source).resolve()
    if not any(path.is_relative_to(place.resolve()) for place in (root, home)):
        raise Unmeasurable(
            f"the file {one_line(str(path))[:_SHOWN]} of the dataset {dataset.name!r} is not below the project's"
            " directory",
            hint="Let a step of the pipeline write it there.",
        )
    return path


def _source(dataset: LoggedDataset) -> str:
    """Returns the path of a local source, from MLflow's JSON; empty for none."""
    try:
        found: Any = json.loads(dataset.source)
    except UNREADABLE:
        return ""
    uri = str(cast("dict[str, Any]", found).get("uri", "")) if isinstance(found, dict) else ""
    return unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
