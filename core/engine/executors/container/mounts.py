"""Which directories of this machine a step's container sees, each at its own path, so that a path in a message, in
MLflow or in a file means the same inside and outside."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ....domain.frozen import Frozen

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Mount(Frozen):
    """A directory as the container sees it."""

    path: Path
    writable: bool
    covered: bool = False
    """Whether the container sees an empty directory of its own in its place."""


def mounts(root: Path, state: Path, stores: Iterable[str], *, alone: bool = False) -> list[Mount]:
    """Returns the mounts: the run's directory; the rest of its checkout and git's own directory, read-only; the
    directory of each MLflow store that is a file, and that of its artifacts. With `alone` the run's directory only.

    What else of the project's state lies in one of them is covered: a step that could write to the journal could do
    anything. A store whose database is right in the state directory, as in older projects, prevents that."""
    place = state.resolve()
    found = [(mount, mount.path.resolve()) for mount in _seen(root, state, stores, alone=alone)]
    around = [(mount.path, real) for mount, real in found if real in place.parents]
    if not around or any(real == place for _, real in found):
        return _needed([mount for mount, _ in found])
    inside = [mount for mount, real in found if place in real.parents]
    outside = [mount for mount, real in found if place not in real.parents]
    covers = dict.fromkeys(Mount(path / place.relative_to(real), True, covered=True) for path, real in around)
    return [*_needed(outside), *covers, *_needed(inside)]


def _seen(root: Path, state: Path, stores: Iterable[str], *, alone: bool) -> list[Mount]:
    found = [Mount(root, True)]
    if alone:
        return found
    top = next((one for one in (root, *root.parents) if (one / ".git").exists()), None)
    if top is not None:
        if top != root:
            found.append(Mount(top, False))
        found += [Mount(path, False) for path in _git_directories(top / ".git")]
    for store in filter(None, map(store_directory, stores)):
        # Artifacts of an experiment that Podium has made are below its state directory, wherever the store is.
        found += [Mount(path, True) for path in (store, state / "artifacts") if path.is_dir()]
    return found


def _git_directories(git: Path) -> list[Path]:
    """Returns where the `.git` of a worktree or a submodule points to: the repository's own directory, which holds
    all objects."""
    if git.is_dir():
        return []
    try:
        directory = Path(git.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
        directory = directory if directory.is_absolute() else (git.parent / directory).resolve()
        common = directory / "commondir"
        if common.is_file():
            directory = (directory / common.read_text(encoding="utf-8").strip()).resolve()
    except OSError:
        return []
    return [directory] if directory.is_dir() else []


def store_directory(tracking_uri: str) -> Path | None:
    """Returns the directory of an embedded MLflow store (SQLite writes its journal beside the database); None for a
    server."""
    if tracking_uri.startswith("sqlite:///"):
        return Path(unquote(tracking_uri.removeprefix("sqlite:///").partition("?")[0])).parent
    if tracking_uri.startswith("file:"):
        return Path(unquote(urlsplit(tracking_uri).path))
    return None


def on_this_machine(tracking_uri: str) -> bool:
    """Tells whether the store is a server that only this machine can reach, and a container on its own network
    cannot."""
    return tracking_uri.startswith(("http://", "https://")) and (urlsplit(tracking_uri).hostname or "") in _LOOPBACK


def _needed(found: list[Mount]) -> list[Mount]:
    """Returns the mounts without those that lie in another one with at least the same access."""
    kept: dict[Path, Mount] = {}
    for mount in found:
        before = kept.get(mount.path)
        if before is None or mount.writable:
            kept[mount.path] = mount
    return [one for one in kept.values() if not any(_covers(other, one) for other in kept.values() if other != one)]


def _covers(outer: Mount, inner: Mount) -> bool:
    return outer.path in inner.path.parents and (outer.writable or not inner.writable)
