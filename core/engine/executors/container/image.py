"""The image of a step's container: on the engine already, pulled, or built from a directory; and its part of the
step's key."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ....beneath import Directory
from ....containers.engine.client import Engine
from ....containers.engine.errors import own_files
from ....containers.engine.labels import HOME, ROLE, Labels, home_id
from ....containers.images import build, registry, store
from ....containers.images.context import EPOCH, exactly
from ....domain.frozen import Frozen
from ....errors import NotFound
from .spec import BuildFile, ContainerStepSpec

IMAGE_ROLE = "step-image"
BUILD = "podium.build"
# Built images of one directory that stay: the newest, and those that a person may go back to.
_KEPT_BUILDS = 3

Say = Callable[[str], None]


class ReadyImage(Frozen):
    """An image that is on the engine. `digest` represents its content in keys; `words` name it for people."""

    image_id: str
    digest: str
    words: str


def ready(engine: Engine, spec: ContainerStepSpec, say: Say) -> ReadyImage:
    """Returns the step's image, brought to the engine if it is missing. Raises NotFound, Refused, Unreachable or
    RunFailed with a message for a person."""
    if spec.container.build:
        return _built(engine, spec, say)
    reference = spec.container.image
    found = store.inspect(engine, reference)
    if found is None:
        found = registry.pull(engine, registry.reference(reference), say=say)
    image_id = str(found["Id"])
    return ReadyImage(image_id, image_id, f"{reference} ({image_id.removeprefix('sha256:')[:12]})")


def _built(engine: Engine, spec: ContainerStepSpec, say: Say) -> ReadyImage:
    directory = spec.root / spec.container.build
    if not (directory / "Dockerfile").is_file():
        raise NotFound(
            f"{spec.container.build} has no Dockerfile",
            hint="`build` names a directory of the project with a Dockerfile in it",
        )
    tag = f"podium-step/{home_id(spec.home)}:{spec.build_hash[:32]}"
    found = store.inspect(engine, tag)
    if found is not None:
        image_id = str(found["Id"])
    else:
        say(f"building {spec.container.build}")
        labels = {**Labels(spec.project, spec.home, IMAGE_ROLE).all(), BUILD: spec.container.build}
        wanted = build.BuildRequest(
            lambda: _context(spec.root, spec.container.build, spec.build), tag=tag, labels=labels
        )
        image_id = build.build(engine, wanted, say=say, what=f"building {spec.container.build}").image_id
        _forget_old(engine, spec, image_id)
    return ReadyImage(
        image_id,
        f"build:{spec.build_hash}",
        f"{spec.container.build}/Dockerfile ({image_id.removeprefix('sha256:')[:12]})",
    )


def _forget_old(engine: Engine, spec: ContainerStepSpec, newest: str) -> None:
    """Removes older images of this directory. One that a container uses stays. The one just built counts as the
    newest: if it came from the builder's cache, it has the date of the first build."""
    mine = [f"{HOME}={home_id(spec.home)}", f"{ROLE}={IMAGE_ROLE}", f"{BUILD}={spec.container.build}"]
    found = sorted(store.find(engine, mine), key=lambda one: (one["Id"] != newest, -int(one.get("Created") or 0)))
    for old in found[_KEPT_BUILDS:]:
        store.remove(engine, str((old.get("RepoTags") or [old["Id"]])[0]))


def _context(root: Path, build: str, files: tuple[BuildFile, ...]) -> Iterator[bytes]:
    """Yields a tar of exactly what was hashed; the same content gives the same bytes, so that the builder's cache
    works."""
    with own_files(f"reading {root / build}"), Directory.open(root) as top, top.below(build) as directory:
        for file in files:
            yield from _member(directory, file)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _member(directory: Directory, file: BuildFile) -> Iterator[bytes]:
    member = tarfile.TarInfo(file.path)
    member.mtime = EPOCH
    member.mode = 0o755 if file.executable or file.kind == "directory" else 0o644
    parent, name = directory.parent(file.path, links=False)
    with parent:
        if file.kind == "file":
            with parent.read(name) as stream:
                member.size = os.fstat(stream.fileno()).st_size
                yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
                yield from exactly(stream, member.size, Path(directory.path) / file.path)
            return
        member.type = tarfile.SYMTYPE if file.kind == "link" else tarfile.DIRTYPE
        member.linkname = parent.target(name) if file.kind == "link" else ""
        yield member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
