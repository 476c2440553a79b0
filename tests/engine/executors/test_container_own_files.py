"""What fails at a file of this machine while it is sent to an engine, or while something is brought from one, is not
told as the engine's fault."""

from __future__ import annotations

import io
import os
import re
import resource
import tarfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.containers.engine.errors import EngineAway
from podium.core.containers.images import build
from podium.core.containers.images.context import BuildContext
from podium.core.delivery.drivers import DriverContext
from podium.core.delivery.drivers.docker.captures import bring
from podium.core.delivery.drivers.docker.place import EngineObjects
from podium.core.domain.project import ContainerSpec, Environment, Git, Mlflow, Project
from podium.core.engine.cache import Cache
from podium.core.engine.executors import ExecutorContext
from podium.core.engine.executors.container import image
from podium.core.engine.executors.container.executor import _Build, _build
from podium.core.engine.executors.container.spec import BuildFile, ContainerStepSpec
from podium.core.engine.executors.container.transfer import bring_back, send
from podium.core.errors import RunFailed
from podium.core.journal import Journal

from tests.containers.wire import Answer, Request, Wire, archive, breaks, document

SIZE = 8 << 20  # more than lies in the buffers between the two ends
ARCHIVE = "GET /containers/c1/archive"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def answering(wire: Wire) -> Iterator[Engine]:
    with wire.engine() as made:
        yield made


@pytest.fixture
def spec(wire: Wire, tmp_path: Path) -> ContainerStepSpec:
    home = tmp_path / "home"
    (home / "state").mkdir(parents=True)
    return ContainerStepSpec(
        wire.address,
        "lab",
        home,
        home / "state",
        home,
        1,
        "train",
        1,
        ("true",),
        {},
        ContainerSpec(build="tools"),
        ("out.bin",),
        "",
        (),
        "",
        "",
        (),
        "",
        home / "result",
        home / "log",
        os.getpid(),
    )


