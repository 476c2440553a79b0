"""A container's output that is a link: nothing of the host is read into the cache, and nothing is written there. Links that
stay inside mean the same wherever they are restored."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from podium.core.beneath import Directory, LinkRefused
from podium.core.domain.runs import RunState
from podium.core.engine.cache import Cache
from podium.core.engine.graph import PlannedStep, build

from tests.engine.lab import Lab

SECRET = "the host's own"


@dataclass
class Box:
    """A run's directory, what is beside it on the host, and a cache that trusts neither (a step runs in a container)."""

    root: Path
    host: Path
    cache: Cache
    step: PlannedStep
    files: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str = "made") -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def link(self, path: str, target: str | Path) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).symlink_to(str(target).format(root=self.root, host=self.host))

    def keep(self) -> None:
        self.cache.keep("k", 1, self.step, self.root)

    def restore(self, root: Path | None = None) -> None:
        found = self.cache.find("k")
        assert found is not None
        assert self.cache.restore(found, root or self.root, self.host / "aside", link=False) is not None

    def kept(self) -> set[str]:
        """All contents in the store."""
        return {path.read_text() for path in (self.cache.directory / "objects").rglob("*") if path.is_file()}

    def host_is_untouched(self) -> bool:
        return {
            str(path.relative_to(self.host)): path.read_text() for path in self.host.rglob("*") if path.is_file()
        } == {
            "secret": SECRET,
            "home/.ssh/id": SECRET,
        }


@pytest.fixture
def box(lab: Lab, tmp_path: Path) -> Iterator[Box]:
    project = lab.pipeline('a: {run: "true", outputs: [out/, deep/model, single]}')
    root, host = tmp_path / "root", tmp_path / "host"
    root.mkdir()
    (host / "home/.ssh").mkdir(parents=True)
    (host / "secret").write_text(SECRET)
    (host / "home/.ssh/id").write_text(SECRET)
    made = Box(root, host, Cache(tmp_path / "state"), build(project.pipelines["main"])[0])
    made.write("out/x")
    made.write("deep/model")
    made.write("single")
    yield made
    made.cache.close()


def replace(box: Box, path: str, target: str) -> None:
    place = box.root / path
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    box.link(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("out", "{host}/home"),
        ("out", "../host/home"),
        ("single", "{host}/secret"),
        ("deep", "{host}/home/.ssh"),
        ("out/x", "{host}/secret"),
        ("out/x", "../../host/secret"),
        ("out/x", "{host}/home/.ssh"),
        ("single", "/etc/passwd"),
        ("out/x", "../podium.yaml"),
        ("deep/model", "{root}/other"),
        ("single", "single"),
    ],
)
def test_a_link_that_leaves_the_outputs_is_an_error_that_names_it(box: Box, path: str, target: str) -> None:
    box.write("podium.yaml", "not an output")
    box.write("other", "not an output")
    replace(box, path, target)
    with pytest.raises(LinkRefused) as caught:
        box.keep()
    assert repr(path) in caught.value.message and target.format(root=box.root, host=box.host) in caught.value.message
    assert box.kept() <= {"made"} and box.cache.find("k") is None and box.host_is_untouched()


@pytest.mark.parametrize(
    ("path", "target", "says"),
    [
        ("out/current", "{root}/out/x", "x"),
        ("out/a/current", "{root}/out/x", "../x"),
        ("out/latest", "x", "x"),
        ("out/to-directory", "{root}/out", "."),
        ("out/broken", "nowhere", "nowhere"),
        ("single", "deep/model", "deep/model"),
        ("out/other-output", "../single", "../single"),
        ("single", "{root}/out/x", "out/x"),
    ],
)
def test_a_link_that_stays_inside_is_kept_as_a_link_and_means_the_same_elsewhere(
    box: Box, tmp_path: Path, path: str, target: str, says: str
) -> None:
    (box.root / path).unlink(missing_ok=True)
    box.link(path, target)
    box.keep()
    other = tmp_path / "another checkout"
    other.mkdir()
    box.restore(other)
    assert os.readlink(other / path) == says
    if "nowhere" not in target:
        assert (other / path).resolve().relative_to(other)
    box.restore()
    assert os.readlink(box.root / path) == target.format(root=box.root, host=box.host), (
        "what is right is not written again"
    )


