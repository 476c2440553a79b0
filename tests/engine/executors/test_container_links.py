"""Containers do not leave their box by a link: not by the outputs that are read from their directory, not by those that are
copied back from another machine, and not by the directory that their image is built of."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.beneath import LinkRefused
from podium.core.containers import Engine
from podium.core.domain.runs import RunState
from podium.core.engine.executors.container import transfer

from tests.containers.wire import Wire, archive
from tests.engine.executors.step_lab import StepLab
from tests.engine.executors.test_container_step_ends import ordered

SECRET = "the host's own, and nobody else's"


@pytest.fixture
def lab(tmp_path: Path, engine: Engine) -> Iterator[StepLab]:
    lab = StepLab(tmp_path / "project", engine)
    yield lab
    lab.close()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """What a container must not reach."""
    host = tmp_path / "host"
    (host / "home/.ssh").mkdir(parents=True)
    (host / "secret").write_text(SECRET)
    return host


def objects(lab: StepLab) -> set[bytes]:
    return {path.read_bytes() for path in (lab.home / ".podium/cache/objects").rglob("*") if path.is_file()}


def planted(lab: StepLab, **links: object) -> None:
    """Links of those names in the project, for the container to copy as links: its image has no `ln`."""
    for name, target in links.items():
        (lab.home / name).symlink_to(str(target))


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("{host}/secret", "cp -P planted out"),
        ("{host}/secret", "mkdir out; cp -P planted out/x"),
        ("{host}", "cp -P planted out"),
        ("../host/secret", "cp -P planted out"),
    ],
)
def test_a_containers_output_that_is_a_link_is_an_error_that_names_it(
    lab: StepLab, shell_image: str, host: Path, target: str, command: str
) -> None:
    planted(lab, planted=target.format(host=host))
    lab.pipeline(f'a: {{image: "{shell_image}", run: "{command}", outputs: [out]}}')
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert "'out" in steps["a"].message and "is a link to" in steps["a"].message, steps["a"].message
    assert not any(SECRET.encode() in content for content in objects(lab))


def test_a_link_that_a_container_left_is_not_written_through(lab: StepLab, shell_image: str, host: Path) -> None:
    """The second run has the output in its cache, and finds a link in the place of its directory."""
    planted(lab, planted=host / "home/.ssh")
    lab.write("in.txt", "keys")
    take = 'run: "cp in.txt data/authorized_keys", inputs: [in.txt], outputs: [data/authorized_keys]'
    good = f'a: {{image: "{shell_image}", {take}}}'
    lab.pipeline(good)
    assert lab.run()[0].state is RunState.SUCCEEDED
    lab.pipeline(f'{good}\nb: {{image: "{shell_image}", run: "rm -r data; cp -P planted data", needs: [a]}}')
    lab.run()
    assert (lab.home / "data").is_symlink()
    lab.pipeline(good)
    run, steps = lab.run()
    assert run.state is RunState.FAILED and "'data' is a link to" in steps["a"].message, steps["a"].message
    assert list((host / "home/.ssh").iterdir()) == []


def test_links_inside_of_a_containers_output_stay_links(lab: StepLab, shell_image: str) -> None:
    planted(lab, one=lab.home / "out/v3", two="v3/m")
    made = "mkdir -p out/v3; echo 3 >out/v3/m; cp -P one out/current; cp -P two out/latest"
    lab.pipeline(f'a: {{image: "{shell_image}", run: "{made}", outputs: [out]}}')
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, steps["a"].message
    shutil.rmtree(lab.home / "out")
    _, steps = lab.run()
    assert steps["a"].cached
    assert os.readlink(lab.home / "out/current") == "v3" and os.readlink(lab.home / "out/latest") == "v3/m"


def test_what_a_link_in_a_build_directory_points_to_is_not_in_the_image(
    lab: StepLab, shell_image: str, host: Path
) -> None:
    lab.write("tools/Dockerfile", f"FROM {shell_image}\nCOPY . /tools/\n")
    (lab.home / "tools/taken").symlink_to(host / "secret")
    (lab.home / "tools/directory").symlink_to(host)
    lab.pipeline("a: {build: tools, run: 'cat /tools/taken /tools/directory/secret || true'}")
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, steps["a"].message
    assert SECRET not in lab.log(run.id, "a", "oep")
    (lab.home / "linked").symlink_to(host)
    (host / "Dockerfile").write_text(f"FROM {shell_image}\nCOPY . /tools/\n")
    lab.pipeline("a: {build: linked, run: 'cat /tools/secret'}")
    run, steps = lab.run()
    assert run.state is RunState.FAILED and "'linked' is a link to" in steps["a"].message, steps["a"].message


# -- outputs that are copied back --------------------------------------------------------------------------------------


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with Wire(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def answering(wire: Wire) -> Iterator[Engine]:
    with wire.engine(timeout=1) as made:
        yield made


def packed(*members: tuple[str, str]) -> bytes:
    """An archive of files, and of links where the second word begins with `->`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:]
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content.encode()))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("out", "{host}/secret"),
        ("out/x", "{host}/secret"),
        ("out/x", "../../host/secret"),
        ("out", "../host"),
        ("out/a/b", "../../.."),
    ],
)
def test_a_link_that_leaves_is_not_brought_back(
    wire: Wire, answering: Engine, tmp_path: Path, host: Path, name: str, target: str
) -> None:
    root = tmp_path / "project"
    (root / "out").mkdir(parents=True)
    (root / "out/before").write_text("stays")
    wire.tell("GET /containers/c/archive", archive([packed((name, "->" + target.format(host=host)))]))
    with pytest.raises(LinkRefused, match=f"'{name}' is a link to"):
        transfer.bring_back(answering, "c", ordered(root, "out"), lambda _: None)
    assert (root / "out/before").read_text() == "stays" and sorted(path.name for path in root.iterdir()) == [
        ".podium",
        "out",
    ]


