"""Makes the tags that are missing, and has the Git host have them too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..errors import JournalError
from ..journal import Journal
from ..scm import gto, tags
from ..scm.hosts import GitHost
from ..scm.remote import Remote, push_over, remote_of
from ..scm.repository import Repository
from . import records
from .records import Doubt, Record
from .releases import tell_releases

# Of one message: a lease of the outbox has to be long enough for them.
MAX_MADE = 100
_MADE = "tag made "
_SUBJECT = "tags"

# Returns whether the host has the tag now; False if it has another one of that name.
Push = Callable[[str, str], bool]


class Recorded(Frozen):
    """What one round did."""

    made: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    more: bool = False
    """Whether more tags are missing than one round makes."""


def record(project: Project, journal: Journal, repository: Repository, push: Push | None = None) -> Recorded:
    """Makes the tags of what has happened and has none yet, of each model oldest first, and pushes those that the host
    does not have from us. What is doubted is noted for `watch --status`, and neither used nor written over."""
    each = [_record(project, journal, repository, model, push) for model in project.models]
    doubts = tuple(doubt for one in each for doubt in one.doubts)
    tell(journal, doubts)
    return Recorded(tuple(name for one in each for name in one.made), doubts, any(one.more for one in each))


def _record(project: Project, journal: Journal, repository: Repository, model: str, push: Push | None) -> Recorded:
    artifact = gto.artifact_of(model)
    there = tags.read(repository, records.patterns(artifact))
    found = records.judged(there, model, made=made_by_us(journal, artifact))
    missing = [each for each in records.wanted(project, journal, model) if each.key not in found.keys]
    counter = max((each.counter for name in there if (each := gto.parse(name)) is not None), default=0)
    made: list[Record] = []
    taken: list[Doubt] = []
    for each in missing:
        if len(made) == MAX_MADE:
            break
        if not tags.has_commit(repository, each.commit):
            continue  # of another repository, or of a clone that has not fetched it
        counter += "environment" in each.data
        name = each.name(artifact, counter)
        if name in there:
            continue  # a tag that is doubted has its name
        made.append(_made(journal, repository, model, name, each, (made or [found.last])[-1]))
    if push is not None:
        taken = _pushed(journal, push, [*found.believed, *made])
    return Recorded(tuple(each.tag for each in made), (*found.doubts, *taken), len(made) == MAX_MADE)


def _made(
    journal: Journal, repository: Repository, model: str, name: str, each: records.Wanted, after: Record | None
) -> Record:
    tag = tags.make(repository, name, each.commit, each.message(after), tags.moment(each.at))
    journal.values.set(f"{_MADE}{name}", json.dumps({"sha": tag.sha, "pushed": False}))
    found = records.read_record(tag, model)
    assert isinstance(found, Record), found
    return found


def made_by_us(journal: Journal, artifact: str) -> Mapping[str, str]:
    """Returns name -> hash of the artifact's tags that this project's journal knows to have made."""
    known = {key.removeprefix(_MADE): value for key, value in journal.values.all(_MADE).items()}
    return {
        name: str(json.loads(value)["sha"])
        for name, value in known.items()
        if (parsed := gto.parse(name)) is not None and parsed.artifact == artifact
    }


def _pushed(journal: Journal, push: Push, believed: Sequence[Record]) -> list[Doubt]:
    """Has the host have what it is not known to have; one that it had already, from another clone, is no trouble."""
    taken: list[Doubt] = []
    for each in believed:
        key = f"{_MADE}{each.tag}"
        known = journal.values.get(key)
        if known is not None and json.loads(known)["pushed"]:
            continue
        if not push(f"refs/tags/{each.tag}", each.sha):
            taken.append(Doubt(each.tag, "the Git host has another tag of that name"))
            continue
        journal.values.set(key, json.dumps({"sha": each.sha, "pushed": True}))
    return taken


def tell(journal: Journal, doubts: tuple[Doubt, ...]) -> None:
    """Notes what is doubted, for whoever asks the agent; nothing: it is over."""
    with suppress(JournalError):
        first = next(iter(doubts), None)
        if first is None:
            journal.agent.over(_SUBJECT)
        else:
            more = f", and {len(doubts) - 1} more" if len(doubts) > 1 else ""
            journal.agent.note(_SUBJECT, f"the tag {first.tag} is not believed: {first.why}{more}")


def _push_to(repository: Repository, remote: Remote | None) -> Push | None:
    def push(ref: str, sha: str) -> bool:
        assert remote is not None
        return push_over(repository, remote, ref, sha, "")

    return None if remote is None else push


def tell_tags(host: Callable[[], GitHost], project: Project, journal: Journal) -> None:
    """Records what has happened as tags, pushes them where pushes arrive, and makes releases of what was promoted where
    podium.yaml asks for them. A project without a repository has no tags."""
    repository = Repository.find(project.home)
    if repository is None:
        return
    if record(project, journal, repository, _push_to(repository, remote_of(project))).more:
        journal.telling.versions()
    if project.git.host is not None and project.git.host.tell.releases:
        for model in project.models:
            there = tags.read(repository, records.patterns(gto.artifact_of(model)))
            tell_releases(host(), project, journal, records.judged(there, model))
