"""What is worse than a changed byte: names that climb out, links, lists with a name twice, files that nobody expects,
hostile words in every place that somebody can write to, and what history has lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from podium.cli.commands.evidence import _image
from podium.core.domain.evidence.proof import Proof, Standing
from podium.core.domain.models import Version
from podium.core.domain.text import clean
from podium.core.errors import NotFound, UsageError
from podium.core.evidence import bundle, subject
from podium.core.evidence.bundle import JSON, MARKDOWN, MODEL_SUMS, PAGE, PUBLIC, STATEMENT, SUMS
from podium.core.evidence.countersign import sign
from podium.core.evidence.sections import served
from podium.core.evidence.story import told
from podium.core.evidence.verify import verify
from podium.core.evidence.why import why
from podium.core.signatures.hashing import digests, shown_name
from podium.core.signatures.sums import read, written

from .recorded import MODEL, Recorded
from .test_bundle import HOSTILE, Reader, key
from .test_tampering import made

__all__ = ["key", "made"]


EVERY = (JSON, MARKDOWN, PAGE, STATEMENT, MODEL_SUMS, SUMS, f"{STATEMENT}.sig", f"{SUMS}.sig", PUBLIC)


def test_the_list_below_is_whole(made: Recorded, tmp_path: Path) -> None:
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_a_byte_of_each_file_anywhere(made: Recorded, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out" / name
    content = path.read_bytes()
    # In the armour of a signature the last letters before the padding may say the same.
    for place in (0, len(content) // 3, len(content) // 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not verify(tmp_path / "out").good, (name, place)
    path.write_bytes(content + b"x")
    assert not verify(tmp_path / "out").good, "and one more at the end"
    path.write_bytes(content)
    assert verify(tmp_path / "out").good


NAMES = (
    "../outside",
    "../../outside",
    "/etc/hostname",
    "..\\outside",
    "C:\\outside",
    "a/../../outside",
    ".",
    "..",
    "./x",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [SUMS, MODEL_SUMS, STATEMENT])
def test_a_name_that_climbs_out(made: Recorded, tmp_path: Path, name: str, where: str) -> None:
    """Lists and statement may name anything, also by a key that may sign: nothing outside is read for it."""
    (tmp_path / "outside").write_text("a secret")
    out, sha = tmp_path / "out", hashlib.sha256(b"a secret").hexdigest()
    if where == STATEMENT:
        content = json.loads((out / STATEMENT).read_text())
        content["subject"].append({"name": f"model/{name}", "digest": {"sha256": sha}})
        (out / STATEMENT).write_text(json.dumps(content))
    else:
        (out / where).write_text(written(read((out / where).read_text()) | {name: sha}))
    proof = verify(out, model=made.files)
    assert not proof.good
    told = " ".join(proof.problems)
    assert f"{name} is missing" in told or "is not what was signed" in told


def signed_again(out: Path, key: Path) -> Proof:
    """Puts a signature below whatever is in the bundle now."""
    for path in out.glob("*.sig"):
        path.unlink()
    (out / PUBLIC).unlink(missing_ok=True)
    bundle.add_signature(out, key)
    return verify(out)


def test_a_signer_cannot_have_names_twice(made: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    """What one program takes by the first line, and another one by the last."""
    out = tmp_path / "out"
    lines = (out / SUMS).read_text()
    (out / SUMS).write_text(f"{'0' * 64}  {MARKDOWN}\n{lines}")
    proof = signed_again(out, key("anna"))
    assert proof.standing is Standing.UNKNOWN and any(f"'{MARKDOWN}' is there twice" in each for each in proof.problems)


def link(path: Path) -> None:
    kept = path.parent.parent / "elsewhere"
    kept.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(kept)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", [MARKDOWN, f"{SUMS}.sig", f"{STATEMENT}.sig", PUBLIC])
@pytest.mark.parametrize("change", [link, pipe, directory])
def test_what_is_no_plain_file_is_not_read(
    made: Recorded, tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    change(tmp_path / "out" / name)
    assert f"{name} is no plain file" in verify(tmp_path / "out").problems


@pytest.mark.parametrize("change", [link, pipe, directory])
def test_lists_that_are_no_plain_files(made: Recorded, tmp_path: Path, change: Callable[[Path], None]) -> None:
    change(tmp_path / "out" / SUMS)
    try:
        assert not verify(tmp_path / "out").good
    except NotFound:
        assert change is not link


@pytest.mark.parametrize(
    "name", ["more.sig", "evidence.html.sig", f"{SUMS}.3.sig", f"{SUMS}.0.sig", "model.sig", "a/b.sig"]
)
def test_a_file_that_only_looks_like_a_signature(made: Recorded, tmp_path: Path, name: str) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("<script>alert(1)</script>")
    assert f"{name} is no part of the bundle" in verify(tmp_path / "out").problems


def test_a_key_in_it_is_one_that_has_signed_it(made: Recorded, tmp_path: Path, key: Callable[..., Path]) -> None:
    out = tmp_path / "out"
    sign(out, key("bob"))
    assert len((out / PUBLIC).read_text().splitlines()) == 2 and verify(out).good
    with (out / PUBLIC).open("a") as file:
        file.write(key("eve").with_suffix(".pub").read_text())
    assert verify(out).problems == (f"{PUBLIC} has a key that has signed nothing here",)


def test_no_two_files_have_the_same_name_as_text(tmp_path: Path) -> None:
    odd, written_out = os.fsdecode(b"caf\xe9"), "caf\\xe9"
    (tmp_path / odd).write_text("signed")
    (tmp_path / written_out).write_text("added")
    names = [shown_name(name) for name, _, _ in digests(None, tmp_path)]
    assert len(set(names)) == 2 and names == ["caf\\\\xe9", "caf\\xe9"]


def hostile(recorded: Recorded) -> subject.Subject:
    """The version with hostile words wherever a training, a registry or a Git host can put them."""
    words = {
        f"name {HOSTILE}": HOSTILE,
        "fence": "```\n# heading\n~~~",
        "cell": "a | b \\| c\n| x |",
        "end": "</pre></td>",
    }
    version = replace(
        recorded.version,
        model=f"m {HOSTILE}",
        params=words,
        aliases=(HOSTILE,),
        mlflow_run=HOSTILE,
        digest=HOSTILE,
    )
    return subject.Subject(recorded.project, recorded.journal, version, f"e {HOSTILE}", None, HOSTILE)


def test_hostile_words_in_every_place(made: Recorded, tmp_path: Path) -> None:
    recorded = made
    (recorded.home / "MODEL_CARD.md").write_text(f"{HOSTILE}\n```\n</pre><script>x</script>\n\x1b[2J\r\n<!--")
    sha = recorded.commit(f"{HOSTILE}\n\nCo-authored-by: x")
    named = replace(hostile(recorded), version=replace(hostile(recorded).version, commit=sha))
    texts = bundle._texts(named, told(named))
    reader = Reader()
    reader.feed(texts[PAGE])
    assert not reader.tags & {"script", "img", "iframe", "a href", "object", "form"}, reader.tags
    assert all(re.fullmatch(r"#[a-z]+", each) for each in reader.addresses), reader.addresses
    assert "<!--" not in texts[PAGE]
    for text in (texts[PAGE], texts[MARKDOWN]):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    fence = ""
    for line in texts[MARKDOWN].splitlines():
        if found := re.match(r"(`{3,})(text)?$", line):
            fence = found[1] if not fence else "" if len(found[1]) >= len(fence) else fence
        elif not fence:
            assert "<script>" not in re.sub(r"`[^`]*`", "", line) and "](javascript" not in re.sub(
                r"`[^`]*`", "", line
            ), line
    # A table has as many cells in each row as in its head.
    rows = [line for line in texts[MARKDOWN].splitlines() if line.startswith("| ")]
    assert rows
    json.loads(texts[JSON])
    assert "\x1b" not in clean(bundle.default_name(named)) and "/" not in bundle.default_name(named)


def test_a_registry_that_has_lost_the_run_and_the_version(made: Recorded, tmp_path: Path) -> None:
    """Deleted in MLflow: what the ledger knows is told, the rest is said to be missing."""
    made.journal.versions.replace(MODEL, [], "asked")
    found = subject.served(made.project, made.journal, "production", None)
    assert (found.number, found.version.commit, found.version.mlflow_run) == (3, made.second, "")
    wrote = bundle.write(found, tmp_path / "later")
    assert wrote.missing and verify(tmp_path / "later", here=found).good


def test_a_clock_that_went_backwards(made: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was written later has an earlier time: everything is there, and the order is the journal's."""
    back = time.time() - 30 * 86_400
    monkeypatch.setattr(time, "time", lambda: back)
    made.journal.audit.add("bob", "promote", "production version 3", "after the clock went back")
    row = made.journal.ledger.begin(
        environment="production",
        how=made.journal.ledger.history("production")[0].how,
        model=MODEL,
        to_version=2,
        from_version=3,
        who="bob",
        why="back",
        run_id=None,
        commit="",
        digest="",
        strategy="blue-green",
    )
    from podium.core.domain.delivery import DeploymentState

    made.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    assert subject.served(made.project, made.journal, "production", None).number == 2
    bundle.write(made.subject, tmp_path / "back")
    story = json.loads((tmp_path / "back" / JSON).read_text())["sections"]
    assert [each["why"] for each in story["audit"]["entries"]["rows"]][-1] == "after the clock went back"
    assert story["audit"]["facts"]["chain"] == "intact" and verify(tmp_path / "back", here=made.subject).good
    assert [each["to"] for each in story["traffic"]["deployments"]["rows"]] == ["v3", "v2"]


