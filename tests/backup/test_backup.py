"""A backup is whole, private and consistent while others write; a restore refuses what is not one."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from podium.core.adoption.copies import adopt
from podium.core.adoption.settling import look, settle
from podium.core.backup.restore import restore
from podium.core.backup.write import write
from podium.core.cockpit import Cockpit
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.project import Project
from podium.core.errors import JournalError, NotFound, Refused, Unreachable
from podium.core.identity.home import Home, Standing
from podium.core.journal import Journal
from podium.core.journal.aging import segments

SECRET = "hunter2-and-more"
YAML = "project: shop\nenv: {API_TOKEN: '${API_TOKEN}'}\nenvironments: {production: {port: 5101}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with everything that a backup may meet."""
    home = tmp_path / "shop"
    home.mkdir()
    (home / "podium.yaml").write_text(YAML)
    settle(home)
    state = home / ".podium"
    monkeypatch.setattr(segments, "LEAST_ROWS", 3)
    with Journal.open(state / "journal.db") as journal:
        for number in range(9):
            journal.audit.add("anna", "promote", f"production {number}")
        journal.segments.seal("audit", 1e12)
        row = journal.ledger.begin(
            environment="production", how=How.PROMOTE, model="shop", to_version=3, from_version=None, who="anna"
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        replica = Replica("production-v3-1", "production", 3, "a", 5200, ReplicaState.READY)
        journal.replicas.put(replica)
    for path in (
        "runs/1/train.log", "runs/1/train.context.json", "runs/1/aside/mine.csv", "cache/objects/ab/cd",
        "worktrees/1/x", "environments/production/production-v3-1.log", "environments/production/capture/capture-1.jsonl",
        "artifacts/models/m-1/model.bin", "podium.yaml.good", "locks/a.lock", "preload/preload.log", "crash-1.txt",
    ):  # fmt: skip
        (state / path).parent.mkdir(parents=True, exist_ok=True)
        (state / path).write_text(f"content of {path}")
    (state / "runs/1/leaked.log").write_text(f"the token is {SECRET}")
    with closing(sqlite3.connect(state / "mlflow.db")) as store:
        store.execute("CREATE TABLE experiments (artifact_location TEXT)")
        store.execute("INSERT INTO experiments VALUES (?)", (str(state / "artifacts"),))
        store.commit()
    return home


@pytest.fixture
def project(home: Path) -> Project:
    return load(home, environ={"API_TOKEN": SECRET})


def names(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return tar.getnames()


def test_what_is_in_it_and_what_is_not(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    made = write(project, file)
    found = {name.removeprefix(".podium/") for name in names(file)}
    assert found == {
        "podium-backup.json", "journal.db", "mlflow.db", "artifacts/models/m-1/model.bin", "home.json",
        "environments/production/production-v3-1.log", "runs/1/train.log", "runs/1/aside/mine.csv",
        "sealed/audit-000001.jsonl.gz", "digests.json",
    }  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600 and made.size == file.stat().st_size
    assert [warning for warning in made.warnings if "leaked.log has a secret" in warning] == list(made.warnings)
    assert SECRET.encode() not in gzip.decompress(file.read_bytes())
    assert sorted(os.listdir(tmp_path)) == ["b.tar.gz", "shop"], "nothing half written stays"


def test_a_store_in_a_directory_of_its_own_is_in_it_once(tmp_path: Path) -> None:
    """Its database as of one moment, not what happens to be in the file."""
    home, there = tmp_path / "new", tmp_path / "there"
    for each in (home, there):
        each.mkdir()
        (each / "podium.yaml").write_text("project: shop\n")
    settle(home)
    store = home / ".podium/mlflow"
    (store / "artifacts").mkdir(parents=True)
    (store / "artifacts/mlflow.txt").write_text("a model")
    with closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("INSERT INTO experiments VALUES (?)", (str(store / "artifacts"),))
    (store / "mlflow.db-journal").touch()
    Journal.open(home / ".podium/journal.db").close()
    write(load(home), tmp_path / "b")
    inside = [name for name in names(tmp_path / "b") if "mlflow" in name]
    assert inside == [".podium/mlflow/mlflow.db", ".podium/mlflow/artifacts/mlflow.txt"]
    restore(elsewhere(tmp_path / "b", tmp_path), there)
    adopt(there)
    with closing(sqlite3.connect(there / ".podium/mlflow/mlflow.db")) as database:
        (place,) = database.execute("SELECT artifact_location FROM experiments").fetchone()
    assert place == str(there / ".podium/mlflow/artifacts")


def test_captures_only_when_asked(project: Project, tmp_path: Path) -> None:
    write(project, tmp_path / "with", captures=True)
    assert ".podium/environments/production/capture/capture-1.jsonl" in names(tmp_path / "with")


def test_it_replaces_nothing(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("mine")
    with pytest.raises(Refused, match="exists"):
        write(project, file)
    assert file.read_text() == "mine"


def test_a_full_disk_leaves_nothing(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(Unreachable, match="No space left"):
        write(project, tmp_path / "b")
    assert os.listdir(tmp_path) == ["shop"]


def test_it_is_of_one_moment_while_others_write(project: Project, tmp_path: Path) -> None:
    """Two rows are always written together: no copy has one of them."""
    stop = threading.Event()

    def busy() -> None:
        with Journal.open(project.state / "journal.db", timeout=60.0) as journal:
            while not stop.is_set():
                with journal.transaction():
                    journal.audit.add("a", "one", "")
                    journal.audit.add("a", "two", "")

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        write(project, tmp_path / "b")
    finally:
        stop.set()
        thread.join()
    restore(tmp_path / "b", tmp_path / "there")
    with Journal.open(tmp_path / "there/.podium/journal.db") as journal:
        assert journal.audit.verify() == [] and journal.audit.page(limit=1)[0].action in ("two", "promote")


def test_a_log_that_shrinks_meanwhile_keeps_the_archive_whole(project: Project, tmp_path: Path) -> None:
    from podium.core.backup.form import Digesting

    reader = Digesting(io.BytesIO(b"abc"), 10)
    assert reader.read(4) + reader.read() == b"abc" + bytes(7)


# -- bringing it back ------------------------------------------------------------------------------------------------


@pytest.fixture
def backup(project: Project, tmp_path: Path) -> Path:
    write(project, tmp_path / "b.tar.gz")
    return tmp_path / "b.tar.gz"


def test_in_the_place_of_the_lost_one_it_goes_on(home: Path, backup: Path) -> None:
    (home / ".podium").rename(home.with_name("lost"))
    done = restore(backup, home)
    state = home / ".podium"
    assert (state / "runs/1/train.log").read_text() == "content of runs/1/train.log"
    assert (state / "journal.db").stat().st_mode & 0o777 == 0o600 and state.stat().st_mode & 0o777 == 0o700
    assert (state / "sealed/audit-000001.jsonl.gz").stat().st_mode & 0o777 == 0o400
    assert look(state).standing is Standing.MOVED
    assert any("set the variables that podium.yaml uses: API_TOKEN" in step for step in done.next)
    assert any("starts again what should be served: v3 on production" in step for step in done.next)
    settle(home)
    with Journal.open(state / "journal.db") as journal:
        assert journal.audit.verify() == [] and len(journal.audit.page(limit=100)) >= 9
    assert os.listdir(home.parent) and sorted(os.listdir(home)) == [".podium", "podium.yaml"]


def test_on_another_machine_it_is_a_copy_until_it_is_adopted(home: Path, backup: Path, tmp_path: Path) -> None:
    noted = Home.read(home / ".podium")
    assert noted is not None
    there = tmp_path / "there"
    there.mkdir()
    (there / "podium.yaml").write_text(YAML)
    done = restore(elsewhere(backup, tmp_path), there)
    assert look(there / ".podium").standing is Standing.COPY
    assert [step.split(" (")[0] for step in done.next if step.startswith("podium ")] == [
        "podium adopt", "podium doctor", "podium deploy 3 -e production", "podium watch --daemon",
    ]  # fmt: skip
    adopt(there)
    assert Cockpit.open(there).project.copy_of == ""
    with closing(sqlite3.connect(there / ".podium/mlflow.db")) as store:
        assert store.execute("SELECT artifact_location FROM experiments").fetchone()[0] == str(
            there / ".podium/artifacts"
        )


def elsewhere(backup: Path, tmp_path: Path) -> Path:
    """The same backup as if another machine had written it."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("home.json"):
            return data
        document = json.loads(data)
        document["place"]["machine"] = "f" * 32
        return json.dumps(document).encode()

    return rewritten(backup, tmp_path / "from-elsewhere.tar.gz", change)


def rewritten(
    backup: Path, target: Path, change: Callable[[str, bytes], bytes], *more: tuple[tarfile.TarInfo, bytes]
) -> Path:
    """The backup with other contents, and digests that agree with them."""
    import hashlib

    digests: dict[str, str] = {}
    with tarfile.open(backup) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = change(member.name, content.read())
            if member.name == "digests.json":
                for extra, bytes_ in more:
                    extra.size = len(bytes_) if extra.isreg() else 0
                    digests[extra.name] = hashlib.sha256(bytes_).hexdigest()
                    new.addfile(extra, io.BytesIO(bytes_))
                data = json.dumps(digests).encode()
            elif member.name != "podium-backup.json":
                digests[member.name] = hashlib.sha256(data).hexdigest()
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target


def test_without_podium_yaml_it_says_where_that_is(backup: Path, tmp_path: Path) -> None:
    done = restore(backup, tmp_path / "fresh")
    assert "podium.yaml" in done.next[0] and "git" in done.next[0]


def test_it_overwrites_nothing(home: Path, backup: Path) -> None:
    before = sorted((home / ".podium").rglob("*"))
    with pytest.raises(Refused, match="exists") as caught:
        restore(backup, home)
    assert "mv " in caught.value.hint and sorted((home / ".podium").rglob("*")) == before


def refused(file: Path, tmp_path: Path, words: str) -> None:
    there = tmp_path / "there"
    with pytest.raises((Refused, JournalError), match=words):
        restore(file, there)
    assert not there.exists(), "nothing half restored stays"


def test_a_changed_file_is_refused(backup: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    with tarfile.open(backup) as old, tarfile.open(bad, "w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name.endswith("train.log"):
                data = data.replace(b"content", b"CONTENT")
            new.addfile(member, io.BytesIO(data))
    refused(bad, tmp_path, "train.log is not what was written")


@pytest.mark.parametrize("keep", [0, 10, 1000, -200])
def test_one_that_was_cut_off_is_refused(backup: Path, tmp_path: Path, keep: int) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(backup.read_bytes()[:keep])
    refused(bad, tmp_path, "damaged|no backup|cut off")


def test_what_is_not_restored_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        restore(tmp_path / "nothing.tar.gz", tmp_path / "far" / "away")
    (tmp_path / "text.tar.gz").write_text("no backup")
    with pytest.raises(Refused, match="is damaged, or no backup"):
        restore(tmp_path / "text.tar.gz", tmp_path / "far" / "away")
    (tmp_path / "there").mkdir()
    with pytest.raises(Refused):
        restore(tmp_path / "text.tar.gz", tmp_path / "there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.tar.gz", "there"]


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    with tarfile.open(other, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x"))
    refused(other, tmp_path, "no backup of Podium's")


def members() -> Iterator[tarfile.TarInfo]:
    for name in (
        "../outside",
        "/tmp/outside",
        ".podium/../../outside",
        ".podium/runs/1/train.log",
        ".podium/journal.db/x",
    ):
        yield tarfile.TarInfo(name)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        member = tarfile.TarInfo(".podium/runs/9")
        member.type, member.linkname = kind, "../../outside"
        yield member


@pytest.mark.parametrize("member", members(), ids=lambda member: f"{member.name}-{member.type!r}")
def test_members_that_lead_out_or_are_no_files_are_refused(
    backup: Path, tmp_path: Path, member: tarfile.TarInfo
) -> None:
    bad = rewritten(backup, tmp_path / "bad", lambda _, data: data, (member, b"x"))
    refused(bad, tmp_path, "is no file of a project|there twice")
    assert not (tmp_path / "outside").exists()


def test_a_journal_of_a_newer_podium_is_refused_with_words(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / ".podium/journal.db")) as raw:
        raw.execute("PRAGMA user_version = 999")
    write(load(home, environ={"API_TOKEN": SECRET}), tmp_path / "b")
    refused(tmp_path / "b", tmp_path, "newer Podium")


def test_a_backup_of_a_newer_podium_is_refused_with_words(backup: Path, tmp_path: Path) -> None:
    def newer(name: str, data: bytes) -> bytes:
        return json.dumps({**json.loads(data), "format": 99}).encode() if name == "podium-backup.json" else data

    refused(rewritten(backup, tmp_path / "new", newer), tmp_path, "newer Podium")


def test_one_that_has_no_room_is_refused_before_it_is_unpacked(backup: Path, tmp_path: Path) -> None:
    def huge(name: str, data: bytes) -> bytes:
        return json.dumps({**json.loads(data), "size": 1 << 60}).encode() if name == "podium-backup.json" else data

    refused(rewritten(backup, tmp_path / "huge", huge), tmp_path, "are free")
