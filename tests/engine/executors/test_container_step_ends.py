"""What becomes of a step's work when its engine is somewhere else, or away for a while: outputs, images and
containers."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.address import Address
from podium.core.containers.engine.errors import EngineAway
from podium.core.containers.images import store
from podium.core.containers.observe.cgroups import _namespace
from podium.core.domain.project import ContainerSpec
from podium.core.domain.runs import PIPELINE, RunState, Trigger
from podium.core.engine.executors.container import image, orphans, transfer
from podium.core.engine.executors.container.ending import ContainerExitCode
from podium.core.engine.executors.container.spec import ContainerStepSpec
from podium.core.engine.executors.container.wrapper import WRAPPER
from podium.core.journal import Journal

from tests.containers.wire import Request, Wire, archive, document
from tests.runner.scale import scaled

IMAGE = "sha256:" + "a" * 64


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def engine(wire: Wire) -> Iterator[Engine]:
    with wire.engine(timeout=1) as made:
        yield made


def ordered(root: Path, *outputs: str, **changes: Any) -> ContainerStepSpec:
    state = root / ".podium"
    state.mkdir(exist_ok=True)
    made = ContainerStepSpec(
        address=Address("unix", path="/x"),
        project="p",
        home=root,
        state=state,
        root=root,
        run=1,
        step="a",
        attempt=1,
        argv=("true",),
        env={},
        container=ContainerSpec(),
        outputs=outputs,
        stores=("http://127.0.0.1:1",),
        secrets=(),
        base="",
        key="",
        build=(),
        build_hash="f" * 40,
        result=state / "result",
        log=state / "log",
        worker=os.getpid(),
    )
    return replace(made, **changes)


def packed(top: str, files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("output", [".", "work/"])
def test_outputs_replace_what_was_sent_and_nothing_that_was_not(
    wire: Wire, engine: Engine, tmp_path: Path, output: str
) -> None:
    """The checkout's history and the state directory are not in a container's copy, and an environment of this
    machine's Python is not either."""
    root = tmp_path / "project"
    target = root / output
    for name, text in {
        ".git/HEAD": "ref",
        ".venv/bin/python": "ours",
        "old": "goes",
        "changed": "before",
        "sub/.venv/x": "ours",
    }.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    spec = ordered(root, output)
    (spec.state / "journal.db").write_text("journal")
    sent = packed(target.name, {"changed": "after", "new": "made", "sub/more": "made", ".git/HEAD": "theirs"})
    wire.tell("GET /containers/c/archive", archive([sent]))
    transfer.bring_back(engine, "c", spec, lambda _: None)
    expected = {
        ".git/HEAD": "ref",
        ".venv/bin/python": "ours",
        "changed": "after",
        "new": "made",
        "sub/more": "made",
        "sub/.venv/x": "ours",
    }
    found = tree(target)
    assert found.pop(".podium/journal.db", "journal") == "journal"
    assert found == expected
    assert (spec.state / "journal.db").read_text() == "journal"


def test_a_file_in_the_place_of_a_directory_and_the_other_way_round(wire: Wire, engine: Engine, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "out/a").mkdir(parents=True)
    (root / "out/b").write_text("file")
    wire.tell("GET /containers/c/archive", archive([packed("out", {"a": "file", "b/x": "below"})]))
    transfer.bring_back(engine, "c", ordered(root, "out"), lambda _: None)
    assert tree(root / "out") == {"a": "file", "b/x": "below"}


def test_an_image_that_was_just_built_is_not_the_oldest_one(wire: Wire, engine: Engine, tmp_path: Path) -> None:
    """Made from the builder's cache it has the date of the first time."""
    removed: list[str] = []

    def gone(request: Request) -> None:
        removed.append(request.path)
        document([])(request)

    old = [
        {"Id": f"sha256:{letter * 64}", "Created": 100 + number, "RepoTags": [f"x:{letter}"]}
        for number, letter in enumerate("bcd")
    ]
    wire.tell("GET /images/json", document([{"Id": IMAGE, "Created": 1, "RepoTags": ["x:a"]}, *old]))
    for each in ("a", "b", "c", "d"):
        wire.tell(f"DELETE /images/x:{each}", gone)
    image._forget_old(engine, ordered(tmp_path, container=ContainerSpec(build="image")), IMAGE)
    assert [path.rpartition("/")[2].partition("?")[0] for path in removed] == ["x:b"]


