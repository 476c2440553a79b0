"""The files that a run has logged: what there is, and the text of one. Nothing is kept, and no link is followed."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..beneath import Directory
from ..domain.curves import Artifact, ArtifactText
from ..domain.project import Mlflow
from ..errors import NotFound, Refused
from . import files, pictures
from .http import artifact_path
from .store import TrackedRun
from .training import server

MOST_FILES = 2_000
MOST_BYTES = 256 * 1024
"""How much of a file is shown."""


def listed(mlflow: Mlflow, state: Path, run: TrackedRun) -> list[Artifact]:
    """Returns the files of a run, with what is below them, by name; at most MOST_FILES. Raises Unreachable if the store
    does not answer, Refused if it is a bucket, which only MLflow's own client reads."""
    local = _local(mlflow, run)
    if local is not None:
        with _opened(local) as top:
            return [] if top is None else _listed_below(top)
    with server(mlflow, state) as registry:
        return registry.artifacts(run.artifact_uri, MOST_FILES)


def text(mlflow: Mlflow, state: Path, run: TrackedRun, path: str) -> ArtifactText:
    """Returns the beginning of a file as text; of one that is no text only its size, and what is to be seen if it is an
    image. Raises NotFound if it is gone."""
    name = files.safe_relative(path).as_posix()
    if pictures.named_so(name):
        found, size = _beginning(mlflow, state, run, name, pictures.MOST_BYTES)
        whole = len(found) <= pictures.MOST_BYTES
        seen = pictures.picture(found) if whole else None
        if seen is not None:
            return ArtifactText(name, "", len(found), binary=True, picture=seen)
        return _as_text(name, found, size if size is not None or not whole else len(found))
    return _as_text(name, *_beginning(mlflow, state, run, name, MOST_BYTES))


def below(mlflow: Mlflow, state: Path, run: TrackedRun, folder: str) -> list[Artifact]:
    """Returns the files of a run in one of its directories, by their names there; at most MOST_FILES. Raises what
    `listed` does."""
    name = files.safe_relative(folder).as_posix()
    local = _local(mlflow, run)
    if local is None:
        with server(mlflow, state) as registry:
            return registry.artifacts(f"{run.artifact_uri.rstrip('/')}/{name}", MOST_FILES)
    with _opened(local) as top:
        found = [] if top is None else _listed_below(top, only=name)
    return [Artifact(each.path.removeprefix(f"{name}/"), each.size) for each in found]


def content(mlflow: Mlflow, state: Path, run: TrackedRun, path: str, most: int) -> bytes | None:
    """Returns a file; None for one of more than `most` bytes. Raises what `text` does."""
    found = _beginning(mlflow, state, run, files.safe_relative(path).as_posix(), most)[0]
    return found if len(found) <= most else None


def _beginning(mlflow: Mlflow, state: Path, run: TrackedRun, name: str, most: int) -> tuple[bytes, int | None]:
    """Returns the first bytes of a file, one more than `most` of a larger one, and its size where that is known."""
    local = _local(mlflow, run)
    if local is None:
        with server(mlflow, state) as registry:
            return registry.artifact(run.artifact_uri, name, most + 1), None
    with _opened(local) as top:
        if top is None:
            raise NotFound(f"{name} is gone", hint="r reads the list again")
        try:
            with top.read_below(name, links=False) as file:
                return file.read(most + 1), file.seek(0, io.SEEK_END)
        except OSError as error:
            raise NotFound(f"{name} cannot be read: {error.strerror}", hint="r reads the list again") from error


def _as_text(name: str, content: bytes, size: int | None) -> ArtifactText:
    whole = len(content) <= MOST_BYTES
    known = size if size is not None else len(content) if whole else None
    shown = content[:MOST_BYTES]
    if b"\0" in shown:
        return ArtifactText(name, "", known, binary=True)
    return ArtifactText(name, shown.decode("utf-8", "replace"), known, cut=not whole)


def _local(mlflow: Mlflow, run: TrackedRun) -> Path | None:
    """Returns the directory of a run's files where the store is on this machine, or the server keeps them in the
    directory of this machine that podium.yaml names."""
    if not mlflow.embedded:
        if artifact_path(run.artifact_uri) is not None:
            return None
        named = files.named_directory(run.artifact_uri, mlflow.artifacts)
        return None if named is None else Path(*named)
    found = files.local_path(run.artifact_uri)
    if found is None:
        raise Refused(
            f"the files are at {run.artifact_uri[:150]}, which only MLflow's own client reads",
            hint="`mlflow artifacts download` fetches them",
        )
    return found


@contextmanager
def _opened(path: Path) -> Generator[Directory | None]:
    try:
        top = Directory.open(path)
    except OSError:
        yield None  # a run that logged no file has no directory
        return
    with top:
        yield top


def _listed_below(top: Directory, only: str = "") -> list[Artifact]:
    from ..beneath import walk

    found: list[Artifact] = []
    for each in walk(top):
        if each.is_file and (not only or each.path.startswith(f"{only}/")):
            found.append(Artifact(each.path, each.status.st_size))
        if len(found) >= MOST_FILES:
            break
    return found
