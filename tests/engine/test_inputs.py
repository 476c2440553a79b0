"""What counts as a change of an input, and that nothing half-written is an input or an output."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from podium.core.engine.cache import Cache
from podium.core.engine.cache.hashing import scan, summary

from tests.engine.lab import Lab

READS = '\ns: {run: "cat data/x.txt; echo x >> ran", inputs: [data]}\n'
WRITES = '\ns: {run: "mkdir -p o; echo new > o/x; echo x >> ran", inputs: [data], outputs: [o/, one.txt.d/f]}\n'


def ran(lab: Lab) -> int:
    return (lab.home / "ran").read_text().count("x")


def unsettle(path: Path) -> None:
    """Gives a file times that are long ago, so that its hash is remembered."""
    os.utime(path, ns=(10**18, 10**18))


def test_other_content_with_the_same_size_time_and_inode_is_a_change(lab: Lab) -> None:
    data = lab.home / "data" / "x.txt"
    data.parent.mkdir()
    data.write_text("one")
    unsettle(data)
    lab.pipeline(READS)
    lab.run()
    lab.run()
    assert ran(lab) == 1
    before = data.stat()
    data.write_text("two")  # as `cp -p` and `rsync -t --inplace` do it
    unsettle(data)
    after = data.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    lab.run()
    assert ran(lab) == 2


def test_verify_believes_nothing_that_was_remembered(lab: Lab) -> None:
    data = lab.home / "data" / "x.txt"
    data.parent.mkdir()
    data.write_text("one")
    unsettle(data)
    lab.pipeline(READS)
    lab.run()
    # A file system without such a time: what is remembered says that nothing has changed.
    with_cache = Cache(lab.home / ".podium")
    data.write_text("two")
    unsettle(data)
    status = data.stat()
    with_cache._database.execute(  # pyright: ignore[reportPrivateUsage]
        "INSERT OR REPLACE INTO files (path, size, mtime, inode, changed, digest) SELECT ?, ?, ?, ?, ?, digest FROM files"
        " WHERE path = ? UNION SELECT ?, ?, ?, ?, ?, ? LIMIT 1",
        (*(key := (str(data), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)), str(data), *key,
         "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"),
    )  # fmt: skip
    with_cache.close()
    lab.run()
    assert ran(lab) == 1
    lab.run(verify=True)
    assert ran(lab) == 2


def test_inputs_behind_a_link_to_a_directory_are_read(lab: Lab) -> None:
    real = lab.home / "real" / "deep"
    real.mkdir(parents=True)
    (real / "x.txt").write_text("one")
    (lab.home / "data").mkdir()
    (lab.home / "data" / "x.txt").symlink_to("link/deep/x.txt")
    (lab.home / "data" / "link").symlink_to("../real")
    (lab.home / "data" / "other").symlink_to(real)
    (real / "back").symlink_to(lab.home / "data")
    (real / "again").symlink_to("..")
    lab.pipeline(READS)
    lab.run()
    lab.run()
    assert ran(lab) == 1
    (real / "y.txt").write_text("only behind the links")
    lab.run()
    assert ran(lab) == 2


def test_links_to_directories_end_and_lead_no_foreign_commit_out(lab: Lab, tmp_path: Path) -> None:
    top = tmp_path / "farm"
    for level in range(40):  # two links to each next one: a million million paths to the last
        (top / f"d{level}").mkdir(parents=True)
        for name in "ab":
            (top / f"d{level}" / name).symlink_to(f"../d{level + 1}")
    (top / "d40").mkdir()
    (top / "d40" / "x").write_text("x")
    inside = tmp_path / "project" / "data"
    inside.mkdir(parents=True)
    (inside / "out").symlink_to(top / "d0")
    (inside / "root").symlink_to("/")
    cache = Cache(tmp_path / "state")
    try:
        assert len(scan(str(top / "d0"), cache.hashes)) < 200
        # A commit that anybody may have written names what is below it, and only that.
        assert [entry.path for entry in scan(str(inside), cache.hashes, inside=str(inside.parent))] == ["out", "root"]
        (inside / "root").unlink()
        before = summary(scan(str(inside), cache.hashes))
        (top / "d40" / "x").write_text("y")
        assert summary(scan(str(inside), cache.hashes)) != before
    finally:
        cache.close()


def test_links_to_files_lead_no_foreign_commit_out(tmp_path: Path) -> None:
    secret, project = tmp_path / "key", tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "own.csv").write_text("a")
    secret.write_text("one")
    (project / "data" / "key").symlink_to(secret)
    (project / "data" / "own").symlink_to("../own.csv")
    (project / "alone").symlink_to(secret)
    cache = Cache(tmp_path / "state")
    try:

        def seen(path: str, inside: str) -> list[tuple[str, str]]:
            return [(each.path, each.kind) for each in scan(str(project / path), cache.hashes, inside=inside)]

        foreign = str(project)
        assert seen("data", foreign) == [("key", "link"), ("own", "file")]
        assert seen("alone", foreign) == [("", "link")]
        assert seen("data", "") == [("key", "file"), ("own", "file")], "one's own working tree is followed"
        before = summary(scan(str(project / "alone"), cache.hashes, inside=foreign))
        secret.write_text("another")
        assert summary(scan(str(project / "alone"), cache.hashes, inside=foreign)) == before
    finally:
        cache.close()


@pytest.mark.parametrize("dead", [True, False])
def test_a_half_written_copy_is_nobodys_and_goes(lab: Lab, dead: bool) -> None:
    (lab.home / "data").mkdir()
    lab.pipeline(WRITES.replace("mkdir -p o", "mkdir -p o one.txt.d; echo f > one.txt.d/f"))
    maker = 2**22 + 1 if dead else os.getpid()  # no process has a number as high as the first
    parts = [lab.home / "o" / f".x.{maker}.part", lab.home / "one.txt.d" / f".f.{maker}.part"]
    for part in parts:
        part.parent.mkdir()
        part.write_text("half")
    _, steps = lab.run()
    assert [part.exists() for part in parts] == [not dead] * 2
    for directory in ("o", "one.txt.d"):
        shutil.rmtree(lab.home / directory)
    _, again = lab.run()
    assert again["s"].cached, steps
    assert sorted(path.name for path in (lab.home / "o").iterdir()) == ["x"]
    assert sorted(path.name for path in (lab.home / "one.txt.d").iterdir()) == ["f"]