@contextmanager
def full_disk() -> Generator[None]:
    """Inside, no file of this process may grow beyond a megabyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def big(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def removing(path: Path) -> Answer:
    """Takes what is sent, but removes a file while the one before it is sent."""

    def answer(request: Request) -> None:
        request.rfile.read(1 << 16)
        path.unlink()
        while request.rfile.read1(1 << 16):
            pass
        request.close_connection = True

    return answer


def tarred(name: str, size: int) -> list[bytes]:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = size
        tar.addfile(member, io.BytesIO(bytes(size)))
    whole = held.getvalue()
    return [whole[at : at + 65536] for at in range(0, len(whole), 65536)]


def cut(name: str, size: int, then: Callable[[Request], object] = breaks) -> Answer:
    """The engine goes away in the middle of the archive, or does something else there."""
    pieces = tarred(name, size)

    def answer(request: Request) -> None:
        request.begin()
        for piece in pieces[: len(pieces) // 2]:
            request.put(piece)
        then(request)

    return answer


def test_a_file_that_vanishes_while_it_is_sent(wire: Wire, answering: Engine, spec: ContainerStepSpec) -> None:
    big(spec.root / "a.bin")
    gone = big(spec.root / "b.bin")
    wire.tell("PUT /containers/c1/archive", removing(gone))
    with pytest.raises(RunFailed, match=f"^sending the run's files: {re.escape(str(gone))}: No such file or directory"):
        send(answering, "c1", spec, lambda _: None)


def _image(directory: Path) -> Callable[[], Iterator[bytes]]:
    return lambda: image._context(
        directory.parent, directory.name, (BuildFile("a.bin", "file"), BuildFile("b.bin", "file"))
    )


def _model(directory: Path) -> Callable[[], Iterator[bytes]]:
    context = BuildContext()
    context.tree("model", directory)
    return context.stream


@pytest.mark.parametrize("made", [_image, _model])
def test_a_file_that_vanishes_while_an_image_is_built_of_it(
    wire: Wire, answering: Engine, spec: ContainerStepSpec, made: Callable[[Path], Callable[[], Iterator[bytes]]]
) -> None:
    directory = spec.root / "tools"
    big(directory / "a.bin")
    gone = big(directory / "b.bin")
    context = made(directory)
    wire.tell("POST /build", removing(gone))
    with pytest.raises(RunFailed, match=rf"{re.escape(str(gone))}.*No such file or directory"):
        build.build(answering, build.BuildRequest(context), say=lambda _: None, builder=build.CLASSIC)


def test_a_full_disk_while_an_output_is_fetched(wire: Wire, answering: Engine, spec: ContainerStepSpec) -> None:
    wire.tell(ARCHIVE, archive(tarred("out.bin", 4 << 20)))
    with full_disk(), pytest.raises(RunFailed, match=r"^fetching output out.bin: .*too large"):
        bring_back(answering, "c1", spec, lambda _: None)
    assert not list(spec.state.iterdir())
    said: list[str] = []
    bring_back(answering, "c1", spec, said.append)
    assert (spec.root / "out.bin").stat().st_size == 4 << 20 and said == ["fetched out.bin: 4 MB"]


def test_a_state_directory_that_is_gone(wire: Wire, answering: Engine, spec: ContainerStepSpec) -> None:
    wire.tell(ARCHIVE, archive(tarred("out.bin", 100)))
    with pytest.raises(RunFailed, match=r"^fetching output out.bin: .*No such file or directory"):
        bring_back(answering, "c1", replace(spec, state=spec.state / "none"), lambda _: None)


def test_an_engine_that_goes_away_while_an_output_is_fetched_is_away(
    wire: Wire, answering: Engine, spec: ContainerStepSpec
) -> None:
    wire.tell(ARCHIVE, cut("out.bin", 4 << 20))
    with pytest.raises(EngineAway, match=r"^fetching output out.bin: the Docker engine at "):
        bring_back(answering, "c1", spec, lambda _: None)


def test_an_engine_that_falls_silent_while_an_output_is_fetched_is_away(wire: Wire, spec: ContainerStepSpec) -> None:
    end = threading.Event()
    wire.tell(ARCHIVE, cut("out.bin", 4 << 20, then=lambda _: end.wait()))
    with (
        wire.engine(timeout=1) as answering,
        pytest.raises(EngineAway, match=r"^fetching output out.bin: the Docker engine at "),
    ):
        bring_back(answering, "c1", spec, lambda _: None)
    end.set()


@pytest.fixture
def place(wire: Wire, tmp_path: Path) -> Iterator[EngineObjects]:
    environment = Environment("staging", driver="docker", host=str(wire.address))
    mlflow = Mlflow(f"sqlite:///{tmp_path}/none.db", "tiny", "tiny")
    project = Project("tiny", tmp_path, tmp_path, Git(), mlflow, {}, {}, {"staging": environment}, {}, {}, {})
    labels = Labels(project.name, project.home, names.REPLICA_ROLE, {names.ENVIRONMENT: "staging"}).all()
    wire.tell("GET /containers/json", document([{"Id": "c1", "Names": ["/one"], "State": "running", "Labels": labels}]))
    with Journal.open(project.state / "journal.db") as journal:
        yield EngineObjects(DriverContext(project, journal, environment, tmp_path / "there", lambda _: None))


def test_captures(wire: Wire, place: EngineObjects, tmp_path: Path) -> None:
    """A full disk here is no fault of the engine's, and what was brought before stays; an engine that goes away is."""
    name = "capture/capture-v1-1.jsonl"
    wire.tell(ARCHIVE, archive(tarred(name, 100)))
    into = bring(place, tmp_path / "there" / "captured")
    wire.tell(ARCHIVE, archive(tarred(name, 4 << 20)))
    with full_disk(), pytest.raises(RunFailed, match=r"^bringing captured requests: .*too large"):
        bring(place, into)
    wire.tell(ARCHIVE, cut(name, 4 << 20))
    with pytest.raises(EngineAway, match=r"^bringing captured requests: "):
        bring(place, into)
    assert [(path.name, path.stat().st_size) for path in into.iterdir()] == [("capture-v1-1.jsonl", 100)]
    assert list(into.parent.iterdir()) == [into]
    wire.tell(ARCHIVE, archive(tarred(name, 100)))
    (tmp_path / "file").touch()
    with pytest.raises(RunFailed, match=r"^bringing captured requests: .*file"):
        bring(place, tmp_path / "file" / "captured")


def test_what_dockerignore_names_is_not_sent_and_changes_no_key(tmp_path: Path) -> None:
    def sent(**files: str) -> _Build:
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        cache = Cache(tmp_path / "state")
        try:
            setting = SimpleNamespace(root=tmp_path, store=cache)
            return _build(cast("ExecutorContext", setting), ContainerSpec(build="image"))
        finally:
            cache.close()

    directory = tmp_path / "image"
    everything = {
        ".env": "TOKEN=x",
        "Dockerfile": "FROM scratch",
        "keys/a.pem": "k",
        "src/a.py": "a",
        "src/deep/a.log": "l",
    }
    assert {each.path for each in sent(**everything, **{"keep.log": "k"}).files} == {*everything, "keep.log"}
    ignore = "# what is mine\n.env\nkeys\n  **/*.log  \n!keep.log\nDockerfile\n\n"
    before = sent(**{".dockerignore": ignore})
    assert {each.path for each in before.files} == {".dockerignore", "Dockerfile", "src/a.py", "keep.log"}
    assert sent(**{".env": "TOKEN=y", "keys/b.pem": "k"}).digest == before.digest
    assert sent(**{"src/a.py": "b"}).digest != before.digest
