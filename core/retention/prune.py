"""What may be removed of the state directory, as a plan, as a step of an operation, and as the agent does it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..delivery.status import image_prune_plan
from ..domain.containers import IMAGES
from ..domain.plans import Change, Plan
from ..domain.project import Project
from ..domain.text.format import count, size
from ..domain.watching import STATE, Pruned, read_pruned, written_pruned
from ..errors import NotFound, PodiumError, Refused
from ..journal import Journal
from .kinds import KINDS, Kind, named
from .scene import DAY, Item, Scene, clock_trouble, utc
from .serving import needed

if TYPE_CHECKING:
    from ..engine.context import StepContext

_AT, _KINDS, _FOUND = "at", "kinds", "found"
_MAX_TROUBLES = 5


def plan_prune(project: Project, journal: Journal, target: str, **arguments: Any) -> Plan:
    """Returns what would be removed: of the state directory (`kinds`: the names of those to look at, all where there
    is none), or, for the target `images`, of the engines."""
    if target == IMAGES:
        return image_prune_plan.plan_prune(project, journal, target, **arguments)
    if target != STATE:
        raise NotFound(
            f"there is nothing to prune that is called {target!r}",
            hint=f"{STATE!r} is what is kept below .podium, {IMAGES!r} are those of all engines",
        )
    return _plan(project, journal, tuple(arguments.get("kinds") or ()))


def _plan(project: Project, journal: Journal, names: Sequence[str]) -> Plan:
    chosen, scene = _chosen(names), Scene(project, journal, time.time())
    found = find(scene, chosen)
    clock = clock_trouble(journal, scene.now)
    total, number = sum(each.size for each in found), sum(each.entries for each in found)
    return Plan(
        target=STATE,
        verb="prune",
        title=f"Remove {count(number, 'entry', 'entries')}, {size(total)}",
        action="Remove",
        command=" ".join(("podium prune", *names)),
        changes=(*map(_change, found), *(_kept(scene) if found else ())),
        steps=("each is looked at once more just before it goes: what is needed by then stays",) if found else (),
        warnings=(*_linked(scene), *((f"{clock}: is the clock right?",) if clock and found else ())),
        nothing_to_do="" if found else "nothing to remove: everything is young enough, or needed",
        kept_in="audit",
        arguments={_AT: repr(scene.now), _KINDS: ",".join(names), _FOUND: written_pruned(found)},
    )


def _chosen(names: Sequence[str]) -> list[Kind]:
    prunable = [kind for kind in KINDS if kind.find]
    for name in names:
        if (kind := named(name)) is None or not kind.find:
            words = (
                f"{name!r} is kept: {kind.kept or 'it is thinned out by itself'}"
                if kind
                else f"there is no kind {name!r}"
            )
            raise NotFound(words, hint=f"name some of: {', '.join(each.name for each in prunable)}")
    return [kind for kind in prunable if not names or kind.name in names]


def find(scene: Scene, kinds: Sequence[Kind]) -> list[Pruned]:
    """Returns what may go, summed up by kind and reason."""
    entries, sizes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for kind in kinds:
        for each in kind.find:
            for item in each(scene):
                entries[kind.name, item.why] += item.entries
                sizes[kind.name, item.why] += item.size
    return [Pruned(kind, number, sizes[kind, why], why) for (kind, why), number in entries.items()]


def _change(one: Pruned) -> Change:
    how = "sealed" if one.why.startswith("sealed") else "removed"
    return Change(one.kind, f"{count(one.entries, 'entry', 'entries')}, {size(one.size)}", f"{how}: {one.why}")


def _kept(scene: Scene) -> list[Change]:
    return [
        Change(scene.project.version(model, version), "its files", f"kept: {why}")
        for (model, version), why in sorted(needed(scene).items())
    ]


def _linked(scene: Scene) -> list[str]:
    return [f".podium/{name} is a link to {target}: nothing in it is removed" for name, target in scene.links.items()]


# -- carrying it out -------------------------------------------------------------------------------------------------


def prune_step(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `prune`. Options: `at` and `kinds` of a plan that a person agreed to, or `images`. What is
    needed by now stays."""
    if _AT not in context.options:
        return image_prune_plan.prune_step(context)
    kinds = [name for name in str(context.options.get(_KINDS) or "").split(",") if name]
    scene = Scene(context.project, context.journal, float(context.options[_AT]))
    agreed = read_pruned(str(context.options.get(_FOUND) or "[]"))
    done, troubles = prune(scene, _chosen(kinds))
    note(context.journal, context.run.who, done)
    for each in done:
        context.log(f"{each.kind}: {count(each.entries, 'entry', 'entries')}, {size(each.size)}, {each.why}")
    for trouble in troubles:
        context.log(trouble)
    if troubles:
        raise PodiumError(troubles[0], hint="the rest is removed; look at who owns these files, and at the disk")
    missing = sum(each.entries for each in agreed) - sum(each.entries for each in done)
    return {"removed": [asdict(each) for each in done], "kept": max(0, missing), "bytes": sum(e.size for e in done)}


