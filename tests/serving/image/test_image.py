"""The image of a version: built on a real engine, run as a replica is, and asked."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.images import build, store
from podium.core.domain.containers import Image
from podium.core.errors import NotFound, RunFailed, Unreachable, UsageError
from podium.core.serving.image import build as serving_images
from podium.core.serving.image import recipe, trial
from podium.core.serving.image import requirements as image_requirements

from tests.runner.scale import scaled
from tests.support import wait_until

from . import shop
from .shop import Shop, copied

# The machine may be busy with other tests, and each of these is a process that imports MLflow several times.
pytestmark = pytest.mark.timeout(400)

HARD = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=64m"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "init": True,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of one kind with other parameters."""
    root = tmp_path_factory.mktemp("models")
    for number in (1, 2):
        shop.save_sklearn(root / str(number), strength=number / 2)
    return [root / "1", root / "2"]


@pytest.fixture(scope="module")
def built(
    engine: Engine, python_image: str, models: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shop, Image, Image, str]]:
    """A shop, the images of its versions 1 and 2, and what building the second one said."""
    with shop.opened(tmp_path_factory.mktemp("shop"), engine, python_image) as made:
        for number, path in enumerate(models, 1):
            made.add(number, copied(path))
        first = serving_images.build(made.project, made.journal, 1, run_id=7, say=made.say).image
        made.lines.clear()
        second = serving_images.build(made.project, made.journal, 2, run_id=8, say=made.say).image
        yield made, first, second, made.said


