"""An archive from outside is unpacked alike by every Python that Podium runs on: with the standard library's filter, and
where that is missing (3.11.0 to 3.11.3) with our own."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podium.core.engine.executors.container.unpack import extract

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
    "a link to an absolute path": [("a", LINK, {"linkname": "/etc/passwd"})],
    "a link that leads out": [("out/a", LINK, {"linkname": "../../a"})],
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


def without_a_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.11.2 has it: no filter to name, and no argument to name it with."""
    real = tarfile.TarFile.extractall

    def extractall(self: tarfile.TarFile, path: Any = ".", members: Any = None, *, numeric_owner: bool = False) -> None:
        # What the newer ones would otherwise do by themselves (3.14), or warn of.
        more = {"filter": "fully_trusted"} if had_filter else {}
        real(self, path, members, numeric_owner=numeric_owner, **more)

    had_filter = hasattr(tarfile, "data_filter")
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)


def as_it_is(_: pytest.MonkeyPatch) -> None:
    pass


@pytest.fixture(params=[as_it_is, without_a_filter])
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    python: Callable[[pytest.MonkeyPatch], None] = request.param
    python(monkeypatch)


@pytest.mark.usefixtures("_python")
@pytest.mark.parametrize("members", BAD.values(), ids=BAD)
def test_what_leads_out_is_refused(tmp_path: Path, members: Members) -> None:
    into = tmp_path / "home" / "into"
    into.mkdir(parents=True)
    with archive(members) as tar, pytest.raises(tarfile.TarError):
        extract(tar, into)
    assert [path for path in tmp_path.rglob("*") if into not in (path, *path.parents)] == [into.parent]
    assert not [path for path in into.rglob("*") if path.is_symlink() and into not in path.resolve().parents]


@pytest.mark.usefixtures("_python")
@pytest.mark.parametrize("members", GOOD.values(), ids=GOOD)
def test_what_stays_inside_comes_with_this_accounts_rights(tmp_path: Path, members: Members) -> None:
    with archive(members) as tar:
        extract(tar, tmp_path)
    found = tree(tmp_path)
    files = [(name, rights) for name, (kind, rights, _, _) in found.items() if kind == "-"]
    assert all(rights & 0o600 == 0o600 and not rights & 0o7022 for _, rights in files) and (files or "b" in found)
    assert {owner for _, _, owner, _ in found.values()} == {os.getuid()}


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python has no filter to compare with")
@pytest.mark.parametrize("members", GOOD.values(), ids=GOOD)
def test_both_make_the_same(tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name, python in (("filter", as_it_is), ("own", without_a_filter)):
        python(monkeypatch)
        (tmp_path / name).mkdir()
        with archive(members) as tar:
            extract(tar, tmp_path / name)
        made.append(tree(tmp_path / name))
    assert made[0] == made[1]
