"""The file itself: made private, migrated whole or not at all, and every way in which a disk or another process can
be in the way."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from podium.core.domain.runs import PIPELINE, Run, Trigger
from podium.core.errors import JournalError
from podium.core.journal import Journal
from podium.core.journal.sqlite import schema
from podium.core.journal.sqlite.database import connect

from tests.runner.scale import scaled
from tests.support import as_nobody


def add(journal: Journal, why: str = "") -> Run:
    return journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PERSON, who="anna", why=why)


def test_files_are_private_wherever_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "a b ’#?%41" / ".podium" / "journal.db"
    with Journal.open(path) as journal:
        add(journal)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        for suffix in ("", "-wal", "-shm"):
            assert path.with_name(path.name + suffix).stat().st_mode & 0o777 == 0o600
        with Journal.open(path, read_only=True) as reader:
            assert reader.runs.count() == 1


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o2777])
def test_a_state_directory_that_came_open_is_closed_to_others(tmp_path: Path, mode: int) -> None:
    """A clone makes the directory of files that are tracked in it as it makes all others."""
    state = tmp_path / ".podium"
    state.mkdir()
    state.chmod(mode)
    with Journal.open(state / "journal.db"):
        assert state.stat().st_mode & 0o7777 == 0o700
    state.chmod(mode)
    with Journal.open(state / "journal.db", read_only=True):
        assert state.stat().st_mode & 0o7777 == mode, "who only reads changes nothing"
    with Journal.open(state / "journal.db", create=False):
        assert state.stat().st_mode & 0o7777 == 0o700


def test_what_is_not_a_state_directory_of_ones_own_keeps_its_mode(tmp_path: Path) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "home"
    for each in (elsewhere, home):
        each.mkdir(mode=0o755)
    (home / ".podium").symlink_to(elsewhere)
    for path in (home / ".podium" / "journal.db", home / "journal.db"):
        Journal.open(path).close()
    assert {each.stat().st_mode & 0o777 for each in (elsewhere, home)} == {0o755}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a directory to somebody else")
def test_a_state_directory_of_somebody_else_stays_as_it_is(tmp_path: Path) -> None:
    state = tmp_path / ".podium"
    state.mkdir()
    os.chown(state, 65534, 65534)
    state.chmod(0o755)
    with Journal.open(state / "journal.db"):
        assert state.stat().st_mode & 0o777 == 0o755


def test_without_create_nothing_is_made(tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(JournalError, match="no journal") as caught:
            Journal.open(tmp_path / "x" / "journal.db", **options)
        assert "podium run" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_journal_reads_and_refuses_to_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        add(journal)
    with Journal.open(path, read_only=True) as reader:
        assert reader.runs.count() == 1
        with pytest.raises(JournalError, match="cannot be written"):
            add(reader)


def lost(state: Path, *runs: int) -> Path:
    """A state directory with files of runs and a journal that somebody emptied long ago."""
    for number in runs:
        (state / "runs" / str(number)).mkdir(parents=True)
    state.mkdir(exist_ok=True)
    path = state / "journal.db"
    path.touch()
    os.utime(path, (0, 0))
    return path


def test_an_empty_journal_beside_files_of_runs_is_told_and_a_new_one_counts_on(tmp_path: Path) -> None:
    path = lost(tmp_path / ".podium", 3, 41)
    for options in ({}, {"read_only": True}):
        with pytest.raises(
            JournalError, match="is empty, and there are files of runs beside it, up to run 41"
        ) as caught:
            Journal.open(path, **options)
        assert "podium restore" in caught.value.hint and path.stat().st_size == 0
    path.unlink()
    with Journal.open(path) as journal:
        assert add(journal).id == 42
    with Journal.open(path) as journal:
        assert add(journal).id == 43


def test_an_empty_file_without_runs_is_where_a_new_journal_begins(tmp_path: Path) -> None:
    path = lost(tmp_path / ".podium")
    (tmp_path / ".podium" / "runs" / "notes").mkdir(parents=True)
    with Journal.open(path) as journal:
        assert add(journal).id == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("ended", [True, False])
def test_on_a_read_only_file_system_every_row_is_read(tmp_path: Path, ended: bool) -> None:
    """Of a writer that ended, and of one that was cut off: its newest rows are in the write-ahead log alone."""
    path, medium = tmp_path / "journal.db", tmp_path / "medium"
    medium.mkdir()
    with Journal.open(path) as journal:
        add(journal)
        if not ended:
            for suffix in ("", "-wal"):
                shutil.copy(f"{path}{suffix}", medium)
    if ended:
        shutil.copy(path, medium)
    for options in ("bind", "remount,ro,bind"):
        subprocess.run(["mount", "-o", options, str(medium), str(medium)], check=True)
    try:
        with Journal.open(medium / "journal.db", read_only=True) as reader:
            assert reader.runs.count() == 1
            with pytest.raises(JournalError):
                add(reader)
    finally:
        subprocess.run(["umount", str(medium)], check=True)


def test_a_directory_without_write_permission() -> None:
    with as_nobody() as directory:
        (directory / "state").mkdir()
        path = directory / "state" / "journal.db"
        with Journal.open(path) as journal:
            add(journal)
        path.parent.chmod(0o500)
        path.chmod(0o400)
        try:
            with pytest.raises(JournalError) as caught:
                with Journal.open(path) as journal:
                    add(journal)
            assert "permission" in caught.value.hint or "may write" in caught.value.hint
            with Journal.open(path, read_only=True) as reader:
                assert reader.runs.count() == 1
            with pytest.raises(JournalError, match="cannot be made") as caught:
                Journal.open(path.with_name("another.db"))
            assert "permission" in caught.value.hint
        finally:
            path.parent.chmod(0o700)


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to look at " * 100, b"\0" * 5000, bytes(range(1, 255)) * 36],
    ids=["text", "zeros", "binary"],
)
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalError) as caught:
        Journal.open(path)
    assert caught.value.hint and path.read_bytes() == content


def test_somebody_elses_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE theirs (a)")
    raw.commit()
    raw.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not a journal"):
        Journal.open(path)
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    assert len(path.read_bytes()) == len(before)


def test_a_directory_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(JournalError, match="directory"):
        Journal.open(tmp_path / "journal.db")


def test_damage_is_named_and_found_by_check(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        with journal.transaction():
            for number in range(3000):
                add(journal, why=f"{number}" * 20)
        assert journal.check() == []
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 20_000)
    with pytest.raises(JournalError, match=r"damaged|refused") as caught:
        with Journal.open(path) as journal:
            problems = journal.check()
            assert problems
            journal.runs.page(limit=-1)
    assert caught.value.hint and path.stat().st_size == size


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 999")
    raw.close()
    for read_only in (False, True):
        with pytest.raises(JournalError, match="newer Podium") as caught:
            Journal.open(path, read_only=read_only)
        assert "newer Podium" in caught.value.hint


def test_migrations_run_in_order_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        add(journal)
    later = (
        *schema.MIGRATIONS,
        "ALTER TABLE runs ADD COLUMN extra TEXT; CREATE TABLE more (a);",
        "INSERT INTO more VALUES ('x;y');",
    )
    database = connect(path, create=False, read_only=False, timeout=1)
    with pytest.raises(JournalError):
        schema.migrate(database, (*later, "CREATE TABLE half (a); SELECT * FROM nowhere;"))
    # A migration that failed has left nothing.
    assert database.one("PRAGMA user_version") == (len(schema.MIGRATIONS),)
    assert database.all("SELECT name FROM sqlite_schema WHERE name IN ('half', 'more')") == []
    schema.migrate(database, later)
    schema.migrate(database, later)
    assert database.all("SELECT a FROM more") == [("x;y",)]
    assert database.one("SELECT count(*), max(extra) FROM runs") == (1, None)
    database.close()


def test_a_released_migration_is_never_edited() -> None:
    from hashlib import sha256

    # The first migration as released. When this fails, undo the change and add a migration at the end instead.
    assert sha256(schema.MIGRATIONS[0].encode()).hexdigest()[:16] == "299b47ac1f9f69f9"


def test_locked_by_another_for_longer_than_the_time_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        add(journal)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with Journal.open(path, timeout=0.1) as other:
            with pytest.raises(JournalError, match="locked") as caught:
                add(other)
            assert caught.value.hint and other.runs.count() == 1
            holder.execute("ROLLBACK")
            add(other)
            assert journal.runs.count() == 2


def test_a_lock_that_is_given_back_in_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, lambda: holder.execute("ROLLBACK"))
    timer.start()
    with Journal.open(path) as journal:
        assert add(journal).id == 1
    timer.join()


_FILL = """
import resource, sys
from pathlib import Path
from podium.core.domain.runs import PIPELINE, Trigger
from podium.core.errors import JournalError
from podium.core.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    done = 0
    try:
        while True:
            journal.runs.create(kind=PIPELINE, name="x", trigger=Trigger.PERSON, who="anna", why="w" * 2000)
            done += 1
    except JournalError as error:
        print(done, journal.runs.count(), error.message, "|", error.hint, sep="\\n")
