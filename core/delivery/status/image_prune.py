"""Finds serving images that are not needed any more: never of another project or checkout, and never one that a
rollback may need."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ... import plugins
from ...containers import Engine, Labels, open_engine
from ...containers.engine import labels as names
from ...containers.engine.address import Address, all_of, nodes_of, of_project
from ...containers.images import store
from ...domain.containers import UnneededImage
from ...domain.delivery import DeploymentState
from ...domain.project import Project
from ...errors import Unreachable
from ...journal import Journal
from ..environment.history import EnvironmentHistory, model_of, models
from ..environment.runtime import Say

KEEP_NEWEST = 5
# A build that is running has images that nothing stands on yet.
_MIN_AGE_SECONDS = 3600  # seconds


# A version of a model.
Key = tuple[str, int]


def needed(project: Project, journal: Journal, *, newest: int = KEEP_NEWEST) -> dict[Key, str]:
    """Returns (model, version) -> why its images stay: it is running, it serves by the ledger, it may be rolled back
    to, it has an alias, or it is one of the newest of its model."""
    found: dict[Key, str] = {}
    for model in models(project, journal):
        found |= {(model, version): why for version, why in _needed(project, journal, model, newest).items()}
    return found


def _needed(project: Project, journal: Journal, model: str, newest: int) -> dict[int, str]:
    found: dict[int, str] = {}
    for version in sorted({image.version for image in journal.images.of(model)}, reverse=True)[:newest]:
        found[version] = f"one of the newest {newest}"
    for alias, version in journal.versions.aliases(model).items():
        found[version] = f"is the {alias}"
    for environment in project.environments.values():
        name = environment.name
        if model_of(project, journal, name) != model:
            continue
        history = EnvironmentHistory.load(journal, model, name)
        for version in history.earlier[: environment.keep + environment.keep_stopped]:
            found[version] = f"{name} may go back to it"
        back = history.good_before()
        found |= {} if back is None else {back: f"{name} may go back to it"}
        for row in journal.ledger.history(name, limit=50):
            if row.state is DeploymentState.RUNNING:
                found |= {
                    version: f"is being deployed on {name}"
                    for version in (row.to_version, row.from_version)
                    if version is not None
                }
        serving = history.serving
        found |= {} if serving is None else {serving: f"serves {name}"}
        found |= {replica.version: f"runs on {name}" for replica in journal.replicas.of(name)}
    return found


def find(project: Project, journal: Journal, *, newest: int = KEEP_NEWEST, say: Say) -> list[UnneededImage]:
    """Returns the unneeded images on every engine that the project uses; an engine that does not answer is reported
    and left alone."""
    stay = needed(project, journal, newest=newest)
    found: list[UnneededImage] = []
    for address in engines(project):
        try:
            with open_engine(address) as engine:
                found += _on(engine, project, journal, stay)
        except Unreachable as error:
            say(f"{error.message}; its images stay")
    return found


def prune(project: Project, journal: Journal, which: Iterable[UnneededImage], *, say: Say) -> list[UnneededImage]:
    """Removes these images and returns those that were removed. Images that a container uses, or that are needed by
    now, stay."""
    chosen, gone = list(which), list[UnneededImage]()
    for address in engines(project):
        mine = [one for one in chosen if one.engine == str(address)]
        if not mine:
            continue
        with open_engine(address) as engine:
            still = {one.image_id for one in _on(engine, project, journal, needed(project, journal, newest=0))}
            for one in mine:
                if one.image_id in still and _remove(engine, one.image_id):
                    say(f"removed {one.name} from {one.engine}")
                    _forget(project, journal, one)
                    gone.append(one)
                else:
                    say(f"kept {one.name}: something uses it")
    return gone


def engines(project: Project) -> list[Address]:
    """Returns the engine of the project and those of its environments."""
    found = [of_project(project)]
    for environment in project.environments.values():
        if plugins.driver_capabilities(environment.driver).engine:
            for address in (*all_of(project, environment).values(), *nodes_of(project, environment)):
                found += [address] if str(address) not in {str(one) for one in found} else []
    return found


def _on(engine: Engine, project: Project, journal: Journal, stay: dict[Key, str]) -> list[UnneededImage]:
    noted = {image.image_id for model in models(project, journal) for image in journal.images.of(model)}
    found: list[UnneededImage] = []
    bases: set[str] = set()
    for one in _listed(engine, project, names.IMAGE_ROLE):
        marks: dict[str, str] = one.get("Labels") or {}
        version = _number(marks.get(names.VERSION, ""))
        model = marks.get(names.MODEL, "")
        if model not in models(project, journal):
            bases.add(marks.get(names.DEPENDENCIES, ""))
        elif (model, version) not in stay:
            found.append(_unneeded(engine, one, version, "no environment needs this version"))
        elif one["Id"] not in noted and not _young(engine, one):
            found.append(_unneeded(engine, one, version, "another image of this version took its place"))
        else:
            bases.add(marks.get(names.DEPENDENCIES, ""))
    for one in _listed(engine, project, names.DEPENDENCIES_ROLE):
        if not bases.intersection(one.get("RepoTags") or ()) and not _young(engine, one):
            found.append(_unneeded(engine, one, None, "no image stands on these dependencies"))
    return found


def _listed(engine: Engine, project: Project, role: str) -> list[dict[str, Any]]:
    return store.find(engine, Labels(project.name, project.home, role).filters())


def _young(engine: Engine, one: dict[str, Any]) -> bool:
    """Tells whether the image was made or named recently. A builder that finds an image in its cache gives it the
    time of the first build: only its name is new then."""
    made, named = int(one.get("Created") or 0), store.named(engine, str(one["Id"]))
    return time.time() - max(made, named) < _MIN_AGE_SECONDS


def _unneeded(engine: Engine, one: dict[str, Any], version: int | None, why: str) -> UnneededImage:
    marks: dict[str, str] = one.get("Labels") or {}
    tags = [tag for tag in one.get("RepoTags") or () if tag != "<none>:<none>"]
    return UnneededImage(
        str(engine.address),
        str(one["Id"]),
        tags[0] if tags else str(one["Id"])[7:19],
        version,
        int(one.get("Size") or 0),
        why,
        marks.get(names.MODEL, "") if version is not None else "",
    )


def _remove(engine: Engine, image_id: str) -> bool:
    """Removes an image by all of its names: the last one removes the image itself, unless a container was made from
    it."""
    found = store.inspect(engine, image_id)
    if found is None:
        return True
    with engine.doing("listing containers"):
        if engine.api.containers(all=True, filters={"ancestor": image_id}):
            return False
    for name in [*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())]:
        store.remove(engine, name)
    store.remove(engine, image_id)
    return store.inspect(engine, image_id) is None


def _forget(project: Project, journal: Journal, one: UnneededImage) -> None:
    if one.version is None:
        return
    known = journal.images.get(one.model or project.mlflow.model, one.version, one.engine)
    if known is not None and known.image_id == one.image_id:
        journal.images.remove(known.model, known.version, known.engine)


def _number(text: str) -> int:
    with suppress(ValueError):
        return int(text)
    return -1
