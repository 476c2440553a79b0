"""Plans the removal of the serving images that nothing needs any more, and carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...domain.containers import IMAGES, UnneededImage, read_unneeded, written_unneeded
from ...domain.plans import Change, Plan
from ...domain.project import Project
from ...domain.text.format import count, size
from ...errors import NotFound
from ...journal import Journal
from ..environment.history import models
from .image_prune import KEEP_NEWEST, find, needed, prune

if TYPE_CHECKING:
    from ...engine.context import StepContext

_WHICH = "images"


def plan_prune(project: Project, journal: Journal, target: str, *, newest: int = KEEP_NEWEST) -> Plan:
    """Returns which images of every engine would be removed; the `newest` versions stay in any case. Asks the engines;
    one that does not answer is a warning. NotFound for a target other than the engines' images."""
    if target != IMAGES:
        raise NotFound(f"no environment {target!r} is pruned by itself", hint=f"{IMAGES!r} means those of all engines")
    away: list[str] = []
    found = find(project, journal, newest=newest, say=away.append)
    shared = ("layers that other images share stay, so less may be freed",) if found else ()
    return Plan(
        target=target,
        verb="prune",
        title=f"Remove {count(len(found), 'image')}, {size(sum(each.size for each in found))}",
        action="Remove",
        command="podium images --prune" + (f" --newest {newest}" if newest != KEEP_NEWEST else ""),
        changes=(*map(_removed, found), *_kept(project, journal, newest, found)),
        steps=("remove each image by all of its names; one that is needed or used by then stays",) if found else (),
        warnings=(*away, *shared),
        nothing_to_do="" if found else "nothing to remove: every image is needed",
        kept_in="audit",
        arguments={_WHICH: written_unneeded(found)},
    )


def _removed(one: UnneededImage) -> Change:
    return Change(one.name, size(one.size), f"removed: {one.why}")


def _kept(project: Project, journal: Journal, newest: int, found: Sequence[UnneededImage]) -> list[Change]:
    why = needed(project, journal, newest=newest)
    gone = {(each.engine, each.image_id) for each in found}
    return [
        Change(project.version(each.model, each.version), size(each.size), f"kept: {why[each.model, each.version]}")
        for model in models(project, journal)
        for each in journal.images.of(model)
        if (each.model, each.version) in why and (each.engine, each.image_id) not in gone
    ]


def prune_step(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `prune`. Options: `images`, those that a person agreed to have removed. What is needed again
    by now stays."""
    chosen = read_unneeded(str(context.options.get(_WHICH) or "[]"))
    gone = prune(context.project, context.journal, chosen, say=context.log)
    names = ", ".join(each.name for each in gone)[:500]
    context.journal.audit.add(context.run.who, "prune", count(len(gone), "image"), names)
    kept = [each for each in chosen if each not in gone]
    return {
        "removed": [asdict(each) for each in gone],
        "kept": [asdict(each) for each in kept],
        "bytes": sum(each.size for each in gone),
    }