@pytest.mark.parametrize("path", ["out", "out/x", "deep", "deep/model", "single"])
@pytest.mark.parametrize("target", ["{host}/home", "{host}/new", "{host}/home/.ssh/id"])
def test_nothing_is_restored_through_a_link(box: Box, path: str, target: str) -> None:
    box.keep()
    replace(box, path, target)
    # A link on the way, or in the place of an output, may be a person's: it is named. One in an output is replaced.
    if path == "out/x":
        box.restore()
        assert (box.root / path).read_text() == "made" and not (box.root / path).is_symlink()
    else:
        with pytest.raises(LinkRefused, match=f"'{path}' is a link to"):
            box.restore()
    assert box.host_is_untouched()


@pytest.mark.parametrize("path", ["out", "out/deeper"])
def test_nothing_is_moved_aside_through_a_link(box: Box, path: str) -> None:
    """One that a race has brought there, say."""
    box.write("out/deeper/y")
    box.keep()
    box.write("out/deeper/y", "changed")
    aside = box.host / "aside" / path
    aside.parent.mkdir(parents=True)
    aside.symlink_to(box.host / "home/.ssh")
    with pytest.raises(LinkRefused, match=f"'{path}' is a link to"):
        box.restore()
    aside.unlink()
    shutil.rmtree(box.host / "aside")
    assert box.host_is_untouched() and (box.root / "out/deeper/y").read_text() == "changed"


