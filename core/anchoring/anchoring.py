"""Anchors the audit's head, and compares the chain with what was anchored."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from ..clock import elapsed
from ..domain.evidence.anchors import Anchor, Anchored
from ..domain.project import Project
from ..domain.text import one_line
from ..domain.text.format import local
from ..errors import PodiumError, Refused
from ..journal import Journal
from .places import Place, place_of

# How often the agent anchors at most: what is younger than the last one can be rewritten unseen.
INTERVAL = 600.0
_LAST = "audit anchor"
# So many of the newest anchors are compared to say how far the chain is still the same.
_COMPARED = 50


def anchor(project: Project, journal: Journal, who: str, *, anew: str = "") -> Anchor:
    """Keeps the head of now where podium.yaml says. Raises Refused where it names no place, or the chain is not the one
    that was anchored before, unless there is a reason to begin `anew`; Unreachable where the place cannot be had."""
    place = _place(project)
    last = next(iter(reversed(place.read())), None)
    if last is not None and not anew and (problem := _problem(journal, last)):
        raise Refused(
            f"the audit is not what was anchored: {problem}",
            hint="`podium audit verify` says more; after a backup was brought back: podium audit anchor --why TEXT",
        )
    number, digest = journal.audit.head()
    made = Anchor(number, digest, time.time(), who, anew)
    place.add(made)
    journal.values.set(_LAST, json.dumps([made.at, made.number, project.evidence.anchor]))
    return made


def due(project: Project, journal: Journal) -> bool:
    """Tells whether the agent has to anchor: there is something new, and the last time is long enough ago."""
    if not project.evidence.anchor:
        return False
    number, _ = journal.audit.head()
    try:
        at, last, where = json.loads(journal.values.get(_LAST) or "null")
    except (ValueError, TypeError):
        return number > 0
    if where != project.evidence.anchor:
        return number > 0
    return number != last and elapsed(float(at), time.time()) >= INTERVAL


def compared(project: Project, journal: Journal) -> Anchored | None:
    """Returns what the anchors say of the audit; None where podium.yaml names no place for them."""
    if not project.evidence.anchor:
        return None
    try:
        place = _place(project)
        anchors = place.read()
    except PodiumError as error:
        return Anchored(project.evidence.anchor, problems=(f"the anchors cannot be read: {error.message}",))
    anew = tuple(f"{local(each.at)}, {one_line(each.who)}: {one_line(each.anew)}" for each in anchors if each.anew)
    if not anchors:
        return Anchored(place.words)
    first = max((index for index, each in enumerate(anchors) if each.anew), default=0)
    held = anchors[first:]
    last = held[-1]
    problems = tuple(_problems(journal, held))
    return Anchored(place.words, held[0].at, last.at, last.number, len(anchors), anew, problems)


def _place(project: Project) -> Place:
    place = place_of(project)
    if place is None:
        raise Refused("podium.yaml names no anchor", hint="evidence.anchor: a Git remote, or the path of a file")
    return place


def _problem(journal: Journal, anchor: Anchor) -> str:
    return next(iter(journal.audit.lacking((anchor.number, anchor.digest))), "")


def _problems(journal: Journal, anchors: Sequence[Anchor]) -> list[str]:
    """Returns what is wrong with the chain beside the newest anchor, and up to which one it is still the same. Each
    digest covers all entries before it, so an anchor that holds speaks for those before."""
    problem = _problem(journal, anchors[-1])
    if not problem:
        return []
    good = next((each for each in reversed(anchors[-_COMPARED:-1]) if not _problem(journal, each)), None)
    until = f"; up to entry {good.number}, anchored {local(good.at)}, it is the same" if good is not None else ""
    return [f"{problem} (anchored {local(anchors[-1].at)} by {one_line(anchors[-1].who)}){until}"]
