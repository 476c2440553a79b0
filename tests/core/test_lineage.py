"""The lineage row, found from every end of it, on a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core import lineage
from podium.core.config import load
from podium.core.domain.containers import Image
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.models import Version
from podium.core.domain.project import Project
from podium.core.domain.runs import PIPELINE, Trigger
from podium.core.errors import NotFound
from podium.core.journal import Journal

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podium.yaml").write_text(
        "project: lines\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {staging: {port: 5101},"
        " production: {port: 5100}}\n"
    )
    return load(tmp_path)


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    project.state.mkdir(mode=0o700)
    with Journal.open(project.state / "journal.db") as journal:
        for commit in (FIRST, SECOND, "c" * 40):
            journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PERSON, who="anna", commit=commit)
        versions = [
            Version(
                "lines", 2, 20.0, aliases=("champion",), commit=SECOND, run_id=2, mlflow_run="m2", digest="sha256:2"
            ),
            Version(
                "lines", 1, 10.0, aliases=("previous",), commit=FIRST, run_id=1, mlflow_run="m1", digest="sha256:1"
            ),
        ]
        journal.versions.replace("lines", versions, "mark")
        for name, version, weight, state in (("a", 2, 75, "ready"), ("b", 1, 25, "ready"), ("c", 1, 0, "warm")):
            journal.replicas.put(Replica(name, "production", version, name, 20000, ReplicaState(state), weight=weight))
        yield journal


@pytest.mark.parametrize("text", ["2", "v2", "champion", SECOND, SECOND[:7], "run:2"])
def test_a_version_is_found_from_every_end(project: Project, journal: Journal, text: str) -> None:
    (row,) = lineage.rows(journal, project, text)
    assert (row.version, row.commit, row.run_id, row.mlflow_run, row.digest) == (2, SECOND, 2, "m2", "sha256:2")
    assert (row.environment, row.replicas, row.share, row.aliases) == ("production", ("a",), 0.75, ("champion",))


def test_the_image_of_a_version(project: Project, journal: Journal) -> None:
    """What its replicas run says it, by the name that holds everywhere; without any, what they would be started
    from."""
    assert lineage.rows(journal, project, "2")[0].image == ""
    here = Image("lines", 2, "unix:///here", "sha256:one", "sha256:one", built=5.0)
    journal.images.put(here)
    assert lineage.rows(journal, project, "2")[0].image == "sha256:one"
    journal.images.put(replace(here, engine="ssh://far", digest="sha256:d", reference="r/lines@sha256:d", built=1.0))
    assert lineage.rows(journal, project, "2")[0].image == "r/lines@sha256:d"
    running = replace(journal.replicas.of("production")[0], image="sha256:another")
    journal.replicas.put(running)
    assert lineage.rows(journal, project, "production")[0].image == "sha256:another", (
        "whatever is noted, this is what runs"
    )
    journal.replicas.put(replace(running, image="sha256:one"))
    assert lineage.rows(journal, project, "production")[0].image == "r/lines@sha256:d"


def test_an_environment_shows_what_shares_its_traffic(project: Project, journal: Journal) -> None:
    rows = lineage.rows(journal, project, "production")
    assert [(row.version, row.share, row.replicas) for row in rows] == [(2, 0.75, ("a",)), (1, 0.25, ("b", "c"))]


def test_an_environment_without_replicas_shows_what_the_ledger_put_there(project: Project, journal: Journal) -> None:
    deployment = journal.ledger.begin(
        environment="staging",
        how=How.DEPLOY,
        model="lines",
        to_version=9,
        from_version=None,
        who="anna",
        commit="d" * 40,
        digest="sha256:9",
    )
    journal.ledger.finish(deployment.id, DeploymentState.SUCCEEDED)
    (row,) = lineage.rows(journal, project, "staging")
    assert (row.version, row.commit, row.digest, row.replicas, row.share) == (9, "d" * 40, "sha256:9", (), 0.0)


def test_a_run_without_a_version_is_a_row_too(project: Project, journal: Journal) -> None:
    for text in ("run:3", "c" * 12):
        (row,) = lineage.rows(journal, project, text)
        assert (row.run_id, row.commit, row.version) == (3, "c" * 40, None)


@pytest.mark.parametrize("text", ["7", "v7", "nobody", "run:99", "run:x", "bbbbbb", "staging", "", "e" * 40])
def test_what_is_not_there(project: Project, journal: Journal, text: str) -> None:
    with pytest.raises(NotFound) as caught:
        lineage.rows(journal, project, text)
    assert caught.value.hint
