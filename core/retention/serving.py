"""What serving leaves: fetched files of versions, captured requests, logs of replicas that are gone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial

from ..beneath import Directory
from ..delivery.host.paths import safe
from ..delivery.status.image_prune import needed as needed_versions
from ..registry.files import directory as version_directory
from .scene import GONE, Item, Scene, newest_change, remove_at, size_of, too_old

MODELS, ENVIRONMENTS = "models", "environments"
_NEWEST_VERSIONS = 2
_VERSION = re.compile(r"([0-9]+)(\.digest|\.spdx\.json)?")
_CAPTURE_DIRECTORIES = ("capture", "captured", "shadow")
_CAPTURES = ("capture-*.jsonl", "feedback-*.jsonl", "requests-*.tsv")
# A log of a replica that runs is cut to its end beyond this size.
_MAX_LIVE_LOG = 80 << 20  # more than the 64 MiB at which the collector of containers' logs begins a new file
_KEPT_TAIL = 4 << 20
# Written by processes that go on: their ends are kept.
_OPEN_LOGS = ("agent.log", "preload/preload.log")


# -- fetched versions ------------------------------------------------------------------------------------------------


def needed(scene: Scene) -> dict[tuple[str, int], str]:
    """Returns (model, version) -> why its files stay."""
    stay = needed_versions(scene.project, scene.journal, newest=_NEWEST_VERSIONS)
    # Of an environment that podium.yaml has no more, too: what runs there is still stopped by a person only.
    last_model = scene.journal.ledger.last_model
    running = {
        (last_model(row.environment) or scene.project.model_of(row.environment), row.version): (
            f"runs on {row.environment}"
        )
        for row in scene.journal.replicas.all()
    }
    return running | stay


def _folders(scene: Scene) -> set[tuple[str, int]]:
    """Returns (folder below `models/`, version) of what is needed."""
    return {(version_directory(scene.state, model, 0).parent.name, number) for model, number in needed(scene)}


def models(scene: Scene) -> Iterator[Item]:
    """Yields fetched files that were not asked for in a while, of versions that nothing needs: a rollback, an alias, a
    replica, a deployment under way. They are fetched again from the store when they are wanted."""
    top = scene.opened(MODELS)
    if top is None:
        return
    stay, age = _folders(scene), scene.project.retain.models
    with top:
        for model in sorted(top.names()):
            if not model.startswith(".") and _is_directory(top, model):
                with top.below(model, links=False) as versions:
                    for number in _versions(versions):
                        if (model, number) not in stay and scene.old(_asked(versions, number), age):
                            size = sum(size_of(versions, name) for name in _parts(versions, number))
                            remove = partial(_remove_version, scene, model, number)
                            yield Item(f"{model} v{number}", size, f"not needed, {too_old(age)}", remove)


def _is_directory(top: Directory, name: str) -> bool:
    return stat.S_ISDIR(top.status(name).st_mode)


def _versions(top: Directory) -> list[int]:
    return sorted({int(found[1]) for name in top.names() if (found := _VERSION.fullmatch(name))})


def _parts(top: Directory, number: int) -> list[str]:
    """Returns what there is of a version, its note first: without that the files count as not fetched."""
    names = (f"{number}.digest", f"{number}.spdx.json", str(number))
    return [name for name in names if top.exists(name)]


def _asked(top: Directory, number: int) -> float:
    """Returns when a version's files were last asked for: the time of the note that is beside them."""
    return max(newest_change(top, name) for name in _parts(top, number)[:1])


def _remove_version(scene: Scene, model: str, number: int) -> int:
    top = scene.opened(MODELS)
    if top is None:
        return 0
    with top, top.below(model, links=False) as versions:
        if (model, number) in _folders(scene) or not scene.old(_asked(versions, number), scene.project.retain.models):
            return 0
        for name in _parts(versions, number):
            gone = f"{GONE}{name}-{os.getpid()}"
            versions.rename(name, gone)
            versions.remove(gone)
    return 1


# -- environments ----------------------------------------------------------------------------------------------------


def captures(scene: Scene) -> Iterator[Item]:
    """Yields captured requests and feedback of long ago."""
    age = scene.project.retain.captures
    for path, at, size in _environment_files(scene, _CAPTURES, _CAPTURE_DIRECTORIES):
        if scene.old(at, age):
            yield Item(path, size, too_old(age), partial(_remove_file, scene, path, age))


def replica_logs(scene: Scene) -> Iterator[Item]:
    """Yields logs of replicas that are gone, and cuts logs that a process which goes on has filled."""
    age, live = scene.project.retain.replica_logs, _live(scene)
    for path, at, size in _environment_files(scene, ("*.log", "*.log.1", "*.ended"), ("",)):
        if path.removesuffix(".1").removesuffix(".ended").removesuffix(".log") not in live:
            if scene.old(at, age):
                yield Item(path, size, too_old(age), partial(_remove_file, scene, path, age))
        elif size > _MAX_LIVE_LOG and path.endswith(".log"):
            path = f"{ENVIRONMENTS}/{path}"
            yield Item(path, size - _KEPT_TAIL, "larger than 80 MiB", partial(_keep_end, scene, path))
    for path in _OPEN_LOGS:
        with suppress(OSError), Directory.open(scene.state) as top:
            parent, name = top.parent(path, links=False)
            with parent:
                size = size_of(parent, name)
            if size > _MAX_LIVE_LOG:
                yield Item(path, size - _KEPT_TAIL, "larger than 80 MiB", partial(_keep_end, scene, path))


