"""Whatever is changed after it was signed is found, in the bundle and outside of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.evidence.proof import Proof, Standing
from podium.core.errors import NotFound
from podium.core.evidence import bundle
from podium.core.evidence.bundle import JSON, MARKDOWN, MODEL_SUMS, PAGE, STATEMENT, SUMS
from podium.core.evidence.verify import verify
from podium.core.journal import Journal
from podium.core.signatures.sums import read, written

from tests.conftest import required

from .recorded import Recorded
from .test_bundle import key

__all__ = ["key"]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    found = Recorded(tmp_path / "home")
    bundle.write(found.subject, tmp_path / "out")
    assert verify(tmp_path / "out", here=found.subject, model=found.files).good
    return found


def found(tmp_path: Path, **options: object) -> Proof:
    return verify(tmp_path / "out", **options)


@pytest.mark.parametrize("name", [JSON, MARKDOWN, PAGE, STATEMENT, MODEL_SUMS, SUMS])
def test_one_bit_of_a_file(made: Recorded, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    proof = found(tmp_path)
    assert not proof.good and any(name in words or "signature" in words for words in proof.problems)


@pytest.mark.parametrize("name", [JSON, MARKDOWN, PAGE, STATEMENT, MODEL_SUMS])
def test_a_file_that_is_gone(made: Recorded, tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).unlink()
    if name == STATEMENT:
        with pytest.raises(NotFound, match="no bundle of evidence"):
            found(tmp_path)
    else:
        assert f"{name} is missing" in found(tmp_path).problems


def test_a_file_that_was_added(made: Recorded, tmp_path: Path) -> None:
    (tmp_path / "out/more.html").write_text("read me")
    (tmp_path / "out/link").symlink_to("/etc/passwd")
    assert {"more.html is no part of the bundle", "link is no plain file"} <= set(found(tmp_path).problems)


def test_lists_that_were_made_anew(made: Recorded, tmp_path: Path) -> None:
    """Whoever changes a file and writes the lists anew has not the key."""
    out = tmp_path / "out"
    (out / MARKDOWN).write_text("another story")
    listed = read((out / SUMS).read_text())
    listed[MARKDOWN] = hashlib.sha256(b"another story").hexdigest()
    (out / SUMS).write_text(written(listed))
    proof = found(tmp_path)
    assert proof.standing is Standing.REFUSED
    assert any("the signature is not of this text" in words for words in proof.problems)
    assert f"the statement is about another {MARKDOWN}" in proof.problems


def test_a_statement_about_another_version(made: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    """Each file signed well, by the same key, and put together from two bundles."""
    chosen = key("anna")
    other = replace(made.subject, version=replace(made.version, version=4))
    bundle.write(made.subject, tmp_path / "three", key=chosen)
    bundle.write(other, tmp_path / "four", key=chosen)
    for name in (STATEMENT, f"{STATEMENT}.sig"):
        shutil.copy(tmp_path / "four" / name, tmp_path / "three" / name)
    problems = verify(tmp_path / "three").problems
    assert "the statement is about another version than the evidence" in problems


def test_signatures(made: Recorded, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / f"{SUMS}.sig").write_bytes((out / f"{STATEMENT}.sig").read_bytes())
    assert found(tmp_path).standing is Standing.REFUSED
    (out / f"{SUMS}.sig").write_text("no signature")
    assert found(tmp_path).standing is Standing.REFUSED
    (out / f"{SUMS}.sig").unlink()
    proof = found(tmp_path)
    assert f"{SUMS} has no signature 1" in proof.problems and not proof.good


def test_signers(made: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    chosen, stranger = key("anna"), key("eve")
    shutil.rmtree(tmp_path / "out")
    bundle.write(made.subject, tmp_path / "out", key=chosen)
    half, others = (each.with_suffix(".pub").read_text() for each in (chosen, stranger))
    signers = tmp_path / "signers"

    def standing(text: str, **more: Path) -> Standing:
        signers.write_text(text)
        return found(tmp_path, signers=signers, **more).standing

    assert standing(f"anna@example.com {half}") is Standing.KNOWN
    assert standing(f'anna@example.com namespaces="podium-evidence" {half}') is Standing.KNOWN
    assert standing(f"eve@example.com {others}") is Standing.REFUSED
    assert standing(f'anna@example.com namespaces="git" {half}') is Standing.REFUSED
    assert standing(f'anna@example.com valid-before="20200101" {half}') is Standing.REFUSED
    assert standing("") is Standing.REFUSED
    revoked = tmp_path / "revoked"
    revoked.write_text(half)
    assert standing(f"anna@example.com {half}", revoked=revoked) is Standing.REFUSED


def test_the_models_files(made: Recorded, tmp_path: Path) -> None:
    target = made.files / "MLmodel"
    target.write_bytes(target.read_bytes().replace(b"flavors", b"flawors"))
    (made.files / "extra.pkl").write_bytes(b"1")
    proof = found(tmp_path, model=made.files)
    assert set(proof.problems) == {
        "the model's file MLmodel is not what was signed",
        "the model has a file that was not signed: extra.pkl",
    }
    target.unlink()
    assert "the model's file MLmodel is missing" in found(tmp_path, model=made.files).problems


def test_the_projects_own_files_are_compared_though_they_are_not_those_that_were_fetched(
    made: Recorded, tmp_path: Path
) -> None:
    target = made.files / "MLmodel"
    target.write_bytes(target.read_bytes().replace(b"flavors", b"flawors"))
    proof = found(tmp_path, here=made.subject)
    assert proof.problems == ("the model's file MLmodel is not what was signed",)
    words = bundle.write(made.subject, tmp_path / "later").missing
    assert any("somebody has changed them" in each for each in words)


def test_the_audit(made: Recorded, tmp_path: Path) -> None:
    made.journal.close()
    path = made.project.state / "journal.db"
    whole = path.read_bytes()
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER audit_no_update")
        database.execute("UPDATE audit SET who = 'somebody' WHERE id = 1")
    database.close()
    with Journal.open(path) as journal:
        proof = found(tmp_path, here=replace(made.subject, journal=journal))
    assert any(words.startswith("the audit: ") for words in proof.problems) and not proof.good
    for each in path.parent.glob("journal.db*"):
        each.unlink()
    path.write_bytes(whole)
    with Journal.open(path) as journal:
        assert found(tmp_path, here=replace(made.subject, journal=journal)).good


def test_a_journal_from_an_older_backup(made: Recorded, tmp_path: Path) -> None:
    """It lacks what was written after it, which the evidence has seen."""
    with Journal.open(tmp_path / "older.db") as older:
        proof = found(tmp_path, here=replace(made.subject, journal=older))
    assert any(words.startswith("the audit: ") for words in proof.problems)


def test_a_path_that_climbs_out(made: Recorded, tmp_path: Path) -> None:
    """A list may name anything; nothing outside of the bundle is read for it."""
    out = tmp_path / "out"
    (tmp_path / "outside").write_text("a secret")
    listed = read((out / SUMS).read_text()) | {"../outside": hashlib.sha256(b"a secret").hexdigest()}
    (out / SUMS).write_text(written(listed))
    assert "../outside is missing" in found(tmp_path).problems


NO_STATEMENTS = {
    "empty": "",
    "list": "[]",
    "object": "{}",
    "number": '{"subject": 1}',
    "nameless": '{"subject": [{}]}',
    "no text": "\x00",
    "wrong types": '{"subject": [{"name": 1, "digest": []}]}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", NO_STATEMENTS.values(), ids=NO_STATEMENTS)
def test_what_is_no_statement_is_said(made: Recorded, tmp_path: Path, text: str) -> None:
    (tmp_path / "out" / STATEMENT).write_text(text)
    assert not found(tmp_path).good


def test_names_that_lists_have_to_escape() -> None:
    names = {"a\\b": "0" * 64, "line\nbreak\r": "1" * 64, " leading": "2" * 64, "*star": "3" * 64}
    assert read(written(names)) == names
    with pytest.raises(ValueError, match="no line of sha256sum"):
        read("nonsense\n")


def test_a_list_is_what_sha256sum_writes(tmp_path: Path) -> None:
    for name in ("plain", "a\\b", "line\nbreak"):
        (tmp_path / name).write_text(name)
    names = sorted(path.name for path in tmp_path.iterdir())
    theirs = subprocess.run(
        ["sha256sum", "--", *names], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert read(theirs).keys() == set(names) and set(written(read(theirs)).splitlines()) == set(theirs.splitlines())


def test_json_says_it_too(made: Recorded, tmp_path: Path) -> None:
    content = json.loads((tmp_path / "out" / JSON).read_text())
    assert content["sections"]["audit"]["facts"]["chain"] == "intact"