@contextmanager
def running(shop: Shop, made: Image, **host: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(its address, what the engine knows of it) of a container of the image, hardened, once it can predict."""
    api = shop.engine.api
    container = api.create_container(
        made.reference, labels=shop.label, host_config=api.create_host_config(**{**HARD, **host})
    )
    api.start(container["Id"])
    try:
        found = shop.engine.inspect(container["Id"])
        address = f"http://{found['NetworkSettings']['IPAddress']}:{recipe.PORT}"

        def ready() -> bool:
            state = shop.engine.inspect(container["Id"])["State"]
            assert state["Running"], api.logs(container["Id"]).decode()
            return call(f"{address}/ping")[0] == 200

        wait_until(ready, 60, interval=0.1, what="the replica in its container")
        yield address, found
    finally:
        api.remove_container(container["Id"], force=True, v=True)


def call(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=scaled(20)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def test_a_hardened_container_serves(built: tuple[Shop, Image, Image, str], models: list[Path]) -> None:
    shop, _, second, _ = built
    example = (models[1] / "serving_input_example.json").read_bytes()
    with running(shop, second, binds={"podium-test-capture": {"bind": recipe.CAPTURE, "mode": "rw"}}) as (
        address,
        found,
    ):
        status, answer = call(f"{address}/invocations", example)
        assert (status, json.loads(answer)) == (200, {"predictions": [0, 0]})
        told = json.loads(call(f"{address}/version")[1])
        version = shop.journal.versions.get(second.model, 2)
        assert version is not None
        assert (told["model"], told["version"], told["digest"], told["commit"]) == (
            second.model,
            "2",
            version.digest,
            version.commit,
        )
        top = shop.engine.api.top(found["Id"], "-eo pid,uid,args")["Processes"]
        assert {row[1] for row in top} == {str(recipe.USER)}
        probe = shop.engine.api.exec_create(found["Id"], found["Config"]["Healthcheck"]["Test"][1:])
        shop.engine.api.exec_start(probe["Id"])
        assert shop.engine.api.exec_inspect(probe["Id"])["ExitCode"] == 0
        write = [recipe.PYTHON, "-c", f"open('{recipe.CAPTURE}/x', 'w'); open('/opt/podium/model/x', 'w')"]
        probe = shop.engine.api.exec_create(found["Id"], write)
        assert b"Read-only file system: '/opt/podium/model/x'" in shop.engine.api.exec_start(probe["Id"])
        assert b"listening on 0.0.0.0:8080" in shop.engine.api.logs(found["Id"])
    shop.engine.api.remove_volume("podium-test-capture")


def test_what_a_container_is_told_has_the_last_word(built: tuple[Shop, Image, Image, str]) -> None:
    shop, _, second, _ = built
    api = shop.engine.api
    code = (
        "from podium.core.serving.options import parse; o = parse(['--model', 'm', '--port', '1', '--version', '9']);"
        " print(o.version, o.model_name)"
    )
    made = api.create_container(
        second.reference, ["-c", code], entrypoint=[recipe.PYTHON], host_config=api.create_host_config(**HARD)
    )
    api.start(made["Id"])
    assert api.wait(made["Id"], timeout=scaled(30))["StatusCode"] == 0
    assert api.logs(made["Id"]).decode().strip() == f"9 {second.model}"
    api.remove_container(made["Id"])


def test_the_second_version_builds_one_layer(built: tuple[Shop, Image, Image, str]) -> None:
    shop, first, second, said = built
    one, two = (store.layers(store.inspect(shop.engine, each.image_id) or {}) for each in (first, second))
    assert len(one) == len(two)
    assert store.shared(one, two) == len(one) - 1
    assert (first.model_layer, second.model_layer) == (one[-1], two[-1])
    assert "dependencies: unchanged" in said
    assert "not tried again" in said
    assert f"1 of {len(two)} layers new" in said
    assert "version 1 had" in said


def test_it_is_noted(built: tuple[Shop, Image, Image, str]) -> None:
    shop, first, second, _ = built
    assert shop.journal.images.get(shop.project.mlflow.model, 2, str(shop.engine.address)) == second
    assert shop.journal.images.of(shop.project.mlflow.model) == [second, first]
    found = store.inspect(shop.engine, second.reference)
    assert found is not None
    assert second.size == found["Size"] > 0
    assert second.image_id == second.reference == found["Id"]
    version = shop.journal.versions.get(second.model, 2)
    assert version is not None
    expected = {
        names.PROJECT: shop.project.name,
        names.ROLE: names.IMAGE_ROLE,
        names.MODEL: second.model,
        names.VERSION: "2",
        names.COMMIT: version.commit,
        names.RUN: "7",
        names.MLFLOW_RUN: version.mlflow_run,
        names.DIGEST: version.digest,
        "org.opencontainers.image.version": "2",
        "org.opencontainers.image.revision": version.commit,
        "org.opencontainers.image.title": second.model,
        "org.opencontainers.image.base.name": shop.project.docker.base,
    }
    assert expected.items() <= store.labels(found).items()
    config = found["Config"]
    assert config["User"] == "10001:10001"
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"][0] == recipe.PYTHON
    assert config["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("kind", [build.BUILDKIT, build.CLASSIC])
def test_the_same_files_make_the_same_layers(
    built: tuple[Shop, Image, Image, str], models: list[Path], tmp_path: Path, kind: str
) -> None:
    """Whichever builder, whenever, from whichever copy of the files."""
    shop, first, _, _ = built
    other = tmp_path / "elsewhere"
    shutil.copytree(models[0], other, copy_function=shutil.copy)
    for path in other.rglob("*"):
        path.chmod(0o777)
    found = store.inspect(shop.engine, first.image_id)
    assert found is not None
    for _ in range(2):
        context = recipe.serving_context(shop.dependencies(first.image_id), other)
        again = build.build(
            shop.engine,
            build.BuildRequest(context.stream, labels=shop.label, fresh=True, network=False),
            say=shop.say,
            builder=kind,
        )
        assert again.builder == kind
        assert store.layers(store.inspect(shop.engine, again.image_id) or {}) == store.layers(found)


def test_the_classic_builder_finds_its_cache(built: tuple[Shop, Image, Image, str], models: list[Path]) -> None:
    shop, first, _, _ = built
    made = []
    for number, path in enumerate([models[0], models[0], models[1]]):
        context = recipe.serving_context(shop.dependencies(first.image_id), path)
        order = build.BuildRequest(
            context.stream,
            labels={**shop.label, names.VERSION: str(number)},
            arguments={"PODIUM_VERSION": str(number)},
            network=False,
        )
        made.append(build.build(shop.engine, order, say=shop.say, builder=build.CLASSIC))
    upto = (
        recipe.serving_dockerfile("x").split("COPY model/")[0].count("\n") - 1
    )  # instructions before the model, one a line but ENV and HEALTHCHECK
    assert made[1].cached > made[2].cached >= upto - 3
    layers = [store.layers(store.inspect(shop.engine, each.image_id) or {}) for each in made]
    assert layers[0] == layers[1]
    assert store.shared(layers[0], layers[2]) == len(layers[0]) - 1


HOSTILE = (
    "a b",
    "ünï",
    "line\nbreak",
    "$(touch x)",
    "-rf",
    ".dockerignore",
    "Dockerfile",
    "'\"",
    "x" * 200,
    "*",
    "..x",
    "%2e%2e",
    "#",
)


def test_names_of_files_are_data(built: tuple[Shop, Image, Image, str], models: list[Path], tmp_path: Path) -> None:
    shop, first, _, _ = built
    model = tmp_path / "model"
    shutil.copytree(models[0], model)
    for name in HOSTILE:
        (model / "data" / name).mkdir(parents=True)
        (model / "data" / name / name).write_text(name)
    (model / ".dockerignore").write_text("**\n")
    order = build.BuildRequest(
        recipe.serving_context(shop.dependencies(first.image_id), model).stream, labels=shop.label, network=False
    )
    code = (
        "import os, json; print(json.dumps(sorted(os.listdir('/opt/podium/model/data'))),"
        " os.path.exists('/opt/podium/model/.dockerignore'))"
    )
    assert (
        shop.output(build.build(shop.engine, order, say=shop.say).image_id, code)
        == f"{json.dumps(sorted(HOSTILE))} True"
    )


def test_what_an_image_cannot_hold(built: tuple[Shop, Image, Image, str], models: list[Path]) -> None:
    shop, _, _, _ = built

    def download(dest: Path) -> None:
        shutil.copytree(models[0], dest, dirs_exist_ok=True)
        (dest / ".wh.model.pkl").write_text("")

    shop.add(4, download)
    with pytest.raises(RunFailed, match="mark deleted files there"):
        serving_images.build(shop.project, shop.journal, 4, say=shop.say)
    shop.add(5, copied(models[0]))
    (shop.files(5) / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(RunFailed, match="neither a file nor a directory"):
        recipe.serving_context("x", shop.files(5))


def test_a_model_that_does_not_load_is_no_image(built: tuple[Shop, Image, Image, str], models: list[Path]) -> None:
    shop, _, _, _ = built

    def download(dest: Path) -> None:
        shutil.copytree(models[0], dest, dirs_exist_ok=True)
        text = (dest / "MLmodel").read_text().replace("mlflow.sklearn", "podium_no_such_module")
        text = re.sub(r"python_version: 3\.\d+", "python_version: 3.2", text)
        (dest / "MLmodel").write_text(text)

    shop.add(6, download)
    with pytest.raises(trial.ModuleMissing, match="podium_no_such_module") as caught:
        serving_images.build(shop.project, shop.journal, 6, say=shop.say)
    assert "made with Python 3.2" in caught.value.hint
    assert "retrying with the whole of MLflow" in shop.said
    assert shop.journal.images.get(shop.project.mlflow.model, 6, str(shop.engine.address)) is None
    assert not shop.engine.containers([f"{names.HOME}={names.home_id(shop.project.home)}"])


def wheel(directory: Path, name: str, version: str) -> None:
    """A package of one module, as `pip download` would put it there."""
    directory.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: podium-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def test_wheels_instead_of_the_index(built: tuple[Shop, Image, Image, str], models: list[Path], tmp_path: Path) -> None:
    shop, _, _, _ = built
    model, wheels = tmp_path / "model", tmp_path / "wheels"
    shutil.copytree(models[0], model)
    with (model / "requirements.txt").open("a") as stream:
        stream.write("\npodiumtiny==1.0\n")
    requirements = replace(image_requirements.of_model(model), modules=())

    def installed() -> build.BuildResult:
        context = recipe.dependencies_context(shop.project.docker.base, requirements, wheels)
        return build.build(
            shop.engine, build.BuildRequest(context.stream, labels=shop.label, network=False), say=shop.say
        )

    wheel(wheels, "podiumother", "1.0")
    with pytest.raises(RunFailed, match=r"ERROR: No matching distribution found for podiumtiny==1\.0"):
        installed()
    wheel(wheels, "podiumtiny", "1.0")
    made = installed()
    code = (
        "import glob, os; print(glob.glob('/opt/podium/venv/lib/*/site-packages/podiumtiny.py') != [],"
        " sorted(os.listdir('/opt/podium')))"
    )
    assert shop.output(made.image_id, code) == "True ['pycache', 'venv']", (
        "the wheels were a way in, and are not in the image"
    )


def test_a_base_that_is_not_to_be_had(built: tuple[Shop, Image, Image, str]) -> None:
    shop, _, _, _ = built
    with pytest.raises((NotFound, Unreachable), match="pulling localhost:1/nothing"):
        serving_images.build(shop.project, shop.journal, 1, base="localhost:1/nothing", say=shop.say)


@pytest.mark.parametrize("base", ["a\nRUN id", "x y", "a:b:c", "A", "a@sha256:12", "--platform=x a", "a AS b", "", "é"])
def test_what_is_no_base(built: tuple[Shop, Image, Image, str], monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    shop, _, _, _ = built
    if not base:
        monkeypatch.setattr(shop, "project", replace(shop.project, docker=replace(shop.project.docker, base="")))
    with pytest.raises(UsageError, match="is not the name"):
        serving_images.build(shop.project, shop.journal, 1, base=base, say=shop.say)


def test_no_engine(built: tuple[Shop, Image, Image, str], tmp_path: Path) -> None:
    shop, _, _, _ = built
    project = replace(
        shop.project, docker=replace(shop.project.docker, host=f"unix://{tmp_path}/none.sock", base="python:3.11-slim")
    )
    with pytest.raises(Unreachable, match="no Docker engine answers"):
        serving_images.build(project, shop.journal, 1, say=shop.say)