def prune(scene: Scene, kinds: Sequence[Kind]) -> tuple[list[Pruned], list[str]]:
    """Removes what may go; returns what went, and a sentence for each of the first that could not. One that cannot be
    removed keeps no other."""
    entries, sizes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    troubles: list[str] = []
    for kind in kinds:
        try:
            for each in kind.find:
                for item in each(scene):
                    number = _removed(kind, item, troubles)
                    if number:
                        entries[kind.name, item.why] += number
                        sizes[kind.name, item.why] += item.size
        except (OSError, PodiumError) as error:
            troubles.append(f"{kind.name}: {_words(error)}")
    return [Pruned(kind, number, sizes[kind, why], why) for (kind, why), number in entries.items()], troubles


def _removed(kind: Kind, item: Item, troubles: list[str]) -> int:
    try:
        return item.remove()
    except (OSError, PodiumError) as error:
        if len(troubles) < _MAX_TROUBLES:
            troubles.append(f"{kind.name}: {item.name} cannot be removed: {_words(error)}")
        return 0


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return str(error)


def note(journal: Journal, who: str, done: Sequence[Pruned]) -> None:
    """Writes into the audit what went; nothing where nothing did."""
    if done:
        words = ", ".join(f"{each.entries} of {each.kind}" for each in done)
        journal.audit.add(who, "prune", words[:500], size(sum(each.size for each in done)))


# -- the agent -------------------------------------------------------------------------------------------------------

_LAST, _LAST_SEEN = "retention last", "retention clock"
_NIGHT_HOUR = 3
_MOST_DRIFT, _MOST_BACK = 2 * DAY, 3600.0
# After a clock that jumped, nothing is removed until it has been steady for so long.
_STEADY = DAY


class Nightly:
    """Decides when the agent prunes: in the night, more often where something is kept for less than a day. The clock
    is noted each time, and one that has jumped is not believed until it was steady for a day."""

    def __init__(self, project: Project, journal: Journal) -> None:
        self._journal = journal
        retain = asdict(project.retain)
        shortest = min(value for key, value in retain.items() if not key.endswith(("_size", "_rows")))
        self._interval = min(DAY, max(60.0, shortest))

    def due(self, now: float) -> bool:
        """Tells whether it is time. Raises Refused, once for each jump, where the clock cannot be believed."""
        seen, last = self._number(_LAST_SEEN), self._number(_LAST)
        self._journal.values.set(_LAST_SEEN, repr(now))
        if last is None:
            self._journal.values.set(_LAST, repr(now))
            return False
        if seen is not None and not -_MOST_BACK <= now - seen <= _MOST_DRIFT:
            self._journal.values.set(_LAST, repr(now + (_STEADY if self._interval >= DAY else 0.0)))
            raise Refused(
                f"the clock said {utc(seen)} when it was looked at last, and says {utc(now)}: nothing is"
                " removed until it has gone on as clocks do for a day",
                hint="`podium prune --dry-run` shows what it makes old",
            )
        return now >= self._next(last)

    def done(self, now: float) -> None:
        self._journal.values.set(_LAST, repr(now))

    def _next(self, last: float) -> float:
        """Returns when it is due after `last`: the next night by local time, or after the interval."""
        if self._interval < DAY:
            return last + self._interval
        day = time.localtime(last)
        night = time.mktime((*day[:3], _NIGHT_HOUR, 0, 0, 0, 0, -1))
        return night if night > last else night + DAY

    def _number(self, key: str) -> float | None:
        with suppress(TypeError, ValueError):
            return float(self._journal.values.get(key))  # type: ignore[arg-type]
        return None


def prune_nightly(project: Project, journal: Journal, who: str, now: float) -> tuple[list[Pruned], list[str]]:
    """Removes what may go, without being asked; returns what went and what could not."""
    done, troubles = prune(Scene(project, journal, now), _chosen(()))
    note(journal, who, done)
    return done, troubles
