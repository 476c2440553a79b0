"""Nothing below a directory is reached through a link that leaves it, whatever is put there and whenever."""

from __future__ import annotations

import gc
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from podium.core.beneath import Directory, LinkRefused, copy_tree, move, settled, walk
from podium.core.beneath.tree import MAX_DEPTH
from podium.core.errors import RunFailed

SECRET = "the host's own"


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A directory with something of everything, beside a file that nobody may reach."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text(SECRET)
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").write_text("one")
    (top / "plain").write_text("two")
    yield top


@contextmanager
def opened(path: Path) -> Iterator[Directory]:
    """The directory, and no handle more in the end than there was before."""
    gc.collect()  # what other tests left open is closed whenever its turn comes
    before = set(os.listdir("/proc/self/fd"))
    with Directory.open(path) as directory:
        yield directory
    assert set(os.listdir("/proc/self/fd")) <= before


def read(directory: Directory, path: str) -> str:
    with directory.read_below(path) as file:
        return file.read().decode()


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


# -- going down --------------------------------------------------------------------------------------------------------


def test_what_is_below_is_reached_by_its_path(top: Path) -> None:
    with opened(top) as directory:
        assert read(directory, "a/b/file") == "one" and read(directory, "./a//b/./file") == "one"
        with directory.below("a/b") as inner:
            assert inner.names() == ["file"] and read(inner, "file") == "one"
        with directory.below("") as itself:
            assert sorted(itself.names()) == ["a", "plain"]
        with pytest.raises(FileNotFoundError):
            directory.below("a/none")
        with pytest.raises(NotADirectoryError):
            directory.below("plain/x")
        with pytest.raises(ValueError, match="not a relative path"):
            directory.below("/etc")


@pytest.mark.parametrize("path", ["..", "a/../..", "a/b/../../../outside"])
def test_a_path_does_not_lead_up_and_out(top: Path, path: str) -> None:
    with opened(top) as directory, pytest.raises(LinkRefused):
        directory.below(path)


@pytest.mark.parametrize(
    "target", ["../../outside", "{outside}", "../..", "/", "b/../../../outside", "{top}/../outside"]
)
def test_a_link_that_leaves_is_an_error_that_names_it(top: Path, target: str) -> None:
    target = target.format(outside=top.parent / "outside", top=top)
    (top / "a/link").symlink_to(target)
    with opened(top) as directory:
        for make in (False, True):
            with pytest.raises(LinkRefused, match="'a/link' is a link to") as caught:
                directory.below("a/link/deep", make=make)
            assert caught.value.hint
    assert not (top.parent / "outside/deep").exists()


@pytest.mark.parametrize("target", ["../a/b", "b", "{top}/a/b", "../other", "b/../b/."])
def test_a_link_that_stays_inside_is_followed_where_that_is_asked_for(top: Path, target: str) -> None:
    (top / "other").symlink_to("a/b")
    (top / "a/link").symlink_to(target.format(top=top))
    with opened(top) as directory:
        assert read(directory, "a/link/file") == "one"
        with pytest.raises(LinkRefused, match="not followed"):
            directory.below("a/link", links=False)


def test_links_in_a_circle_end(top: Path) -> None:
    (top / "x").symlink_to("y")
    (top / "y").symlink_to("x")
    with opened(top) as directory:
        with pytest.raises(LinkRefused):
            directory.below("x")
        with pytest.raises(LinkRefused):
            directory.read_through("x")


def test_only_a_plain_file_is_read(top: Path) -> None:
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(top)
        listening.bind("socket")
    (top / "link").symlink_to("plain")
    with opened(top) as directory:
        with pytest.raises(RunFailed, match="pipe is not a file"):
            directory.read("pipe")
        with pytest.raises(OSError, match="No such device"):
            directory.read("socket")
        with pytest.raises(RunFailed):
            directory.read("a")
        with pytest.raises(LinkRefused, match="link' is a link to 'plain'"):
            directory.read("link")
        with directory.read_through("link") as file:
            assert file.read() == b"two"


def test_a_new_file_takes_nobodys_place(top: Path) -> None:
    (top / "dangling").symlink_to(top.parent / "made-outside")
    with opened(top) as directory:
        for name in ("dangling", "plain"):
            with pytest.raises(FileExistsError):
                directory.create(name)
        with directory.create("new", 0o640) as file:
            file.write(b"x")
    assert stat.S_IMODE((top / "new").stat().st_mode) == 0o640 and not (top.parent / "made-outside").exists()


