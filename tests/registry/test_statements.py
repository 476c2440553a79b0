"""Signed statements on a version's MLflow run: what one machine signs another one finds, and serves only by that."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.domain.evidence.settings import Evidence
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.evidence.release import release
from podium.core.evidence.subject import named
from podium.core.journal import Journal
from podium.core.registry import artifacts
from podium.core.registry.files import bring, directory
from podium.core.signatures import kept, required
from podium.core.signatures.allowed import Unsigned

from tests.conftest import required as needed

from .conftest import Store, make_project
from .test_training import trained

MODEL = "churn"
IMAGE = "1" * 64


@pytest.fixture
def version(store: Store) -> Version:
    return Version(MODEL, 1, time.time(), mlflow_run=trained(store))


@pytest.fixture
def build(store: Store, tmp_path: Path) -> Project:
    """The same project on another machine: the store is all that both have."""
    home = tmp_path / "elsewhere"
    (home / ".podium").mkdir(parents=True)
    return replace(make_project(home, store.mlflow), evidence=Evidence(signers="allowed_signers"))


def test_a_statement_of_any_size_arrives_as_it_is(store: Store, version: Version, build: Project) -> None:
    text = '{"é": "' + "x" * artifacts.MOST_BYTES + '"}\n'
    assert kept.share(store.project, version, text, "a signature") == ""
    for name in ("podium/signed-v1-0123456789abcdef.json", "podium/signed-v1-nothing.json", "podium/other.json.sig"):
        store.client.log_text(version.mlflow_run, "{}", name)
    for _ in range(2):
        assert kept.bring(build, version) == ""
        (found,) = kept.read(build.state, MODEL, 1)
        assert (found.statement.decode(), found.signature.read_text()) == (text, "a signature")


def test_the_files_of_a_model_do_not_hide_it(
    store: Store, version: Version, build: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        store.client.log_text(version.mlflow_run, "x", f"a/{number}.txt")
    assert kept.share(store.project, version, "{}", "a signature") == ""
    monkeypatch.setattr(artifacts, "MOST_FILES", 4)
    assert kept.bring(build, version) == "" and len(list(kept.read(build.state, MODEL, 1))) == 1


@pytest.fixture
def sign(store: Store, version: Version, build: Project, tmp_path: Path) -> Callable[..., None]:
    """Signs the version on the machine that has the key."""
    needed("" if shutil.which("ssh-keygen") else "ssh-keygen")
    key = tmp_path / "anna"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (build.home / "allowed_signers").write_text(f"anna {key.with_name('anna.pub').read_text()}")

    def signed(*, more: tuple[str, ...] = ()) -> None:
        store.project.state.mkdir(exist_ok=True)
        with Journal.open(tmp_path / "journal.db") as journal:
            subject = named(store.project, journal, version)
            assert release(subject, key, who="anna", force=True, why="a test", more=more).alone == ""

    return signed


def files(project: Project, content: str) -> Path:
    place = directory(project.state, MODEL, 1)
    shutil.rmtree(place, ignore_errors=True)
    bring(place, lambda into: (into / "MLmodel").write_text(content))
    return place


def test_what_came_later_is_fetched_where_what_is_here_is_not_enough(
    store: Store, version: Version, build: Project, sign: Callable[..., None]
) -> None:
    place = files(build, "one")
    files(store.project, "one")
    with pytest.raises(Unsigned, match="nobody has signed it"):
        required.ensure(build, version, place, fetch=True)
    sign()
    with pytest.raises(Unsigned, match="nobody has signed it"):
        required.ensure(build, version, place)
    assert required.ensure(build, version, place, fetch=True) == frozenset()
    # An image that was built on the other machine: whoever signs names it.
    sign(more=(IMAGE,))
    assert required.ensure(build, version, None) == frozenset()
    assert required.ensure(build, version, None, fetch=True) == {IMAGE}
    # Files that were signed later than those that are known here.
    place = files(build, "two")
    files(store.project, "two")
    with pytest.raises(Unsigned, match="is not what was signed"):
        required.ensure(build, version, place, fetch=True)
    sign()
    required.ensure(build, version, place, fetch=True)


def test_a_run_that_was_deleted_says_why_there_is_nothing(version: Version, build: Project) -> None:
    (build.home / "allowed_signers").write_text("")
    gone = replace(version, mlflow_run="0" * 32)
    with pytest.raises(Unsigned, match=r"nobody has signed it \(the statements on its MLflow run cannot be read: "):
        required.ensure(build, gone, files(build, "one"), fetch=True)
