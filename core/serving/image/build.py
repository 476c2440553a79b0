"""The serving image of a version: built on the project's engine (`build`), and brought to the engine that serves it
(`require`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...containers import Engine, Labels, open_engine
from ...containers.engine import labels as names
from ...containers.engine.address import Address, of_project
from ...containers.engine.connections import shared
from ...containers.images import build as builder
from ...containers.images import registry
from ...containers.images import store as images
from ...domain.containers import Image
from ...domain.models import TAG_DIGEST, TAG_IMAGE, Version
from ...domain.project import Project
from ...errors import PodiumError, Unreachable
from ...identity.account import expanded
from ...journal import Journal
from ...registry import files, open_registry
from . import recipe as image_recipe
from . import requirements as image_requirements
from . import sbom, trial

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImageSource:
    """What an image is built from: the version, its files on this machine and their digest."""

    project: Project
    journal: Journal
    version: Version
    path: Path
    digest: str

    @property
    def labels(self) -> Labels:
        return Labels(self.project.name, self.project.home, names.IMAGE_ROLE)

    @property
    def repository(self) -> str:
        """Returns the name of its unpushed images on an engine. It includes the checkout, so that another checkout
        does not take the name over."""
        return f"podium/{_word(self.project.name)}-{names.home_id(self.project.home)}"


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """How an image is built: on `base` (whose id is `base_id`), with requirements identified by their key, with the
    full MLflow or the skinny one; `fresh` uses nothing that was built before."""

    base: str
    base_id: str
    requirements: str
    whole: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image, and how it differs from the image of the version before: `size` in bytes and `seconds` (negative:
    less), and how many of its `layers` were built. Without an earlier image `before` is None and the layers are
    those on top of the base image."""

    image: Image
    before: Image | None
    layers: int
    layers_built: int

    @property
    def size(self) -> int:
        return self.image.size - self.before.size if self.before else 0

    @property
    def seconds(self) -> float:
        return round(self.image.seconds - self.before.seconds, 2) if self.before else 0.0


def build(
    project: Project,
    journal: Journal,
    version: int,
    *,
    model: str = "",
    base: str = "",
    push: str = "",
    run_id: int | None = None,
    say: Say,
    address: Address | None = None,
    fresh: bool = False,
) -> BuiltImage:
    """Builds the image of a version, of the project's model where `model` names no other, on the project's engine (or
    the one at `address`), tries it, pushes it if `push`
    (or docker.push) names a repository, and records it. `fresh` uses nothing that was built before.

    Raises RunFailed if a step of the build or the trial fails, NotFound for a base image or version that does not
    exist, Unreachable if the engine, the registry or the model's store does not answer or the engine's disk is full,
    UsageError for invalid names.
    """
    base = registry.reference(base or project.docker.base, "image to build on")
    into = registry.repository(push or project.docker.push) if push or project.docker.push else ""
    subject = subject_of(project, journal, model, version, say)
    address = address or of_project(project)
    before = _previous(journal, subject.version, str(address))
    with open_engine(address) as engine:
        image = replace(_built(engine, subject, base, say, fresh=fresh), run_id=run_id)
        made = _compared(engine, image, before)
        _say_how(made, say)
        image = publish(engine, image, into, tag=_tag(project, image.model, image.version), say=say) if into else image
        if project.docker.sbom:
            image = replace(image, sbom=sbom.keep(engine, image, subject.path, project.state, say=say))
    journal.images.put(image)
    if image.digest or address == of_project(
        project
    ):  # what only an engine far away knows by an id says nothing to others
        _tell(subject, image, say)
    return replace(made, image=image)


def _tag(project: Project, model: str, version: int) -> str:
    """Returns an image's tag in a repository that all models of the project share."""
    if model == project.mlflow.model:
        return f"v{version}"
    return f"{re.sub('[^a-zA-Z0-9_.-]+', '-', model)[:80].strip('.-') or 'model'}-v{version}"