def stop(made: Recorded, at: float) -> None:
    from podium.core.delivery.environment.history import stopped
    from podium.core.domain.delivery import Stopped

    current = made.journal.ledger.current("production")
    assert current is not None
    made.journal.stops.put(Stopped("production", current.id, "bob", at, "a holiday"))
    made.journal.audit.add("bob", "stopped", "production", "a holiday")
    assert stopped(made.journal, "production") is not None


def test_a_stopped_environment_served_nothing(made: Recorded, tmp_path: Path) -> None:
    stop(made, time.time())
    later = time.time() + 1
    with pytest.raises(NotFound, match=r"it was stopped at .* by bob: a holiday") as found:
        subject.served(made.project, made.journal, "production", later)
    assert "podium evidence v3" in found.value.hint
    last = subject.served(made.project, made.journal, "production", None)
    assert last.number == 3 and last.at is not None and last.at < later
    bundle.write(last, tmp_path / "stopped")
    facts = json.loads((tmp_path / "stopped" / JSON).read_text())["sections"]["subject"]["facts"]
    assert facts["stopped"].endswith("by bob: a holiday") and facts["as of"]
    (span,) = served.spans(made.subject)
    assert span[2] is not None and last.at == span[2], "it does not serve until now"
    assert not [each for each in why(made.subject) if each.what == "traffic" and "until now" in each.words]


