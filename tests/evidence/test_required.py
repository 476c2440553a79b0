"""`verify: required`: what is served only if an allowed signer has signed it, and what stops it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.delivery.environment.healing import heal
from podium.core.delivery.rollout import phases
from podium.core.delivery.rollout.plans import plan_deploy, plan_rollback
from podium.core.domain.evidence.settings import Evidence
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.errors import Refused
from podium.core.evidence.release import release
from podium.core.evidence.subject import named
from podium.core.identity.processes import alive
from podium.core.signatures import hashing, kept, required, signing
from podium.core.signatures.allowed import Unsigned, allowed

from tests.conftest import required as needed
from tests.delivery.light import MODEL as TINY
from tests.delivery.light import World
from tests.support import wait_until

from .recorded import MODEL, Recorded


@pytest.fixture(autouse=True)
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("API_TOKEN", "value")  # without it a commit's file says nothing
    required._judged.cache_clear()


def key_of(directory: Path, name: str) -> Path:
    path = directory / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def line_of(key: Path, *, options: str = "") -> str:
    return f"{key.name}@example.com {options}{' ' if options else ''}{key.with_name(f'{key.name}.pub').read_text()}"


class Release:
    """A recorded project whose branch main says who may sign; anna may, eve may not."""

    def __init__(self, tmp_path: Path) -> None:
        self.recorded = Recorded(tmp_path / "home")
        self.anna, self.eve = key_of(tmp_path, "anna"), key_of(tmp_path, "eve")
        self.evidence = Evidence(signers="allowed_signers")
        file = self.recorded.home / "podium.yaml"
        file.write_text(f"{file.read_text()}\nevidence: {{signers: allowed_signers}}\n")
        self.allow(line_of(self.anna))

    def allow(self, text: str, **files: str) -> str:
        for name, content in {"allowed_signers": text, **files}.items():
            (self.recorded.home / name).write_text(content)
        required._judged.cache_clear()
        return self.recorded.commit("who may sign")

    @property
    def project(self) -> Project:
        return replace(self.recorded.project, evidence=self.evidence)

    @property
    def files(self) -> Path:
        return self.recorded.files

    def sign(self, key: Path, version: Version | None = None, **more: Any) -> Path:
        subject = named(self.project, self.recorded.journal, version or self.recorded.version)
        return Path(release(subject, key, who="anna", **more).path)

    def ensure(self) -> frozenset[str]:
        return required.ensure(self.project, self.recorded.version, self.files)

    def refused(self) -> str:
        with pytest.raises(Unsigned) as found:
            self.ensure()
        assert found.value.hint
        return found.value.message


@pytest.fixture
def signed(tmp_path: Path) -> Release:
    made = Release(tmp_path)
    made.recorded.version = replace(made.recorded.version, mlflow_run="")  # its statements stay on this machine
    return made


def test_what_is_signed_may_be_served(signed: Release) -> None:
    assert "nobody has signed it" in signed.refused()
    path = signed.sign(signed.anna)
    assert signed.ensure() == frozenset() and path.stat().st_mode & 0o777 == 0o600
    entry = signed.recorded.journal.audit.page(1)[0]
    assert (entry.action, entry.subject) == ("sign", f"{MODEL} version 3") and "SHA256:" in entry.why
    # Two signers: one of them is enough, and what the other one is not allowed harms nothing.
    signed.sign(signed.eve)
    signed.ensure()


def byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(bytes(content))


def statement(release: Release) -> None:
    path = next(kept.read(release.project.state, MODEL, 3)).path
    path.write_text(path.read_text().replace("urn:podium:worker", "urn:podium:walker"))


def signature(release: Release) -> None:
    path = next(kept.read(release.project.state, MODEL, 3)).signature
    path.write_text(path.read_text().replace("A", "B", 1))


def added(release: Release) -> None:
    (release.files / "sitecustomize.py").write_text("print('hello')\n")


def removed(release: Release) -> None:
    (release.files / "MLmodel").unlink()


def link(release: Release) -> None:
    (release.files / "code").symlink_to("/tmp")


def instead(release: Release) -> None:
    shutil.copy(release.files / "MLmodel", release.files.parent / "elsewhere")
    (release.files / "MLmodel").unlink()
    (release.files / "MLmodel").symlink_to(release.files.parent / "elsewhere")


def revoked(release: Release) -> None:
    release.evidence = replace(release.evidence, revoked="revoked")
    release.allow(line_of(release.anna), revoked=release.anna.with_name("anna.pub").read_text())


def expired(release: Release) -> None:
    release.allow(line_of(release.anna, options='valid-before="20200101"'))


def early(release: Release) -> None:
    release.allow(line_of(release.anna, options='valid-after="20990101"'))


def forgotten(release: Release) -> None:
    release.allow(line_of(release.eve))


def other_purpose(release: Release) -> None:
    release.allow(line_of(release.anna, options='namespaces="podium-evidence"'))


def broken(release: Release) -> None:
    release.allow("this is no list of signers \x1b]52;c;aGk=\x07\n")


def gone(release: Release) -> None:
    release.recorded.git("rm", "-q", "--cached", "allowed_signers")
    release.recorded.git("commit", "-q", "-m", "nobody")


def whole(release: Release) -> None:
    shutil.rmtree(release.files)


CHANGES: dict[str, Callable[[Release], None]] = {
    "a byte of the model": lambda release: byte(release.files / "requirements.txt"),
    "a byte of the statement": statement,
    "a byte of the signature": signature,
    "a file that was added": added,
    "a file that is gone": removed,
    "a link to elsewhere": link,
    "a link instead of a file": instead,
    "a revoked key": revoked,
    "an expired key": expired,
    "a key that does not count yet": early,
    "a key that is not allowed any more": forgotten,
    "a key for another purpose": other_purpose,
    "signers that are none": broken,
    "no file of signers": gone,
    "no files of the model": whole,
}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("a byte of the model", "the model's file requirements.txt is not what was signed"),
        ("a byte of the statement", "is not accepted"),
        ("a byte of the signature", ""),
        ("a file that was added", "a file that was not signed: sitecustomize.py"),
        ("a file that is gone", "the model's file MLmodel is missing"),
        ("a link to elsewhere", "code is no file that can be signed"),
        ("a link instead of a file", "MLmodel is no file that can be signed"),
        ("a revoked key", "is not accepted: the key is revoked"),
        ("an expired key", "its key is none of allowed_signers, or not any more"),
        ("a key that does not count yet", "its key is none of allowed_signers, or not any more"),
        ("a key that is not allowed any more", "its key is none of allowed_signers"),
        ("a key for another purpose", "is not accepted"),
        ("signers that are none", "its key is none of allowed_signers"),
        ("no file of signers", "main has no file allowed_signers"),
        ("no files of the model", "cannot be read"),
    ],
)
def test_what_stops_it(signed: Release, what: str, words: str) -> None:
    signed.sign(signed.anna)
    signed.ensure()
    CHANGES[what](signed)
    said = signed.refused()
    assert words in said and "\x1b" not in said, said


def test_a_signature_for_something_else_does_not_count(signed: Release) -> None:
    other = Version(MODEL, 2, time.time())
    shutil.copytree(signed.files, signed.files.with_name("2"))
    path = signed.sign(signed.anna)
    # A statement about the same files, as another version; and one of eve's beside a good one does no harm.
    second = kept.place(signed.project.state, MODEL, 2)
    shutil.copytree(path.parent, second)
    with pytest.raises(Unsigned, match=f"what is signed is a statement about {MODEL} version 3"):
        required.ensure(signed.project, other, signed.files.with_name("2"))
    # A bundle's signature says what was recorded, not that it may be served.
    text = path.with_name("copy")
    text.write_bytes(path.read_bytes())
    signing.sign(text, signed.anna, path.with_name(f"{path.name}.sig"), namespace=signing.NAMESPACE)
    required._judged.cache_clear()
    assert "is not accepted" in signed.refused()


def test_a_clock_that_was_put_back_revives_no_key(signed: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    tomorrow = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86_400))
    signed.allow(line_of(signed.anna, options=f'valid-before="{tomorrow}"'))
    path = signed.sign(signed.anna)
    signed.ensure()
    later = time.time() + 2 * 86_400
    os.utime(path.with_name(f"{path.name}.sig"), (later, later))
    required._judged.cache_clear()
    monkeypatch.setattr(time, "time", lambda: later - 3 * 86_400)
    assert "or not any more" in signed.refused()


def test_byte_code_is_thrown_away(signed: Release) -> None:
    signed.sign(signed.anna)
    (signed.files / "__pycache__").mkdir()
    (signed.files / "__pycache__" / "own.cpython-311.pyc").write_bytes(b"\0")
    signed.ensure()
    assert not (signed.files / "__pycache__").exists()
    (signed.files / "__pycache__").write_text("a file of that name")
    assert "__pycache__ is no file that can be signed" in signed.refused()


def test_what_the_working_tree_says_of_signers_does_not_count(signed: Release) -> None:
    signed.sign(signed.eve)
    (signed.recorded.home / "allowed_signers").write_text(line_of(signed.eve))
    assert "its key is none of allowed_signers" in signed.refused()
    # A commit that lets eve sign: not for its own run, in which the commit before counts, too.
    before = signed.recorded.git("rev-parse", "HEAD")
    signed.recorded.commit("eve may sign")
    signed.evidence = replace(signed.evidence, signers_of=(before,))
    required._judged.cache_clear()
    assert f"allowed_signers of {before[:9]}" in signed.refused()
    signed.evidence = replace(signed.evidence, signers_of=())
    signed.ensure()


def test_only_what_a_gate_has_passed_is_signed(signed: Release) -> None:
    journal = signed.recorded.journal
    journal.gates.add(GateReport("release", MODEL, 3, 2, Verdict.FAIL, (), time.time() + 1, None, "test.csv", 500))
    with pytest.raises(Refused, match="has not passed a gate: the last verdict is fail"):
        signed.sign(signed.anna)
    with pytest.raises(Refused, match="has not passed a gate"):
        signed.sign(signed.anna, force=True)
    signed.sign(signed.anna, force=True, why="the data of the gate is broken")
    assert "the data of the gate is broken" in journal.audit.page(1)[0].why


def test_a_huge_file_is_read_once(signed: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = signed.files / "data" / "weights.bin"
    with huge.open("wb") as file:  # no byte of it is on the disk
        file.truncate(64 << 20)
    from podium.core.registry.files import _write_note, digest

    _write_note(signed.files, digest(signed.files))
    signed.sign(signed.anna)
    read: list[str] = []
    real = hashing._digest

    def noted(top: Any, path: str) -> str:
        read.append(path)
        return real(top, path)

    monkeypatch.setattr(hashing, "_digest", noted)
    signed.ensure()
    assert read == []
    status = huge.stat()
    with huge.open("r+b") as file:
        file.write(b"x")
    os.utime(huge, ns=(status.st_atime_ns, status.st_mtime_ns))  # only the time of the change tells
    assert "data/weights.bin is not what was signed" in signed.refused()
    assert read == ["data/weights.bin"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = World(tmp_path / "world", verify="required", keep=0)
    anna = key_of(tmp_path, "anna")
    (made.project.home / "allowed_signers").write_text(line_of(anna))
    made.project = replace(made.project, evidence=Evidence(signers="allowed_signers", key=str(anna)))
    yield made
    made.close()


def sign(world: World, number: int) -> None:
    version = Version(TINY, number, time.time(), commit=f"{number:040x}")
    release(named(world.project, world.journal, version), None, who="anna", force=True, why="a test")


def test_an_environment_serves_only_what_is_signed(world: World) -> None:
    for number in (1, 2):
        world.version(number)
    with pytest.raises(Refused, match="nobody has signed it"):
        world.deploy(1)
    assert "nobody has signed it" in plan_deploy(world.project, world.journal, "staging", version=1).refusal
    assert not plan_deploy(world.project, world.journal, "staging", version=1).overridable
    assert world.runtime.replicas() == [] and world.journal.ledger.current("staging") is None
    for number in (1, 2):
        sign(world, number)
    assert plan_deploy(world.project, world.journal, "staging", version=1).refusal == ""
    world.deploy(1)
    # A replica that dies is checked again before it is started again.
    first = world.runtime.replicas()[0]
    assert first.pid is not None and first.pid_started is not None
    os.kill(first.pid, 9)
    wait_until(lambda: not alive(first.pid or 0, first.pid_started or 0.0))
    example = world.runtime.files.directory(1) / "serving_input_example.json"
    whole = example.read_bytes()
    example.write_bytes(whole.replace(b"1.0", b"2.0"))
    (said,) = heal(world.runtime)
    assert "is not started again" in said and "serving_input_example.json is not what was signed" in said
    assert heal(world.runtime) == [], "it is said once"
    left = next(row for row in world.runtime.replicas() if row.id == first.id)
    assert "not what was signed" in left.message and not world.runtime.driver.alive(left)
    assert world.answers() == "1", "the other one serves"
    example.write_bytes(whole)
    world.journal.replicas.put(replace(left, started=time.time() - 120))
    assert any("started it again" in line for line in heal(world.runtime))
    # And so is what is brought back.
    world.deploy(2)
    fetched = json.loads(example.parent.with_name("1.digest").read_text())["files"]
    example.write_bytes(whole.replace(b"1.0", b"3.0"))
    (noted,) = [each[2] for each in fetched if each[0] == example.name]
    os.utime(example, ns=(noted, noted))  # else it is fetched again, as what nobody has changed
    assert plan_rollback(world.project, world.journal, "staging", version=1).refusal == "", (
        "files are not read for a plan"
    )
    with pytest.raises(Refused, match="is not what was signed"):
        world.rollback(1)
    assert world.answers() == "2"


def test_hostile_statements(signed: Release) -> None:
    signed.sign(signed.anna)
    where = kept.place(signed.project.state, MODEL, 3)
    hostile = [
        b"",
        b"[" * 100_000,
        b"\xff",
        b"null",
        json.dumps({"subject": [{"name": "\x1b[2J", "digest": 3}]}).encode(),
    ]
    for number, content in enumerate(hostile):
        (where / f"a{number}.json").write_bytes(content)
        (where / f"a{number}.json.sig").write_text("no signature \x1b]52;c;aGk=\x07")
    (where / "link.json").symlink_to("/etc/passwd")
    (where / "link.json.sig").symlink_to("/etc/passwd")
    signed.ensure()


def test_nobody_signs_by_a_branch_of_their_own(signed: Release) -> None:
    """An edit that nobody has committed to the release branch names another one, on which eve may sign."""
    signed.sign(signed.anna)
    signed.ensure()
    own = replace(signed.project, git=replace(signed.project.git, branch="eves"))
    signed.recorded.git("checkout", "-q", "-b", "eves")
    signed.allow(line_of(signed.eve))
    assert [each.where for each in allowed(own)] == ["allowed_signers of main"]
    assert signed.eve.with_name("eve.pub").read_bytes() not in allowed(own)[0].signers


def test_the_branch_is_asked_each_time_and_nothing_else(signed: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """A promotion asks half a dozen times: what a commit has is read once, and which one it is each time."""
    from podium.core.scm import repository as git_side

    signed.sign(signed.anna)
    signed.ensure()
    asked: list[str] = []
    real = git_side.git
    monkeypatch.setattr(git_side, "git", lambda *words, **more: (asked.append(str(words[1])), real(*words, **more))[1])
    signed.ensure()
    assert asked and "cat-file" not in asked, asked
    signed.allow(line_of(signed.eve))
    assert "its key is none of allowed_signers" in signed.refused(), "what the branch says now counts at once"