def publish(engine: Engine, image: Image, into: str, *, tag: str = "", say: Say) -> Image:
    """Pushes an image to the repository `into`, as `v3` where no other tag is given. Returns it with its
    digest there."""
    tag = tag or f"v{image.version}"
    digest = registry.push(engine, image.image_id, into, tag, say=say)
    return replace(image, digest=digest, reference=f"{into}@{digest}", tag=f"{into}:{tag}")


def require(project: Project, journal: Journal, version: int, address: Address, *, model: str = "", say: Say) -> Image:
    """Brings the image of a version, of the project's model where `model` names no other, to the engine at `address` in
    the fastest way: it is there; it is pulled by its
    digest; it is sent from the project's engine; it is built there. Raises what `build` does; NotFound for a version
    that does not exist."""
    subject = subject_of(project, journal, model, version, say)
    image = present(shared(address), subject)  # what is there needs no connection of its own
    if image is None:
        with open_engine(address) as engine:
            image = _pulled(engine, subject, say) or _sent(engine, subject, say)
    if image is not None:
        journal.images.put(image)
        return image
    return build(project, journal, version, model=model, say=say, address=address).image


def subject_of(project: Project, journal: Journal, model: str, number: int, say: Say) -> ImageSource:
    """Collects what an image is built from. Asks the registry only for what is not on this machine."""
    model = model or project.mlflow.model
    path = files.directory(project.state, model, number)
    version, digest = journal.versions.get(model, number), files.present(path)
    if version is not None and digest is not None and version.digest in ("", digest):
        return ImageSource(project, journal, version, path, digest)
    say(f"fetching {model} version {number}")
    store = open_registry(project.mlflow, project.state)
    try:
        version = store.version(model, number)
        digest = store.fetch(model, number, path)
        if version.digest != digest:
            store.set_tag(model, number, TAG_DIGEST, digest)
            version = replace(version, digest=digest)
    finally:
        store.close()
    journal.versions.update(version)
    return ImageSource(project, journal, version, path, digest)


# Building


def _built(engine: Engine, subject: ImageSource, base: str, say: Say, *, fresh: bool) -> Image:
    started = time.monotonic()
    base_id = _base(engine, base, say)
    small = image_requirements.of_model(subject.path, wheels=bool(subject.project.docker.wheels)).key()
    whole = bool(
        images.find(engine, [*subject.labels.filters(), f"{names.REQUIREMENTS}={small}", f"{names.WHOLE}=yes"])
    )
    try:
        image = _tried(engine, subject, ImageRecipe(base, base_id, small, whole, fresh), say)
    except trial.ModuleMissing as error:
        if whole:
            raise
        say(f"{error.message}; retrying with the whole of MLflow")
        image = _tried(engine, subject, ImageRecipe(base, base_id, small, True, fresh), say)
    return replace(image, seconds=round(time.monotonic() - started, 2))


def _tried(engine: Engine, subject: ImageSource, recipe: ImageRecipe, say: Say) -> Image:
    dependencies = _dependencies(engine, subject, recipe, say)
    tried = trial.key(subject.path, dependencies)
    proven = not recipe.fresh and bool(tried) and _proven(engine, subject, tried)
    image = _assembled(engine, subject, recipe, dependencies, tried, say)
    if proven:
        say("not tried again: a version with the same dependencies, flavour and code loads")
        return image
    try:
        labels = Labels(subject.project.name, subject.project.home, names.TRIAL_ROLE)
        trial.run(engine, image.image_id, labels, python=image_requirements.python(subject.path), say=say)
    except PodiumError:
        with suppress(PodiumError):  # the first failure is the one to report
            images.remove(engine, image.tag)
        raise
    return image


def _proven(engine: Engine, subject: ImageSource, tried: str) -> bool:
    """Tells whether a recorded image loaded with the same dependencies, flavour and code. An image that failed, or
    was cut short, is never recorded."""
    noted = {image.image_id for image in subject.journal.images.of(subject.version.model)}
    return any(one["Id"] in noted for one in images.find(engine, [*subject.labels.filters(), f"{names.TRIED}={tried}"]))


