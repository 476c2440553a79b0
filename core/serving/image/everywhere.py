"""Brings the image of a version to the engines of several hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from ...containers import Engine, open_engine
from ...containers.engine import labels as names
from ...containers.engine.address import Address, of_project
from ...containers.engine.connections import shared
from ...containers.engine.several import all_at_once
from ...containers.images import registry
from ...containers.images import store as images
from ...containers.images.sending import SavedImage, send
from ...domain.containers import Image
from ...domain.project import Project
from ...errors import PodiumError, Unreachable
from ...journal import Journal
from . import build

Say = Callable[[str], None]


def require_everywhere(
    project: Project, journal: Journal, version: int, hosts: Mapping[str, Address], *, model: str = "", say: Say
) -> dict[str, PodiumError]:
    """Brings the image of a version to every host, to all at once in the fastest way: it is there; it is pulled by its
    digest; it is sent from the project's engine, or from a host that has it. Where none has it, it is built on the
    project's engine, or on the first host. Returns the hosts to which it could not be brought, each with the error.
    Raises what `build` does."""
    subject = build.subject_of(project, journal, model, version, say)
    failed: dict[str, PodiumError] = {}
    found: dict[str, Image] = {}
    # What is there is seen over the connections that this process has; what has to be brought gets its own.
    reached = _opened(hosts, shared, failed)
    for name, engine in reached.items():
        try:
            image = build.present(engine, subject)
        except PodiumError as error:
            failed[name] = error
            continue
        if image is not None:
            found[name] = image
    lacking = {name: hosts[name] for name in reached if name not in found and name not in failed}
    if lacking:
        found |= _brought(subject, reached, lacking, found, failed, say)
    for image in found.values():
        journal.images.put(image)
    return failed


def _opened(
    hosts: Mapping[str, Address], open: Callable[[Address], Engine], failed: dict[str, PodiumError]
) -> dict[str, Engine]:
    """Connects to all hosts at once; adds to `failed` those that do not answer."""
    engines: dict[str, Engine] = {}
    for name, (engine, error) in zip(
        hosts, all_at_once([partial(open, address) for address in hosts.values()]), strict=True
    ):
        if isinstance(error, PodiumError):
            failed[name] = error
        elif error is not None:
            raise error
        elif engine is not None:
            engines[name] = engine
    return engines


def _brought(
    subject: build.ImageSource,
    reached: Mapping[str, Engine],
    lacking: Mapping[str, Address],
    found: Mapping[str, Image],
    failed: dict[str, PodiumError],
    say: Say,
) -> dict[str, Image]:
    """Brings the image to the hosts that lack it, over connections of their own; returns it as each has it then. Adds
    to `failed` those to which it could not be brought."""
    with ExitStack() as stack:
        engines = _opened(lacking, open_engine, failed)
        for engine in engines.values():
            stack.enter_context(engine)
        if not engines:
            return {}
        _tell_versions(reached, say)
        there = {name: engines.get(name, engine) for name, engine in reached.items() if name not in failed}
        source, image = _source(stack, subject, there, found, say)
        failed |= _bring(subject, engines, source, image, say)
        image = image if image.digest else replace(image, reference=image.image_id)
        return {
            name: replace(image, engine=str(engine.address)) for name, engine in engines.items() if name not in failed
        }


def _tell_versions(engines: Mapping[str, Engine], say: Say) -> None:
    """Says it when the hosts have different versions of Docker."""
    versions = {name: str(engine.info().get("ServerVersion") or "") for name, engine in engines.items()}
    if len(set(versions.values())) > 1:
        say("the hosts have different versions of Docker: " + ", ".join(f"{n} {each}" for n, each in versions.items()))


def _source(
    stack: ExitStack, subject: build.ImageSource, engines: Mapping[str, Engine], found: Mapping[str, Image], say: Say
) -> tuple[Engine, Image]:
    """Returns an engine that has the image, and the image; built where none has it."""
    try:
        home = stack.enter_context(open_engine(of_project(subject.project)))
    except PodiumError as error:
        if not found:
            say(f"{error.message}; building on {next(iter(engines))}")
        home = None
    image = build.present(home, subject) if home is not None else None
    if home is not None and image is not None:
        return home, image
    for name, there in found.items():
        return stack.enter_context(open_engine(engines[name].address)), there
    builder = home or next(iter(engines.values()))
    version = subject.version
    made = build.build(
        subject.project, subject.journal, version.version, model=version.model, say=say, address=builder.address
    )
    return builder, made.image


def _bring(
    subject: build.ImageSource, lacking: Mapping[str, Engine], source: Engine, image: Image, say: Say
) -> dict[str, PodiumError]:
    """Brings the image to the engines; returns those that failed."""
    if image.digest:
        pulled = _all(lacking, lambda engine: _pull(engine, image, say))
        lacking = {name: engine for name, engine in lacking.items() if name in pulled}
        for error in pulled.values():
            say(f"{error.message}; sending it instead")
    # An image that was built on one of them is there by now.
    lacking = {name: engine for name, engine in lacking.items() if str(engine.address) != str(source.address)}
    if not lacking:
        return {}
    labels = [f"{names.PROJECT}={subject.project.name}"]
    subject.project.state.mkdir(mode=0o700, exist_ok=True)
    with SavedImage(source, image.image_id, subject.project.state) as saved:
        return _all(lacking, partial(send, saved, labels=labels, say=say))


def _pull(engine: Engine, image: Image, say: Say) -> None:
    found = registry.pull(engine, image.reference, say=say)
    if str(found["Id"]) != image.image_id:
        raise Unreachable(f"{engine.address} pulled another image than {image.reference}")


def _all(engines: Mapping[str, Engine], work: Callable[[Engine], None]) -> dict[str, PodiumError]:
    """Does the work for all engines at once; returns the errors. Raises what is no PodiumError."""
    outcomes = all_at_once([partial(work, engine) for engine in engines.values()])
    failed: dict[str, PodiumError] = {}
    for name, (_, error) in zip(engines, outcomes, strict=True):
        if isinstance(error, PodiumError):
            failed[name] = error
        elif error is not None:
            raise error
    return failed


def require_named(engine: Engine, image: str, project: Project, *, say: Say) -> None:
    """Brings an image that has a name, such as the proxy's, to an engine: it is there; it is sent from the project's
    engine where that has it; it is pulled. Raises what a pull does."""
    if images.inspect(engine, image) is not None:
        return
    with ExitStack() as stack:
        try:
            home = stack.enter_context(open_engine(of_project(project)))
            found = images.inspect(home, image)
        except PodiumError:
            home = found = None
        if home is None or found is None:
            registry.pull(engine, image, say=say)
            return
        project.state.mkdir(mode=0o700, exist_ok=True)
        with SavedImage(home, str(found["Id"]), project.state) as saved:
            send(saved, engine, (), say=say)
    with engine.doing(f"naming the image {image}"):
        repository, _, tag = image.rpartition(":")
        engine.api.tag(str(found["Id"]), repository or image, tag if repository else None)
