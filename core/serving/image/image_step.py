"""The built-in step `image`: the serving image of a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...domain.models import CHALLENGER
from ...domain.text import clean
from ...errors import NotFound, UsageError
from . import build as images

if TYPE_CHECKING:
    from ...engine.context import StepContext


def image(context: StepContext) -> Mapping[str, Any]:
    """Builds the serving image. Options: `model` (default: the one that an earlier step reported, else the project's),
    `version` (default: the one that an earlier step reported, else the
    challenger), `base`, `push`.

    Results: `model`, `version`, `image` (what a container is started from), `image_id`, `image_digest` (empty if not
    pushed), `model_layer`, `size` (bytes), `seconds`, `layers`, `layers_built`; if an earlier version has an image
    also `compared_with` (that version), `size_change` and `seconds_change`.
    """
    options = context.options
    model = context.model
    made = images.build(
        context.project,
        context.journal,
        _version(context, model),
        model=model,
        base=str(options.get("base") or ""),
        push=str(options.get("push") or ""),
        run_id=context.run.id,
        say=context.log,
    )
    found = made.image
    results: dict[str, Any] = {
        "model": found.model,
        "version": found.version,
        "image": found.reference,
        "image_id": found.image_id,
        "image_digest": found.digest,
        "model_layer": found.model_layer,
        "size": found.size,
        "seconds": found.seconds,
        "layers": made.layers,
        "layers_built": made.layers_built,
    }
    if made.before is not None:
        results |= {"compared_with": made.before.version, "size_change": made.size, "seconds_change": made.seconds}
    return results


def _version(context: StepContext, model: str) -> int:
    written = context.options.get("version") or context.upstream_version(model)
    if written:
        number = str(written).removeprefix("v")
        if not number.isdecimal() or len(number) > 9:
            raise UsageError(
                f"{clean(str(written))[:60]!r} is not the number of a version",
                hint="`version` of `uses: image` is 3 or v3",
            )
        return int(number)
    found = context.journal.versions.aliases(model).get(CHALLENGER)
    if found is None:
        raise NotFound(
            "there is no version to build an image of",
            hint="let the step need one that registers a version, or give it `version`",
        )
    return found
