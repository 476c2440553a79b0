"""Which images stay, whatever is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.containers.images import build, store
from podium.core.containers.images.context import BuildContext
from podium.core.delivery.status import image_prune
from podium.core.domain.containers import Image
from podium.core.domain.delivery import DeploymentState, How, Replica, ReplicaState
from podium.core.domain.project import Environment
from podium.core.serving.image import recipe

from ...serving.image import shop as shops
from ...serving.image.shop import Shop


@pytest.fixture
def shop(engine: Engine, shell_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shops.opened(tmp_path / "shop", engine, shell_image) as made:
        environment = Environment("production", driver="docker", keep=1, keep_stopped=1)
        made.project = replace(made.project, environments={"production": environment})
        monkeypatch.setattr(image_prune, "_MIN_AGE_SECONDS", 0)
        yield made


def stand_in(
    shop: Shop, number: int, *, content: str = "", role: str = names.IMAGE_ROLE, dependencies: str = "", tag: str = ""
) -> Image:
    version = shop.add(number, lambda dest: (dest / "MLmodel").write_text(f"number: {number}\n"))
    context = BuildContext()
    context.add("Dockerfile", f"FROM {shop.project.docker.base}\nCOPY model/ /\n".encode())
    context.add("model/opt/x", f"{number} {content} {role}".encode())
    more = {names.DEPENDENCIES: dependencies} if dependencies else {}
    labels = Labels(shop.project.name, shop.project.home, role).all()
    if role == names.IMAGE_ROLE:
        labels |= recipe.labels(version, version.digest, "", "", shop.project.name) | more
    name = tag or f"podium-test/prune-{shop.project.home.parent.name}:v{number}".lower()
    built = build.build(shop.engine, build.BuildRequest(context.stream, name, labels), say=shop.say)
    made = Image(version.model, number, str(shop.engine.address), built.image_id, built.image_id, time.time(), tag=name)
    if role == names.IMAGE_ROLE:
        shop.journal.images.put(made)
    return made


def deployed(shop: Shop, *numbers: int) -> None:
    before: int | None = None
    for number in numbers:
        row = shop.journal.ledger.begin(
            environment="production",
            how=How.DEPLOY,
            model=shop.project.mlflow.model,
            to_version=number,
            from_version=before,
            who="anna",
        )
        shop.journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        before = number


def versions(shop: Shop, **more: int) -> list[int]:
    return sorted(one.version or 0 for one in image_prune.find(shop.project, shop.journal, say=shop.say, **more))


def test_what_a_rollback_needs_stays(shop: Shop) -> None:
    for number in range(1, 9):
        stand_in(shop, number)
    deployed(shop, 1, 2, 3, 4)
    assert versions(shop, newest=2) == [1, 5, 6]  # 4 serves, 3 is kept warm, 2 is kept stopped, 7 and 8 are the newest
    shop.journal.quarantine.add(shop.project.mlflow.model, 3, "", "anna", "bad")
    shop.journal.quarantine.add(shop.project.mlflow.model, 2, "", "anna", "bad")
    assert versions(shop, newest=2) == [5, 6], "now it is 1 that a rollback brings back"
    shop.journal.replicas.put(Replica("production-v6-1", "production", 6, "v6-1", 20_000, ReplicaState.STOPPED))
    assert versions(shop, newest=2) == [5]
    version = shop.journal.versions.get(shop.project.mlflow.model, 5)
    assert version is not None
    shop.journal.versions.update(replace(version, aliases=("champion",)))
    assert versions(shop, newest=2) == []


def test_only_what_nothing_uses_goes(shop: Shop) -> None:
    one, two = stand_in(shop, 1), stand_in(shop, 2)
    stand_in(shop, 3)
    other = replace(shop.project, home=shop.project.home / "another checkout")
    foreign = shops.Shop(other, shop.journal, shop.engine, [])
    assert not image_prune.find(other, shop.journal, newest=1, say=foreign.say), (
        "those of this checkout are not the other one's"
    )
    container = shop.engine.api.create_container(two.image_id, ["true"], labels=shop.label)
    found = image_prune.find(shop.project, shop.journal, newest=1, say=shop.say)
    assert {each.version for each in found} == {1, 2}
    gone = image_prune.prune(shop.project, shop.journal, found, say=shop.say)
    assert [each.version for each in gone] == [1]
    assert store.inspect(shop.engine, one.image_id) is None
    assert store.inspect(shop.engine, two.image_id) is not None
    assert "something uses it" in shop.said
    assert [image.version for image in shop.journal.images.of(one.model)] == [3, 2]
    shop.engine.api.remove_container(container["Id"])


def test_what_came_to_be_needed_meanwhile_stays(shop: Shop) -> None:
    one = stand_in(shop, 1)
    stand_in(shop, 2)
    found = image_prune.find(shop.project, shop.journal, newest=1, say=shop.say)
    assert [each.version for each in found] == [1]
    deployed(shop, 1)
    assert image_prune.prune(shop.project, shop.journal, found, say=shop.say) == []
    assert store.inspect(shop.engine, one.image_id) is not None


def test_images_that_were_built_over_and_dependencies_without_an_image(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = f"podium-test/deps-{shop.project.home.parent.name}".lower()
    used = stand_in(shop, 90, role=names.DEPENDENCIES_ROLE, tag=f"{base}:used")
    stand_in(shop, 91, role=names.DEPENDENCIES_ROLE, tag=f"{base}:unused")
    over = stand_in(shop, 1, content="first")
    stand_in(shop, 1, content="second", dependencies=used.tag)
    found = {each.image_id: each.why for each in image_prune.find(shop.project, shop.journal, say=shop.say)}
    assert len(found) == 2 and used.image_id not in found
    assert "took its place" in found[over.image_id]
    assert "no image stands on" in " ".join(found.values())
    monkeypatch.setattr(image_prune, "_MIN_AGE_SECONDS", 3600)
    assert image_prune.find(shop.project, shop.journal, say=shop.say) == [], "a build may be running"


def test_an_engine_that_is_away_is_told(shop: Shop, tmp_path: Path) -> None:
    away = replace(shop.project.environments["production"], name="far", host=f"unix://{tmp_path}/none.sock")
    shop.project = replace(shop.project, environments={"far": away})
    stand_in(shop, 1)
    assert versions(shop) == []
    assert "its images stay" in shop.said