def test_links_that_stay_inside_are_brought_back_and_mean_the_same_here(
    wire: Wire, answering: Engine, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    members = (
        ("out/v3/m", "3"),
        ("out/current", f"->{root}/out/v3"),
        ("out/latest", "->v3/m"),
        ("out/a/up", "->../v3"),
    )
    wire.tell("GET /containers/c/archive", archive([packed(*members)]))
    transfer.bring_back(answering, "c", ordered(root, "out"), lambda _: None)
    assert {name: os.readlink(root / "out" / name) for name in ("current", "latest", "a/up")} == {
        "current": "v3",
        "latest": "v3/m",
        "a/up": "../v3",
    }


@pytest.mark.parametrize("where", ["out", "out/deep", "sub"])
def test_nothing_is_brought_back_through_a_link(
    wire: Wire, answering: Engine, tmp_path: Path, host: Path, where: str
) -> None:
    root = tmp_path / "project"
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(host / "home/.ssh")
    output = "sub/out" if where == "sub" else "out"
    wire.tell("GET /containers/c/archive", archive([packed(("out/deep/keys", "mine"), ("out/keys", "mine"))]))
    if where == "sub":
        with pytest.raises(LinkRefused, match="'sub' is a link to"):
            transfer.bring_back(answering, "c", ordered(root, output), lambda _: None)
    else:
        transfer.bring_back(answering, "c", ordered(root, output), lambda _: None)
        assert (root / "out/deep/keys").read_text() == "mine" and not (root / where).is_symlink()
    assert list((host / "home/.ssh").iterdir()) == []


def test_links_are_sent_as_links(wire: Wire, tmp_path: Path, host: Path) -> None:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "data/taken").symlink_to(host / "secret")
    (root / "directory").symlink_to(host)
    sent = b"".join(transfer._tree(root))
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        members = {Path("/", member.name).relative_to(root).as_posix(): member for member in tar}
    assert members["data/taken"].linkname == str(host / "secret") and members["directory"].issym()
    assert set(members) == {".", "data", "data/taken", "directory"} and SECRET.encode() not in sent
