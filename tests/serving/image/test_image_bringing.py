"""The image of a version, brought to the engine that is to serve it, and what is said when that fails. Small images
stand for the real ones."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from podium.core.containers import Engine, Labels, open_engine
from podium.core.containers.engine import labels as names
from podium.core.containers.engine.address import parse
from podium.core.containers.images import build, registry, store
from podium.core.containers.images.context import BuildContext
from podium.core.domain.containers import Image
from podium.core.domain.models import Version
from podium.core.errors import Interrupted, NotFound, Refused, RunFailed, Unreachable, UsageError
from podium.core.serving.image import build as serving_images
from podium.core.serving.image import recipe

from tests.runner.scale import scaled
from tests.servers import dockerd as engines
from tests.servers.registry import Registry
from tests.servers.registry import missing as registry_missing
from tests.support import wait_until

from . import shop as shops
from .shop import Shop

REQUIRED = os.environ.get("PODIUM_REQUIRE_SERVERS")


def _need(missing: str) -> None:
    if missing:
        (pytest.fail if REQUIRED else pytest.skip)(missing)


@pytest.fixture(scope="module")
def shop(engine: Engine, shell_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shops.opened(tmp_path_factory.mktemp("shop"), engine, shell_image) as made:
        yield made


@pytest.fixture(scope="module")
def other(engine: Engine, shell_image: str) -> Iterator[Engine]:
    """A second engine, which has the base image."""
    _need(engines.missing())
    with engines.Dockerd() as dockerd, open_engine(parse(dockerd.address)) as found:
        store.transfer(engine, found, str((store.inspect(engine, shell_image) or {})["Id"]), say=print)
        yield found


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that lets in whoever did `docker login`; we did."""
    _need(registry_missing())
    with Registry("ci", "hush") as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(made.docker_config(tmp_path_factory.mktemp("login"))))
        yield made


def version(shop: Shop, number: int) -> Version:
    return shop.add(number, lambda dest: (dest / "MLmodel").write_text(f"mlflow_version: 3.0.0\nnumber: {number}\n"))


def stand_in(shop: Shop, engine: Engine, of: Version) -> Image:
    """An image that is labelled as the version's, made in a moment."""
    context = BuildContext()
    context.add("Dockerfile", f"FROM {shop.project.docker.base}\nCOPY model/ /\n".encode())
    context.tree("model/opt/podium/model", shop.files(of.version))
    labels = {
        **Labels(shop.project.name, shop.project.home, names.IMAGE_ROLE).all(),
        **recipe.labels(of, of.digest, "", "", shop.project.name),
    }
    tag = f"podium-test/{shop.project.home.name}:v{of.version}"
    built = build.build(engine, build.BuildRequest(context.stream, tag, labels), say=shop.say)
    return Image(of.model, of.version, str(engine.address), built.image_id, built.image_id, 1.0, tag=tag, seconds=12.5)


def test_what_the_engine_has_is_found_without_the_journal(shop: Shop) -> None:
    made = stand_in(shop, shop.engine, version(shop, 1))
    found = serving_images.require(shop.project, shop.journal, 1, shop.engine.address, say=shop.say)
    assert found.image_id == made.image_id
    assert shop.journal.images.get(made.model, 1, str(shop.engine.address)) == found


def test_the_journal_alone_is_not_believed(shop: Shop) -> None:
    """Neither an image that was removed, nor one whose files are not the version's."""
    of = version(shop, 2)
    made = stand_in(shop, shop.engine, of)
    shop.journal.images.put(made)
    assert serving_images.require(shop.project, shop.journal, 2, shop.engine.address, say=shop.say) == made
    store.remove(shop.engine, made.tag)
    assert store.inspect(shop.engine, made.image_id) is None
    wrong = stand_in(shop, shop.engine, replace(of, digest="sha256:" + "0" * 64))
    shop.journal.images.put(replace(wrong, version=2))
    with pytest.raises(
        RunFailed, match="installing the dependencies"
    ):  # it came to building one, which this base image cannot
        serving_images.require(shop.project, shop.journal, 2, shop.engine.address, say=shop.say)