def test_nobody_knows_what_will_be_served(made: Recorded) -> None:
    with pytest.raises(NotFound, match="has not come yet"):
        subject.served(made.project, made.journal, "production", time.time() + 86_400)


def test_what_is_cut_is_said(made: Recorded) -> None:
    (made.home / "MODEL_CARD.md").write_text("word\n" * 20_000)
    (made.home / "train.py").write_text("x = 1\n" * 6_000)
    sha = made.commit("much")
    (made.files / "requirements.txt").write_text("a\n" * 40_000)
    from podium.core.registry.files import _write_note, digest

    _write_note(made.files, digest(made.files))
    found = told(replace(made.subject, version=replace(made.version, commit=sha)))
    missing = {section.key: " ".join(section.missing) for section in found.sections}
    assert "MODEL_CARD.md has 100000 bytes: only the first 65536 are here" in missing["card"]
    assert "the changes are many" in missing["commit"] and "git diff" in missing["commit"]
    assert "requirements.txt has 80000 bytes and is not repeated here" in missing["files"]
    assert "the power of checks is not computed" in missing["gates"]


def test_events_before_those_that_were_read_are_said_to_be_missing() -> None:
    during = (("production", 100.0, None),)
    times = [200.0] * served._MOST_EVENTS
    assert "only the newest" in served._cut("changes of alerts", times, during)[0]
    assert served._cut("changes of alerts", times[1:], during) == ()
    assert served._cut("changes of alerts", [50.0] * served._MOST_EVENTS, during) == ()
    assert served._cut("changes of alerts", times, ()) == ()


def test_a_version_that_no_run_has_made(made: Recorded) -> None:
    bare = subject.named(made.project, made.journal, Version(MODEL, 9, time.time()))
    assert all(section.key for section in told(bare).sections)


@pytest.mark.parametrize("text", ["sha256:" + "a" * 64, "registry.example:5000/iris@sha256:" + "a" * 64])
def test_an_image_is_named_by_its_digest(text: str) -> None:
    assert _image(text) == "a" * 64


@pytest.mark.parametrize(
    "text", ["", "iris:latest", "a" * 64, "sha256:" + "a" * 63, "sha256:" + "A" * 64, "sha256:../x"]
)
def test_a_tag_is_no_digest_of_an_image(text: str) -> None:
    with pytest.raises(UsageError, match="is no digest of an image"):
        _image(text)