def _base(engine: Engine, base: str, say: Say) -> str:
    """Returns the id of the base image, pulled if it is missing, so that both builders use the same one with the
    same login and report the same errors."""
    found = images.inspect(engine, base) or registry.pull(engine, base, say=say)
    return str(found["Id"])


def _assembled(
    engine: Engine, subject: ImageSource, recipe: ImageRecipe, dependencies: str, tried: str, say: Say
) -> Image:
    number = subject.version.version
    context = image_recipe.serving_context(dependencies, subject.path)
    lineage = image_recipe.labels(subject.version, subject.digest, recipe.base, recipe.base_id, subject.project.name)
    own = {
        names.REQUIREMENTS: recipe.requirements,
        names.WHOLE: "yes" if recipe.whole else "",
        names.TRIED: tried,
        names.DEPENDENCIES: dependencies,
    }
    labels = {**subject.labels.all(), **lineage, **{key: value for key, value in own.items() if value}}
    tag = f"{subject.repository}:{_tag(subject.project, subject.version.model, number)}"
    request = builder.BuildRequest(
        context.stream,
        tag,
        labels,
        image_recipe.arguments(subject.version, subject.digest),
        fresh=recipe.fresh,
        network=False,
    )
    say(f"building {tag}: code and model ({images.megabytes(context.size)}) on {dependencies}")
    built = builder.build(engine, request, say=say, what=f"building the image of version {number}")
    return _image(engine, subject, built.image_id, base=recipe.base, tag=tag)


def _dependencies(engine: Engine, subject: ImageSource, recipe: ImageRecipe, say: Say) -> str:
    """Returns the name of the image with the dependencies, built if it is missing."""
    project = subject.project
    requirements = image_requirements.of_model(subject.path, whole=recipe.whole, wheels=bool(project.docker.wheels))
    wheels = project.home / expanded(project.docker.wheels) if project.docker.wheels else None
    stamps = (
        [f"{path.name} {files.file_digest(path).hex()}" for path in image_recipe.wheel_files(wheels)] if wheels else []
    )
    key = requirements.key(
        recipe.base_id, image_recipe.dependencies_dockerfile(""), image_recipe.installer().decode(), *stamps
    )
    name = f"{subject.repository}:deps-{key}"
    if not recipe.fresh and images.inspect(engine, name) is not None:
        say(f"dependencies: unchanged, {name} exists")
        return name
    say(f"dependencies: installing {len(requirements.text.splitlines())} requirements on {recipe.base}")
    context = image_recipe.dependencies_context(recipe.base, requirements, wheels)
    labels = Labels(project.name, project.home, names.DEPENDENCIES_ROLE).all()
    request = builder.BuildRequest(context.stream, name, labels, fresh=recipe.fresh, network=wheels is None)
    builder.build(engine, request, say=say, what="installing the dependencies")
    return name


def _image(engine: Engine, subject: ImageSource, reference: str, *, base: str = "", tag: str = "") -> Image:
    found = images.inspect(engine, reference)
    if found is None:
        raise Unreachable(
            f"the engine at {engine.address} does not list the image {reference[:19]} that it has just built",
            hint="try again",
        )
    image_id = str(found["Id"])
    return Image(
        model=subject.version.model,
        version=subject.version.version,
        engine=str(engine.address),
        image_id=image_id,
        reference=image_id,
        built=time.time(),
        tag=tag,
        base=base,
        model_layer=images.layers(found)[-1],
        size=int(found.get("Size") or 0),
    )


def _previous(journal: Journal, version: Version, engine: str) -> Image | None:
    """Returns the image of the nearest version before this one, preferably on the same engine."""
    earlier = [image for image in journal.images.of(version.model) if image.version < version.version]
    return max(earlier, key=lambda image: (image.version, image.engine == engine), default=None)


