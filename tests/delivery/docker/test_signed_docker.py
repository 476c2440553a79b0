"""`verify: required` with containers: what was signed is the image, by its id."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine, Labels
from podium.core.containers.engine import labels as names
from podium.core.delivery.rollout import phases
from podium.core.domain.models import Version
from podium.core.errors import Refused
from podium.core.evidence.release import release
from podium.core.evidence.subject import named

from tests.chaos import light_image
from tests.conftest import required
from tests.delivery.docker.docked import Docked
from tests.delivery.signing import let_anna_sign


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    required("" if shutil.which("ssh-keygen") else "ssh-keygen")
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = Docked(tmp_path / "world", engine, verify="required", replicas=1)
    let_anna_sign(made, tmp_path)
    yield made
    made.close()


def sign(docked: Docked, number: int) -> int:
    """Returns how many images were signed."""
    subject = named(docked.project, docked.journal, Version(docked.runtime.model, number, time.time()))
    return release(subject, None, who="anna", force=True, why="a test").images


def exchange(docked: Docked, number: int, engine: Engine | None = None) -> None:
    """Puts an image with other bytes in the place of a version's, on one engine: the same labels, the same tag."""
    api = (engine or docked.engine).api
    image = docked.journal.images.of(docked.runtime.model, number)[0]
    digest = docked.runtime.files.digest(number) or ""
    more = {names.MODEL: image.model, names.VERSION: str(number), names.DIGEST: digest}
    labels = {**Labels(docked.project.name, docked.project.home, names.IMAGE_ROLE).all(), **more}
    tag = f"podium-test/docked-{names.home_id(docked.project.home)}:v{number}"
    api.remove_image(image.image_id, force=True)
    variables = {"PODIUM_SERVING_VERSION": str(number)}
    light_image.version(api, tag, b'{"answer": 666}', labels, variables)


def test_only_the_image_that_was_signed_is_started(docked: Docked) -> None:
    for number in (1, 2):
        docked.version(number)
    assert sign(docked, 1) == 0
    with pytest.raises(Refused, match=r"its image \w+ is not what was signed"):
        docked.deploy(1)  # it was not known yet when the version was signed
    assert docked.containers(names.REPLICA_ROLE) == []
    assert sign(docked, 1) == 1
    docked.deploy(1)
    docked.driver.prepare(2)
    assert sign(docked, 2) == 1
    exchange(docked, 2)
    with pytest.raises(Refused, match=r"its image \w+ is not what was signed"):
        docked.deploy(2)
    assert docked.answers() == "1"
    assert {row.version for row in docked.runtime.replicas()} == {1}
