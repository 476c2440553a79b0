"""Copies files to and from an engine on another machine, where nothing can be mounted: the run's directory before
the container starts, and the step's outputs when it has succeeded."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from docker import errors as docker_errors

from ....beneath import Directory, FoundEntry, move, settled, unpack, walk
from ....containers.engine.client import Engine
from ....containers.engine.errors import own_files
from ....containers.images.context import exactly
from ....containers.images.store import megabytes
from ....errors import RunFailed
from .spec import ContainerStepSpec

# Neither needed in a container nor, mostly, of any use in one: caches, histories, environments of this machine's own
# Python.
EXCLUDED_NAMES = frozenset(
    {
        ".git",
        ".podium",
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".ipynb_checkpoints",
        ".DS_Store",
        ".venv",
        "venv",
        "node_modules",
    }
)
# The history of this machine's checkout and our own state are nothing that a container could make.
_NEVER_TAKEN = frozenset({".git", ".podium"})
Say = Callable[[str], None]
_MAX_TRIES = 20


def send(engine: Engine, container: str, spec: ContainerStepSpec, say: Say) -> None:
    """Copies the run's directory into a container that has not started, to the same path, with the same owner."""
    sent = [0]
    with engine.doing("sending the run's files"):
        api = engine.api
        url = api._url("/containers/{0}/archive", container)
        answer = api._put(
            url, params={"path": "/"}, data=_counted(_tree(spec.root), sent), timeout=api.timeout * _MAX_TRIES
        )
        api._raise_for_status(answer)
    say(f"sent the run's files to {spec.address}: {megabytes(sent[0])}")


def _counted(pieces: Iterable[bytes], total: list[int]) -> Iterator[bytes]:
    for piece in pieces:
        total[0] += len(piece)
        yield piece


def _tree(root: Path) -> Iterator[bytes]:
    """Yields the run's directory as a tar, without what a container does not need. Links are sent as links."""
    with own_files("sending the run's files"), Directory.open(root) as top:
        yield _header(root, os.fstat(top.descriptor))
        for found in walk(top, skip=EXCLUDED_NAMES.__contains__, whole=True):
            path = root / found.path
            if found.is_file:
                with found.open() as stream:
                    status = os.fstat(stream.fileno())
                    yield _header(path, status)
                    yield from exactly(stream, status.st_size, path)
            elif found.is_directory or found.is_link:
                yield _header(path, found.status, target=found.target() if found.is_link else "")
        yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(path: Path, status: os.stat_result, *, target: str = "") -> bytes:
    member = tarfile.TarInfo(str(path).lstrip("/"))
    member.mtime, member.mode = int(status.st_mtime), stat.S_IMODE(status.st_mode)
    member.uid, member.gid = os.getuid(), os.getgid()
    if stat.S_ISREG(status.st_mode):
        member.size = status.st_size
    else:
        member.type = tarfile.DIRTYPE if stat.S_ISDIR(status.st_mode) else tarfile.SYMTYPE
        member.linkname = target
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def bring_back(engine: Engine, container: str, spec: ContainerStepSpec, say: Say) -> None:
    """Copies the step's outputs out of its container. A missing output is left to the worker, which reports it as
    for any step. RunFailed names a link that leaves the outputs."""
    for output in spec.outputs:
        target = Path(os.path.normpath(spec.root / output))
        if target != spec.root and spec.root not in target.parents:
            raise RunFailed(
                f"output {output!r} is outside of the project",
                hint="outputs are paths below the directory of podium.yaml",
            )
        what = f"fetching output {output}"
        with engine.doing(what):
            try:
                stream = engine.fetch(container, str(target))
            except docker_errors.NotFound:
                continue
            with own_files(what), tempfile.TemporaryDirectory(dir=spec.state, prefix="fetched-") as scratch:
                archive = Path(scratch) / "output.tar"
                with archive.open("wb") as file:
                    for piece in stream:
                        file.write(piece)
                size = archive.stat().st_size
                _unpack(archive, Path(scratch) / "files", target, spec)
        say(f"fetched {output}: {megabytes(size)}")


def _unpack(archive: Path, scratch: Path, target: Path, spec: ContainerStepSpec) -> None:
    """Replaces what is there by the archive's content. Names and links that lead elsewhere, devices and similar
    entries are refused before anything is touched."""
    scratch.mkdir()
    with Directory.open(scratch) as files:
        try:
            with tarfile.open(archive) as tar:
                unpack(tar, files)
        except (tarfile.TarError, OSError) as error:
            raise RunFailed(f"output {target.name} cannot be taken over: {error}") from error
        if not files.exists(target.name):
            raise RunFailed(f"the engine sent something else than output {target.name}")
        shown = str(target.relative_to(spec.root)) if target != spec.root else ""
        _settle(files, target.name, shown, spec)
        with Directory.open(spec.root) as root:
            if not shown:
                with files.below(target.name, links=False) as found:
                    _merge(found, root)
                return
            parent, name = root.parent(shown, make=True)
            with parent:
                _put(files, name, parent)


def _settle(files: Directory, name: str, shown: str, spec: ContainerStepSpec) -> None:
    """Makes each link of the output mean the same on this machine."""
    places = {f"{shown}/{found.path}".strip("/"): found.path for found in _links(files, name)}
    links = {place: _target(files, f"{name}/{path}".rstrip("/")) for place, path in places.items()}
    for place, target in settled(links, spec.outputs, str(spec.root)).items():
        if target != links[place]:
            parent, last = files.parent(f"{name}/{places[place]}".rstrip("/"), links=False)
            with parent:
                parent.remove(last)
                parent.link(last, target)


def _links(files: Directory, name: str) -> Iterator[FoundEntry]:
    itself = FoundEntry("", name, files, files.status(name))
    if itself.is_link:
        yield itself
    elif itself.is_directory:
        with files.below(name, links=False) as directory:
            yield from (found for found in walk(directory) if found.is_link)


def _target(files: Directory, path: str) -> str:
    parent, name = files.parent(path, links=False)
    with parent:
        return parent.target(name)


def _put(source: Directory, name: str, into: Directory) -> None:
    """Replaces `name` in `into` by that of `source`. In directories, files that were never sent stay: the archive
    cannot have them."""
    if not (_is_directory(source, name) and _is_directory(into, name)):
        into.remove(name)
        move(source, name, into, name)
        return
    with source.below(name, links=False) as found, into.below(name, links=False) as target:
        _merge(found, target)


def _merge(found: Directory, target: Directory) -> None:
    names = set(found.names())
    for name in target.names():
        if name not in names | EXCLUDED_NAMES:
            target.remove(name)
    for name in names - _NEVER_TAKEN:
        _put(found, name, target)
    os.fchmod(target.descriptor, stat.S_IMODE(os.fstat(found.descriptor).st_mode))


def _is_directory(directory: Directory, name: str) -> bool:
    return directory.exists(name) and stat.S_ISDIR(directory.status(name).st_mode)