def _compared(engine: Engine, image: Image, before: Image | None) -> BuiltImage:
    own, earlier, base = (
        images.layers(images.inspect(engine, each) or {})
        for each in (image.image_id, before.image_id if before else "", image.base)
    )
    return BuiltImage(image, before, len(own), len(own) - max(images.shared(own, earlier), images.shared(own, base)))


def _say_how(made: BuiltImage, say: Say) -> None:
    image, before = made.image, made.before
    layers = f"{made.layers_built} of {made.layers} layers new"
    say(f"image {image.image_id[7:19]}: {images.megabytes(image.size)}, {layers}, built in {image.seconds:.1f} s")
    if before is not None:
        size = f"{images.megabytes(before.size)} ({made.size / images.MEGABYTE:+.1f} MB now)"
        say(f"version {before.version} had {size}, built in {before.seconds:.1f} s ({made.seconds:+.1f} s now)")


def _tell(subject: ImageSource, image: Image, say: Say) -> None:
    """Tags the version in MLflow and stores the bill of materials beside the training run. A build does not fail
    because MLflow does not answer."""
    store = open_registry(subject.project.mlflow, subject.project.state)
    try:
        store.set_tag(image.model, image.version, TAG_IMAGE, image.reference)
        if image.sbom and subject.version.mlflow_run:
            store.log_report(
                subject.version.mlflow_run,
                f"podium/image-v{image.version}.spdx.json",
                Path(image.sbom).read_text(encoding="utf-8"),
            )
    except (PodiumError, OSError) as error:
        say(f"the image could not be recorded in MLflow: {error}")
    finally:
        store.close()


# Bringing


def present(engine: Engine, subject: ImageSource) -> Image | None:
    """Returns the image that the engine has, whatever the journal says."""
    model, number = subject.version.model, subject.version.version
    noted = subject.journal.images.get(model, number, str(engine.address))
    if noted is not None:
        found = images.inspect(engine, noted.image_id)
        if found is not None and _is_of(found, subject):
            return noted
    wanted = [*subject.labels.filters(), f"{names.VERSION}={number}", f"{names.DIGEST}={subject.digest}"]
    others = images.find(engine, wanted)
    if not others:
        return None
    newest = max(others, key=lambda one: int(one.get("Created") or 0))
    return _known(_image(engine, subject, str(newest["Id"])), subject)


def _is_of(found: dict[str, Any], subject: ImageSource) -> bool:
    return images.labels(found).get(names.DIGEST) == subject.digest


def _known(image: Image, subject: ImageSource) -> Image:
    """Returns the image with what the journal knows of the same image on another engine."""
    for other in subject.journal.images.of(image.model):
        if other.version == image.version and other.image_id == image.image_id:
            return replace(other, engine=image.engine, reference=image.reference)
    return image


def _pulled(engine: Engine, subject: ImageSource, say: Say) -> Image | None:
    for other in subject.journal.images.of(subject.version.model):
        if other.version != subject.version.version or not other.digest:
            continue
        try:
            found = registry.pull(engine, other.reference, say=say)
        except PodiumError as error:
            say(f"{error.message}; trying another source")
            continue
        if _is_of(found, subject):
            return replace(other, engine=str(engine.address), image_id=str(found["Id"]))
    return None


def _sent(engine: Engine, subject: ImageSource, say: Say) -> Image | None:
    home = of_project(subject.project)
    if str(home) == str(engine.address):
        return None
    with ExitStack() as stack:
        try:
            source = stack.enter_context(open_engine(home))
        except PodiumError as error:
            say(f"{error.message}; building on {engine.address}")
            return None
        image = present(source, subject)
        if image is None:
            return None
        images.transfer(source, engine, image.image_id, say=say)
        return replace(image, engine=str(engine.address), reference=image.image_id)


def _word(name: str) -> str:
    """Returns a project's name as a part of an image's name."""
    return (
        "-".join(filter(None, ("".join(c if c.isascii() and c.isalnum() else " " for c in name.lower())).split()))[:60]
        or "project"
    )
