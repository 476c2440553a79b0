"""The removal of unneeded images as a plan and an operation, without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from podium.core.changes import plan
from podium.core.config import load
from podium.core.delivery.status import image_prune_plan
from podium.core.domain.containers import IMAGES, Image, UnneededImage, read_unneeded
from podium.core.domain.plans import Plan
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import NotFound
from podium.core.journal import Journal

ENGINE = "unix:///here"
OLD = UnneededImage(ENGINE, "sha256:one", "shop:v1", 1, 2_000_000, "no environment needs this version")
LAYERS = UnneededImage(ENGINE, "sha256:deps", "deps:x", None, 500_000, "no image stands on these dependencies")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podium.yaml").write_text("project: shop\nenvironments: {staging: {port: 5101}}\n")
    return load(tmp_path, environ={})


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    with Journal.open(project.state / "journal.db") as journal:
        for version in (1, 2):
            name = f"sha256:{'one' if version == 1 else 'two'}"
            journal.images.put(Image("shop", version, ENGINE, name, name, built=1.0, size=2_000_000))
        yield journal


def planned(
    project: Project,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    found: Sequence[UnneededImage],
    away: str = "",
    newest: int = 1,
) -> Plan:
    def find(_: Project, __: Journal, *, newest: int, say: Callable[[str], None]) -> list[UnneededImage]:
        if away:
            say(away)
        return list(found)

    monkeypatch.setattr(image_prune_plan, "find", find)
    return plan(project, journal, "prune", IMAGES, newest=newest)


def test_it_says_what_goes_with_its_bytes_and_what_stays_and_why(
    project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(project, journal, monkeypatch, [OLD, LAYERS], away="no engine answers at far; its images stay")
    assert found.title == "Remove 2 images, 2.5 MB" and found.command == "podium images --prune --newest 1"
    assert [(each.subject, each.before, each.after) for each in found.changes] == [
        ("shop:v1", "2.0 MB", "removed: no environment needs this version"),
        ("deps:x", "500 kB", "removed: no image stands on these dependencies"),
        ("v2", "2.0 MB", "kept: one of the newest 1"),
    ]
    assert "its images stay" in found.warnings[0] and found.objection() is None
    assert read_unneeded(found.arguments["images"]) == (OLD, LAYERS)


def test_where_every_image_is_needed_there_is_nothing_to_do(
    project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(project, journal, monkeypatch, [], newest=5)
    assert found.nothing_to_do and found.command == "podium images --prune" and found.steps == ()
    with pytest.raises(NotFound):
        plan(project, journal, "prune", "staging")


def test_the_step_removes_what_was_agreed_and_notes_it(
    project: Project, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(project, journal, monkeypatch, [OLD, LAYERS])

    def prune(
        _: Project, __: Journal, which: Sequence[UnneededImage], *, say: Callable[[str], None]
    ) -> list[UnneededImage]:
        assert tuple(which) == (OLD, LAYERS)
        return [OLD]

    monkeypatch.setattr(image_prune_plan, "prune", prune)
    run = Run(7, "prune", IMAGES, RunState.RUNNING, Trigger.PERSON, "anna", 0.0)
    context = StepContext(project, run, "prune", {**found.arguments, "target": IMAGES}, _journal=journal)
    results = image_prune_plan.prune_step(context)
    assert results["bytes"] == OLD.size and [each["name"] for each in results["removed"]] == ["shop:v1"]
    assert [each["name"] for each in results["kept"]] == ["deps:x"]
    entry = journal.audit.page(limit=1)[0]
    assert (entry.who, entry.action, entry.subject, entry.why) == ("anna", "prune", "1 image", "shop:v1")