def test_removing_follows_nothing(top: Path) -> None:
    (top / "a/out").symlink_to(top.parent / "outside")
    (top / "out").symlink_to(top.parent / "outside")
    with opened(top) as directory:
        for name in ("a", "out", "plain", "none"):
            directory.remove(name)
        assert directory.names() == []
    assert (top.parent / "outside/file").read_text() == SECRET


# -- whole trees -------------------------------------------------------------------------------------------------------


def test_a_walk_yields_everything_in_order_and_enters_no_link(top: Path) -> None:
    (top / "a/out").symlink_to(top.parent / "outside")
    (top / "empty").mkdir()
    (top / "skipped").mkdir()
    (top / "skipped/x").touch()
    with opened(top) as directory:
        found = list(walk(directory, skip=lambda name: name == "skipped"))
        assert [each.path for each in found] == ["a", "a/b", "a/b/file", "a/out", "empty", "plain"]
        assert [each.path for each in found if each.is_link] == ["a/out"]
        assert [each.path for each in found if each.is_directory and each.empty] == ["empty"]
        assert [each.path for each in walk(directory, prefix="x/")][:2] == ["x/a", "x/a/b"]


def test_a_walk_has_an_end(tmp_path: Path) -> None:
    inner = Directory.open(tmp_path)
    for _ in range(MAX_DEPTH + 2):
        with inner:
            inner.make("d")
            deeper = inner.below("d")
        inner = deeper
    inner.close()
    with opened(tmp_path) as directory:
        with pytest.raises(RunFailed, match="deeper than"):
            list(walk(directory))
        directory.remove("d")


def test_a_copy_holds_what_links_lead_to_and_nothing_from_outside(top: Path, tmp_path: Path) -> None:
    (top / "to-file").symlink_to("a/b/file")
    (top / "a/to-directory").symlink_to(top / "a/b")
    (top / "a/b/up").symlink_to("../../plain")
    (top / "a/b/chain").symlink_to("../../to-file")
    os.mkfifo(top / "pipe")
    (tmp_path / "copy").mkdir()
    with opened(top) as source, opened(tmp_path / "copy") as dest:
        copy_tree(source, dest)
    assert tree(tmp_path / "copy") == {
        "plain": "two",
        "to-file": "one",
        "a/b/file": "one",
        "a/b/up": "two",
        "a/b/chain": "one",
        "a/to-directory/file": "one",
        "a/to-directory/up": "two",
        "a/to-directory/chain": "one",
    }
    assert not any(path.is_symlink() for path in (tmp_path / "copy").rglob("*"))


@pytest.mark.parametrize(
    "target", ["{outside}/file", "../../outside/file", "../../outside", "nowhere", ".", "..", "out"]
)
def test_a_link_that_cannot_be_copied_is_named(top: Path, tmp_path: Path, target: str) -> None:
    (top / "a/out").symlink_to(target.format(outside=top.parent / "outside"))
    (tmp_path / "copy").mkdir()
    with (
        opened(top) as source,
        opened(tmp_path / "copy") as dest,
        pytest.raises(LinkRefused, match="out' is a link to"),
    ):
        copy_tree(source, dest)
    assert SECRET not in tree(tmp_path / "copy").values()


def test_what_is_moved_out_is_moved_as_it_is(top: Path, tmp_path: Path) -> None:
    (top / "a/out").symlink_to(top.parent / "outside")
    with opened(top) as directory:
        with opened(tmp_path) as into:
            move(directory, "a", into, "moved")
        assert directory.names() == ["plain"]
    assert (tmp_path / "moved/b/file").read_text() == "one" and (tmp_path / "moved/out").is_symlink()


def test_what_is_moved_to_another_disk_is_copied_as_it_is(top: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == top.stat().st_dev:
        pytest.skip("no second file system here")
    away = shared / f"podium-test-{os.getpid()}"
    away.mkdir()
    (top / "a/out").symlink_to(top.parent / "outside")
    (top / "a/b/file").chmod(0o750)
    os.utime(top / "a/b/file", (1, 1))
    try:
        with opened(top) as directory:
            with opened(away) as into:
                move(directory, "a", into, "moved")
                move(directory, "plain", into, "plain")
            assert directory.names() == []
        found = (away / "moved/b/file").stat()
        assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o750, 1)
        assert (away / "moved/out").readlink() == top.parent / "outside" and (away / "plain").read_text() == "two"
    finally:
        with Directory.open(shared) as directory:
            directory.remove(away.name)
    assert (top.parent / "outside/file").read_text() == SECRET