def _live(scene: Scene) -> set[str]:
    """Returns the logs, without their ending, of replicas that should exist and of proxies."""
    rows = {f"{safe(row.environment)}/{safe(row.id)}" for row in scene.journal.replicas.all()}
    proxies = {f"{safe(name)}/{each}" for name in scene.project.environments for each in ("proxy", "proxy-2")}
    return rows | proxies


def _environment_files(
    scene: Scene, patterns: tuple[str, ...], folders: tuple[str, ...]
) -> Iterator[tuple[str, float, int]]:
    """Yields (path below `environments/`, last change, bytes) of plain files in these folders of each environment."""
    top = scene.opened(ENVIRONMENTS)
    if top is None:
        return
    with top:
        for environment in sorted(top.names()):
            for folder in folders:
                path = f"{environment}/{folder}".rstrip("/")
                with suppress(OSError), top.below(path, links=False) as inner:
                    for name in sorted(inner.names()):
                        if any(fnmatch(name, pattern) for pattern in patterns):
                            yield f"{path}/{name}", inner.status(name).st_mtime, size_of(inner, name)


def _remove_file(scene: Scene, path: str, age: float) -> int:
    """Removes a file unless it was written to since."""
    top = scene.opened(ENVIRONMENTS)
    if top is None:
        return 0
    with top, suppress(FileNotFoundError):
        parent, name = top.parent(path, links=False)
        with parent:
            if scene.old(parent.status(name).st_mtime, age):
                parent.remove(name)
                return 1
    return 0


def _keep_end(scene: Scene, path: str) -> int:
    """Cuts a log that its process appends to: what it writes next comes after the end that is kept. Lines that come
    in the moment between are lost, as with every log that is cut while it is written."""
    with Directory.open(scene.state) as top:
        parent, name = top.parent(path, links=False)
        with parent:
            descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent.descriptor)
    with os.fdopen(descriptor, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _KEPT_TAIL))
        end = file.read(_KEPT_TAIL).partition(b"\n")[2]
        file.truncate(0)
        file.seek(0)
        file.write(end)
    return 1


# -- what crashes leave ----------------------------------------------------------------------------------------------

# Directly below `.podium/`.
LEFT_BEHIND = (
    "crash-*.txt", "fetched-*", "mlflow.ready.*", ".home.json.*", ".podium.yaml.good.*", ".agent.deliveries.*",
    f"{GONE}*", ".restored-*",
)  # fmt: skip
_TEMPORARY = {
    "": LEFT_BEHIND,
    "models": (".part-*", ".note-*", f"{GONE}*", "tmp*"),
    "environments": (".captured-*", ".restarts.json.*", f"{GONE}*"),
    "sealed": (".*",),
    "sboms": (".*.part",),
}
_LOCKS = "locks"


def temporary(scene: Scene) -> Iterator[Item]:
    """Yields what was half written when its process ended, crash reports, and locks of processes that are gone."""
    age = scene.project.retain.temporary
    for folder, patterns in _TEMPORARY.items():
        top = scene.opened(folder) if folder else Directory.open(scene.state)
        if top is None:
            continue
        with top:
            for path in _matching(top, patterns, deep=folder in (MODELS, ENVIRONMENTS)):
                parent, name = top.parent(path, links=False)
                with parent:
                    if scene.old(newest_change(parent, name), age):
                        whole = f"{folder}/{path}".lstrip("/")
                        remove = partial(_remove_temporary, scene, whole)
                        yield Item(whole, size_of(parent, name), f"left behind, {too_old(age)}", remove)
    yield from _dead_locks(scene, age)


def _matching(top: Directory, patterns: tuple[str, ...], *, deep: bool) -> Iterator[str]:
    for name in sorted(top.names()):
        if any(fnmatch(name, pattern) for pattern in patterns):
            yield name
        elif deep and _is_directory(top, name):
            with top.below(name, links=False) as inner:
                for each in inner.names():
                    if any(fnmatch(each, pattern) for pattern in patterns):
                        yield f"{name}/{each}"


def _remove_temporary(scene: Scene, path: str) -> int:
    with Directory.open(scene.state) as top, suppress(FileNotFoundError):
        parent, name = top.parent(path, links=False)
        with parent:
            there = parent.exists(name)
            parent.remove(name)
            return int(there)
    return 0


def _dead_locks(scene: Scene, age: float) -> Iterator[Item]:
    held = {holder.guard for holder in scene.journal.locks.all()}
    top = scene.opened(_LOCKS)
    if top is None:
        return
    with top:
        for name in sorted(top.names()):
            path = scene.state / _LOCKS / name
            if name.endswith(".lock") and str(path) not in held and scene.old(top.status(name).st_mtime, age):
                yield Item(name, 0, "of a process that is gone", partial(remove_at, scene, _LOCKS, name))
