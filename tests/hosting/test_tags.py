"""Version tags: append-only, in GTO's grammar, and nothing else is believed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.outbox import MessageState
from podium.core.errors import Refused, UsageError
from podium.core.hosting import records, tagging
from podium.core.hosting.sender import Sender
from podium.core.hosting.tagging import made_by_us
from podium.core.scm import gto, tags

from tests.hosting.tagged import Tagged


@pytest.fixture
def scene(tmp_path: Path) -> Tagged:
    return Tagged(tmp_path / "flights")


def judged(scene: Tagged) -> records.Records:
    return records.judged(tags.read(scene.repository, records.patterns("flights")), "flights")


def troubles(scene: Tagged) -> list[str]:
    return [value for key, value in scene.journal.values.all("agent.trouble:").items() if key.endswith("tags")]


def test_versions_and_promotions_become_tags_in_order(scene: Tagged) -> None:
    one, two = scene.version(6), scene.version(7)
    scene.promote(one)
    scene.promote(two)
    scene.promote(one)
    assert scene.record().made == (
        "flights@v6.0.0", "flights@v7.0.0", "flights#production#1", "flights#production#2", "flights#production#3",
    )  # fmt: skip
    assert scene.git("rev-parse", "flights@v7.0.0^{commit}") == two.commit
    assert scene.git("cat-file", "-t", "flights#production#3") == "tag"
    assert scene.git("rev-parse", "flights#production#3^{commit}") == one.commit
    assert scene.record().made == (), "what is recorded is not recorded again"
    three = scene.version(8)
    scene.promote(three)
    assert scene.record().made == ("flights@v8.0.0", "flights#production#4")
    found = judged(scene)
    assert found.doubts == ()
    assert [each.after[0] for each in found.believed if each.after] == [each.tag for each in found.believed][:-1]


def test_what_has_no_commit_here_or_differs_from_it_has_no_tag(scene: Tagged) -> None:
    scene.version(5, "f" * 40)
    scene.version(6, scene.commit(), tags={"podium.dirty": "true"})
    scene.version(7)
    scene.deploy(7, sha="")
    assert scene.record().made == ("flights@v7.0.0",)


def test_gto_reads_them_back(scene: Tagged) -> None:
    """The package that the grammar is from, on the same repository."""
    api = pytest.importorskip("gto.api")
    from gto.tag import parse_name

    one, two = scene.version(6), scene.version(7)
    scene.promote(one)
    scene.promote(two)
    for name in scene.record().made:
        read, ours = parse_name(name), gto.parse(name)
        assert ours is not None
        assert (read["name"], read.get("stage") or "") == (ours.artifact, ours.stage)
        assert read.get("version") == (None if ours.version is None else f"v{ours.version}.0.0")
        assert read.get("counter") == (ours.counter or None)
    assert api.show(str(scene.home)) == {
        "flights": {"version": "v7.0.0", "stage": {"production": "v7.0.0"}, "registered": True, "active": True}
    }
    (shown,) = api.show(str(scene.home), name="flights#production")
    assert (shown["version"], shown["commit_hexsha"]) == ("v7.0.0", two.commit)
    history = api.history(str(scene.home), artifact="flights")
    assert [(each["event"], each["version"], each["stage"]) for each in history] == [
        ("assignment", "v7.0.0", "production"), ("assignment", "v6.0.0", "production"),
        ("registration", "v7.0.0", None), ("registration", "v6.0.0", None),
    ]  # fmt: skip


def test_they_are_pushed_once_and_what_another_clone_made_is_no_trouble(scene: Tagged, tmp_path: Path) -> None:
    scene.promote(scene.version(7))
    made = scene.record(push=True).made
    assert scene.tags(scene.bare) == sorted(made)
    scene.git("update-ref", "-d", "refs/tags/flights@v7.0.0", where=scene.bare)
    scene.record(push=True)
    assert scene.tags(scene.bare) == ["flights#production#1"], "what was pushed once is the host's affair"
    for name in made_by_us(scene.journal, gto.artifact_of(scene.project.mlflow.model)):
        scene.journal.values.set(f"tag made {name}", None)
    assert scene.record(push=True).doubts == ()
    assert scene.tags(scene.bare) == sorted(made)


def test_another_tag_of_that_name_on_the_host_is_told_and_left_alone(scene: Tagged) -> None:
    scene.version(7)
    scene.git("push", "-q", str(scene.bare), "HEAD:refs/heads/main")
    scene.git("tag", "flights@v7.0.0", "main", where=scene.bare)
    before = scene.git("rev-parse", "flights@v7.0.0", where=scene.bare)
    recorded = scene.record(push=True)
    assert [each.why for each in recorded.doubts] == ["the Git host has another tag of that name"]
    assert scene.git("rev-parse", "flights@v7.0.0", where=scene.bare) == before


def test_foreign_tags_are_told_and_not_believed(scene: Tagged) -> None:
    version = scene.version(7)
    scene.git("tag", "flights@v9.0.0")
    scene.git("tag", "-a", "-m", "mine", "flights#production#5")
    scene.git("tag", "-a", "-m", 'x\n\nPodium-Record: {"form": 1}', "flights@v8.0.0")
    scene.git("tag", "flights@latest")
    scene.git("tag", "v1.0")
    scene.promote(version)
    recorded = scene.record()
    assert recorded.made == ("flights@v7.0.0", "flights#production#6"), "no number is given twice"
    assert {each.tag: each.why for each in recorded.doubts} == {
        "flights@v9.0.0": "it was not made by Podium: it is no annotated tag",
        "flights#production#5": "it was not made by Podium: it has no record",
        "flights@v8.0.0": "its record cannot be read",
        "flights@latest": "its name is not of a kind that Podium makes",
    }
    assert "is not believed" in troubles(scene)[0]
    for tag in ("flights@v9.0.0", "flights#production#5", "flights@v8.0.0", "flights@latest"):
        scene.git("tag", "-d", tag)
    scene.record()
    assert troubles(scene) == []


@pytest.mark.parametrize(
    "changed",
    [
        *({"at": at} for at in (10**400, float("inf"), -1, "soon", None, [])),
        *({"began": at} for at in (10**400, float("nan"), {})),
        *({"version": number} for number in (float("inf"), 10**400, "x")),
        *({"quarantined": entries} for entries in ([1], [{"version": 1}], 7, [{"version": float("inf"), "at": 1}])),
        *({"how": "magic"}, {"from": "x"}, {"after": [1]}, {"after": 7}, {"commit": []}),
    ],
    ids=repr,
)
def test_a_record_that_anybody_may_have_written_is_no_more_than_a_doubt(scene: Tagged, changed: dict[str, Any]) -> None:
    """Who may push may push tags; a lost ledger is brought back from them."""
    scene.promote(scene.version(7))
    scene.record()
    (record,) = (each for each in judged(scene).believed if not each.is_version)
    message = json.dumps({**record.data, "after": None, **changed})
    scene.git("tag", "-f", "-a", "-m", f"x\n\nPodium-Record: {message}", record.tag, record.commit)
    found = judged(scene)
    assert [each for each in found.believed if not each.is_version] == []
    assert record.tag in {each.tag for each in found.doubts}


def test_a_record_that_is_nested_without_end_is_no_more_than_a_doubt(scene: Tagged) -> None:
    message = scene.home / "message"
    message.write_text("x\n\nPodium-Record: " + '{"form": 1, "model": ' + "[" * 200_000 + "\n")
    scene.version(7)
    scene.git("tag", "-a", "-F", str(message), "flights@v7.0.0")
    assert [each.why for each in judged(scene).doubts] == ["its record cannot be read"]


def test_a_moved_tag_is_not_believed_and_not_written_over(scene: Tagged) -> None:
    one = scene.version(6)
    scene.version(7)
    scene.record()
    message = scene.git("tag", "-l", "--format=%(contents)", "flights@v6.0.0")
    other = scene.commit()
    scene.git("tag", "-f", "-a", "-m", message, "flights@v6.0.0", other)
    assert [each.why for each in judged(scene).doubts] == [f"it was moved: its record names commit {one.commit[:9]}"]
    forged = message.replace(one.commit, other)
    scene.git("tag", "-f", "-a", "-m", forged, "flights@v6.0.0", other)
    (doubt,) = judged(scene).doubts
    assert doubt.why.startswith("it was moved: what was made under that name"), "the next record knows the old one"
    assert scene.record().made == ()
    assert scene.git("rev-parse", "flights@v6.0.0^{commit}") == other


def test_the_last_tag_is_guarded_by_the_journal(scene: Tagged) -> None:
    one = scene.version(6)
    scene.record()
    message = scene.git("tag", "-l", "--format=%(contents)", "flights@v6.0.0")
    other = scene.commit()
    scene.git("tag", "-f", "-a", "-m", message.replace(one.commit, other), "flights@v6.0.0", other)
    (doubt,) = scene.record().doubts
    assert doubt.why.startswith("it was moved")


def test_a_tag_that_is_gone_is_told(scene: Tagged) -> None:
    scene.version(6)
    scene.version(7)
    scene.record()
    scene.git("tag", "-d", "flights@v6.0.0")
    (doubt,) = judged(scene).doubts
    assert (doubt.tag, doubt.why.startswith("it is gone")) == ("flights@v6.0.0", True)


def test_an_account_without_a_name_makes_tags_too(scene: Tagged, monkeypatch: pytest.MonkeyPatch) -> None:
    version = scene.version(6)
    assert version
    scene.git("config", "--unset", "user.name")
    scene.git("config", "--unset", "user.email")
    scene.git("config", "user.useConfigOnly", "true")
    monkeypatch.setenv("HOME", str(scene.home))
    assert scene.record().made == ("flights@v6.0.0",)
    assert "Podium <podium@localhost>" in scene.git("cat-file", "-p", "flights@v6.0.0")


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="git signs with ssh-keygen here")
def test_tags_are_signed_where_git_signs(scene: Tagged) -> None:
    key = scene.home.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("tag.gpgSign", "true")):
        scene.git("config", name, value)
    allowed = scene.home.parent / "allowed"
    allowed.write_text(f"mia@example.com {key.with_suffix('.pub').read_text()}")
    scene.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
    scene.version(6)
    scene.record()
    assert "SSH SIGNATURE" in scene.git("cat-file", "-p", "flights@v6.0.0")
    assert tags.signature_trouble(scene.repository, "flights@v6.0.0") == ""
    allowed.write_text("")
    assert tags.signature_trouble(scene.repository, "flights@v6.0.0") != ""
    key.unlink()
    scene.version(7)
    with pytest.raises(Refused, match="cannot be signed"):
        scene.record()
    assert scene.tags() == ["flights@v6.0.0"], "none without a signature"


def test_their_names_start_no_pipeline() -> None:
    for tag in ("flight-delay@v7.0.0", "flight-delay#production#12"):
        assert gto.is_record(tag, ["flight delay"])
    for tag in ("v1.0", "other@v7.0.0", "flight-delay@v1.2.3", "flight-delay", "flight-delay#production"):
        assert not gto.is_record(tag, ["flight delay"])


@given(st.text(max_size=30))
def test_any_model_has_a_name_that_is_read_back_or_none(model: str) -> None:
    try:
        artifact = gto.artifact_of(model)
    except UsageError:
        return
    for name in (gto.version_tag(artifact, 3), gto.stage_tag(artifact, "production", 4)):
        found = gto.parse(name)
        assert found is not None
        assert found.artifact == artifact


def test_the_agents_job_records_and_pushes_them_where_pushes_arrive(scene: Tagged) -> None:
    text = (scene.home / "podium.yaml").read_text()
    host = f"kind: git, repo: '{scene.bare}', tell: {{statuses: false, deployments: false, comment: false}}"
    before = text[text.index("kind: github") : text.index("}}}") + 1]
    (scene.home / "podium.yaml").write_text(text.replace(before, host))
    sender = Sender()
    sender(scene.project, scene.journal)
    version = scene.version(7)
    sender(scene.project, scene.journal)
    assert scene.tags(scene.bare) == ["flights@v7.0.0"]
    scene.promote(version)
    sender(scene.project, scene.journal)
    assert scene.tags(scene.bare) == ["flights#production#1", "flights@v7.0.0"]
    assert scene.journal.outbox.list(MessageState.WAITING) == []


def test_the_agents_job_records_them_without_a_host_too(scene: Tagged) -> None:
    text = (scene.home / "podium.yaml").read_text()
    (scene.home / "podium.yaml").write_text(text.replace(text[text.index(", host:") : text.index("}}}") + 2], ""))
    sender = Sender()
    sender(scene.project, scene.journal)
    version = scene.version(7)
    sender(scene.project, scene.journal)
    assert scene.tags() == ["flights@v7.0.0"]
    scene.promote(version)
    sender(scene.project, scene.journal)
    assert scene.tags() == ["flights#production#1", "flights@v7.0.0"]
    assert scene.journal.outbox.list(MessageState.WAITING) == []


def test_what_is_promoted_is_released_once_with_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "remote_of", lambda _: None)
    scene = Tagged(tmp_path / "flights", tell="releases: true")
    one = scene.version(7)
    scene.promote(one)
    scene.judge(scene.run())
    scene.send()
    assert "create_release" not in scene.host.asked, "the host has no such tag, and would make one"
    two = scene.version(8)
    scene.promote(two)
    scene.host.has_tags = {"flights@v7.0.0": one.commit, "flights@v8.0.0": two.commit}
    scene.send()
    scene.promote(one)
    scene.send()
    with scene.host._state("") as state:
        releases = state["releases"]
    assert list(releases) == ["flights@v7.0.0", "flights@v8.0.0"]
    name, notes = releases["flights@v7.0.0"]
    assert name == "flights version 7"
    assert "promoted to `production` by `mia`" in notes
    assert "`better @\u200bmia ¦ ˋxˋ`" in notes
    assert "Gate `quality`" in notes
    assert scene.host.asked.count("create_release") == 2


def test_releases_are_off_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "remote_of", lambda _: None)
    scene = Tagged(tmp_path / "flights")
    scene.promote(scene.version(7))
    scene.send()
    assert scene.tags() == ["flights#production#1", "flights@v7.0.0"]
    assert "create_release" not in scene.host.asked