def test_a_link_that_took_a_files_place_is_not_moved_aside(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came after the look that found a file of a person there."""
    box.keep()
    box.write("out/x", "changed")
    parted = Directory.remove_empty

    def swapped(directory: Directory, name: str) -> bool:
        replace(box, "out/x", "{host}/home/.ssh")
        return parted(directory, name)

    monkeypatch.setattr(Directory, "remove_empty", swapped)
    box.restore()
    assert (box.root / "out/x").read_text() == "made" and not list((box.host / "aside").rglob("x"))


def test_what_stands_in_the_way_inside_of_the_project_makes_way(box: Box) -> None:
    box.keep()
    replace(box, "out", "deep")
    replace(box, "single", "{root}/out")
    box.restore()
    assert (box.root / "out/x").read_text() == "made" and not (box.root / "out").is_symlink()
    assert (box.root / "single").read_text() == "made" and (box.root / "deep/model").read_text() == "made"


def test_a_link_on_the_way_that_stays_in_the_project_is_gone_through(box: Box) -> None:
    (box.root / "deep").rename(box.root / "elsewhere")
    box.link("deep", "elsewhere")
    box.cache.make_way(box.root, box.step.outputs)
    box.keep()
    (box.root / "elsewhere/model").unlink()
    box.restore()
    assert (box.root / "elsewhere/model").read_text() == "made" and (box.root / "deep").is_symlink()


@pytest.mark.parametrize("path", ["out", "deep", "single"])
def test_a_link_that_leads_out_is_named_before_the_step_begins(box: Box, path: str) -> None:
    replace(box, path, "{host}/home")
    with pytest.raises(LinkRefused, match=f"'{path}' is a link to"):
        box.cache.make_way(box.root, box.step.outputs)
    assert box.host_is_untouched()


def test_giving_files_a_life_of_their_own_touches_nothing_outside(box: Box) -> None:
    os.link(box.host / "secret", box.host / "second-name")
    replace(box, "out", "{host}")
    with suppress(LinkRefused):
        box.cache.detach(box.root, box.step.outputs)
    assert (box.host / "secret").stat().st_nlink == 2
    (box.host / "second-name").unlink()


def test_pipes_and_sockets_are_no_outputs_and_keep_nobody_waiting(box: Box) -> None:
    os.mkfifo(box.root / "out/pipe")
    box.keep()
    (box.root / "single").unlink()
    os.mkfifo(box.root / "single")
    with pytest.raises(Exception, match="neither a file nor a directory"):
        box.keep()


def _swap(place: Path, target: Path, stop: threading.Event) -> None:
    """Something of the step is still there: it puts a link and the real thing in turn into one place."""
    real, link = place.with_name("real"), place.with_name("link")
    place.rename(real)
    link.symlink_to(target)
    while not stop.is_set():
        for one in (real, link):
            with suppress(OSError):
                one.rename(place)
                place.rename(one)


def _keep(box: Box) -> None:
    box.keep()


def _restore(box: Box) -> None:
    box.write("deep/model", "changed")
    box.restore()


def _detach(box: Box) -> None:
    box.cache.detach(box.root, box.step.outputs)


def _make_way(box: Box) -> None:
    box.cache.make_way(box.root, box.step.outputs)


@pytest.mark.parametrize("deed", [_keep, _restore, _detach, _make_way], ids=lambda deed: deed.__name__[1:])
@pytest.mark.parametrize(
    ("path", "target"), [("out", "home/.ssh"), ("out/deeper", "home/.ssh"), ("single", "secret"), ("out/x", "secret")]
)
def test_a_step_that_still_runs_cannot_lead_us_out(
    box: Box, deed: Callable[[Box], None], path: str, target: str
) -> None:
    box.write("out/deeper/y")
    if deed is _restore:
        box.keep()
    stop = threading.Event()
    thread = threading.Thread(target=_swap, args=[box.root / path, box.host / target, stop])
    thread.start()
    try:
        for _ in range(60):
            with suppress(LinkRefused, OSError):
                deed(box)
    finally:
        stop.set()
        thread.join()
    assert SECRET not in box.kept()
    shutil.rmtree(box.host / "aside", ignore_errors=True)
    assert box.host_is_untouched()


# -- in whole runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["ln -s {host}/secret out", "mkdir out; ln -s {host}/secret out/x", "ln -s {host} out"]
)
def test_a_run_whose_step_leaves_a_link_that_leads_out_fails_and_says_which(
    lab: Lab, tmp_path: Path, command: str
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "secret").write_text(SECRET)
    lab.pipeline(f'a: {{run: "{command.format(host=host)}", outputs: [out]}}')
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert "'out" in steps["a"].message and "is a link to" in steps["a"].message and "leads out" in steps["a"].message
    objects = lab.home / ".podium/cache/objects"
    assert SECRET not in {path.read_text() for path in objects.rglob("*") if path.is_file()}


def test_an_absolute_link_into_an_output_is_restored_as_a_relative_one(lab: Lab) -> None:
    lab.pipeline(
        'a: {run: "mkdir -p models/v3; echo 3 > models/v3/m; ln -sfn \\"$PWD/models/v3\\" models/current", outputs: [models/]}'
    )
    lab.run()
    shutil.rmtree(lab.home / "models")
    _, steps = lab.run()
    assert steps["a"].cached
    assert os.readlink(lab.home / "models/current") == "v3" and (lab.home / "models/current/m").read_text() == "3\n"


def test_a_link_to_a_file_comes_back_as_a_link(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo 1 > m1.pkl; ln -sf m1.pkl latest.pkl", outputs: [m1.pkl, latest.pkl]}')
    lab.run()
    for name in ("m1.pkl", "latest.pkl"):
        (lab.home / name).unlink()
    _, steps = lab.run()
    assert steps["a"].cached
    assert os.readlink(lab.home / "latest.pkl") == "m1.pkl" and (lab.home / "latest.pkl").read_text() == "1\n"


def test_an_absolute_link_into_an_output_on_another_disk_is_understood(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (lab.home / "out").symlink_to(disk)
    lab.pipeline(
        f'a: {{run: "echo 1 > out/x; ln -sf \\"$PWD/out/x\\" out/one; ln -sf {disk}/x out/two", outputs: [out/]}}'
    )
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, steps["a"].message
    for path in disk.iterdir():
        path.unlink()
    _, steps = lab.run()
    assert steps["a"].cached and os.readlink(disk / "one") == os.readlink(disk / "two") == "x"