def test_it_is_sent_to_the_engine_that_serves(shop: Shop, other: Engine) -> None:
    made = stand_in(shop, shop.engine, version(shop, 3))
    shop.journal.images.put(made)
    found = serving_images.require(shop.project, shop.journal, 3, other.address, say=shop.say)
    assert found == replace(made, engine=str(other.address))
    assert store.layers(store.inspect(other, found.reference) or {}) == store.layers(
        store.inspect(shop.engine, made.image_id) or {}
    )
    assert "sending image" in shop.said
    shop.lines.clear()
    assert serving_images.require(shop.project, shop.journal, 3, other.address, say=shop.say) == found
    assert not shop.lines


def test_a_login_after_the_engine_was_reached_counts(
    shop: Shop, depot: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of an agent that runs for weeks."""
    made = stand_in(shop, shop.engine, version(shop, 9))
    into = f"{depot.address}/team/later"
    (tmp_path / "config.json").write_text('{"auths": {"registry.example.com": {"auth": "YTpi"}}}')
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", str(tmp_path))
        with pytest.raises(Refused, match="no basic auth credentials"):
            serving_images.publish(shop.engine, made, into, say=shop.say)
    assert serving_images.publish(shop.engine, made, into, say=shop.say).digest


def test_it_is_pushed_and_pulled_by_its_digest(shop: Shop, other: Engine, depot: Registry) -> None:
    of = version(shop, 4)
    made = stand_in(shop, shop.engine, of)
    into = f"{depot.address}/team/flight-delay"
    pushed = serving_images.publish(shop.engine, made, into, say=shop.say)
    assert pushed.reference == f"{into}@{pushed.digest}"
    assert depot.get("team/flight-delay/tags/list")["tags"] == ["v4"]
    assert store.inspect(shop.engine, pushed.reference) is not None
    shop.journal.images.put(pushed)
    # The tag is moved to something else meanwhile: the digest is what counts.
    registry.push(shop.engine, stand_in(shop, shop.engine, version(shop, 5)).image_id, into, "v4", say=shop.say)
    shop.lines.clear()
    found = serving_images.require(shop.project, shop.journal, 4, other.address, say=shop.say)
    assert found == replace(pushed, engine=str(other.address))
    assert store.labels(store.inspect(other, found.reference) or {})[names.DIGEST] == of.digest
    assert "pulling" in shop.said and "sending" not in shop.said


def test_a_registry_that_does_not_answer_is_no_obstacle(shop: Shop, other: Engine) -> None:
    of = version(shop, 6)
    made = stand_in(shop, shop.engine, of)
    gone = replace(made, digest="sha256:" + "1" * 64, reference="127.0.0.1:1/team/flight-delay@sha256:" + "1" * 64)
    shop.journal.images.put(gone)
    shop.lines.clear()
    found = serving_images.require(shop.project, shop.journal, 6, other.address, say=shop.say)
    assert found.image_id == found.reference == made.image_id
    assert "trying another source" in shop.said and "sending" in shop.said


def test_who_is_not_let_in_is_told(
    shop: Shop, depot: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stand_in(shop, shop.engine, version(shop, 7))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with open_engine(shop.engine.address) as stranger, pytest.raises(Refused, match="the registry refused") as caught:
        serving_images.publish(stranger, made, f"{depot.address}/team/private", say=shop.say)
    assert "docker login" in caught.value.hint
    with open_engine(shop.engine.address) as stranger, pytest.raises((Refused, NotFound)):
        registry.pull(stranger, f"{depot.address}/team/flight-delay:v4", say=shop.say)


@pytest.mark.parametrize(
    "into", ["a b", "reg:5000/name:tag", "name@sha256:" + "1" * 64, "-x", "https://reg/name", "a\nb", "Name"]
)
def test_what_is_no_repository(shop: Shop, into: str) -> None:
    with pytest.raises(UsageError, match="is not a repository"):
        serving_images.build(shop.project, shop.journal, 1, push=into, say=shop.say)


def slow(shop: Shop, base: str, command: str) -> build.BuildRequest:
    context = BuildContext()
    context.add("Dockerfile", f'FROM {base}\nRUN ["sh", "-c", "{command}"]\n'.encode())
    return build.BuildRequest(context.stream, labels=shop.label, fresh=True, network=False)


@pytest.mark.parametrize("kind", [build.BUILDKIT, build.CLASSIC])
def test_an_engine_that_dies_in_the_middle(shop: Shop, engine: Engine, shell_image: str, kind: str) -> None:
    _need(engines.missing())
    lines: list[str] = []
    with engines.Dockerd() as dockerd:
        with open_engine(parse(dockerd.address)) as dying:
            store.transfer(engine, dying, str((store.inspect(engine, shell_image) or {})["Id"]), say=lines.append)
            dying.api.tag(str((store.inspect(engine, shell_image) or {})["Id"]), "podium-test/shell", "1")

            def kill() -> None:
                wait_until(lambda: any("begun" in line for line in lines), 30)
                dockerd.kill()

            killer = threading.Thread(target=kill)
            killer.start()
            with pytest.raises(Unreachable, match=r"was interrupted|stopped during|no Docker engine answers"):
                build.build(dying, slow(shop, shell_image, "echo begun; sleep 60"), say=lines.append, builder=kind)
            killer.join(scaled(20))


def _sleeping(seconds: int) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [])[-2:] == ["sleep", str(seconds)]
    ]


@pytest.mark.parametrize(("kind", "seconds"), [(build.BUILDKIT, 7391), (build.CLASSIC, 7393)])
def test_a_build_that_is_cancelled_ends_on_the_engine_too(
    shop: Shop, shell_image: str, kind: str, seconds: int
) -> None:
    def say(line: str) -> None:
        if "begun" in line and "RUN" not in line:
            wait_until(lambda: _sleeping(seconds), 20, what="the step of the build")
            raise Interrupted("told to end")

    with pytest.raises(Interrupted):
        build.build(shop.engine, slow(shop, shell_image, f"echo begun; sleep {seconds}; true"), say=say, builder=kind)
    wait_until(lambda: not _sleeping(seconds), 30, what="the end of the build's step")


@pytest.mark.parametrize("kind", [build.BUILDKIT, build.CLASSIC])
def test_a_full_disk(engine: Engine, shop: Shop, shell_image: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    _need(engines.missing())
    small = Path(tempfile.mkdtemp(prefix="podium-small-"))  # an engine's sockets need a short path
    engines.run("mount", "-t", "tmpfs", "-o", "size=160m", "podium-test", str(small))
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        with engines.Dockerd() as dockerd, open_engine(parse(dockerd.address)) as cramped:
            monkeypatch.setattr(tempfile, "tempdir", None)
            number = str((store.inspect(engine, shell_image) or {})["Id"])
            store.transfer(engine, cramped, number, say=shop.say)
            cramped.api.tag(number, "podium-test/shell", "1")
            with pytest.raises(Unreachable, match="disk is full") as caught:
                build.build(
                    cramped,
                    slow(shop, shell_image, "dd if=/dev/zero of=/big bs=1M count=500"),
                    say=shop.say,
                    builder=kind,
                )
            assert "docker system df" in caught.value.hint
    finally:
        engines.run("umount", "-l", str(small))
        shutil.rmtree(small, ignore_errors=True)


@pytest.mark.parametrize("kind", [build.BUILDKIT, build.CLASSIC])
def test_a_step_that_fails_is_told_with_its_words(shop: Shop, shell_image: str, kind: str) -> None:
    shop.lines.clear()
    order = slow(shop, shell_image, "echo one; echo ERROR: no such thing >&2; exit 3")
    with pytest.raises(RunFailed, match="ERROR: no such thing"):
        build.build(shop.engine, order, say=shop.say, builder=kind)
    assert "one" in shop.said
