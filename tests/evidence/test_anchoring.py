"""The audit's head, kept outside: what a rewritten journal cannot hide."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.anchoring import anchoring
from podium.core.domain.evidence.anchors import Anchored
from podium.core.domain.evidence.settings import Evidence
from podium.core.domain.project import Project
from podium.core.errors import Refused
from podium.core.journal import Journal
from podium.core.journal.audit import digest_of
from podium.core.triggers.jobs import Anchoring

from .recorded import Recorded


class Held:
    """A project whose audit is anchored in a file, or on a bare repository."""

    def __init__(self, tmp_path: Path, kind: str) -> None:
        self.recorded = Recorded(tmp_path / "home")
        self.elsewhere = tmp_path / ("heads" if kind == "file" else "elsewhere.git")
        self.anchor = str(self.elsewhere)
        if kind == "ref":
            subprocess.run(["git", "init", "-q", "--bare", str(self.elsewhere)], check=True)
            self.recorded.git("remote", "add", "outside", str(self.elsewhere))
            self.anchor = "outside"

    @property
    def project(self) -> Project:
        return replace(self.recorded.project, evidence=Evidence(anchor=self.anchor))

    @property
    def journal(self) -> Journal:
        return self.recorded.journal

    def keep(self, *words: str, anew: str = "") -> None:
        for each in words:
            self.journal.audit.add("anna", "promote", each)
        anchoring.anchor(self.project, self.journal, "anna", anew=anew)

    def compared(self) -> Anchored:
        found = anchoring.compared(self.project, self.journal)
        assert found is not None
        return found

    def rewrite(self, *, first: int) -> None:
        """Computes the whole chain anew from an entry on, as whoever can write the journal's file can."""
        self.journal.close()
        path = self.recorded.project.state / "journal.db"
        base = sqlite3.connect(path)
        for (name,) in base.execute(
            "SELECT name FROM sqlite_schema WHERE type='trigger' AND tbl_name='audit'"
        ).fetchall():
            base.execute(f"DROP TRIGGER {name}")
        before = ""
        for row in base.execute("SELECT id, at, who, action, subject, why FROM audit ORDER BY id").fetchall():
            row = (*row[:2], "somebody else", *row[3:]) if row[0] >= first else row
            before = digest_of(before, *row)
            base.execute("UPDATE audit SET who = ?, digest = ? WHERE id = ?", (row[2], before, row[0]))
        base.execute("UPDATE audit_head SET digest = ?", (before,))
        base.commit()
        base.close()
        self.recorded.journal = Journal.open(path)

    def copy(self, place: Path) -> Callable[[], None]:
        """Copies the journal; returns what brings the copy back."""
        state = self.recorded.project.state
        shutil.copytree(state, place)

        def back() -> None:
            self.journal.close()
            for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
                (state / name).unlink(missing_ok=True)
                if (place / name).exists():
                    shutil.copy(place / name, state / name)
            self.recorded.journal = Journal.open(state / "journal.db")

        return back


@pytest.fixture(params=["file", "ref"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Held:
    return Held(tmp_path, request.param)


def test_it_says_since_when_and_by_what_the_audit_is_held(held: Held) -> None:
    assert held.compared().since is None
    held.keep("one")
    held.keep("two", "three")
    held.journal.audit.add("anna", "promote", "four")
    found = held.compared()
    assert found.problems == () and found.anchors == 2 and found.entries == held.journal.audit.head()[0] - 1
    assert found.since is not None and found.until is not None and found.since <= found.until
    assert ("outside" in found.where) or str(held.elsewhere) == found.where


def test_a_chain_that_was_computed_anew_is_found(held: Held) -> None:
    held.keep("one")
    first = held.journal.audit.head()[0]
    held.keep("two", "three")
    held.journal.audit.add("anna", "promote", "four")
    held.rewrite(first=first + 1)
    assert [each for each in held.journal.audit.verify() if "guards" not in each] == [], "the chain itself is unbroken"
    (problem,) = held.compared().problems
    assert "the chain was computed anew" in problem and f"up to entry {first}" in problem
    with pytest.raises(Refused, match="is not what was anchored"):
        held.keep("more")


def test_a_journal_from_a_backup_is_found_and_begins_anew_only_by_a_person(held: Held, tmp_path: Path) -> None:
    held.keep("one")
    back = held.copy(tmp_path / "backup")
    held.keep("two", "three")
    back()
    (problem,) = held.compared().problems
    assert "is missing" in problem and "up to entry" in problem
    said: list[str] = []
    agent = Anchoring(said.append)
    for _ in range(2):
        agent(held.project, held.journal)
    # What was anchored last is in the journal, too: the agent looks again once there is something new.
    held.journal.values.set("audit anchor", None)
    for _ in range(2):
        agent(held.project, held.journal)
    assert len(said) == 1 and "is not anchored" in said[0]
    assert (
        [each for each in held.journal.agent.notes() if "anchored" in each.words]
        if hasattr(held.journal.agent, "notes")
        else True
    )
    assert any("is not what was anchored" in each.words for each in held.journal.agent._troubles())
    held.keep("four", anew="the disk was lost")
    found = held.compared()
    assert found.problems == () and len(found.began_anew) == 1 and "the disk was lost" in found.began_anew[0]
    assert found.anchors == 3, "what was anchored before stays there"


def test_the_agent_anchors_what_is_new_and_not_too_often(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Anchoring(lambda _: None)
    agent(held.project, held.journal)
    assert held.compared().anchors == 1
    held.journal.audit.add("anna", "promote", "two")
    agent(held.project, held.journal)
    assert held.compared().anchors == 1, "it was a moment ago"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 700)
    agent(held.project, held.journal)
    agent(held.project, held.journal)
    assert held.compared().anchors == 2


def test_anchors_that_cannot_be_read_are_a_problem(held: Held) -> None:
    held.keep("one")
    if held.elsewhere.is_dir():
        held.elsewhere.rename(held.elsewhere.with_name("away"))
    else:
        held.elsewhere.unlink()
        held.elsewhere.mkdir()
    (problem,) = held.compared().problems
    assert "cannot be read" in problem


def test_what_others_have_written_into_the_file_is_left_out(tmp_path: Path) -> None:
    held = Held(tmp_path, "file")
    held.keep("one")
    with held.elsewhere.open("ab") as file:
        file.write(
            b"\xff\xfe\n[[[[\nnull\n" + b'{"project": "another", "number": 1, "digest": "x", "at": 1, "who": "eve"}\n'
        )
        file.write(b"[" * 100_000 + b"\n" + held.elsewhere.read_bytes().splitlines()[0][:40])
    found = held.compared()
    assert (found.anchors, found.problems) == (1, ())
    os.chmod(held.elsewhere, 0o600)
    held.anchor = "no-such-remote"
    assert "the repository has no remote no-such-remote" in held.compared().problems[0]
