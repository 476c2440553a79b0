"""An archive from outside is taken apart without leaving the directory, as the standard library's filter for data does it
(which Python 3.11.0 to 3.11.3 do not have); where its links lead is left to whoever asked for it."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from podium.core.beneath import Directory, unpack
from podium.core.errors import RunFailed

Members = list[tuple[str, bytes, dict[str, Any]]]
FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
GOOD: dict[str, Members] = {
    "files": [("out", DIRECTORY, {"mode": 0o700}), ("out/a", FILE, {"mode": 0o644}), ("out/b", FILE, {"mode": 0o755})],
    "without a directory of their own": [("out/deep/er/a", FILE, {})],
    "rights of others": [("a", FILE, {"mode": 0o777}), ("b", FILE, {"mode": 0o4711}), ("c", FILE, {"mode": 0o2066})],
    "rights to nothing": [("d", DIRECTORY, {"mode": 0}), ("d/a", FILE, {"mode": 0})],
    "links": [("out/a", FILE, {}), ("out/b", LINK, {"linkname": "a"}), ("c", HARD, {"linkname": "out/a"})],
    "a link upwards that stays": [("a", FILE, {}), ("out/b", LINK, {"linkname": "../a"})],
    "a link to nothing": [("b", LINK, {"linkname": "nothing"})],
    "through a link that stays": [("out", DIRECTORY, {}), ("also", LINK, {"linkname": "out"}), ("also/a", FILE, {})],
    "an absolute name": [("/out/a", FILE, {})],
    "a way back": [("out", DIRECTORY, {}), ("out/../a", FILE, {})],
    "another owner": [("a", FILE, {"uid": 12345, "gid": 12345, "uname": "nobody", "gname": "nogroup"})],
    "twice": [("a", FILE, {"mode": 0o600}), ("a", FILE, {"mode": 0o755})],
}
BAD: dict[str, Members] = {
    "a name that leads out": [("../a", FILE, {})],
    "a name that leads out later": [("out/../../a", FILE, {})],
    "a file in the place of all": [("/", FILE, {})],
    "a name that is none": [("out/..", FILE, {})],
    "a name through an absolute link": [("a", LINK, {"linkname": "/tmp"}), ("a/b", FILE, {})],
    "a hard link that leads out": [("out/a", HARD, {"linkname": "../a"})],
    "a hard link to an absolute path": [("a", HARD, {"linkname": "/etc/passwd"})],
    "a name through a link that leads out": [("a", LINK, {"linkname": ".."}), ("a/b", FILE, {})],
    "a name through two links": [("d/e", DIRECTORY, {}), ("a", LINK, {"linkname": "d/e"}), ("a/../../../b", FILE, {})],
    "a device": [("a", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3})],
    "a block device": [("a", tarfile.BLKTYPE, {})],
    "a pipe": [("a", tarfile.FIFOTYPE, {})],
}


def archive(members: Members) -> tarfile.TarFile:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, fields in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.mode = 0o755 if kind == DIRECTORY else 0o644
            for key, value in fields.items():
                setattr(member, key, value)
            data = f"in {name}".encode() if kind == FILE else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return tarfile.open(fileobj=io.BytesIO(stream.getvalue()))


def tree(top: Path) -> dict[str, tuple[str, int, int, str]]:
    """Returns what lies below `top`: kind, rights, owner and content of each."""
    found: dict[str, tuple[str, int, int, str]] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        kind, rights = stat.filemode(status.st_mode)[0], stat.S_IMODE(status.st_mode)
        content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found[str(path.relative_to(top))] = (kind, 0 if kind == "l" else rights, status.st_uid, content)
    return found


@pytest.mark.parametrize("members", BAD.values(), ids=BAD)
def test_what_leads_out_is_refused(tmp_path: Path, members: Members) -> None:
    into = tmp_path / "home" / "into"
    into.mkdir(parents=True)
    with archive(members) as tar, Directory.open(into) as directory, pytest.raises((RunFailed, ValueError)):
        unpack(tar, directory)
    assert [path for path in tmp_path.rglob("*") if into not in (path, *path.parents)] == [into.parent]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../a", ".."])
def test_a_link_says_what_it_said_and_nothing_is_written_through_it(tmp_path: Path, target: str) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with (
        archive([("out/a", LINK, {"linkname": target}), ("out/b", FILE, {})]) as tar,
        Directory.open(into) as directory,
    ):
        unpack(tar, directory)
    assert os.readlink(into / "out/a") == target
    again = [("out/a", FILE, {}), ("out/b", LINK, {"linkname": target}), ("out/b", FILE, {})]
    with archive(again) as tar, Directory.open(into) as directory:
        unpack(tar, directory)
    assert {name: content for name, (_, _, _, content) in tree(into).items()} == {
        "out": "",
        "out/a": "in out/a",
        "out/b": "in out/b",
    }


@pytest.mark.parametrize("members", GOOD.values(), ids=GOOD)
def test_what_stays_inside_comes_with_this_accounts_rights(tmp_path: Path, members: Members) -> None:
    with archive(members) as tar, Directory.open(tmp_path) as directory:
        unpack(tar, directory)
    found = tree(tmp_path)
    files = [(name, rights) for name, (kind, rights, _, _) in found.items() if kind == "-"]
    assert all(rights & 0o600 == 0o600 and not rights & 0o7022 for _, rights in files) and (files or "b" in found)
    assert {owner for _, _, owner, _ in found.values()} == {os.getuid()}


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no filter to compare with")
@pytest.mark.parametrize("members", GOOD.values(), ids=GOOD)
def test_the_standard_librarys_filter_makes_the_same(tmp_path: Path, members: Members) -> None:
    for name in ("filter", "own"):
        (tmp_path / name).mkdir()
    with archive(members) as tar:
        tar.extractall(tmp_path / "filter", filter="data")
    with archive(members) as tar, Directory.open(tmp_path / "own") as directory:
        unpack(tar, directory)
    assert tree(tmp_path / "filter") == tree(tmp_path / "own")
