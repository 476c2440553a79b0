"""A lost ledger comes back from the repository's tags: as a plan first, and only what is believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from podium.core.changes import apply, plan
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.runs import RunState
from podium.core.hosting.rebuild import find, wanted_aliases
from podium.core.journal import Journal

from tests.hosting.tagged import Tagged
from tests.support import wait_until


@pytest.fixture
def lost(tmp_path: Path) -> Tagged:
    """A project of which only a fresh clone is left."""
    scene = Tagged(tmp_path / "flights")
    one, two = scene.version(6), scene.version(7)
    scene.promote(one)
    scene.promote(two)
    scene.journal.quarantine.add("flights", 5, "", "mia", "it doubled the errors")
    scene.promote(one)
    scene.record(push=True)
    scene.git("push", "-q", str(scene.bare), "main")
    scene.journal.close()
    shutil.rmtree(scene.home)
    scene.git("clone", "-q", "-b", "main", str(scene.bare), str(scene.home), where=tmp_path)
    (scene.home / ".podium").mkdir(mode=0o700)
    scene.journal = Journal.open(scene.home / ".podium" / "journal.db")
    return scene


def test_the_plan_says_what_comes_back_and_changes_nothing(lost: Tagged) -> None:
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    assert made.title == "Bring back 3 deployments from 5 tags"
    assert [(each.subject, each.before, each.after) for each in made.changes] == [
        ("production", "no deployment", "3 deployments, the last: promote of v6"),
        ("quarantine v5", "none", "it doubled the errors"),
    ]
    assert any("a backup brings models back" in each for each in made.warnings)
    assert lost.journal.ledger.history("production") == []


def test_it_brings_ledger_and_quarantine_back(lost: Tagged) -> None:
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    run = apply(lost.project, lost.journal, made, who="mia")
    assert run is not None
    wait_until(lambda: lost.journal.runs.get(run.id).state.finished, 60, what="the rebuild is over")
    assert lost.journal.runs.get(run.id).state is RunState.SUCCEEDED, lost.journal.steps.of(run.id)
    rows = lost.journal.ledger.history("production")
    assert [(row.to_version, row.how, row.state) for row in rows] == [
        (version, How.PROMOTE, DeploymentState.SUCCEEDED) for version in (6, 7, 6)
    ]
    assert {row.why for row in rows} == {"better @mia | `x`"}
    assert lost.journal.ledger.current("production") == rows[0]
    assert [each.version for each in lost.journal.quarantine.all()] == [5]
    assert lost.record().made == (), "what came from tags is not recorded a second time"
    again = plan(lost.project, lost.journal, "rebuild", "ledger")
    assert again.refusal == "the ledger is not lost: it has 3 deployments"


def test_a_tag_that_came_meanwhile_is_another_plan(lost: Tagged) -> None:
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    lost.git("tag", "-d", "flights#production#3")
    run = apply(lost.project, lost.journal, made, who="mia")
    assert run is not None
    wait_until(lambda: lost.journal.runs.get(run.id).state.finished, 60, what="the rebuild is over")
    assert lost.journal.runs.get(run.id).state is RunState.FAILED
    assert lost.journal.ledger.history("production") == []


def test_what_is_not_believed_is_told_and_stays_out(lost: Tagged) -> None:
    lost.git("config", "user.email", "mallory@example.com")
    lost.git("config", "user.name", "Mallory")
    lost.git("tag", "-a", "-m", "mine", "flights#production#9")
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    assert any("flights#production#9 is not believed" in each for each in made.warnings)
    assert made.title == "Bring back 3 deployments from 5 tags"
    lost.git("config", "tag.gpgSign", "true")
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    assert made.nothing_to_do, "where git signs, what is not signed is not believed"
    assert sum("signature" in each for each in made.warnings) == 5


def test_environments_that_are_not_there_any_more_stay_in_the_tags(lost: Tagged) -> None:
    text = (lost.home / "podium.yaml").read_text().replace("production:", "elsewhere:")
    (lost.home / "podium.yaml").write_text(text)
    made = plan(lost.project, lost.journal, "rebuild", "ledger")
    assert made.nothing_to_do
    assert any("no environment production" in each for each in made.warnings)


def test_aliases_are_those_of_where_promotions_go_to(lost: Tagged) -> None:
    found = find(load(lost.home))
    assert wanted_aliases(lost.project, found, lost.project.mlflow.model) == {"champion": 6, "previous": 7}