"""


def test_a_file_size_limit_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    found = subprocess.run(
        [sys.executable, "-c", _FILL, str(path)], capture_output=True, text=True, timeout=scaled(60), check=True
    )
    done, count, message, _, hint = found.stdout.splitlines()
    assert int(done) > 5 and done == count and str(path) in message and "not made" in hint
    with Journal.open(path) as journal:
        assert journal.runs.count() == int(done) and journal.check() == []
        add(journal)


def test_a_full_disk_undoes_the_whole_transaction(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        add(journal)
        pages = journal._database.one("PRAGMA page_count")
        assert pages is not None
        journal._database.run(f"PRAGMA max_page_count = {pages[0] + 5}")
        with pytest.raises(JournalError, match="disk is full") as caught:
            with journal.transaction():
                journal.values.set("half", "done")
                for _ in range(100):
                    add(journal, why="w" * 5000)
        assert "safe" in caught.value.hint
        assert journal.runs.count() == 1 and journal.values.get("half") is None
        journal.values.set("after", "ok")
        assert journal.check() == []


def test_transactions_nest(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.transaction():
            journal.values.set("a", "1")
            with contextlib.suppress(ZeroDivisionError), journal.transaction():
                journal.values.set("b", "1")
                raise ZeroDivisionError
            journal.values.set("c", "1")
        assert set(journal.values.all()) == {"a", "c"}
        with contextlib.suppress(ZeroDivisionError), journal.transaction(), journal.transaction():
            journal.values.set("d", "1")
            raise ZeroDivisionError
        assert set(journal.values.all()) == {"a", "c"}
        with pytest.raises(KeyboardInterrupt), journal.transaction():
            journal.values.set("e", "1")
            raise KeyboardInterrupt
        assert set(journal.values.all()) == {"a", "c"}


def test_importing_the_journal_loads_nothing_heavy() -> None:
    code = (
        "import sys; import podium.core.journal, podium.core.logs.writer; print(*sorted(m.split('.')[0] for m in"
        " sys.modules))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=scaled(60)
        ).stdout.split()
    )
    heavy = {
        "mlflow",
        "pandas",
        "numpy",
        "textual",
        "rich",
        "typer",
        "docker",
        "httpx",
        "yaml",
        "psutil",
        "asyncio",
        "socket",
        "subprocess",
        "logging",
    }
    assert loaded & heavy == set()