def test_an_engine_may_take_its_time_before_it_sends_an_image_and_is_named_when_it_breaks_off(
    wire: Wire, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.core.containers.engine.client.SLOW_TIMEOUT", 4.0)
    wire.tell(f"GET /images/{IMAGE}/json", document({"Id": IMAGE, "Size": 4}))

    def slow(request: Request) -> None:
        time.sleep(1.5)  # longer than other requests may take
        archive([b"tar!"])(request)

    wire.tell(f"GET /images/{IMAGE}/get", slow)
    with Wire(tmp_path / "other.sock") as other:
        taken: list[bytes] = []

        def load(request: Request) -> None:
            while (size := int(request.rfile.readline(), 16)) > 0:
                taken.append(request.rfile.read(size))
                request.rfile.readline()
            document({})(request)

        other.tell("POST /images/load", load)
        other.tell(f"GET /images/{IMAGE}/json", document({"Id": IMAGE}))
        with other.engine(timeout=5) as target:
            store.transfer(engine, target, IMAGE, say=lambda _: None)
            assert b"".join(taken) == b"tar!"

            def cut(request: Request) -> None:
                request.begin()
                request.put(b"ta")
                request.wfile.write(b"ff\r\n{")
                request.close_connection = True

            wire.tell(f"GET /images/{IMAGE}/get", cut)
            with pytest.raises(EngineAway, match="reading the image") as caught:
                store.transfer(engine, target, IMAGE, say=lambda _: None)
    assert "other.sock" not in caught.value.message


@pytest.mark.parametrize(
    ("lost", "state", "stays"),
    [(True, RunState.FAILED, True), (False, RunState.FAILED, False), (False, RunState.INTERRUPTED, True)],
)
def test_a_container_whose_engine_was_away_waits_for_a_resume(
    tmp_path: Path, lost: bool, state: RunState, stays: bool
) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        run = journal.runs.create(kind=PIPELINE, name="p", trigger=Trigger.PERSON, who="anna")
        journal.runs.set_state(run.id, state)
        left = orphans.Orphan("c" * 64, run.id, "a", "running", False, "mark", time.time() - 3600)
        if lost:
            marker = orphans.lost_marker(tmp_path, run.id, left.id)
            marker.parent.mkdir(parents=True)
            marker.touch()
        assert orphans.unneeded([left], journal, time.time()) == ([] if stays else [left])
        assert orphans.unneeded([left], journal, time.time() + 2 * 86400) == [left]


@pytest.mark.parametrize(
    ("command", "code"),
    [("sleep 0.3", ContainerExitCode.TERMINATED_WELL), ("sleep 0.3; exit 3", 3), ("sleep 0.3; exit 180", 179)],
)
def test_a_command_that_leaves_well_after_it_was_told_to_end_is_told_apart(command: str, code: int) -> None:
    """The wrapper without its part that waits for a container's other processes, which here are the machine's."""
    head, _, rest = WRAPPER.partition("podium_n=0")
    script = head + rest.partition("done\n")[2]
    lines = f"set -- /bin/sh -c '{command}'\n"
    process = subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin
    process.stdin.write(f"1\n{lines}".encode())
    process.stdin.close()
    time.sleep(0.15)
    process.terminate()  # the wrapper alone; the command leaves as it would
    assert process.wait(scaled(5)) == code


def test_a_network_that_cannot_be_told_from_the_machines_is_not_the_containers(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    for pid, link in (("self", "net:[1]"), ("7", "net:[1]"), ("8", "net:[2]")):
        (proc / pid / "ns").mkdir(parents=True)
        (proc / pid / "ns/net").symlink_to(link)
    assert _namespace(tmp_path, 1) == "", "only root may look"
    assert _namespace(tmp_path, 7) == _namespace(tmp_path, "self") != _namespace(tmp_path, 8)
