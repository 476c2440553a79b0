"""The grammar of GTO, in which tags of a repository are a registry: `flight-delay@v7.0.0` is version 7, and
`flight-delay#production#12` puts the version of its commit into production."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..domain.frozen import Frozen
from ..errors import UsageError

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-/_]*[a-zA-Z0-9])?"
_TAG = re.compile(
    rf"(?P<artifact>{_NAME})"
    rf"(?:@v(?P<version>0|[1-9]\d*)\.0\.0|#(?P<stage>{_NAME})#(?P<counter>[1-9]\d*))"
)


class TagName(Frozen):
    """What a tag's name says: a version of an artifact, or (`stage`) that one was put somewhere, the `counter`-th
    record of the artifact that has a counter."""

    artifact: str
    version: int | None = None
    stage: str = ""
    counter: int = 0


def artifact_of(model: str) -> str:
    """Returns a model's name as tags have it. Raises UsageError for a name of which nothing would be left."""
    name = re.sub(r"[^a-zA-Z0-9\-/_]+", "-", model).strip("-/_")
    name = re.sub(r"/{2,}", "/", name)
    if not name:
        raise UsageError(
            f"the model {model!r} has no name that a tag could have",
            hint="give mlflow.model a name with letters or digits, or set git.tags to false",
        )
    return name


def version_tag(artifact: str, version: int) -> str:
    return f"{artifact}@v{version}.0.0"


def stage_tag(artifact: str, stage: str, counter: int) -> str:
    return f"{artifact}#{stage}#{counter}"


def parse(tag: str) -> TagName | None:
    """Returns what a tag says, if it is of the kinds that Podium makes; None for any other."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return None
    if found["version"] is not None:
        return TagName(found["artifact"], int(found["version"]))
    return TagName(found["artifact"], None, found["stage"], int(found["counter"]))


def is_record(tag: str, models: Iterable[str]) -> bool:
    """Tells whether a tag's name is that of a record about one of the models: such a tag starts no pipeline."""
    found = parse(tag)
    return found is not None and found.artifact in map(artifact_of, models)
