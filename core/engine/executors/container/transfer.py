"""For an engine on another machine, where nothing of this one can be mounted: the run's directory is copied into the
container before it starts, and the step's outputs are copied back when it has succeeded."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from docker import errors as docker_errors

from ....containers.engine.client import Engine
from ....containers.engine.errors import own_files
from ....containers.images.context import exactly
from ....containers.images.store import megabytes
from ....errors import RunFailed
from .spec import StepSpec
from .unpack import extract

# Neither needed in a container nor, mostly, of any use in one: caches, histories, environments of this machine's own
# Python.
LEFT_OUT = frozenset(
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
_TIMES = 20


def send(engine: Engine, container: str, order: StepSpec, say: Say) -> None:
    """The run's directory into a container that has not started, at the same path, belonging to the same numbers."""
    sent = [0]
    with engine.doing("sending the run's files"):
        api = engine.api
        url = api._url("/containers/{0}/archive", container)
        answer = api._put(
            url, params={"path": "/"}, data=_counted(_tree(order.root), sent), timeout=api.timeout * _TIMES
        )
        api._raise_for_status(answer)
    say(f"sent the run's files to {order.address}: {megabytes(sent[0])}")


def _counted(pieces: Iterable[bytes], total: list[int]) -> Iterator[bytes]:
    for piece in pieces:
        total[0] += len(piece)
        yield piece


def _tree(root: Path) -> Iterator[bytes]:
    with own_files("sending the run's files"):
        yield from _members(root)


def _members(root: Path) -> Iterator[bytes]:
    for path, status in _walk(root):
        member = tarfile.TarInfo(str(path).lstrip("/"))
        member.mtime, member.mode = int(status.st_mtime), stat.S_IMODE(status.st_mode)
        member.uid, member.gid = os.getuid(), os.getgid()
        if stat.S_ISREG(status.st_mode):
            with path.open("rb") as stream:
                member.size = status.st_size
                yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
                yield from exactly(stream, status.st_size, path)
            continue
        member.type = tarfile.DIRTYPE if stat.S_ISDIR(status.st_mode) else tarfile.SYMTYPE
        member.linkname = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""  # noqa: PTH115
        yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _walk(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    yield directory, directory.lstat()
    with os.scandir(directory) as found:
        for item in sorted(found, key=lambda item: item.name):
            status = item.stat(follow_symlinks=False)
            if item.name in LEFT_OUT:
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(Path(item.path))
            elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                yield Path(item.path), status


def bring_back(engine: Engine, container: str, order: StepSpec, say: Say) -> None:
    """The step's outputs out of its container. An output that is not there is left to the worker, which says so as
    for any step."""
    for output in order.outputs:
        target = Path(os.path.normpath(order.root / output))
        if target != order.root and order.root not in target.parents:
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
            with own_files(what), tempfile.TemporaryDirectory(dir=order.state, prefix="fetched-") as scratch:
                archive = Path(scratch) / "output.tar"
                with archive.open("wb") as file:
                    for piece in stream:
                        file.write(piece)
                size = archive.stat().st_size
                _unpack(archive, Path(scratch) / "files", target)
        say(f"fetched {output}: {megabytes(size)}")


def _unpack(archive: Path, scratch: Path, target: Path) -> None:
    """Put what the archive holds in the place of what is there. Names that lead elsewhere, devices and the like are
    refused."""
    scratch.mkdir()
    try:
        with tarfile.open(archive) as tar:
            extract(tar, scratch)
    except (tarfile.TarError, OSError) as error:
        raise RunFailed(f"output {target.name} cannot be taken over: {error}") from error
    found = scratch / target.name
    if not os.path.lexists(found):
        raise RunFailed(f"the engine sent something else than output {target.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    _put(found, target)


def _put(found: Path, target: Path) -> None:
    """`found` in the place of `target`. Of directories what was never sent stays: the archive cannot have it."""
    if not _real_directory(found) or not _real_directory(target):
        _remove(target)
        shutil.move(found, target)
        return
    names = {item.name for item in found.iterdir()}
    for item in target.iterdir():
        if item.name not in names | LEFT_OUT:
            _remove(item)
    for name in names - _NEVER_TAKEN:
        _put(found / name, target / name)
    target.chmod(stat.S_IMODE(found.stat().st_mode))


def _real_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _real_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
