"""A bundle: what is in it, that nothing written in it acts, and that programs of others read it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from in_toto_attestation.v1.statement import Statement
from podium.core.domain.containers import Image
from podium.core.domain.evidence.proof import Standing
from podium.core.domain.text import visible
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.evidence import bundle, subject, verify
from podium.core.evidence.countersign import sign
from podium.core.evidence.sections.served import spans
from podium.core.evidence.story import told
from podium.core.evidence.why import why
from podium.core.registry.files import bring
from podium.core.signatures import hashing

from tests.conftest import required
from tests.runner.scale import scaled

from .recorded import CARD, MODEL, SECRET, Recorded

HOSTILE = "<script>alert(1)</script> [x](javascript:1) ![y](http://evil.example/p.png) | a `b` @all \x1b]52;c;aGk=\x07 \u202eevil"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Recorded(tmp_path / "home")


@pytest.fixture
def key(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str) -> Path:
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
        return path

    return make


def facts(text: str, section: str) -> dict[str, object]:
    return json.loads(text)["sections"][section]


def test_it_has_the_whole_story(recorded: Recorded, tmp_path: Path) -> None:
    made = bundle.write(recorded.subject, tmp_path / "out")
    assert (made.model, made.version, made.unsigned) == (MODEL, 3, "") and made.signer.startswith("SHA256:")
    text = (tmp_path / "out/evidence.json").read_text()
    commit = facts(text, "commit")
    assert (
        commit["facts"]["subject"] == "learn more: the autumn release" and commit["facts"]["author"] == "Anna Example"
    )
    assert "-print('one')" in commit["text"] and "+print('two')" in commit["text"], "what changed since version 2"
    assert facts(text, "card")["text"] == CARD
    assert [row["step"] for row in facts(text, "runs")["steps"]["rows"]] == ["train", "ship"]
    (check,) = facts(text, "gates")["report_1"]["rows"]
    assert (check["value"], check["champion"], check["difference, low"], check["rows"]) == (0.81, 0.79, 0.001, 500)
    (approval,) = facts(text, "approvals")["approvals"]["rows"]
    assert approval["who"] == "bob from 10.0.0.7" and approval["shown: version"] == "v3 to production"
    deployments = facts(text, "traffic")["deployments"]["rows"]
    assert [(row["to"], row["forced"]) for row in deployments] == [("v3", "forced")]
    assert [(row["environment"], row["to"]) for row in facts(text, "traffic")["served"]["rows"]] == [
        ("production", None)
    ]
    (entry,) = facts(text, "audit")["entries"]["rows"]
    assert entry["subject"] == "production version 3"
    for name in (bundle.MARKDOWN, bundle.PAGE):
        words = (tmp_path / "out" / name).read_text()
        assert all(
            each in words for each in (recorded.second, "the autumn release", "For deciding whom to call", "0.81")
        )


def test_what_was_not_recorded_is_said(recorded: Recorded, tmp_path: Path) -> None:
    made = bundle.write(recorded.subject, tmp_path / "out")
    assert any("digests of files that gates have read were not recorded: test.csv" in words for words in made.missing)
    # History that was written anew, a run that was removed, a version that MLflow and this machine have lost.
    recorded.git("checkout", "-q", "--orphan", "other")
    recorded.commit("anew")
    recorded.git("branch", "-D", "main")
    recorded.git("reflog", "expire", "--expire=now", "--all")
    recorded.git("gc", "-q", "--prune=now")
    recorded.journal._database.run("DELETE FROM runs")
    shutil.rmtree(recorded.files)
    missing = bundle.write(recorded.subject, tmp_path / "later").missing
    for words in (
        "the repository does not have this commit any more",
        f"run {recorded.run} is not in the journal any more",
        "the version's files are not on this machine",
        "the version's commit has no file MODEL_CARD.md",
        f"run {recorded.run} is older than what is kept",
    ):
        assert any(words in each for each in missing), words
    assert verify.verify(tmp_path / "later").good, "an incomplete story is no damaged one"


def test_secrets_are_in_none_of_its_files(recorded: Recorded, tmp_path: Path) -> None:
    made = bundle.write(recorded.subject, tmp_path / "out")
    for name in made.files:
        assert SECRET.encode() not in (tmp_path / "out" / name).read_bytes(), name
    assert facts((tmp_path / "out/evidence.json").read_text(), "runs")["params"]["rows"][-1]["value"] == "***"


def test_a_directory_with_something_in_it_stays(recorded: Recorded, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    bundle.write(recorded.subject, place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(Refused, match="is there already"):
        bundle.write(recorded.subject, place)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Refused, match="is there already"):
        bundle.write(recorded.subject, tmp_path / "link")


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, and addresses that it would ask."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses |= {value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")}
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_hostile_words_do_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    recorded = Recorded(tmp_path / "home", why=HOSTILE)
    bundle.write(recorded.subject, tmp_path / "out")
    page = (tmp_path / "out" / bundle.PAGE).read_text()
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags and "img" not in reader.tags
    assert all(re.fullmatch(r"#[a-z]+", address) for address in reader.addresses), reader.addresses
    assert "&lt;script&gt;" in page, "it is there to be read"
    assert "default-src 'none'" in page
    text = (tmp_path / "out" / bundle.MARKDOWN).read_text()
    for written in (page, text):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", written)
    rows = [line for line in text.splitlines() if "<script>" in line and line.startswith("| ")]
    assert rows
    for row in rows:
        spans = re.findall(r"`[^`]*`", row)
        assert "<script>" not in re.sub(r"`[^`]*`", "", row) and any("<script>" in span for span in spans)
    lines = why(recorded.subject)
    assert all("\x1b" not in each.words and "\n" not in each.words for each in lines)
    # The JSON has it as it was written, for programs.
    check = facts((tmp_path / "out" / bundle.JSON).read_text(), "gates")["report_1"]["rows"][0]
    assert visible(check["words"]) == visible(HOSTILE)


def test_a_fence_in_a_card_ends_no_fence(recorded: Recorded, tmp_path: Path) -> None:
    (recorded.home / "MODEL_CARD.md").write_text("````\n# not a heading\n````\n")
    sha = recorded.commit("a card")
    changed = replace(recorded.subject, version=replace(recorded.version, commit=sha))
    text = bundle._texts(changed, told(changed))[bundle.MARKDOWN]
    assert "\n`````text\n````\n# not a heading" in text


def test_in_toto_reads_the_statement(recorded: Recorded, tmp_path: Path) -> None:
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2

    bundle.write(recorded.subject, tmp_path / "out")
    content = (tmp_path / "out" / bundle.STATEMENT).read_text()
    read = json_format.Parse(content, statement_pb2.Statement())
    Statement.copy_from_pb(read).validate()
    said = json.loads(content)
    dependencies = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependencies[0]["digest"] == {"gitCommit": recorded.second}
    assert {"model/MLmodel", "evidence/evidence.json"} <= set(verify.subjects(said))


def test_plain_programs_check_it(recorded: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    """As docs/evidence.md says: ssh-keygen and sha256sum alone."""
    chosen = key("release")
    bundle.write(recorded.subject, tmp_path / "out", key=chosen)
    (tmp_path / "signers").write_text(f"release@example.com {chosen.with_suffix('.pub').read_text()}")
    command = (
        "ssh-keygen -Y verify -f ../signers -I release@example.com -n podium-evidence -s SHA256SUMS.sig < SHA256SUMS"
    )
    for line, place in (
        (command, tmp_path / "out"),
        (command.replace("SHA256SUMS", "statement.json"), tmp_path / "out"),
        ("sha256sum -c --strict SHA256SUMS", tmp_path / "out"),
        (f"sha256sum -c --strict {tmp_path}/out/MODEL.SHA256", recorded.files),
    ):
        done = subprocess.run(
            ["sh", "-c", line], cwd=place, capture_output=True, text=True, timeout=scaled(20), check=False
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_what_served_at_a_time(recorded: Recorded) -> None:
    rows = recorded.journal.ledger.history("production")
    begun = min(row.ended or 0 for row in rows)
    assert subject.served(recorded.project, recorded.journal, "production", None).number == 3
    assert subject.served(recorded.project, recorded.journal, "production", begun).number == 2
    with pytest.raises(NotFound, match="served nothing at"):
        subject.served(recorded.project, recorded.journal, "production", begun - 60)


def test_why_says_it_in_a_few_lines(recorded: Recorded) -> None:
    lines = {each.what: each for each in why(recorded.subject)}
    assert "learn more" in lines["commit"].words and "roc_auc 0.8100 beside 0.7900" in lines["gate"].words
    assert lines["approved"].words.startswith("bob from 10.0.0.7") and "forced" in lines["traffic"].words
    assert len(why(recorded.subject)) <= 12 and all(each.command for each in lines.values())


def test_files_are_hashed_once(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = hashing._digest
    monkeypatch.setattr(hashing, "_digest", lambda top, path: (read.append(path), real(top, path))[1])
    first = hashing.digests(recorded.project.state, recorded.files)
    assert len(read) == len(first) == 3
    assert hashing.digests(recorded.project.state, recorded.files) == first and len(read) == 3
    # The same size and the same time again: ctime, which nobody can set, says that it is another one.
    target = recorded.files / "MLmodel"
    before = target.stat()
    target.write_bytes(target.read_bytes()[::-1])
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hashing.digests(recorded.project.state, recorded.files) != first and read[3:] == ["MLmodel"]
    (recorded.project.state / "evidence-digests.json").write_text("[")
    assert len(hashing.digests(recorded.project.state, recorded.files)) == 3 and len(read) == 7


def test_a_key_that_cannot_sign(recorded: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    locked = key("locked")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", str(locked)], check=True, capture_output=True
    )
    with pytest.raises(Unreachable, match="cannot be signed"):
        bundle.write(recorded.subject, tmp_path / "out", key=locked)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NotFound, match="there is no key"):
        bundle.write(recorded.subject, tmp_path / "out", key=tmp_path / "none")
    made = bundle.write(recorded.subject, tmp_path / "out", sign=False)
    proof = verify.verify(tmp_path / "out")
    assert made.unsigned and proof.standing is Standing.NONE and not proof.good


def test_two_people_sign(recorded: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    anna, bob = key("anna"), key("bob")
    bundle.write(recorded.subject, tmp_path / "out", key=anna)
    sign(tmp_path / "out", bob)
    signers = tmp_path / "signers"
    halves = {each.name: each.with_suffix(".pub").read_text() for each in (anna, bob)}
    signers.write_text("".join(f"{name}@example.com {half}" for name, half in halves.items()))
    proof = verify.verify(tmp_path / "out", signers=signers)
    assert proof.standing is Standing.KNOWN and proof.signer == "anna@example.com, bob@example.com" and proof.good
    signers.write_text(f"anna@example.com {halves['anna']}")
    proof = verify.verify(tmp_path / "out", signers=signers)
    assert proof.standing is Standing.REFUSED and not proof.good, "one of two whom nobody knows"
    (tmp_path / "out/evidence.md").write_text("another story")
    with pytest.raises(Refused, match="is damaged"):
        sign(tmp_path / "out", anna)


def test_a_name_that_is_no_text(recorded: Recorded, tmp_path: Path) -> None:
    """A file system takes any bytes for a name; JSON and pages do not."""

    def model(into: Path) -> None:
        (into / os.fsdecode(b"caf\xe9.txt")).write_text("x")

    shutil.rmtree(recorded.files)
    bring(recorded.files, model)
    bundle.write(recorded.subject, tmp_path / "out")
    assert verify.verify(tmp_path / "out", here=recorded.subject, model=recorded.files).good
    assert "model/caf\\xe9.txt" in verify.subjects(json.loads((tmp_path / "out" / bundle.STATEMENT).read_text()))
    command = ["sha256sum", "-c", "--strict", str(tmp_path / "out" / bundle.MODEL_SUMS)]
    assert subprocess.run(command, cwd=recorded.files, capture_output=True, timeout=scaled(20)).returncode == 0


def test_rows_from_a_time_that_has_not_come(recorded: Recorded) -> None:
    """The clock was ahead when it was deployed."""
    recorded.journal._database.run("UPDATE deployments SET at = at + 864000, ended = ended + 864000")
    assert [(name, end) for name, _, end in spans(recorded.subject)] == [("production", None)]


@pytest.mark.timeout(300)
def test_model_signing_signs_and_verifies_the_models_files(recorded: Recorded, tmp_path: Path) -> None:
    """By its own command, as somebody without Podium would."""
    required("" if shutil.which("openssl") else "openssl")
    for words in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "model.pem"],
        ["ec", "-in", "model.pem", "-pubout", "-out", "model.pub"],
    ):
        subprocess.run(["openssl", *words], cwd=recorded.home, check=True, capture_output=True)
    recorded.project = replace(recorded.project, evidence=replace(recorded.project.evidence, model_key="model.pem"))
    made = bundle.write(recorded.subject, tmp_path / "out")
    assert "model.sig" in made.files and verify.verify(tmp_path / "out").good
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(recorded.files)]
    options = ["--public_key", str(recorded.home / "model.pub"), "--signature", str(tmp_path / "out" / "model.sig")]
    subprocess.run([*command, *options], check=True, capture_output=True, timeout=scaled(60.0))
    recorded.project = replace(recorded.project, evidence=replace(recorded.project.evidence, model_key="train.py"))
    with pytest.raises(Unreachable, match="model_signing cannot sign"):
        bundle.write(recorded.subject, tmp_path / "no key")
    (recorded.files / "MLmodel").write_text("flavors: {python_function: {}}\n")
    assert subprocess.run([*command, *options], check=False, capture_output=True).returncode != 0
    (tmp_path / "out" / "model.sig").write_text("{}")
    assert any("model.sig is not what was signed" in words for words in verify.verify(tmp_path / "out").problems)


def test_an_image_that_was_exchanged_is_found(recorded: Recorded, tmp_path: Path) -> None:
    def image(digit: str) -> Image:
        name = f"sha256:{digit * 64}"
        return Image(MODEL, 3, "unix:///var/run/docker.sock", name, name, 0.0)

    recorded.journal.images.put(image("a"))
    bundle.write(recorded.subject, tmp_path / "out")
    assert verify.verify(tmp_path / "out", here=recorded.subject).good
    recorded.journal.images.put(image("b"))
    (problem,) = verify.verify(tmp_path / "out", here=recorded.subject).problems
    assert problem == "the image sha256:bbbbbbbbbbbb of unix:///var/run/docker.sock is not what was signed"