def test_names_that_are_no_utf_8_are_names(top: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (top / name).mkdir()
    (top / name / name).write_text("three")
    (tmp_path / "copy").mkdir()
    with opened(top) as directory, opened(tmp_path / "copy") as dest:
        assert f"{name}/{name}" in [each.path for each in walk(directory)]
        copy_tree(directory, dest)
        assert read(dest, f"{name}/{name}") == "three"


# -- races -------------------------------------------------------------------------------------------------------------


@contextmanager
def swapping(place: Path, target: Path) -> Iterator[None]:
    """Puts a directory and a link out of there in turn into one place, as fast as it can."""
    stop = threading.Event()
    real, link = place.with_name("real"), place.with_name("link")
    place.rename(real)
    link.symlink_to(target)

    def swap() -> None:
        while not stop.is_set():
            for one in (real, link):
                with suppress(OSError):
                    one.rename(place)
                    place.rename(one)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _read(directory: Directory, _: Path) -> str:
    return read(directory, "a/b/file")


def _walked(directory: Directory, _: Path) -> str:
    texts: list[str] = []
    for found in walk(directory):
        if found.is_file:
            with found.open() as file:
                texts.append(file.read().decode())
    return "".join(texts)


def _copied(directory: Directory, dest: Path) -> str:
    with Directory.open(dest) as into:
        for name in into.names():
            into.remove(name)
        copy_tree(directory, into)
    return "".join(tree(dest).values())


def _written(directory: Directory, _: Path) -> str:
    with directory.below("a/b", make=True) as inner:
        inner.remove("new")
        with inner.create("new") as file:
            file.write(b"x")
    return ""


def _removed(directory: Directory, _: Path) -> str:
    with directory.below("a") as inner:
        inner.remove("b")
        inner.make("b")
    return ""


@pytest.mark.parametrize("deed", [_read, _walked, _copied, _written, _removed], ids=lambda deed: deed.__name__[1:])
def test_a_directory_that_becomes_a_link_in_between_lets_nobody_out(
    top: Path, tmp_path: Path, deed: Callable[[Directory, Path], str]
) -> None:
    (tmp_path / "copy").mkdir()
    done = 0
    with Directory.open(top) as directory, swapping(top / "a/b", tmp_path / "outside"):
        for number in range(50_000):
            # A copy may also find that what it listed as a directory is none any more.
            with suppress(OSError, RunFailed):
                assert SECRET not in deed(directory, tmp_path / "copy")
                done += 1
            if number > 500 and (done or deed is _copied):
                break
    assert tree(tmp_path / "outside") == {"file": SECRET}
    assert done or deed is _copied, "it was found as a directory too"


# -- what links say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ({"out/current": "/p/out/v3"}, {"out/current": "v3"}),
        ({"out/a/current": "/p/out/v3/x"}, {"out/a/current": "../v3/x"}),
        ({"out/latest": "m1.pkl"}, {"out/latest": "m1.pkl"}),
        ({"latest": "m1.pkl"}, {"latest": "m1.pkl"}),
        ({"out/l": "."}, {"out/l": "."}),
        ({"out/l": "not/there"}, {"out/l": "not/there"}),
        ({"out/a": "b", "out/b": "c"}, {"out/a": "b", "out/b": "c"}),
        ({"out/l": "/p/out/../out/x"}, {"out/l": "x"}),
    ],
)
def test_a_link_that_stays_inside_says_it_relatively(links: dict[str, str], found: dict[str, str]) -> None:
    assert settled(links, ["out/", "m1.pkl", "latest"], "/p") == found


@pytest.mark.parametrize(
    "links",
    [
        {"out/l": "/etc/passwd"},
        {"out/l": "../data"},
        {"out/l": "../../etc"},
        {"out/l": ".."},
        {"out/l": "/p"},
        {"out/l": "/p2/out"},
        {"out/l": "l"},
        {"out/l": "k", "out/k": "l"},
        {"out/l": "k/../x", "out/k": "sub/../.."},
        {"out": "/root/.ssh"},
        # What it says looks as if it stayed inside, and `k` is a shorter way than it looks.
        {"out/a/l": "k/../../x", "out/a/k": "."},
    ],
    ids=str,
)
def test_a_link_that_leads_out_is_refused_by_name_or_left_as_it_is(links: dict[str, str]) -> None:
    with pytest.raises(LinkRefused) as caught:
        settled(links, ["out"], "/p")
    assert any(repr(path) in caught.value.message for path in links)
    assert settled(links, ["out"], "/p", strict=False) == links


def test_absolute_links_are_understood_where_the_project_itself_is_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real/out").mkdir(parents=True)
    (tmp_path / "project").symlink_to("real")
    for written in ("project", "real"):
        links = {"out/l": str(tmp_path / written / "out/x")}
        assert settled(links, ["out"], str(tmp_path / "project")) == {"out/l": "x"}
